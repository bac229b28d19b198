// What SET and RESET have said in a session, so that every upstream hears it before it is asked anything.

/** A statement that every upstream must hear, in the client's encoding. */
export interface Setting {
  /** Counts up; an upstream has heard all up to some number. */
  readonly number: number;
  readonly text: Buffer;
}

/** Whether it only takes back what may have been said before. */
export const isReset = ({ text }: Setting): boolean => /^\s*reset\b/i.test(text.toString('latin1', 0, 100));

type Tentative =
  | { readonly kind: 'set'; readonly key: string; readonly text: Buffer }
  | { readonly kind: 'savepoint'; readonly name: string };

export class Settings {
  readonly #settings = new Map<string, Setting>();
  #tentative: Tentative[] = [];
  #last = 0;

  /** The number of the newest setting. */
  get last(): number {
    return this.#last;
  }

  /** What an upstream that has heard all up to `heard` has yet to hear, in order. */
  after(heard: number): readonly Setting[] {
    if (heard >= this.#last) return [];
    return [...this.#settings.values()].filter(({ number }) => number > heard);
  }

  /** Holds for the session from now on. `all` is RESET ALL. */
  hold(key: string, text: Buffer): void {
    if (key === 'all') {
      for (const each of this.#settings.keys()) if (!outlastsResetAll(each)) this.#settings.delete(each);
    }
    // Taken out and put in again, so that the order is that of the last word on each.
    this.#settings.delete(key);
    this.#last += 1;
    this.#settings.set(key, { number: this.#last, text });
  }

  /** Said inside a transaction: holds if that commits. */
  holdIfCommitted(key: string, text: Buffer): void {
    const since = this.#tentative.findLastIndex(({ kind }) => kind === 'savepoint') + 1;
    // The last word on each is enough, up to the savepoint that would bring an older one back.
    const older = this.#tentative.findIndex((each, i) => i >= since && each.kind === 'set' && each.key === key);
    if (older >= 0) this.#tentative.splice(older, 1);
    this.#tentative.push({ kind: 'set', key, text });
  }

  savepoint(name: string): void {
    this.#tentative.push({ kind: 'savepoint', name });
  }

  /** Everything said since the savepoint is undone. */
  rollbackTo(name: string): void {
    const at = this.#tentative.findLastIndex((each) => each.kind === 'savepoint' && each.name === name);
    if (at >= 0) this.#tentative.length = at + 1;
  }

  /** The transaction is over. */
  end(committed: boolean): void {
    const said = this.#tentative;
    this.#tentative = [];
    if (!committed) return;
    for (const each of said) if (each.kind === 'set') this.hold(each.key, each.text);
  }

  /** DISCARD ALL. */
  clear(): void {
    this.#settings.clear();
    this.#tentative = [];
  }
}

// https://www.postgresql.org/docs/18/sql-reset.html: roles are no settings for RESET ALL, and what is no setting stays as well.
function outlastsResetAll(key: string): boolean {
  return key === 'role' || key === 'session_authorization' || /^(discard|deallocate|close) /.test(key);
}
