// What a table of the source is at this moment, found by its OID: names may have been given to others.
import type { Relation } from '../peers/pgoutput.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';

export interface SeenColumn {
  readonly attnum: number;
  readonly name: string;
  readonly type: string;
  readonly generated: boolean;
}

export interface Seen extends TableName {
  readonly columns: readonly SeenColumn[];
  /** Columns of the primary key, or null. */
  readonly key: readonly string[] | null;
}

export interface Look {
  /** Null: the table is gone. */
  readonly table: Seen | null;
  /** The types of the relation's columns, as format_type prints them. */
  readonly types: readonly string[];
}

/** Looks at a table of the source, in one round trip, and at what the types of a relation's columns are called. */
export async function look(source: Connection, oid: number, relation: Relation): Promise<Look> {
  const types = relation.columns.map((column) => column.type);
  const typmods = relation.columns.map((column) => column.typmod);
  return await source.one<Look>(sql`select
    (select pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname,
      'columns', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('attnum', a.attnum, 'name', a.attname,
          'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '') order by a.attnum), '[]')
        from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
      'key', (select pg_catalog.json_agg(a.attname order by key.place) from pg_catalog.pg_index x
        cross join lateral pg_catalog.unnest(x.indkey) with ordinality as key(attnum, place)
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = key.attnum
        where x.indrelid = c.oid and x.indisprimary and key.place <= x.indnkeyatts))
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.oid = ${oid}::oid) as table,
    (select coalesce(pg_catalog.json_agg(pg_catalog.format_type(t.type, t.typmod) order by t.place), '[]')
      from rows from (pg_catalog.unnest(${types}::oid[]), pg_catalog.unnest(${typmods}::int[]))
        with ordinality as t(type, typmod, place)) as types`);
}
