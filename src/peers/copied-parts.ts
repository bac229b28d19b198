// How a table was cut when its copy began, and which of its parts the target has: what a later try needs to go on from them.
import type { FinishedTable } from '../mirror/copy-tally.ts';
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, sql } from '../pg/sql.ts';
import { holdToken } from './checkpoint.ts';

type Owner = Pick<MirrorWork, 'id' | 'name' | 'token'> & { readonly target: { readonly metadataSchema: string } };

/** A part that is on the target. */
export interface CopiedPart {
  readonly part: number;
  readonly rows: number;
  readonly bytes: number;
  /** Of the snapshot whose rows it shows. */
  readonly snapshotLsn: Lsn | null;
}

/** A table whose copy began and did not end. */
export interface BegunTable {
  readonly snapshotLsn: Lsn | null;
  /** As writePlans was given it; null: it was not cut. */
  readonly plan: unknown;
  readonly parts: readonly CopiedPart[];
}

const plansPerTrip = 100;

/** Remembers how tables are cut, by showTable of the source's name, until they begin anew. @throws `fenced` */
export async function writePlans(db: Connection, owner: Owner, plans: ReadonlyMap<string, unknown>): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const all = [...plans].map(([table, plan]) => ({ table, plan }));
  for (let at = 0; at < all.length; at += plansPerTrip) {
    await db.transaction(async () => {
      await holdToken(db, owner);
      await db.run(sql`update ${s}.copied_tables c set plan = p.plan
        from pg_catalog.json_to_recordset(${JSON.stringify(all.slice(at, at + plansPerTrip))}::json) as p("table" text, plan json)
        where c.mirror_id = ${owner.id} and c.source_table = p."table"`);
    });
  }
}

interface Row {
  readonly table: string;
  readonly lsn: string | null;
  readonly plan: unknown;
  readonly parts: readonly {
    readonly part: number;
    readonly rows: number;
    readonly bytes: number;
    readonly lsn: string | null;
  }[];
}

/** Unfinished tables of which the target has parts, by showTable of the source's name. */
export async function readBegunTables(db: Connection, owner: Owner): Promise<ReadonlyMap<string, BegunTable>> {
  const s = ident(owner.target.metadataSchema);
  const rows = await db.query<Row>(sql`
    select c.source_table as "table", c.snapshot_lsn::text as lsn, c.plan, p.parts from ${s}.copied_tables c
    join lateral (select pg_catalog.json_agg(pg_catalog.json_build_object('part', p.part, 'rows', p.row_count,
        'bytes', p.byte_count, 'lsn', p.snapshot_lsn::text) order by p.part) as parts
      from ${s}.parts p where p.mirror_id = c.mirror_id and p.source_table = c.source_table) p on p.parts is not null
    where c.mirror_id = ${owner.id} and not c.finished`);
  const lsn = (text: string | null) => (text === null ? null : parseLsn(text));
  return new Map(
    rows.map((row) => [
      row.table,
      {
        snapshotLsn: lsn(row.lsn),
        plan: row.plan,
        parts: row.parts.map(({ part, rows: count, bytes, lsn: at }) => ({
          ...{ part, rows: count, bytes },
          snapshotLsn: lsn(at),
        })),
      },
    ]),
  );
}

/**
 * Says that all that the target has of a table is as of another snapshot, inside the transaction that makes it so.
 * @param at.finished whether nothing is left to copy
 */
export async function moveParts(
  db: Connection,
  owner: Owner,
  at: { readonly table: string; readonly snapshotLsn: Lsn; readonly finished: boolean },
): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const lsn = formatLsn(at.snapshotLsn);
  await db.run(sql`update ${s}.parts set snapshot_lsn = ${lsn}::pg_lsn
    where mirror_id = ${owner.id} and source_table = ${at.table}`);
  await db.run(sql`update ${s}.copied_tables set snapshot_lsn = ${lsn}::pg_lsn, finished = ${at.finished}
    where mirror_id = ${owner.id} and source_table = ${at.table}`);
}

/** Finished tables, and what their parts have. */
export async function readFinishedTables(db: Connection, owner: Owner): Promise<readonly FinishedTable[]> {
  const s = ident(owner.target.metadataSchema);
  const rows = await db.query<{ table: string; rows: string; bytes: string }>(sql`
    select c.source_table as "table", coalesce(sum(p.row_count), 0)::int8 as rows, coalesce(sum(p.byte_count), 0)::int8 as bytes
    from ${s}.copied_tables c left join ${s}.parts p on p.mirror_id = c.mirror_id and p.source_table = c.source_table
    where c.mirror_id = ${owner.id} and c.finished group by c.source_table`);
  return rows.map(({ table, rows: count, bytes }) => ({ table, rows: Number(count), bytes: Number(bytes) }));
}

/** Tables into which rows were copied, by showTable of the source's name. */
export async function readTablesWithParts(db: Connection, owner: Owner): Promise<ReadonlySet<string>> {
  const s = ident(owner.target.metadataSchema);
  const rows = await db.query<{ table: string }>(sql`select distinct source_table as "table" from ${s}.parts
    where mirror_id = ${owner.id} and row_count > 0`);
  return new Set(rows.map(({ table }) => table));
}

/** Those of the parts that the target has: a commit whose answer was lost may have come about. */
export async function findParts(
  db: Connection,
  owner: Owner,
  wanted: readonly { readonly table: string; readonly part: number }[],
): Promise<
  readonly { readonly table: string; readonly part: number; readonly rows: number; readonly bytes: number }[]
> {
  const s = ident(owner.target.metadataSchema);
  const [tables, parts] = [wanted.map(({ table }) => table), wanted.map(({ part }) => part)];
  const rows = await db.query<{ table: string; part: number; rows: string; bytes: string }>(sql`
    select p.source_table as "table", p.part, p.row_count as rows, p.byte_count as bytes from ${s}.parts p
    join rows from (pg_catalog.unnest(${tables}::text[]), pg_catalog.unnest(${parts}::int[])) as w(t, n)
      on w.t = p.source_table and w.n = p.part
    where p.mirror_id = ${owner.id}`);
  return rows.map((row) => ({ ...row, rows: Number(row.rows), bytes: Number(row.bytes) }));
}
