// How long is waited for what is on its way when a stream is to stop: that must not take long, and nothing is lost if it is cut off.

const mostMs = 3_000;

export class Patience implements Disposable {
  readonly #signal: AbortSignal;
  readonly #begin = () => this.begin();
  readonly #cutOff: () => void;
  #timer: NodeJS.Timeout | undefined;
  #end: () => void = () => undefined;
  readonly #over = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  /**
   * Begins when the signal is aborted.
   * @param cutOff breaks off what does not answer, or waits for somebody
   */
  constructor(signal: AbortSignal, cutOff: () => void) {
    this.#signal = signal;
    this.#cutOff = cutOff;
    if (signal.aborted) this.begin();
    else signal.addEventListener('abort', this.#begin, { once: true });
  }

  begin(): void {
    this.#timer ??= setTimeout(() => {
      this.#cutOff();
      this.#end();
    }, mostMs);
  }

  /** Waits for that as long as there is patience. @param work that does not fail */
  async with(work: Promise<void> | null): Promise<void> {
    if (work === null) return;
    this.begin();
    await Promise.race([work, this.#over]);
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#begin);
    clearTimeout(this.#timer);
  }
}
