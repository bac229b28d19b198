// What servers have said out of turn (notifications, notices, settings) and the client cannot take yet.

const mostBytes = 1_000_000;
const none: readonly Buffer[] = [];

export class Strays {
  #frames: Buffer[] = [];
  #bytes = 0;

  /** So much waits that whoever says more should wait, too. */
  get burdened(): boolean {
    return this.#bytes > mostBytes;
  }

  /** @param frame may be overwritten afterwards: what is kept is a copy */
  keep(frame: Buffer): void {
    this.#frames.push(Buffer.from(frame));
    this.#bytes += frame.length;
  }

  /** All that waits, in order; nothing waits then. */
  take(): readonly Buffer[] {
    if (this.#bytes === 0) return none;
    const frames = this.#frames;
    this.#frames = [];
    this.#bytes = 0;
    return frames;
  }
}
