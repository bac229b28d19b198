// A bell: whoever waits is woken by the next ring, and a ring that nobody waits for is not lost.

export class Wake {
  #rung = false;
  #waiting: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#waiting?.();
  }

  /** Resolves at the next ring (or one since the last wait), or after `ms`. One may wait at a time. */
  async wait(ms: number | null): Promise<void> {
    if (!this.#rung) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        if (ms !== null) timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
      this.#waiting = undefined;
    }
    this.#rung = false;
  }
}
