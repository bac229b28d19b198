// Copies what is there: one snapshot, many parts, each on the target once or not at all; and goes on where a dead process left off.
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { applicationName, type MirroredTable } from '../mirror/work.ts';
import { readCheckpoint, readCopiedTables } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { readSlot } from '../peers/slot.ts';
import { showTable } from '../pg/table.ts';
import { begin, type Sides } from './begin.ts';
import { cutSource } from './cut.ts';
import type { SnapshotDeps } from './deps.ts';
import { flushTarget } from './flush.ts';
import { copyLargeObjects } from './large-objects.ts';
import { makeJobs, type Part, showPart } from './plan.ts';
import { JobQueue, workerCount } from './queue.ts';
import { snapshotSituation } from './situation.ts';
import type { HeldSnapshot } from './slot.ts';
import { readStorage, type Storage } from './storage.ts';
import { type CopyState, copyJob, openWorker, prepareLoad, type WorkerPair } from './worker.ts';

/**
 * The step `snapshotting`. When it returns, every table is on the target, durably, and its copied_tables row says as of which
 * LSN. May be killed anywhere and called again. The caller has claimed the checkpoint.
 * @throws `slot_lost`, `wrong_state`, `upstream` with table and part, `connection_lost` …
 */
export async function runSnapshot(deps: SnapshotDeps, signal: AbortSignal): Promise<void> {
  const { work } = deps;
  const use = { application: applicationName('snapshot', work) };
  await using source = await connectPeer(work.source, use, signal);
  await using target = await connectPeer(work.target, use, signal);
  await prepareLoad(target);
  const copied = await readCopiedTables(target, work);
  const situation = snapshotSituation({
    tables: work.tables.map((table) => showTable(table.from)),
    follows: work.slot !== null,
    checkpoint: await readCheckpoint(target, work),
    slotThere: work.slot !== null && (await readSlot(source, work.slot.name)) !== null,
    copied,
  });
  deps.log.info({ mirror: work.name, situation: situation.kind }, 'snapshot begins');
  const sides = { source, target };
  // Before the snapshot: whatever is rewritten from here on is found out.
  const storage = await readStorage(
    source,
    work.tables.map((table) => table.from),
  );
  const begun = await begin(deps, { sides, situation, copied }, signal);
  if (begun !== null) {
    await using held = begun.held;
    await copyTables(deps, { sides, held, tables: begun.tables, storage }, signal);
  }
  await flushTarget(target, work);
}

interface Copy {
  readonly sides: Sides;
  readonly held: HeldSnapshot;
  readonly tables: readonly MirroredTable[];
  readonly storage: Storage;
}

async function copyTables(deps: SnapshotDeps, copy: Copy, signal: AbortSignal): Promise<void> {
  const { options, scope } = deps.work;
  // They come first: who sees every table finished knows that they are there.
  if (scope.kind === 'all') await copyLargeObjects(deps, copy.held, signal);
  const cut = await cutSource(deps, copy, signal);
  for (const parts of cut.tables) {
    const [first] = parts;
    if (first !== undefined) await deps.report.planned(first.mapping, plannedParts(parts));
  }
  const limits = {
    tables: options.snapshot_num_tables_in_parallel,
    partsPerTable: options.snapshot_max_parallel_workers,
  };
  const jobs = makeJobs(cut.tables);
  const queue = new JobQueue(jobs, limits);
  const outstanding = new Map<string, number>();
  for (const parts of cut.tables)
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
      state: { columns: cut.columns, outstanding, storage: copy.storage },
    },
    signal,
  );
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
  // All import the snapshot before it is let go; a worker that loses its connection ends the step.
  const opened = await Promise.allSettled(
    Array.from({ length: running.workers }, async () => {
      const pair = await openWorker(deps, running.copy.held.name, scope.signal);
      scope.defer(() => pair[Symbol.asyncDispose]());
      return pair;
    }),
  );
  const failure = opened.find((each) => each.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  await running.copy.held[Symbol.asyncDispose]();
  const pairs = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const changed = new Set<() => void>();
  for (const pair of pairs) scope.run((stop) => work(deps, { ...running, pair, changed }, stop));
  await scope.join();
  throwIfStopped(signal);
}

async function work(
  deps: SnapshotDeps,
  { queue, pair, state, changed }: Running & { readonly pair: WorkerPair; readonly changed: Set<() => void> },
  signal: AbortSignal,
): Promise<void> {
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
      await copyJob(deps, pair, { job, state, signal });
    } finally {
      queue.done(job);
      for (const wake of changed) wake();
      changed.clear();
    }
  }
  // Nothing is left for it: its snapshot need not hold the source's vacuum back any longer.
  await pair[Symbol.asyncDispose]();
}
