// What schema_changes = full asks of a copy: tables that are dropped, renamed or altered on the source while it runs.
import { SluiceError } from '../base/errors.ts';
import type { TableChange } from '../mirror/table-change.ts';
import { withTableChanges } from '../mirror/table-change.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { type Definition, definitionsOf, readBegun, readDefinitions, renameBegun } from '../peers/begun-tables.ts';
import { finishCopiedTables, holdToken } from '../peers/checkpoint.ts';
import { inspectTables } from '../peers/inspect.ts';
import { ensureKnownObjects } from '../peers/known-objects.ts';
import { renameCopied } from '../peers/known-tables.ts';
import { ensureSchemaChanges, writeSchemaChange } from '../peers/schema-changes.ts';
import { type Memory, readRemembered, writeMemories } from '../peers/shape.ts';
import { tellSchemaChanges } from '../peers/told-changes.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, parseLsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import type { Sides } from './start.ts';

/** Whether what is dropped and renamed on the source while it is copied is seen to. */
export function followsAll({ options, slot }: MirrorWork): boolean {
  return slot !== null && options.schema_changes === 'full';
}

/** Makes what the target remembers such changes in. */
export async function ensureMemories(target: Connection, { target: { metadataSchema } }: MirrorWork): Promise<void> {
  await ensureKnownObjects(target, metadataSchema);
  await ensureSchemaChanges(target, metadataSchema);
}

export interface Present {
  /** The mirror's tables that are there, by the names that the source has for them now. */
  readonly work: MirrorWork;
  /** By showTable of those names: each with what it is now, and was when the target's was made. */
  readonly now: ReadonlyMap<string, { readonly is: Definition; readonly was: string | undefined }>;
}

/**
 * The mirror's tables as they are called now. What was renamed goes by its new name from here on, and gets it on the target when
 * the mirror follows; what is gone is not copied, and leaves the mirror then.
 */
export async function lookForTables(deps: SnapshotDeps, { source, target }: Sides): Promise<Present> {
  if (!followsAll(deps.work)) return { work: deps.work, now: new Map() };
  await ensureMemories(target, deps.work);
  const told = await tellSchemaChanges(target, deps.work, deps.report);
  let work: MirrorWork = { ...deps.work, tables: told.reduce(withTableChanges, deps.work.tables) };
  const known = await knownTables(target, work);
  const there = new Map(
    (
      await definitionsOf(
        source,
        [...known.values()].map(({ oid }) => oid),
      )
    ).map((each) => [each.oid, each]),
  );
  const isOf = ({ from }: MirroredTable) => there.get(known.get(showTable(from))?.oid ?? 0);
  const isGone = (table: MirroredTable) => known.has(showTable(table.from)) && isOf(table) === undefined;
  const changes = renamed(work, { isOf, isGone, known });
  if (changes.length > 0) {
    await writeRenames({ source, target }, work, changes);
    await tellSchemaChanges(target, work, deps.report);
    work = { ...work, tables: withTableChanges(work.tables, changes) };
    for (const each of changes) {
      const before = known.get(showTable(each.from));
      if (before !== undefined) known.set(showTable(each.table.from), before);
    }
  }
  const gone = work.tables.filter(isGone);
  if (gone.length > 0) await passOver(deps, target, { gone, known });
  const left = work.tables.filter((table) => !gone.includes(table));
  const now = left.flatMap((table) => {
    const is = isOf(table);
    const was = known.get(showTable(table.from))?.print;
    return is === undefined ? [] : [[showTable(table.from), { is, was }] as const];
  });
  return { work: { ...work, tables: left }, now: new Map(now) };
}

/**
 * The same before anything is made for them, when they are known by their names only. What was renamed since the mirror was
 * created joins it as a new table when the mirror follows.
 */
export async function lookBefore(deps: SnapshotDeps, { source, target }: Sides): Promise<Present> {
  if (!followsAll(deps.work)) return { work: deps.work, now: new Map() };
  await ensureMemories(target, deps.work);
  const told = await tellSchemaChanges(target, deps.work, deps.report);
  const work: MirrorWork = { ...deps.work, tables: told.reduce(withTableChanges, deps.work.tables) };
  const names = work.tables.map(({ from }) => from);
  const there = new Map((await readDefinitions(source, names)).map((is) => [showTable(is), { is, was: undefined }]));
  const changes = work.tables.flatMap(({ from }): TableChange[] =>
    work.scope.kind === 'tables' || there.has(showTable(from)) ? [] : [{ kind: 'leave', from }],
  );
  if (changes.length === 0 || changes.length === work.tables.length) return { work, now: there };
  const lsn = await endOfLog(source);
  await target.transaction(async () => {
    await holdToken(target, work);
    for (const each of changes) {
      const table = each.kind === 'leave' ? showTable(each.from) : '';
      const what = 'dropped or renamed on the source before the first copy began';
      await writeSchemaChange(target, work, { table, what, lsn, statements: [], tables: [each] });
    }
  });
  await tellSchemaChanges(target, work, deps.report);
  return { work: { ...work, tables: withTableChanges(work.tables, changes) }, now: there };
}

interface KnownTable {
  readonly oid: number;
  readonly print: string | undefined;
  readonly hasShape: boolean;
}

async function knownTables(target: Connection, work: MirrorWork): Promise<Map<string, KnownTable>> {
  const begun = await readBegun(target, work);
  const remembered = await readRemembered(target, work);
  return new Map(
    work.tables.flatMap(({ from }) => {
      const name = showTable(from);
      const shape = remembered.get(name)?.shape ?? null;
      const first = begun.get(name);
      const oid = shape?.oid ?? first?.oid;
      if (oid === undefined) return [];
      return [[name, { oid, print: first?.print, hasShape: shape !== null }] as const];
    }),
  );
}

type Rename = Extract<TableChange, { readonly kind: 'rename' }>;

function renamed(
  { tables }: MirrorWork,
  of: {
    readonly isOf: (table: MirroredTable) => Definition | undefined;
    readonly isGone: (table: MirroredTable) => boolean;
    readonly known: ReadonlyMap<string, KnownTable>;
  },
): readonly Rename[] {
  const changes = tables.flatMap((table): Rename[] => {
    const is = of.isOf(table);
    if (is === undefined || showTable(is) === showTable(table.from)) return [];
    return [{ kind: 'rename', from: table.from, table: { ...table, from: { schema: is.schema, name: is.name } } }];
  });
  const taken = new Set(changes.map(({ table }) => showTable(table.from)));
  // Two of one name cannot be told apart.
  const aside = tables.flatMap((table): Rename[] => {
    const name = showTable(table.from);
    if (!of.isGone(table) || !taken.has(name)) return [];
    const from = { schema: table.from.schema, name: `dropped ${of.known.get(name)?.oid}` };
    return [{ kind: 'rename', from: table.from, table: { ...table, from } }];
  });
  return [...changes, ...aside];
}

async function writeRenames({ source, target }: Sides, work: MirrorWork, changes: readonly Rename[]): Promise<void> {
  const lsn = await endOfLog(source);
  const pairs = changes.map(({ from, table }) => ({ from, to: table.from }));
  await target.transaction(async () => {
    await holdToken(target, work);
    await renameCopied(target, work, pairs);
    await renameBegun(target, work, pairs);
    const [first] = changes;
    const table = first === undefined ? '' : showTable(first.from);
    const what = `renamed on the source while the first copy runs: ${pairs.map(({ from, to }) => `${showTable(from)} to ${showTable(to)}`).join(', ')}`;
    await writeSchemaChange(target, work, { table, what, lsn, statements: [], tables: changes });
  });
}

async function endOfLog(source: Connection): Promise<Lsn> {
  const { lsn } = await source.one<{ lsn: string }>(sql`select pg_catalog.pg_current_wal_insert_lsn()::text as lsn`);
  return parseLsn(lsn);
}

// Who follows the mirror must know it by its OID: another may have its name.
async function passOver(
  { work, report }: SnapshotDeps,
  target: Connection,
  { gone, known }: { readonly gone: readonly MirroredTable[]; readonly known: ReadonlyMap<string, KnownTable> },
): Promise<void> {
  const lost = gone.filter(({ from }) => known.get(showTable(from))?.hasShape === false);
  const there = new Map(
    (
      await inspectTables(
        target,
        lost.map(({ to }) => to),
        { sizes: false },
      )
    ).map((table) => [showTable(table), table.oid]),
  );
  const memories = lost.map(({ from, to }): Memory => {
    const table = showTable(from);
    const oid = known.get(table)?.oid ?? 0;
    return { table, shape: { oid, targetOid: there.get(showTable(to)) ?? 0, key: null, columns: [] } };
  });
  await target.transaction(async () => {
    await holdToken(target, work);
    await writeMemories(target, work, memories);
    await finishCopiedTables(
      target,
      work,
      gone.map(({ from }) => from),
    );
  });
  if (lost.length > 0)
    await report.note(
      `dropped on the source before they were copied, and dropped on the target once changes follow: ${lost.map(({ from }) => showTable(from)).join(', ')}`,
    );
}

/**
 * After the columns to copy were read: they must be those that the target's table was made for, or what the source has dropped
 * meanwhile would stay there.
 * @throws `source_changed`
 */
export async function refuseAltered(
  { work }: SnapshotDeps,
  { source, target }: Sides,
  tables: readonly MirroredTable[],
): Promise<void> {
  if (!followsAll(work)) return;
  const begun = await readBegun(target, work);
  const names = tables.map(({ from }) => from);
  const now = await readDefinitions(source, names);
  const altered = now.filter((each) => {
    const was = begun.get(showTable(each));
    return was !== undefined && (was.oid !== each.oid || was.print !== each.print);
  });
  if (altered.length === 0 && now.length === tables.length) return;
  throw new SluiceError(
    'source_changed',
    'tables were dropped, renamed or altered on the source when their copy began',
    {
      detail: altered.map(showTable).join(', ') || undefined,
    },
  );
}
