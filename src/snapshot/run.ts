// Copies what is there: one snapshot, many parts, each on the target once or not at all; and goes on where a dead process left off.
import { type SluiceError, toSluiceError } from '../base/errors.ts';
import { backoffMs, pause, throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { applicationName } from '../mirror/work.ts';
import { endLeftovers, readCheckpoint, readCopiedTables } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { readSlot, type SlotState } from '../peers/slot.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { showTable } from '../pg/table.ts';
import { asChange } from './as-change.ts';
import { begin } from './begin.ts';
import { followsAll, lookForTables, type Present, refuseAltered } from './changed-tables.ts';
import { upToDateTypes } from './changed-types.ts';
import { cutSource } from './cut.ts';
import type { SnapshotDeps } from './deps.ts';
import { flushTarget } from './flush.ts';
import type { KeptTables } from './kept.ts';
import { copyLargeObjects } from './large-objects.ts';
import { type Job, makeJobs, type Part, showPart } from './plan.ts';
import { makeAnew } from './prepare.ts';
import { JobQueue, workerCount } from './queue.ts';
import { SharedSnapshot } from './shared.ts';
import { snapshotSituation } from './situation.ts';
import type { Begun, Sides } from './start.ts';
import { readStorage, type Storage } from './storage.ts';
import { type CopyState, copyJob, openWorker, prepareLoad, type WorkerPair, wasCopied } from './worker.ts';

/**
 * The step `snapshotting`. When it returns, every table is on the target, durably, and its copied_tables row says as of which
 * LSN. May be killed anywhere and called again. The caller has claimed the checkpoint.
 * @throws `slot_lost`, `wrong_state`, `upstream` with table and part, `connection_lost` …
 */
export async function runSnapshot(given: SnapshotDeps, signal: AbortSignal): Promise<void> {
  const use = { application: applicationName('snapshot', given.work) };
  await using source = await connectPeer(given.work.source, use, signal);
  await using target = await connectPeer(given.work.target, use, signal);
  await prepareLoad(target);
  const present = await lookForTables(given, { source, target });
  const deps = { ...given, work: present.work };
  try {
    await copyPresent(
      deps,
      { source, target },
      { now: await upToDate(deps, { source, target }, present, signal), signal },
    );
  } catch (error) {
    throw await asChange(deps, error, { tables: deps.work.tables.map(({ from }) => from), now: present.now }, signal);
  }
}

// Tables that are still to be copied, as the source has them by now.
async function upToDate(
  deps: SnapshotDeps,
  sides: Sides,
  present: Present,
  signal: AbortSignal,
): Promise<Present['now']> {
  const { work } = deps;
  if (!followsAll(work)) return present.now;
  await upToDateTypes(deps, sides, present);
  const copied = await readCopiedTables(sides.target, work);
  const stale = work.tables.filter(({ from }) => {
    const known = present.now.get(showTable(from));
    return known?.was !== undefined && known.was !== known.is.print && copied.get(showTable(from))?.finished !== true;
  });
  if (stale.length === 0) return present.now;
  await makeAnew({ ...deps, work: { ...work, tables: stale } }, sides, signal);
  await deps.report.note(
    `altered on the source before they were copied, and made anew on the target: ${stale.map(({ from }) => showTable(from)).join(', ')}`,
  );
  return present.now;
}

async function copyPresent(
  deps: SnapshotDeps,
  { source, target }: Sides,
  { now, signal }: { readonly now: Present['now']; readonly signal: AbortSignal },
): Promise<void> {
  const { work } = deps;
  const copied = await readCopiedTables(target, work);
  const checkpoint = await readCheckpoint(target, work);
  const slot = work.slot === null ? null : await readSlot(source, work.slot.name);
  const situation = snapshotSituation({
    tables: work.tables.map((table) => showTable(table.from)),
    follows: work.slot !== null,
    checkpoint,
    slotThere: slot !== null && (checkpoint === null || hasLogFrom(slot, checkpoint)),
    copied,
  });
  deps.log.info({ mirror: work.name, situation: situation.kind }, 'snapshot begins');
  // What a lost connection of this step left must not commit a part behind our back.
  await endLeftovers(target, work, ['copy']);
  const sides = { source, target };
  // Before the snapshot: whatever is rewritten from here on is found out.
  const storage = await readStorage(
    source,
    work.tables.map((table) => table.from),
  );
  const begun = await begin(deps, { sides, situation, copied, storage }, signal);
  if (begun !== null) {
    await using held = begun.held;
    await copyTables(deps, { ...begun, sides, held, storage, now }, signal);
  }
  await flushTarget(target, work);
}

// Another of its name begins later.
function hasLogFrom({ confirmedFlush, walStatus }: SlotState, checkpoint: Lsn): boolean {
  return confirmedFlush !== null && confirmedFlush <= checkpoint && walStatus !== 'lost';
}

interface Copy extends Begun {
  readonly sides: Sides;
  readonly storage: Storage;
  readonly now: Present['now'];
}

async function copyTables(deps: SnapshotDeps, copy: Copy, signal: AbortSignal): Promise<void> {
  const { options, scope } = deps.work;
  // They come first: who sees every table finished knows that they are there.
  if (scope.kind === 'all') await copyLargeObjects(deps, copy.held, signal);
  const cut = await cutSource(deps, copy, signal);
  await refuseAltered(deps, copy.sides, copy.tables);
  for (const parts of cut.tables) await tellPlan(deps, parts, copy.kept);
  const left = cut.tables.map((parts) => parts.filter((part) => !isDone(part, copy.kept)));
  const limits = {
    tables: options.snapshot_num_tables_in_parallel,
    partsPerTable: options.snapshot_max_parallel_workers,
  };
  const jobs = makeJobs(left);
  const queue = new JobQueue(jobs, limits);
  const outstanding = new Map<string, number>();
  for (const parts of left)
    for (const part of parts) {
      const table = showTable(part.mapping.from);
      outstanding.set(table, (outstanding.get(table) ?? 0) + 1);
    }
  await runWorkers(
    deps,
    {
      copy,
      queue,
      workers: workerCount(limits, jobs.length),
      state: {
        columns: cut.columns,
        outstanding,
        storage: copy.storage,
        snapshotLsn: copy.held.lsn,
        rewritten: new Map(),
      },
    },
    signal,
  );
}

const isDone = ({ mapping, number }: Part, kept: KeptTables) =>
  kept.get(showTable(mapping.from))?.done.has(number) === true;

async function tellPlan({ report }: SnapshotDeps, parts: readonly Part[], kept: KeptTables): Promise<void> {
  const [first] = parts;
  if (first === undefined) return;
  await report.planned(first.mapping, plannedParts(parts));
  const done = kept.get(showTable(first.mapping.from))?.done;
  for (const { part, rows, bytes } of done?.values() ?? [])
    await report.part(first.mapping, part, { state: 'copied', rows, bytes });
}

function plannedParts(parts: readonly Part[]) {
  return {
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    parts: parts.map((part) => ({ part: part.number, what: showPart(part), rows: part.rows, bytes: part.bytes })),
  };
}

interface Running {
  readonly copy: Copy;
  readonly queue: JobQueue;
  readonly workers: number;
  readonly state: CopyState;
}

async function runWorkers(deps: SnapshotDeps, running: Running, signal: AbortSignal): Promise<void> {
  await using scope = new Scope(signal);
  const { held, sides } = running.copy;
  const snapshot = new SharedSnapshot(held.name);
  // One that does not copy, so that even a lone worker finds the snapshot again.
  await snapshot.join(sides.source);
  await using keeping = new Scope(signal);
  keeping.run((stop) => keepSnapshot(deps, { snapshot, first: sides.source }, stop));
  // All import the snapshot before it is let go.
  const opened = await Promise.allSettled(
    Array.from({ length: running.workers }, async () => {
      const pair = await openWorker(deps, snapshot, scope.signal);
      scope.defer(() => pair[Symbol.asyncDispose]());
      return pair;
    }),
  );
  const failure = opened.find((each) => each.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  snapshot.forget(held.name);
  await held[Symbol.asyncDispose]();
  const pairs = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const changed = new Set<() => void>();
  const reopen = async () => {
    const pair = await openWorker(deps, snapshot, scope.signal);
    scope.defer(() => pair[Symbol.asyncDispose]());
    return pair;
  };
  for (const pair of pairs)
    scope.run((stop) => work(deps, { ...running, pair, reopen, lives: () => snapshot.lives, changed }, stop));
  await scope.join();
  throwIfStopped(signal);
  const [rewritten] = running.state.rewritten.values();
  if (rewritten !== undefined) throw rewritten;
  await bringAlong(deps, running.copy, { snapshot, signal });
}

async function bringAlong(
  deps: SnapshotDeps,
  copy: Copy,
  { snapshot, signal }: { readonly snapshot: SharedSnapshot; readonly signal: AbortSignal },
): Promise<void> {
  if (copy.bringAlong === undefined) return;
  const { source } = copy.sides;
  if (!source.lost.aborted) return await copy.bringAlong(source);
  const use = { application: applicationName('snapshot', deps.work) };
  await using another = await connectPeer(deps.work.source, use, signal);
  await snapshot.join(another);
  await copy.bringAlong(another);
}

// Sees to it that a connection has the snapshot that does nothing else.
async function keepSnapshot(
  deps: SnapshotDeps,
  { snapshot, first }: { readonly snapshot: SharedSnapshot; readonly first: Connection },
  signal: AbortSignal,
): Promise<void> {
  let keeper = first;
  while (!signal.aborted) {
    await Promise.race([aborted(keeper.lost), aborted(signal)]);
    if (signal.aborted) break;
    try {
      const use = { application: applicationName('snapshot', deps.work) };
      keeper = await connectPeer(deps.work.source, use, signal);
      await snapshot.join(keeper);
    } catch (error) {
      // Where it matters, a worker will say so.
      if (!signal.aborted) deps.log.warn({ err: error, mirror: deps.work.name }, 'the snapshot has no keeper');
      return;
    }
  }
  if (keeper !== first) await keeper.close();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

interface Working extends Running {
  readonly pair: WorkerPair;
  /** Opens another pair for one that was lost. */
  readonly reopen: () => Promise<WorkerPair>;
  /** Whether the snapshot can be had from somebody. */
  readonly lives: () => boolean;
  /** Those who wait for another worker to be done with a job. */
  readonly changed: Set<() => void>;
}

async function work(deps: SnapshotDeps, working: Working, signal: AbortSignal): Promise<void> {
  const { queue, state, changed } = working;
  let { pair } = working;
  while (queue.left > 0) {
    throwIfStopped(signal);
    const job = queue.take();
    if (job === undefined) {
      // The limits hold the rest back until another worker is done with a job.
      await new Promise<void>((resolve) => {
        changed.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      continue;
    }
    try {
      // Another part of it was found rewritten: it has to begin anew.
      if (job.parts.some((part) => state.rewritten.has(showTable(part.mapping.from)))) continue;
      await copyJob(deps, pair, { job, state, signal });
    } catch (thrown) {
      const tables = job.parts.map((part) => part.mapping.from);
      const error = await asChange(deps, thrown, { tables, now: working.copy.now }, signal);
      if (isRewritten(error)) {
        for (const table of tables) state.rewritten.set(showTable(table), error);
        if (error === thrown) continue;
        await pair[Symbol.asyncDispose]();
        pair = await working.reopen();
        continue;
      }
      pair = await copyAgain(deps, { ...working, pair, job, error }, signal);
    } finally {
      queue.done(job);
      for (const wake of changed) wake();
      changed.clear();
    }
  }
  // Nothing is left for it: its snapshot need not hold the source's vacuum back any longer.
  await pair[Symbol.asyncDispose]();
}

// It does not keep the other tables from being copied.
function isRewritten(error: unknown): boolean {
  return toSluiceError(error).kind === 'source_changed';
}

// Not what the same snapshot brings again: a table that was rewritten, rows that a standby has let go.
function isPassing(error: SluiceError): boolean {
  return error.retry === 'backoff' && error.sqlstate !== '40001' && error.kind !== 'internal';
}

// A part is tried that often before the whole step begins again.
const mostTries = 4;

/** A job whose connections broke is copied over new ones, under the same snapshot; it costs that job and no more. */
async function copyAgain(
  deps: SnapshotDeps,
  failed: Working & { readonly job: Job; readonly error: unknown },
  signal: AbortSignal,
): Promise<WorkerPair> {
  const { job, state, lives } = failed;
  let { pair, error } = failed;
  for (let attempt = 0; ; attempt++) {
    throwIfStopped(signal);
    const known = toSluiceError(error);
    if (!lives() || !isPassing(known) || attempt === mostTries) throw error;
    deps.log.warn({ sqlstate: known.sqlstate, mirror: deps.work.name }, `copied again: ${known.message}`);
    if (attempt === 0) await deps.report.note(`copied again under the same snapshot: ${known.message}`);
    if (attempt > 0) await pause(backoffMs(attempt - 1), signal);
    const old = pair;
    const oldPid = old.target.pid;
    try {
      // Where its target was lost, its source may be the last that has the snapshot: it goes when another has it.
      pair = await failed.reopen();
      await old[Symbol.asyncDispose]();
      if (!(await wasCopied(deps, pair, { job, state, oldPid }))) await copyJob(deps, pair, { job, state, signal });
      return pair;
    } catch (again) {
      error = again;
    }
  }
}
