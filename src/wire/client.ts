// One client's socket from its first byte to its last: login, then the session, then goodbye.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { backendKeyData, parameterStatus, readyForQuery } from './backend.ts';
import { errorResponse, shutdownError } from './failure.ts';
import { FrameReader, frontend } from './frames.ts';
import {
  advance,
  beginHandshake,
  type HandshakePolicy,
  type HandshakeState,
  identified,
  type Login,
  type NamedState,
} from './handshake.ts';
import type { House, ServedSession } from './house.ts';
import { Inbox } from './inbox.ts';
import { Outlet } from './outlet.ts';
import { converse } from './session.ts';

// More than this and we stop reading what the client says.
const mostWaitingIn = 1_000_000;
// How long a client may take to close its side when it has been told everything.
const goodbyeMs = 200;
const slowGoodbyeMs = 30_000;
const tlsHandshakeByte = 0x16;

/** Closes itself; `closed` resolves then. */
export class ClientConnection {
  readonly closed: Promise<void>;
  readonly #house: House;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #inbox: Inbox;
  readonly #gone = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #onData = (chunk: Buffer) => this.#receive(chunk);
  readonly #outbox: Outlet;
  #stream: Socket;
  #state: HandshakeState | undefined = beginHandshake();
  #session: ServedSession | undefined;
  #leaving = false;

  constructor(socket: Socket, house: House) {
    this.#house = house;
    this.#socket = socket;
    this.#stream = socket;
    this.#reader = new FrameReader(house.deps.limits.messageBytes);
    this.#inbox = new Inbox(() => {
      if (this.#inbox.bytes < mostWaitingIn) this.#stream.resume();
    });
    this.#outbox = new Outlet(socket, () => this.#hangUp());
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('close', () => this.#vanished());
    this.#timer = setTimeout(() => this.#late(), house.deps.limits.loginTimeoutMs);
    this.#attach(socket);
  }

  /** Ends the connection as soon as nothing is being done for it. */
  finish(): void {
    if (this.#session === undefined) this.#stream.destroy();
    else this.#inbox.wake();
  }

  /** Makes room for others before the login is done. */
  turnAway(): void {
    this.#refuse(tooMany());
    setTimeout(() => this.#socket.destroy(), goodbyeMs).unref();
  }

  /** Ends the connection now. */
  breakOff(reason: SluiceError = shutdownError()): void {
    // In the middle of a row nothing can be said, and to one who does not read nothing need be.
    const silent = this.#session?.insideRow === true || this.#stream.writableNeedDrain;
    this.#session?.abandon();
    if (!silent) this.#outbox.send(errorResponse(reason, 'FATAL'));
    this.#inbox.clear();
    this.#hangUp();
    setTimeout(() => this.#socket.destroy(), goodbyeMs).unref();
  }

  #attach(stream: Socket): void {
    this.#stream = stream;
    this.#outbox.stream = stream;
    stream.on('data', this.#onData);
    stream.on('end', () => this.#half());
    stream.on('error', () => this.#socket.destroy());
  }

  #receive(chunk: Buffer): void {
    if (this.#leaving) return;
    if (this.#isDirectTls(chunk)) {
      this.#startTls(chunk);
      return;
    }
    this.#reader.push(chunk);
    try {
      this.#read();
    } catch (error) {
      if (this.#state !== undefined) this.#refuse(error);
      else {
        // What was asked before is answered first.
        this.#leaving = true;
        this.#inbox.fail(toSluiceError(error));
      }
    }
  }

  #read(): void {
    while (!this.#leaving) {
      const frame = this.#reader.next();
      if (frame === undefined) break;
      if (this.#state !== undefined && frame.kind === 'message') {
        if (this.#handshake(this.#state, frame)) return;
      } else {
        this.#inbox.push(frame);
        if (frame.kind === 'message' && frame.type === frontend.terminate) this.#leaving = true;
      }
    }
    if (this.#inbox.bytes > mostWaitingIn) this.#stream.pause();
  }

  /** @returns whether reading this stream is over for now */
  #handshake(state: HandshakeState, frame: { readonly type: number; readonly body: Buffer }): boolean {
    const step = advance(state, frame, this.#policy());
    switch (step.action) {
      case 'go_on':
        this.#state = step.state;
        if (step.state.at !== 'start') this.#reader.phase = 'password';
        for (const reply of step.replies) this.#outbox.send(reply);
        return false;
      case 'tls':
        // Bytes that came before encryption must not be read as if they were encrypted (CVE-2021-23214).
        if (this.#reader.buffered > 0) throw new SluiceError('protocol', 'received unencrypted data after SSL request');
        this.#state = step.state;
        for (const reply of step.replies) this.#socket.write(reply);
        this.#startTls();
        return true;
      case 'identify':
        this.#state = step.state;
        void this.#identify(step.state, step.user);
        return true;
      case 'cancel':
        // Clients wait for the end of this connection, and then take the cancel as done: it must not hit what they say next.
        this.#leaving = true;
        void this.#house.keys.cancel(step.pid, step.secret).then(() => this.#hangUp());
        return true;
      case 'close':
        this.#hangUp();
        return true;
      case 'welcome':
        this.#state = undefined;
        clearTimeout(this.#timer);
        this.#reader.phase = 'session';
        for (const reply of step.replies) this.#outbox.send(reply);
        void this.#serve(step.login);
        return false;
      default:
        return step satisfies never;
    }
  }

  // Reads nothing meanwhile: what comes waits, as far as the socket has room for it.
  async #identify(state: NamedState, user: string): Promise<void> {
    const stream = this.#stream;
    stream.pause();
    try {
      const identity = await this.#house.deps.identify(user);
      if (this.#leaving || stream !== this.#stream) return;
      const step = identified(state, identity);
      this.#state = step.state;
      this.#reader.phase = 'password';
      for (const reply of step.replies) this.#outbox.send(reply);
      stream.resume();
      this.#read();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #policy(): HandshakePolicy {
    const { tls } = this.#house;
    return {
      tlsOffered: tls !== undefined,
      tlsRequired: tls !== undefined && !isLoopback(this.#socket.remoteAddress),
      channelBinding: tls?.channelBinding,
    };
  }

  /** sslnegotiation=direct of libpq 17: TLS from the first byte. */
  #isDirectTls(chunk: Buffer): boolean {
    const fresh = this.#state?.at === 'start' && !this.#state.tls && this.#reader.buffered === 0;
    return fresh && this.#house.tls !== undefined && chunk[0] === tlsHandshakeByte;
  }

  #startTls(first?: Buffer): void {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.removeAllListeners('end');
    if (first !== undefined) {
      socket.pause();
      socket.unshift(first);
    }
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#house.tls!.context,
      ALPNProtocols: ['postgresql'],
    });
    if (first !== undefined) this.#state = beginHandshake(true);
    secure.once('secure', () => {
      // https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL: without ALPN another protocol could be meant.
      if (first !== undefined && secure.alpnProtocol !== 'postgresql') socket.destroy();
    });
    this.#attach(secure);
  }

  async #serve(login: Login): Promise<void> {
    const { deps, keys, stopping, crowd } = this.#house;
    let release: () => void = () => {};
    try {
      if (!crowd.enter(this)) throw tooMany();
      if (stopping.aborted) throw shutdownError();
      const [inbox, outbox, remote] = [this.#inbox, this.#outbox, this.#remote()];
      const end = (reason: SluiceError) => this.breakOff(reason);
      const session = await deps.open({ login, inbox, outbox, remote, gone: this.#gone.signal, end });
      this.#session = session;
      if (this.#gone.signal.aborted) return session.abandon();
      const key = keys.issue(() => session.cancel());
      release = key.release;
      for (const [name, value] of session.parameters) outbox.send(parameterStatus(name, value));
      outbox.send(backendKeyData(key.pid, key.secret));
      outbox.send(readyForQuery('I'));
      const onError = (error: SluiceError) => {
        if (error.kind === 'internal') deps.log.error({ err: error, remote }, 'statement failed');
      };
      const { backend } = session;
      const last = await converse({ inbox, outbox, backend, stopping, patience: deps.limits, onError });
      if (last !== undefined && !session.insideRow) outbox.send(errorResponse(last, 'FATAL'));
    } catch (error) {
      this.#refuse(error);
    } finally {
      release();
      this.#session?.abandon();
      this.#hangUp();
    }
  }

  /** It has had its time to log in. One that has not said who it is hears nothing, as at PostgreSQL. */
  #late(): void {
    if (this.#state?.at === 'start') this.#socket.destroy();
    else this.#refuse(new SluiceError('stopped', 'canceling authentication due to timeout', { sqlstate: '57014' }));
  }

  /** Says why and hangs up. */
  #refuse(thrown: unknown): void {
    const error = toSluiceError(thrown);
    if (error.kind === 'internal') this.#house.deps.log.error({ err: error }, 'connection failed');
    this.#outbox.send(errorResponse(error, 'FATAL'));
    this.#session?.abandon();
    this.#inbox.clear();
    this.#hangUp();
  }

  #hangUp(): void {
    this.#leaving = true;
    clearTimeout(this.#timer);
    // What still comes in is thrown away, so that the goodbye arrives before the socket closes.
    this.#stream.resume();
    const stream = this.#stream;
    if (stream.writableEnded) return;
    this.#outbox.flush();
    // Answers that wait on a slow line get their time; one who does not read a mere goodbye is not waited for long.
    const patienceMs = stream.writableNeedDrain ? slowGoodbyeMs : 10 * goodbyeMs;
    stream.end(() => setTimeout(() => this.#socket.destroy(), goodbyeMs).unref());
    setTimeout(() => this.#socket.destroy(), patienceMs).unref();
  }

  /** The client will say no more. If it said goodbye, what it asked for before is still answered. */
  #half(): void {
    if (this.#leaving) this.#inbox.end();
    else this.#vanished();
    if (this.#session === undefined) this.#hangUp();
  }

  #vanished(): void {
    clearTimeout(this.#timer);
    this.#gone.abort();
    this.#inbox.clear();
    this.#session?.abandon();
  }

  #remote(): string {
    return `${this.#socket.remoteAddress ?? ''}:${this.#socket.remotePort ?? 0}`;
  }
}

function tooMany(): SluiceError {
  return new SluiceError('limit', 'sorry, too many clients already');
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::ffff:)?127\.|^::1$/.test(address);
}
