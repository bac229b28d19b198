// A publication with column lists says nothing of columns that are added later: its lists grow with the tables.
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, names, sql, trusted } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';

interface Listed extends TableName {
  readonly published: readonly string[];
  readonly left: readonly { readonly attnum: number; readonly name: string }[];
  readonly filter: string | null;
}

/** What is asked and told about columns that a list lacks. */
export interface Widening {
  /** Whether a column belongs to the mirror. */
  readonly isMirrored: (table: TableName, attnum: number, name: string) => boolean;
  /** Called before a list gets columns, by their numbers: rows that were written before have no values of them in the log. */
  readonly before: (table: TableName, columns: readonly number[]) => Promise<void>;
}

/**
 * Publishes the columns that are not published and that belong to the mirror. Only a publication of ours is touched, and only
 * tables that have a list.
 * @returns tables whose lists grew
 */
export async function widenPublication(
  source: Connection,
  work: Pick<MirrorWork, 'publication' | 'tables'>,
  { isMirrored, before }: Widening,
): Promise<readonly TableName[]> {
  const { name, made } = work.publication;
  if (!made || work.tables.every((table) => table.exclude.length === 0)) return [];
  const { version } = source;
  if (version < 150_000) return [];
  const rows = await source.query<Listed>(sql`
    select n.nspname::text as schema, c.relname::text as name,
      (select pg_catalog.json_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and not a.attisdropped and a.attnum = any(r.prattrs::int2[])) as published,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('attnum', a.attnum, 'name', a.attname) order by a.attnum), '[]')
        from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and a.attgenerated = '' and not a.attnum = any(r.prattrs::int2[])) as left,
      pg_catalog.pg_get_expr(r.prqual, r.prrelid) as filter
    from pg_catalog.pg_publication p join pg_catalog.pg_publication_rel r on r.prpubid = p.oid
    join pg_catalog.pg_class c on c.oid = r.prrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where p.pubname = ${name} and r.prattrs is not null`);
  const grown: TableName[] = [];
  for (const row of rows) {
    const more = row.left.filter((column) => isMirrored(row, column.attnum, column.name));
    if (more.length === 0) continue;
    await before(
      row,
      more.map(({ attnum }) => attnum),
    );
    const table = ident(row.schema, row.name);
    const list = names([...row.published, ...more.map((column) => column.name)]);
    const where = row.filter === null ? sql`` : sql` where (${trusted(row.filter)})`;
    await source.transaction(async () => {
      await source.run(sql`alter publication ${ident(name)} drop table only ${table}`);
      await source.run(sql`alter publication ${ident(name)} add table only ${table} (${list})${where}`);
    });
    grown.push(row);
  }
  return grown;
}

/** For the journal. */
export function showGrown(publication: string, tables: readonly TableName[]): string {
  return `publication ${publication} publishes the new columns of ${tables.map(showTable).join(', ')}`;
}
