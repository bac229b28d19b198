// A PostgreSQL of our own: initdb, start, adopt one that outlived us, stop. The catalog, the demo and the tests use it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chownSync, closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { SluiceError } from '../base/errors.ts';
import { makeFolder } from '../base/folder.ts';
import { pause } from '../base/retry.ts';
import { deriveScramKeys } from '../base/scram-keys.ts';
import { type Account, type Binaries, findBinaries } from './binaries.ts';
import { Connection } from './client.ts';
import { sql } from './sql.ts';

export interface EmbeddedOptions {
  /** Folder for everything of this server; made if missing. */
  readonly dataDir: string;
  /** Programs; default: the newest major that is installed. */
  readonly binaries?: Binaries;
  /** Server settings, as on the command line (`wal_level: 'logical'`). Take effect at start, not on adoption. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Do not wait for the disk: for tests and samples only. */
  readonly throwaway?: boolean;
  /** A login costs one hash, not 4096, which some clients refuse (JDBC, lib/pq, pg8000): where thousands of sessions are opened. */
  readonly quickLogins?: boolean;
}

/** How a superuser connects to an embedded server. */
export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

const superuser = 'sluice';
const startTimeoutMs = 60_000;

/** A running server. `stop` ends it; leaving it running is fine, the next start adopts it. */
export class EmbeddedPostgres implements AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** Whether it was running already when we came. */
  readonly adopted: boolean;
  readonly #home: string;
  readonly #password: string;

  constructor(facts: {
    readonly port: number;
    readonly pid: number;
    readonly adopted: boolean;
    readonly home: string;
  }) {
    this.port = facts.port;
    this.pid = facts.pid;
    this.adopted = facts.adopted;
    this.#home = facts.home;
    this.#password = readPassword(facts.home);
  }

  /** How the superuser connects to a database of it. */
  config(database = 'postgres'): ServerConfig {
    return { host: '127.0.0.1', port: this.port, user: superuser, password: this.#password, database };
  }

  /** The same as a URL. Holds the password. */
  url(database = 'postgres'): string {
    return `postgres://${superuser}:${this.#password}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  /** Where the server writes its log. */
  get logFile(): string {
    return join(this.#home, 'server.log');
  }

  /**
   * Ends the server and waits for it: `fast` rolls back what runs and writes a checkpoint, `immediate` crashes it.
   * https://www.postgresql.org/docs/18/server-shutdown.html
   */
  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    signalProcess(this.pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    const deadline = Date.now() + 15_000;
    while (isAlive(this.pid)) {
      if (Date.now() > deadline) signalProcess(this.pid, 'SIGQUIT');
      await pause(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * Starts the server in `dataDir`, or adopts the one that already runs there. Safe to call from two processes at once.
 * @throws `internal` with the end of the server's log if it does not come up
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const binaries = options.binaries ?? findBinaries();
  const home = reachableHome(resolve(options.dataDir), binaries.account);
  await initialise(home, binaries, options);
  const deadline = Date.now() + startTimeoutMs;
  let lastError: unknown;
  while (Date.now() < deadline) {
    const running = await adopt(home, deadline);
    if (running !== undefined) return running;
    try {
      return await launch(home, binaries, options);
    } catch (error) {
      // Another process was faster (adopt it), the port was taken meanwhile (take another), or the crashed server's last
      // children still hold its memory (wait a moment).
      lastError = error;
      await pause(200);
    }
  }
  throw lastError;
}

// The account must be able to enter every folder above its data. Below a folder that it cannot enter (a root's home), the
// data goes to a place of the system, the same one at each start.
function reachableHome(dataDir: string, account: Account | undefined): string {
  if (account === undefined) {
    makeFolder(dataDir, 0o700);
    return dataDir;
  }
  makeFolder(dataDir, 0o711);
  const entered =
    spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', dataDir], { ...account, cwd: '/', env: {} }).status === 0;
  if (entered) {
    chownSync(dataDir, account.uid, account.gid);
    return dataDir;
  }
  const key = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  const elsewhere = join('/var/lib/sluice', key);
  makeFolder(dirname(elsewhere), 0o711);
  makeFolder(elsewhere, 0o700);
  chownSync(elsewhere, account.uid, account.gid);
  return elsewhere;
}

function clusterOf(home: string): string {
  return join(home, 'cluster');
}

function readPassword(home: string): string {
  return readFileSync(join(home, 'superuser.password'), 'utf8').trim();
}

// initdb works in a folder of its own that is renamed when it is whole: a kill in the middle leaves nothing half-made.
async function initialise(
  home: string,
  binaries: Binaries,
  { throwaway, quickLogins }: Pick<EmbeddedOptions, 'throwaway' | 'quickLogins'>,
): Promise<void> {
  const cluster = clusterOf(home);
  if (existsSync(join(cluster, 'PG_VERSION'))) {
    const major = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim();
    if (major === binaries.version.split('.')[0]) return;
    throw new SluiceError(
      'internal',
      `${cluster} was made by PostgreSQL ${major}, the programs here are ${binaries.version}`,
      {
        hint: 'Give another SLUICE_DATA_DIR, or dump and restore the catalog into SLUICE_CATALOG_URL.',
      },
    );
  }
  const passwordFile = join(home, 'superuser.password');
  if (!existsSync(passwordFile)) {
    writeFileSync(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
    if (binaries.account) chownSync(passwordFile, binaries.account.uid, binaries.account.gid);
  }
  const half = `${cluster}.${randomBytes(4).toString('hex')}`;
  const verifierFile = `${half}.verifier`;
  const verifier = await verifierOf(readPassword(home), quickLogins ? 1 : 4096);
  const args = [
    '-D',
    half,
    '-U',
    superuser,
    `--pwfile=${verifierFile}`,
    '-A',
    'scram-sha-256',
    '-E',
    'UTF8',
    '--locale=C',
  ];
  let done: Awaited<ReturnType<typeof output>>;
  try {
    writeFileSync(verifierFile, `${verifier}\n`, { mode: 0o600 });
    if (binaries.account) chownSync(verifierFile, binaries.account.uid, binaries.account.gid);
    done = await output(binaries.initdb, throwaway ? [...args, '-N'] : args, binaries.account);
  } finally {
    rmSync(verifierFile, { force: true });
  }
  if (done.code !== 0) {
    rmSync(half, { recursive: true, force: true });
    throw new SluiceError('internal', `initdb failed: ${done.text.slice(-2000)}`);
  }
  try {
    renameSync(half, cluster);
  } catch {
    rmSync(half, { recursive: true, force: true }); // another process was first
  }
}

// The server takes a verifier in a password's place. Ours is drawn by lot, and no easier to guess for being hashed once.
// https://www.postgresql.org/docs/18/catalog-pg-authid.html
async function verifierOf(password: string, iterations: number): Promise<string> {
  const salt = randomBytes(16);
  const { storedKey, serverKey } = await deriveScramKeys(password, salt, iterations);
  const [salted, stored, server] = [salt, storedKey, serverKey].map((bytes) => bytes.toString('base64'));
  return `SCRAM-SHA-256$${iterations}:${salted}$${stored}:${server}`;
}

function output(
  program: string,
  args: readonly string[],
  account: Account | undefined,
): Promise<{ code: number | null; text: string }> {
  return new Promise((done, fail) => {
    const child = spawn(program, args, {
      ...account,
      cwd: '/',
      env: serverEnvironment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    const add = (chunk: Buffer) => {
      text += chunk.toString();
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    child.on('error', fail);
    child.on('close', (code) => done({ code, text }));
  });
}

// Nothing of ours reaches the server: PG* variables and locales would change it.
const serverEnvironment = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

// A port that was free a moment ago may be somebody's by the time that the server takes it.
const launchAttempts = 3;

async function launch(home: string, binaries: Binaries, options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const logFile = join(home, 'server.log');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const child = run(port, { home, binaries, options, logFile });
    const failure = await started(child, home, logFile);
    if (failure === undefined) return new EmbeddedPostgres({ port, pid: child.pid!, adopted: false, home });
    if (attempt === launchAttempts) throw failure;
  }
}

interface Launch {
  readonly home: string;
  readonly binaries: Binaries;
  readonly options: EmbeddedOptions;
  readonly logFile: string;
}

function run(port: number, { home, binaries, options, logFile }: Launch): ChildProcess {
  const quick = options.throwaway ? { fsync: 'off', full_page_writes: 'off' } : {};
  const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '', ...quick, ...options.settings };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(binaries.postgres, ['-D', clusterOf(home), ...args], {
    ...binaries.account,
    cwd: '/',
    env: serverEnvironment,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  return child;
}

/** @returns undefined when it takes connections, or why it ended before. @throws `internal` if it does neither in time */
async function started(child: ChildProcess, home: string, logFile: string): Promise<SluiceError | undefined> {
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  const why = () => {
    const tail = existsSync(logFile) ? readFileSync(logFile, 'utf8').slice(-2000) : '';
    return new SluiceError('internal', `the embedded PostgreSQL did not start: ${failure?.message ?? tail}`);
  };
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const state = readPidFile(home);
    if (state?.pid === child.pid && state?.ready) return undefined;
    if (failure !== undefined || child.exitCode !== null || child.signalCode !== null) return why();
    if (Date.now() > deadline) throw why();
    await pause(10);
  }
}

interface PidFile {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

// Line by line: pid, data folder, start time, port, socket folder, address, memory key, status.
// https://www.postgresql.org/docs/18/storage-file-layout.html
function readPidFile(home: string): PidFile | undefined {
  try {
    const lines = readFileSync(join(clusterOf(home), 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
  } catch {
    return undefined;
  }
}

/** The server that already runs in that folder, if one does and it is ours. */
async function adopt(home: string, deadline: number): Promise<EmbeddedPostgres | undefined> {
  for (;;) {
    const state = readPidFile(home);
    if (state === undefined || !isAlive(state.pid)) return undefined;
    if (state.ready) {
      const found = new EmbeddedPostgres({ ...state, adopted: true, home });
      return (await isOurs(found, home)) ? found : undefined;
    }
    if (Date.now() > deadline) return undefined;
    await pause(20);
  }
}

// A process id may have been given to another program since: only a server that takes our password and works in our
// folder is ours.
async function isOurs(server: EmbeddedPostgres, home: string): Promise<boolean> {
  try {
    await using connection = await Connection.open(server.config());
    const row = await connection.one<{ dir: string }>(sql`select current_setting('data_directory') as dir`);
    return resolve(row.dir) === clusterOf(home);
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  // A child of ours that ended and was not yet reaped still takes signals.
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return process.platform !== 'linux';
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}

/** A TCP port of 127.0.0.1 that nobody uses now. */
export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Removes a stopped server's folder, wherever it was put. */
export function removeEmbedded(dataDir: string): void {
  const home = resolve(dataDir);
  rmSync(home, { recursive: true, force: true });
  const key = createHash('sha256').update(home).digest('hex').slice(0, 16);
  rmSync(join('/var/lib/sluice', key), { recursive: true, force: true });
}
