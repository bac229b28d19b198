// Who may do what: privileges that were granted on objects, and those of the ordinary ones that were revoked.
import type { ObjectKind } from '../../mirror/object.ts';
import { isArray } from '../../pg/array-type.ts';
import type { Connection } from '../../pg/client.ts';
import { ident, join, type Sql, sql, trusted } from '../../pg/sql.ts';
import { showTable } from '../../pg/table.ts';
import { type Circumstances, type Entity, entity, type Verdict } from './entity.ts';
import { notTheirs, type ServerFacts } from './facts.ts';
import { noSuchRole } from './read-policies.ts';

/** An entry of an access control list. `role` null: PUBLIC. */
export interface Privilege {
  readonly grantor: string;
  /** Whether the grantor is the object's owner. */
  readonly own: boolean;
  readonly role: string | null;
  readonly toOwner: boolean;
  readonly privilege: string;
  readonly grantable: boolean;
}

interface ObjectRow {
  readonly self: string;
  /** Itself, or the table that a sequence belongs to, or that a row type is of. */
  readonly about: string;
  readonly kind: ObjectKind;
  readonly schema: string;
  /** Id of the schema; null: it is in none. */
  readonly home: string | null;
  /** Name of the relation in that schema; null: it is of none. */
  readonly relation: string | null;
  /** Of a sequence. */
  readonly sequence: string | null;
  readonly column: string | null;
  /** What follows ON: `table "s"."t"`. */
  readonly on: string;
  /** Whether it is the system's or an extension's: only what was changed of it since is told. */
  readonly theirs: boolean;
  readonly granted: readonly Privilege[];
  readonly revoked: readonly Pick<Privilege, 'role' | 'toOwner' | 'privilege'>[];
  /** All that there are for such an object, on its server's version. */
  readonly every: readonly string[];
}

/**
 * What everybody may do in schema public, and may not. Neither what initdb makes nor what a database was given is a measure of it: it
 * is another thing before 15, and nothing where somebody dropped the schema and made it again, on either side.
 */
export async function readPublicSchema(db: Connection): Promise<readonly Entity[]> {
  const rows = await db.query<ObjectRow>(sql`
    select 'pg_namespace:' || n.oid as self, 'pg_namespace:' || n.oid as about, 'grant' as kind, '' as schema, null as home,
      null as relation, null as sequence, null as column, 'schema public' as "on", false as theirs,
      coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('grantor', g.rolname, 'own', x.grantor = n.nspowner,
          'role', null, 'toOwner', false, 'privilege', x.privilege_type, 'grantable', x.is_grantable) order by x.privilege_type)
        from pg_catalog.aclexplode(has.acl) x left join pg_catalog.pg_roles g on g.oid = x.grantor
        where x.grantee = 0), '[]') as granted,
      coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('role', null, 'toOwner', false, 'privilege', each.privilege)
          order by each.privilege) from (values ('CREATE'), ('USAGE')) each (privilege)
        where not exists (select from pg_catalog.aclexplode(has.acl) x
          where x.grantee = 0 and x.privilege_type = each.privilege)), '[]') as revoked,
      '["USAGE", "CREATE"]'::json as every
    from pg_catalog.pg_namespace n
    cross join lateral (select coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) as acl) has
    where n.nspname = 'public'`);
  return rows.flatMap((row) => grantEntities(row)).map((each) => ({ ...each, quiet: true }));
}

export async function readGrants(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('privileges')) return [];
  const rows = await db.query<ObjectRow>(selectGrants(facts));
  return rows.flatMap((row) => grantEntities(row));
}

// Every catalog with an access control list: what it is called in SQL, and the letter that acldefault knows it by. Arrays have
// none of their own. https://www.postgresql.org/docs/18/ddl-priv.html
const selectObjects = sql`
  select 'pg_class'::text as catalog, 'pg_catalog.pg_class'::pg_catalog.regclass::oid as class, c.oid, 0 as sub, c.relnamespace as schema, c.relowner as owner, c.relacl as acl,
    case c.relkind when 'S' then 's' else 'r' end as letter,
    case c.relkind when 'S' then 'sequence ' else 'table ' end || pg_catalog.format('%I.%I', n.nspname, c.relname) as "on",
    case c.relkind when 'S' then null else c.relname::text end as relation, null::text as column, owned.by
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join lateral (select 'pg_class:' || d.refobjid as by from pg_catalog.pg_depend d
    where c.relkind = 'S' and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
      and d.refclassid = d.classid and d.deptype in ('a', 'i') limit 1) owned on true
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't'
  union all
  select 'pg_class', 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, a.attnum, c.relnamespace, c.relowner, a.attacl, 'c',
    pg_catalog.format('table %I.%I', n.nspname, c.relname), c.relname::text, a.attname::text, null
  from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where a.attacl is not null and not a.attisdropped and c.relpersistence <> 't'
  union all
  select 'pg_proc', 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0, p.pronamespace, p.proowner, p.proacl, 'f',
    pg_catalog.format('routine %I.%I(%s)', n.nspname, p.proname, (
      select pg_catalog.string_agg(pg_catalog.format_type(argument.type, null), ', ' order by argument.place)
      from pg_catalog.unnest(p.proargtypes) with ordinality as argument(type, place))), null, null, null
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  union all
  select 'pg_type', 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, 0, t.typnamespace, t.typowner, t.typacl, 'T',
    pg_catalog.format('type %I.%I', n.nspname, t.typname), c.relname::text, null, 'pg_class:' || c.oid
  from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  left join pg_catalog.pg_class c on c.oid = t.typrelid and c.relkind <> 'c'
  where t.typtype <> 'm' and not ${trusted(isArray('t'))}
  union all
  select 'pg_namespace', 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, 0, n.oid, n.nspowner, n.nspacl, 'n', pg_catalog.format('schema %I', n.nspname), null, null, null
  from pg_catalog.pg_namespace n
  union all
  select 'pg_language', 'pg_catalog.pg_language'::pg_catalog.regclass, l.oid, 0, 0, l.lanowner, l.lanacl, 'l', pg_catalog.format('language %I', l.lanname), null, null, null
  from pg_catalog.pg_language l where l.lanpltrusted
  union all
  select 'pg_foreign_data_wrapper', 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, w.oid, 0, 0, w.fdwowner, w.fdwacl, 'F',
    pg_catalog.format('foreign data wrapper %I', w.fdwname), null, null, null
  from pg_catalog.pg_foreign_data_wrapper w
  union all
  select 'pg_foreign_server', 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, s.oid, 0, 0, s.srvowner, s.srvacl, 'S', pg_catalog.format('foreign server %I', s.srvname), null, null, null
  from pg_catalog.pg_foreign_server s`;

// What everybody has from the beginning is compared with what is, without who granted it; for what the system or an extension
// brought, the beginning is as it was brought. What everybody may do in schema public is read apart.
function selectGrants(facts: ServerFacts): Sql {
  const isPublic = sql`(o.catalog = 'pg_namespace' and n.nspname = 'public')`;
  return sql`
  with object as materialized (
    select o.*, o.oid < 16384 and not ${isPublic} or member.objid is not null as theirs,
      case when ${isPublic}
        then pg_catalog.acldefault('n', o.owner) || coalesce((
          select pg_catalog.array_agg(pg_catalog.makeaclitem(0::oid, x.grantor, x.privilege_type, x.is_grantable))
          from pg_catalog.aclexplode(o.acl) x where x.grantee = 0), '{}')
        else coalesce(init.initprivs, pg_catalog.acldefault(o.letter::"char", o.owner)) end as base, n.nspname::text as nspname
    from (${selectObjects}) o
    left join pg_catalog.pg_namespace n on n.oid = o.schema
    left join pg_catalog.pg_depend member on member.classid = o.class
      and member.objid = o.oid and member.deptype = 'e'
    left join pg_catalog.pg_init_privs init on init.classoid = o.class
      and init.objoid = o.oid and init.objsubid = o.sub
    where o.acl is not null
      and (o.acl is distinct from init.initprivs or ${isPublic})
      and (n.oid is null or ${notTheirs(facts, 'n')})),
  has as (
    select o.catalog, o.oid, o.sub, o.owner, x.grantor, x.grantee, x.privilege_type, x.is_grantable
    from object o, lateral pg_catalog.aclexplode(o.acl) x),
  base as (
    select o.catalog, o.oid, o.sub, o.owner, x.grantee, x.privilege_type, x.is_grantable
    from object o, lateral pg_catalog.aclexplode(o.base) x),
  granted as (
    select h.catalog, h.oid, h.sub, pg_catalog.json_agg(pg_catalog.json_build_object('grantor', grantor.rolname,
        'own', h.grantor = h.owner, 'role', grantee.rolname, 'toOwner', h.grantee = h.owner, 'privilege', h.privilege_type,
        'grantable', h.is_grantable) order by h.privilege_type) as list
    from has h left join pg_catalog.pg_roles grantor on grantor.oid = h.grantor
    left join pg_catalog.pg_roles grantee on grantee.oid = h.grantee
    where not exists (select from base b where b.catalog = h.catalog and b.oid = h.oid and b.sub = h.sub
      and b.grantee = h.grantee and b.privilege_type = h.privilege_type and b.is_grantable >= h.is_grantable)
    group by h.catalog, h.oid, h.sub),
  revoked as (
    select b.catalog, b.oid, b.sub, pg_catalog.json_agg(pg_catalog.json_build_object('role', grantee.rolname,
        'toOwner', b.grantee = b.owner, 'privilege', b.privilege_type) order by b.privilege_type) as list
    from base b left join pg_catalog.pg_roles grantee on grantee.oid = b.grantee
    where not exists (select from has h where h.catalog = b.catalog and h.oid = b.oid and h.sub = b.sub
      and h.grantee = b.grantee and h.privilege_type = b.privilege_type)
    group by b.catalog, b.oid, b.sub)
  select o.catalog || ':' || o.oid as self, coalesce(o.by, o.catalog || ':' || o.oid) as about, 'grant' as kind,
    case when o.catalog = 'pg_namespace' then '' else coalesce(o.nspname, '') end as schema,
    o.relation, o.column, o."on", o.theirs,
    case o.letter when 's' then (select c.relname::text from pg_catalog.pg_class c where c.oid = o.oid) end as sequence, case when o.catalog <> 'pg_namespace' then 'pg_namespace:' || o.schema end as home,
    coalesce(granted.list, '[]') as granted, coalesce(revoked.list, '[]') as revoked,
    (select pg_catalog.json_agg(x.privilege_type) from pg_catalog.aclexplode(
      pg_catalog.acldefault(case o.letter when 'c' then 'r' else o.letter end::"char", o.owner)) x where x.grantee = o.owner
        and (o.letter <> 'c' or x.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES'))) as every
  from object o
  left join granted on granted.catalog = o.catalog and granted.oid = o.oid and granted.sub = o.sub
  left join revoked on revoked.catalog = o.catalog and revoked.oid = o.oid and revoked.sub = o.sub
  order by o.catalog = 'pg_namespace' desc, o.catalog, o."on", o.sub`;
}

const ownerName = 'its owner';

function grantEntities(row: ObjectRow): readonly Entity[] {
  const groups = new Map<string, Privilege[]>();
  for (const each of row.granted) {
    const key = JSON.stringify([each.own ? null : each.grantor, each.toOwner ? 0 : each.role]);
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  const revoked = new Map<string, ObjectRow['revoked'][number][]>();
  for (const each of row.revoked) {
    const key = JSON.stringify([each.toOwner ? 0 : each.role]);
    revoked.set(key, [...(revoked.get(key) ?? []), each]);
  }
  return [
    ...[...revoked.values()].map((list) => revokeEntity(row, list)),
    ...[...groups.values()].flatMap((list) => apart(row.every, list)).map((list) => grantEntity(row, list)),
  ];
}

// Who may grant was granted that before, and lets itself into the schema.
function neededByGrantor(row: ObjectRow, grantor: string): readonly string[] {
  const home = (to: string) => (row.home === null ? [] : [idOf({ self: row.home, column: null }, '', to)]);
  return [idOf(row, '', grantor), ...home(grantor), ...home('PUBLIC')];
}

// A target that knows no MAINTAIN takes the rest; where it is all that there is, each server has its own all.
function apart(every: readonly string[], list: readonly Privilege[]): readonly (readonly Privilege[])[] {
  if (isAll(every, list)) return [list];
  const parts = [list.filter((each) => !isNewer(each)), list.filter(isNewer)];
  return parts.filter((part) => part.length > 0);
}

function isNewer({ privilege }: Privilege): boolean {
  return privilege === 'MAINTAIN';
}

// A server before 17 has no MAINTAIN, so that all that it can grant on a table is not all that a newer one can.
function isOlder(every: readonly string[]): boolean {
  return every.includes('TRUNCATE') && !every.includes('MAINTAIN');
}

function isAll(every: readonly string[], list: readonly Privilege[]): boolean {
  return every.every((each) => list.some(({ privilege }) => privilege === each));
}

function idOf({ self, column }: Pick<ObjectRow, 'self' | 'column'>, from: string, to: string): string {
  return `grant:${JSON.stringify([self, column, from, to])}`;
}

function bound(row: ObjectRow) {
  const { about, relation, sequence, theirs, column } = row;
  const schema = relation === null ? '' : row.schema;
  const table = relation === null ? '' : showTable({ schema, name: relation });
  return {
    ...{ kind: 'grant' as const, schema, table, stage: 'rights' as const },
    ...(sequence === null ? {} : { names: [{ schema: row.schema, name: sequence }] }),
    // What nobody made on the source is on the target already, if it is there at all.
    ...(theirs ? {} : { about, needs: [about] }),
    ...(column === null ? {} : { columns: [column] }),
  };
}

// `select, insert (a) on table "s"."t"`, `all on schema "s"`.
function what({ every, column, on }: ObjectRow, privileges: readonly string[]): Sql {
  const of = column === null ? sql`` : sql` (${ident(column)})`;
  const all = !isOlder(every) && every.length > 1 && every.every((each) => privileges.includes(each));
  const list = all ? [sql`all${of}`] : privileges.map((each) => sql`${trusted(each.toLowerCase())}${of}`);
  return sql`${join(list)} on ${trusted(on)}`;
}

function grantEntity(row: ObjectRow, list: readonly Privilege[]): Entity {
  const [first] = list as [Privilege, ...Privilege[]];
  const to = first.toOwner ? sql`current_user` : first.role === null ? sql`public` : ident(first.role);
  const grants = (of: readonly Privilege[], whom = to) =>
    [false, true].flatMap((grantable) => {
      const privileges = of.filter((each) => each.grantable === grantable).map(({ privilege }) => privilege);
      if (privileges.length === 0) return [];
      return [sql`grant ${what(row, privileges)} to ${whom}${trusted(grantable ? ' with grant option' : '')}`];
    });
  const as = (statements: readonly Sql[]) =>
    first.own || statements.length === 0
      ? [statements]
      : [[sql`set local role ${ident(first.grantor)}`, ...statements, sql`reset role`]];
  const grantee = first.toOwner ? ownerName : (first.role ?? 'PUBLIC');
  const base = bound(row);
  const newer = list.every(isNewer);
  return entity({
    ...base,
    id: idOf(row, newer ? 'newer' : first.own ? '' : first.grantor, grantee),
    ...named(row, newer ? 'MAINTAIN' : 'privileges', `to ${grantee}${first.own ? '' : ` by ${first.grantor}`}`),
    statements: as(grants(list)),
    ...(first.toOwner ? { byOthers: (all) => join(grants(list, ownerThen(all, first)), '; ') } : {}),
    definition: wordsOf(row.every, list).join(', '),
    needs: [...(base.needs ?? []), ...(first.own ? [] : neededByGrantor(row, first.grantor))],
    ...(newer ? { since: [170_000, 'it is the privilege MAINTAIN'] as const } : {}),
    // Whoever may do more there may; only what is missing is granted.
    mend: (there) => {
      const has = new Set(there.definition.split(', '));
      const may = (each: Pick<Privilege, 'privilege' | 'grantable'>) =>
        has.has(inWords(each)) || has.has(inWords({ ...each, grantable: true }));
      const missing = list.filter((each) => !may(each) && !may({ ...each, privilege: 'ALL' }));
      return missing.length === 0 ? [] : as(grants(missing));
    },
    verdict: ({ target }) => {
      const roles = [first.own ? null : first.grantor, first.toOwner ? null : first.role];
      const missing = roles.filter((role) => role !== null && !target.roles.has(role));
      return missing.length === 0 ? null : { leaveOut: noSuchRole(missing) };
    },
  });
}

// Who owns it when all is made.
function ownerThen({ target }: Circumstances, { role }: Pick<Privilege, 'role'>): Sql {
  return ident(role !== null && target.roles.has(role) ? role : target.user);
}

// All that there are, on each server: whoever was granted ALL has those that came later too.
function wordsOf(every: readonly string[], list: readonly Privilege[]): readonly string[] {
  const [first] = list;
  if (first !== undefined && isAll(every, list) && list.every(({ grantable }) => grantable === first.grantable)) {
    return [inWords({ ...first, privilege: 'ALL' })];
  }
  return list.map(inWords).toSorted();
}

function inWords({ privilege, grantable }: Pick<Privilege, 'privilege' | 'grantable'>): string {
  return grantable ? `${privilege} with grant option` : privilege;
}

// What is not bound to a relation has its name in SQL, which follows a mapping.
function named({ self, on, column, relation }: ObjectRow, what: string, whose: string) {
  if (relation === null) return { name: `${whose} on `, arguments: on };
  if (self.startsWith('pg_type:')) return { name: `${what} on its row type ${whose}` };
  return { name: column === null ? `${what} ${whose}` : `${what} of column ${column} ${whose}` };
}

function revokeEntity(row: ObjectRow, list: ObjectRow['revoked']): Entity {
  const [first] = list as [ObjectRow['revoked'][number]];
  const from = first.toOwner ? sql`current_user` : first.role === null ? sql`public` : ident(first.role);
  const grantee = first.toOwner ? ownerName : (first.role ?? 'PUBLIC');
  const privileges = list.map(({ privilege }) => privilege);
  const statement = sql`revoke ${what(row, privileges)} from ${from}`;
  return entity({
    ...bound(row),
    id: idOf(row, 'revoked', grantee),
    ...named(row, 'privileges', `revoked from ${grantee}`),
    statements: [[statement]],
    ...(first.toOwner ? { byOthers: (all) => sql`revoke ${what(row, privileges)} from ${ownerThen(all, first)}` } : {}),
    definition: privileges.toSorted().join(', '),
    mend: () => [[statement]],
    verdict: (all) => mayRevoke(all, first),
  });
}

// Of the owner, and so of us.
function mayRevoke({ follows, target }: Circumstances, from: ObjectRow['revoked'][number]): Verdict | null {
  if (from.toOwner) {
    return follows && !target.superuser ? { hold: 'our role would lose what it needs to write' } : null;
  }
  return from.role === null || target.roles.has(from.role) ? null : { leaveOut: noSuchRole([from.role]) };
}

interface DefaultRow {
  readonly id: string;
  readonly owner: string;
  readonly schema: string;
  readonly type: 'r' | 'S' | 'f' | 'T' | 'n' | 'L';
  readonly granted: readonly Privilege[];
  readonly revoked: ObjectRow['revoked'];
  readonly every: readonly string[];
}

const objectsOf = {
  ...{ r: 'tables', S: 'sequences', f: 'functions', T: 'types', n: 'schemas', L: 'large objects' },
} as const;

/** What new objects are granted. https://www.postgresql.org/docs/18/catalog-pg-default-acl.html */
export async function readDefaultPrivileges(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_default_acl')) return [];
  const rows = await db.query<DefaultRow>(sql`
    with object as materialized (
      select d.oid, r.rolname::text as owner, d.defaclrole as role, coalesce(n.nspname::text, '') as schema,
        d.defaclobjtype::text as type, d.defaclacl as acl,
        pg_catalog.acldefault(case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end, d.defaclrole) as usual,
        d.defaclnamespace = 0 as global
      from pg_catalog.pg_default_acl d join pg_catalog.pg_roles r on r.oid = d.defaclrole
      left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
      where d.defaclnamespace = 0 or ${notTheirs(facts, 'n')})
    select 'pg_default_acl:' || o.oid as id, o.owner, o.schema, o.type,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('grantor', o.owner, 'own', true,
          'role', r.rolname, 'toOwner', x.grantee = o.role, 'privilege', x.privilege_type, 'grantable', x.is_grantable)
          order by x.privilege_type), '[]')
        from pg_catalog.aclexplode(o.acl) x left join pg_catalog.pg_roles r on r.oid = x.grantee
        where not o.global or not exists (select from pg_catalog.aclexplode(o.usual) b
          where b.grantee = x.grantee and b.privilege_type = x.privilege_type and b.is_grantable >= x.is_grantable)) as granted,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('role', r.rolname, 'toOwner', b.grantee = o.role,
          'privilege', b.privilege_type) order by b.privilege_type), '[]')
        from pg_catalog.aclexplode(o.usual) b left join pg_catalog.pg_roles r on r.oid = b.grantee
        where o.global and not exists (select from pg_catalog.aclexplode(o.acl) x
          where b.grantee = x.grantee and b.privilege_type = x.privilege_type)) as revoked,
      (select pg_catalog.json_agg(x.privilege_type) from pg_catalog.aclexplode(o.usual) x where x.grantee = o.role) as every
    from object o order by o.owner, o.schema, o.type`);
  return rows.flatMap(defaultEntities);
}

function defaultEntities(row: DefaultRow): readonly Entity[] {
  const found = new Map<string, { granted: Privilege[]; revoked: ObjectRow['revoked'][number][] }>();
  const of = (each: Pick<Privilege, 'role'>) => {
    const key = JSON.stringify(each.role);
    const list = found.get(key) ?? { granted: [], revoked: [] };
    found.set(key, list);
    return list;
  };
  for (const each of row.granted) of(each).granted.push(each);
  for (const each of row.revoked) of(each).revoked.push(each);
  return [...found].flatMap(([key, { granted, revoked }]) => {
    const role: string | null = JSON.parse(key);
    const parts = granted.length === 0 ? [[]] : apart(row.every, granted);
    return parts.map((part, i) => defaultEntity(row, { role, granted: part, revoked: i === 0 ? revoked : [] }));
  });
}

function defaultEntity(
  row: DefaultRow,
  { role, granted, revoked }: Pick<DefaultRow, 'granted' | 'revoked'> & { readonly role: string | null },
): Entity {
  const { id, owner, schema, type, every } = row;
  const who = role === null ? sql`public` : ident(role);
  const inSchema = schema === '' ? sql`` : sql` in schema ${ident(schema)}`;
  const objects = trusted(objectsOf[type]);
  const alter = (rest: Sql) => sql`alter default privileges for role ${ident(owner)}${inSchema} ${rest}`;
  const list = (all: readonly string[]) =>
    trusted(every.every((each) => all.includes(each)) ? 'all' : all.join(', ').toLowerCase());
  const grants = [false, true].flatMap((grantable) => {
    const privileges = granted.filter((each) => each.grantable === grantable).map(({ privilege }) => privilege);
    if (privileges.length === 0) return [];
    const option = trusted(grantable ? ' with grant option' : '');
    return [alter(sql`grant ${list(privileges)} on ${objects} to ${who}${option}`)];
  });
  const taken = revoked.map(({ privilege }) => privilege);
  const revokes = taken.length === 0 ? [] : [alter(sql`revoke ${list(taken)} on ${objects} from ${who}`)];
  const newer = granted.length > 0 && granted.every(isNewer);
  return entity({
    ...{ id: `${id}:${newer}:${role}`, kind: 'default privileges', schema, stage: 'rights' },
    name: `${newer ? 'MAINTAIN of ' : ''}${objectsOf[type]} of ${owner} to ${role ?? 'PUBLIC'}`,
    statements: [[...revokes, ...grants]],
    definition: [...granted.map(inWords), ...taken.map((each) => `not ${each}`)].toSorted().join(', '),
    mend: () => [[...revokes, ...grants]],
    ...(type === 'L' ? { since: [180_000, 'it is of large objects'] as const } : {}),
    ...(newer ? { since: [170_000, 'it is the privilege MAINTAIN'] as const } : {}),
    verdict: ({ target }) => {
      const missing = [owner, role].filter((each) => each !== null && !target.roles.has(each));
      return missing.length === 0 ? null : { leaveOut: noSuchRole(missing) };
    },
  });
}
