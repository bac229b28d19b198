// Comments on whatever may carry one, and security labels. Those of tables, their columns, indexes and constraints are planned with these.
import type { Connection } from '../../pg/client.ts';
import { literal, type Sql, sql, trusted } from '../../pg/sql.ts';
import { showTable } from '../../pg/table.ts';
import { type Entity, entity } from './entity.ts';
import { notTheirs, type ServerFacts } from './facts.ts';

interface RemarkRow {
  /** What it is on, as in pg_depend; a column's is its relation. */
  readonly about: string;
  readonly id: string;
  /** The server's own words for the kind of object. */
  readonly type: string;
  readonly identity: string;
  readonly schema: string;
  /** The relation that it belongs to. */
  readonly relation: string | null;
  readonly column: string | null;
  /** Its own name, without schema and relation. */
  readonly own: string;
  /** `constraint c on domain s.d` */
  readonly domain: string | null;
  readonly text: string;
}

interface LabelRow extends RemarkRow {
  readonly provider: string;
}

/** What COMMENT ON calls what pg_identify_object calls otherwise; what it does not call so is called the same. */
const words: Readonly<Record<string, string>> = {
  ...{ 'table column': 'column', 'view column': 'column', 'materialized view column': 'column' },
  ...{ 'foreign table column': 'column', 'composite type column': 'column', 'composite type': 'type' },
  ...{
    'table constraint': 'constraint',
    'domain constraint': 'constraint',
    'foreign-data wrapper': 'foreign data wrapper',
  },
  ...{ 'statistics object': 'statistics', 'toast table': 'table' },
};

export async function readComments(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_description')) return [];
  const rows = await db.query<RemarkRow>(sql`
    ${identified(sql`select d.classoid, d.objoid, d.objsubid, d.description as text, '' as provider from pg_catalog.pg_description d
      where not exists (select from pg_catalog.pg_class t where d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
          and t.oid = d.objoid and t.relkind in ('r', 'p'))
        and not exists (select from pg_catalog.pg_extension e join pg_catalog.pg_available_extensions a on a.name = e.extname
        where d.classoid = 'pg_catalog.pg_extension'::pg_catalog.regclass and e.oid = d.objoid and a.comment = d.description)`)}
    where ${plannedElsewhere} and not (r.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
        and r.objoid = 2200 and r.text = 'standard public schema')
      and r.classoid not in ('pg_catalog.pg_largeobject'::pg_catalog.regclass, 'pg_catalog.pg_publication'::pg_catalog.regclass,
        'pg_catalog.pg_subscription'::pg_catalog.regclass) and ${usersOnly(facts)}
    order by i.type, i.identity`);
  return rows.map(commentEntity);
}

function commentEntity(row: RemarkRow): Entity {
  const comment = sql`comment on ${objectOf(row)} is ${literal(row.text)}`;
  return entity({
    ...boundTo(row, 'comment'),
    ...{ kind: 'comment', stage: 'comments' },
    ...(row.relation === null ? { name: '', arguments: what(row) } : { name: what(row) }),
    statements: [[comment]],
    definition: row.text,
    keeps: 'the target has another comment there',
  });
}

/** A label means something to its provider only, a module that the target may not have. */
export async function readSecurityLabels(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_seclabel')) return [];
  const rows = await db.query<LabelRow>(sql`
    ${identified(sql`select l.classoid, l.objoid, l.objsubid, l.label as text, l.provider from pg_catalog.pg_seclabel l`)}
    where ${usersOnly(facts)} order by r.provider, i.type, i.identity`);
  return rows.map((row) =>
    entity({
      ...boundTo(row, `label of ${row.provider}`),
      ...{
        kind: 'security label',
        stage: 'comments',
        name: `${row.provider}: ${what(row)}`,
      },
      statements: [[sql`security label for ${literal(row.provider)} on ${objectOf(row)} is ${literal(row.text)}`]],
      definition: row.text,
      verdict: () => ({ leaveOut: 'labels belong to a module of the source; the target may know others' }),
    }),
  );
}

function boundTo({ id, about, schema, relation, column, type, own }: RemarkRow, what: string) {
  return {
    ...{ id: `${id}:${what}`, schema: relation === null ? '' : schema, about, needs: [about] },
    ...(type === 'sequence' || type === 'index' ? { names: [{ schema, name: own }] } : {}),
    table: relation === null ? '' : showTable({ schema, name: relation }),
    ...(column === null ? {} : { columns: [column] }),
  };
}

function what({ type, identity, relation, column, own }: RemarkRow): string {
  const word = words[type] ?? type;
  if (column !== null) return `${word} ${column}`;
  if (relation === null) return `${word} ${inSql(type, identity)}`;
  return wholes.has(type) ? word : `${word} ${own}`;
}

const wholes: ReadonlySet<string> = new Set(['view', 'materialized view', 'foreign table', 'table']);

function objectOf({ type, identity, domain }: RemarkRow): Sql {
  if (domain !== null) return trusted(domain);
  return trusted(`${words[type] ?? type} ${inSql(type, identity)}`);
}

// Older servers say it otherwise than COMMENT takes it.
function inSql(type: string, identity: string): string {
  return type === 'transform' ? identity.replace(/ on language (?=[^ ]*$)/, ' language ') : identity;
}

// With the name that the server gives to it, quoted and qualified, and the relation where it is or belongs to one.
function identified(rows: Sql): Sql {
  return sql`
    select case when r.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and k.contypid <> 0
        then 'pg_type:' || k.contypid
        when r.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass then 'pg_class:' || k.conrelid
        when r.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and x.indrelid is not null then 'pg_class:' || x.indrelid
        when c.relkind = 'c' then 'pg_type:' || c.reltype
        when owned.by is not null then 'pg_class:' || owned.by
        else r.classoid::pg_catalog.regclass || ':' || r.objoid end as about,
      r.classoid::pg_catalog.regclass || ':' || r.objoid || ':' || r.objsubid as id,
      i.type, i.identity, coalesce(n.nspname::text, i.schema, '') as schema,
      case when c.relkind not in ('c', 'S') then c.relname::text end as relation,
      names.object_names[pg_catalog.cardinality(names.object_names)] as own,
      case when k.contypid <> 0 then pg_catalog.format('constraint %I on domain %s', k.conname, pg_catalog.format_type(k.contypid, null)) end as domain,
      case when r.objsubid > 0 then a.attname::text end as column, r.text, r.provider
    from (${rows}) r
    cross join lateral pg_catalog.pg_identify_object(r.classoid, r.objoid, r.objsubid) i
    cross join lateral pg_catalog.pg_identify_object_as_address(r.classoid, r.objoid, r.objsubid) names
    left join pg_catalog.pg_constraint k on r.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and k.oid = r.objoid
    left join pg_catalog.pg_index x on r.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and x.indexrelid = r.objoid
    left join pg_catalog.pg_class c on c.oid = case r.classoid
      when 'pg_catalog.pg_class'::pg_catalog.regclass then coalesce(x.indrelid, r.objoid)
      when 'pg_catalog.pg_constraint'::pg_catalog.regclass then k.conrelid
      when 'pg_catalog.pg_trigger'::pg_catalog.regclass then (select t.tgrelid from pg_catalog.pg_trigger t where t.oid = r.objoid)
      when 'pg_catalog.pg_rewrite'::pg_catalog.regclass then (select w.ev_class from pg_catalog.pg_rewrite w where w.oid = r.objoid)
      when 'pg_catalog.pg_policy'::pg_catalog.regclass then (select p.polrelid from pg_catalog.pg_policy p where p.oid = r.objoid)
      when 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
        then (select s.stxrelid from pg_catalog.pg_statistic_ext s where s.oid = r.objoid) end
    left join lateral (select d.refobjid as by from pg_catalog.pg_depend d
      where c.relkind = 'S' and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
        and d.refclassid = d.classid and d.deptype in ('a', 'i') limit 1) owned on true
    left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_attribute a on a.attrelid = r.objoid and a.attnum = r.objsubid and r.objsubid > 0
      and r.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass`;
}

// Tables and what is inside of them, with which these comments are planned.
const plannedElsewhere = sql`not (coalesce(c.relkind, '') in ('r', 'p') and r.classoid in ('pg_catalog.pg_class'::pg_catalog.regclass,
  'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass))`;

function usersOnly(facts: ServerFacts): Sql {
  return sql`(r.objoid >= 16384 or r.classoid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      or r.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and r.objoid = 2200)
    and i.type is not null and coalesce(n.nspname, i.schema, '') <> 'pg_toast'
    and not exists (select from pg_catalog.pg_namespace o where o.nspname = coalesce(n.nspname, i.schema)
      and not (${notTheirs(facts, 'o')}))
    and not exists (select from pg_catalog.pg_depend member where member.classid = r.classoid and member.objid = r.objoid
      and member.deptype = 'e')`;
}
