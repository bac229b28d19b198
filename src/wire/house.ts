// What all connections of one listener share: its settings, its limits, its cancel keys.
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import type { SluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Crowd } from './crowd.ts';
import type { Identity, Login } from './handshake.ts';
import type { Inbox, Outbox } from './inbox.ts';
import type { Backend } from './session.ts';

export interface ListenerLimits {
  /** Clients at a time that have logged in; those who are about to have room of their own (see crowd). */
  readonly connections: number;
  /** From connecting to the end of the login. */
  readonly loginTimeoutMs: number;
  /** Longest message after login. */
  readonly messageBytes: number;
  /** How long a client may say nothing outside a transaction; 0: as long as it likes. */
  readonly idleTimeoutMs: number;
  /** The same inside a transaction. */
  readonly idleInTransactionTimeoutMs: number;
  /** How long a stop waits for clients that are being served. */
  readonly drainMs: number;
}

export const defaultLimits: ListenerLimits = {
  connections: 5_000,
  loginTimeoutMs: 60_000,
  messageBytes: 0x3fffffff,
  idleTimeoutMs: 0,
  idleInTransactionTimeoutMs: 0,
  drainMs: 5_000,
};

/** A client that has logged in, as a session's maker sees it. */
export interface Client {
  readonly login: Login;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  /** Address and port. */
  readonly remote: string;
  /** Aborted when the client is gone. */
  readonly gone: AbortSignal;
  /** Ends the connection, whatever is being done; the client is told why. */
  end(reason: SluiceError): void;
}

/** A session that a listener serves. */
export interface ServedSession {
  readonly backend: Backend;
  /** What the client is told at the start. */
  readonly parameters: ReadonlyMap<string, string>;
  /** A row is half sent: nothing else may be said. */
  readonly insideRow: boolean;
  /** Stops what is being done; done when whoever does it has been told. Never throws. */
  cancel(): Promise<void>;
  /** Gives everything back at once, whatever is being done. */
  abandon(): void;
}

export interface ListenerDeps {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** PEM. With it, logins from elsewhere than this machine must use TLS. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly limits: ListenerLimits;
  readonly log: Log;
  /** Who the user of that name is. An error is told to the client as FATAL. */
  readonly identify: (user: string) => Promise<Identity>;
  readonly onListening: (address: { readonly host: string; readonly port: number }) => void;
  /** Makes the session of a client that has logged in. Its errors are told to the client as FATAL. */
  readonly open: (client: Client) => Promise<ServedSession>;
}

/** What all connections share. */
export interface House {
  readonly deps: ListenerDeps;
  readonly tls: { readonly context: SecureContext; readonly channelBinding: Buffer | undefined } | undefined;
  readonly keys: CancelKeys;
  /** Aborted: finish what you do. */
  readonly stopping: AbortSignal;
  readonly crowd: Crowd;
}

/** The keys by which a second connection may stop what the first one does. */
export class CancelKeys {
  readonly #sessions = new Map<number, { readonly secret: Buffer; readonly cancel: () => Promise<void> }>();

  /** Gives a new key; `release` when the session ends. */
  issue(cancel: () => Promise<void>): { readonly pid: number; readonly secret: Buffer; release(): void } {
    let pid = randomInt(1, 0x7fffffff);
    while (this.#sessions.has(pid)) pid = randomInt(1, 0x7fffffff);
    const secret = randomBytes(4);
    this.#sessions.set(pid, { secret, cancel });
    return { pid, secret, release: () => void this.#sessions.delete(pid) };
  }

  /** Cancels if the key is right; says nothing either way. */
  async cancel(pid: number, secret: Buffer): Promise<void> {
    const session = this.#sessions.get(pid);
    if (session === undefined || secret.length !== session.secret.length) return;
    if (timingSafeEqual(secret, session.secret)) await session.cancel();
  }
}
