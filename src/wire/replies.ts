// A server's byte stream walked message by message, so that runs of rows pass as one slice and only the rest is looked at.
import { SluiceError } from '../base/errors.ts';
import { backend } from './backend.ts';

export interface ReplySink {
  /** Rows that come now are swallowed. May change with each message. */
  readonly quiet: boolean;
  /** A run of rows begins. May throw if nobody asked for them. */
  rows(): void;
  /** Bytes that go on to the client as they are: whole messages, and long rows in pieces. */
  pass(bytes: Buffer): void;
  /**
   * A message that is not a row, whole, from its type byte at `start`. True: it goes on as it is. False: it is swallowed. Bytes:
   * they go on in its place. Whatever stood before it is passed before it, and not yet.
   */
  message(chunk: Buffer, start: number, end: number): boolean | Buffer;
}

const [known, long, passed] = [1, 2, 4];
// Messages that are kept until they are whole have bounds: those that libpq has for most, the texts of errors and notices more.
const longestRow = 0x3fffffff;
const longestKept = { short: 30_000, long: 64_000_000 } as const;

/** What a server may say after the login, by type byte. */
const facts = new Uint8Array(256);
for (const type of Object.values(backend)) facts[type] = known;
for (const type of ['authentication', 'copyBothResponse', 'keyData', 'negotiateVersion'] as const) {
  facts[backend[type]] = 0;
}
for (const type of [
  'errorResponse',
  'noticeResponse',
  'notification',
  'parameterDescription',
  'rowDescription',
] as const) {
  facts[backend[type]] = known | long;
}
/** These are passed on in the pieces that they come in. */
for (const type of ['dataRow', 'copyData', 'functionCallResponse'] as const) facts[backend[type]] = known | passed;

function checkHead(type: number, length: number): void {
  const fact = facts[type]!;
  const limit = fact & passed ? longestRow : fact & long ? longestKept.long : longestKept.short;
  if (fact !== 0 && length >= 4 && length <= limit) return;
  throw new SluiceError('protocol', `message type 0x${type.toString(16)}, length ${length}`);
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

  /**
   * @param bytes may be overwritten afterwards: what is kept is a copy
   * @throws `protocol` at what no server says; the stream cannot be read on then
   */
  push(bytes: Buffer, sink: ReplySink): void {
    let chunk = bytes;
    if (this.#keptLength > 0) {
      this.#keptLength += chunk.length;
      if (this.#keptLength < this.#wanted) {
        this.#kept.push(Buffer.from(chunk));
        return;
      }
      chunk = Buffer.concat([...this.#kept, chunk], this.#keptLength);
      this.#kept = [];
      this.#keptLength = 0;
    }
    const end = this.#walk(chunk, sink);
    if (end === chunk.length) return;
    if (chunk.length - end >= 5) checkHead(chunk[end]!, chunk.readUInt32BE(end + 1));
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
    let inRun = false;
    try {
      while (chunk.length - at >= 5) {
        const type = chunk[at]!;
        const length = chunk.readUInt32BE(at + 1) + 1;
        const fact = facts[type]!;
        if (fact === 0 || length < 5 || length > longestRow) checkHead(type, length - 1);
        if (fact & passed) {
          if (!inRun) sink.rows();
          inRun = true;
          this.#rowRest = Math.max(0, at + length - chunk.length);
          if (quiet && at > start) sink.pass(chunk.subarray(start, at));
          at += length - this.#rowRest;
          if (quiet) start = at;
          continue;
        }
        if (at + length > chunk.length) break;
        inRun = false;
        const verdict = sink.message(chunk, at, at + length);
        quiet = sink.quiet;
        if (verdict !== true) {
          if (at > start) sink.pass(chunk.subarray(start, at));
          if (verdict !== false) sink.pass(verdict);
          start = at + length;
        }
        at += length;
      }
    } finally {
      // What stood before a breach of the protocol was good.
      if (at > start) sink.pass(start === 0 && at === chunk.length ? chunk : chunk.subarray(start, at));
    }
    return at;
  }
}
