// Work on the target beside the rows, by several connections side by side, each taking the next that is left.
import { toSluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

// Of the target's memory, for the builds of all sessions together: 5 million short keys are sorted in half of it without a disk.
const memoryMb = 1024;
const leastMemoryMb = 256;
const tooManyConnections = '53300';

/** Connections to the target that go from one task to the next: opening one costs as much as making some tables' indexes. */
export class Crew implements AsyncDisposable {
  readonly work: MirrorWork;
  readonly #idle: Connection[] = [];
  /** What a session may take for a build, in MB. */
  readonly #memory = new WeakMap<Connection, number>();

  readonly #purpose: 'prepare' | 'finish';
  readonly #note: (message: string) => Promise<void>;
  readonly #lent: Connection | undefined;
  #isShort = false;
  /** Taken and not given back. */
  #atWork = 0;
  /** Who waits for one to be given back. */
  readonly #waiting = new Set<() => void>();

  /**
   * @param note told once that the target gives fewer sessions than wanted
   * @param how `purpose`: see applicationName; `lent`: one that is at work with the others and is not closed with them
   */
  constructor(
    work: MirrorWork,
    note: (message: string) => Promise<void>,
    how: { readonly purpose: 'prepare' | 'finish'; readonly lent?: Connection },
  ) {
    this.work = work;
    this.#note = note;
    this.#purpose = how.purpose;
    this.#lent = how.lent;
    if (how.lent !== undefined) this.#idle.push(how.lent);
  }

  /**
   * As many as the target gives, at least one: if it gives none while others of the crew are at work, the next that is through.
   * @throws as connectPeer, if there is none
   */
  async takeSome(wanted: number, signal: AbortSignal): Promise<readonly Connection[]> {
    for (;;) {
      const atWork = this.#atWork;
      const taken = await Promise.allSettled(Array.from({ length: wanted }, () => this.take(signal)));
      const there = taken.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      const failure = taken.find((each) => each.status === 'rejected');
      if (failure === undefined) return there;
      const isFull = toSluiceError(failure.reason).sqlstate === tooManyConnections;
      if (!isFull || (there.length === 0 && atWork === 0)) {
        for (const each of there) this.give(each);
        throw failure.reason;
      }
      if (there.length > 0) {
        await this.#tellShort(there.length, wanted, failure.reason);
        return there;
      }
      if (this.#idle.length === 0 && this.#atWork > 0) await this.#oneIsThrough(signal);
      throwIfStopped(signal);
    }
  }

  async #tellShort(given: number, wanted: number, why: unknown): Promise<void> {
    if (this.#isShort) return;
    this.#isShort = true;
    await this.#note(`the target gives ${given} of ${wanted} sessions to make objects: ${toSluiceError(why).message}`);
  }

  #oneIsThrough(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        this.#waiting.delete(go);
        signal.removeEventListener('abort', go);
        resolve();
      };
      this.#waiting.add(go);
      signal.addEventListener('abort', go, { once: true });
    });
  }

  async take(signal: AbortSignal): Promise<Connection> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.lost.aborted) continue;
      this.#atWork++;
      return idle;
    }
    const target = await connectPeer(
      this.work.target,
      { application: applicationName(this.#purpose, this.work) },
      signal,
    );
    await target.run(sql`set synchronous_commit = off`);
    this.#atWork++;
    return target;
  }

  /** Lets a session sort in its share of the memory, if as many are at work at the same time; or in what the server gives by itself. */
  async share(target: Connection, sessions: number): Promise<void> {
    const megabytes = Math.max(leastMemoryMb, Math.floor(memoryMb / sessions));
    if (this.#memory.get(target) === megabytes) return;
    this.#memory.set(target, megabytes);
    await target.run(sql`reset maintenance_work_mem`);
    await target.run(sql`select pg_catalog.set_config('maintenance_work_mem', ${`${megabytes}MB`}, false)
      where pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) < ${megabytes * 1024 * 1024}`);
  }

  /** @param target one that was taken and has no transaction open, or is closed */
  give(target: Connection): void {
    this.#atWork--;
    this.#idle.push(target);
    for (const go of [...this.#waiting]) go();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const own = this.#idle.splice(0).filter((target) => target !== this.#lent);
    await Promise.all(own.map((target) => target.close()));
  }
}

/** Runs all, first ones first, on as many connections as the mirror may have; the first failure stops the others. */
export async function inParallel<T>(
  crew: Crew,
  items: readonly T[],
  run: (target: Connection, item: T) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const connections = Math.min(items.length, crew.work.options.snapshot_num_tables_in_parallel);
  const share = async (target: Connection, item: T) => {
    await crew.share(target, connections);
    await run(target, item);
  };
  await onConnections(crew, items, { run: share, connections }, signal);
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
  for (const target of await crew.takeSome(Math.min(items.length, how.connections), signal)) {
    scope.run(async (stop) => {
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
        crew.give(target);
      }
    });
  }
  await scope.join();
  throwIfStopped(signal);
}
