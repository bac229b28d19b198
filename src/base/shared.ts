// Holds what is equal once: the columns, keys and schemas of ten thousand tables that are alike.

const nothing: readonly never[] = Object.freeze([]);

/** For values that nobody changes. Lives as long as one reading; what it gave lives on its own. */
export class Shared {
  readonly #values = new Map<string, unknown>();
  readonly #texts = new Map<string, string>();

  /** The first value that was equal to this one, as JSON has it. */
  of<T>(value: T): T {
    if (Array.isArray(value) && value.length === 0) return nothing as unknown as T;
    return this.make(JSON.stringify(value), () => value);
  }

  /** What was made under this key, else what `make` gives now. */
  make<T>(key: string, make: () => T): T {
    const known = this.#values.get(key);
    if (known !== undefined) return known as T;
    const made = make();
    this.#values.set(key, made);
    return made;
  }

  /** The same text; equal ones take their place in memory once. */
  text(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    this.#texts.set(text, text);
    return text;
  }
}
