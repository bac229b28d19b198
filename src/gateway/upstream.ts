// One connection to a server for one session, spoken to in raw messages: what was asked, what is answered, what the client hears.
import type { Duplex } from 'node:stream';
import { type ServerErrorFields, SluiceError } from '../base/errors.ts';
import { type Borrower, type Lending, lendingOf } from '../pg/lending.ts';
import {
  backend,
  closeMessage,
  flushMessage,
  message,
  syncMessage,
  type TransactionStatus,
  terminateMessage,
} from '../wire/backend.ts';
import { decodeFields, encodeFields, serverFields } from '../wire/fields.ts';
import { frontend } from '../wire/frames.ts';
import type { Outbox } from '../wire/inbox.ts';
import { Outlet } from '../wire/outlet.ts';
import { ReplyReader } from '../wire/replies.ts';
import { type Asked, asked, ends } from './asked.ts';
import { type DialDeps, type Dialed, dial } from './dial.ts';
import { showUpstream } from './transaction.ts';

/** What a session wants to hear from its upstreams. */
export interface UpstreamEvents {
  /** A setting that the server reports; true: pass it on. */
  parameter(upstream: Upstream, name: string, value: string): boolean;
  /** Something said out of turn (a notification, a notice). True: pass it on; false: it is kept until the client can take it. */
  stray(upstream: Upstream, frame: Buffer): boolean;
  /** ReadyForQuery has come for something that went straight on. */
  answered(upstream: Upstream, question: Asked): void;
  /** Nothing more is awaited. */
  rested(upstream: Upstream): void;
  /** The server answers a Sync that was taken for a part of a COPY: the client waits for that. */
  ready(upstream: Upstream): void;
  closed(upstream: Upstream): void;
  /** Much was said out of turn that the client cannot take yet. */
  readonly burdened: boolean;
}

export interface UpstreamDeps extends DialDeps {
  readonly outbox: Outbox;
  readonly events: UpstreamEvents;
}

const goodbyeMs = 1_000;
// There is no such portal: executing it makes the server's transaction fail, and nothing else.
export const noPortal = 'refused by the gateway';
// More questions without an answer than a server keeps in its own buffer (8 KB of answers of five bytes).
const mostAsked = 10_000;
// A server reports some fifteen of its settings.
const mostParameters = 1_000;

// One server's answer in the middle of another's would be read as the other's.
const unasked = () => new SluiceError('protocol', 'an answer that nobody asked for');

const endedByReady: ReadonlySet<Asked['kind']> = new Set(['query', 'function', 'sync', 'recount']);

function readStatus(byte: number | undefined, head: Asked | undefined): TransactionStatus {
  const ending = head !== undefined && endedByReady.has(head.kind);
  if (!ending) throw unasked();
  switch (byte) {
    case 0x49:
      return 'I';
    case 0x54:
      return 'T';
    case 0x45:
      return 'E';
    default:
      throw new SluiceError('protocol', 'no transaction status');
  }
}

// Of a longer answer the rest is read in gulps: a server sends 8 kB at a time, and to be woken for each costs all three more than
// the bytes do. A short rest lets the socket fill; who waits for a first row does not wait for it.
const gulpsAfterBytes = 131_072;
const gulpRestMs = 1;
// What Node reads at most at once.
const nodeReadBytes = 65_536;

export class Upstream implements Borrower {
  readonly name: string;
  readonly parameters = new Map<string, string>();
  /** What its peer's name stood for when it was opened; undefined: it is the catalog. */
  version: { readonly id: string; readonly changed: string } | undefined;
  /** The name stands for something else now: not to be used again once it is idle. */
  stale = false;
  /** Which of the session's settings it has heard. */
  heard = 0;
  /** An extended query has begun and no Sync has ended it. */
  dirty = false;
  /** The server waits for COPY data. */
  copyIn = false;
  /** An extended query has failed; the server skips all up to Sync. */
  failed = false;
  /** Statements that were run since the last ReadyForQuery. */
  executes = 0;
  /** What the last ReadyForQuery has ended had failed. */
  hadFailed = false;
  status: TransactionStatus = 'I';
  /** It was told that the next transaction is a read-only one, and none has ended since. */
  fenced = false;
  /** What the server said when it ended the connection. */
  lastWords: ServerErrorFields | undefined;
  readonly #deps: UpstreamDeps;
  readonly #dialed: Dialed;
  readonly #stream: Duplex;
  readonly #asked: Asked[] = [];
  readonly #replies = new ReplyReader();
  readonly #outlet: Outlet;
  #straight = 0;
  /** Of what is being answered, so far. */
  #answerBytes = 0;
  #lending: Lending | undefined;
  /** Syncs that the server was sent before it asked for COPY data. */
  #doubtful = 0;
  #recounted = 0;
  #stillFailed = false;
  #closed = false;
  /** Reading waits until the client can take what was said out of turn. */
  #held = false;
  /** Reading waits for the client to take rows, or for more of them, and then goes on by itself. */
  #resting = false;
  #changed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  private constructor(deps: UpstreamDeps, dialed: Dialed) {
    this.name = deps.name;
    this.#deps = deps;
    this.#dialed = dialed;
    this.#stream = dialed.stream;
    this.#outlet = new Outlet(dialed.stream);
  }

  /** @throws `login_refused`, `unreachable`, `upstream`, `stopped` */
  static async open(deps: UpstreamDeps): Promise<Upstream> {
    const dialed = await dial(deps);
    const upstream = new Upstream(deps, dialed);
    for (const [name, value] of dialed.parameters) upstream.parameters.set(name, value);
    upstream.#takeOver();
    return upstream;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether an answer is awaited. */
  get busy(): boolean {
    return this.#asked.length > 0;
  }

  /** Nothing is asked, begun or in a transaction. */
  get idle(): boolean {
    return !this.busy && !this.dirty && this.status === 'I';
  }

  /** Whether a ReadyForQuery is awaited that goes on to the client by itself. */
  get answersStraight(): boolean {
    return this.#straight > 0;
  }

  /** More was sent or asked than it has taken: wait for `drained`. */
  get backlogged(): boolean {
    return !this.#closed && (this.#asked.length >= mostAsked || this.#outlet.full);
  }

  /** Rows that come now are for nobody. Part of what a reader of replies asks. */
  get quiet(): boolean {
    return this.#asked[0]?.quiet === true;
  }

  /** Part of what a reader of replies asks. @throws `protocol` if nobody asked for rows */
  rows(): void {
    if (this.#asked.length === 0) throw unasked();
  }

  /** A row is half passed: nothing else may go to the client. */
  get insideRow(): boolean {
    return this.#replies.insideRow;
  }

  /** Sends a message and notes what answer it will have. */
  ask(message: Buffer, question: Asked): Asked {
    // The error came while this was on its way here: the server would read on to the next Sync and answer nothing.
    if (this.failed && question.kind !== 'sync' && question.kind !== 'recount') {
      question.done = true;
      question.undo?.(true);
      return question;
    }
    this.#asked.push(question);
    if (question.kind === 'execute') this.executes += 1;
    if (question.straight && (question.kind === 'query' || question.kind === 'sync')) this.#straight += 1;
    this.release();
    if (question.kind === 'query' || question.kind === 'function' || question.kind === 'sync') this.dirty = false;
    else this.dirty = true;
    this.send(message);
    return question;
  }

  /** Sends bytes that have no answer of their own; those of one turn (Parse, Bind, Execute, Sync) in one packet. */
  send(bytes: Buffer): void {
    if (!this.#closed) this.#outlet.send(bytes);
  }

  flush(): void {
    this.send(flushMessage);
  }

  /** Ends a COPY that gets something else than data, in PostgreSQL's own words. */
  breakCopy(type?: number): void {
    this.copyIn = false;
    const what = type === undefined ? 'message' : `message type 0x${type.toString(16)}`;
    this.send(message(frontend.copyFail, Buffer.from(`unexpected ${what} during COPY from stdin\0`)));
  }

  sync(quiet = false): Asked {
    return this.ask(syncMessage, asked('sync', { quiet }));
  }

  /** Resolves when the server has taken what was sent and answered most of what was asked, or is gone. */
  async drained(): Promise<void> {
    if (this.#asked.length >= mostAsked) {
      this.flush();
      while (this.#asked.length >= mostAsked && !this.copyIn && !this.#closed) await this.change();
    }
    if (!this.#closed && this.#outlet.full) await this.#outlet.drained();
  }

  /** Resolves when something was answered, a COPY began or ended, or the connection closed. */
  change(): Promise<void> {
    if (this.#changed === undefined) {
      let resolve: () => void = () => {};
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      this.#changed = { promise, resolve };
    }
    return this.#changed.promise;
  }

  /** Goes on reading what it says of itself, if that had to wait. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    if (!this.#resting) this.#resume();
  }

  /** Asks the server, on a connection of its own, to stop what it does for us. Never throws. */
  async cancel(): Promise<void> {
    await this.#dialed.cancel();
  }

  /** Closes the connection at once, whatever it is doing; with a goodbye if it does nothing. */
  destroy(): void {
    if (this.#closed) return;
    const stream = this.#stream;
    const polite = !this.busy && !this.dirty;
    this.#close(polite);
    if (!polite) return;
    this.#outlet.flush();
    stream.end(terminateMessage);
    setTimeout(() => stream.destroy(), goodbyeMs).unref();
  }

  #takeOver(): void {
    const stream = this.#stream;
    this.#lending = lendingOf(stream);
    if (this.#lending === undefined) {
      stream.on('data', (chunk: Buffer) => {
        if (!this.borrow(chunk, chunk.length >= nodeReadBytes)) stream.pause();
      });
    } else this.#lending.lendTo(this);
    stream.on('error', () => this.#close());
    stream.on('end', () => this.#close());
    stream.on('close', () => this.#close());
    stream.resume();
    if (stream.destroyed) this.#close();
  }

  /** Takes what the server says. False: enough for now; it resumes by itself. */
  borrow(chunk: Buffer, filled: boolean): boolean {
    if (this.#closed) return false;
    const { outbox, events } = this.#deps;
    try {
      this.#replies.push(chunk, this);
    } catch (error) {
      this.#breach(error);
      return false;
    }
    if (this.#asked.length === 0) {
      this.#answerBytes = 0;
      events.rested(this);
    } else this.#answerBytes += chunk.length;
    outbox.flush();
    if (events.burdened && !this.busy) this.#held = true;
    // The client does not read as fast as the server sends: let the server wait. What is only lent must not be read over.
    if (outbox.full || (this.#lending !== undefined && !outbox.empty)) {
      this.#resting = true;
      void outbox.drained().then(() => this.#goOn());
      return false;
    }
    if (this.#held) return false;
    if (filled || this.#answerBytes < gulpsAfterBytes) return true;
    this.#resting = true;
    setTimeout(() => this.#goOn(), gulpRestMs);
    return false;
  }

  /** Part of being a borrower. */
  get expecting(): boolean {
    return this.#answerBytes > 0;
  }

  #goOn(): void {
    this.#resting = false;
    if (!this.#held) this.#resume();
  }

  #resume(): void {
    if (this.#lending === undefined) this.#stream.resume();
    else this.#lending.giveBack();
  }

  /** What cannot be read ends the connection; what stood before it has been passed. */
  #breach(error: unknown): void {
    const detail = error instanceof SluiceError ? error.message : 'unreadable message';
    const message = `${showUpstream(this.name)} does not keep to the protocol: ${detail}`;
    this.lastWords = { code: '08P01', message };
    this.#deps.outbox.flush();
    this.#close();
  }

  /** Part of what a reader of replies asks. */
  pass(bytes: Buffer): void {
    this.#deps.outbox.add(bytes);
  }

  /** Part of what a reader of replies asks. */
  message(chunk: Buffer, start: number, end: number): boolean | Buffer {
    const head = this.#asked[0];
    const type = chunk[start]!;
    switch (type) {
      case backend.readyForQuery:
        this.status = readStatus(chunk[start + 5], head);
        if (head?.kind === 'recount') {
          this.#recounted += 1;
          return false;
        }
        this.hadFailed = this.failed;
        this.executes = 0;
        this.failed = false;
        this.copyIn = false;
        this.fenced = false;
        this.#doubtful = 0;
        this.#done();
        if (!head?.straight) return false;
        this.#straight -= 1;
        this.#deps.events.answered(this, head);
        return true;
      case backend.errorResponse:
        return this.#error(chunk.subarray(start, end), head);
      case backend.parameterStatus:
      case backend.noticeResponse:
      case backend.notification:
        return this.#aside(chunk.subarray(start, end), head);
      case backend.copyInResponse:
        this.copyIn = true;
        this.#dropSyncs();
        this.#notify();
        return !head?.quiet;
      case backend.commandComplete:
        if (head?.kind === 'query') head.tags.push(chunk.toString('latin1', start + 5, end - 1));
        head?.completed?.(chunk.toString('latin1', start + 5, end - 1));
        this.copyIn = false;
        this.#doubtful = 0;
        break;
      default:
        if (head === undefined) throw unasked();
        break;
    }
    if (head?.kind === 'recount' && type === backend.closeComplete) {
      this.#done();
      this.#endRecount();
      return false;
    }
    if (head !== undefined && ends(head, type)) this.#done();
    return !head?.quiet && !head?.hushed;
  }

  /** What a server may say at any time. */
  #aside(frame: Buffer, head: Asked | undefined): boolean {
    const { events } = this.#deps;
    if (frame[0] === backend.parameterStatus) {
      const [name = '', value = ''] = frame.toString('utf8', 5).split('\0');
      this.parameters.set(name, value);
      if (this.parameters.size > mostParameters) throw new SluiceError('protocol', 'too many settings reported');
      if (!events.parameter(this, name, value)) return false;
      return head !== undefined && !head.quiet ? true : events.stray(this, frame);
    }
    if (head !== undefined && !head.quiet) return true;
    if (frame[0] === backend.noticeResponse && head?.quiet) return false;
    return events.stray(this, frame);
  }

  #error(frame: Buffer, head: Asked | undefined): boolean | Buffer {
    const fields = decodeFields(frame.subarray(5), 'latin1');
    const word = fields.get('V') ?? fields.get('S');
    if (word === 'FATAL' || word === 'PANIC') {
      this.lastWords = serverFields(decodeFields(frame.subarray(5)));
      return false;
    }
    const recount = this.#doubtful > 0;
    this.#doubtful = 0;
    this.copyIn = false;
    if (head === undefined) return false;
    head.error = serverFields(decodeFields(frame.subarray(5)));
    if (head.kind !== 'query' && head.kind !== 'function' && head.kind !== 'sync') {
      this.failed = true;
      // The server reads on to the next Sync and answers nothing before it.
      const next = this.#asked.findIndex(({ kind }) => kind === 'sync');
      const skipped = this.#asked.splice(0, next < 0 ? this.#asked.length : next);
      // The last first, so that each finds what it left.
      for (const each of skipped.reverse()) {
        each.done = true;
        each.undo?.(each !== head);
      }
    }
    if (recount) this.#recount();
    this.#notify();
    if (head.quiet) return false;
    const position = Number(fields.get('P'));
    if (!fields.has('P') || head.shift === undefined) return true;
    const shifted = head.shift(position);
    if (shifted === undefined) fields.delete('P');
    else fields.set('P', String(shifted));
    return encodeFields('error', fields, 'latin1');
  }

  /** In a COPY the server reads Sync and Flush as nothing: https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-COPY */
  #dropSyncs(): void {
    while (this.#asked[1]?.kind === 'sync') {
      const [sync] = this.#asked.splice(1, 1);
      if (sync !== undefined) sync.dropped = true;
      if (sync?.straight) this.#straight -= 1;
      this.#doubtful += 1;
      this.dirty = true;
    }
  }

  /** A Sync while the server waits for COPY data: it reads it as nothing, or answers it if the COPY has failed meanwhile. */
  syncInCopy(): void {
    this.#doubtful += 1;
    this.dirty = true;
    this.send(syncMessage);
  }

  /**
   * A COPY has failed. If that was before the server read from us (a trigger's complaint, FREEZE refused), it answers the
   * Syncs sent before; if after, they are gone. One more Sync and something behind it tell: how many answers come?
   */
  #recount(): void {
    this.#recounted = 0;
    // Whether the client has said by now the Sync that ends its query.
    const ended = this.#asked.some(({ kind }) => kind === 'sync');
    this.#stillFailed = !ended;
    this.ask(Buffer.concat([syncMessage, closeMessage('P', noPortal), flushMessage]), asked('recount'));
  }

  #endRecount(): void {
    const answered = this.#recounted - 1;
    this.failed = answered === 0 && this.#stillFailed;
    for (let i = 0; i < answered; i += 1) this.#deps.events.ready(this);
  }

  #done(): void {
    const head = this.#asked.shift();
    if (head !== undefined) head.done = true;
    this.#notify();
  }

  #notify(): void {
    this.#changed?.resolve();
    this.#changed = undefined;
  }

  #close(open = false): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!open) this.#stream.destroy();
    this.#asked.length = 0;
    this.#straight = 0;
    this.#notify();
    this.#deps.events.closed(this);
  }
}
