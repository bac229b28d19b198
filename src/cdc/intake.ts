// What is read next: the stream, or a transaction that was kept until its commit came there.
import { SluiceError } from '../base/errors.ts';
import type { StreamCommit } from '../peers/pgoutput.ts';
import type { ChangeStream } from '../peers/stream.ts';
import type { CommittedStream, StreamedTransactions } from '../peers/streamed.ts';

/** A run of whole frames, and how far in it we are. */
export interface Reading {
  readonly chunk: Buffer;
  at: number;
}

/** Gives chunks in the order in which they count. */
export class Intake {
  readonly #stream: ChangeStream;
  readonly #streamed: StreamedTransactions | null;
  #reading: Reading | undefined;
  #committed: { readonly kept: CommittedStream; readonly rest: Reading } | null = null;

  constructor(stream: ChangeStream, streamed: StreamedTransactions | null) {
    this.#stream = stream;
    this.#streamed = streamed;
  }

  /** Where reading goes on; undefined: nothing is there now. @throws when the stream has ended */
  async next(): Promise<Reading | undefined> {
    if (this.#reading !== undefined) return this.#reading;
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
}
