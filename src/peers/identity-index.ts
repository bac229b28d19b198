// Replica identity by an index: its name and kind on the source, and the statements that make the same on the target.
import type { Connection } from '../pg/client.ts';
import { ident, type Sql, sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import { columnList } from './ddl-types.ts';

export interface IdentityIndex {
  /** OID of its table on the source. */
  readonly table: number;
  readonly name: string;
  /** Whether it stands behind a UNIQUE constraint. */
  readonly constraint: boolean;
}

/** The indexes by which rows of these tables are told apart (REPLICA IDENTITY USING INDEX), by OID of the table; no primary keys. */
export async function readIdentityIndexes(
  db: Connection,
  tables: readonly Table[],
): Promise<ReadonlyMap<number, IdentityIndex>> {
  const oids = tables.filter((table) => table.replicaIdentity === 'i').map((table) => table.oid);
  if (oids.length === 0) return new Map();
  const rows = await db.query<IdentityIndex>(sql`
    select x.indrelid::oid as table, c.relname::text as name,
      exists (select from pg_catalog.pg_constraint k where k.conindid = x.indexrelid and k.contype = 'u') as constraint
    from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid
    where x.indrelid = any(${oids}::oid[]) and x.indisreplident and not x.indisprimary`);
  return new Map(rows.map((row) => [row.table, row]));
}

/** The indexes of a target's tables that could tell their rows apart by these columns: names by OID of the table. */
export async function findIdentityIndexes(
  db: Connection,
  wanted: ReadonlyMap<number, readonly string[]>,
): Promise<ReadonlyMap<number, string>> {
  if (wanted.size === 0) return new Map();
  const rows = await db.query<{ table: number; name: string; columns: readonly string[] }>(sql`
    select x.indrelid::oid as table, c.relname::text as name, (select pg_catalog.json_agg(a.attname)
      from pg_catalog.unnest(x.indkey) with ordinality as key(attnum, place)
      join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = key.attnum
      where key.place <= x.indnkeyatts) as columns
    from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid
    where x.indrelid = any(${[...wanted.keys()]}::oid[]) and x.indisunique and x.indimmediate and x.indisvalid
      and x.indpred is null and x.indexprs is null`);
  const fit = rows.filter(({ table, columns }) => {
    const names = new Set(wanted.get(table));
    return columns.length === names.size && columns.every((column) => names.has(column));
  });
  return new Map(fit.map(({ table, name }) => [table, name]));
}

/** Those of the names that a relation has already, by showTable. */
export async function takenNames(db: Connection, names: readonly TableName[]): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set();
  const rows = await db.query<TableName>(sql`
    select n.nspname::text as schema, c.relname::text as name
    from rows from (pg_catalog.unnest(${names.map((n) => n.schema)}::text[]), pg_catalog.unnest(${names.map((n) => n.name)}::text[]))
      as wanted(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name`);
  return new Set(rows.map(showTable));
}

/**
 * Makes the index on the target's table, unless one that does stands there, and the table known by it. It keeps its name where the table keeps its own and the name
 * is free; else it is named after the table (the server cuts that to 63 bytes, both times alike). Pure.
 */
export function addIdentityIndex(
  source: Table,
  index: IdentityIndex,
  target: { readonly to: TableName; readonly taken: ReadonlySet<string>; readonly standing?: string | undefined },
): readonly Sql[] {
  const { to, taken, standing } = target;
  const keeps = source.name === to.name && !taken.has(showTable({ schema: to.schema, name: index.name }));
  const name = ident(standing ?? (keeps ? index.name : `identity_${to.name}`));
  const table = ident(to.schema, to.name);
  const columns = columnList(source.identityColumns ?? []);
  const make = index.constraint
    ? sql`alter table ${table} add constraint ${name} unique ${columns}`
    : sql`create unique index ${name} on ${table} ${columns}`;
  return [...(standing === undefined ? [make] : []), sql`alter table ${table} replica identity using index ${name}`];
}
