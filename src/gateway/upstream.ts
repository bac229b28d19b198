// One connection to a server for one session, spoken to in raw messages: what was asked, what is answered, what the client hears.
import type { Duplex } from 'node:stream';
import type { ServerErrorFields } from '../base/errors.ts';
import { backend, flushMessage, syncMessage, type TransactionStatus, terminateMessage } from '../wire/backend.ts';
import { decodeFields, encodeFields, serverFields } from '../wire/fields.ts';
import type { Outbox } from '../wire/inbox.ts';
import { ReplyReader, type ReplySink } from '../wire/replies.ts';
import { type DialDeps, type Dialed, dial } from './dial.ts';
import type { Shift } from './route.ts';

/** What was asked of the server and is not answered yet. */
export interface Asked {
  readonly kind:
    | 'query'
    | 'function'
    | 'parse'
    | 'bind'
    | 'describe_statement'
    | 'describe_portal'
    | 'execute'
    | 'close'
    | 'sync';
  /** Asked by the gateway itself: the client hears nothing of the answer. */
  readonly quiet?: boolean;
  readonly shift?: Shift | undefined;
  /** The prepared statement that a Parse makes. */
  readonly name?: string;
  /** Answered, or skipped by the server after an error. */
  done: boolean;
  /** Never to be answered: a Sync that the server has read as part of a COPY. */
  dropped: boolean;
  error: ServerErrorFields | undefined;
  /** Command tags that came. */
  readonly tags: string[];
  /** Called with the tag when a command is complete. */
  readonly completed?: ((tag: string) => void) | undefined;
}

export function asked(kind: Asked['kind'], facts: Pick<Asked, 'quiet' | 'shift' | 'name' | 'completed'> = {}): Asked {
  return { kind, ...facts, done: false, dropped: false, error: undefined, tags: [] };
}

/** What a session wants to hear from its upstreams. */
export interface UpstreamEvents {
  /** A setting that the server reports; true: pass it on. */
  parameter(upstream: Upstream, name: string, value: string): boolean;
  /** Something said out of turn (a notification, a notice): not before the client can take it. */
  stray(upstream: Upstream, frame: Buffer): void;
  /** A Parse failed or was skipped: there is no such statement. */
  notPrepared(upstream: Upstream, name: string): void;
  closed(upstream: Upstream): void;
}

export interface UpstreamDeps extends DialDeps {
  readonly outbox: Outbox;
  readonly events: UpstreamEvents;
}

const goodbyeMs = 1_000;

// Answers that end what was asked, by the kind of question. ErrorResponse and ReadyForQuery are seen to apart.
const endings: Readonly<Record<Asked['kind'], readonly number[]>> = {
  query: [],
  function: [],
  sync: [],
  parse: [backend.parseComplete],
  bind: [backend.bindComplete],
  close: [backend.closeComplete],
  describe_statement: [backend.rowDescription, backend.noData],
  describe_portal: [backend.rowDescription, backend.noData],
  execute: [backend.commandComplete, backend.emptyQuery, backend.portalSuspended],
};

export class Upstream {
  readonly name: string;
  readonly parameters = new Map<string, string>();
  /** Which of the session's settings it has heard. */
  heard = 0;
  /** An extended query has begun and no Sync has ended it. */
  dirty = false;
  /** The server waits for COPY data. */
  copyIn = false;
  /** An extended query has failed; the server skips all up to Sync. */
  failed = false;
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
  readonly #sink: ReplySink;
  #closed = false;
  #corked = false;
  #changed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  private constructor(deps: UpstreamDeps, dialed: Dialed) {
    this.name = deps.name;
    this.#deps = deps;
    this.#dialed = dialed;
    this.#stream = dialed.stream;
    this.#sink = {
      pass: (bytes) => {
        if (!this.#asked[0]?.quiet) deps.outbox.send(bytes);
      },
      message: (type, frame) => this.#message(type, frame),
    };
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

  /** A row is half passed: nothing else may go to the client. */
  get insideRow(): boolean {
    return this.#replies.insideRow;
  }

  /** Sends a message and notes what answer it will have. */
  ask(message: Buffer, question: Asked): Asked {
    this.#asked.push(question);
    if (question.kind === 'query' || question.kind === 'function' || question.kind === 'sync') this.dirty = false;
    else this.dirty = true;
    this.send(message);
    return question;
  }

  /** Sends bytes that have no answer of their own. */
  send(bytes: Buffer): void {
    if (this.#closed) return;
    const stream = this.#stream;
    // The messages of one turn (Parse, Bind, Execute, Sync) go out in one packet.
    if (!this.#corked) {
      this.#corked = true;
      stream.cork();
      process.nextTick(() => {
        this.#corked = false;
        stream.uncork();
      });
    }
    stream.write(bytes);
  }

  flush(): void {
    this.send(flushMessage);
  }

  sync(quiet = false): Asked {
    return this.ask(syncMessage, asked('sync', { quiet }));
  }

  /** Resolves when the server has taken what was sent, or is gone. */
  async drained(): Promise<void> {
    const stream = this.#stream;
    if (this.#closed || stream.writableLength < 1_000_000) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        stream.off('drain', done);
        stream.off('close', done);
        resolve();
      };
      stream.on('drain', done);
      stream.on('close', done);
    });
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

  /** Asks the server, on a connection of its own, to stop what it does for us. Never throws. */
  async cancel(): Promise<void> {
    await this.#dialed.cancel();
  }

  /** Closes the connection at once, whatever it is doing; with a goodbye if it does nothing. */
  destroy(): void {
    if (this.#closed) return;
    const stream = this.#stream;
    const polite = !this.busy && !this.dirty && this.status === 'I';
    this.#close(polite);
    if (!polite) return;
    stream.end(terminateMessage);
    setTimeout(() => stream.destroy(), goodbyeMs).unref();
  }

  #takeOver(): void {
    const stream = this.#stream;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('error', () => this.#close());
    stream.on('end', () => this.#close());
    stream.on('close', () => this.#close());
    stream.resume();
    if (stream.destroyed) this.#close();
  }

  #receive(chunk: Buffer): void {
    this.#replies.push(chunk, this.#sink);
    const { outbox } = this.#deps;
    if (!outbox.full) return;
    // The client does not read as fast as the server sends: let the server wait.
    this.#stream.pause();
    void outbox.drained().then(() => this.#stream.resume());
  }

  #message(type: number, frame: Buffer): boolean | Buffer {
    const head = this.#asked[0];
    switch (type) {
      case backend.readyForQuery:
        this.status = String.fromCharCode(frame[5]!) as TransactionStatus;
        this.failed = false;
        this.copyIn = false;
        this.fenced = false;
        this.#done();
        return false;
      case backend.errorResponse:
        return this.#error(frame, head);
      case backend.parameterStatus: {
        const [name = '', value = ''] = frame.toString('utf8', 5).split('\0');
        this.parameters.set(name, value);
        if (!this.#deps.events.parameter(this, name, value)) return false;
        if (!head?.quiet) return true;
        this.#deps.events.stray(this, Buffer.from(frame));
        return false;
      }
      case backend.noticeResponse:
      case backend.notification:
        if (head !== undefined && !head.quiet) return true;
        if (type === backend.notification || !head?.quiet) this.#deps.events.stray(this, Buffer.from(frame));
        return false;
      case backend.copyInResponse:
        this.copyIn = true;
        this.#dropSyncs();
        this.#notify();
        return !head?.quiet;
      default:
        break;
    }
    if (type === backend.commandComplete && head !== undefined) {
      const tag = frame.toString('latin1', 5, frame.length - 1);
      head.tags.push(tag);
      head.completed?.(tag);
      this.copyIn = false;
    }
    if (head !== undefined && endings[head.kind].includes(type)) this.#done();
    return !head?.quiet;
  }

  #error(frame: Buffer, head: Asked | undefined): boolean | Buffer {
    const fields = decodeFields(frame.subarray(5), 'latin1');
    const word = fields.get('V') ?? fields.get('S');
    if (word === 'FATAL' || word === 'PANIC') {
      this.lastWords = serverFields(decodeFields(frame.subarray(5)));
      return false;
    }
    this.copyIn = false;
    if (head === undefined) return false;
    head.error = serverFields(decodeFields(frame.subarray(5)));
    if (head.kind !== 'query' && head.kind !== 'function' && head.kind !== 'sync') {
      this.failed = true;
      // The server reads on to the next Sync and answers nothing before it.
      while (this.#asked[0] !== undefined && this.#asked[0].kind !== 'sync') {
        const { kind, name } = this.#asked[0];
        if (kind === 'parse' && name !== undefined) this.#deps.events.notPrepared(this, name);
        this.#done();
      }
    }
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
      this.dirty = true;
    }
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
    this.#notify();
    this.#deps.events.closed(this);
  }
}
