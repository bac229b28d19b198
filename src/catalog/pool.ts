// A few connections to the catalog, shared: made when needed, thrown away when lost, made again after a restart.
import { setMaxListeners } from 'node:events';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { pause } from '../base/retry.ts';
import type { Connection } from '../pg/client.ts';

export interface PoolDeps {
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
  /** Connections at once; who comes later waits. */
  readonly max: number;
  /** How long a connection is tried for before its error is thrown, in milliseconds. */
  readonly patienceMs: number;
}

export class Pool implements AsyncDisposable {
  readonly #deps: PoolDeps;
  readonly #idle: Connection[] = [];
  readonly #open = new Set<Connection>();
  readonly #waiting: (() => void)[] = [];
  readonly #closed = new AbortController();
  #taken = 0;

  constructor(deps: PoolDeps) {
    this.#deps = deps;
    setMaxListeners(0, this.#closed.signal);
  }

  /**
   * Lends a connection to `work` and takes it back.
   * @throws `unreachable` or the server's error if none can be made in time, `stopped` after the pool was closed
   */
  async use<T>(work: (db: Connection) => Promise<T>): Promise<T> {
    await this.#turn();
    let connection: Connection | undefined;
    try {
      connection = this.#idle.pop() ?? (await this.#connect());
      while (connection.lost.aborted) connection = this.#idle.pop() ?? (await this.#connect());
      return await work(connection);
    } finally {
      if (connection !== undefined) this.#back(connection);
      this.#taken--;
      this.#waiting.shift()?.();
    }
  }

  /** Lends a connection with a transaction on it; commits when `work` returns, rolls back when it throws. */
  transaction<T>(work: (db: Connection) => Promise<T>): Promise<T> {
    return this.use((db) => db.transaction(() => work(db)));
  }

  async #turn(): Promise<void> {
    while (this.#taken >= this.#deps.max) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#closed.signal.aborted) {
      this.#waiting.shift()?.();
      throw new SluiceError('stopped', 'the catalog is closed');
    }
    this.#taken++;
  }

  #back(connection: Connection): void {
    if (this.#closed.signal.aborted || connection.lost.aborted) connection.destroy();
    else this.#idle.push(connection);
  }

  async #connect(): Promise<Connection> {
    const deadline = Date.now() + this.#deps.patienceMs;
    for (;;) {
      try {
        const connection = await this.#deps.connect(this.#closed.signal);
        this.#open.add(connection);
        connection.lost.addEventListener('abort', () => this.#open.delete(connection), { once: true });
        return connection;
      } catch (error) {
        if (toSluiceError(error).retry !== 'backoff' || Date.now() > deadline) throw error;
        await pause(100, this.#closed.signal);
      }
    }
  }

  /** Closes every connection; who uses one gets `connection_lost`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    for (const wake of this.#waiting.splice(0)) wake();
    await Promise.all([...this.#open].map((connection) => connection.close()));
  }
}
