// What will be made after the load, by name and size alone: enough to tell how long that will take, and cheap for ten thousand tables.
import type { LaterObject } from '../mirror/finish-tally.ts';
import type { ObjectKind } from '../mirror/object.ts';
import type { MirrorWork, ObjectScope } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import type { TableTree } from './ddl-tree.ts';

interface LaterRow {
  readonly kind: ObjectKind;
  readonly table: number;
  readonly schema: string;
  readonly name: string;
  readonly bytes: string;
  readonly table_bytes: string;
  readonly method: string | null;
}

/** Under the names that the ledger will give them. */
export async function readLaterObjects(
  source: Connection,
  trees: readonly TableTree[],
  {
    options: { schema },
    scope,
  }: Pick<MirrorWork, 'scope'> & { readonly options: Pick<MirrorWork['options'], 'schema'> },
): Promise<readonly LaterObject[]> {
  if (schema === 'none') return [];
  const filled = schema === 'full' && scope.kind !== 'tables' ? await readFilled(source, scope) : [];
  const tables = new Map(trees.flatMap((tree) => [tree.root, ...tree.partitions]).map((table) => [table.oid, table]));
  const kinds = schema === 'full' ? ['p', 'u', 'x', 'i', 'f', 'c'] : ['p'];
  const rows = await source.query<LaterRow>(sql`
    select case o.contype when 'p' then 'primary key' when 'u' then 'unique constraint' when 'x' then 'exclusion constraint'
        when 'i' then 'index' when 'f' then 'foreign key' else 'check constraint' end as kind,
      o.relid as table, o.schema, o.name, o.bytes, coalesce(pg_catalog.pg_relation_size(o.relid), 0) as table_bytes, o.method
    from (
      select coalesce(k.contype::text, 'i') as contype, x.indrelid::oid as relid, n.nspname::text as schema,
        i.relname::text as name, coalesce(pg_catalog.pg_relation_size(i.oid), 0) as bytes, am.amname::text as method
      from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
      join pg_catalog.pg_namespace n on n.oid = i.relnamespace join pg_catalog.pg_am am on am.oid = i.relam
      left join pg_catalog.pg_constraint k on k.conrelid = x.indrelid and k.conindid = i.oid and k.contype in ('p', 'u', 'x')
      where x.indrelid = any(${[...tables.keys()]}::oid[])
      union all
      select k.contype::text, k.conrelid::oid, n.nspname::text, k.conname::text, 0, null
      from pg_catalog.pg_constraint k join pg_catalog.pg_namespace n on n.oid = k.connamespace
      where k.conrelid = any(${[...tables.keys()]}::oid[]) and k.contype in ('f', 'c') and k.convalidated
    ) o where o.contype = any(${kinds}::text[])`);
  const ofTables = rows.flatMap((row) => {
    const table = tables.get(row.table);
    if (table === undefined) return [];
    const { kind, name, method } = row;
    const sizes = { bytes: Number(row.bytes), tableBytes: Number(row.table_bytes) };
    return [{ kind, schema: row.schema, name, table: showTable(table), method, ...sizes }];
  });
  return [...ofTables, ...filled];
}

// Materialised views in the schemas that are moved.
async function readFilled(source: Connection, scope: ObjectScope): Promise<readonly LaterObject[]> {
  const schemas = scope.kind === 'schemas' ? scope.pairs.map(({ from }) => from) : null;
  const rows = await source.query<{ schema: string; name: string; bytes: string }>(sql`
    select n.nspname::text as schema, c.relname::text as name, coalesce(pg_catalog.pg_table_size(c.oid), 0) as bytes
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'm' and c.relispopulated and (${schemas}::name[] is null or n.nspname = any(${schemas}::name[]))
      and not exists (select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')`);
  const kind = 'materialized rows';
  return rows.map(({ bytes, ...name }) => ({
    ...{ ...name, kind, table: '', method: null },
    ...{ bytes: Number(bytes), tableBytes: 0 },
  }));
}
