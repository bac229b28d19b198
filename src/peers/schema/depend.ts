// What of a database needs what, from pg_depend, down to objects that stand for themselves.
import { Shared } from '../../base/shared.ts';
import type { Connection } from '../../pg/client.ts';
import { sql, trusted } from '../../pg/sql.ts';
import type { TableName } from '../../pg/table.ts';
import { everyHeld, type Held } from './census.ts';

export interface Graph {
  /** By id: what it needs. Row types and arrays stand for their relation or element, defaults and view rules for the relation, members for their extension. */
  readonly needs: ReadonlyMap<string, ReadonlySet<string>>;
  /** By id of a table: what its indexes, constraints and statistics need. */
  readonly wide: ReadonlyMap<string, ReadonlySet<string>>;
  /** By id of a view, rule, function, policy or trigger: the columns that it uses, with the id of their relation. */
  readonly columns: ReadonlyMap<string, readonly UsedColumn[]>;
  /** Statistics objects, and the relation that each is of. */
  readonly statistics: readonly (TableName & { readonly relation: string })[];
  /** Every relation that has columns, by id. */
  readonly relations: ReadonlyMap<string, Relation>;
}

export interface UsedColumn {
  readonly relation: string;
  readonly column: string;
}

export interface Relation extends TableName {
  /** relkind: r, p, v, m, f. */
  readonly kind: string;
  readonly extension: boolean;
}

interface Edge {
  readonly from: string;
  readonly to: string;
  readonly wide: boolean;
}

/** A few round trips; of plain tables there are few edges, so that 10,000 of them are no matter. */
export async function readDependencies(db: Connection, holds: ReadonlySet<Held>): Promise<Graph> {
  const has = (...some: readonly Held[]) => some.some((one) => holds.has(one));
  const edges = has(...tied) ? await readEdges(db) : [];
  const needs = new Map<string, Set<string>>();
  const wide = new Map<string, Set<string>>();
  for (const edge of edges) {
    const map = edge.wide ? wide : needs;
    const set = map.get(edge.from);
    if (set === undefined) map.set(edge.from, new Set([edge.to]));
    else set.add(edge.to);
  }
  const relations = await db.query<Relation & { id: string }>(sql`
    select 'pg_class:' || c.oid as id, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
      exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.objid = c.oid and d.deptype = 'e') as extension
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.oid >= 16384 and n.nspname !~ '^pg_(toast|temp)'
      and n.nspname <> 'information_schema'`);
  const shared = new Shared();
  const columns = new Map<string, UsedColumn[]>();
  const used = has('views', 'rules', 'pg_proc', 'pg_policy', 'pg_trigger')
    ? await db.query<UsedColumn & { from: string }>(selectColumns)
    : [];
  for (const { from, ...one } of used) {
    const list = columns.get(from);
    if (list === undefined) columns.set(from, [one]);
    else list.push(one);
  }
  const statistics = has('pg_statistic_ext')
    ? await db.query<TableName & { relation: string }>(sql`
    select n.nspname::text as schema, s.stxname::text as name, 'pg_class:' || s.stxrelid as relation
    from pg_catalog.pg_statistic_ext s join pg_catalog.pg_namespace n on n.oid = s.stxnamespace`)
    : [];
  return {
    needs,
    wide,
    columns,
    statistics,
    relations: new Map(
      relations.map(({ id, schema, name, kind, extension }) => [
        id,
        { schema: shared.text(schema), name, kind: shared.text(kind), extension },
      ]),
    ),
  };
}

// Tables with keys and indexes, schemas and sequences have no edge that counts, if no expression or column of one needs another;
// nor has what is said of an object, or granted on it.
const untied: ReadonlySet<Held> = new Set([
  ...(['pg_description', 'pg_seclabel', 'privileges', 'pg_default_acl', 'pg_largeobject_metadata'] as const),
  ...(['pg_sequence'] as const),
]);
const tied = everyHeld.filter((one) => !untied.has(one));

// A server that has not yet counted its catalogs (whose tables were made a moment ago) takes the parts of it for small ones and goes
// through each again and again: seconds for two thousand tables, and for ten thousand 25 times as many.
async function readEdges(db: Connection): Promise<readonly Edge[]> {
  await db.run(sql`set enable_nestloop = off`);
  try {
    return await db.query<Edge>(selectEdges);
  } finally {
    // Where the query has failed inside a transaction, the transaction's end does it.
    if (!db.lost.aborted) await db.run(sql`reset enable_nestloop`).catch(() => undefined);
  }
}

const classOf = (name: string) => trusted(`'pg_catalog.${name}'::pg_catalog.regclass::oid`);

// An edge's ends are brought to what stands for them. Schemas come first anyway; inheritance and ownership of sequences are no
// matter of the order here, and neither is what keys, indexes and the server's own triggers behind keys are of. https://www.postgresql.org/docs/18/catalog-pg-depend.html
const selectEdges = sql`
  with element as materialized (
    select t.oid, coalesce(r.rngtypid, e.oid, t.oid) as stands_for
    from pg_catalog.pg_type t
    left join pg_catalog.pg_type e on e.oid = t.typelem and e.typarray = t.oid
    left join pg_catalog.pg_range r on r.rngmultitypid = coalesce(e.oid, t.oid)
    where t.oid >= 16384),
  stand_in as materialized (
    select ${classOf('pg_type')} as class, element.oid as id,
      case when c.relkind <> 'c' then ${classOf('pg_class')} else ${classOf('pg_type')} end as to_class,
      case when c.relkind <> 'c' then c.oid else element.stands_for end as to_id
    from element join pg_catalog.pg_type t on t.oid = element.stands_for
    left join pg_catalog.pg_class c on c.oid = t.typrelid
    where element.stands_for <> element.oid or c.relkind <> 'c'
    union all select ${classOf('pg_class')}, c.oid, ${classOf('pg_type')}, c.reltype from pg_catalog.pg_class c
      where c.relkind = 'c'
    union all select ${classOf('pg_rewrite')}, w.oid, ${classOf('pg_class')}, w.ev_class from pg_catalog.pg_rewrite w
      where w.rulename = '_RETURN'
    union all select ${classOf('pg_attrdef')}, f.oid, ${classOf('pg_class')}, f.adrelid from pg_catalog.pg_attrdef f
    union all select ${classOf('pg_constraint')}, k.oid, ${classOf('pg_type')}, k.contypid from pg_catalog.pg_constraint k
      where k.contypid <> 0
    union all select d.classid, d.objid, ${classOf('pg_opclass')}, d.refobjid from pg_catalog.pg_depend d
      where d.classid in (${classOf('pg_amop')}, ${classOf('pg_amproc')}) and d.refclassid = ${classOf('pg_opclass')}
        and d.deptype = 'i'),
  edge as (
    select d.classid, d.objid, coalesce(f.to_class, d.classid) as from_class, coalesce(f.to_id, d.objid) as from_id,
      coalesce(t.to_class, d.refclassid) as to_class, coalesce(t.to_id, d.refobjid) as to_id
    from pg_catalog.pg_depend d
    left join stand_in f on f.class = d.classid and f.id = d.objid
    left join stand_in t on t.class = d.refclassid and t.id = d.refobjid
    where d.objid >= 16384 and d.refobjid >= 16384 and d.deptype in ('n', 'a', 'i')
      and d.refclassid <> ${classOf('pg_namespace')}
      and not (d.classid = ${classOf('pg_class')} and d.refclassid in (${classOf('pg_class')}, ${classOf('pg_constraint')}))
      and not (d.classid = ${classOf('pg_constraint')} and d.refclassid in (${classOf('pg_class')}, ${classOf('pg_constraint')})
        and exists (select from pg_catalog.pg_constraint k where k.oid = d.objid and k.conrelid <> 0 and k.contype <> 't'))
      and not (d.classid = ${classOf('pg_trigger')} and exists (select from pg_catalog.pg_trigger t
        join pg_catalog.pg_constraint k on k.oid = t.tgconstraint where t.oid = d.objid and k.contype <> 't'))),
  owned as (
    select edge.from_class, edge.from_id, edge.to_class, edge.to_id, false as wide from edge
    union all
    select ${classOf('pg_class')}, coalesce(k.conrelid, x.indrelid, s.stxrelid), edge.to_class, edge.to_id, true
    from edge
    left join pg_catalog.pg_constraint k on edge.classid = ${classOf('pg_constraint')} and k.oid = edge.objid and k.conrelid <> 0
    left join pg_catalog.pg_index x on edge.classid = ${classOf('pg_class')} and x.indexrelid = edge.objid
    left join pg_catalog.pg_statistic_ext s on edge.classid = ${classOf('pg_statistic_ext')} and s.oid = edge.objid
    where coalesce(k.conrelid, x.indrelid, s.stxrelid) is not null
      and edge.to_class not in (${classOf('pg_class')}, ${classOf('pg_constraint')})),
  member as (
    select d.classid, d.objid, d.refobjid from pg_catalog.pg_depend d where d.deptype = 'e')
  select distinct
    coalesce('pg_extension:' || fm.refobjid, owned.from_class::pg_catalog.regclass || ':' || owned.from_id) as from,
    coalesce('pg_extension:' || tm.refobjid, owned.to_class::pg_catalog.regclass || ':' || owned.to_id) as to, owned.wide
  from owned
  left join member fm on fm.classid = owned.from_class and fm.objid = owned.from_id
  left join member tm on tm.classid = owned.to_class and tm.objid = owned.to_id
  where (owned.from_class, owned.from_id) is distinct from (owned.to_class, owned.to_id)
    and (fm.refobjid is null or fm.refobjid is distinct from tm.refobjid)`;

const selectColumns = sql`
  select distinct coalesce('pg_class:' || w.ev_class, d.classid::pg_catalog.regclass || ':' || d.objid) as from,
    'pg_class:' || d.refobjid as relation, a.attname::text as column
  from pg_catalog.pg_depend d
  join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
  left join pg_catalog.pg_rewrite w on d.classid = ${classOf('pg_rewrite')} and w.oid = d.objid and w.rulename = '_RETURN'
  where d.refclassid = ${classOf('pg_class')} and d.refobjsubid > 0 and d.objid >= 16384
    and d.classid in (${classOf('pg_rewrite')}, ${classOf('pg_proc')}, ${classOf('pg_policy')}, ${classOf('pg_trigger')})`;
