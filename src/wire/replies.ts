// A server's byte stream walked message by message, so that runs of rows pass as one slice and only the rest is looked at.
import { backend } from './backend.ts';

export interface ReplySink {
  /** Rows that come now are swallowed. May change with each message. */
  readonly quiet: boolean;
  /** Bytes that go on to the client as they are: whole messages, and long rows in pieces. */
  pass(bytes: Buffer): void;
  /**
   * A message that is not a row, whole, from its type byte at `start`. True: it goes on as it is. False: it is swallowed. Bytes:
   * they go on in its place. Whatever stood before it is passed before it, and not yet.
   */
  message(chunk: Buffer, start: number, end: number): boolean | Buffer;
}

/** Pure but for its memory of an unfinished message. */
export class ReplyReader {
  #rowRest = 0;
  #kept: Buffer[] = [];
  #keptLength = 0;
  #wanted = 5;

  /** Whether a row's first part has been passed and the rest has not: nothing else may be written to the client now. */
  get insideRow(): boolean {
    return this.#rowRest > 0;
  }

  push(bytes: Buffer, sink: ReplySink): void {
    let chunk = bytes;
    if (this.#keptLength > 0) {
      this.#kept.push(chunk);
      this.#keptLength += chunk.length;
      if (this.#keptLength < this.#wanted) return;
      chunk = Buffer.concat(this.#kept, this.#keptLength);
      this.#kept = [];
      this.#keptLength = 0;
    }
    const end = this.#walk(chunk, sink);
    if (end === chunk.length) return;
    // A copy, for a beginning must not keep its whole chunk.
    const rest = Buffer.from(chunk.subarray(end));
    this.#kept = [rest];
    this.#keptLength = rest.length;
    this.#wanted = rest.length < 5 ? 5 : rest.readUInt32BE(1) + 1;
  }

  /** Gives the place from which a message is left that is not a row and not whole. */
  #walk(chunk: Buffer, sink: ReplySink): number {
    let at = Math.min(this.#rowRest, chunk.length);
    this.#rowRest -= at;
    let { quiet } = sink;
    // Everything from `start` to `at` goes on in one piece.
    let start = quiet ? at : 0;
    while (chunk.length - at >= 5) {
      const type = chunk[at]!;
      const length = chunk.readUInt32BE(at + 1) + 1;
      if (type === backend.dataRow || type === backend.copyData) {
        this.#rowRest = Math.max(0, at + length - chunk.length);
        if (quiet && at > start) sink.pass(chunk.subarray(start, at));
        at += length - this.#rowRest;
        if (quiet) start = at;
        continue;
      }
      if (at + length > chunk.length) break;
      const verdict = sink.message(chunk, at, at + length);
      quiet = sink.quiet;
      if (verdict !== true) {
        if (at > start) sink.pass(chunk.subarray(start, at));
        if (verdict !== false) sink.pass(verdict);
        start = at + length;
      }
      at += length;
    }
    if (at > start) sink.pass(start === 0 && at === chunk.length ? chunk : chunk.subarray(start, at));
    return at;
  }
}
