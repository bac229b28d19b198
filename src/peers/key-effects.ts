// What became of many rows, by their keys: in columns of numbers, as an object for each of millions would keep the sweeper busy.
import type { RowAt } from './pgoutput.ts';

// One entry's numbers: whether the row was there before, then where its key, the row as it is after, and the row as it went stand:
// which buffer (none: -1), and the place in it.
const width = 7;
const keyPlace = 1;
const afterPlace = 3;
const lastPlace = 5;

// There may be a thousand tables in a batch, with a few rows each.
const leastCapacity = 32;
// More than that is not kept for others.
const mostKept = 65_536;
const mostSpare = 8;

/** Entries by key, in the order in which they were added. An entry goes by its number, from 0. */
export class KeyEffects {
  #size = 0;
  #capacity = leastCapacity;
  #numbers = new Int32Array(leastCapacity * width);
  /** Of entries whose key is a number. */
  #keys = new Float64Array(leastCapacity);
  /** Entries by the hash of such a key: their number and one, 0 for none. */
  #index = new Int32Array(leastCapacity * 2);
  readonly #texts = new Map<string, number>();
  /** What rows lie in: the same several times where changes came in turns. */
  readonly #buffers: Buffer[] = [];

  get size(): number {
    return this.#size;
  }

  /** The entry of a key, or -1. */
  find(key: string | number): number {
    if (typeof key === 'string') return this.#texts.get(key) ?? -1;
    const mask = this.#index.length - 1;
    for (let at = hash(key) & mask; ; at = (at + 1) & mask) {
      const entry = this.#index[at]! - 1;
      if (entry < 0 || this.#keys[entry] === key) return entry;
    }
  }

  /**
   * Adds an entry for a key that has none: of a row that holds the key, and is there after; `remove` it where it is not.
   * @param before whether the target has a row of that key
   */
  add(key: string | number, buffer: Buffer, row: RowAt, before: boolean): number {
    if (this.#size === this.#capacity) this.#grow();
    const entry = this.#size++;
    const at = entry * width;
    this.#numbers[at] = before ? 1 : 0;
    this.#put(at + keyPlace, buffer, row);
    this.#put(at + afterPlace, buffer, row);
    this.#numbers[at + lastPlace] = -1;
    if (typeof key === 'string') {
      // No number is equal to it.
      this.#keys[entry] = Number.NaN;
      this.#texts.set(key, entry);
    } else {
      this.#keys[entry] = key;
      this.#enter(entry, key);
    }
    return entry;
  }

  /** The row is another after. */
  set(entry: number, buffer: Buffer, row: RowAt): void {
    this.#put(entry * width + afterPlace, buffer, row);
    this.#numbers[entry * width + lastPlace] = -1;
  }

  /** The row is gone after. @param keeps whether it matters what it was */
  remove(entry: number, keeps: boolean): void {
    const at = entry * width;
    this.#numbers[at + lastPlace] = keeps ? this.#numbers[at + afterPlace]! : -1;
    this.#numbers[at + lastPlace + 1] = this.#numbers[at + afterPlace + 1]!;
    this.#numbers[at + afterPlace] = -1;
  }

  /** Whether the target has the row. */
  wasThere(entry: number): boolean {
    return this.#numbers[entry * width] === 1;
  }

  /** What the row is after lies in; null: it is gone. */
  bufferAfter(entry: number): Buffer | null {
    return this.#bufferAt(entry * width + afterPlace);
  }

  rowAfter(entry: number): RowAt {
    return this.#numbers[entry * width + afterPlace + 1]!;
  }

  /** What a row that holds the key lies in. */
  bufferOfKey(entry: number): Buffer {
    return this.#bufferAt(entry * width + keyPlace)!;
  }

  rowOfKey(entry: number): RowAt {
    return this.#numbers[entry * width + keyPlace + 1]!;
  }

  /** What the row as it went lies in; null: it is there, or it does not matter, or it is as the target has it. */
  bufferOfLast(entry: number): Buffer | null {
    return this.#bufferAt(entry * width + lastPlace);
  }

  rowOfLast(entry: number): RowAt {
    return this.#numbers[entry * width + lastPlace + 1]!;
  }

  /** Empties it for others. It must not be used any more. */
  free(): void {
    if (this.#capacity > mostKept || spare.length >= mostSpare || spare.includes(this)) return;
    this.#size = 0;
    this.#index.fill(0);
    this.#texts.clear();
    this.#buffers.length = 0;
    spare.push(this);
  }

  #put(at: number, buffer: Buffer, row: RowAt): void {
    let last = this.#buffers.length - 1;
    if (this.#buffers[last] !== buffer) last = this.#buffers.push(buffer) - 1;
    this.#numbers[at] = last;
    this.#numbers[at + 1] = row;
  }

  #bufferAt(at: number): Buffer | null {
    return this.#buffers[this.#numbers[at]!] ?? null;
  }

  #enter(entry: number, key: number): void {
    const mask = this.#index.length - 1;
    let at = hash(key) & mask;
    while (this.#index[at] !== 0) at = (at + 1) & mask;
    this.#index[at] = entry + 1;
  }

  #grow(): void {
    this.#capacity *= 2;
    const [numbers, keys] = [this.#numbers, this.#keys];
    this.#numbers = new Int32Array(this.#capacity * width);
    this.#numbers.set(numbers);
    this.#keys = new Float64Array(this.#capacity);
    this.#keys.set(keys);
    this.#index = new Int32Array(this.#capacity * 2);
    for (let entry = 0; entry < this.#size; entry++) {
      const key = keys[entry]!;
      if (!Number.isNaN(key)) this.#enter(entry, key);
    }
  }
}

const spare: KeyEffects[] = [];

/** An empty one. */
export function keyEffects(): KeyEffects {
  return spare.pop() ?? new KeyEffects();
}

// Of a whole number; all its 53 bits count. (The finalizer of MurmurHash3.)
function hash(key: number): number {
  let mixed = (key | 0) ^ Math.imul((key / 0x1_0000_0000) | 0, 0x9e37_79b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}
