// Who owns what: an object that the target's owner is another of is given to the role of that name, last of all.
import { isArray } from '../../pg/array-type.ts';
import type { Connection } from '../../pg/client.ts';
import { ident, type Sql, sql, trusted } from '../../pg/sql.ts';
import { showTable } from '../../pg/table.ts';
import type { Held } from './census.ts';
import type { Graph } from './depend.ts';
import { type Circumstances, type Entity, entity, type Verdict } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';
import { noSuchRole } from './read-policies.ts';

interface OwnerRow {
  readonly id: string;
  readonly about: string;
  readonly schema: string;
  /** Name of the relation in that schema; null: it is of none. */
  readonly relation: string | null;
  /** Of a statistics object. */
  readonly statistics: string | null;
  /** What follows ALTER: `table "s"."t"`. */
  readonly alter: string;
  readonly owner: string;
  readonly written: boolean;
}

/** https://www.postgresql.org/docs/18/sql-reassign-owned.html lists who has an owner. */
export async function readOwners(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  const rows = await db.query<OwnerRow>(selectOwners(facts));
  return rows.map(ownerEntity);
}

function ownerEntity({ id, about, schema, relation, statistics, alter, owner, written }: OwnerRow): Entity {
  const give = sql`alter ${trusted(alter)} owner to ${ident(owner)}`;
  return entity({
    ...{ id: `${id}:owner`, kind: 'owner', stage: 'owners', about, needs: [about] },
    schema: relation === null ? '' : schema,
    ...(statistics === null ? {} : { names: [{ schema, name: statistics }] }),
    ...(relation === null ? { name: '', arguments: alter } : { name: 'owner' }),
    table: relation === null ? '' : showTable({ schema, name: relation }),
    statements: [[give]],
    definition: owner,
    // What is another's on the target was given to that one there.
    mend: (there, { target }) => (there.definition === target.user ? [[give]] : undefined),
    keeps: 'it belongs to another role on the target',
    quiet: true,
    given: ({ target }) => owner === target.user,
    verdict: (all) => mayGive(all, { owner, written }),
  });
}

/** Whether our role may give an object to that one, and go on writing to it. */
export function mayGive(
  { follows, target }: Circumstances,
  { owner, written }: Pick<OwnerRow, 'owner' | 'written'>,
): Verdict | null {
  if (!target.roles.has(owner)) return { leaveOut: noSuchRole([owner]) };
  const may = target.becomes.get(owner);
  if (may === undefined) return { leaveOut: `our role is no member of "${owner}"`, others: true };
  if (follows && written && !may.inherits) {
    return { hold: `our role would lose the rights to write: it does not inherit those of "${owner}"` };
  }
  return null;
}

const quoted = (schema: string, name: string): Sql => trusted(`pg_catalog.format('%I.%I', ${schema}, ${name})`);

// What follows its table, its type or its extension has no owner of its own to set.
function selectOwners(facts: ServerFacts): Sql {
  const inSchema = (
    catalog: string,
    prefix: { readonly row: string; readonly name: string; readonly owner: string },
  ) => {
    const { row, name, owner } = prefix;
    return {
      columns: sql`${trusted(`'${catalog}:' || ${row}.oid as id, ${aboutOf[catalog] ?? `'${catalog}:' || ${row}.oid`}`)} as about, n.nspname::text as schema`,
      name: quoted('n.nspname', `${row}.${name}`),
      owner: trusted(`pg_catalog.pg_get_userbyid(${row}.${owner})`),
      from: sql`${trusted(`pg_catalog.${catalog} ${row} join pg_catalog.pg_namespace n on n.oid = ${row}.${namespaceOf[catalog]}`)}`,
      users: isUsers(facts, catalog, row, 'n'),
    };
  };
  const c = inSchema('pg_class', { row: 'c', name: 'relname', owner: 'relowner' });
  const p = inSchema('pg_proc', { row: 'p', name: 'proname', owner: 'proowner' });
  const t = inSchema('pg_type', { row: 't', name: 'typname', owner: 'typowner' });
  const o = inSchema('pg_operator', { row: 'o', name: 'oprname', owner: 'oprowner' });
  const others = simple.map(({ catalog, row, name, owner, word }): Branch => {
    const each = inSchema(catalog, { row, name, owner });
    return [
      catalog,
      sql`select ${each.columns}, null::text as relation, ${trusted(catalog === 'pg_statistic_ext' ? 'x.stxname::text' : 'null')}, ${trusted(`'${word} '`)} || ${each.name}${trusted(methodOf[catalog] ?? '')} as alter,
      ${each.owner}::text as owner, false as written from ${each.from} where ${each.users}`,
    ];
  });
  const shared = homeless.map(
    ({ catalog, row, name, owner, word }): Branch => [
      catalog,
      sql`select ${trusted(`'${catalog}:' || ${row}.oid, '${catalog}:' || ${row}.oid`)}, '', null, null,
      ${trusted(`pg_catalog.format('${word} %I', ${row}.${name}), pg_catalog.pg_get_userbyid(${row}.${owner})::text`)}, ${trusted(catalog === 'pg_namespace' ? 'true' : 'false')}
      from ${trusted(`pg_catalog.${catalog} ${row}`)} where ${isUsers(facts, catalog, row, catalog === 'pg_namespace' ? row : undefined)}`,
    ],
  );
  const branches: readonly Branch[] = [
    [
      'pg_class',
      sql`select ${c.columns}, c.relname::text as relation, null::text as statistics, case c.relkind when 'v' then 'view ' when 'm' then 'materialized view '
        when 'f' then 'foreign table ' when 'S' then 'sequence ' else 'table ' end || ${c.name} as alter,
      ${c.owner}::text as owner, c.relkind in ('r', 'p', 'S') as written from ${c.from}
      where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and ${c.users} and ${unusual(facts)}
        and not exists (select from pg_catalog.pg_depend d where c.relkind = 'S' and d.deptype in ('a', 'i') and d.objid = c.oid
          and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = d.classid)`,
    ],
    [
      'pg_proc',
      sql`select ${p.columns}, null, null, 'routine ' || ${p.name} || '(' || coalesce((
        select pg_catalog.string_agg(pg_catalog.format_type(argument.type, null), ', ' order by argument.place)
        from pg_catalog.unnest(p.proargtypes) with ordinality as argument(type, place)), '') || ')',
      ${p.owner}::text, false from ${p.from} where ${p.users} and not exists (select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'i')`,
    ],
    [
      'pg_operator',
      sql`select ${o.columns}, null, null, 'operator ' || pg_catalog.quote_ident(n.nspname) || '.' || o.oprname || ' ('
        || case o.oprleft when 0 then 'NONE' else pg_catalog.format_type(o.oprleft, null) end || ', '
        || pg_catalog.format_type(o.oprright, null) || ')', ${o.owner}::text, false from ${o.from} where ${o.users}`,
    ],
    [
      'pg_type',
      sql`select ${t.columns}, null, null, 'type ' || ${t.name}, ${t.owner}::text, false from ${t.from}
      left join pg_catalog.pg_class r on r.oid = t.typrelid
      where ${t.users} and t.typtype <> 'm' and not ${trusted(isArray('t'))} and coalesce(r.relkind, 'c') = 'c'`,
    ],
    ...others,
    ...shared,
  ];
  const isAsked = ([catalog]: Branch) =>
    catalog === 'pg_class' || catalog === 'pg_namespace' || facts.holds.has(catalog);
  const all = branches.filter(isAsked).map(([, branch]) => branch);
  // Whoever is given something must be allowed to make things in its schema: that comes first.
  return sql`select * from (${all.reduce((list, each) => sql`${list} union all ${each}`)}) owned
    order by id like 'pg_namespace:%' desc, id`;
}

function unusual({ usualOwner }: ServerFacts): Sql {
  if (usualOwner === undefined) return sql`true`;
  return sql`(c.relkind not in ('r', 'p') or pg_catalog.pg_get_userbyid(c.relowner) <> ${usualOwner}::text)`;
}

/**
 * The owners of the source's tables that were not read as they are the usual, where the target's table is another's: of these
 * there is something to say. Pure.
 */
export function ownersLeft(source: Owned, target: Owned): readonly Entity[] {
  const { usualOwner: owner } = source.facts;
  if (owner === undefined) return [];
  const ofTables = ({ kind, table }: Entity) => kind === 'owner' && table !== '';
  const others = target.entities.filter(ofTables);
  if (others.length === 0) return [];
  const known = new Set(source.entities.filter(ofTables).map(({ table }) => table));
  const byName = new Map(
    [...source.graph.relations].map(([id, relation]) => [showTable(relation), { id, ...relation }]),
  );
  return others.flatMap(({ table }) => {
    const relation = byName.get(table);
    if (relation === undefined || known.has(table) || relation.extension || !isTable(relation.kind)) return [];
    const { id, schema, name } = relation;
    if (source.facts.ours.includes(schema)) return [];
    const alter = sql`table ${ident(schema, name)}`.text;
    return [ownerEntity({ id, about: id, schema, relation: name, statistics: null, alter, owner, written: true })];
  });
}

interface Owned {
  readonly facts: ServerFacts;
  readonly entities: readonly Entity[];
  readonly graph: Graph;
}

const isTable = (kind: string) => kind === 'r' || kind === 'p';

/** Owners of a catalog's objects; every database has relations and schemas. */
type Branch = readonly [catalog: Held | 'pg_class' | 'pg_namespace', select: Sql];

interface Kind {
  readonly catalog: Held | 'pg_namespace';
  readonly row: string;
  readonly name: string;
  readonly owner: string;
  /** What ALTER calls it. */
  readonly word: string;
}

const namespaceOf: Readonly<Record<string, string>> = {
  ...{
    pg_class: 'relnamespace',
    pg_proc: 'pronamespace',
    pg_type: 'typnamespace',
    pg_operator: 'oprnamespace',
    pg_collation: 'collnamespace',
  },
  ...{
    pg_conversion: 'connamespace',
    pg_opclass: 'opcnamespace',
    pg_opfamily: 'opfnamespace',
    pg_ts_dict: 'dictnamespace',
  },
  ...{ pg_ts_config: 'cfgnamespace', pg_statistic_ext: 'stxnamespace' },
};

const simple: readonly Kind[] = [
  { catalog: 'pg_collation', row: 'l', name: 'collname', owner: 'collowner', word: 'collation' },
  { catalog: 'pg_conversion', row: 'v', name: 'conname', owner: 'conowner', word: 'conversion' },
  { catalog: 'pg_opclass', row: 'k', name: 'opcname', owner: 'opcowner', word: 'operator class' },
  { catalog: 'pg_opfamily', row: 'f', name: 'opfname', owner: 'opfowner', word: 'operator family' },
  { catalog: 'pg_ts_dict', row: 'd', name: 'dictname', owner: 'dictowner', word: 'text search dictionary' },
  { catalog: 'pg_ts_config', row: 'g', name: 'cfgname', owner: 'cfgowner', word: 'text search configuration' },
  { catalog: 'pg_statistic_ext', row: 'x', name: 'stxname', owner: 'stxowner', word: 'statistics' },
];

const homeless: readonly Kind[] = [
  { catalog: 'pg_namespace', row: 'n', name: 'nspname', owner: 'nspowner', word: 'schema' },
  { catalog: 'pg_language', row: 'l', name: 'lanname', owner: 'lanowner', word: 'language' },
  { catalog: 'pg_foreign_data_wrapper', row: 'w', name: 'fdwname', owner: 'fdwowner', word: 'foreign data wrapper' },
  { catalog: 'pg_foreign_server', row: 's', name: 'srvname', owner: 'srvowner', word: 'server' },
  { catalog: 'pg_event_trigger', row: 'e', name: 'evtname', owner: 'evtowner', word: 'event trigger' },
];

// They go along with their table.
const aboutOf: Readonly<Record<string, string>> = { pg_statistic_ext: `'pg_class:' || x.stxrelid` };

// Its name alone does not tell it from that of another access method.
const methodOf: Readonly<Record<string, string>> = {
  pg_opclass: ` || ' using ' || (select pg_catalog.quote_ident(m.amname) from pg_catalog.pg_am m where m.oid = k.opcmethod)`,
  pg_opfamily: ` || ' using ' || (select pg_catalog.quote_ident(m.amname) from pg_catalog.pg_am m where m.oid = f.opfmethod)`,
};
