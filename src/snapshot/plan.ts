// How tables are cut into parts that workers copy side by side, and which parts travel together. Pure.
import type { MirroredTable } from '../mirror/work.ts';
import { ident, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import { type Column, type Leaf, showTable, type Table, type TableName } from '../pg/table.ts';

/** Rows of a table: all, those in a range of pages, or those in a range of the key. `end` null: open. */
export type PartRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'pages'; readonly first: number; readonly end: number | null }
  | { readonly kind: 'key'; readonly key: Column; readonly from: string | null; readonly end: string | null }
  | { readonly kind: 'null'; readonly key: Column };

export interface Part {
  readonly mapping: MirroredTable;
  /** From 0, within the mirrored table. */
  readonly number: number;
  /** What is read: a leaf, or the root of a table that is cut by its key. */
  readonly from: TableName;
  /** Whether `from` alone is read, not what inherits from it. */
  readonly only: boolean;
  /** What is written: the leaf's counterpart, or the mirrored table. */
  readonly into: TableName;
  readonly range: PartRange;
  /** Estimates. */
  readonly rows: number;
  readonly bytes: number;
}

export interface CutOptions {
  readonly snapshot_num_rows_per_partition: number;
  readonly snapshot_num_partitions_override?: number | undefined;
}

/** One mirrored table to cut. */
export interface TableToCut {
  readonly mapping: MirroredTable;
  readonly source: Table;
  /** Where a leaf's rows go. */
  readonly into: (leaf: Leaf) => TableName;
  /** With `key:` in the mapping: the values that begin parts 2, 3, … in order, as text; see keyParts. */
  readonly bounds: readonly string[] | null;
}

/** How many parts a table is cut into by its key, before it is known which values it has. */
export function keyParts(source: Table, options: CutOptions): number {
  const rows = source.leaves.reduce((sum, leaf) => sum + leaf.rows, 0);
  return (
    options.snapshot_num_partitions_override || Math.max(1, Math.ceil(rows / options.snapshot_num_rows_per_partition))
  );
}

/** Cuts a table. Every row is in exactly one part: ranges touch, the first and the last are open. */
export function cutTable(table: TableToCut, options: CutOptions): readonly Part[] {
  const cuts = table.bounds === null ? cutLeaves(table, options) : cutByKey(table, table.bounds);
  // A partitioned table without partitions has one part as well, so that it is finished like any other.
  const { source, mapping } = table;
  const nothing: Cut = {
    from: { schema: source.schema, name: source.name },
    only: false,
    into: mapping.to,
    range: { kind: 'whole' },
    rows: 0,
    bytes: 0,
  };
  return (cuts.length === 0 ? [nothing] : cuts).map((cut, number) => ({ mapping, number, ...cut }));
}

type Cut = Omit<Part, 'mapping' | 'number'>;

function cutLeaves(table: TableToCut, options: CutOptions): readonly Cut[] {
  const { leaves } = table.source;
  const rows = leaves.reduce((sum, leaf) => sum + leaf.rows, 0);
  const override = options.snapshot_num_partitions_override || undefined;
  return leaves.flatMap((leaf) => {
    // An override is for the whole table; its leaves share it by their rows.
    const share =
      override === undefined
        ? leaf.rows / options.snapshot_num_rows_per_partition
        : (override * leaf.rows) / (rows || 1);
    const wanted = leaves.length === 1 && override !== undefined ? override : Math.ceil(share);
    return cutPages(leaf, wanted).map((range, _, all) => ({
      from: { schema: leaf.schema, name: leaf.name },
      only: leaf.kind === 'r',
      into: table.into(leaf),
      range,
      rows: Math.round(leaf.rows / all.length),
      bytes: Math.round(leaf.bytes / all.length),
    }));
  });
}

// Pages were counted outside of the snapshot: the last range is open, as the table may have been shorter then.
function cutPages(leaf: Leaf, wanted: number): readonly PartRange[] {
  const count = leaf.kind === 'f' ? 1 : Math.max(1, Math.min(wanted, leaf.pages));
  if (count === 1) return [{ kind: 'whole' }];
  const bounds = Array.from({ length: count }, (_, i) => Math.floor((leaf.pages * i) / count));
  return bounds.map((first, i) => ({ kind: 'pages', first, end: bounds[i + 1] ?? null }));
}

function cutByKey(table: TableToCut, bounds: readonly string[]): readonly Cut[] {
  const { mapping, source } = table;
  const key = source.columns.find((column) => column.name === mapping.key);
  if (key === undefined) return cutByKeyless(table);
  const ranges: PartRange[] = [null, ...bounds].map((from, i) => ({ kind: 'key', key, from, end: bounds[i] ?? null }));
  if (!key.notNull) ranges.push({ kind: 'null', key });
  const rows = source.leaves.reduce((sum, leaf) => sum + leaf.rows, 0);
  const bytes = source.leaves.reduce((sum, leaf) => sum + leaf.bytes, 0);
  return ranges.map((range) => ({
    from: { schema: source.schema, name: source.name },
    only: source.kind === 'r',
    into: mapping.to,
    range,
    rows: range.kind === 'null' ? 0 : Math.round(rows / (bounds.length + 1)),
    bytes: range.kind === 'null' ? 0 : Math.round(bytes / (bounds.length + 1)),
  }));
}

function cutByKeyless(table: TableToCut): readonly Cut[] {
  return cutLeaves(table, { snapshot_num_rows_per_partition: Number.MAX_SAFE_INTEGER });
}

/** The condition of a range, or null for all rows. */
export function rangeCondition(range: PartRange): Sql | null {
  switch (range.kind) {
    case 'whole':
      return null;
    case 'pages': {
      const tid = (page: number) => sql`${literal(`(${page},0)`)}::tid`;
      const from = sql`ctid >= ${tid(range.first)}`;
      return range.end === null ? from : sql`${from} and ctid < ${tid(range.end)}`;
    }
    case 'key': {
      const value = (text: string) => sql`${literal(text)}::${trusted(range.key.type.text)}`;
      const column = ident(range.key.name);
      const from = range.from === null ? null : sql`${column} >= ${value(range.from)}`;
      const end = range.end === null ? null : sql`${column} < ${value(range.end)}`;
      if (from !== null && end !== null) return sql`${from} and ${end}`;
      return from ?? end ?? sql`${column} is not null`;
    }
    case 'null':
      return sql`${ident(range.key.name)} is null`;
    default:
      return range satisfies never;
  }
}

/** A part in words: `whole`, `pages 0 to 1233`, `shop.orders_2024 pages 500 on`, `id from '17' to '93'`. */
export function showPart(part: Pick<Part, 'mapping' | 'from' | 'range'>): string {
  const { range, mapping, from } = part;
  const leaf = showTable(from) === showTable(mapping.from) ? '' : showTable(from);
  const words = (() => {
    switch (range.kind) {
      case 'whole':
        return leaf === '' ? 'whole' : '';
      case 'pages':
        return range.end === null ? `pages ${range.first} on` : `pages ${range.first} to ${range.end - 1}`;
      case 'key': {
        const start = range.from === null ? '' : ` from ${short(range.from)}`;
        return `${range.key.name}${start}${range.end === null ? '' : ` below ${short(range.end)}`}`;
      }
      case 'null':
        return `${range.key.name} is null`;
      default:
        return range satisfies never;
    }
  })();
  return [leaf, words].filter((word) => word !== '').join(' ');
}

function short(value: string): string {
  return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
}

/** What a worker takes at a time: a part of a large table, or several small tables in one transaction. */
export interface Job {
  readonly parts: readonly Part[];
  readonly bytes: number;
}

const smallBytes = 256 * 1024;
const groupBytes = 4 * 1024 * 1024;
const groupTables = 25;

/** Puts small tables together and orders jobs, largest first, so that no worker idles while another has ten parts left. */
export function makeJobs(tables: readonly (readonly Part[])[]): readonly Job[] {
  const jobs: Job[] = [];
  let group: Part[] = [];
  let bytes = 0;
  const close = () => {
    if (group.length > 0) jobs.push({ parts: group, bytes });
    group = [];
    bytes = 0;
  };
  for (const parts of tables) {
    const [only] = parts;
    if (parts.length === 1 && only !== undefined && only.bytes <= smallBytes) {
      group.push(only);
      bytes += only.bytes;
      if (group.length === groupTables || bytes >= groupBytes) close();
    } else jobs.push(...parts.map((part) => ({ parts: [part], bytes: part.bytes })));
  }
  close();
  return jobs.toSorted((a, b) => b.bytes - a.bytes);
}
