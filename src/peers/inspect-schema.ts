// What tables need to be made elsewhere: the definitions of their types and collations, extensions, and functions they call.
import type { Connection } from '../pg/client.ts';
import { type Sql, sql, trusted } from '../pg/sql.ts';
import type { Table, TableName } from '../pg/table.ts';
import { isBuiltin, readTypes, type TypeFacts } from './inspect-types.ts';

export interface ExtensionName {
  readonly name: string;
  readonly schema: string;
}

/** A type that users or extensions defined, with what CREATE TYPE or CREATE DOMAIN needs. */
export interface TypeDefinition extends TableName {
  readonly oid: number;
  readonly kind: TypeFacts['kind'];
  /** Types that must be there before. */
  readonly needs: readonly number[];
  readonly extension: ExtensionName | null;
  readonly labels: readonly string[] | null;
  readonly domain: DomainDefinition | null;
  /** A composite's; `table` is set if it is a table's row type. */
  readonly composite: { readonly table: boolean; readonly attributes: readonly Attribute[] } | null;
  readonly range: RangeDefinition | null;
}

export interface DomainDefinition {
  readonly base: string;
  readonly notNull: boolean;
  readonly default: string | null;
  readonly collation: TableName | null;
  readonly checks: readonly { readonly name: string; readonly definition: string }[];
}

export interface Attribute {
  /** attnum: it keeps that under another name. */
  readonly number: number;
  readonly name: string;
  readonly type: string;
  readonly collation: TableName | null;
}

export interface RangeDefinition {
  readonly subtype: string;
  readonly opclass: TableName;
  readonly collation: TableName | null;
  /** regproc text of the functions; null if there are none. */
  readonly canonical: string | null;
  readonly difference: string | null;
  readonly multirange: string;
}

/** A row of pg_collation. https://www.postgresql.org/docs/18/catalog-pg-collation.html */
export interface CollationDefinition extends TableName {
  readonly oid: number;
  readonly provider: string;
  readonly deterministic: boolean;
  readonly collate: string | null;
  readonly ctype: string | null;
  /** Of providers icu and builtin: colllocale (17), colliculocale (15, 16), else collcollate (14). */
  readonly locale: string | null;
  readonly rules: string | null;
}

/** A function that a default, a generated column, a domain or a partition key calls. */
export interface FunctionUse {
  readonly oid: number;
  /** regprocedure text: `shop.next_no(integer)`. */
  readonly signature: string;
  readonly of: 'default' | 'generated column' | 'domain' | 'partition key';
  /** OID of the table, or of the domain. */
  readonly table: number;
  readonly column: string | null;
  readonly extension: ExtensionName | null;
}

export interface SchemaNeeds {
  /** In an order in which they can be created. */
  readonly types: readonly TypeDefinition[];
  readonly collations: readonly CollationDefinition[];
  readonly functions: readonly FunctionUse[];
}

/** Reads what these tables stand on, beyond what every server has. */
export async function inspectSchema(
  db: Connection,
  tables: readonly Table[],
  excluded: (table: Table, column: string) => boolean = () => false,
): Promise<SchemaNeeds> {
  const wanted = new Set<number>();
  for (const table of tables) {
    if (table.ofType !== null) wanted.add(table.ofType.oid);
    for (const column of table.columns) if (!excluded(table, column.name)) wanted.add(column.type.oid);
  }
  const facts = await readTypes(db, [...wanted]);
  const own = [...facts.values()].filter((type) => !isBuiltin(type.oid));
  const definitions = await readTypeDefinitions(
    db,
    own.map((type) => type.oid),
  );
  const functions = await readFunctions(
    db,
    tables,
    own.map((type) => type.oid),
  );
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  return {
    types: inOrder(definitions, facts),
    collations: await readCollations(
      db,
      tables,
      own.map((type) => type.oid),
    ),
    functions: functions.filter((use) => {
      const table = use.column === null ? undefined : byOid.get(use.table);
      return table === undefined || use.column === null || !excluded(table, use.column);
    }),
  };
}

/** Definitions of types by OID; arrays and multiranges are left out: they come with their element or range. */
export async function readTypeDefinitions(db: Connection, oids: readonly number[]): Promise<readonly TypeDefinition[]> {
  if (oids.length === 0) return [];
  const collation = (
    column: string,
  ) => sql`(select pg_catalog.json_build_object('schema', cn.nspname, 'name', co.collname)
    from pg_catalog.pg_collation co join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace
    where co.oid = ${trusted(column)} and ${trusted(column)} <> 0)`;
  return await db.query<TypeDefinition>(sql`
    select t.oid, n.nspname::text as schema, t.typname::text as name, t.typtype::text as kind,
      (select coalesce(pg_catalog.json_agg(need), '[]') from (
        select t.typbasetype::bigint as need where t.typbasetype <> 0
        union all select r.rngsubtype::bigint from pg_catalog.pg_range r where r.rngtypid = t.oid
        union all select a.atttypid::bigint from pg_catalog.pg_attribute a
          where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) needed) as needs,
      (select pg_catalog.json_build_object('name', e.extname, 'schema', en.nspname)
        from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
        join pg_catalog.pg_namespace en on en.oid = e.extnamespace
        where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objid = t.oid
          and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e') as extension,
      (select pg_catalog.json_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e
        where e.enumtypid = t.oid) as labels,
      case when t.typtype = 'd' then pg_catalog.json_build_object(
        'base', pg_catalog.format_type(t.typbasetype, t.typtypmod), 'notNull', t.typnotnull,
        'default', coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault),
        'collation', (select ${collation('t.typcollation')} from pg_catalog.pg_type b
          where b.oid = t.typbasetype and b.typcollation <> t.typcollation),
        'checks', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', k.conname,
            'definition', pg_catalog.pg_get_constraintdef(k.oid)) order by k.conname), '[]')
          from pg_catalog.pg_constraint k where k.contypid = t.oid and k.contype = 'c')) end as domain,
      case when t.typtype = 'c' then pg_catalog.json_build_object(
        'table', (select c.relkind <> 'c' from pg_catalog.pg_class c where c.oid = t.typrelid),
        'attributes', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('number', a.attnum, 'name', a.attname,
            'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
            'collation', (select ${collation('a.attcollation')} from pg_catalog.pg_type b
              where b.oid = a.atttypid and b.typcollation <> a.attcollation)) order by a.attnum), '[]')
          from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped))
        end as composite,
      (select pg_catalog.json_build_object('subtype', pg_catalog.format_type(r.rngsubtype, null),
          'opclass', (select pg_catalog.json_build_object('schema', pn.nspname, 'name', p.opcname)
            from pg_catalog.pg_opclass p join pg_catalog.pg_namespace pn on pn.oid = p.opcnamespace
            where p.oid = r.rngsubopc),
          'collation', (select ${collation('r.rngcollation')} from pg_catalog.pg_type b
            where b.oid = r.rngsubtype and b.typcollation <> r.rngcollation),
          'canonical', nullif(r.rngcanonical::oid, 0)::pg_catalog.regproc,
          'difference', nullif(r.rngsubdiff::oid, 0)::pg_catalog.regproc,
          'multirange', (select m.typname from pg_catalog.pg_type m where m.oid = r.rngmultitypid))
        from pg_catalog.pg_range r where r.rngtypid = t.oid) as range
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where t.oid = any(${[...oids]}::oid[]) and (t.typtype in ('c', 'd', 'e', 'r') or t.typtype = 'b' and t.typcategory <> 'A')
    order by n.nspname, t.typname`);
}

/** Definitions of types by name, for looking whether the target's are the same. */
export async function findTypes(db: Connection, names: readonly TableName[]): Promise<readonly TypeDefinition[]> {
  if (names.length === 0) return [];
  const rows = await db.query<{ oid: number }>(sql`
    select t.oid
    from rows from (pg_catalog.unnest(${names.map((n) => n.schema)}::text[]), pg_catalog.unnest(${names.map((n) => n.name)}::text[]))
      as wanted(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_type t on t.typnamespace = n.oid and t.typname = wanted.name`);
  return await readTypeDefinitions(
    db,
    rows.map((row) => row.oid),
  );
}

// What a type rests on comes before it; an array stands for its element, a multirange for its range.
function inOrder(
  definitions: readonly TypeDefinition[],
  facts: ReadonlyMap<number, TypeFacts>,
): readonly TypeDefinition[] {
  const byOid = new Map(definitions.map((type) => [type.oid, type]));
  const ordered = new Set<TypeDefinition>();
  const visiting = new Set<number>();
  const visit = (oid: number) => {
    if (visiting.has(oid)) return;
    visiting.add(oid);
    const type = byOid.get(oid);
    const fact = facts.get(oid);
    for (const need of [...(type?.needs ?? []), fact?.element ?? 0, fact?.subtype ?? 0]) if (need !== 0) visit(need);
    if (type !== undefined) ordered.add(type);
  };
  for (const type of definitions) visit(type.oid);
  return [...ordered];
}

async function readCollations(
  db: Connection,
  tables: readonly Table[],
  types: readonly number[],
): Promise<readonly CollationDefinition[]> {
  return await selectCollations(
    db,
    sql`n.nspname <> 'pg_catalog' and co.oid in (
      select a.attcollation from pg_catalog.pg_attribute a
        where a.attrelid = any(${tables.map((t) => t.oid)}::oid[]) and a.attnum > 0
      union select t.typcollation from pg_catalog.pg_type t where t.oid = any(${[...types]}::oid[])
      union select a.attcollation from pg_catalog.pg_type t join pg_catalog.pg_attribute a on a.attrelid = t.typrelid
        where t.oid = any(${[...types]}::oid[]) and t.typtype = 'c'
      union select r.rngcollation from pg_catalog.pg_range r where r.rngtypid = any(${[...types]}::oid[]))`,
  );
}

/** Collations of a condition over pg_collation `co` and pg_namespace `n`. */
export async function selectCollations(db: Connection, condition: Sql): Promise<readonly CollationDefinition[]> {
  // The columns of pg_collation differ between versions, so the row is read as json.
  return await db.query<CollationDefinition>(sql`
    select co.oid, n.nspname::text as schema, co.collname::text as name, co.collprovider::text as provider,
      co.collisdeterministic as deterministic, co.collcollate as collate, co.collctype as ctype,
      coalesce(pg_catalog.to_json(co) ->> 'colllocale', pg_catalog.to_json(co) ->> 'colliculocale', co.collcollate) as locale,
      pg_catalog.to_json(co) ->> 'collicurules' as rules
    from pg_catalog.pg_collation co join pg_catalog.pg_namespace n on n.oid = co.collnamespace
    where ${condition} order by n.nspname, co.collname`);
}

async function readFunctions(
  db: Connection,
  tables: readonly Table[],
  types: readonly number[],
): Promise<readonly FunctionUse[]> {
  const oids = tables.map((table) => table.oid);
  // Functions that every server has are not in pg_depend: they are pinned. What a generated column calls is noted at the column
  // itself by older servers, what a partition key calls at the table. https://www.postgresql.org/docs/18/catalog-pg-depend.html
  return await db.query<FunctionUse>(sql`
    with used as (
      select d.refobjid as function, f.adrelid as table, a.attname as column,
        case when a.attgenerated = '' then 'default' else 'generated column' end as of
      from pg_catalog.pg_attrdef f
      join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid = f.oid
      where f.adrelid = any(${oids}::oid[]) and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      union
      select d.refobjid, k.contypid, null, 'domain'
      from pg_catalog.pg_constraint k
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objid = k.oid
      where k.contypid = any(${[...types]}::oid[]) and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      union
      select d.refobjid, d.objid, null, 'domain'
      from pg_catalog.pg_depend d join pg_catalog.pg_type t on t.oid = d.objid and t.typtype = 'd'
      where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.oid = any(${[...types]}::oid[])
        and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      union
      select d.refobjid, d.objid, a.attname, case when a.attname is null then 'partition key' else 'generated column' end
      from pg_catalog.pg_depend d
      left join pg_catalog.pg_attribute a on a.attrelid = d.objid and a.attnum = d.objsubid and d.objsubid > 0
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = any(${oids}::oid[])
        and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass)
    select used.function as oid, used.function::pg_catalog.regprocedure::text as signature, used.of, used.table, used.column::text as column,
      (select pg_catalog.json_build_object('name', e.extname, 'schema', en.nspname)
        from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
        join pg_catalog.pg_namespace en on en.oid = e.extnamespace
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = used.function
          and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e') as extension
    from used order by 2, 3, 4, 5`);
}
