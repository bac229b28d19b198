// A gateway of a test's own, with databases as catalog and peers and a hand-made dispatcher; and the clients that are let loose on it.
import { execFile, spawnSync } from 'node:child_process';
import { connect as connectSocket, type Socket } from 'node:net';
import pg from 'pg';
import { SluiceError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { pause } from '../../src/base/retry.ts';
import type { CommandContext, CommandResult } from '../../src/commands/result.ts';
import { runGateway } from '../../src/gateway/gateway.ts';
import type { ClientConfig } from '../../src/pg/client.ts';
import { commandTag, type Statement } from '../../src/sql/statement.ts';
import type { ListenerLimits } from '../../src/wire/house.ts';
import { createVerifier } from '../../src/wire/scram.ts';
import type { TestDatabase } from './servers.ts';

export const gatewayPassword = 'sesam öffne dich';

export interface TestGateway extends AsyncDisposable {
  readonly port: number;
  /** Aborted when it stops. */
  stop(): Promise<void>;
  /** Connection settings for pg. */
  config(database?: string): pg.ClientConfig;
  client(database?: string): Promise<pg.Client>;
  /** Statements of our language that were run. */
  readonly said: Statement[];
}

export interface TestGatewayOptions {
  readonly catalog: TestDatabase;
  readonly peers?: Readonly<Record<string, TestDatabase>>;
  /** How to reach one of them, where it is not as for anybody. */
  readonly ways?: Readonly<Record<string, ClientConfig>>;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly limits?: Partial<ListenerLimits>;
  readonly run?: (statement: Statement, context: CommandContext) => Promise<CommandResult>;
  /** Everybody who logs in is a READ ONLY user. */
  readonly readOnly?: boolean;
}

/** Starts it on a free port; it stops with the test. */
export async function testGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const stopping = new AbortController();
  const said: Statement[] = [];
  const address = ({ host, port, user, password, database }: TestDatabase) => ({
    host,
    port,
    user,
    password,
    database,
  });
  const peers = options.peers ?? {};
  const open: pg.Client[] = [];
  const verifier = options.readOnly ? await createVerifier(gatewayPassword) : undefined;
  let running: Promise<void> = Promise.resolve();
  const port = await new Promise<number>((resolve, reject) => {
    running = runGateway(
      {
        config: { host: '127.0.0.1', port: 0, password: gatewayPassword, tls: options.tls, limits: options.limits },
        log: silentLog,
        run: async (statement, context) => {
          said.push(statement);
          return (options.run ?? answer)(statement, context);
        },
        catalog: async () => address(options.catalog),
        peer: async (name) =>
          Object.hasOwn(peers, name)
            ? { config: options.ways?.[name] ?? address(peers[name]!), version: { id: name, changed: '' } }
            : undefined,
        peerExists: async (name) => Object.hasOwn(peers, name),
        user: async () => (verifier === undefined ? undefined : { verifier, access: 'read_only' }),
        peerVersion: () => undefined,
        onNames: () => () => {},
        onListening: (bound) => resolve(bound.port),
      },
      stopping.signal,
    );
    running.catch(reject);
  });
  const config = (database = 'sluice') => ({
    host: '127.0.0.1',
    port,
    user: 'whoever',
    password: gatewayPassword,
    database,
  });
  return {
    port,
    said,
    config,
    client: async (database) => {
      const client = new pg.Client(config(database));
      client.on('error', () => {});
      await client.connect();
      open.push(client);
      return client;
    },
    async stop() {
      stopping.abort();
      await running;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(open.map((client) => client.end().catch(() => {})));
      stopping.abort();
      await running;
    },
  };
}

const mirrors = {
  tag: 'SHOW',
  notices: [],
  columns: [
    { name: 'name', type: 'text' },
    { name: 'rows', type: 'int8' },
  ],
  rows: [
    ['first', '1'],
    ['second', null],
    ['third', '9007199254740993'],
  ],
} as const satisfies CommandResult;

/** SHOW MIRRORS answers three rows, PAUSE MIRROR waits for a cancel, CREATE PEER knows what it refuses, the rest gives its tag. */
async function answer(statement: Statement, context: CommandContext): Promise<CommandResult> {
  switch (statement.kind) {
    case 'show_mirrors':
      return mirrors;
    case 'pause_mirror':
      await pause(60_000, context.signal);
      return { tag: 'PAUSE MIRROR', notices: [] };
    case 'create_peer': {
      const bad = statement.options.find(({ name }) => name === 'colour');
      if (bad !== undefined) {
        throw new SluiceError('invalid_option', 'unknown peer option "colour"', {
          hint: 'Known options: host.',
          position: bad.namePosition,
        });
      }
      return { tag: 'CREATE PEER', notices: [`peer "${statement.name}" is made up`] };
    }
    default:
      return { tag: commandTag(statement), notices: [] };
  }
}

const found = (program: string, args: readonly string[]) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;
export const hasPsql = found('psql', ['--version']);
export const hasOpenssl = found('openssl', ['version']);
/** A Python that has psycopg2. */
export const python = ['/usr/bin/python3', 'python3'].find((each) => found(each, ['-c', 'import psycopg2']));

export interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function runProgram(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  input?: string | Buffer,
): Promise<Output> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { env: { ...process.env, ...env }, maxBuffer: 1 << 28 },
      (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err });
      },
    );
    child.stdin?.end(input ?? '');
  });
}

/** Runs psql (without a .psqlrc) on the gateway; each script is one -c. */
export async function psql(
  gateway: TestGateway,
  scripts: readonly string[],
  options: { readonly database?: string; readonly input?: string | Buffer; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Output> {
  const args = ['-X', '-v', 'ON_ERROR_STOP=1', ...scripts.flatMap((script) => ['-c', script])];
  const target = {
    PGHOST: '127.0.0.1',
    PGPORT: String(gateway.port),
    PGUSER: 'anyone',
    PGPASSWORD: gatewayPassword,
    PGDATABASE: options.database ?? 'sluice',
    PGCLIENTENCODING: 'UTF8',
    ...options.env,
  };
  return runProgram('psql', args, target, options.input);
}

/** Runs a Python script that finds its connection string in `dsn`. */
export async function runPython(gateway: TestGateway, script: string, database = 'sluice'): Promise<Output> {
  const dsn = `host=127.0.0.1 port=${gateway.port} user=anyone dbname=${database}`;
  const whole = `import os, psycopg2\ndsn = os.environ['DSN']\n${script}`;
  return runProgram(python!, ['-c', whole], { DSN: dsn, PGPASSWORD: gatewayPassword });
}

/** A bare socket that speaks whatever bytes a test likes. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  closed = false;

  constructor(port: number) {
    this.socket = connectSocket({ host: '127.0.0.1', port });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('error', () => {});
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** A request before the startup message, as for TLS: eight bytes. */
export function requestOf(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(8);
  bytes.writeUInt32BE(number, 4);
  return bytes;
}

/** What a client is told that is not let in. */
export async function refusal(config: pg.ClientConfig): Promise<pg.DatabaseError> {
  const client = new pg.Client(config);
  client.on('error', () => {});
  return client.connect().then(
    async () => {
      await client.end();
      throw new Error('it was let in');
    },
    (error: pg.DatabaseError) => error,
  );
}
