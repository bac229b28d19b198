// After a lost snapshot: finished parts stay and are brought forward to the new one, and only what is missing is read.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import {
  changedKeys,
  changedTables,
  deleteChangedRows,
  gatherChangedKeys,
  keyIsOneOf,
  type Untold,
} from '../peers/changed-keys.ts';
import { holdToken } from '../peers/checkpoint.ts';
import { moveParts } from '../peers/copied-parts.ts';
import type { Connection } from '../pg/client.ts';
import { relayCopy } from '../pg/copy.ts';
import type { Lsn } from '../pg/lsn.ts';
import { join, literal, type Sql, sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import { followsAll } from './changed-tables.ts';
import { copiedColumns } from './columns.ts';
import type { SnapshotDeps } from './deps.ts';
import { findFinished, findKept, type KeptLook } from './find-kept.ts';
import { takeSnapshot } from './hold-still.ts';
import { doneCondition, firstNames, type KeptTable, type KeptTables, notKept, showReasons } from './kept.ts';
import { type HeldSnapshot, holdTemporarySnapshot } from './slot.ts';
import { type Begun, type Sides, startTables } from './start.ts';
import { copyIn, copyOutSome } from './statements.ts';
import { refuseRewritten } from './storage.ts';
import { during } from './trees.ts';

// Rows that are fetched by their keys in one statement.
const keysAtOnce = 1_000;

/**
 * Takes a new snapshot and makes what the target has of each unfinished table what that snapshot shows.
 *
 * Why this is right, for parts read under S1 and a new snapshot S2: a row that no transaction between the two touched is the
 * same version at the same place in both, so it is in one part, whichever snapshot that is read under, and in no other. Every
 * other row has its key (or keys) in the slot's stream between S1 and S2. Rows with those keys are deleted from the target, and
 * those that S2 has in the range of the finished parts are read again. Then the target has exactly what S2 shows in that range,
 * as if it had been read under S2, and the other parts follow. Values that the stream leaves out as unchanged are not needed.
 * It holds as long as rows stay in their places and are told by their keys, which `keptTable` sees to; tables where it does
 * not are read whole. Finished tables come along where their rows are told by keys: foreign keys are looked at when all is
 * copied, and tables of several points in time need not satisfy them.
 */
export async function goOn(deps: SnapshotDeps, before: KeptLook, signal: AbortSignal): Promise<Begun> {
  const { work, report } = deps;
  const { sides } = before;
  const take = () => holdTemporarySnapshot(deps, sides.source, signal);
  const { held, storage, left: tables } = await takeSnapshot(deps, { ...before, take }, signal);
  const look = { ...before, storage, tables };
  try {
    // After the snapshot: a definition that changed before it is seen.
    const found = await findKept(deps, look);
    const finished = await findFinished(deps, { ...look, tables: before.tables });
    const stretch = { sides, checkpoint: look.checkpoint, upTo: held.lsn };
    const untold = await gather(deps, { ...stretch, kept: found.kept }, signal);
    const kept = new Map([...found.kept].filter(([name]) => !untold.has(name)));
    const reasons = new Map([...found.reasons, ...untold]);
    if (reasons.size > 0) await report.note(`finished parts cannot stay: ${showReasons(reasons)}`);
    const anew = notKept(tables, kept);
    if (anew.length > 0) {
      await report.note(`the copy goes on under a new snapshot: ${showAnew(reasons, anew, work.tables.length)}`);
      await startTables(deps, { sides, held, copied: look.copied, tables: anew, main: false });
    }
    if (kept.size > 0) {
      const inSnapshot = async () => {
        await sides.source.run(sql`set transaction snapshot ${literal(held.name)}`);
        await bringForward(deps, { ...look, held, kept }, signal);
      };
      await sides.source.transaction(inSnapshot, 'begin isolation level repeatable read read only');
    }
    const left = tables.filter((table) => !isWhole(kept.get(showTable(table.from))));
    // Last: what is to be read whole should be read soon, before it is rewritten again.
    const bringAlong = async (source: Connection) => {
      const along = { ...look, sides: { ...sides, source }, held };
      await bringFinished(deps, { ...along, finished, stretch }, signal);
    };
    return { held, storage, tables: left, kept, bringAlong };
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

const isWhole = (table: KeptTable | undefined) => table !== undefined && table.done.size === table.parts.length;

// Of a table of which nothing was there yet, nothing is lost.
function showAnew(lost: ReadonlyMap<string, unknown>, anew: readonly MirroredTable[], all: number): string {
  const rest = anew.length - anew.filter(({ from }) => lost.has(showTable(from))).length;
  const lines = lost.size === 0 ? [] : [`${lost.size} of ${all} tables begin anew (${firstNames([...lost.keys()])})`];
  return [...lines, ...(rest > 0 ? [`${rest} of ${all} had no finished part yet`] : [])].join(', ');
}

async function gather(
  { work }: SnapshotDeps,
  stretch: { readonly sides: Sides; readonly checkpoint: Lsn; readonly upTo: Lsn; readonly kept: KeptTables },
  signal: AbortSignal,
): Promise<Untold> {
  const { kept, sides, upTo, checkpoint } = stretch;
  if (kept.size === 0) return new Map();
  if (work.slot === null) throw new SluiceError('internal', 'a copy-only mirror has no stream');
  const tables = [...kept].map(([name, { tree, key, snapshotLsn }]) => ({
    name,
    oids: [tree.root, ...tree.partitions, ...tree.root.leaves].map(({ oid }) => oid),
    key: key.map((column) => column.name),
    from: snapshotLsn,
  }));
  const untold = await gatherChangedKeys(
    { work, slot: work.slot.name, ...sides, tables, from: checkpoint, upTo },
    signal,
  );
  if (untold !== null) return untold;
  return new Map([...kept.keys()].map((name) => [name, 'the target does not grant temporary tables']));
}

interface Forward extends KeptLook {
  readonly held: HeldSnapshot & { readonly lsn: Lsn };
}

async function bringForward(
  deps: SnapshotDeps,
  forward: Forward & { readonly kept: KeptTables },
  signal: AbortSignal,
): Promise<void> {
  const { work, report } = deps;
  const told: string[] = [];
  let changed = 0;
  for (const [name, table] of forward.kept) {
    try {
      changed += await bringTableForward(deps, { ...forward, name, table }, signal);
    } catch (error) {
      if (isRewritten(error)) await report.note(error.message);
      throw during(`bringing ${name} forward to a new snapshot`, error);
    }
    told.push(`${name} (${table.done.size} of ${table.parts.length})`);
  }
  await report.note(
    `finished parts stay under a new snapshot, of ${told.length} of ${work.tables.length} tables: ${firstNames(told)}; ${changed} rows that changed meanwhile were read again`,
  );
  for (const table of forward.kept.values()) if (isWhole(table)) await report.finished(table.tree.mapping);
}

/** Tables whose copy was finished before come along, so that all tables show one point in time. */
async function bringFinished(
  deps: SnapshotDeps,
  forward: Forward & {
    readonly finished: KeptTables;
    readonly stretch: { readonly checkpoint: Lsn; readonly upTo: Lsn };
  },
  signal: AbortSignal,
): Promise<void> {
  const { finished, sides, stretch } = forward;
  if (finished.size === 0) return;
  const untold = await gather(deps, { ...stretch, sides, kept: finished }, signal);
  if (untold.size === finished.size) return;
  const touched = await changedTables(sides.target);
  const moved = [...finished].filter(([name]) => touched.has(name) && !untold.has(name));
  let changed = 0;
  for (const [name, table] of moved) {
    try {
      changed += await bringTableForward(deps, { ...forward, name, table }, signal);
    } catch (error) {
      // As it was; the stream will empty it.
      if (!isRewritten(error) && !isAltered(deps, error))
        throw during(`bringing ${name} forward to a new snapshot`, error);
    }
  }
  if (moved.length > 0)
    await deps.report.note(
      `${moved.length} finished tables came along to the new snapshot; ${changed} of their rows were read again`,
    );
}

async function bringTableForward(
  deps: SnapshotDeps,
  forward: Forward & { readonly name: string; readonly table: KeptTable },
  signal: AbortSignal,
): Promise<number> {
  const { work } = deps;
  const { sides, name, table, held, storage } = forward;
  const { source, target } = sides;
  const { tree, to, key } = table;
  const { mapping, root } = tree;
  const columns = copiedColumns(
    mapping,
    { table: root, version: source.version },
    { table: to, version: target.version },
  );
  const range = doneCondition(table);
  const pace = (passed: number) => deps.throttle?.pass(passed, signal);
  const targetSql = copyIn({ into: mapping.to }, columns);
  return await target.transaction(async () => {
    await holdToken(target, work);
    let rows = 0;
    const deleted = await deleteChangedRows(target, { name, to, key });
    for await (const keys of changedKeys(target, name, keysAtOnce)) {
      const condition = both(keyIsOneOf(key, keys), range);
      const sourceSql = copyOutSome({ mapping, only: root.kind === 'r', condition }, columns);
      rows += (await relayCopy({ source, sourceSql, target, targetSql, pace }, signal)).rows;
    }
    await refuseRewritten(source, [root], storage);
    await moveParts(target, work, { table: name, snapshotLsn: held.lsn, finished: isWhole(table) });
    deps.log.debug({ table: name, deleted, rows }, 'brought forward');
    return rows;
  });
}

// What has changed of it comes with the stream, as its rows do.
function isAltered({ work }: SnapshotDeps, error: unknown): boolean {
  return followsAll(work) && error instanceof SluiceError && error.kind === 'wrong_state';
}

function isRewritten(error: unknown): error is SluiceError {
  return error instanceof SluiceError && error.kind === 'source_changed';
}

function both(a: Sql, b: Sql | null): Sql {
  return b === null ? a : join([a, b], ' and ');
}
