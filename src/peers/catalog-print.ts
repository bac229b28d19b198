// A print of what a database's catalogs hold: while it stays the same, what was read of them need not be read again.
import type { Connection } from '../pg/client.ts';
import { ident, join, literal, sql } from '../pg/sql.ts';

// `bit_xor` of bigints and hashes of whole rows came with it.
const firstVersion = 140_000;
/** Where the columns of all relations take more than that, to look at every row costs more than to read some tables again. */
const mostBytes = 16 * 1024 * 1024;

/**
 * Of the versions (xmin and ctid) of all rows of the database's own catalogs that the role may read, other than statistics and
 * large objects. VACUUM and ANALYZE change rows of pg_class in place, and with them no version; a version that is frozen keeps its
 * xmin. Roles, tablespaces and other things that all databases share are not in it.
 * https://www.postgresql.org/docs/18/ddl-system-columns.html
 * @returns null where it cannot be had, or not cheaply
 */
export async function readCatalogPrint(db: Connection): Promise<string | null> {
  if (db.version < firstVersion) return null;
  const catalogs = await db.query<{ name: string }>(sql`
    select c.relname::text as name from pg_catalog.pg_class c
    where c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace and c.relkind = 'r' and not c.relisshared
      and c.relname not in ('pg_statistic', 'pg_statistic_ext_data', 'pg_largeobject', 'pg_largeobject_metadata')
      and pg_catalog.has_table_privilege(c.oid, 'select')
      and pg_catalog.pg_relation_size('pg_catalog.pg_attribute'::pg_catalog.regclass) <= ${mostBytes}
    order by c.relname`);
  if (catalogs.length === 0) return null;
  const each = catalogs.map(({ name }) => {
    const versions = sql`pg_catalog.bit_xor(pg_catalog.hash_record_extended(row(xmin, ctid), 0))`;
    return sql`select ${literal(name)} as name, pg_catalog.count(*) as rows, ${versions} as versions from ${ident('pg_catalog', name)}`;
  });
  const all = sql`pg_catalog.string_agg(pg_catalog.concat_ws(' ', name, rows, versions), ',' order by name)`;
  return (
    await db.one<{ print: string }>(
      sql`select pg_catalog.md5(${all}) as print from (${join(each, ' union all ')}) prints`,
    )
  ).print;
}
