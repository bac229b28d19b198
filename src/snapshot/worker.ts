// One pair of connections that copies jobs: the source's reads one snapshot, the target's commits rows and their record together.
import { SluiceError } from '../base/errors.ts';
import { applicationName, type MirroredTable, type MirrorWork } from '../mirror/work.ts';
import { endLeftover, finishCopiedTables, holdToken, recordParts } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { findParts } from '../peers/copied-parts.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import { type CopyState, copyParts, type DonePart, type WorkerPair } from './copy-parts.ts';
import type { SnapshotDeps } from './deps.ts';
import type { Job } from './plan.ts';
import type { SharedSnapshot } from './shared.ts';
import { refuseRewritten } from './storage.ts';

/** Opens the connections and takes part in the snapshot. */
export async function openWorker(
  deps: SnapshotDeps,
  snapshot: SharedSnapshot,
  signal: AbortSignal,
): Promise<WorkerPair> {
  return await openPair(deps, (source) => snapshot.join(source), signal);
}

/** Opens the connections. @param prepare what is to be done on the source's before there is one to the target */
export async function openPair(
  { work }: SnapshotDeps,
  prepare: (source: Connection) => Promise<void>,
  signal: AbortSignal,
): Promise<WorkerPair> {
  const use = { application: applicationName('copy', work) };
  const source = await connectPeer(work.source, { ...use, lends: true }, signal);
  try {
    await noticeLoss(source);
    await prepare(source);
    const target = await connectPeer(work.target, use, signal);
    await prepareLoad(target);
    return {
      source,
      target,
      async [Symbol.asyncDispose]() {
        await Promise.all([source.close(), target.close()]);
      },
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

// A query whose client is gone must not go on for hours with our snapshot. Not every platform can look (14 and later).
async function noticeLoss(source: Connection): Promise<void> {
  try {
    await source.run(sql`set client_connection_check_interval = '2s'`);
  } catch (error) {
    if (source.lost.aborted) throw error;
  }
}

/**
 * Settings of a session that loads rows: no triggers and foreign keys where the role may switch them off; commits do not wait
 * for the disk, which is made up for before the step ends (see flushTarget).
 */
export async function prepareLoad(target: Connection): Promise<void> {
  await target.run(sql`set synchronous_commit = off`);
  try {
    await target.run(sql`set session_replication_role = replica`);
  } catch (error) {
    // Managed providers refuse it; tables that we made have no triggers yet.
    if (!(error instanceof SluiceError) || error.sqlstate !== '42501') throw error;
  }
}

/** Copies a job in one target transaction: its parts are all there, with their record, or not at all. */
export async function copyJob(
  deps: SnapshotDeps,
  pair: WorkerPair,
  run: { readonly job: Job; readonly state: CopyState; readonly signal: AbortSignal },
): Promise<void> {
  const { work, report } = deps;
  const { job, state, signal } = run;
  const done: DonePart[] = [];
  const finished = await readAlone(pair.source, () =>
    pair.target.transaction(async () => {
      await holdToken(pair.target, work);
      done.push(...(await copyParts(deps, pair, { parts: job.parts, state, signal })));
      const read = job.parts.map((part) => part.from);
      await refuseRewritten(pair.source, read, state.storage).catch(async (error: unknown) => {
        if (error instanceof SluiceError && error.kind === 'source_changed') await report.note(error.message);
        throw error;
      });
      const parts = done.map(({ part, rows, bytes }) => ({ table: part.mapping.from, part: part.number, rows, bytes }));
      await recordParts(pair.target, work, { parts, snapshotLsn: state.snapshotLsn });
      // If these are the last parts of their tables that are still out, the tables are finished with them.
      const last = tablesOf(job).filter((table) => state.outstanding.get(showTable(table.from)) === 1);
      await finish(pair.target, work, last);
      return last;
    }),
  );
  await concludeJob(deps, pair.target, { job, state, done, finished });
}

// The snapshot is held for hours; a table that was read need not be locked for as long against whoever wants to alter it.
async function readAlone<T>(source: Connection, read: () => Promise<T>): Promise<T> {
  await source.run(sql`savepoint reading`);
  try {
    return await read();
  } finally {
    if (!source.lost.aborted) {
      await source.run(sql`rollback to savepoint reading`);
      await source.run(sql`release savepoint reading`);
    }
  }
}

/**
 * A job whose commit was not answered: whether it came about after all. What the old connection left on the target is ended
 * first, so that the answer stays true.
 * @param oldPid the target's process of that connection
 */
export async function wasCopied(
  deps: SnapshotDeps,
  pair: WorkerPair,
  run: { readonly job: Job; readonly state: CopyState; readonly oldPid: number },
): Promise<boolean> {
  const { job, state, oldPid } = run;
  await endLeftover(pair.target, deps.work, oldPid);
  const wanted = job.parts.map((part) => ({ table: showTable(part.mapping.from), part: part.number }));
  const found = await findParts(pair.target, deps.work, wanted);
  const done = job.parts.flatMap((part): DonePart[] => {
    const there = found.find((each) => each.part === part.number && each.table === showTable(part.mapping.from));
    return there === undefined ? [] : [{ part, rows: there.rows, bytes: there.bytes }];
  });
  if (done.length < job.parts.length) return false;
  await concludeJob(deps, pair.target, { job, state, done, finished: [] });
  return true;
}

interface DoneJob {
  readonly job: Job;
  readonly state: CopyState;
  readonly done: readonly DonePart[];
  /** Tables that the job has said to be finished. */
  readonly finished: readonly MirroredTable[];
}

async function concludeJob(
  { work, report }: SnapshotDeps,
  target: Connection,
  { job, state, done, finished }: DoneJob,
): Promise<void> {
  const late = tablesOf(job).filter((table) => {
    const left = (state.outstanding.get(showTable(table.from)) ?? 1) - 1;
    state.outstanding.set(showTable(table.from), left);
    return left === 0 && !finished.includes(table);
  });
  await finish(target, work, late);
  for (const { part, rows, bytes } of done)
    await report.part(part.mapping, part.number, { state: 'copied', rows, bytes });
  for (const table of [...finished, ...late]) await report.finished(table);
}

// A job holds one part of a large table or the only parts of several, so each table stands for one part.
function tablesOf(job: Job) {
  return job.parts.map((part) => part.mapping);
}

async function finish(target: Connection, work: MirrorWork, tables: ReturnType<typeof tablesOf>): Promise<void> {
  if (tables.length > 0)
    await finishCopiedTables(
      target,
      work,
      tables.map((table) => table.from),
    );
}
