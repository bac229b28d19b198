// What stands around tables of the target that are there already: triggers and rules that would fire, constraints, and what hangs on them.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';

/** A trigger or a rule that is switched on, of a table or of one of its partitions. */
export interface Firing extends TableName {
  /** `trigger audit`, `rule log` */
  readonly what: string;
  /** O: in ordinary sessions; R: in those that replicate; A: in both. */
  readonly enabled: 'O' | 'R' | 'A';
}

/** A foreign key of a table or of one of its partitions. */
export interface ForeignKey extends TableName {
  readonly constraint: string;
  /** Root of the table that it is on, and of the one that it leads to. */
  readonly root: number;
  readonly refers: number;
  /** What a delete of the row that is referred to does: a nothing, r refuse, c cascade, n and d set another value. */
  readonly onDelete: string;
}

/** What a row must satisfy beside its columns' types. */
export interface RowRule {
  readonly table: number;
  readonly name: string;
  readonly kind: 'check' | 'exclusion' | 'unique';
  /** As the server prints it, without names of its own. */
  readonly definition: string;
}

/** Triggers and rules that would fire for rows that are written. */
export async function readFiring(db: Connection, tables: readonly number[]): Promise<readonly Firing[]> {
  return await db.query<Firing>(sql`
    with below(oid) as (select distinct coalesce(tree.relid::oid, w.oid) from pg_catalog.unnest(${[...tables]}::oid[]) w(oid)
      left join lateral pg_catalog.pg_partition_tree(w.oid) tree on true)
    select n.nspname::text as schema, c.relname::text as name, f.what, f.enabled from below
    join pg_catalog.pg_class c on c.oid = below.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
      select 'trigger ' || g.tgname as what, g.tgenabled::text as enabled from pg_catalog.pg_trigger g
        where g.tgrelid = c.oid and not g.tgisinternal
      union all select 'rule ' || r.rulename, r.ev_enabled::text from pg_catalog.pg_rewrite r
        where r.ev_class = c.oid and r.ev_type <> '1') f
    where f.enabled <> 'D' order by 1, 2, 3`);
}

/** Foreign keys that these tables have or that lead to them. */
export async function readForeignKeys(db: Connection, tables: readonly number[]): Promise<readonly ForeignKey[]> {
  // Between partitioned tables each has a whole family; the first of it speaks for all.
  return await db.query<ForeignKey>(sql`
    select n.nspname::text as schema, c.relname::text as name, k.conname::text as constraint, k.conrelid::oid as root,
      k.confrelid::oid as refers, k.confdeltype::text as "onDelete"
    from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = k.conrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'f' and k.conparentid = 0
      and (k.conrelid = any(${[...tables]}::oid[]) or k.confrelid = any(${[...tables]}::oid[]))
    order by 1, 2, 3`);
}

/** Checks, unique indexes and exclusion constraints of these tables. */
export async function readRowRules(db: Connection, tables: readonly number[]): Promise<readonly RowRule[]> {
  return await db.query<RowRule>(sql`
    select k.conrelid::oid as table, k.conname::text as name, case k.contype when 'c' then 'check' else 'exclusion' end as kind,
      pg_catalog.pg_get_constraintdef(k.oid) as definition
    from pg_catalog.pg_constraint k where k.conrelid = any(${[...tables]}::oid[]) and k.contype in ('c', 'x')
    union all
    select x.indrelid, c.relname::text, 'unique', pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(x.indexrelid), '^.*? USING ', '')
    from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid
    where x.indrelid = any(${[...tables]}::oid[]) and x.indisunique
    order by 1, 3, 2`);
}

/** What would have to go with these tables, in the server's words: views over them, foreign keys to them, uses of their row types. */
export async function readDependents(db: Connection, tables: readonly TableName[]): Promise<readonly string[]> {
  if (tables.length === 0) return [];
  const rows = await db.query<{ what: string }>(sql`
    with wanted(oid) as (select c.oid from rows from (
        pg_catalog.unnest(${tables.map((table) => table.schema)}::text[]), pg_catalog.unnest(${tables.map((table) => table.name)}::text[])) w(schema, name)
      join pg_catalog.pg_namespace n on n.nspname = w.schema join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name),
    t(oid) as (select distinct coalesce(tree.relid::oid, w.oid) from wanted w
      left join lateral pg_catalog.pg_partition_tree(w.oid) tree on true),
    own(class, oid) as (
      select 'pg_catalog.pg_class'::pg_catalog.regclass::oid, oid from t
      union select 'pg_catalog.pg_class'::pg_catalog.regclass, x.indexrelid from pg_catalog.pg_index x join t on t.oid = x.indrelid
      union select 'pg_catalog.pg_class'::pg_catalog.regclass, s.oid from t join pg_catalog.pg_depend d
        on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = t.oid
          and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i')
        join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
      union select 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid from pg_catalog.pg_constraint k join t on t.oid = k.conrelid
      union select 'pg_catalog.pg_type'::pg_catalog.regclass, y.oid from t join pg_catalog.pg_class c on c.oid = t.oid
        join pg_catalog.pg_type r on r.oid = c.reltype join pg_catalog.pg_type y on y.oid in (r.oid, r.typarray))
    select distinct case when r.oid is null then pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
      else pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, r.ev_class, 0) end as what
    from own join pg_catalog.pg_depend d on d.refclassid = own.class and d.refobjid = own.oid and d.deptype = 'n'
    left join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid
    left join pg_catalog.pg_attrdef a on d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and a.oid = d.objid
    left join pg_catalog.pg_trigger g on d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and g.oid = d.objid
    left join pg_catalog.pg_policy p on d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and p.oid = d.objid
    where not exists (select from own o where o.class = d.classid and o.oid = d.objid)
      and not exists (select from t where t.oid in (r.ev_class, a.adrelid, g.tgrelid, p.polrelid))
    order by 1`);
  return rows.map((row) => row.what);
}
