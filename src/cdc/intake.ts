// What is read next: the stream, or a transaction that was kept, when its commit came there or ahead of it.
import { SluiceError } from '../base/errors.ts';
import { messageOffset, walData } from '../peers/apply-walk.ts';
import { readLength, readMessage, type StreamCommit, tags } from '../peers/pgoutput.ts';
import type { ChangeSource } from '../peers/stream.ts';
import type { StreamedTransactions } from '../peers/streamed.ts';
import type { CommittedStream, OpenStream } from '../peers/streamed-read.ts';

/** A run of whole frames, and how far in it we are. */
export interface Reading {
  readonly chunk: Buffer;
  at: number;
}

/** Gives chunks in the order in which they count. */
export class Intake {
  readonly #stream: ChangeSource;
  readonly #streamed: StreamedTransactions | null;
  #reading: Reading | undefined;
  #committed: { readonly kept: CommittedStream; readonly rest: Reading } | null = null;
  #ahead: OpenStream | null = null;
  /** What comes in the stream behind that which is read ahead. */
  #behind: Reading | undefined;

  constructor(stream: ChangeSource, streamed: StreamedTransactions | null) {
    this.#stream = stream;
    this.#streamed = streamed;
  }

  /** Whether a transaction is read that is not known to be committed. */
  get isAhead(): boolean {
    return this.#ahead !== null;
  }

  /**
   * Where reading goes on; undefined: nothing is there now. Of what is read ahead: `committed` when its commit is here (then
   * `confirm` or `abandon`), `disturbed` when it cannot go on (`abandon`).
   * @throws when the stream has ended
   */
  async next(): Promise<Reading | 'committed' | 'disturbed' | undefined> {
    if (this.#reading !== undefined) return this.#reading;
    if (this.#ahead !== null) return await this.#nextAhead(this.#ahead);
    const chunk = this.#committed === null ? this.#stream.take() : await this.#committed.kept.next();
    if (chunk !== undefined) this.#reading = { chunk, at: 0 };
    else if (this.#committed !== null) {
      this.#reading = this.#committed.rest;
      this.#committed = null;
    }
    return this.#reading;
  }

  /** The chunk is read to its end. */
  done(): void {
    this.#reading = undefined;
  }

  /** What was kept of this transaction comes before the rest of the chunk. @throws `protocol` */
  insert(commit: StreamCommit): void {
    if (this.#streamed === null || this.#reading === undefined || this.#committed !== null)
      throw new SluiceError('protocol', 'the source sent a transaction before its commit, unasked');
    this.#committed = { kept: this.#streamed.finish(commit), rest: this.#reading };
    this.#reading = undefined;
  }

  /** Where nothing else is to be read: begins with the transaction that is open on the source, and gives its number; null: none may be. */
  beginAhead(): number | null {
    if (this.#reading !== undefined || this.#committed !== null || this.#ahead !== null) return null;
    this.#ahead = this.#streamed?.ahead() ?? null;
    return this.#ahead?.xid ?? null;
  }

  /** What is read ahead was committed: the rest of it comes next. */
  confirm(): StreamCommit {
    const commit = commitAt(this.#behind);
    if (this.#streamed === null || this.#ahead === null || this.#behind === undefined || commit === null)
      throw new SluiceError('internal', 'a transaction was confirmed that is not committed');
    const { chunk, at } = this.#behind;
    const rest = { chunk, at: at + readLength(chunk, at + 1) + 1 };
    this.#committed = { kept: this.#streamed.finish(commit, this.#ahead.position), rest };
    this.#ahead = null;
    this.#behind = undefined;
    this.#reading = undefined;
    return commit;
  }

  /** What was read ahead comes again, whole, with its commit. */
  abandon(): void {
    this.#reading = this.#behind;
    this.#behind = undefined;
    this.#ahead = null;
  }

  /** What stands in the way of reading on ahead; null: nothing does. @throws when the stream has ended */
  lookBehind(): 'committed' | 'disturbed' | null {
    const ahead = this.#ahead;
    if (ahead === null) return null;
    // What is here of the stream was sent behind all that is here of the block.
    while (this.#behind === undefined) {
      const chunk = this.#stream.take();
      if (chunk === undefined) break;
      const at = firstThatCounts(chunk);
      if (at < chunk.length) this.#behind = { chunk, at };
    }
    if (ahead.isSpoiled) return 'disturbed';
    if (this.#behind === undefined) return null;
    return commitAt(this.#behind)?.xid === ahead.xid ? 'committed' : 'disturbed';
  }

  async #nextAhead(ahead: OpenStream): Promise<Reading | 'committed' | 'disturbed' | undefined> {
    const found = this.lookBehind();
    if (found !== null) return found;
    const chunk = await ahead.next();
    if (chunk === undefined) return ahead.isSpoiled ? 'disturbed' : undefined;
    this.#reading = { chunk, at: 0 };
    return this.#reading;
  }
}

function commitAt(reading: Reading | undefined): StreamCommit | null {
  if (reading === undefined) return null;
  const { chunk, at } = reading;
  if (chunk[at + messageOffset] !== tags.streamCommit) return null;
  return readMessage(chunk, at + messageOffset, at + readLength(chunk, at + 1) + 1) as StreamCommit;
}

// Where the first frame is that says more than how far the server is: not a keepalive, a message outside of transactions, or a
// transaction without changes.
function firstThatCounts(chunk: Buffer): number {
  const end = (at: number) => at + readLength(chunk, at + 1) + 1;
  for (let at = 0; at < chunk.length; ) {
    const tag = chunk[at + messageOffset];
    const next = end(at);
    if (chunk[at + 5] !== walData) at = next;
    else if (tag === tags.message && (chunk[at + messageOffset + 1]! & 1) === 0) at = next;
    else if (tag === tags.begin && next < chunk.length && chunk[next + messageOffset] === tags.commit) at = end(next);
    else return at;
  }
  return chunk.length;
}
