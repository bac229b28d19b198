// Views with their options and defaults, and materialised views with their rows, indexes and statistics.
import type { Connection } from '../../pg/client.ts';
import { ident, join, literal, type Sql, sql, trusted } from '../../pg/sql.ts';
import { showTable, type TableName } from '../../pg/table.ts';
import { storageOptions } from '../ddl.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';

interface ViewColumn {
  readonly name: string;
  readonly type: string;
  /** If it is not the type's own. */
  readonly collation: TableName | null;
  readonly default: string | null;
  /** Settings that a column of a materialised view may have. */
  readonly statistics: number;
  readonly storage: string | null;
}

interface ViewRow extends TableName {
  readonly oid: number;
  readonly kind: 'v' | 'm';
  readonly query: string;
  readonly options: readonly string[] | null;
  readonly method: string | null;
  readonly populated: boolean;
  readonly bytes: string;
  readonly columns: readonly ViewColumn[];
}

/** https://www.postgresql.org/docs/18/sql-createview.html */
export async function readViews(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('views')) return [];
  // pg_get_viewdef says what the rule says that makes the relation a view.
  const rows = await db.query<ViewRow>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
      pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';') as query, c.reloptions as options,
      (select a.amname::text from pg_catalog.pg_am a where a.oid = c.relam and a.amname <> 'heap') as method,
      c.relispopulated as populated, pg_catalog.pg_table_size(c.oid) as bytes,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname,
          'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
          'collation', case when a.attcollation <> t.typcollation then (
            select pg_catalog.json_build_object('schema', cn.nspname, 'name', co.collname) from pg_catalog.pg_collation co
            join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation) end,
          'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
          'statistics', coalesce(a.attstattarget, -1),
          'storage', case when a.attstorage <> t.typstorage then case a.attstorage when 'p' then 'plain' when 'e' then 'external'
            when 'm' then 'main' else 'extended' end end) order by a.attnum), '[]')
        from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
        left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('v', 'm') and ${isUsers(facts, 'pg_class', 'c', 'n')}
    order by n.nspname, c.relname`);
  return rows.flatMap((row) => (row.kind === 'v' ? viewEntities(row) : materializedEntities(row)));
}

function shapeOf({ columns }: ViewRow): string {
  return columns.map(({ name, type }) => `${ident(name).text} ${type}`).join(', ');
}

function viewEntities(row: ViewRow): readonly Entity[] {
  const { oid, schema, name, options } = row;
  const id = `pg_class:${oid}`;
  const view = ident(schema, name);
  const given = options === null || options.length === 0 ? sql`` : sql` with (${storageOptions(options)})`;
  const create = sql`create or replace view ${view}${given} as ${trusted(row.query)}`;
  const empty = emptyQuery(row);
  const invoker = options?.some((option) => /^security_invoker=(true|on|yes|1)$/.test(option)) ?? false;
  const defaults = row.columns.flatMap((column) => {
    if (column.default === null) return [];
    const set = sql`alter view ${view} alter column ${ident(column.name)} set default ${trusted(column.default)}`;
    const part = { id: `${id}:${column.name}`, kind: 'view default', schema, name: column.name } as const;
    return [entity({ ...part, table: showTable(row), stage: 'views', statements: [[set]], needs: [id], of: id })];
  });
  return [
    entity({
      ...{ id, kind: 'view', schema, name, stage: 'views', statements: [[create]], shape: shapeOf(row) },
      shell: sql`create view ${view} as ${empty}`,
      hollow: squeezed(empty.text) === squeezed(row.query),
      ...(invoker ? { since: [150_000, 'it is security_invoker'] as const } : {}),
    }),
    ...defaults,
  ];
}

/** A query of the same columns that needs nothing. */
function emptyQuery({ columns }: ViewRow): Sql {
  const list = columns.map(({ name, type, collation }) => {
    const collate = collation === null ? sql`` : sql` collate ${ident(collation.schema, collation.name)}`;
    return sql`null::${trusted(type)}${collate} as ${ident(name)}`;
  });
  return sql`select ${join(list)}`;
}

// The server quotes only where it must.
function squeezed(query: string): string {
  return query.replaceAll(/[\s"]/g, '').toLowerCase();
}

function materializedEntities(row: ViewRow): readonly Entity[] {
  const { oid, schema, name, options, method } = row;
  const id = `pg_class:${oid}`;
  const view = ident(schema, name);
  const using = method === null ? sql`` : sql` using ${ident(method)}`;
  const given = options === null || options.length === 0 ? sql`` : sql` with (${storageOptions(options)})`;
  const create = sql`create materialized view ${view}${using}${given} as ${trusted(row.query)} with no data`;
  const alter = (column: ViewColumn) => sql`alter materialized view ${view} alter column ${ident(column.name)}`;
  const settings = row.columns.flatMap((column) => [
    ...(column.statistics < 0 ? [] : [sql`${alter(column)} set statistics ${literal(column.statistics)}`]),
    ...(column.storage === null ? [] : [sql`${alter(column)} set storage ${trusted(column.storage)}`]),
  ]);
  const part = { schema, table: showTable(row), stage: 'filling', needs: [id], of: id } as const;
  const bytes = Number(row.bytes);
  // No autovacuum has seen the rows yet.
  const fill = [[sql`refresh materialized view ${view}`, sql`analyze ${view}`]];
  return [
    entity({
      ...{ id, kind: 'materialized view', schema, name, stage: 'views', statements: [[create, ...settings]] },
      shape: shapeOf(row),
    }),
    ...(row.populated
      ? [entity({ ...part, id: rowsOf(id), kind: 'materialized rows', name, statements: fill, bytes })]
      : []),
  ];
}

/** The id of the rows of a materialised view. */
export function rowsOf(id: string): string {
  return `rows:${id}`;
}

interface PartRow extends TableName {
  readonly oid: number;
  readonly view: number;
  readonly viewName: string;
  readonly populated: boolean;
  readonly definition: string;
  readonly clustered: boolean;
  readonly target: number;
  readonly bytes: string;
  readonly columns: readonly { readonly column: number; readonly target: number }[];
}

/** Indexes and statistics of materialised views; made when their rows are there. */
export async function readViewParts(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('views') && !facts.holds.has('pg_foreign_table')) return [];
  const indexes = await db.query<PartRow>(sql`
    select i.oid, n.nspname::text as schema, i.relname::text as name, c.oid as view, c.relname::text as "viewName",
      c.relispopulated as populated, pg_catalog.pg_get_indexdef(i.oid) as definition, x.indisclustered as clustered,
      -1 as target, pg_catalog.pg_relation_size(i.oid) as bytes,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('column', a.attnum, 'target', a.attstattarget)
          order by a.attnum), '[]')
        from pg_catalog.pg_attribute a where a.attrelid = i.oid and a.attstattarget >= 0) as columns
    from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
      join pg_catalog.pg_class c on c.oid = x.indrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'm' and ${isUsers(facts, 'pg_class', 'c', 'n')} order by n.nspname, c.relname, i.relname`);
  const statistics = await db.query<PartRow>(sql`
    select s.oid, sn.nspname::text as schema, s.stxname::text as name, c.oid as view, c.relname::text as "viewName",
      c.relispopulated as populated, pg_catalog.pg_get_statisticsobjdef(s.oid) as definition, false as clustered,
      coalesce(s.stxstattarget, -1) as target, 0 as bytes, '[]'::json as columns
    from pg_catalog.pg_statistic_ext s join pg_catalog.pg_namespace sn on sn.oid = s.stxnamespace
      join pg_catalog.pg_class c on c.oid = s.stxrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('m', 'f') and ${isUsers(facts, 'pg_class', 'c', 'n')} order by sn.nspname, s.stxname`);
  return [...indexes.map(indexEntity), ...statistics.map(statisticsEntity)];
}

function partOf(row: PartRow) {
  const { schema, name, view, populated } = row;
  const of = `pg_class:${view}`;
  const table = showTable({ schema, name: row.viewName });
  return { schema, name, table, stage: 'filling', needs: [of, ...(populated ? [rowsOf(of)] : [])], of } as const;
}

function indexEntity(row: PartRow): Entity {
  const { schema, name, columns } = row;
  const cluster = sql`alter materialized view ${ident(schema, row.viewName)} cluster on ${ident(name)}`;
  const targets = columns.map(
    ({ column, target }) =>
      sql`alter index ${ident(schema, name)} alter column ${literal(column)} set statistics ${literal(target)}`,
  );
  return entity({
    ...{ ...partOf(row), id: `pg_class:${row.oid}`, kind: 'index', bytes: Number(row.bytes) },
    statements: [[trusted(row.definition), ...targets, ...(row.clustered ? [cluster] : [])]],
  });
}

function statisticsEntity(row: PartRow): Entity {
  const set = sql`alter statistics ${ident(row.schema, row.name)} set statistics ${literal(row.target)}`;
  return entity({
    ...{ ...partOf(row), id: `pg_statistic_ext:${row.oid}`, kind: 'statistics' },
    statements: [[trusted(row.definition), ...(row.target < 0 ? [] : [set])]],
  });
}

/** Rules on views; what makes a relation a view is no object of its own. */
export async function readViewRules(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('rules')) return [];
  const rows = await db.query<TableName & { oid: number; view: number; viewName: string; definition: string }>(sql`
    select w.oid, n.nspname::text as schema, w.rulename::text as name, c.oid as view, c.relname::text as "viewName",
      pg_catalog.rtrim(pg_catalog.pg_get_ruledef(w.oid), ';') as definition
    from pg_catalog.pg_rewrite w join pg_catalog.pg_class c on c.oid = w.ev_class
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'v' and w.rulename <> '_RETURN' and ${isUsers(facts, 'pg_class', 'c', 'n')}
    order by n.nspname, c.relname, w.rulename`);
  return rows.map(({ oid, schema, name, view, viewName, definition }) => {
    const of = `pg_class:${view}`;
    const named = {
      id: `pg_rewrite:${oid}`,
      kind: 'rule',
      schema,
      name,
      table: showTable({ schema, name: viewName }),
    } as const;
    return entity({ ...named, stage: 'rules', statements: [[trusted(definition)]], shape: '', needs: [of], of });
  });
}
