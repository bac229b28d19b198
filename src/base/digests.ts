// A set of texts that takes little memory whatever their length: it holds their digests.
import { createHash } from 'node:crypto';

export class Digests {
  readonly #held = new Set<string>();

  get size(): number {
    return this.#held.size;
  }

  add(text: string): void {
    this.#held.add(digest(text));
  }

  delete(text: string): void {
    this.#held.delete(digest(text));
  }

  has(text: string): boolean {
    return this.#held.size > 0 && this.#held.has(digest(text));
  }
}

/** Twenty characters of one byte each, another for every text. */
export function digest(text: string): string {
  return createHash('sha1').update(text).digest('binary');
}
