// Tables whose columns are others on the source than those that were agreed on, though no row has said so.
import type { MirroredTable } from '../mirror/work.ts';
import type { Relation } from '../peers/pgoutput.ts';
import type { Shape } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { isExcluded } from './met.ts';

interface Column {
  readonly attnum: number;
  readonly name: string;
  readonly oid: number;
  readonly typmod: number;
  readonly type: string;
  readonly generated: boolean;
  readonly notNull: boolean;
}

/**
 * Each as the stream would say it now.
 * @param shapes by showTable of the source's names
 * @param which left out: not what is a partition of another of them by now, which has the columns of that
 */
export async function outdatedRelations(
  source: Connection,
  tables: readonly MirroredTable[],
  shapes: ReadonlyMap<string, Shape>,
  which?: 'partitions too',
): Promise<readonly Relation[]> {
  const oids = [...shapes.values()].map((shape) => shape.oid);
  const rows = await source.query<TableName & { oid: number; identity: string; columns: readonly Column[] }>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relreplident::text as identity,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('attnum', a.attnum, 'name', a.attname,
          'oid', a.atttypid::bigint, 'typmod', a.atttypmod, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
          'generated', a.attgenerated <> '', 'notNull', a.attnotnull) order by a.attnum), '[]')
        from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid = any(${oids}::oid[]) and (${which === 'partitions too'} or not c.relispartition or not exists (
      select from pg_catalog.pg_partition_ancestors(c.oid) a where a.relid <> c.oid and a.relid = any(${oids}::oid[])))`);
  const byOid = new Map(rows.map((row) => [row.oid, row]));
  return tables.flatMap((mirrored): Relation[] => {
    const stored = shapes.get(showTable(mirrored.from));
    const now = stored === undefined ? undefined : byOid.get(stored.oid);
    if (stored === undefined || now === undefined) return [];
    const own = now.columns.filter((column) => !isExcluded({ mirrored, stored }, column.attnum, column.name));
    if (isAgreed(own, stored)) return [];
    const columns = own
      .filter((column) => !column.generated)
      .map(({ name, oid: type, typmod }) => ({ name, key: false, type, typmod }));
    const { oid, schema, name, identity } = now;
    return [{ kind: 'relation', oid, schema, name, identity, columns }];
  });
}

function isAgreed(columns: readonly Column[], { columns: known, computed = [] }: Shape): boolean {
  const text = (list: readonly (readonly unknown[])[]) =>
    JSON.stringify(list.toSorted((a, b) => Number(a[0]) - Number(b[0])));
  const now = columns.filter(({ generated }) => !generated);
  const before = known.filter(({ dropped }) => !dropped);
  if (
    text(now.map(({ attnum, name, type }) => [attnum, name, type])) !==
    text(before.map(({ attnum, name, type }) => [attnum, name, type]))
  ) {
    return false;
  }
  if (now.some(({ attnum, notNull }) => before.find((each) => each.attnum === attnum)?.notNull === !notNull))
    return false;
  const generated = columns.filter((each) => each.generated).map(({ attnum }) => [attnum]);
  return text(generated) === text(computed.map(({ attnum }) => [attnum]));
}
