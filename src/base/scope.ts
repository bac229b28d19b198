// Several long-lived tasks as one: the first to fail stops its siblings, cleanups run in reverse, nothing floats.
import { setMaxListeners } from 'node:events';

export class Scope implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  readonly #cleanups: (() => unknown)[] = [];
  readonly #release: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param parent stopping it stops this scope */
  constructor(parent?: AbortSignal) {
    // Every connection of a task listens to it; that is no leak.
    setMaxListeners(0, this.#controller.signal);
    if (parent === undefined) return;
    const stop = () => this.#controller.abort(parent.reason);
    if (parent.aborted) stop();
    else {
      parent.addEventListener('abort', stop, { once: true });
      this.#release = () => parent.removeEventListener('abort', stop);
    }
  }

  /** Aborted when the scope stops, for whatever reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts a task; if it throws, its siblings are stopped and `join` throws its error. */
  run(task: (signal: AbortSignal) => Promise<void>): void {
    const running = task(this.signal).catch((error: unknown) => {
      this.#failure ??= { error };
      this.stop(error);
    });
    this.#tasks.add(running);
    void running.finally(() => this.#tasks.delete(running));
  }

  /** Runs at dispose, last added first. */
  defer(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  /** Asks every task to stop. */
  stop(reason?: unknown): void {
    if (!this.signal.aborted) this.#controller.abort(reason);
  }

  /** Waits until all tasks ended; throws the first failure. */
  async join(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Stops the tasks, waits for them and runs the cleanups in reverse; a cleanup that throws does not keep the others from running. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#release?.();
    const failures: unknown[] = [];
    for (const cleanup of this.#cleanups.splice(0).reverse()) {
      try {
        await cleanup();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures, 'cleanup failed');
  }
}
