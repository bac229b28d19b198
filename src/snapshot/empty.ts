// Empties tables of the target: by TRUNCATE, together where they refer to each other, or row by row where others refer to them.
import { SluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';

/** @param tables all that may be emptied; only those that are filled have to be */
export async function emptyTables(
  target: Connection,
  tables: readonly (TableName & { readonly filled: boolean })[],
): Promise<void> {
  if (!tables.some((table) => table.filled)) return;
  const schemas = tables.map((table) => table.schema);
  const names = tables.map((table) => table.name);
  // What is derived from a key between partitioned tables has a parent. TRUNCATE would take heirs along, which are not ours.
  const rows = await target.query<{ place: number; schema: string; name: string; partitioned: boolean } & Referred>(sql`
    select wanted.place::int as place, n.nspname::text as schema, c.relname::text as name, c.relkind = 'p' as partitioned,
      c.oid, (select coalesce(pg_catalog.json_agg(distinct k.conrelid::int8), '[]') from pg_catalog.pg_constraint k
        where k.confrelid = c.oid and k.contype = 'f' and k.conparentid = 0 and k.conrelid <> c.oid) as "referredBy"
    from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${names}::text[]))
      with ordinality as wanted(schema, name, place)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name and c.relkind in ('r', 'p')`);
  const table = (row: (typeof rows)[number]) =>
    sql`${row.partitioned ? sql`` : sql`only `}${ident(row.schema, row.name)}`;
  const filled = new Set(rows.filter((row) => tables[row.place - 1]?.filled).map((row) => row.oid));
  const truncated = truncatable(rows, filled);
  const plain = rows.filter((row) => truncated.has(row.oid));
  if (plain.length > 0) await target.run(sql`truncate ${join(plain.map(table))}`);
  const rest = rows.filter((row) => filled.has(row.oid) && !truncated.has(row.oid));
  await refuseCascades(target, rest);
  for (const row of rest) {
    await target.run(sql`delete from ${table(row)}`);
  }
}

// Where triggers are at work, a delete may change rows of tables that are none of ours.
async function refuseCascades(target: Connection, tables: readonly (TableName & Referred)[]): Promise<void> {
  if (tables.length === 0) return;
  const oids = tables.map((each) => each.oid);
  const rows = await target.query<TableName & { constraint: string }>(sql`
    select n.nspname::text as schema, c.relname::text as name, k.conname::text as constraint
    from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = k.conrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'f' and k.confrelid = any(${oids}::oid[]) and k.conrelid <> all(${oids}::oid[])
      and k.confdeltype in ('c', 'n', 'd') and pg_catalog.current_setting('session_replication_role') <> 'replica'
    order by 1, 2, 3`);
  const [first] = rows;
  if (first === undefined) return;
  throw new SluiceError(
    'wrong_state',
    `emptying tables of the mirror would change rows of ${showTable(first)} on the target`,
    {
      detail: `By ON DELETE of: ${rows.map((row) => `${row.constraint} of ${showTable(row)}`).join(', ')}.`,
      hint: 'Drop these foreign keys until the copy is done, and RESUME MIRROR.',
    },
  );
}

interface Referred {
  readonly oid: number;
  /** OIDs of other tables with a foreign key to it. */
  readonly referredBy: readonly number[];
}

/**
 * The tables for one TRUNCATE: it refuses a table unless those that refer to it are in the list, so they come along, and a
 * table that one from outside leads to stays out. Pure.
 */
export function truncatable(tables: readonly Referred[], filled: ReadonlySet<number>): ReadonlySet<number> {
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  const able = new Set(byOid.keys());
  for (let before = -1; before !== able.size; ) {
    before = able.size;
    for (const { oid, referredBy } of tables) if (!referredBy.every((each) => able.has(each))) able.delete(oid);
  }
  const chosen = new Set<number>();
  const open = [...filled].filter((oid) => able.has(oid));
  for (let oid = open.pop(); oid !== undefined; oid = open.pop()) {
    if (chosen.has(oid)) continue;
    chosen.add(oid);
    open.push(...(byOid.get(oid)?.referredBy ?? []));
  }
  return chosen;
}
