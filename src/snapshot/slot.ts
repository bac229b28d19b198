// The snapshot that a copy reads: exported by the slot that the stream will read, by a temporary one, or by a transaction.
import { randomBytes } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';
import { pause } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { applicationName, type SourceObject } from '../mirror/work.ts';
import { advanceCheckpoint, readCheckpoint } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { targetNames } from '../peers/ddl-tree.ts';
import { inspectTables } from '../peers/inspect.ts';
import { remember } from '../peers/shape.ts';
import {
  createSlotWithSnapshot,
  dropSlot,
  readSlot,
  showBlocker,
  slotBlockers,
  standbyBlocker,
} from '../peers/slot.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { literal, sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import { shapesNow } from './shapes.ts';
import { readStorage } from './storage.ts';
import { readTrees } from './trees.ts';

/** A snapshot that other connections can import until this is disposed. */
export interface HeldSnapshot extends AsyncDisposable {
  readonly name: string;
  /** Commits before it are in the snapshot, those at or after it are not; null where nothing follows. */
  readonly lsn: Lsn | null;
}

/** Makes the mirror's slot. @param source an ordinary connection, to see who holds the making up */
export async function holdSlotSnapshot(
  deps: SnapshotDeps,
  source: Connection,
  signal: AbortSignal,
): Promise<HeldSnapshot & { readonly lsn: Lsn }> {
  const slot = slotOf(deps);
  return await exportBySlot(deps, { source, name: slot.name, temporary: false }, signal);
}

/** A snapshot with its LSN by a slot that goes with its connection: for tables that begin anew. */
export async function holdTemporarySnapshot(
  deps: SnapshotDeps,
  source: Connection,
  signal: AbortSignal,
): Promise<HeldSnapshot & { readonly lsn: Lsn }> {
  const name = `sluice_copy_${deps.work.id.replaceAll('-', '').slice(0, 12)}_${randomBytes(4).toString('hex')}`;
  return await exportBySlot(deps, { source, name, temporary: true }, signal);
}

/** A snapshot without LSN, for a copy that nothing follows; works on a standby too. */
export async function holdPlainSnapshot(deps: SnapshotDeps, signal: AbortSignal): Promise<HeldSnapshot> {
  const { work } = deps;
  const connection = await connectPeer(work.source, { application: applicationName('snapshot', work) }, signal);
  try {
    await connection.run(sql`begin isolation level repeatable read read only`);
    const { name } = await connection.one<{ name: string }>(sql`select pg_catalog.pg_export_snapshot() as name`);
    return { name, lsn: null, [Symbol.asyncDispose]: () => connection.close() };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** For a mirror that copies nothing: makes the slot, or finds the given one, and lets the stream begin there. */
export async function ensureStream(
  deps: SnapshotDeps,
  sides: { readonly source: Connection; readonly target: Connection },
  signal: AbortSignal,
): Promise<void> {
  const { work } = deps;
  if ((await readCheckpoint(sides.target, work)) !== null) return;
  const slot = slotOf(deps);
  if (!slot.made) {
    const state = await readSlot(sides.source, slot.name);
    if (state?.confirmedFlush == null) {
      throw new SluiceError('undefined_object', `replication slot "${slot.name}" does not exist on the source`, {
        hint: 'It was given with the mirror; make it again, or create the mirror without replication_slot_name.',
      });
    }
    // What its tables were there nobody can say any more.
    await rememberShapes(deps, sides.source, sides.target);
    await advanceCheckpoint(sides.target, work, state.confirmedFlush);
    return;
  }
  // One without a checkpoint is left from a try that died.
  await dropSlot(sides.source, slot.name, signal);
  await using held = await holdSlotSnapshot(deps, sides.source, signal);
  await using then = await connectPeer(work.source, { application: applicationName('snapshot', work) }, signal);
  await then.run(sql`begin isolation level repeatable read read only`);
  await then.run(sql`set transaction snapshot ${literal(held.name)}`);
  await rememberShapes(deps, then, sides.target);
  await advanceCheckpoint(sides.target, work, held.lsn);
}

async function rememberShapes({ work }: SnapshotDeps, source: Connection, target: Connection): Promise<void> {
  const trees = await readTrees(source, work.tables, { sizes: false });
  const standing = await inspectTables(target, targetNames(trees), { sizes: false });
  const there = new Map(standing.map((table) => [showTable(table), table]));
  const names = work.tables.map(({ from }) => from);
  await remember(target, work, await shapesNow(source, trees, there, await readStorage(source, names)));
}

function slotOf(deps: SnapshotDeps): SourceObject {
  if (deps.work.slot === null) throw new SluiceError('internal', 'a copy-only mirror has no slot');
  return deps.work.slot;
}

async function exportBySlot(
  deps: SnapshotDeps,
  slot: { readonly source: Connection; readonly name: string; readonly temporary: boolean },
  signal: AbortSignal,
): Promise<HeldSnapshot & { readonly lsn: Lsn }> {
  const { work } = deps;
  const use = { application: applicationName('snapshot', work), replication: 'database' } as const;
  // The snapshot lives as long as this connection does nothing else.
  const connection = await connectPeer(work.source, use, signal);
  try {
    await using watch = new Scope(signal);
    watch.run((stop) => tellBlockers(deps, { source: slot.source, pid: connection.pid }, stop));
    const made = await createSlotWithSnapshot(connection, slot.name, { temporary: slot.temporary });
    return { name: made.snapshot, lsn: made.lsn, [Symbol.asyncDispose]: () => connection.close() };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

const firstLookMs = 1_000;
const nextLookMs = 2_000;

/** While a slot waits for transactions to end, says for which, again and again; in the journal only when they are others. */
async function tellBlockers(
  deps: SnapshotDeps,
  watch: { readonly source: Connection; readonly pid: number },
  signal: AbortSignal,
): Promise<void> {
  let told = '';
  let waits = false;
  try {
    for (let wait = firstLookMs; ; wait = nextLookMs) {
      await pause(wait, signal);
      const standby = await standbyBlocker(watch.source);
      const blockers = (await slotBlockers(watch.source)).filter((each) => each.pid !== watch.pid);
      const lines = [...(standby === null ? [] : [standby]), ...blockers.map(showBlocker)];
      waits = lines.length > 0;
      await deps.report.waits(lines);
      const who = blockers.map((each) => each.pid ?? each.prepared).join();
      const news = `${standby === null ? '' : 'standby'} ${who}`;
      if (!waits || news === told) continue;
      told = news;
      await deps.report.note(
        standby === null ? `${openOnSource}: ${lines.join('; ')}` : `the slot waits for ${standby}`,
      );
    }
  } catch (error) {
    // What keeps us from looking is not what matters; the making of the slot will say it.
    if (!signal.aborted) deps.log.warn({ err: error }, 'cannot see what the slot waits for');
  } finally {
    if (waits) await deps.report.waits([]);
  }
}

const openOnSource = 'the slot waits for transactions that are open on the source';
