// What tables there are and how they are made, read from pg_catalog only, in few round trips however many there are.
import { Shared } from '../base/shared.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import type { Column, ColumnType, Leaf, PrimaryKey, Table, TableName } from '../pg/table.ts';
import { isBinarySafe, isBuiltin, readTypes, type TypeFacts } from './inspect-types.ts';

// Rows of columns of that many tables are held at a time.
const tablesPerTrip = 500;

/**
 * The tables that a person would move: plain tables and roots of partitioned ones, ordered by name. Not partitions, temporary
 * tables, tables of extensions, tables of the system or of our own bookkeeping; unlogged ones only when asked for, as no
 * change of theirs is in the log.
 * @param schema only tables of that schema
 * @param include.without also partitions of tables that are in none of these schemas: without them, they are tables of their own
 */
export async function listTables(
  db: Connection,
  schema?: string,
  include: { readonly unlogged?: boolean; readonly without?: readonly string[] } = {},
): Promise<readonly TableName[]> {
  const alone =
    include.without === undefined
      ? sql`not c.relispartition`
      : sql`(not c.relispartition or not exists (select from pg_catalog.pg_partition_ancestors(c.oid) above
          join pg_catalog.pg_class a on a.oid = above.relid join pg_catalog.pg_namespace an on an.oid = a.relnamespace
          where a.oid <> c.oid and an.nspname = any(${[...include.without]}::name[])))`;
  return await db.query<TableName>(sql`
    select n.nspname::text as schema, c.relname::text as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and ${alone}
      and (c.relpersistence = 'p' or c.relpersistence = 'u' and ${include.unlogged ?? false}::boolean)
      and n.nspname not in ('pg_catalog', 'information_schema', '_sluice') and n.nspname not like 'pg\\_%'
      and (${schema ?? null}::text is null or n.nspname = ${schema ?? null}::text)
      and not exists (select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
    order by n.nspname, c.relname`);
}

/** Those of the names that no relation has. */
export async function findMissingTables(db: Connection, names: readonly TableName[]): Promise<readonly TableName[]> {
  const [schemas, relations] = [names.map(({ schema }) => schema), names.map(({ name }) => name)];
  return await db.query<TableName>(sql`
    select wanted.schema, wanted.name
    from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${relations}::text[])) as wanted(schema, name)
    where not exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = wanted.schema and c.relname = wanted.name and c.relkind in ('r', 'p', 'v', 'm', 'f'))`);
}

/**
 * Reads the tables of these names, partitions too; any kind of relation that has rows. The search_path of the connection must
 * be empty (Connection.open pins it), so that types and expressions come qualified.
 * @returns in the order of `names`; one that does not exist is left out
 */
export async function inspectTables(
  db: Connection,
  names: readonly TableName[],
  options: InspectOptions = {},
): Promise<readonly Table[]> {
  const tables: Table[] = [];
  for (let at = 0; at < names.length; at += tablesPerTrip) {
    tables.push(...(await inspectSome(db, names.slice(at, at + tablesPerTrip), options)));
  }
  return tables;
}

export interface InspectOptions {
  /** False: leaves come without pages, rows and bytes. To look at a size waits for whoever alters the table, and locks it. */
  readonly sizes?: boolean;
}

/** Every partition below these tables, intermediate ones too, parents before their children. */
export async function inspectPartitions(db: Connection, roots: readonly Table[]): Promise<readonly Table[]> {
  const oids = roots.filter((root) => root.kind === 'p').map((root) => root.oid);
  if (oids.length === 0) return [];
  const names = await db.query<TableName>(sql`
    select n.nspname::text as schema, c.relname::text as name
    from pg_catalog.unnest(${oids}::oid[]) with ordinality as root(oid, place)
    cross join lateral pg_catalog.pg_partition_tree(root.oid) tree
    join pg_catalog.pg_class c on c.oid = tree.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where tree.level > 0 order by root.place, tree.level, n.nspname, c.relname`);
  return await inspectTables(db, names);
}

interface TableRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: Table['kind'];
  readonly persistence: Table['persistence'];
  readonly replica_identity: Table['replicaIdentity'];
  readonly partition_key: string | null;
  readonly bound: string | null;
  readonly parents: readonly TableName[] | null;
  readonly options: readonly string[] | null;
  readonly toast_options: readonly string[] | null;
  readonly of_type: Table['ofType'];
  readonly access_method: string | null;
  readonly tablespace: string | null;
  readonly has_columns: boolean;
  readonly primary_key: (Pick<PrimaryKey, 'constraint' | 'definition' | 'immediate'> & IndexKey) | null;
  readonly identity_index: IndexKey | null;
}

/** attnum of each column of an index, of which the first `keys` are its key. */
interface IndexKey {
  readonly key: readonly number[];
  readonly keys: number;
}

async function inspectSome(
  db: Connection,
  names: readonly TableName[],
  { sizes = true }: InspectOptions,
): Promise<readonly Table[]> {
  const tables = await readTables(db, names);
  const oids = tables.map((table) => table.oid);
  const shared = new Shared();
  const [columns, leaves] = [await readColumns(db, oids, shared), await readLeaves(db, oids, sizes)];
  // One that had columns, and has none by now, is gone.
  const there = tables.filter(({ oid, has_columns }) => !has_columns || columns.has(oid));
  return there.map((row) => {
    const own = columns.get(row.oid) ?? [];
    const primaryKey = primaryKeyOf(row, own, shared);
    const parents = row.parents ?? [];
    const [parent] = parents;
    return {
      oid: row.oid,
      schema: shared.text(row.schema),
      name: row.name,
      kind: row.kind,
      persistence: row.persistence,
      columns: own,
      primaryKey,
      replicaIdentity: row.replica_identity,
      identityColumns: shared.of(identityColumns(row, own, primaryKey)),
      partitioning: row.partition_key === null ? null : { key: row.partition_key },
      partitionOf: row.bound === null || parent === undefined ? null : { parent, bound: row.bound },
      inherits: shared.of(row.bound === null ? parents : []),
      options: shared.of(optionsOf(row)),
      ofType: row.of_type,
      accessMethod: row.access_method,
      tablespace: row.tablespace,
      leaves: (leaves.get(row.oid) ?? []).map((leaf) => withEstimate(leaf, own, row)),
    };
  });
}

function primaryKeyOf({ primary_key }: TableRow, columns: readonly Column[], shared: Shared): PrimaryKey | null {
  if (primary_key === null) return null;
  const { constraint, immediate, definition, keys } = primary_key;
  const names = namesOf(primary_key, columns);
  return {
    constraint,
    columns: shared.of(names.slice(0, keys)),
    include: shared.of(names.slice(keys)),
    immediate,
    definition: shared.text(definition),
  };
}

function namesOf({ key }: IndexKey, columns: readonly Column[]): readonly string[] {
  return key.flatMap((attnum) => columns.find((column) => column.attnum === attnum)?.name ?? []);
}

function identityColumns(
  { replica_identity, identity_index }: TableRow,
  columns: readonly Column[],
  primaryKey: PrimaryKey | null,
): readonly string[] | null {
  if (replica_identity === 'n') return null;
  if (replica_identity === 'i') {
    return identity_index === null ? null : namesOf(identity_index, columns).slice(0, identity_index.keys);
  }
  if (replica_identity === 'f') return primaryKey?.columns ?? null;
  return primaryKey?.immediate ? primaryKey.columns : null;
}

function optionsOf({ options, toast_options }: TableRow): readonly string[] {
  return [...(options ?? []), ...(toast_options ?? []).map((option) => `toast.${option}`)];
}

async function readTables(db: Connection, names: readonly TableName[]): Promise<readonly TableRow[]> {
  const schemas = names.map((name) => name.schema);
  const tables = names.map((name) => name.name);
  return await db.query<TableRow>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
      c.relpersistence::text as persistence, c.relreplident::text as replica_identity,
      case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end as partition_key,
      case when c.relispartition then pg_catalog.pg_get_expr(c.relpartbound, c.oid) end as bound,
      (select pg_catalog.json_agg(pg_catalog.json_build_object('schema', pn.nspname, 'name', p.relname) order by i.inhseqno)
        from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent
        join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
        where i.inhrelid = c.oid) as parents,
      -- A view's own (security_barrier, check_option) are none that a table can have.
      case when c.relkind <> 'v' then pg_catalog.to_json(c.reloptions) end as options,
      (select pg_catalog.to_json(toast.reloptions) from pg_catalog.pg_class toast where toast.oid = c.reltoastrelid) as toast_options,
      (select pg_catalog.json_build_object('oid', t.oid::int8, 'schema', tn.nspname, 'name', t.typname)
        from pg_catalog.pg_type t join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace where t.oid = c.reloftype) as of_type,
      (select m.amname::text from pg_catalog.pg_am m where m.oid = c.relam and m.amname <> 'heap') as access_method,
      (select s.spcname::text from pg_catalog.pg_tablespace s where s.oid = c.reltablespace) as tablespace,
      exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as has_columns,
      (select pg_catalog.json_build_object('constraint', k.conname, 'definition', pg_catalog.pg_get_constraintdef(k.oid),
          'immediate', x.indimmediate, 'key', x.indkey::int2[], 'keys', x.indnkeyatts)
        from pg_catalog.pg_index x join pg_catalog.pg_constraint k
          on k.conrelid = c.oid and k.conindid = x.indexrelid and k.contype = 'p'
        where x.indrelid = c.oid and x.indisprimary) as primary_key,
      (select pg_catalog.json_build_object('key', x.indkey::int2[], 'keys', x.indnkeyatts)
        from pg_catalog.pg_index x where x.indrelid = c.oid and x.indisreplident) as identity_index
    from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${tables}::text[]))
      with ordinality as wanted(schema, name, place)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
    where c.relkind in ('r', 'p', 'f', 'v', 'm')
    order by wanted.place`);
}

interface ColumnRow {
  readonly table: number;
  readonly name: string;
  readonly attnum: number;
  readonly type: number;
  readonly type_text: string;
  readonly not_null: boolean;
  readonly not_null_name: string | null;
  readonly default: string | null;
  readonly identity: Column['identity'];
  readonly generated: Column['generated'];
  readonly collation: TableName | null;
  readonly storage: Column['storage'];
  readonly compression: Column['compression'];
  readonly statistics: number;
  readonly options: readonly string[];
  readonly local: boolean;
  readonly not_null_local: boolean | null;
  readonly not_null_no_inherit: boolean;
}

async function readColumns(
  db: Connection,
  oids: readonly number[],
  shared: Shared,
): Promise<ReadonlyMap<number, readonly Column[]>> {
  // A default names no column; told so, the server spares itself a cubic look at the names of 1,600 columns.
  // A NOT NULL that is not validated (18) promises nothing about the rows that are there.
  const rows = await db.query<ColumnRow>(sql`
    select a.attrelid::oid as table, a.attname::text as name, a.attnum, a.atttypid::oid as type,
      pg_catalog.format_type(a.atttypid, a.atttypmod) as type_text,
      a.attnotnull and coalesce(k.convalidated, true) as not_null, k.conname::text as not_null_name,
      pg_catalog.pg_get_expr(d.adbin, case when a.attgenerated = '' then 0::oid else d.adrelid end) as default,
      a.attidentity::text as identity, a.attgenerated::text as generated,
      case when a.attcollation <> t.typcollation and a.attcollation <> 0 then (
        select pg_catalog.json_build_object('schema', cn.nspname, 'name', co.collname) from pg_catalog.pg_collation co
        join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation) end as collation,
      case when a.attstorage <> t.typstorage then a.attstorage::text else '' end as storage,
      a.attcompression::text as compression,
      coalesce(a.attstattarget, -1)::int as statistics,
      coalesce(pg_catalog.to_json(a.attoptions), '[]') as options, a.attislocal as local,
      k.conislocal as not_null_local, coalesce(k.connoinherit, false) as not_null_no_inherit
    from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_catalog.pg_constraint k on k.conrelid = a.attrelid and k.contype = 'n' and k.conkey[1] = a.attnum
    where a.attrelid = any(${[...oids]}::oid[]) and a.attnum > 0 and not a.attisdropped
    order by a.attrelid, a.attnum`);
  const types = await readTypes(db, [...new Set(rows.map((row) => row.type))]);
  const columns = new Map<number, Column[]>();
  for (const row of rows) {
    const type = () => shared.make(`type ${row.type} ${row.type_text}`, () => columnType(row, types));
    const column = shared.make(JSON.stringify({ ...row, table: null }), () => toColumn(row, type()));
    const list = columns.get(row.table);
    if (list === undefined) columns.set(row.table, [column]);
    else list.push(column);
  }
  return columns;
}

function columnType(row: ColumnRow, types: ReadonlyMap<number, TypeFacts>): ColumnType {
  const facts = types.get(row.type);
  const element = types.get(facts?.element ?? 0);
  return {
    oid: row.type,
    text: row.type_text,
    kind: facts?.kind ?? 'b',
    builtin: isBuiltin(row.type),
    element: element === undefined ? null : { oid: element.oid, kind: element.kind, builtin: isBuiltin(element.oid) },
    binarySafe: isBinarySafe(row.type, types),
  };
}

function toColumn(row: ColumnRow, type: ColumnType): Column {
  return {
    name: row.name,
    attnum: row.attnum,
    type,
    notNull: row.not_null,
    notNullName: row.not_null_name,
    default: row.default,
    identity: row.identity,
    generated: row.generated,
    collation: row.collation,
    storage: row.storage,
    compression: row.compression,
    statisticsTarget: row.statistics,
    options: row.options,
    local: row.local,
    notNullLocal: row.not_null_local,
    notNullNoInherit: row.not_null_no_inherit,
  };
}

interface LeafRow extends TableName {
  readonly root: number;
  readonly oid: number;
  readonly kind: Leaf['kind'];
  readonly by_pages: boolean | null;
  readonly pages: string;
  readonly bytes: string;
  /** relpages and reltuples as of the last VACUUM or ANALYZE; reltuples is -1 if there was none. */
  readonly known_pages: number;
  readonly known_rows: string;
}

async function readLeaves(
  db: Connection,
  oids: readonly number[],
  sizes: boolean,
): Promise<ReadonlyMap<number, readonly LeafRow[]>> {
  // Sizes are null for a table that was dropped a moment ago.
  const [pages, bytes] = sizes
    ? [
        sql`pg_catalog.pg_relation_size(l.oid) / pg_catalog.current_setting('block_size')::int`,
        sql`pg_catalog.pg_table_size(l.oid)`,
      ]
    : [sql`0`, sql`0`];
  const rows = await db.query<LeafRow>(sql`
    with recursive tree(root, oid, kind) as (
      select r.oid, r.oid, r.relkind from pg_catalog.pg_class r where r.oid = any(${[...oids]}::oid[])
      union all
      select tree.root, i.inhrelid, p.relkind from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid
      join pg_catalog.pg_class p on p.oid = i.inhrelid where tree.kind = 'p')
    select c.root::oid as root, l.oid, n.nspname::text as schema, l.relname::text as name,
      case when l.relkind in ('f', 'v', 'm') then l.relkind::text else 'r' end as kind,
      l.relkind in ('r', 'm') and a.amname = 'heap' as by_pages,
      coalesce(${pages}, 0) as pages, coalesce(${bytes}, 0) as bytes,
      l.relpages as known_pages, l.reltuples as known_rows
    from tree c join pg_catalog.pg_class l on l.oid = c.oid join pg_catalog.pg_namespace n on n.oid = l.relnamespace
    left join pg_catalog.pg_am a on a.oid = l.relam
    where l.relkind <> 'p'
    order by c.root, n.nspname, l.relname`);
  const leaves = new Map<number, LeafRow[]>();
  for (const row of rows) {
    const list = leaves.get(row.root);
    if (list === undefined) leaves.set(row.root, [row]);
    else list.push(row);
  }
  return leaves;
}

function withEstimate(row: LeafRow, columns: readonly Column[], root: TableName & { readonly oid: number }): Leaf {
  const pages = Number(row.pages);
  const { oid, kind } = row;
  // A plain table is its own leaf.
  const { schema, name } = row.oid === root.oid ? root : row;
  const byPages = row.by_pages === true;
  return { oid, schema, name, kind, byPages, pages, rows: estimateRows(row, pages, columns), bytes: Number(row.bytes) };
}

// As the planner does: the density that was last seen, over the pages that are there now; never seen: a guess by width.
function estimateRows(row: LeafRow, pages: number, columns: readonly Column[]): number {
  const knownRows = Number(row.known_rows);
  if (row.kind === 'f') return Math.max(0, knownRows);
  if (knownRows >= 0 && row.known_pages > 0) return Math.round((knownRows / row.known_pages) * pages);
  const width = columns.reduce(
    (sum, column) => sum + (column.type.element === null && column.type.builtin ? 8 : 24),
    0,
  );
  return Math.round(pages * (8_168 / (28 + width)));
}
