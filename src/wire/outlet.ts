// The way out to a socket: what is said in one turn goes out in one write, and what lay together when it came is not even joined.
import type { Writable } from 'node:stream';
import type { Outbox } from './inbox.ts';

// More than this and whoever feeds it should wait.
const mostWaiting = 1_000_000;

export class Outlet implements Outbox {
  readonly #onCut: () => void;
  #stream: Writable;
  /** What was said in this turn, but for its last piece. */
  #pieces: Buffer[] | undefined;
  #last: Buffer | undefined;
  /** The last piece's length, with what was said since and lies right behind it. */
  #lastLength = 0;
  /** Of all pieces. */
  #length = 0;
  #scheduled = false;
  #emptied: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  readonly #taken = () => {
    if (this.#emptied === undefined || !this.empty) return;
    this.#stream.off('close', this.#taken);
    this.#emptied.resolve();
    this.#emptied = undefined;
  };

  /** @param onCut called when a message has begun that will never be whole */
  constructor(stream: Writable, onCut: () => void = () => {}) {
    this.#stream = stream;
    this.#onCut = onCut;
  }

  /** Where it leads from now on: TLS over the same socket. */
  set stream(stream: Writable) {
    this.flush();
    this.#stream = stream;
  }

  get full(): boolean {
    const stream = this.#stream;
    return this.#length + stream.writableLength > mostWaiting && !stream.destroyed;
  }

  get empty(): boolean {
    return this.#length === 0 && (this.#stream.writableLength === 0 || this.#stream.destroyed);
  }

  send(bytes: Buffer): void {
    this.add(bytes);
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(flushLater, this);
  }

  add(bytes: Buffer): void {
    const last = this.#last;
    this.#length += bytes.length;
    if (last !== undefined) {
      if (last.buffer === bytes.buffer && last.byteOffset + this.#lastLength === bytes.byteOffset) {
        this.#lastLength += bytes.length;
        return;
      }
      this.#pieces ??= [];
      this.#pieces.push(this.#takeLast(last));
    }
    this.#last = bytes;
    this.#lastLength = bytes.length;
  }

  flush(): void {
    this.#scheduled = false;
    const last = this.#last;
    if (last === undefined) return;
    const stream = this.#stream;
    const pieces = this.#pieces;
    const end = this.#takeLast(last);
    this.#last = undefined;
    this.#pieces = undefined;
    this.#length = 0;
    if (stream.destroyed || stream.writableEnded) return;
    if (pieces === undefined) {
      stream.write(end, this.#taken);
      return;
    }
    stream.cork();
    for (const piece of pieces) stream.write(piece);
    stream.write(end, this.#taken);
    stream.uncork();
  }

  async drained(): Promise<void> {
    this.flush();
    if (this.empty) return;
    if (this.#emptied === undefined) {
      let resolve: () => void = () => {};
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      this.#emptied = { promise, resolve };
      this.#stream.once('close', this.#taken);
    }
    await this.#emptied.promise;
  }

  cut(): void {
    this.#onCut();
  }

  #takeLast(last: Buffer): Buffer {
    if (last.length === this.#lastLength) return last;
    return Buffer.from(last.buffer, last.byteOffset, this.#lastLength);
  }
}

function flushLater(outlet: Outlet): void {
  outlet.flush();
}
