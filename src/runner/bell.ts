// A bell: whoever waits wakes when it rings; a ring that nobody heard is kept for the next who waits.

export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Ends at the next ring, after `ms` or when stopped, whichever is first; never throws. One waits at a time. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        const stop = () => resolve();
        signal.addEventListener('abort', stop, { once: true });
        this.#wake = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', stop);
          resolve();
        };
      });
      this.#wake?.();
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}
