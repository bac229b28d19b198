// The clients that are let loose on Sluice: how each is run, what it needs, and which steps it has no words for.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isInstalled } from '../support/gateway.ts';
import type { Step } from './scenario.ts';

export interface ClientKind {
  readonly name: string;
  /** Program and arguments. */
  readonly command: readonly string[];
  /** What is missing here; undefined if it can run. */
  readonly lacks: string | undefined;
  /** Steps that this client has no words for, and why. */
  readonly without?: Readonly<Partial<Record<Step | 'tags', string>>>;
  /**
   * Also run in a session of the catalog, with the names of the peer's tables (`peer.schema.table`); but for these steps,
   * which ask the catalog.
   */
  readonly byName?: readonly string[];
  /** Also run over TLS. */
  readonly tls?: boolean;
}

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const python = '/usr/bin/python3'; // Debian's, which has Debian's python3-… packages

/** Where `.ci/clients` puts what it downloads and builds. */
export const cache: string =
  process.env.SLUICE_CLIENTS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sluice-clients');

/** What is built from a source has the source's hash in its name, so that nothing stale is run. */
function built(source: string): string {
  const hash = createHash('sha256')
    .update(readFileSync(here(source)))
    .digest('hex')
    .slice(0, 16);
  return join(cache, 'built', `${source}-${hash}`);
}

/** What is not there, of a path, a program or a program with arguments that fail if something lacks. */
function lacks(what: string, ...needs: readonly (string | readonly string[])[]): string | undefined {
  const there = needs.every((need) =>
    typeof need === 'string' ? existsSync(need) : isInstalled(need[0]!, need.slice(1)),
  );
  return there ? undefined : what;
}

const noTag = 'it shows no command tags';
const values = 'it puts values into the text';
const simple = 'it has no COPY';

function pythonClient(name: string, module: string, more: Partial<ClientKind> = {}): ClientKind {
  const need = [python, '-c', `import ${module}`];
  return { name, command: [python, here(`${name}.py`)], lacks: lacks(`Python's ${module}`, need), ...more };
}

function nodeClient(name: string, more: Partial<ClientKind> = {}): ClientKind {
  const need = join(cache, 'npm/installed');
  return { name, command: [process.execPath, here(`${name}.mjs`)], lacks: lacks('its npm package', need), ...more };
}

function builtClient(name: string, source: string, more: Partial<ClientKind> = {}): ClientKind {
  return { name, command: [built(source)], lacks: lacks('not built: say .ci/clients', built(source)), ...more };
}

// A JVM that is started for seconds: nothing that pays later.
const java = ['java', '-Xshare:auto', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp'];
const jar = '/usr/share/java/postgresql.jar';

export const clients: readonly ClientKind[] = [
  // The slowest first, that the last to end do not end alone.
  {
    name: 'jdbc',
    command: [...java, `${jar}:${built('jdbc.java')}`, 'jdbc'],
    lacks: lacks('a JDK and its driver', ['java', '-version'], jar, built('jdbc.java')),
    without: { tags: noTag },
    tls: true,
  },
  pythonClient('psycopg', 'psycopg', { byName: [] }),
  builtClient('libpq', 'libpq.c', { byName: ['login', 'large object'], tls: true }),
  pythonClient('psycopg2', 'psycopg2'),
  pythonClient('asyncpg', 'asyncpg'),
  pythonClient('sqlalchemy', 'sqlalchemy, psycopg2', {
    without: { tags: noTag, 'copy out': simple, 'copy error': simple, notice: values, notify: values },
  }),
  {
    name: 'pg8000',
    command: [python, here('pg8000.py')],
    lacks: lacks("Python's pg8000", [python, '--version'], join(cache, 'python/installed')),
    without: { tags: noTag, multi: 'it prepares every statement' },
    byName: [],
  },
  pythonClient('pygresql', 'pg', { without: { tags: noTag } }),
  pythonClient('odbc', 'pyodbc', {
    lacks: lacks('pyodbc and odbc-postgresql', [
      python,
      '-c',
      'import pyodbc; assert "PostgreSQL Unicode" in pyodbc.drivers()',
    ]),
    without: {
      tags: noTag,
      'copy in': simple,
      'copy out': simple,
      'copy error': simple,
      notice: values,
      notify: values,
    },
  }),
  nodeClient('node-postgres', { without: { tags: 'it shows only their first words' }, byName: [] }),
  nodeClient('postgres.js', { without: { 'copy error': 'its stream never ends then' }, byName: [] }),
  {
    name: 'ruby-pg',
    command: ['ruby', here('ruby-pg.rb')],
    lacks: lacks("Ruby's pg", ['ruby', '-e', 'require "pg"']),
    byName: ['large object'],
  },
  {
    name: 'php-pdo',
    command: ['php', here('pdo.php')],
    lacks: lacks("PHP's pdo_pgsql", ['php', '-r', 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);']),
    without: { tags: noTag, notice: 'it does not show them' },
  },
  {
    name: 'php-pgsql',
    command: ['php', here('pgsql.php')],
    lacks: lacks("PHP's pgsql", ['php', '-r', 'exit(extension_loaded("pgsql") ? 0 : 1);']),
  },
  {
    name: 'perl-dbd-pg',
    command: ['perl', here('dbd-pg.pl')],
    lacks: lacks("Perl's DBD::Pg", ['perl', '-MDBD::Pg', '-e', '1']),
    without: { tags: noTag },
  },
  builtClient('pgx', 'pgx.go', { byName: [] }),
  builtClient('tokio-postgres', 'tokio-postgres.rs', { without: { tags: noTag } }),
  builtClient('lib-pq', 'lib-pq.go', { without: { tags: noTag, 'copy out': 'it has only COPY … FROM' } }),
  {
    name: 'pgtcl',
    command: ['tclsh', here('pgtcl.tcl')],
    lacks: lacks("Tcl's Pgtcl", ['sh', '-c', 'echo "package require Pgtcl" | tclsh']),
    without: { tags: noTag, 'copy out': simple, 'copy error': simple, notice: 'it does not show them' },
  },
  {
    name: 'luasql',
    command: ['lua5.1', here('luasql.lua')],
    lacks: lacks('LuaSQL', ['lua5.1', '-e', 'require "luasql.postgres"']),
    without: {
      tags: noTag,
      cancel: 'it cannot',
      'copy in': simple,
      'copy out': simple,
      'copy error': simple,
      notice: 'it does not show them',
      notify: 'it does not show them',
    },
  },
  {
    name: 'psql',
    command: ['sh', here('psql.sh')],
    lacks: lacks('psql', ['psql', '--version'], ['stdbuf', '--version']),
  },
];
