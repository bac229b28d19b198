// Which engine does a phase's work, and which phase comes after it: the only place that knows that cdc follows snapshot.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { heapFor } from '../base/heap.ts';
import type { Log } from '../base/log.ts';
import type { Spill } from '../base/spill.ts';
import type { Throttle } from '../base/throttle.ts';
import { type Leftover, type Mirror, writeObjectsDone, writeTokenMet } from '../catalog/mirrors.ts';
import { readMadeTables, unmadeObjects } from '../catalog/objects.ts';
import type { Pool } from '../catalog/pool.ts';
import type { Progress } from '../catalog/progress.ts';
import { readUncopied, writeAllCopied, writeCopiedParts } from '../catalog/progress-write.ts';
import { runCdc } from '../cdc/run.ts';
import type { Phase } from '../mirror/phase.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { claimCheckpoint, ensureCheckpointTables, readToken } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { findParts } from '../peers/copied-parts.ts';
import type { SessionShelf } from '../peers/shelf.ts';
import { quoteName } from '../pg/sql.ts';
import { finishSnapshot } from '../snapshot/finish.ts';
import type { SourceMemory } from '../snapshot/known-source.ts';
import { prepareTarget } from '../snapshot/prepare.ts';
import { retryObjects } from '../snapshot/retry.ts';
import { runSnapshot } from '../snapshot/run.ts';
import { runDrop } from './drop.ts';
import { cdcReport, snapshotReport } from './reports.ts';
import type { StepName } from './situation.ts';

export interface StepContext {
  /** As it was when the step began. */
  readonly mirror: Mirror;
  readonly work: MirrorWork;
  readonly pool: Pool;
  readonly progress: Progress;
  readonly log: Log;
  /** Set anew while the step runs, when ALTER MIRROR says so. */
  readonly throttle: Throttle;
  readonly memory: SourceMemory;
  readonly sessions: SessionShelf;
  readonly spill: Spill;
  /** See CdcDeps. */
  readonly catchUpBytes: number;
  /** Moves the mirror; throws `fenced` if it is not ours any more. */
  readonly move: (to: Phase) => Promise<void>;
  readonly finishDrop: (leftovers: readonly Leftover[]) => Promise<void>;
  readonly alive: () => void;
  /** Called while there are sessions with both servers. */
  readonly connected: () => void;
}

/**
 * Does one step and moves the mirror on. May be killed at any line and called again: engines look at what is there.
 * @throws whatever stands in the way; nothing when it was stopped or is done
 */
export async function runStep(step: StepName, context: StepContext, signal: AbortSignal): Promise<void> {
  switch (step) {
    case 'prepare':
      return prepare(context, signal);
    case 'snapshot':
      return snapshot(context, signal);
    case 'finish':
      return finish(context, signal);
    case 'follow':
      return follow(context, signal);
    case 'objects':
      return objects(context, signal);
    case 'drop':
      return context.finishDrop(await runDrop(context, signal));
    default:
      return step satisfies never;
  }
}

function deps(context: StepContext) {
  const { work, log, throttle, memory, sessions, pool, progress } = context;
  const made = async () => {
    await progress.flush();
    return await pool.use((db) => readMadeTables(db, work.id));
  };
  return { work, report: snapshotReport(context), log, throttle, memory, sessions, made };
}

// Before any write: the target learns our token, and an owner from before is shut out there. This catalog says that we own the
// mirror, so who has a newer token got it from another catalog; only a person knows which of the two is right.
async function claim(
  { work, pool }: Pick<StepContext, 'work' | 'pool'>,
  signal: AbortSignal,
  shelf?: SessionShelf,
): Promise<void> {
  await using target = await connectPeer(work.target, { application: applicationName('claim', work), shelf }, signal);
  await ensureCheckpointTables(target, work.target.metadataSchema);
  try {
    await claimCheckpoint(target, work);
  } catch (error) {
    if (toSluiceError(error).kind !== 'fenced') throw error;
    const there = await readToken(target, work);
    if (there !== null) await pool.use((db) => writeTokenMet(db, work.id, there));
    throw new SluiceError('wrong_state', `mirror "${work.name}" was taken over by another Sluice`, {
      sqlstate: '55006',
      detail: `Its target knows an owner that this catalog does not (token ${there}; ours is ${work.token}): there is another catalog with this mirror, a copy of this one or the one that this was restored from.`,
      hint: `Let one of them run it: stop the other, then RESUME MIRROR ${quoteName(work.name)} takes the mirror over.`,
      cause: error,
    });
  }
}

async function prepare(context: StepContext, signal: AbortSignal): Promise<void> {
  using _heap = heapFor('copying');
  await claim(context, signal, context.sessions);
  await prepareTarget(deps(context), signal);
  if (!signal.aborted) await context.move(context.work.options.do_initial_copy ? 'snapshotting' : 'catching_up');
}

async function snapshot(context: StepContext, signal: AbortSignal): Promise<void> {
  using _heap = heapFor('copying');
  await claim(context, signal, context.sessions);
  await runSnapshot(deps(context), signal);
  if (signal.aborted) return;
  await context.progress.flush();
  await tellCopied(context, signal);
  await context.move('finishing');
}

// What came about while nobody could be told (a kill, a catalog that was away) is what the target has, not what was told last.
async function tellCopied({ work, pool }: StepContext, signal: AbortSignal): Promise<void> {
  const untold = await pool.use((db) => readUncopied(db, work.id));
  if (untold.length > 0) {
    await using target = await connectPeer(work.target, { application: applicationName('claim', work) }, signal);
    const copied = await findParts(target, work, untold);
    await pool.use((db) => writeCopiedParts(db, work.id, copied));
  }
  await pool.use((db) => writeAllCopied(db, work.id));
}

async function finish(context: StepContext, signal: AbortSignal): Promise<void> {
  using _heap = heapFor('copying');
  await claim(context, signal, context.sessions);
  await finishSnapshot(deps(context), signal);
  // Whoever sees the next phase sees the ledger as it is.
  await context.progress.flush();
  if (signal.aborted) return;
  context.progress.copyEnds();
  await context.move(context.work.slot === null ? 'completed' : 'catching_up');
}

async function follow(context: StepContext, signal: AbortSignal): Promise<void> {
  const { work, log, mirror, spill, catchUpBytes, sessions } = context;
  using _heap = heapFor('following');
  await claim(context, signal, context.sessions);
  let consistent = mirror.phase === 'streaming';
  const report = cdcReport(context, async () => {
    if (consistent) return;
    consistent = true;
    await context.move('streaming');
  });
  await runCdc({ work, report, log, spill, catchUpBytes, sessions }, signal);
}

// What RETRY asked for: of the ledger, all that is not on the target.
async function objects(context: StepContext, signal: AbortSignal): Promise<void> {
  using _heap = heapFor('copying');
  const { work, mirror, pool, progress } = context;
  await claim(context, signal);
  await progress.flush();
  const unmade = await pool.use((db) => unmadeObjects(db, work.id));
  if (unmade.size > 0) await retryObjects(deps(context), unmade, signal);
  if (signal.aborted) return;
  await progress.flush();
  progress.copyEnds();
  context.alive();
  await pool.use((db) => writeObjectsDone(db, work, mirror.objectsAsked));
}
