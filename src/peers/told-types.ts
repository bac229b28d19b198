// Types of the source as they are now, in the words in which its event triggers tell of changes; and which of them tables are made of.
import type { Connection } from '../pg/client.ts';
import { type Lsn, parseLsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';
import type { ToldEnum, ToldType } from './ddl-message.ts';

export interface ToldTypes {
  readonly enums: readonly ToldEnum[];
  /** Composites, domains and ranges. */
  readonly types: readonly ToldType[];
  /** Every change of them that was committed before it is in this, and none after. */
  readonly lsn: Lsn;
}

/** Those that are gone are left out. */
export async function readToldTypes(source: Connection, oids: readonly number[]): Promise<ToldTypes> {
  for (let before = await read(source, oids); ; ) {
    const { lsn } = await source.one<{ lsn: string }>(sql`select pg_catalog.pg_current_wal_insert_lsn()::text as lsn`);
    const now = await read(source, oids);
    if (JSON.stringify(before) === JSON.stringify(now)) return { ...now, lsn: parseLsn(lsn) };
    before = now;
  }
}

async function read(source: Connection, oids: readonly number[]): Promise<Omit<ToldTypes, 'lsn'>> {
  const enums = await source.query<ToldEnum>(sql`
    select t.oid::oid as oid, n.nspname::text as schema, t.typname::text as name, (
        select pg_catalog.json_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid) as labels
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where t.typtype = 'e' and t.oid = any(${[...oids]}::oid[]) order by t.oid`);
  const types = await source.query<ToldType>(sql`
    select t.oid::oid as oid, n.nspname::text as schema, t.typname::text as name,
      case when t.typtype = 'c' then (
        select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('number', a.attnum, 'name', a.attname,
          'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'collation', (
            select pg_catalog.json_build_object('schema', cn.nspname, 'name', co.collname)
            from pg_catalog.pg_type b, pg_catalog.pg_collation co join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace
            where b.oid = a.atttypid and b.typcollation <> a.attcollation and co.oid = a.attcollation)) order by a.attnum), '[]')
        from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) end as attributes,
      case when t.typtype = 'd' then pg_catalog.json_build_object('notNull', t.typnotnull, 'checks', (
        select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', k.conname,
          'definition', pg_catalog.pg_get_constraintdef(k.oid)) order by k.conname), '[]')
        from pg_catalog.pg_constraint k where k.contypid = t.oid and k.contype = 'c')) end as domain
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where t.typtype in ('c', 'd', 'r') and t.oid = any(${[...oids]}::oid[]) order by t.oid`);
  return { enums, types };
}

/** Which of these types a column of each table is made of, down to elements, bases, subtypes and attributes. By OID of the table. */
export async function typesUsed(
  source: Connection,
  tables: readonly number[],
  types: readonly number[],
): Promise<ReadonlyMap<number, ReadonlySet<number>>> {
  const rows = await source.query<{ table: number; type: number }>(sql`
    with recursive used(relation, oid) as (
      select a.attrelid, a.atttypid from pg_catalog.pg_attribute a
      where a.attrelid = any(${[...tables]}::oid[]) and a.attnum > 0 and not a.attisdropped
      union
      select used.relation, part.oid from used join pg_catalog.pg_type t on t.oid = used.oid
        cross join lateral (
          select t.typelem as oid where t.typcategory = 'A'
          union all select t.typbasetype
          union all select r.rngsubtype from pg_catalog.pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
          union all select a.atttypid from pg_catalog.pg_attribute a
            where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) part
      where part.oid <> 0)
    select relation::oid as table, oid::oid as type from used where oid = any(${[...types]}::oid[])`);
  const found = new Map<number, Set<number>>();
  for (const { table, type } of rows) found.set(table, (found.get(table) ?? new Set()).add(type));
  return found;
}
