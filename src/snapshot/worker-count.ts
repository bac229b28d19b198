// How many workers copy at the same time: one or two at first, then more for as long as more bring more. Pure: the caller has the clock.

const mostAtFirst = 2;
// Long enough to see through the lumps in which rows come.
const windowMs = 2_000;
const growth = 1.5;
// What half as many more must bring, or they only take each other's turns: cores, disks, the lock under which a table grows.
const leastGain = 1.1;
// Then it is tried again: what else the servers do has changed.
const restMs = 60_000;

/** What a copy begins with. */
export interface CopySize {
  /** Whether all that there is to copy is small: then round trips take the time, and all are at work from the beginning. */
  readonly small: boolean;
  /** Tables on the target that get more than a little. */
  readonly tables: number;
}

/**
 * Begins with two, or with one for a single table, and lets half as many more join, each time looking whether more bytes pass than
 * before; where they do not, it goes back and tries again a minute later. Sessions wait for each other where a table grows, and leave
 * its rows in no order, which a key that is built over them then has to be sorted for: on two cores one stream into a table is as
 * fast as two, takes a tenth less of the servers' time, and its key a quarter less.
 */
export class WorkerCount {
  readonly #began: number;
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
   */
  constructor(most: number, now: number, { small, tables }: CopySize) {
    this.#began = now;
    this.#most = most;
    this.#wanted = small ? most : Math.max(1, Math.min(mostAtFirst, tables, most));
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

  /**
   * To be called a few times a second.
   * @param left the share of the whole copy that is still to be done: what ends soon is not worth a trial
   * @returns how many are wanted from now on
   */
  look(now: number, left: number): number {
    if (now - this.#since < windowMs) return this.#wanted;
    const rate = this.#bytes / (now - this.#since);
    this.#since = now;
    this.#bytes = 0;
    const before = this.#before;
    this.#before = null;
    if (before !== null && rate <= before.rate * leastGain) {
      this.#wanted = before.wanted;
      this.#restsUntil = now + restMs;
    } else if (this.#wanted < this.#most && now >= this.#restsUntil && this.#lasts(now, left)) {
      this.#before = { wanted: this.#wanted, rate };
      this.#wanted = Math.min(this.#most, Math.ceil(this.#wanted * growth));
    }
    return this.#wanted;
  }

  /** Whether there is time to try and to gain by it, if the rest goes on as the copy went until now. */
  #lasts(now: number, left: number): boolean {
    return (now - this.#began) * left >= 2 * windowMs * (1 - left);
  }
}
