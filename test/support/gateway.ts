// Sluice as its users run it: a process of its own with a catalog of its own, that a test may kill and start again.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { findBinaries } from '../../src/pg/binaries.ts';
import { removeEmbedded } from '../../src/pg/embedded.ts';
import { giveCluster } from './clusters.ts';
import { serverFolder } from './folder.ts';
import { guardProcess } from './guard.ts';
import { programCommand } from './program.ts';
import { until } from './wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ConnectOptions {
  readonly user?: string;
  readonly database?: string;
  readonly password?: string;
}

/** A gateway process. Disposing ends it and its embedded catalog, whatever state they are in. */
export interface Gateway extends AsyncDisposable {
  readonly port: number;
  readonly httpPort: number;
  readonly password: string;
  readonly dataDir: string;
  /** The running process's id. */
  readonly pid: number;
  /** Everything that it printed, of all its lives. */
  readonly output: string;
  /** A client; closed at dispose if not before. */
  connect(options?: ConnectOptions): Promise<pg.Client>;
  /** Says one statement (or several) on a kept connection and gives the last result's rows. */
  query<Row = Record<string, unknown>>(text: string): Promise<readonly Row[]>;
  /** Runs psql with this text as its script; stops at the first error. */
  psql(text: string, options?: ConnectOptions & { readonly args?: readonly string[] }): Promise<ProgramResult>;
  /** Sends the signal and waits until the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts the process again; returns when it takes connections. */
  start(): Promise<void>;
}

export interface GatewayOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** How to run it; default: as compiled for this run of tests, or from source. */
  readonly command?: readonly string[];
}

/** Starts a gateway with free ports and a temporary data folder, and waits until it takes connections. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const home = serverFolder('gateway');
  const gateway = new GatewayProcess({ home, port: await steadyPort(), httpPort: await steadyPort(), options });
  try {
    await giveCluster(join(gateway.dataDir, 'catalog'), { binaries: findBinaries(), quickLogins: false });
    await gateway.start();
  } catch (error) {
    await gateway[Symbol.asyncDispose]();
    throw error;
  }
  return gateway;
}

/** Runs a story about a gateway; when it fails, what the gateway said last stands in the error, since its folder is gone by then. */
export async function tellingLastWords<T>(gateway: Gateway, story: () => Promise<T>): Promise<T> {
  try {
    return await story();
  } catch (error) {
    const mirrors = await gateway.query('select * from sluice.mirrors').catch((reason: Error) => reason.message);
    const words = `${JSON.stringify(mirrors)}\n${gateway.output.slice(-3_000)}`;
    throw new Error(`${(error as Error).message}\nthe gateway’s last words:\n${words}`, { cause: error });
  }
}

class GatewayProcess implements Gateway {
  readonly port: number;
  readonly httpPort: number;
  readonly password = 'correct horse';
  readonly dataDir: string;
  readonly #home: string;
  readonly #options: GatewayOptions;
  readonly #clients = new Set<pg.Client>();
  #kept: pg.Client | undefined;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(facts: { home: string; port: number; httpPort: number; options: GatewayOptions }) {
    this.port = facts.port;
    this.httpPort = facts.httpPort;
    this.#home = facts.home;
    this.dataDir = join(facts.home, 'data');
    this.#options = facts.options;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get output(): string {
    return this.#output;
  }

  async start(): Promise<void> {
    const command = this.#options.command ?? [...programCommand(), 'start'];
    const child = spawn(command[0]!, command.slice(1), {
      cwd: root,
      env: { ...this.#environment(), ...this.#options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    if (child.pid !== undefined) guardProcess(child.pid, 'TERM');
    const add = (chunk: Buffer) => {
      this.#output += chunk.toString();
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    await until(
      'the gateway takes connections',
      async () => {
        if (hasEnded(child)) return true;
        const client = await this.connect();
        await this.#close(client);
        return true;
      },
      60_000,
    );
    if (hasEnded(child)) {
      // Its last words may still be in the pipe.
      if (!child.stdout.closed || !child.stderr.closed) await once(child, 'close');
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      throw new Error(`the gateway ended with ${how}: ${this.#output.slice(-3000)}`);
    }
  }

  #environment(): Record<string, string> {
    const { PATH = '', HOME = '', TMPDIR, SLUICE_CATCH_UP_BYTES } = process.env;
    return {
      PATH,
      HOME,
      ...(TMPDIR === undefined ? {} : { TMPDIR }),
      ...(SLUICE_CATCH_UP_BYTES === undefined ? {} : { SLUICE_CATCH_UP_BYTES }),
      SLUICE_HOST: '127.0.0.1',
      SLUICE_PORT: String(this.port),
      SLUICE_HTTP_PORT: String(this.httpPort),
      SLUICE_PASSWORD: this.password,
      SLUICE_DATA_DIR: this.dataDir,
      SLUICE_LOG_LEVEL: 'info',
    };
  }

  async connect(options: ConnectOptions = {}): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: this.port,
      user: options.user ?? 'anyone',
      password: options.password ?? this.password,
      database: options.database ?? 'sluice',
      connectionTimeoutMillis: 10_000,
    });
    client.on('error', () => {}); // a killed gateway ends its clients
    this.#clients.add(client);
    try {
      await client.connect();
    } catch (error) {
      this.#clients.delete(client);
      await client.end().catch(() => {});
      throw error;
    }
    return client;
  }

  async query<Row>(text: string): Promise<readonly Row[]> {
    this.#kept ??= await this.connect();
    try {
      const result: unknown = await this.#kept.query(text);
      return (Array.isArray(result) ? (result.at(-1) as { rows: Row[] }) : (result as { rows: Row[] })).rows;
    } catch (error) {
      // Only a server's answer leaves the connection usable.
      const code = (error as { code?: unknown }).code;
      if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('08') || code.startsWith('57P')) {
        const broken = this.#kept;
        this.#kept = undefined;
        await this.#close(broken);
      }
      throw error;
    }
  }

  async #close(client: pg.Client): Promise<void> {
    this.#clients.delete(client);
    const stream = (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream;
    const impatience = setTimeout(() => stream.destroy(), 1_000);
    await client.end().catch(() => {});
    clearTimeout(impatience);
  }

  psql(text: string, options: ConnectOptions & { readonly args?: readonly string[] } = {}): Promise<ProgramResult> {
    const { user = 'anyone', database = 'sluice', password = this.password, args = [] } = options;
    return runProgram('psql', {
      args: [
        '-X',
        '-w',
        '-v',
        'ON_ERROR_STOP=1',
        '-h',
        '127.0.0.1',
        '-p',
        String(this.port),
        '-U',
        user,
        '-d',
        database,
        ...args,
      ],
      env: { PGPASSWORD: password },
      input: text,
    });
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept !== undefined) await this.#close(kept);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#clients].map((client) => this.#close(client)));
    const impatience = setTimeout(() => this.#child?.kill('SIGKILL'), 15_000);
    await this.kill('SIGTERM');
    clearTimeout(impatience);
    await stopServersBelow(this.#home);
    for (const folder of existsSync(this.dataDir) ? readdirSync(this.dataDir) : []) {
      removeEmbedded(join(this.dataDir, folder));
    }
    rmSync(this.#home, { recursive: true, force: true });
  }
}

/**
 * A free port that is still free when a gateway starts again after it was killed: none of those that the system gives to
 * outgoing connections, which every other test makes.
 */
async function steadyPort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Ends every PostgreSQL whose data is below that folder; they outlive a gateway that was killed. */
export async function stopServersBelow(folder: string): Promise<void> {
  const pidFiles = existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('postmaster.pid'))
    : [];
  for (const file of pidFiles) {
    const pid = Number(readFileSync(join(folder, file), 'utf8').split('\n')[0]);
    if (!isAlive(pid)) continue;
    process.kill(pid, 'SIGQUIT');
    await until(`server ${pid} ends`, () => !isAlive(pid));
  }
}

/** Whether a process of that id runs (and is not merely waiting to be reaped). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Runs a program to its end, with only these variables beside PATH and HOME. */
export function runProgram(
  program: string,
  options: {
    readonly args: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly input?: string;
    readonly cwd?: string;
    /** After it the program is killed. */
    readonly timeoutMs?: number;
  },
): Promise<ProgramResult> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(program, options.args, {
    cwd: options.cwd ?? root,
    env: { PATH, HOME, LC_ALL: 'C.UTF-8', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: 'SIGKILL' }),
  });
  child.stdin.on('error', () => {}); // it may end before it has read everything
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    const text = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      text.stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      text.stderr += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...text }));
  });
}

/** Whether that program can be run here. */
export function isInstalled(program: string, args: readonly string[] = ['--version']): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** Text as an SQL literal for our own language, whose strings are PostgreSQL's. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** `CREATE PEER` for a database of a test. */
export function createPeer(
  name: string,
  at: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly database: string;
  },
): string {
  return `create peer ${name} from postgres with (host = ${quoted(at.host)}, port = ${at.port}, user = ${quoted(at.user)},
    password = ${quoted(at.password)}, database = ${quoted(at.database)});`;
}
