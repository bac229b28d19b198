// Which kinds of things a database has at all. Most have a few: what there is none of need not be asked for, one query each.
import { isArray } from '../../pg/array-type.ts';
import type { Connection } from '../../pg/client.ts';
import { type Sql, sql, trusted } from '../../pg/sql.ts';

// Catalogs in which initdb puts nothing: one whose file is empty has no rows, and no query has to be planned to know it.
const empty = [
  ...(['pg_default_acl', 'pg_event_trigger', 'pg_foreign_data_wrapper', 'pg_foreign_server'] as const),
  ...(['pg_foreign_table', 'pg_largeobject_metadata', 'pg_policy', 'pg_seclabel', 'pg_sequence'] as const),
  ...(['pg_statistic_ext', 'pg_transform'] as const),
];

// Of these, users' rows are told by their OIDs. https://www.postgresql.org/docs/18/system-catalog-initial-data.html
const numbered = [
  ...([
    'pg_am',
    'pg_amop',
    'pg_amproc',
    'pg_cast',
    'pg_collation',
    'pg_conversion',
    'pg_language',
    'pg_opclass',
  ] as const),
  ...(['pg_operator', 'pg_opfamily', 'pg_proc', 'pg_ts_config', 'pg_ts_dict', 'pg_ts_parser'] as const),
  ...(['pg_ts_template'] as const),
];

const others = {
  // What initdb says of its own is no user's, but for what may be changed of it.
  pg_description: `select from pg_catalog.pg_description d where d.objoid >= 16384
    union all select from pg_catalog.pg_description d where d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
      and d.objoid = 2200 and d.description <> 'standard public schema'
    union all select from pg_catalog.pg_extension e join pg_catalog.pg_description d
      on d.classoid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.objoid = e.oid
      where e.oid < 16384 and d.description <> 'PL/pgSQL procedural language'`,
  pg_extension: 'select from pg_catalog.pg_extension where oid >= 16384 or extconfig is not null',
  // Clones on partitions come with one that is not internal.
  pg_trigger: 'select from pg_catalog.pg_trigger where not tgisinternal',
  // Neither a row type of a table nor an array.
  pg_type: `select from pg_catalog.pg_type t where t.oid >= 16384
      and (t.typtype <> 'c' or exists (select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
      and not ${isArray('t')}`,
  // A default, a partition key or a column that needs another relation or its row type: the one has to be made first.
  relations: `select from pg_catalog.pg_attrdef f join pg_catalog.pg_depend d
      on d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid = f.oid
      where d.refobjid >= 16384 and not (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = f.adrelid)
    union all select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      and d.objid >= 16384 and d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.refobjid >= 16384`,
  rules: `select from pg_catalog.pg_rewrite where oid >= 16384 and rulename <> '_RETURN'`,
  views: `select from pg_catalog.pg_rewrite where oid >= 16384 and rulename = '_RETURN'`,
  // Access control lists that are not as initdb made them; those of information_schema are nobody's. Of that of schema public,
  // what everybody may do is always read.
  privileges: `select from (
      select 'pg_catalog.pg_class'::pg_catalog.regclass::oid as class, oid, 0 as sub, relacl as acl, relnamespace as schema
        from pg_catalog.pg_class where relacl is not null
      union all select 'pg_catalog.pg_class'::pg_catalog.regclass, attrelid, attnum, attacl, 0
        from pg_catalog.pg_attribute where attacl is not null
      union all select 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, 0, proacl, pronamespace
        from pg_catalog.pg_proc where proacl is not null
      union all select 'pg_catalog.pg_type'::pg_catalog.regclass, oid, 0, typacl, typnamespace
        from pg_catalog.pg_type where typacl is not null
      union all select 'pg_catalog.pg_language'::pg_catalog.regclass, oid, 0, lanacl, 0
        from pg_catalog.pg_language where lanacl is not null
      union all select 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, oid, 0, fdwacl, 0
        from pg_catalog.pg_foreign_data_wrapper where fdwacl is not null
      union all select 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, oid, 0, srvacl, 0
        from pg_catalog.pg_foreign_server where srvacl is not null
      union all select 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, 0, nspacl, oid
        from pg_catalog.pg_namespace where nspacl is not null and nspname <> 'public') o
    where not exists (select from pg_catalog.pg_init_privs i
      where i.classoid = o.class and i.objoid = o.oid and i.objsubid = o.sub and i.initprivs = o.acl)
    and o.schema not in (select n.oid from pg_catalog.pg_namespace n where n.nspname = 'information_schema')
    union all select from pg_catalog.pg_namespace o where o.nspname = 'public' and o.nspacl is not null
      and (exists (select from pg_catalog.aclexplode(o.nspacl) x where x.grantee not in (0, o.nspowner)) or 2 <> (
        select pg_catalog.count(*) from pg_catalog.aclexplode(o.nspacl) x where x.grantee = o.nspowner and not x.is_grantable))`,
} as const;

/** A catalog, or a part of one, that has rows of users or not. */
export type Held = (typeof empty)[number] | (typeof numbered)[number] | keyof typeof others;

export const everyHeld = [...empty, ...numbered, ...Object.keys(others)] as readonly Held[];

/** What of it this database has. What is not exact says so too often, never too seldom. */
export async function takeCensus(db: Connection): Promise<ReadonlySet<Held>> {
  const conditions = [
    ...empty.map(
      (name) => [name, `pg_catalog.pg_relation_size('pg_catalog.${name}'::pg_catalog.regclass) > 0`] as const,
    ),
    ...numbered.map((name) => [name, `exists (select from pg_catalog.${name} where oid >= 16384)`] as const),
    ...Object.entries(others).map(([name, condition]) => [name, `exists (${condition})`] as const),
  ];
  const list = conditions
    .map(([name, condition]) => sql`case when ${trusted(condition)} then ${name}::text end`)
    .reduce((all, one): Sql => sql`${all}, ${one}`);
  const { held } = await db.one<{ held: readonly Held[] }>(
    sql`select pg_catalog.to_json(pg_catalog.array_remove(array[${list}], null)) as held`,
  );
  return new Set(held);
}
