// Work on the target after the load, by several connections side by side, each taking the next that is left.
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

/** Connections to the target that go from one task to the next: opening one costs as much as making some tables' indexes. */
export class Crew implements AsyncDisposable {
  readonly work: MirrorWork;
  readonly #idle: Connection[] = [];

  constructor(work: MirrorWork) {
    this.work = work;
  }

  async take(signal: AbortSignal): Promise<Connection> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) if (!idle.lost.aborted) return idle;
    const target = await connectPeer(this.work.target, { application: applicationName('finish', this.work) }, signal);
    await target.run(sql`set maintenance_work_mem = '256MB'; set synchronous_commit = off`);
    return target;
  }

  /** @param target one that has no transaction open */
  give(target: Connection): void {
    this.#idle.push(target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((target) => target.close()));
  }
}

/** Runs all, first ones first, on as many connections as the mirror may have; the first failure stops the others. */
export async function inParallel<T>(
  crew: Crew,
  items: readonly T[],
  run: (target: Connection, item: T) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await onConnections(crew, items, { run, connections: crew.work.options.snapshot_num_tables_in_parallel }, signal);
}

/** The same, one after another. */
export async function inTurn<T>(
  crew: Crew,
  items: readonly T[],
  run: (target: Connection, item: T) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await onConnections(crew, items, { run, connections: 1 }, signal);
}

async function onConnections<T>(
  crew: Crew,
  items: readonly T[],
  how: { readonly run: (target: Connection, item: T) => Promise<void>; readonly connections: number },
  signal: AbortSignal,
): Promise<void> {
  if (items.length === 0) return;
  await using scope = new Scope(signal);
  const left = [...items];
  for (let i = 0; i < Math.min(items.length, how.connections); i++) {
    scope.run(async (stop) => {
      const target = await crew.take(signal);
      // Another has failed: what this one is at is not waited for.
      const end = () => target.destroy();
      stop.addEventListener('abort', end, { once: true });
      try {
        for (let item = left.shift(); item !== undefined; item = left.shift()) {
          throwIfStopped(stop);
          await how.run(target, item);
        }
      } catch (error) {
        await target.close();
        throw error;
      } finally {
        stop.removeEventListener('abort', end);
      }
      crew.give(target);
    });
  }
  await scope.join();
  throwIfStopped(signal);
}
