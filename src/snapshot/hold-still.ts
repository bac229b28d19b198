// Tables that were rewritten under one snapshot are locked under the next: one that is truncated every second is copied all the same.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { CopiedTable } from '../peers/checkpoint.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, literal, quoteName, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { refuseAltered } from './changed-tables.ts';
import type { CopyState, WorkerPair } from './copy-parts.ts';
import { cutSource } from './cut.ts';
import type { SnapshotDeps } from './deps.ts';
import { firstNames } from './kept.ts';
import { countParts, makeJobs } from './plan.ts';
import type { HeldSnapshot } from './slot.ts';
import { type Sides, startTables } from './start.ts';
import { readStorage, refuseRewritten, type Storage } from './storage.ts';
import { tellPlan } from './tell-plan.ts';
import { copyJob, openPair } from './worker.ts';

export interface TakenSnapshot<Held extends HeldSnapshot> {
  readonly held: Held;
  /** Where the tables lay before it was taken. */
  readonly storage: Storage;
  /** Tables that are still to be copied. */
  readonly left: readonly MirroredTable[];
}

interface Look<Held extends HeldSnapshot> {
  readonly sides: Sides;
  readonly copied: ReadonlyMap<string, CopiedTable>;
  /** To be copied. */
  readonly tables: readonly MirroredTable[];
  readonly storage: Storage;
  readonly take: () => Promise<Held>;
}

/**
 * Takes a snapshot and copies at once, locked, those of the tables that were rewritten under an earlier one.
 * @throws `source_changed` if they were rewritten again and again while snapshots were taken; what copyJob throws
 */
export async function takeSnapshot<Held extends HeldSnapshot>(
  deps: SnapshotDeps,
  look: Look<Held>,
  signal: AbortSignal,
): Promise<TakenSnapshot<Held>> {
  const { tables, storage, take } = look;
  const isRewritten = ({ from }: MirroredTable) => deps.memory?.rewritten.has(showTable(from)) === true;
  const rewritten = tables.filter(isRewritten);
  if (rewritten.length === 0) return { held: await take(), storage, left: tables };
  const left = tables.filter((table) => !isRewritten(table));
  return { ...(await copyLocked(deps, { ...look, tables: rewritten }, signal)), left };
}

/**
 * Everything that is to be known of the tables is read before the snapshot, and their rows by the session that has the lock, as
 * any other of ours would wait behind whoever waits for that lock. It comes after the snapshot, as a slot waits for every open
 * transaction, and a TRUNCATE that waits for a lock is one.
 */
async function copyLocked<Held extends HeldSnapshot>(
  deps: SnapshotDeps,
  look: Look<Held>,
  signal: AbortSignal,
): Promise<Omit<TakenSnapshot<Held>, 'left'>> {
  const { sides, tables, copied } = look;
  const cut = await cutSource(deps, { sides, held: null, tables, kept: new Map(), storage: look.storage }, signal);
  await using pair = await openPair(deps, async () => {}, signal);
  const { held, storage, locked } = await lockedSnapshot(deps, look, pair);
  try {
    await startTables(deps, { sides, held, copied, tables, main: false });
    const names = tables.map(({ from }) => showTable(from));
    await noteLocked(deps, names, locked);
    for (const parts of cut.tables) await tellPlan(deps, parts, new Map());
    const state: CopyState = {
      columns: cut.columns,
      outstanding: countParts(cut.tables),
      storage,
      rewritten: new Map(),
      snapshotLsn: held.lsn,
      passed: () => {},
    };
    for (const job of makeJobs(cut.tables)) await copyJob(deps, pair, { job, state, signal });
    for (const name of names) deps.memory?.rewritten.delete(name);
    return { held, storage };
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

async function noteLocked(
  { report }: SnapshotDeps,
  names: readonly string[],
  locked: readonly TableName[],
): Promise<void> {
  const shown = new Set(locked.map(showTable));
  const free = names.filter((name) => !shown.has(name));
  if (shown.size > 0)
    await report.note(
      `rewritten under an earlier snapshot, and locked while they are copied: ${firstNames([...shown])}`,
    );
  // Whoever may read some columns only may not lock.
  if (free.length > 0)
    await report.note(
      `rewritten under an earlier snapshot, and copied first, as they cannot be locked: ${firstNames(free)}`,
    );
}

// A slot takes some tenths of a second: what is rewritten in each of so many cannot be copied while that goes on.
const mostSnapshots = 20;

/** A snapshot under which the pair's source holds the tables still, as any reader does (ACCESS SHARE). */
async function lockedSnapshot<Held extends HeldSnapshot>(
  deps: SnapshotDeps,
  { sides, tables, take }: Look<Held>,
  { source }: WorkerPair,
): Promise<Omit<TakenSnapshot<Held>, 'left'> & { readonly locked: readonly TableName[] }> {
  const names = tables.map(({ from }) => from);
  const locked = await findLockable(source, names);
  const list = locked.map(({ schema, name }) => ident(schema, name));
  for (let taken = 1; ; taken++) {
    const storage = await readStorage(
      sides.source,
      deps.work.tables.map(({ from }) => from),
    );
    const held = await take();
    try {
      await source.run(sql`begin isolation level repeatable read read only`);
      await source.run(sql`set transaction snapshot ${literal(held.name)}`);
      if (list.length > 0) await source.run(sql`lock table ${join(list)} in access share mode`);
      await refuseRewritten(source, names, storage);
      await refuseAltered(deps, { source, target: sides.target }, tables);
      return { held, storage, locked };
    } catch (error) {
      await held[Symbol.asyncDispose]();
      const again = error instanceof SluiceError && error.kind === 'source_changed' && taken < mostSnapshots;
      if (!again) throw error;
      await source.run(sql`rollback`);
    }
  }
}

// Foreign tables and materialized views cannot be locked by a statement, nor what may be read by columns only.
async function findLockable(source: Connection, tables: readonly TableName[]): Promise<readonly TableName[]> {
  const wanted = tables.map(({ schema, name }) => quoteName(schema, name));
  return await source.query<TableName>(sql`
    select n.nspname::text as schema, c.relname::text as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid in (select pg_catalog.to_regclass(wanted) from pg_catalog.unnest(${wanted}::text[]) as tables(wanted))
      and c.relkind in ('r', 'p') and pg_catalog.has_table_privilege(c.oid, 'SELECT')
    order by c.oid`);
}
