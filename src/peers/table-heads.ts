// The mirrored tables by what tells them apart and how large they are, so that all of ten thousand can be held at once.
import { Shared } from '../base/shared.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import type { TableHead, TreeOf } from './ddl-tree.ts';
import type { IndexHead } from './objects-input.ts';

/** A table as small as can be, with the pages of its own rows. */
export interface SizedHead extends TableHead {
  readonly pages: number;
}

interface HeadRow {
  readonly root: number;
  readonly depth: number;
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: TableHead['kind'];
  readonly bound: string | null;
  readonly parents: readonly TableName[] | null;
  readonly pages: string | null;
}

const tablesPerTrip = 1_000;

/** Reads them with all partitions below. @returns in the order of `tables`; one that does not exist is left out */
export async function readHeads(
  source: Connection,
  tables: readonly MirroredTable[],
): Promise<readonly TreeOf<SizedHead>[]> {
  const trees: TreeOf<SizedHead>[] = [];
  for (let at = 0; at < tables.length; at += tablesPerTrip) {
    const some = tables.slice(at, at + tablesPerTrip);
    const shared = new Shared();
    const found = new Map<number, SizedHead[]>();
    for (const row of await readRows(
      source,
      some.map(({ from }) => from),
    )) {
      // The mapping has its name already.
      const one = head(row, row.depth === 0 ? (some[row.root - 1]?.from ?? row) : row, shared);
      const list = found.get(row.root);
      if (list === undefined) found.set(row.root, [one]);
      else list.push(one);
    }
    for (const [place, mapping] of some.entries()) {
      const [root, ...partitions] = found.get(place + 1) ?? [];
      if (root !== undefined) trees.push({ mapping, root, partitions: partitions.length === 0 ? none : partitions });
    }
  }
  return trees;
}

const none: readonly never[] = [];

// All of one shape, and without what it takes to put one together.
function head({ oid, kind, bound, parents, pages }: HeadRow, name: TableName, shared: Shared): SizedHead {
  const [parent] = parents ?? [];
  return {
    oid,
    schema: shared.text(name.schema),
    name: name.name,
    kind,
    partitionOf: bound === null || parent === undefined ? null : { parent, bound },
    inherits: bound === null && parents !== null ? parents : none,
    pages: Number(pages ?? 0),
  };
}

// Partitions are read below what is mirrored, the nearest first, as by pg_partition_tree.
async function readRows(source: Connection, names: readonly TableName[]): Promise<readonly HeadRow[]> {
  const schemas = names.map(({ schema }) => schema);
  const tables = names.map(({ name }) => name);
  return await source.query<HeadRow>(sql`
    with recursive mirrored (root, depth, oid) as (
      select wanted.place, 0, c.oid
      from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${tables}::text[]))
        with ordinality as wanted(schema, name, place)
      join pg_catalog.pg_namespace n on n.nspname = wanted.schema
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
      where c.relkind in ('r', 'p', 'f', 'v', 'm')
      union all
      select m.root, m.depth + 1, i.inhrelid
      from mirrored m join pg_catalog.pg_class above on above.oid = m.oid and above.relkind = 'p'
      join pg_catalog.pg_inherits i on i.inhparent = m.oid)
    select m.root::int as root, m.depth, c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
      case when c.relispartition then pg_catalog.pg_get_expr(c.relpartbound, c.oid) end as bound,
      (select pg_catalog.json_agg(pg_catalog.json_build_object('schema', pn.nspname, 'name', p.relname) order by i.inhseqno)
        from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent
        join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace where i.inhrelid = c.oid) as parents,
      case when c.relkind in ('r', 'm')
        then pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int end as pages
    from mirrored m join pg_catalog.pg_class c on c.oid = m.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    order by m.root, m.depth, n.nspname, c.relname`);
}

/** Pages of a table with all partitions. */
export function pagesOf({ root, partitions }: TreeOf<SizedHead>): number {
  return partitions.reduce((sum, { pages }) => sum + pages, root.pages);
}

/**
 * Puts tables that inherit from each other, directly or not, into one list each, in the order in which the first of them comes.
 * Pure.
 */
export function families<T extends TableHead>(trees: readonly TreeOf<T>[]): readonly (readonly TreeOf<T>[])[] {
  const byName = new Map<string, number>();
  const inherits = trees.some(({ root }) => root.inherits.length > 0);
  if (!inherits) return trees.map((tree) => [tree]);
  for (const [place, { root }] of trees.entries()) byName.set(showTable(root), place);
  const first = trees.map((_, place) => place);
  const top = (place: number): number => {
    const above = first[place] ?? place;
    return above === place ? place : top(above);
  };
  for (const [place, { root }] of trees.entries()) {
    for (const parent of root.inherits) {
      const above = byName.get(showTable(parent));
      if (above === undefined) continue;
      const [a, b] = [top(place), top(above)];
      first[Math.max(a, b)] = Math.min(a, b);
    }
  }
  const lists = new Map<number, TreeOf<T>[]>();
  for (const [place, tree] of trees.entries()) {
    const list = lists.get(top(place));
    if (list === undefined) lists.set(top(place), [tree]);
    else list.push(tree);
  }
  return [...lists.values()];
}

/** The indexes of some tables, in the order in which they are read when they are looked at closely. */
export async function readIndexHeads(source: Connection, tables: readonly number[]): Promise<readonly IndexHead[]> {
  return await source.query<IndexHead>(sql`
    select x.indexrelid::oid as oid, x.indrelid::oid as table, c.relname::text as name
    from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where x.indrelid = any(${[...tables]}::oid[]) order by n.nspname, c.relname`);
}

/** Those of the tables (by OID) that have more statistics than their columns': of expressions of indexes, or extended ones. */
export async function readWithOwnStatistics(
  source: Connection,
  tables: readonly number[],
): Promise<ReadonlySet<number>> {
  if (tables.length === 0) return new Set();
  const rows = await source.query<{ oid: number }>(sql`
    select x.indrelid::oid as oid from pg_catalog.pg_index x
    where x.indrelid = any(${[...tables]}::oid[]) and x.indexprs is not null
    union select s.stxrelid::oid from pg_catalog.pg_statistic_ext s where s.stxrelid = any(${[...tables]}::oid[])`);
  return new Set(rows.map(({ oid }) => oid));
}
