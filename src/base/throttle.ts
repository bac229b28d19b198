// A limit of bytes per second that several share: who took more than time has allowed waits, and the limit may change meanwhile.
import { pause } from './retry.ts';

// A short burst evens out that bytes come in lumps; it is what may pass at once after an idle while.
const burstSeconds = 0.1;
// Waits are that short, so that another limit takes hold soon.
const longestWaitMs = 200;

export class Throttle {
  readonly #now: () => number;
  #limit: number | null;
  /** All bytes that were taken, and how many of them time has allowed. */
  #taken = 0;
  #allowed = 0;
  #at: number;

  /** @param now a clock in milliseconds that never goes back */
  constructor(limit: number | null, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#limit = limit;
    this.#at = now();
  }

  /** Bytes per second; null: none. */
  get limit(): number | null {
    return this.#limit;
  }

  /** Holds from now on, for those who wait already as well. */
  set(limit: number | null): void {
    this.#settle();
    this.#limit = limit;
  }

  /** Takes bytes that have passed. @returns the place in the row to wait for; see `waitMs` */
  take(bytes: number): number {
    this.#settle();
    this.#taken += bytes;
    return this.#taken;
  }

  /** How long until that place is allowed at the present limit; 0: now. */
  waitMs(place: number): number {
    this.#settle();
    if (this.#limit === null || place <= this.#allowed) return 0;
    return ((place - this.#allowed) / this.#limit) * 1_000;
  }

  /**
   * Takes bytes and says when the next may come; undefined: at once. The wait ends by `stopped` when the signal is aborted.
   */
  pass(bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    const place = this.take(bytes);
    return this.waitMs(place) > 0 ? this.#wait(place, signal) : undefined;
  }

  async #wait(place: number, signal: AbortSignal | undefined): Promise<void> {
    for (let ms = this.waitMs(place); ms > 0; ms = this.waitMs(place)) {
      await pause(Math.min(longestWaitMs, Math.ceil(ms)), signal);
    }
  }

  #settle(): void {
    const now = this.#now();
    const limit = this.#limit ?? Number.POSITIVE_INFINITY;
    const most = this.#taken + (this.#limit ?? 0) * burstSeconds;
    // Without a limit whatever was taken is allowed; without time nothing more is.
    const grown = this.#limit === null ? this.#taken : this.#allowed + (limit * (now - this.#at)) / 1_000;
    this.#allowed = Math.min(most, grown);
    this.#at = now;
  }
}
