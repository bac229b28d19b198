// Connects to a peer: libpq's sslmodes with their second attempts, SSH, and errors that name the place and never a secret.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import pg from 'pg';
import { SluiceError } from '../base/errors.ts';
import type { PeerConfig } from '../mirror/peer.ts';
import { type ClientConfig, Connection } from '../pg/client.ts';
import { lendingSocket } from '../pg/lending.ts';
import type { SessionShelf } from './shelf.ts';
import { openTunnel, socketOver } from './ssh.ts';
import { isSocketFolder, tlsAttempts, tlsFailure, tlsName, tlsNotOffered, tlsOptions } from './tls.ts';

/** What a connection is for. */
export interface PeerUse {
  /** application_name; see applicationName() of mirror/work. */
  readonly application: string;
  readonly replication?: 'database' | undefined;
  /** The socket lends its bytes, where neither TLS nor SSH is between. */
  readonly lends?: boolean | undefined;
  /** Where one is taken from, if there is one, and put when it is closed. Only what runs plain statements may have it so. */
  readonly shelf?: SessionShelf | undefined;
  /** Where one is taken from, but not put again. */
  readonly from?: SessionShelf | undefined;
  /** How long an attempt may take; 10 s unless told, 20 s through SSH. */
  readonly timeoutMs?: number | undefined;
}

/** A connection with what was found on the way. */
export interface PeerLink {
  readonly connection: Connection;
  /** `TLSv1.3`, or null where the connection is not encrypted by TLS. */
  readonly tls: string | null;
  /** SHA256:… of the SSH host's key; null where no SSH host is between. */
  readonly sshFingerprint: string | null;
}

// Long enough for a far server, short enough for a person who waits: an SSH host is one more of them on the way.
const directTimeoutMs = 10_000;
const tunnelTimeoutMs = 20_000;
// Node gives each of a name's addresses only 250 ms unless told.
const addressTimeoutMs = 3_000;

/**
 * Settings for a pg client of one's own (pg-logical-replication, the raw relay); may be used for several connections.
 * For `allow` and `prefer` it logs in once to see which of the two it is. Not pinned, but for replication connections,
 * whose text output must not follow the role's settings.
 * @throws as connectPeer
 */
export async function peerClientConfig(peer: PeerConfig, use: PeerUse, signal?: AbortSignal): Promise<ClientConfig> {
  const [only, ...more] = tlsAttempts(peer);
  if (more.length === 0) return attemptConfig({ peer, use, tls: only }, {});
  const { replication: _none, lends: _neither, ...plain } = use;
  await using link = await openPeer(peer, plain, signal);
  return attemptConfig({ peer, use, tls: link.tls !== null }, {});
}

/**
 * Connects to a peer, with settings pinned.
 * @throws `login_refused`; `unreachable` (also what TLS and SSH refuse), within about 10 s; `too_many`; `upstream`; `stopped`
 */
export async function connectPeer(peer: PeerConfig, use: PeerUse, signal?: AbortSignal): Promise<Connection> {
  const { application, shelf, from } = use;
  const kept = await (shelf ?? from)?.take(peer, { application, comesBack: shelf !== undefined }, signal);
  return kept ?? (await openPeer(peer, use, signal)).connection;
}

/** Connections to both sides, made at the same time. Closing it closes both. @throws as connectPeer, of the source first */
export async function connectSides(
  sides: { readonly source: PeerConfig; readonly target: PeerConfig },
  use: PeerUse,
  signal?: AbortSignal,
): Promise<{ readonly source: Connection; readonly target: Connection } & AsyncDisposable> {
  const [source, target] = await Promise.allSettled([
    connectPeer(sides.source, use, signal),
    connectPeer(sides.target, use, signal),
  ]);
  if (source.status === 'fulfilled' && target.status === 'fulfilled') {
    const both = { source: source.value, target: target.value };
    const close = async () => void (await Promise.all([both.source.close(), both.target.close()]));
    return { ...both, [Symbol.asyncDispose]: close };
  }
  const opened = [source, target].filter((each) => each.status === 'fulfilled');
  await Promise.all(opened.map((each) => each.value.close()));
  throw source.status === 'rejected' ? source.reason : (target as PromiseRejectedResult).reason;
}

/** As connectPeer, and says how the way is secured. */
export async function openPeer(
  peer: PeerConfig,
  use: PeerUse,
  signal?: AbortSignal,
): Promise<PeerLink & AsyncDisposable> {
  const [first, second] = tlsAttempts(peer);
  try {
    return await attempt({ peer, use, tls: first }, signal);
  } catch (error) {
    if (second === undefined || !(error instanceof AttemptError) || !error.otherMayHelp) throw plainError(error);
    try {
      return await attempt({ peer, use, tls: second }, signal);
    } catch (again) {
      // The way back to TLS is not there: what the server said first is the answer.
      throw plainError(again instanceof AttemptError && again.notOffered ? error : again);
    }
  }
}

interface Attempt {
  readonly peer: PeerConfig;
  readonly use: PeerUse;
  readonly tls: boolean;
}

// What one attempt saw on its way; filled by the socket's listeners.
interface Seen {
  refusedTls?: boolean;
  fingerprint?: string;
}

async function attempt(what: Attempt, signal?: AbortSignal): Promise<PeerLink & AsyncDisposable> {
  const seen: Seen = {};
  try {
    const connection = await Connection.open(attemptConfig(what, seen), signal, {
      server: serverName(what.peer),
      keeper: what.use.shelf?.keeper(what.peer),
    });
    const stream = rawStream(connection);
    return {
      connection,
      tls: stream instanceof TLSSocket ? stream.getProtocol() : null,
      sshFingerprint: seen.fingerprint ?? null,
      [Symbol.asyncDispose]: () => connection.close(),
    };
  } catch (error) {
    throw attemptError(error, what, seen);
  }
}

function rawStream(connection: Connection): Duplex {
  return (connection.client as unknown as { readonly connection: { readonly stream: Duplex } }).connection.stream;
}

// As PostgreSQL's own subscribers do. https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
const replicationOptions = [
  'datestyle=ISO,MDY',
  'intervalstyle=postgres',
  'timezone=UTC',
  'bytea_output=hex',
  'extra_float_digits=3',
  'lc_monetary=C',
  'xmloption=content',
  'search_path=""',
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_in_transaction_session_timeout=0',
  'idle_session_timeout=0',
]
  .map((setting) => `-c ${setting}`)
  .join(' ');

function attemptConfig({ peer, use, tls }: Attempt, seen: Seen): ClientConfig {
  return {
    // pg gives this name to TLS; where to connect to is the stream's own affair.
    host: tlsName(peer),
    port: peer.port,
    user: peer.user,
    database: peer.database,
    // Without a password pg would look into our environment and home folder for one.
    password: peer.password !== undefined && peer.password !== '' ? peer.password : () => noPassword(peer),
    application_name: use.application,
    ssl: tls ? tlsOptions(peer) : false,
    keepAlive: true,
    connectionTimeoutMillis: use.timeoutMs ?? (peer.ssh === undefined ? directTimeoutMs : tunnelTimeoutMs),
    stream: () => peerSocket({ peer, use, tls }, seen),
    ...(use.replication === undefined ? {} : { replication: use.replication, options: replicationOptions }),
  };
}

function noPassword(peer: PeerConfig): never {
  throw new SluiceError('login_refused', `${place(peer)} asks for a password and the peer has none`, {
    hint: "Set it: ALTER PEER … SET (password = '…').",
  });
}

function peerSocket({ peer, use, tls }: Attempt, seen: Seen): Duplex {
  const lends = use.lends === true && !tls;
  const socket = peer.ssh === undefined ? directSocket(peer, lends) : tunnelSocket(peer, peer.ssh, seen);
  if (tls) {
    // pg says that TLS was refused in words only; the answer to SSLRequest is one byte, N.
    socket.once('data', (answer: Buffer) => {
      seen.refusedTls = answer[0] === 0x4e;
    });
  }
  return socket;
}

function directSocket(peer: PeerConfig, lends: boolean): Socket {
  const socket = lends ? lendingSocket() : new Socket();
  const connect = socket.connect.bind(socket);
  const to = isSocketFolder(peer.host)
    ? { path: `${peer.host}/.s.PGSQL.${peer.port}` }
    : { host: peer.host, port: peer.port, autoSelectFamilyAttemptTimeout: addressTimeoutMs };
  return Object.assign(socket, { connect: () => connect(to) });
}

function tunnelSocket(peer: PeerConfig, ssh: NonNullable<PeerConfig['ssh']>, seen: Seen): Duplex {
  const onFingerprint = (text: string) => {
    seen.fingerprint = text;
  };
  return socketOver((signal) => openTunnel({ ssh, to: peer, onFingerprint }, signal));
}

/** What errors of a peer's connections are said to come from. */
export function serverName(peer: PeerConfig): string {
  return `${place(peer)}, database ${peer.database}`;
}

function place(peer: PeerConfig): string {
  if (isSocketFolder(peer.host)) return `${peer.host}/.s.PGSQL.${peer.port}`;
  return `${peer.host}:${peer.port}`;
}

/** Why an attempt failed, and whether the other one (with or without TLS) may go better. */
class AttemptError extends Error {
  readonly error: SluiceError;
  readonly notOffered: boolean;
  readonly otherMayHelp: boolean;

  constructor(error: SluiceError, facts: { readonly notOffered: boolean; readonly otherMayHelp: boolean }) {
    super(error.message, { cause: error });
    this.error = error;
    this.notOffered = facts.notOffered;
    this.otherMayHelp = facts.otherMayHelp;
  }
}

function plainError(error: unknown): unknown {
  return error instanceof AttemptError ? error.error : error;
}

function attemptError(error: unknown, what: Attempt, seen: Seen): unknown {
  if (!(error instanceof SluiceError) || error.kind === 'stopped' || error.kind === 'invalid_option') return error;
  const { peer } = what;
  if (seen.refusedTls === true) {
    return new AttemptError(tlsNotOffered(peer), { notOffered: true, otherMayHelp: true });
  }
  const code = causeCode(error);
  const failure = what.tls ? tlsFailure(code ?? '', peer) : undefined;
  if (failure !== undefined) {
    const known = new SluiceError('unreachable', `${place(peer)}: ${failure.message}`, {
      hint: failure.hint,
      cause: error,
    });
    return new AttemptError(known, { notOffered: false, otherMayHelp: true });
  }
  // 28000 is pg_hba.conf, which may know a line for the other way. A wrong password (28P01) is never said twice.
  return new AttemptError(describe(error, what, code), {
    notOffered: false,
    otherMayHelp: error.kind === 'login_refused' && error.sqlstate === '28000',
  });
}

function causeCode(error: SluiceError): string | undefined {
  const { cause } = error;
  if (cause instanceof SluiceError) return causeCode(cause);
  return typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : undefined;
}

function isSocketError(error: SluiceError): boolean {
  return typeof error.cause === 'object' && error.cause !== null && 'syscall' in error.cause;
}

function describe(error: SluiceError, { peer, use }: Attempt, code: string | undefined): SluiceError {
  // Errors of the SSH way and of ours name their place already.
  if (error.hint !== undefined && error.fields === undefined) return error;
  const details = { detail: error.detail, cause: error };
  if (error.kind === 'login_refused') {
    return new SluiceError('login_refused', `${place(peer)} refuses the login: ${error.message}`, {
      ...details,
      sqlstate: error.sqlstate,
      hint: error.sqlstate === '28P01' ? 'Look at user and password of the peer.' : "Look at the server's pg_hba.conf.",
    });
  }
  if (error.kind === 'upstream' && !isSocketError(error)) {
    if (error.sqlstate === '53300' && use.replication !== undefined) {
      return new SluiceError('too_many', `${place(peer)} has no free walsender: ${error.message}`, {
        ...details,
        sqlstate: error.sqlstate,
        hint: 'Raise max_wal_senders (it takes a restart), or end a connection of pg_stat_replication.',
      });
    }
    if (error.sqlstate === '42501' && use.replication !== undefined) {
      return new SluiceError('forbidden', `${place(peer)} does not let role "${peer.user}" replicate`, {
        ...details,
        hint: 'ALTER ROLE … REPLICATION (on RDS: GRANT rds_replication TO …).',
      });
    }
    return new SluiceError('upstream', `${place(peer)}: ${error.message}`, { ...details, fields: error.fields });
  }
  return new SluiceError('unreachable', `cannot connect to ${place(peer)}: ${socketWords(code)}`, {
    ...details,
    hint: 'Look at host and port, whether the server listens there, and whether a firewall stands between.',
  });
}

const socketText: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name cannot be looked up now',
  EHOSTUNREACH: 'no way to the host',
  ENETUNREACH: 'no way to the network',
  ETIMEDOUT: 'no answer',
  ECONNRESET: 'it broke the connection off',
  EPIPE: 'it broke the connection off',
  ENOENT: 'no such socket',
  EACCES: 'not allowed by this machine',
  EPERM: 'not allowed by this machine',
};

// pg's time-out and a goodbye without an error carry no code.
function socketWords(code: string | undefined): string {
  return code === undefined ? 'no answer, or it broke the connection off' : (socketText[code] ?? code);
}

/** What a server gives a session to cancel its query with (BackendKeyData). */
export interface CancelKey {
  readonly processId: number;
  readonly secretKey: number;
}

/**
 * Asks a server to cancel a session's query, over the same way (TLS, SSH) as the session itself. Resolves when the
 * server has taken it, which it says only by closing: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export function cancelQuery(config: ClientConfig, key: CancelKey): Promise<void> {
  return new Promise((resolve, reject) => {
    const { ssl, stream } = config;
    const connection = new pg.Connection({ ssl, stream } as pg.ConnectionConfig) as unknown as CancelConnection;
    const impatience = setTimeout(() => connection.stream.destroy(), config.connectionTimeoutMillis ?? directTimeoutMs);
    let sent = false;
    const send = () => {
      sent = true;
      connection.cancel(key.processId, key.secretKey);
    };
    connection.on('connect', () => (ssl ? connection.requestSsl() : send()));
    connection.on('sslconnect', send);
    connection.on('error', (error: Error) => {
      clearTimeout(impatience);
      connection.stream.destroy();
      // A server that has read the request breaks the connection off, which may look like an error.
      if (sent) return resolve();
      reject(new SluiceError('unreachable', 'the cancel request did not reach the server', { cause: error }));
    });
    connection.on('end', () => {
      clearTimeout(impatience);
      resolve();
    });
    connection.connect(config.port ?? 5432, config.host ?? '');
  });
}

// pg's Connection as it is; its published types leave these out.
interface CancelConnection {
  readonly stream: Duplex;
  on(event: string, listener: (error: Error) => void): void;
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
}
