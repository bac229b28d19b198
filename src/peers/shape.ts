// What a mirrored table was when the two sides last agreed: remembered on the target, compared before rows are written.
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import type { Table, TableName } from '../pg/table.ts';
import { holdToken } from './checkpoint.ts';

/** One column of the source and its counterpart. Names may change; numbers (attnum) stay with a column for its life. */
export interface ShapeColumn {
  readonly attnum: number;
  readonly name: string;
  /** As format_type prints it on the source, typmod included. */
  readonly type: string;
  /** OID of its type on the source, which keeps it under another name; left out by older versions. */
  readonly typeOid?: number;
  /** attnum on the target. */
  readonly target: number;
  readonly targetType: string;
  /** Whether the source said NOT NULL; left out by older versions. */
  readonly notNull?: boolean;
  /** Which transaction last changed what the source's catalog says of it, as of the shape's `node`; left out: not known. */
  readonly mark?: string;
  /** The source has dropped it; the target still had it then. */
  readonly dropped?: true;
}

/** A generated column of the source. */
export interface ShapeComputed {
  readonly attnum: number;
  /** attnum on the target; 0: it does without. */
  readonly target: number;
}

/** A table whose two sides agree. */
export interface Shape {
  /** OID on the source: a table keeps it when it is renamed. */
  readonly oid: number;
  readonly targetOid: number;
  /** Primary key of the source as of then; null: none. */
  readonly key: readonly string[] | null;
  readonly columns: readonly ShapeColumn[];
  /** Left out by older versions. */
  readonly computed?: readonly ShapeComputed[];
  /** Numbers of the columns that are left out of the mirror, whatever they are called later. */
  readonly excluded?: readonly number[];
  /** Columns that rows have and the mirror has not: they were gone from the source when it met them. */
  readonly passing?: readonly Pick<ShapeColumn, 'attnum' | 'name' | 'type'>[];
  /** Numbers of columns of its partitions, by their OIDs, that were dropped before; those of a partition are its own. */
  readonly gone?: Readonly<Record<string, readonly number[]>>;
  /** Names the source's files that had no other values of its columns than the target (`readFiles`); null: not looked at yet. */
  readonly node?: string | null;
}

/** A leaf partition of the source. `node` names its file: TRUNCATE gives it a new one. Null: not looked at yet. */
export interface ShapeLeaf extends TableName {
  readonly oid: number;
  readonly node: string | null;
}

export interface Remembered {
  readonly shape: Shape | null;
  readonly leaves: readonly ShapeLeaf[] | null;
  /** The source's transaction that emptied the whole table last, of those that were applied; null: none, or by an older version. */
  readonly emptiedBy: number | null;
  /** Numbers of the columns that the publication got later than the table, and whose values of before are still to be read. */
  readonly unread: readonly number[];
}

type Owner = Pick<MirrorWork, 'id' | 'name' | 'token'> & { readonly target: { readonly metadataSchema: string } };

/** Pairs the columns of both sides by name. Pure. */
export function shapeOf(mirrored: MirroredTable, source: Table, target: Table): Shape {
  const columns = source.columns.flatMap((column): ShapeColumn[] => {
    const there = target.columns.find((each) => each.name === column.name);
    if (there === undefined || mirrored.exclude.includes(column.name) || column.generated !== '') return [];
    const { attnum, name, type, notNull } = column;
    return [
      { attnum, name, type: type.text, typeOid: type.oid, target: there.attnum, targetType: there.type.text, notNull },
    ];
  });
  const computed = shapeComputed(source, target);
  const excluded = source.columns.filter(({ name }) => mirrored.exclude.includes(name)).map(({ attnum }) => attnum);
  const key = source.primaryKey?.immediate ? source.primaryKey.columns : null;
  return { oid: source.oid, targetOid: target.oid, key, columns, computed, excluded, node: null };
}

/** The source's generated columns and their counterparts. Pure. */
export function shapeComputed(source: Table, target: Table): readonly ShapeComputed[] {
  return source.columns.flatMap(({ attnum, name, generated }): ShapeComputed[] => {
    const there = target.columns.find((each) => each.name === name && each.generated !== '');
    return generated === '' ? [] : [{ attnum, target: there?.attnum ?? 0 }];
  });
}

/** The leaves of a partitioned table, for remembering. Pure. */
export function shapeLeaves(table: Table): readonly ShapeLeaf[] {
  if (table.kind !== 'p') return [];
  return table.leaves.map(({ oid, schema, name }) => ({ oid, schema, name, node: null }));
}

/** What is remembered, by showTable of the source's name. */
export async function readRemembered(db: Connection, owner: Owner): Promise<ReadonlyMap<string, Remembered>> {
  const s = ident(owner.target.metadataSchema);
  const rows = await db.query<{ source_table: string; emptied_by: string | null } & Omit<Remembered, 'emptiedBy'>>(
    sql`select source_table, shape, leaves, emptied_by, coalesce(unread, '[]') as unread
      from ${s}.copied_tables where mirror_id = ${owner.id}`,
  );
  return new Map(
    rows.map(({ source_table: table, shape, leaves, emptied_by: by, unread }) => [
      table,
      { shape, leaves, emptiedBy: by === null ? null : Number(by), unread },
    ]),
  );
}

/** A table (showTable of the source's name) and what to remember of it; what is left out stays. */
export interface Memory {
  readonly table: string;
  readonly shape?: Shape;
  readonly leaves?: readonly ShapeLeaf[];
  readonly unread?: readonly number[];
}

const memoriesPerTrip = 500;

/** Remembers, inside the caller's transaction. Tables that were never copied get a row. */
export async function writeMemories(db: Connection, owner: Owner, memories: readonly Memory[]): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  for (let at = 0; at < memories.length; at += memoriesPerTrip) {
    const json = JSON.stringify(memories.slice(at, at + memoriesPerTrip));
    await db.run(sql`insert into ${s}.copied_tables as c (mirror_id, source_table, finished, shape, leaves, unread)
      select ${owner.id}, m->>'table', true, m->'shape', m->'leaves', m->'unread'
      from pg_catalog.jsonb_array_elements(${json}::jsonb) as m
      on conflict (mirror_id, source_table) do update set
        shape = coalesce(excluded.shape, c.shape), leaves = coalesce(excluded.leaves, c.leaves),
        unread = coalesce(excluded.unread, c.unread)`);
  }
}

/**
 * Remembers which transaction of the source emptied partitioned tables (showTable of the source's names), inside the caller's
 * transaction: it explains their partitions' files to a later session.
 */
export async function writeEmptied(
  db: Connection,
  owner: Owner,
  emptied: readonly { readonly tables: readonly string[]; readonly xid: number }[],
): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  for (const { tables, xid } of emptied) {
    await db.run(sql`update ${s}.copied_tables set emptied_by = ${xid}
      where mirror_id = ${owner.id} and source_table = any(${[...tables]}::text[]) and leaves is not null`);
  }
}

/** As writeMemories, in a transaction of its own. @throws `fenced` */
export async function remember(db: Connection, owner: Owner, memories: readonly Memory[]): Promise<void> {
  if (memories.length === 0) return;
  await db.transaction(async () => {
    await holdToken(db, owner);
    await writeMemories(db, owner, memories);
  });
}
