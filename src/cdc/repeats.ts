// What happens again and again does not pass by itself.

const most = 5;

/** Counts what happens in a row, as far as each belongs to the one before. */
export class Repeats<Event> {
  readonly #belongs: (before: Event, now: Event) => boolean;
  #count = 0;
  #before: Event | undefined;

  constructor(belongs: (before: Event, now: Event) => boolean) {
    this.#belongs = belongs;
  }

  /** Notes another. @returns whether to try again: not after five in a row */
  again(now: Event): boolean {
    this.#count = this.#before !== undefined && this.#belongs(this.#before, now) ? this.#count + 1 : 1;
    this.#before = now;
    return this.#count <= most;
  }
}
