// Connects to a server through pg, which does TLS, SCRAM and SSH sockets for us, and gives the bare stream.
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { cancelQuery } from '../peers/connect.ts';
import type { ClientConfig } from '../pg/client.ts';
import { guardClient } from '../pg/guard.ts';
import { lendingSocket } from '../pg/lending.ts';
import { startupMessage } from '../wire/backend.ts';

export interface DialDeps {
  /** The peer's name; empty for the catalog. */
  readonly name: string;
  readonly config: ClientConfig;
  /** The client's startup parameters, without user and database. */
  readonly startup: ReadonlyMap<string, string>;
  /** Aborted: give up. */
  readonly signal: AbortSignal;
}

export interface Dialed {
  /** Logged in, idle and paused; nobody listens to its data. */
  readonly stream: Duplex;
  /** What the server has reported. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Asks the server, on a connection of its own, to stop what it does on this one. Never throws. */
  cancel(): Promise<void>;
}

/** The parts of pg's connection that it does not declare. */
interface RawConnection {
  stream: Duplex;
  startup: (config: unknown) => void;
  on(event: string, listener: (message: { parameterName: string; parameterValue: string }) => void): void;
}
interface RawClient {
  readonly connection: RawConnection;
  readonly user: string;
  readonly database: string;
  readonly processID: number;
  readonly secretKey: number;
}

const raw = (client: pg.Client): RawClient => client as unknown as RawClient;
const connectTimeoutMs = 15_000;
// What a server says up to its first ReadyForQuery is a few hundred bytes.
const mostLoginBytes = 1_000_000;

/** @throws `login_refused`, `unreachable`, `upstream`, `stopped` */
export async function dial(deps: DialDeps): Promise<Dialed> {
  if (deps.signal.aborted) throw new SluiceError('stopped', 'canceling statement due to user request');
  const { release, ...from } = ownSocket(deps.config);
  const client = new pg.Client({
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    ...deps.config,
    ...from,
  });
  guardClient(client, mostLoginBytes);
  // Told by the socket's end as well.
  client.on('error', () => {});
  const { connection, user, database } = raw(client);
  const parameters = new Map<string, string>();
  connection.startup = () => {
    // What the client did not say the server is not told either: it shows in pg_settings where a value came from.
    const own = new Map([['user', user], ['database', database], ...deps.startup]);
    connection.stream.write(startupMessage(own));
  };
  connection.on('parameterStatus', (message) => parameters.set(message.parameterName, message.parameterValue));
  const abort = () => connection.stream.destroy();
  deps.signal.addEventListener('abort', abort, { once: true });
  try {
    await client.connect();
  } catch (error) {
    connection.stream.destroy();
    throw openingError(error, deps);
  } finally {
    deps.signal.removeEventListener('abort', abort);
  }
  // From here on pg's parser must not see what the server says.
  connection.stream.removeAllListeners('data');
  connection.stream.pause();
  release(connection.stream);
  const { processID: processId, secretKey } = raw(client);
  return { stream: connection.stream, parameters, cancel: canceller(deps.config, { processId, secretKey }) };
}

// Outside of `dial`, so that it keeps nothing of pg's client alive.
function canceller(config: ClientConfig, key: { readonly processId: number; readonly secretKey: number }) {
  // A cancel that does not arrive changes nothing, as with any client.
  return () => cancelQuery(config, key).catch(() => {});
}

const endings = ['error', 'close', 'end'] as const;

/**
 * The socket for pg, and its release afterwards from what pg listens to: an idle session need not keep a whole client. Where TLS
 * is between, pg makes a socket of its own.
 */
function ownSocket({ ssl, stream }: ClientConfig) {
  let socket: Duplex | undefined;
  const before = new Set<unknown>();
  const make = () => {
    socket = stream?.() ?? lendingSocket();
    for (const event of endings) for (const each of socket.listeners(event)) before.add(each);
    return socket;
  };
  const release = (used: Duplex) => {
    if (used !== socket) return;
    for (const event of endings) {
      for (const each of used.listeners(event)) if (!before.has(each)) used.off(event, each as () => void);
    }
    // Told by `close`.
    used.on('error', () => {});
  };
  return { release, ...(stream === undefined && ssl ? {} : { stream: make }) };
}

function openingError(thrown: unknown, { name, config, signal }: DialDeps): SluiceError {
  if (signal.aborted) return new SluiceError('stopped', 'canceling statement due to user request', { cause: thrown });
  const error = toSluiceError(thrown);
  if (error.kind === 'upstream') return error;
  const whose = name === '' ? 'the catalog' : `peer "${name}"`;
  const kind = error.kind === 'internal' ? 'unreachable' : error.kind;
  return new SluiceError(kind, `cannot connect to ${whose} at ${config.host}:${config.port}: ${error.message}`, {
    detail: error.detail,
    hint: error.hint ?? (name === '' ? undefined : `Check it with VALIDATE PEER ${name}.`),
    cause: error,
  });
}
