// Replica identity by an index: its name and kind on the source, and the statements that make the same on the target.
import type { Connection } from '../pg/client.ts';
import { ident, type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import { columnList } from './ddl-types.ts';

export interface IdentityIndex {
  /** Its name on the target, if that is free. */
  readonly name: string;
  /** Whether it stands behind a UNIQUE constraint. */
  readonly constraint: boolean;
  /** What the source prints of it after USING; null where that does not do: it has a column that is excluded. */
  readonly using: string | null;
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
 * Makes the index on the target's table, unless one that does stands there, and the table known by it. Where its name is taken
 * it is named after the table (the server cuts that to 63 bytes, both times alike). Pure.
 */
export function addIdentityIndex(
  source: Table,
  index: IdentityIndex,
  target: { readonly to: TableName; readonly taken: ReadonlySet<string>; readonly standing?: string | undefined },
): readonly Sql[] {
  const { to, taken, standing } = target;
  const isFree = !taken.has(showTable({ schema: to.schema, name: index.name }));
  const name = ident(standing ?? (isFree ? index.name : `identity_${to.name}`));
  const table = ident(to.schema, to.name);
  const columns = columnList(source.identityColumns ?? []);
  const using = index.using === null ? columns : sql`using ${trusted(index.using)}`;
  const create = sql`create unique index ${name} on ${table} ${using}`;
  // A partitioned table takes no constraint from an index.
  const make = !index.constraint
    ? [create]
    : source.kind === 'p' || index.using === null
      ? [sql`alter table ${table} add constraint ${name} unique ${columns}`]
      : [create, sql`alter table ${table} add constraint ${name} unique using index ${name}`];
  return [...(standing === undefined ? make : []), sql`alter table ${table} replica identity using index ${name}`];
}
