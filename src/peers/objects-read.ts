// What belongs to tables and is made after the load, as the server itself prints it: indexes, constraints, statistics, comments.
import { Shared } from '../base/shared.ts';
import type { Connection } from '../pg/client.ts';
import { type Sql, sql, trusted } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';

/** A unique, primary key or exclusion constraint that an index stands behind. */
export interface IndexConstraint {
  readonly type: 'p' | 'u' | 'x';
  /** pg_get_constraintdef */
  readonly definition: string;
  readonly deferrable: boolean;
  readonly deferred: boolean;
  /** WITHOUT OVERLAPS (18). */
  readonly period: boolean;
  readonly comment: string | null;
}

export interface IndexFacts extends TableName {
  readonly oid: number;
  /** OID of its table. */
  readonly table: number;
  /** relkind: i index, I index of a partitioned table. */
  readonly kind: 'i' | 'I';
  readonly unique: boolean;
  readonly nullsNotDistinct: boolean;
  readonly valid: boolean;
  readonly clustered: boolean;
  /** Of the replica identity, chosen by USING INDEX. */
  readonly identity: boolean;
  /** What pg_get_indexdef prints after `USING `; null if it does not begin as we know it. */
  readonly using: string | null;
  /** `name=value` as stored. */
  readonly options: readonly string[];
  readonly constraint: IndexConstraint | null;
  /** OID of the index of the parent that this one is attached to. */
  readonly parent: number | null;
  /** attnum of every column that it uses, in expressions and predicate too. */
  readonly columns: readonly number[];
  /** Statistics targets of its columns that were set, by number of the column. */
  readonly statistics: readonly { readonly column: number; readonly target: number }[];
  readonly bytes: number;
  readonly comment: string | null;
  /** Null: the database's own. */
  readonly tablespace: string | null;
}

/** The table that a foreign key refers to. */
export interface Reference extends TableName {
  readonly oid: number;
  readonly columns: readonly string[];
  readonly partitioned: boolean;
}

export interface ConstraintFacts {
  readonly oid: number;
  readonly table: number;
  readonly name: string;
  /** c check, f foreign key, n NOT NULL (18), if it is more than the column's clause says: not validated here or above, not handed down, commented on. */
  readonly type: 'c' | 'f' | 'n';
  /** pg_get_constraintdef */
  readonly definition: string;
  readonly validated: boolean;
  readonly enforced: boolean;
  readonly noInherit: boolean;
  /** Defined on the table itself, not only inherited. */
  readonly local: boolean;
  readonly columns: readonly number[];
  /** Names of the columns, in the order of the key. */
  readonly columnNames: readonly string[];
  readonly references: Reference | null;
  /** What stands in a foreign key's definition before the referenced table, and after it; null if it is of another shape. */
  readonly around: { readonly before: string; readonly after: string } | null;
  /** PERIOD (18). */
  readonly period: boolean;
  /** ON DELETE SET NULL or DEFAULT for some of the columns (15). */
  readonly deletesColumns: boolean;
  /** Whether a change of the referenced row writes to this table: CASCADE, SET NULL, SET DEFAULT. */
  readonly acts: boolean;
  readonly comment: string | null;
}

export interface StatisticsFacts extends TableName {
  readonly oid: number;
  readonly table: number;
  /** What pg_get_statisticsobjdef prints between the name and FROM; null if it is of another shape. */
  readonly body: string | null;
  readonly columns: readonly number[];
  /** -1 where it is the default. */
  readonly target: number;
  readonly comment: string | null;
}

/** A comment on a table, or on a column of it. */
export interface CommentFacts {
  readonly table: number;
  readonly column: string | null;
  readonly comment: string;
}

/** Everything that belongs to some tables. */
export interface TableObjects {
  readonly version: number;
  readonly indexes: readonly IndexFacts[];
  readonly constraints: readonly ConstraintFacts[];
  readonly statistics: readonly StatisticsFacts[];
  readonly comments: readonly CommentFacts[];
}

const tablesPerTrip = 500;

export interface ReadOptions {
  /** False: indexes come without their sizes, each of which costs the server a look at its files. */
  readonly sizes?: boolean;
}

/** Reads what belongs to the tables of these OIDs. The search_path must be empty (Connection.open pins it). */
export async function readTableObjects(
  db: Connection,
  tables: readonly number[],
  { sizes = true }: ReadOptions = {},
): Promise<TableObjects> {
  const { version } = db;
  const indexes: IndexFacts[] = [];
  const constraints: ConstraintFacts[] = [];
  const statistics: StatisticsFacts[] = [];
  const comments: CommentFacts[] = [];
  for (let at = 0; at < tables.length; at += tablesPerTrip) {
    const some = tables.slice(at, at + tablesPerTrip);
    const rows = await db.query<Omit<IndexFacts, 'bytes'> & { readonly bytes: string }>(
      selectIndexes(some, { version, sizes }),
    );
    const shared = new Shared();
    for (const row of rows) indexes.push(sharedIndex(row, shared));
    for (const row of await db.query<ConstraintFacts>(selectConstraints(some, version)))
      constraints.push({ ...row, columns: shared.of(row.columns), columnNames: shared.of(row.columnNames) });
    statistics.push(...(await db.query<StatisticsFacts>(selectStatistics(some))));
    comments.push(...(await db.query<CommentFacts>(selectComments(some))));
  }
  return { version, indexes, constraints, statistics, comments };
}

function sharedIndex(row: Omit<IndexFacts, 'bytes'> & { readonly bytes: string }, shared: Shared): IndexFacts {
  return {
    ...row,
    bytes: Number(row.bytes),
    schema: shared.text(row.schema),
    using: row.using === null ? null : shared.text(row.using),
    options: shared.of(row.options),
    constraint: row.constraint === null ? null : shared.of(row.constraint),
    columns: shared.of(row.columns),
    statistics: shared.of(row.statistics),
  };
}

// As obj_description, which the server would begin anew for each row.
function commentOf(oid: string, catalog: 'pg_class' | 'pg_constraint' | 'pg_statistic_ext'): Sql {
  return trusted(`(select d.description from pg_catalog.pg_description d
    where d.classoid = 'pg_catalog.${catalog}'::pg_catalog.regclass and d.objoid = ${oid} and d.objsubid = 0)`);
}

// A column that came with a version, and what its absence means.
function since(version: number, came: number, column: string, before: string): Sql {
  return trusted(version >= came ? column : before);
}

// The definition without its beginning, which is put together here as ruleutils.c does. `offset 0`: else the planner pulls the
// definition up to each place that names it, and the server prints it as often.
function selectIndexes(
  tables: readonly number[],
  { version, sizes }: { readonly version: number; readonly sizes: boolean },
): Sql {
  const distinct = since(version, 150_000, 'x.indnullsnotdistinct', 'false');
  const period = since(version, 180_000, 'k.conperiod', 'false');
  const bytes = sizes ? sql`coalesce(pg_catalog.pg_relation_size(c.oid), 0)` : sql`0`;
  return sql`
    select c.oid, x.indrelid::oid as table, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
      x.indisunique as unique, ${distinct} as "nullsNotDistinct",
      x.indisvalid as valid, x.indisclustered as clustered, x.indisreplident as identity,
      case when pg_catalog.starts_with(def.text, head.text)
        then pg_catalog.substr(def.text, pg_catalog.length(head.text) + 1) end as using,
      coalesce(pg_catalog.to_json(c.reloptions), '[]') as options,
      (select pg_catalog.json_build_object('type', k.contype, 'definition', pg_catalog.pg_get_constraintdef(k.oid),
          'deferrable', k.condeferrable, 'deferred', k.condeferred,
          'period', ${period},
          'comment', ${commentOf('k.oid', 'pg_constraint')})
        from pg_catalog.pg_constraint k
        where k.conindid = c.oid and k.conrelid = x.indrelid and k.contype in ('p', 'u', 'x')) as constraint,
      (select i.inhparent::oid from pg_catalog.pg_inherits i where i.inhrelid = c.oid) as parent,
      (select coalesce(pg_catalog.json_agg(distinct used.attnum), '[]') from (
          select key::int as attnum from pg_catalog.unnest(x.indkey) key where key > 0
          union all select d.refobjsubid from pg_catalog.pg_depend d
            where (x.indexprs is not null or x.indpred is not null)
              and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
              and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = x.indrelid and d.refobjsubid > 0
          union all select d.refobjsubid from pg_catalog.pg_constraint k join pg_catalog.pg_depend d
            on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objid = k.oid
              and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = x.indrelid and d.refobjsubid > 0
            where (x.indexprs is not null or x.indpred is not null)
              and k.conindid = c.oid and k.conrelid = x.indrelid and k.contype in ('p', 'u', 'x')) used) as columns,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('column', a.attnum, 'target', a.attstattarget) order by a.attnum), '[]')
        from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and a.attstattarget >= 0) as statistics,
      ${bytes} as bytes,
      ${commentOf('c.oid', 'pg_class')} as comment,
      (select s.spcname::text from pg_catalog.pg_tablespace s where s.oid = c.reltablespace) as tablespace
    from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class t on t.oid = x.indrelid join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    cross join lateral (select pg_catalog.pg_get_indexdef(c.oid) as text offset 0) def
    cross join lateral (select 'CREATE ' || case when x.indisunique then 'UNIQUE ' else '' end || 'INDEX '
      || pg_catalog.quote_ident(c.relname) || ' ON ' || case when c.relkind = 'I' then 'ONLY ' else '' end
      || pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.relname) || ' USING ' as text) head
    where x.indrelid = any(${[...tables]}::oid[])
    order by n.nspname, c.relname`;
}

function selectConstraints(tables: readonly number[], version: number): Sql {
  const enforced = since(version, 180_000, 'k.conenforced', 'true');
  const withPeriod = since(version, 180_000, 'k.conperiod', 'false');
  const someColumns = since(version, 150_000, 'k.confdelsetcols is not null', 'false');
  return sql`
    select k.oid, k.conrelid::oid as table, k.conname::text as name, k.contype::text as type, def.text as definition,
      k.convalidated as validated, ${enforced} as enforced,
      k.connoinherit as "noInherit", k.conislocal as local,
      coalesce(pg_catalog.to_json(k.conkey), '[]') as columns, own.list as "columnNames",
      case when k.contype = 'f' then (
        select pg_catalog.json_build_object('oid', r.oid::int8, 'schema', rn.nspname, 'name', r.relname,
            'partitioned', r.relkind = 'p', 'columns', (
          select pg_catalog.json_agg(a.attname order by key.place)
          from pg_catalog.unnest(k.confkey) with ordinality as key(attnum, place)
          join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum = key.attnum))
        from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace where r.oid = k.confrelid) end as references,
      case when pg_catalog.starts_with(def.text, head.before || head.referenced) then pg_catalog.json_build_object(
        'before', head.before, 'after', pg_catalog.substr(def.text, pg_catalog.length(head.before || head.referenced) + 1))
        end as around,
      period.is as period, ${someColumns} as "deletesColumns",
      k.confupdtype in ('c', 'n', 'd') or k.confdeltype in ('c', 'n', 'd') as acts,
      ${commentOf('k.oid', 'pg_constraint')} as comment
    from pg_catalog.pg_constraint k
    cross join lateral (select pg_catalog.pg_get_constraintdef(k.oid) as text offset 0) def
    cross join lateral (select ${withPeriod} as is) period
    cross join lateral (select coalesce(pg_catalog.json_agg(a.attname order by key.place), '[]') as list,
        pg_catalog.string_agg(case when period.is and key.place = pg_catalog.cardinality(k.conkey) then 'PERIOD ' else '' end
          || pg_catalog.quote_ident(a.attname), ', ' order by key.place) as text
      from pg_catalog.unnest(k.conkey) with ordinality as key(attnum, place)
      join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.attnum) own
    left join lateral (select 'FOREIGN KEY (' || own.text || ') REFERENCES ' as before,
        pg_catalog.quote_ident(rn.nspname) || '.' || pg_catalog.quote_ident(r.relname) as referenced
      from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace where r.oid = k.confrelid) head on true
    where k.conrelid = any(${[...tables]}::oid[]) and k.conparentid = 0
      and (k.contype in ('c', 'f') or k.contype = 'n' and (not k.convalidated or k.connoinherit
        or not k.conislocal and exists (select from pg_catalog.pg_inherits i join pg_catalog.pg_constraint p
          on p.conrelid = i.inhparent and p.contype = 'n' and p.conname = k.conname and not p.convalidated
          where i.inhrelid = k.conrelid)
        or ${commentOf('k.oid', 'pg_constraint')} is not null))
    order by k.conrelid, k.conname`;
}

function selectStatistics(tables: readonly number[]): Sql {
  return sql`
    select s.oid, s.stxrelid::oid as table, n.nspname::text as schema, s.stxname::text as name,
      case when pg_catalog.starts_with(def.text, head.before) and pg_catalog.right(def.text, pg_catalog.length(head.after)) = head.after
        then pg_catalog.substr(def.text, pg_catalog.length(head.before) + 1,
          pg_catalog.length(def.text) - pg_catalog.length(head.before) - pg_catalog.length(head.after)) end as body,
      (select coalesce(pg_catalog.json_agg(distinct used.attnum), '[]') from (
          select key::int as attnum from pg_catalog.unnest(s.stxkeys) key
          union select d.refobjsubid from pg_catalog.pg_depend d
            where d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass and d.objid = s.oid
              and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = s.stxrelid and d.refobjsubid > 0) used) as columns,
      coalesce(s.stxstattarget, -1)::int as target, ${commentOf('s.oid', 'pg_statistic_ext')} as comment
    from pg_catalog.pg_statistic_ext s join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
    join pg_catalog.pg_class t on t.oid = s.stxrelid join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    cross join lateral (select pg_catalog.pg_get_statisticsobjdef(s.oid) as text) def
    cross join lateral (select 'CREATE STATISTICS ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(s.stxname) as before,
      ' FROM ' || pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.relname) as after) head
    where s.stxrelid = any(${[...tables]}::oid[])
    order by n.nspname, s.stxname`;
}

function selectComments(tables: readonly number[]): Sql {
  return sql`
    select d.objoid::oid as table, a.attname::text as column, d.description as comment
    from pg_catalog.pg_description d
    left join pg_catalog.pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
    where d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objoid = any(${[...tables]}::oid[])
      and (d.objsubid = 0 or a.attname is not null and not a.attisdropped)
    order by d.objoid, d.objsubid`;
}

/** The extensions that indexes, constraints and statistics (by OID) need: operator classes, functions, access methods of them. */
export async function readObjectExtensions(
  db: Connection,
  objects: {
    readonly indexes: readonly number[];
    readonly constraints: readonly number[];
    readonly statistics: readonly number[];
  },
): Promise<readonly { readonly name: string; readonly schema: string }[]> {
  return await db.query<{ name: string; schema: string }>(sql`
    with own (class, object) as (
      select 'pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.unnest(${[...objects.indexes]}::oid[])
      union all select 'pg_catalog.pg_constraint'::pg_catalog.regclass, pg_catalog.unnest(${[...objects.constraints]}::oid[])
      union all select 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, pg_catalog.unnest(${[...objects.statistics]}::oid[]))
    select distinct e.extname::text as name, n.nspname::text as schema
    from own join pg_catalog.pg_depend d on d.classid = own.class and d.objid = own.object
    join pg_catalog.pg_depend x on x.classid = d.refclassid and x.objid = d.refobjid and x.deptype = 'e'
      and x.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    join pg_catalog.pg_extension e on e.oid = x.refobjid join pg_catalog.pg_namespace n on n.oid = e.extnamespace
    order by 1`);
}
