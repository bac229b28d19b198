// The partitions of a table of the source as one snapshot has them, in the words in which a change of them is told.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';
import type { ToldPartition, ToldTree } from './ddl-message.ts';
import type { ShapeLeaf } from './shape.ts';

interface SeenPartition extends ToldPartition {
  /** Names its file; null: it has no rows of its own. */
  readonly node: string | null;
}

export interface SeenTree extends ToldTree {
  readonly partitions: readonly SeenPartition[];
}

/**
 * Reads catalogs only, so that it is of the transaction's snapshot: the server's own functions tell of what is there now. One that is
 * about to be detached counts as gone. Null: the table is not partitioned.
 */
export async function readTree(source: Connection, root: number): Promise<SeenTree | null> {
  const { partitioned } = await source.one<{ partitioned: boolean }>(
    sql`select exists (select from pg_catalog.pg_class c where c.oid = ${root}::oid and c.relkind = 'p') as partitioned`,
  );
  if (!partitioned) return null;
  const standing = source.version < 140_000 ? sql`` : sql` and not i.inhdetachpending`;
  const partitions = await source.query<SeenPartition>(sql`
    with recursive tree(oid, parent, level) as (
      select i.inhrelid, i.inhparent, 1 from pg_catalog.pg_inherits i where i.inhparent = ${root}::oid${standing}
      union all select i.inhrelid, i.inhparent, tree.level + 1
      from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid${standing})
    select c.oid, tree.parent, n.nspname::text as schema, c.relname::text as name,
      pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bound,
      case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end as key,
      case when c.relkind <> 'p' then c.relfilenode::text end as node
    from tree join pg_catalog.pg_class c on c.oid = tree.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relispartition order by tree.level, c.oid`);
  return { root, partitions };
}

/** Those that hold rows. Pure. */
export function leavesOf({ partitions }: SeenTree): readonly ShapeLeaf[] {
  return partitions.flatMap(({ oid, schema, name, node }) => (node === null ? [] : [{ oid, schema, name, node }]));
}

/** What a relation of that OID is called in the transaction's snapshot; null: there is none. */
export async function nameThen(source: Connection, oid: number): Promise<TableName | null> {
  const [row] = await source.query<TableName>(sql`select n.nspname::text as schema, c.relname::text as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = ${oid}::oid`);
  return row ?? null;
}
