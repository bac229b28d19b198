// Which files of the source hold a table's rows, and who wrote its columns' places in the catalog: both change where rows are written anew.
import type { Connection } from '../pg/client.ts';
import { sql, trusted } from '../pg/sql.ts';
import type { Shape } from './shape.ts';

/** A table's files and, by attnum, the transaction that last changed what the catalog says of a column. */
export interface Files {
  readonly node: string | null;
  readonly marks: Readonly<Record<number, string>>;
}

/** Names the files of the table c of pg_class, and of its partitions; nothing is locked. Null: it has none. */
export const nodeOfTable = trusted(`(with recursive tree(oid) as (select c.oid union all
    select i.inhrelid from tree join pg_catalog.pg_class p on p.oid = tree.oid and p.relkind = 'p'
    join pg_catalog.pg_inherits i on i.inhparent = tree.oid)
  select pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat(f.oid::oid, '/', f.relfilenode), ',' order by f.oid))
  from tree join pg_catalog.pg_class f on f.oid = tree.oid where f.relkind <> 'p')`);

/** Of these tables, by OID; one that is gone is left out. */
export async function readFiles(source: Connection, oids: readonly number[]): Promise<ReadonlyMap<number, Files>> {
  if (oids.length === 0) return new Map();
  const rows = await source.query<{ oid: number; node: string | null; marks: Record<number, string> }>(
    sql`select c.oid, ${nodeOfTable} as node,
        (select coalesce(pg_catalog.json_object_agg(a.attnum, a.xmin::text), '{}') from pg_catalog.pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as marks
      from pg_catalog.pg_class c where c.oid = any(${[...oids]}::oid[])`,
  );
  return new Map(rows.flatMap(({ oid, node, marks }) => (node === null ? [] : [[oid, { node, marks }] as const])));
}

/** The shape of a table whose rows are in these files. */
export function withFiles(shape: Shape, files: Files | undefined): Shape {
  if (files === undefined) return shape;
  const columns = shape.columns.map((column) => {
    const mark = files.marks[column.attnum];
    return mark === undefined ? column : { ...column, mark };
  });
  return { ...shape, node: files.node, columns };
}
