// A server's byte stream walked message by message, so that runs of rows pass as one slice and only the rest is looked at.
import { backend } from './backend.ts';

export interface ReplySink {
  /** Bytes that go on to the client as they are: whole messages, and long rows in pieces. */
  pass(bytes: Buffer): void;
  /**
   * A message that is not a row. True: it goes on as it is. False: it is swallowed. Bytes: they go on in its place.
   * Whatever stood before it has been passed already.
   */
  message(type: number, frame: Buffer): boolean | Buffer;
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
    const rest = this.#walk(chunk, sink);
    if (rest.length === 0) return;
    this.#kept = [rest];
    this.#keptLength = rest.length;
    this.#wanted = rest.length < 5 ? 5 : rest.readUInt32BE(1) + 1;
  }

  /** Gives what is left of the chunk: the beginning of a message that is not a row. */
  #walk(chunk: Buffer, sink: ReplySink): Buffer {
    let at = Math.min(this.#rowRest, chunk.length);
    this.#rowRest -= at;
    // Everything from `start` to `at` goes on in one piece.
    let start = 0;
    while (chunk.length - at >= 5) {
      const type = chunk[at]!;
      const length = chunk.readUInt32BE(at + 1) + 1;
      if (type === backend.dataRow || type === backend.copyData) {
        this.#rowRest = Math.max(0, at + length - chunk.length);
        at += length - this.#rowRest;
        continue;
      }
      if (at + length > chunk.length) break;
      if (at > start) sink.pass(chunk.subarray(start, at));
      const verdict = sink.message(type, chunk.subarray(at, at + length));
      start = verdict === true ? at : at + length;
      if (typeof verdict === 'object') sink.pass(verdict);
      at += length;
    }
    if (at > start) sink.pass(chunk.subarray(start, at));
    return chunk.subarray(at);
  }
}
