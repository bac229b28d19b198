// What is on the target already of all that a mirror needs there.
import { isArray } from '../pg/array-type.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import { inspectTables } from './inspect.ts';
import { findTypes, type TypeDefinition } from './inspect-schema.ts';
import type { Refusal } from './trials.ts';

export interface TargetFacts {
  /** server_version_num */
  readonly version: number;
  readonly schemas: ReadonlySet<string>;
  /** By showTable, as the following. */
  readonly tables: ReadonlyMap<string, Table>;
  /** What their own partitions are for, whatever their names: of each table of these that has some. */
  readonly bounds: ReadonlyMap<string, readonly string[]>;
  readonly types: ReadonlyMap<string, TypeDefinition>;
  readonly sequences: ReadonlySet<string>;
  readonly collations: ReadonlySet<string>;
  /** What has a wanted table's name and is no table, by showTable: `sequence`, `type` … */
  readonly inTheWay?: ReadonlyMap<string, string>;
  /** Installed extensions and the schema each is in. */
  readonly extensions: ReadonlyMap<string, string>;
  readonly availableExtensions: ReadonlySet<string>;
  /** regprocedure texts, of those asked for. */
  readonly functions: ReadonlySet<string>;
  /** By showTable of the source's tables and domains: expressions that the target does not know; absent: it was not asked. */
  readonly refusals?: ReadonlyMap<string, readonly Refusal[]>;
  /** TOAST compression methods that the server was built with. */
  readonly compressions: ReadonlySet<string>;
  readonly accessMethods: ReadonlySet<string>;
}

/** Looks for these names. A handful of round trips. */
export async function inspectTarget(
  db: Connection,
  wanted: {
    readonly tables: readonly TableName[];
    readonly types: readonly TableName[];
    readonly functions: readonly string[];
  },
): Promise<TargetFacts> {
  const facts = await db.one<{
    schemas: readonly string[];
    sequences: readonly TableName[];
    collations: readonly TableName[];
    extensions: readonly { readonly name: string; readonly schema: string }[];
    available: readonly string[];
    functions: readonly string[];
    compressions: readonly string[];
    access_methods: readonly string[];
  }>(sql`
    select (select pg_catalog.json_agg(nspname) from pg_catalog.pg_namespace) as schemas,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname)), '[]')
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S') as sequences,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('schema', n.nspname, 'name', c.collname)), '[]')
        from pg_catalog.pg_collation c join pg_catalog.pg_namespace n on n.oid = c.collnamespace
        where n.nspname <> 'pg_catalog') as collations,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', e.extname, 'schema', n.nspname)), '[]')
        from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace) as extensions,
      (select coalesce(pg_catalog.json_agg(name), '[]') from pg_catalog.pg_available_extensions) as available,
      (select coalesce(pg_catalog.to_json(enumvals), '[]') from pg_catalog.pg_settings
        where name = 'default_toast_compression') as compressions,
      (select coalesce(pg_catalog.json_agg(amname), '[]') from pg_catalog.pg_am where amtype = 't') as access_methods,
      ${presentFunctions(wanted.functions)} as functions`);
  const byName = <T extends TableName>(list: readonly T[]) => new Map(list.map((each) => [showTable(each), each]));
  const tables = await inspectTables(db, wanted.tables, { sizes: false });
  return {
    version: db.version,
    schemas: new Set(facts.schemas),
    tables: byName(tables),
    bounds: await readBounds(db, tables),
    types: byName(await findTypes(db, wanted.types)),
    sequences: new Set(facts.sequences.map(showTable)),
    collations: new Set(facts.collations.map(showTable)),
    inTheWay: await findInTheWay(db, wanted.tables),
    extensions: new Map(facts.extensions.map((each) => [each.name, each.schema])),
    availableExtensions: new Set(facts.available),
    functions: new Set(facts.functions),
    compressions: new Set(facts.compressions),
    accessMethods: new Set(facts.access_methods),
  };
}

async function readBounds(db: Connection, tables: readonly Table[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const partitioned = tables.filter(({ partitioning }) => partitioning !== null);
  if (partitioned.length === 0) return new Map();
  const rows = await db.query<{ parent: number; bounds: readonly string[] }>(sql`
    select i.inhparent as parent, pg_catalog.json_agg(pg_catalog.pg_get_expr(c.relpartbound, c.oid)) as bounds
    from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = any(${partitioned.map(({ oid }) => oid)}::oid[]) and c.relispartition group by 1`);
  const byParent = new Map(rows.map(({ parent, bounds }) => [parent, bounds]));
  return new Map(partitioned.map((table) => [showTable(table), byParent.get(table.oid) ?? []]));
}

// Printing a function as regprocedure looks up all of its name, which for all functions of a server is a fifth of a second: only
// those are printed whose names stand in the texts that we look for.
function presentFunctions(signatures: readonly string[]): Sql {
  const wanted = sql`${[...signatures]}::text[]`;
  return sql`(with named as materialized (select p.oid from pg_catalog.pg_proc p where exists (
        select from pg_catalog.unnest(${wanted}) w(signature)
        where pg_catalog.strpos(pg_catalog.replace(w.signature, '""', '"') collate "C", p.proname::text collate "C") > 0))
      select coalesce(pg_catalog.json_agg(f.signature), '[]')
      from (select named.oid::pg_catalog.regprocedure::text as signature from named) f where f.signature = any(${wanted}))`;
}

// A table's row type takes its name among types as well; the array type of another makes room.
async function findInTheWay(db: Connection, tables: readonly TableName[]): Promise<ReadonlyMap<string, string>> {
  const schemas = tables.map((table) => table.schema);
  const names = tables.map((table) => table.name);
  const rows = await db.query<TableName & { what: string }>(sql`
    with wanted as (select n.oid as namespace, w.schema, w.name
      from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${names}::text[])) w(schema, name)
      join pg_catalog.pg_namespace n on n.nspname = w.schema)
    select w.schema, w.name, case c.relkind when 'S' then 'a sequence' when 'c' then 'a type' else 'an index' end as what
    from wanted w join pg_catalog.pg_class c on c.relnamespace = w.namespace and c.relname = w.name
    where c.relkind not in ('r', 'p', 'f', 'v', 'm')
    union all
    select w.schema, w.name, 'a type' from wanted w
    join pg_catalog.pg_type t on t.typnamespace = w.namespace and t.typname = w.name
    where t.typrelid = 0 and not ${trusted(isArray('t'))}`);
  return new Map(rows.map((row) => [showTable(row), row.what]));
}

const tablesPerTrip = 500;

/**
 * Whether each of these tables, as far as they are there, has a page: one that has none is new, or was emptied or made anew. Of a
 * partitioned one, whether a leaf has. What does not lie in pages as tables usually do counts as having some.
 * @returns by showTable
 */
export async function readPages(
  db: Connection,
  tables: readonly TableName[],
): Promise<ReadonlyMap<string, 'none' | 'some'>> {
  const [schemas, names] = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)];
  const rows = await db.query<TableName & { readonly some: boolean }>(sql`
    select n.nspname::text as schema, c.relname::text as name, c.relkind not in ('r', 'p') or exists (
        select from (select c.oid as oid where c.relkind = 'r' union all
          select t.relid::oid from pg_catalog.pg_partition_tree(c.oid) t where c.relkind = 'p' and t.isleaf) leaf
        join pg_catalog.pg_class l on l.oid = leaf.oid left join pg_catalog.pg_am a on a.oid = l.relam
        where a.amname is distinct from 'heap' or pg_catalog.pg_relation_size(l.oid) > 0) as "some"
    from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${names}::text[])) as wanted(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name and c.relkind in ('r', 'p', 'f', 'v', 'm')`);
  return new Map(rows.map((row) => [showTable(row), row.some ? 'some' : 'none']));
}

/** Of those of these tables that are partitioned, the leaves that have a page. */
export async function readFilledLeaves(db: Connection, tables: readonly TableName[]): Promise<readonly TableName[]> {
  const [schemas, names] = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)];
  return await db.query<TableName>(sql`
    select ln.nspname::text as schema, l.relname::text as name
    from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${names}::text[])) as wanted(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name and c.relkind = 'p'
    cross join lateral pg_catalog.pg_partition_tree(c.oid) t
    join pg_catalog.pg_class l on l.oid = t.relid and l.relkind = 'r' join pg_catalog.pg_namespace ln on ln.oid = l.relnamespace
    where t.isleaf and pg_catalog.pg_relation_size(l.oid) > 0`);
}

/** Those of the tables that hold a row. Tables that were just made cost next to nothing. */
export async function tablesWithRows(db: Connection, tables: readonly TableName[]): Promise<readonly TableName[]> {
  const pages = await readPages(db, tables);
  const written = tables.filter((table) => pages.get(showTable(table)) !== 'none');
  if (written.length === 0) return [];
  const found: TableName[] = [];
  const partitioned = new Set(
    (
      await db.query<TableName>(sql`select n.nspname::text as schema, c.relname::text as name
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'p'`)
    ).map(showTable),
  );
  for (let at = 0; at < written.length; at += tablesPerTrip) {
    const some = written.slice(at, at + tablesPerTrip);
    // Rows of tables that inherit are not its own.
    const each = some.map((table, i) => {
      const only = partitioned.has(showTable(table)) ? sql`` : sql`only `;
      return sql`select ${literal(i)} as place where exists (select from ${only}${ident(table.schema, table.name)})`;
    });
    const rows = await db.query<{ place: number }>(join(each, ' union all '));
    for (const { place } of rows) {
      const table = some[place];
      if (table !== undefined) found.push(table);
    }
  }
  return found;
}
