// A print of what a database's catalogs hold: while it stays the same, what was read of them need not be read again.
import type { Connection } from '../pg/client.ts';
import { ident, join, literal, type Sql, sql } from '../pg/sql.ts';

// `bit_xor` of bigints and hashes of whole rows came with it.
const firstVersion = 140_000;
/** Where the catalogs take more than that, to look at every row costs more than to read some tables again. */
const mostBytes = 48 * 1024 * 1024;

export interface CatalogPrint {
  readonly print: string;
  /** Which transactions had ended when it was made; null where that does not say which ones could be seen. */
  readonly ended: string | null;
}

// While no other transaction has ended, none of those that change something, there is nothing new to see. A standby does not list
// those that are under way. https://www.postgresql.org/docs/18/functions-info.html#FUNCTIONS-PG-SNAPSHOT
const ended = sql`case when not pg_catalog.pg_is_in_recovery() then pg_catalog.pg_current_snapshot()::text end as ended`;

/** Whether the catalogs are what they were. */
export async function isCatalogPrint(db: Connection, before: CatalogPrint): Promise<boolean> {
  const now = await db.one<{ ended: string | null }>(sql`select ${ended}`);
  if (now.ended !== null && now.ended === before.ended) return true;
  return (await readCatalogPrint(db))?.print === before.print;
}

/**
 * Of the versions (xmin and ctid) of all rows of the catalogs that the role may read, those that all databases share among them, and
 * of the names of roles; not of statistics and of what large objects hold. VACUUM and ANALYZE change rows of pg_class in place, and
 * with them no version; a version that is frozen keeps its xmin. https://www.postgresql.org/docs/18/ddl-system-columns.html
 * @returns null where it cannot be had, or not cheaply
 */
export async function readCatalogPrint(db: Connection): Promise<CatalogPrint | null> {
  if (db.version < firstVersion) return null;
  const catalogs = await db.query<{ name: string; bytes: string }>(sql`
    select c.relname::text as name, pg_catalog.pg_relation_size(c.oid) as bytes from pg_catalog.pg_class c
    where c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace and c.relkind = 'r'
      and c.relname not in ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject')
      and pg_catalog.has_table_privilege(c.oid, 'select')
    order by c.relname`);
  if (catalogs.reduce((sum, { bytes }) => sum + Number(bytes), 0) > mostBytes) return null;
  const each = catalogs.map(({ name }) => printOf(name, sql`xmin, ctid`));
  // Their own catalog is not for everybody.
  const all = join([...each, printOf('pg_roles', sql`oid, rolname`)], ' union all ');
  const printed = sql`pg_catalog.string_agg(pg_catalog.concat_ws(' ', name, rows, versions), ',' order by name)`;
  return await db.one<CatalogPrint>(sql`select pg_catalog.md5(${printed}) as print, ${ended} from (${all}) prints`);
}

function printOf(catalog: string, columns: Sql): Sql {
  const versions = sql`pg_catalog.bit_xor(pg_catalog.hash_record_extended(row(${columns}), 0))`;
  return sql`select ${literal(catalog)} as name, pg_catalog.count(*) as rows, ${versions} as versions
    from ${ident('pg_catalog', catalog)}`;
}
