// Copies large objects under the snapshot of the rows that refer to them: many small ones at once, a large one in bounded memory.
import { SluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import type { ObjectLine } from '../mirror/object.ts';
import { holdToken, readCheckpoint } from '../peers/checkpoint.ts';
import {
  copyLargeObjectsOut,
  createLargeObjects,
  ensureLargeObjectsTable,
  forgetLargeObjects,
  hasLargeObjects,
  neverHadLargeObjects,
  readCopiedLargeObjects,
  readLargeObjects,
  recordLargeObjects,
  takenLargeObjects,
  unlinkLargeObjects,
  waitingRows,
} from '../peers/large-objects.ts';
import type { Connection } from '../pg/client.ts';
import { relayCopy } from '../pg/copy.ts';
import { formatLsn, type Lsn } from '../pg/lsn.ts';
import type { WorkerPair } from './copy-parts.ts';
import type { SnapshotDeps } from './deps.ts';
import { SharedSnapshot } from './shared.ts';
import type { HeldSnapshot } from './slot.ts';
import type { Sides } from './start.ts';
import { during } from './trees.ts';
import { openWorker } from './worker.ts';

/** What one transaction brings. */
interface Batch {
  readonly objects: readonly { readonly oid: number; readonly size: number }[];
  readonly bytes: number;
}

const mostObjects = 1_000;
const mostBytes = 16 * 1024 * 1024;
const namesShown = 20;

/**
 * Brings every large object of the source that is not on the target yet. May be killed anywhere and called again under another
 * snapshot: what was brought since the stream's beginning stays, as the ledger says. Without a stream all is brought anew, so
 * that it is of one point in time.
 * @throws `wrong_state` if OIDs are taken on the target
 */
export async function copyLargeObjects(
  deps: SnapshotDeps,
  { held, sides }: { readonly held: HeldSnapshot; readonly sides: Sides },
  signal: AbortSignal,
): Promise<void> {
  const before = await readCopiedLargeObjects(sides.target, deps.work);
  if (before.size === 0 && (await neverHadLargeObjects(sides.source))) return;
  await using scope = new Scope(signal);
  const snapshot = new SharedSnapshot(held.name);
  const first = await openWorker(deps, snapshot, scope.signal);
  scope.defer(() => first[Symbol.asyncDispose]());
  if (before.size === 0 && !(await hasLargeObjects(first.source))) return;
  await ensureLargeObjectsTable(first.target, deps.work);
  const start = deps.work.slot === null ? null : await readCheckpoint(first.target, deps.work);
  const plan = await planBatches(first.source, keptOf(before, start));
  const gone = [...before.keys()].filter((oid) => !plan.kept.has(oid));
  await remove(deps, first.target, gone);
  await refuseTaken(deps, first.target, plan.batches);
  const telling = new Telling(deps, plan, { held, before });
  await telling.begin();
  const queue = [...plan.batches];
  const work = async (pair: WorkerPair, stop: AbortSignal) => {
    for (let batch = queue.shift(); batch !== undefined; batch = queue.shift()) {
      throwIfStopped(stop);
      await copyBatch(deps, pair, { batch, lsn: held.lsn, telling, signal: stop });
    }
  };
  const others = Math.min(deps.work.options.snapshot_num_tables_in_parallel, queue.length) - 1;
  const pairs = [first];
  for (let i = 0; i < others; i++) {
    const pair = await openWorker(deps, snapshot, scope.signal);
    scope.defer(() => pair[Symbol.asyncDispose]());
    pairs.push(pair);
  }
  for (const pair of pairs) scope.run((stop) => work(pair, stop));
  await scope.join();
  throwIfStopped(signal);
  await telling.end();
}

// What the stream brings begins at `start`; what is older than that would be older than the rows.
function keptOf(before: ReadonlyMap<number, Lsn | null>, start: Lsn | null): ReadonlySet<number> {
  if (start === null) return new Set();
  return new Set([...before].flatMap(([oid, lsn]) => (lsn !== null && lsn >= start ? [oid] : [])));
}

interface BatchPlan {
  /** Largest first. */
  readonly batches: readonly Batch[];
  readonly objects: number;
  readonly bytes: number;
  /** On the target already, and still on the source. */
  readonly kept: ReadonlySet<number>;
  readonly unreadable: readonly number[];
}

async function planBatches(source: Connection, kept: ReadonlySet<number>): Promise<BatchPlan> {
  const batches: Batch[] = [];
  const unreadable: number[] = [];
  const still = new Set<number>();
  let objects: { oid: number; size: number }[] = [];
  let bytes = 0;
  const flush = () => {
    if (objects.length > 0) batches.push({ objects, bytes });
    objects = [];
    bytes = 0;
  };
  for await (const some of readLargeObjects(source)) {
    for (const { oid, size } of some) {
      if (kept.has(oid)) still.add(oid);
      else if (size === null) unreadable.push(oid);
      else {
        if (objects.length === mostObjects || bytes + size > mostBytes) flush();
        objects.push({ oid, size });
        bytes += size;
      }
    }
  }
  flush();
  return {
    batches: batches.toSorted((a, b) => b.bytes - a.bytes),
    objects: batches.reduce((sum, batch) => sum + batch.objects.length, 0),
    bytes: batches.reduce((sum, batch) => sum + batch.bytes, 0),
    kept: still,
    unreadable,
  };
}

// What an earlier try of ours left and is no more, or is to be brought anew.
async function remove({ work }: SnapshotDeps, target: Connection, oids: readonly number[]): Promise<void> {
  for (let at = 0; at < oids.length; at += mostObjects) {
    const some = oids.slice(at, at + mostObjects);
    await target.transaction(async () => {
      await holdToken(target, work);
      await unlinkLargeObjects(target, some);
      await forgetLargeObjects(target, work, some);
    });
  }
}

async function refuseTaken({ work }: SnapshotDeps, target: Connection, batches: readonly Batch[]): Promise<void> {
  const taken = await takenLargeObjects(
    target,
    batches.flatMap(({ objects }) => objects.map(({ oid }) => oid)),
  );
  if (taken.length === 0) return;
  if (!work.options.resync) {
    throw new SluiceError('wrong_state', `large object ${taken[0]} exists on the target`, {
      detail: `Rows refer to large objects by OID, and these are taken: ${firstOids(taken)}.`,
      hint: 'Remove them (lo_unlink), or have them replaced: resync = true.',
    });
  }
  for (let at = 0; at < taken.length; at += mostObjects) {
    const some = taken.slice(at, at + mostObjects);
    await target.transaction(async () => {
      await holdToken(target, work);
      await unlinkLargeObjects(target, some);
    });
  }
}

interface BatchRun {
  readonly batch: Batch;
  readonly lsn: Lsn | null;
  readonly telling: Telling;
  readonly signal: AbortSignal;
}

// All of it with its record, or nothing.
async function copyBatch(
  { work, throttle }: SnapshotDeps,
  { source, target }: WorkerPair,
  { batch, lsn, telling, signal }: BatchRun,
): Promise<void> {
  const oids = batch.objects.map(({ oid }) => oid);
  const waiting = waitingRows(target, work);
  try {
    await target.transaction(async () => {
      await holdToken(target, work);
      await createLargeObjects(target, oids);
      if (batch.bytes > 0) {
        await target.run(waiting.create);
        const relay = { source, sourceSql: copyLargeObjectsOut(batch.objects), target, targetSql: waiting.copyIn };
        const pace = (passed: number) => throttle?.pass(passed, signal);
        await relayCopy({ ...relay, pace, onBytes: (bytes) => telling.more(bytes) }, signal);
        await target.run(waiting.put);
        await target.run(waiting.drop);
      }
      await recordLargeObjects(target, work, { oids, lsn });
    });
  } catch (error) {
    throw during(`cannot copy large objects ${firstOids(oids)}`, error);
  }
}

function firstOids(oids: readonly number[]): string {
  const more = oids.length > namesShown ? `, and ${oids.length - namesShown} more` : '';
  return `${oids.slice(0, namesShown).join(', ')}${more}`;
}

const tellEveryMs = 1_000;

/** What the ledger says of them. */
class Telling {
  readonly #deps: SnapshotDeps;
  readonly #plan: BatchPlan;
  readonly #asOf: Lsn | null;
  #bytes = 0;
  readonly #beganAt = Date.now();
  #told = Date.now();
  #busy: Promise<void> = Promise.resolve();

  constructor(
    deps: SnapshotDeps,
    plan: BatchPlan,
    as: { readonly held: HeldSnapshot; readonly before: ReadonlyMap<number, Lsn | null> },
  ) {
    this.#deps = deps;
    this.#plan = plan;
    const oldest = [...plan.kept].flatMap((oid) => as.before.get(oid) ?? []);
    this.#asOf = oldest.reduce((least: Lsn | null, lsn) => (least === null || lsn < least ? lsn : least), as.held.lsn);
  }

  async begin(): Promise<void> {
    const { unreadable } = this.#plan;
    const lines: ObjectLine[] = [this.#line('making')];
    if (unreadable.length > 0) {
      lines.push({
        ...{ kind: 'large object', schema: '', name: 'unreadable', table: '', stage: 'before', state: 'left_out' },
        reason: `${unreadable.length} large objects cannot be read by our role on the source: ${firstOids(unreadable)}`,
        statement: `grant select on large object ${unreadable.join(', ')} to "${this.#deps.work.source.user.replaceAll('"', '""')}"`,
      });
    }
    await this.#deps.report.objects(lines);
  }

  more(bytes: number): void {
    this.#bytes += bytes;
    if (Date.now() - this.#told < tellEveryMs) return;
    this.#told = Date.now();
    this.#busy = this.#deps.report
      .objects([this.#line('making')])
      .catch((error: unknown) => this.#deps.log.warn({ err: error }, 'progress was not taken'));
  }

  async end(): Promise<void> {
    await this.#busy;
    await this.#deps.report.objects([this.#line('created')]);
  }

  #line(state: 'making' | 'created'): ObjectLine {
    const { objects, bytes, kept } = this.#plan;
    const line = { kind: 'large object', schema: '', name: 'all', table: '', stage: 'before', bytes } as const;
    if (state === 'making') {
      const percent = bytes === 0 ? 0 : Math.min(100, Math.round((this.#bytes / bytes) * 100));
      const seconds = (Date.now() - this.#beganAt) / 1_000;
      // They come before the tables, of which nothing is known yet: what is left of these alone is told.
      const left = this.#bytes > 0 && seconds > 2 ? (seconds * Math.max(0, bytes - this.#bytes)) / this.#bytes : null;
      const doing = left === null ? 'copying' : `copying, about ${Math.ceil(left)} s left`;
      return { ...line, state, doing, percent };
    }
    const count = `${objects + kept.size} large objects`;
    const reason =
      this.#asOf === null
        ? `${count} were copied`
        : `${count} were copied as of ${formatLsn(this.#asOf)}; changes of large objects are in no stream and do not follow`;
    return { ...line, state, reason };
  }
}
