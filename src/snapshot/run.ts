// Copies what is there: one snapshot, many parts, each on the target once or not at all; and goes on where a dead process left off.
import { applicationName } from '../mirror/work.ts';
import { endLeftovers, readCheckpoint, readCopiedTables } from '../peers/checkpoint.ts';
import { connectSides } from '../peers/connect.ts';
import { readFinishedTables } from '../peers/copied-parts.ts';
import { readSlot, type SlotState } from '../peers/slot.ts';
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
import { countParts, groupBytes, makeJobs, type Part } from './plan.ts';
import { makeAnew } from './prepare.ts';
import { JobQueue, workerCount } from './queue.ts';
import { snapshotSituation } from './situation.ts';
import type { Begun, Sides } from './start.ts';
import { readStorage, type Storage } from './storage.ts';
import { tellPlan } from './tell-plan.ts';
import { prepareLoad } from './worker.ts';
import { type CopySize, WorkerCount } from './worker-count.ts';
import { runWorkers } from './workers.ts';

/**
 * The step `snapshotting`. When it returns, every table is on the target, durably, and its copied_tables row says as of which
 * LSN. May be killed anywhere and called again. The caller has claimed the checkpoint.
 * @throws `slot_lost`, `wrong_state`, `upstream` with table and part, `connection_lost` …
 */
export async function runSnapshot(given: SnapshotDeps, signal: AbortSignal): Promise<void> {
  const use = { application: applicationName('snapshot', given.work), shelf: given.sessions };
  await using sides = await connectSides(given.work, use, signal);
  const { source, target } = sides;
  await prepareLoad(target);
  const present = await lookForTables(given, { source, target });
  const deps = { ...given, work: present.work };
  const tables = deps.work.tables.map(({ from }) => from);
  // Before the snapshot: whatever is rewritten from here on is found out.
  const storage = await readStorage(source, tables);
  try {
    const now = await upToDate(deps, { source, target }, present, signal);
    await copyPresent(deps, { source, target }, { now, storage, signal });
  } catch (error) {
    throw await asChange(deps, error, { tables, now: present.now, before: storage }, signal);
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
  { now, storage, signal }: { readonly now: Present['now']; readonly storage: Storage; readonly signal: AbortSignal },
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
  if (situation.kind === 'again') await deps.report.before(await readFinishedTables(target, work));
  const begun = await begin(deps, { sides, situation, copied, storage }, signal);
  if (begun !== null) {
    await using held = begun.held;
    await copyTables(deps, { ...begun, sides, held, now }, signal);
  }
  await flushTarget(target, work);
}

// Another of its name begins later.
function hasLogFrom({ confirmedFlush, walStatus }: SlotState, checkpoint: Lsn): boolean {
  return confirmedFlush !== null && confirmedFlush <= checkpoint && walStatus !== 'lost';
}

interface Copy extends Begun {
  readonly sides: Sides;
  readonly now: Present['now'];
}

async function copyTables(deps: SnapshotDeps, copy: Copy, signal: AbortSignal): Promise<void> {
  const { options, scope } = deps.work;
  // They come first: who sees every table finished knows that they are there.
  if (scope.kind === 'all') await copyLargeObjects(deps, copy, signal);
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
  const count = new WorkerCount(workerCount(limits, jobs.length), performance.now(), copySize(left));
  await runWorkers(
    deps,
    {
      copy,
      queue,
      count,
      state: {
        columns: cut.columns,
        passed: (bytes) => count.passed(bytes),
        outstanding: countParts(left),
        storage: copy.storage,
        snapshotLsn: copy.held.lsn,
        rewritten: new Map(),
      },
    },
    signal,
  );
}

function copySize(tables: readonly (readonly Part[])[]): CopySize {
  const large = tables.flatMap((parts) => parts.filter(({ bytes }) => parts.length > 1 || bytes > groupBytes));
  return { small: large.length === 0, tables: new Set(large.map(({ into }) => showTable(into))).size };
}

const isDone = ({ mapping, number }: Part, kept: KeptTables) =>
  kept.get(showTable(mapping.from))?.done.has(number) === true;
