// Bytes of a socket put together to whole protocol messages, without copying what is whole already.
import { SluiceError } from '../base/errors.ts';

const copyData = 0x64; // 'd'
// A message is at most 1 GB, and a little for headers. https://www.postgresql.org/docs/18/protocol-message-formats.html
const mostFrameBytes = 0x4000_0000;

export interface Frames {
  /** Runs of whole messages of the kind that is gathered. */
  readonly data: readonly Buffer[];
  /** Every other message, one by one. */
  readonly rest: readonly Buffer[];
}

/** Feed it what a socket brings, in whatever pieces; it gives back whole messages: CopyData in runs, or those of another tag. */
export class FrameGatherer {
  readonly #tag: number;
  /** A message whose end has not come: its bytes, at their place in a buffer of its full length. */
  #partial: Buffer | undefined;
  #filled = 0;
  /** Less than a header. */
  #head: Buffer | undefined;

  constructor(tag: number = copyData) {
    this.#tag = tag;
  }

  /** Takes the next bytes. What it returns may share memory with `chunk`. @throws `protocol` on an impossible length */
  add(chunk: Buffer): Frames {
    const data: Buffer[] = [];
    const rest: Buffer[] = [];
    const bytes = this.#complete(chunk, { data, rest });
    let runStart = 0;
    let at = 0;
    while (at + 5 <= bytes.length) {
      const length = frameLength(bytes, at);
      if (at + length > bytes.length) break;
      if (bytes[at] !== this.#tag) {
        if (at > runStart) data.push(bytes.subarray(runStart, at));
        rest.push(bytes.subarray(at, at + length));
        runStart = at + length;
      }
      at += length;
    }
    if (at > runStart) data.push(bytes.subarray(runStart, at));
    this.#keep(bytes, at);
    return { data, rest };
  }

  // Finishes the message that the last chunk began and gives what stands behind it.
  #complete(chunk: Buffer, out: { readonly data: Buffer[]; readonly rest: Buffer[] }): Buffer {
    let bytes = chunk;
    if (this.#head !== undefined) {
      bytes = Buffer.concat([this.#head, chunk]);
      this.#head = undefined;
    }
    const partial = this.#partial;
    if (partial === undefined) return bytes;
    const taken = bytes.copy(partial, this.#filled);
    this.#filled += taken;
    if (this.#filled === partial.length) {
      (partial[0] === this.#tag ? out.data : out.rest).push(partial);
      this.#partial = undefined;
    }
    return bytes.subarray(taken);
  }

  #keep(bytes: Buffer, at: number): void {
    const left = bytes.length - at;
    if (left === 0) return;
    if (left < 5) {
      this.#head = Buffer.from(bytes.subarray(at));
      return;
    }
    this.#partial = Buffer.allocUnsafeSlow(frameLength(bytes, at));
    this.#filled = bytes.copy(this.#partial, 0, at);
  }
}

function frameLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at + 1) + 1;
  if (length < 5 || length > mostFrameBytes + 1024) {
    throw new SluiceError('protocol', `the source announced a message of ${length} bytes`);
  }
  return length;
}
