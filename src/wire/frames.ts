// A byte stream from a client cut into messages, whatever pieces it arrives in and however long they say they are.
import { SluiceError } from '../base/errors.ts';

// Every message is a type byte (none in the startup phase), a length that counts itself, and a body.
// https://www.postgresql.org/docs/18/protocol-message-formats.html

/** A message, or for COPY data a run of bytes that is passed on as it is. */
export type Frame =
  | MessageFrame
  /** CopyData bytes; `begins` when the run starts with a message's head, otherwise it goes on inside one. */
  | { readonly kind: 'copy'; readonly raw: Buffer; readonly begins: boolean };

/** A whole message. */
export class MessageFrame {
  readonly kind = 'message';
  /** 0 in the startup phase. */
  readonly type: number;
  readonly raw: Buffer;
  /** Where in `raw` the body begins. */
  readonly bodyAt: number;

  constructor(type: number, raw: Buffer, bodyAt: number) {
    this.type = type;
    this.raw = raw;
    this.bodyAt = bodyAt;
  }

  get body(): Buffer {
    return this.raw.subarray(this.bodyAt);
  }
}

export const frontend = {
  bind: code('B'),
  close: code('C'),
  copyData: code('d'),
  copyDone: code('c'),
  copyFail: code('f'),
  describe: code('D'),
  execute: code('E'),
  flush: code('H'),
  functionCall: code('F'),
  parse: code('P'),
  password: code('p'),
  query: code('Q'),
  sync: code('S'),
  terminate: code('X'),
} as const;

/** The byte of a message type. */
export function code(letter: string): number {
  return letter.charCodeAt(0);
}

/** PostgreSQL's limits: a startup packet, a SASL message, a short message, any message (1 GB - 1). */
export const frameLimits = { startup: 10_000, password: 1_024, short: 10_000, long: 0x3fffffff } as const;

const longMessages: ReadonlySet<number> = new Set([
  frontend.bind,
  frontend.copyData,
  frontend.functionCall,
  frontend.parse,
  frontend.query,
]);
const knownMessages: ReadonlySet<number> = new Set(Object.values(frontend));

/** What the reader expects next: untyped startup packets, only the answers of a login, or the whole protocol. */
export type Phase = 'startup' | 'password' | 'session';

const manyChunks = 1_000;
const smallChunk = 1_000;

/** Takes chunks, gives frames. Memory is taken as bytes arrive, never by what a length announces. */
export class FrameReader {
  #phase: Phase = 'startup';
  readonly #chunks: Buffer[] = [];
  /** Where in the first chunk that begins which nobody has taken. */
  #at = 0;
  #length = 0;
  #copyRest = 0;
  readonly #longest: number;

  /** @param longest most bytes of a message after login */
  constructor(longest: number = frameLimits.long) {
    this.#longest = Math.min(longest, frameLimits.long);
  }

  set phase(phase: Phase) {
    this.#phase = phase;
  }

  /** Bytes that wait for the rest of their message. */
  get buffered(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    // A buffer costs more than the few bytes in it: a message that drips in is put together as it comes.
    if (this.#chunks.length >= manyChunks && this.#length < this.#chunks.length * smallChunk) {
      this.#chunks[0] = this.#chunks[0]!.subarray(this.#at);
      this.#at = 0;
      this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks, this.#length));
    }
  }

  /** The next frame, or undefined until more bytes arrive. @throws `protocol` (08P01) at a length or type that cannot be */
  next(): Frame | undefined {
    if (this.#copyRest > 0) return this.#copy(false);
    const headLength = this.#phase === 'startup' ? 4 : 5;
    if (this.#length < headLength) return undefined;
    const type = this.#phase === 'startup' ? 0 : this.#chunks[0]![this.#at]!;
    const length = this.#lengthAt(headLength - 4);
    this.#check(type, length);
    const whole = length + headLength - 4;
    if (type === frontend.copyData && this.#phase === 'session') {
      this.#copyRest = whole;
      return this.#copy(true);
    }
    if (this.#length < whole) return undefined;
    return new MessageFrame(type, this.#take(whole), headLength);
  }

  #check(type: number, length: number): void {
    if (this.#phase !== 'startup' && !knownMessages.has(type)) {
      throw new SluiceError('protocol', `invalid frontend message type ${type}`);
    }
    if (this.#phase === 'password' && type !== frontend.password && type !== frontend.terminate) {
      throw new SluiceError('protocol', `expected password response, got message type ${type}`);
    }
    const limit =
      this.#phase !== 'session'
        ? frameLimits[this.#phase]
        : longMessages.has(type)
          ? this.#longest
          : Math.min(frameLimits.short, this.#longest);
    // A startup packet holds at least its code.
    const least = this.#phase === 'startup' ? 8 : 4;
    if (length < least || length > limit) {
      throw new SluiceError('protocol', 'invalid message length', {
        detail: `The message announces ${length} bytes; from ${least} to ${limit} are taken here.`,
      });
    }
  }

  /** What is there of the CopyData message that has begun. */
  #copy(begins: boolean): Frame | undefined {
    const count = Math.min(this.#copyRest, (this.#chunks[0]?.length ?? 0) - this.#at);
    if (count <= 0) return undefined;
    this.#copyRest -= count;
    return { kind: 'copy', raw: this.#take(count), begins };
  }

  /** The length that stands so many bytes behind the first that waits. */
  #lengthAt(offset: number): number {
    const first = this.#chunks[0]!;
    if (first.length - this.#at >= offset + 4) return first.readUInt32BE(this.#at + offset);
    // No chunk is empty: the head lies in as many chunks as it has bytes, or in fewer.
    const rest = this.#chunks.slice(1, offset + 4).map((chunk) => chunk.subarray(0, offset + 4));
    return Buffer.concat([first.subarray(this.#at), ...rest]).readUInt32BE(offset);
  }

  #take(count: number): Buffer {
    this.#length -= count;
    const first = this.#chunks[0]!;
    const end = this.#at + count;
    if (first.length > end) {
      const part = first.subarray(this.#at, end);
      this.#at = end;
      return part;
    }
    const parts = [this.#at === 0 ? first : first.subarray(this.#at)];
    let missing = end - first.length;
    let used = 1;
    this.#at = 0;
    while (missing > 0) {
      const chunk = this.#chunks[used]!;
      if (chunk.length > missing) {
        parts.push(chunk.subarray(0, missing));
        this.#at = missing;
        missing = 0;
      } else {
        parts.push(chunk);
        missing -= chunk.length;
        used += 1;
      }
    }
    this.#chunks.splice(0, used);
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, count);
  }
}
