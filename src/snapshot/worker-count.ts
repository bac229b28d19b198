// How many workers copy at the same time: two at first, then more for as long as more bring more. Pure: the caller has the clock.

const atFirst = 2;
// Long enough to see through the lumps in which rows come.
const windowMs = 2_000;
const growth = 1.5;
// What half as many more must bring, or they only take each other's turns: cores, disks, the lock under which a table grows.
const leastGain = 1.1;
// Then it is tried again: what else the servers do has changed.
const restMs = 60_000;

/**
 * Begins with two and lets half as many more join, each time looking whether more bytes pass than before; where they do not, it goes
 * back and tries again a minute later. Sessions on one table's end wait for each other, so that four on two cores are slower than two.
 */
export class WorkerCount {
  #most: number;
  #wanted: number;
  /** When the present window began, and the bytes that have passed in it. */
  #since: number;
  #bytes = 0;
  /** What was before the present number, while it has to prove itself. */
  #before: { readonly wanted: number; readonly rate: number } | null = null;
  #restsUntil = Number.NEGATIVE_INFINITY;

  /**
   * @param most never more than that
   * @param now milliseconds of a clock that never goes back
   * @param small whether all that there is to copy is small: then round trips take the time, and all are at work from the beginning
   */
  constructor(most: number, now: number, small = false) {
    this.#most = most;
    this.#wanted = small ? most : Math.min(atFirst, most);
    this.#since = now;
  }

  /** Workers that may take a job by now. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Bytes that came through, of all workers. */
  passed(bytes: number): void {
    this.#bytes += bytes;
  }

  /** No more than that can be had. */
  limit(most: number): void {
    this.#most = Math.max(1, Math.min(this.#most, most));
    if (this.#wanted <= this.#most) return;
    this.#wanted = this.#most;
    this.#before = null;
  }

  /** To be called a few times a second. @returns how many are wanted from now on */
  look(now: number): number {
    if (now - this.#since < windowMs) return this.#wanted;
    const rate = this.#bytes / (now - this.#since);
    this.#since = now;
    this.#bytes = 0;
    const before = this.#before;
    this.#before = null;
    if (before !== null && rate <= before.rate * leastGain) {
      this.#wanted = before.wanted;
      this.#restsUntil = now + restMs;
    } else if (this.#wanted < this.#most && now >= this.#restsUntil) {
      this.#before = { wanted: this.#wanted, rate };
      this.#wanted = Math.min(this.#most, Math.ceil(this.#wanted * growth));
    }
    return this.#wanted;
  }
}
