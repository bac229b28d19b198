// The workers of a copy: they share one snapshot and one queue, are as many as bring something, and outlive lost connections.
import { type SluiceError, toSluiceError } from '../base/errors.ts';
import { backoffMs, pause, throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { applicationName } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import type { Connection } from '../pg/client.ts';
import { showTable } from '../pg/table.ts';
import { asChange } from './as-change.ts';
import type { Present } from './changed-tables.ts';
import type { CopyState, WorkerPair } from './copy-parts.ts';
import type { SnapshotDeps } from './deps.ts';
import type { Job } from './plan.ts';
import type { JobQueue } from './queue.ts';
import { SharedSnapshot } from './shared.ts';
import type { Begun, Sides } from './start.ts';
import { copyJob, openWorker, wasCopied } from './worker.ts';
import type { WorkerCount } from './worker-count.ts';

/** What workers copy. */
export interface Running {
  readonly copy: Pick<Begun, 'held' | 'bringAlong'> & { readonly sides: Sides; readonly now: Present['now'] };
  readonly queue: JobQueue;
  readonly count: WorkerCount;
  readonly state: CopyState;
}

/**
 * Copies all jobs of the queue; lets go of the held snapshot as soon as workers have it.
 * @throws `source_changed` if a table was rewritten since the snapshot, when all others are copied; what copyJob throws
 */
export async function runWorkers(deps: SnapshotDeps, running: Running, signal: AbortSignal): Promise<void> {
  const { copy, state } = running;
  const snapshot = new SharedSnapshot(copy.held.name);
  // One that does not copy, so that even a lone worker finds the snapshot again.
  await snapshot.join(copy.sides.source);
  await using keeping = new Scope(signal);
  keeping.run((stop) => keepSnapshot(deps, { snapshot, first: copy.sides.source }, stop));
  await copyAll(deps, { ...running, snapshot }, signal);
  throwIfStopped(signal);
  for (const table of state.rewritten.keys()) deps.memory?.rewritten.add(table);
  const [rewritten] = state.rewritten.values();
  if (rewritten !== undefined) throw rewritten;
  await bringAlong(deps, copy, { snapshot, signal });
}

async function copyAll(
  deps: SnapshotDeps,
  running: Running & { readonly snapshot: SharedSnapshot },
  signal: AbortSignal,
): Promise<void> {
  const { copy, count, snapshot } = running;
  await using scope = new Scope(signal);
  const open = async () => {
    const pair = await openWorker(deps, snapshot, scope.signal);
    scope.defer(() => pair[Symbol.asyncDispose]());
    return pair;
  };
  // All of them import the snapshot before it is let go.
  const opened = await Promise.allSettled(Array.from({ length: count.wanted }, open));
  const pairs = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failure = opened.find((each) => each.status === 'rejected');
  if (failure !== undefined && (pairs.length === 0 || signal.aborted)) throw failure.reason;
  if (failure !== undefined) await goOnWith(deps, { count, workers: pairs.length, why: failure.reason });
  snapshot.forget(copy.held.name);
  await copy.held[Symbol.asyncDispose]();
  const working = {
    ...running,
    open,
    lives: () => snapshot.lives,
    changed: new Set<() => void>(),
    busy: new Set<number>(),
  };
  const start = (pair: WorkerPair, place: number) => scope.run((stop) => work(deps, { ...working, pair, place }, stop));
  for (const [place, pair] of pairs.entries()) start(pair, place);
  await using growing = new Scope(scope.signal);
  growing.run((stop) => grow(deps, { ...working, start, opened: pairs.length }, stop));
  await scope.join();
}

// Between two looks at how much passes.
const lookMs = 250;

/** Lets more workers join while that brings more, and none that cannot be had. */
async function grow(
  deps: SnapshotDeps,
  growing: Pick<Working, 'queue' | 'count' | 'open' | 'changed'> & {
    readonly start: (pair: WorkerPair, place: number) => void;
    readonly opened: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { queue, count, open, changed, start } = growing;
  let { opened } = growing;
  for (let told = opened; queue.left > 0; ) {
    await pause(lookMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    if (count.look(performance.now(), queue.shareLeft) === told) continue;
    while (opened < count.wanted && queue.left > 0) {
      try {
        start(await open(), opened);
        opened++;
      } catch (error) {
        if (signal.aborted) return;
        await goOnWith(deps, { count, workers: opened, why: error });
      }
    }
    told = count.wanted;
    wakeAll(changed);
  }
}

// Sessions that a server does not give are no reason not to copy with those that it gives.
async function goOnWith(
  { report }: SnapshotDeps,
  { count, workers, why }: { readonly count: WorkerCount; readonly workers: number; readonly why: unknown },
): Promise<void> {
  count.limit(workers);
  const some = workers === 1 ? 'one worker' : `${workers} workers`;
  await report.note(`the copy goes on with ${some}, as another could not begin: ${toSluiceError(why).message}`);
}

function wakeAll(changed: Set<() => void>): void {
  for (const wake of changed) wake();
  changed.clear();
}

async function bringAlong(
  deps: SnapshotDeps,
  copy: Running['copy'],
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
  /** From 0; those beyond the wanted number rest. */
  readonly place: number;
  /** Opens a pair that has the snapshot. */
  readonly open: () => Promise<WorkerPair>;
  /** Whether the snapshot can be had from somebody. */
  readonly lives: () => boolean;
  /** Those who wait for another worker to be done with a job. */
  readonly changed: Set<() => void>;
  /** Places of those who are at a job. */
  readonly busy: Set<number>;
}

async function work(deps: SnapshotDeps, working: Working, signal: AbortSignal): Promise<void> {
  const { queue, state, changed, count, place, busy } = working;
  let { pair } = working;
  while (queue.left > 0) {
    throwIfStopped(signal);
    const job = place < count.wanted ? queue.take() : undefined;
    if (job === undefined) {
      // The limits hold the rest back until another worker is done with a job, or more are wanted.
      await new Promise<void>((resolve) => {
        changed.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      continue;
    }
    busy.add(place);
    // Those who are too many by now are at work until their job is done.
    await deps.report.workers(Math.max(busy.size, count.wanted));
    try {
      // Another part of it was found rewritten: it has to begin anew.
      if (job.parts.some((part) => state.rewritten.has(showTable(part.mapping.from)))) continue;
      await copyJob(deps, pair, { job, state, signal });
    } catch (thrown) {
      const tables = job.parts.map((part) => part.mapping.from);
      const error = await asChange(deps, thrown, { tables, now: working.copy.now, before: state.storage }, signal);
      if (isRewritten(error)) {
        for (const table of tables) state.rewritten.set(showTable(table), error);
        if (error === thrown) continue;
        await pair[Symbol.asyncDispose]();
        pair = await working.open();
        continue;
      }
      pair = await copyAgain(deps, { ...working, pair, job, error }, signal);
    } finally {
      queue.done(job);
      busy.delete(place);
      wakeAll(changed);
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
      pair = await failed.open();
      await old[Symbol.asyncDispose]();
      if (!(await wasCopied(deps, pair, { job, state, oldPid }))) await copyJob(deps, pair, { job, state, signal });
      return pair;
    } catch (again) {
      error = again;
    }
  }
}
