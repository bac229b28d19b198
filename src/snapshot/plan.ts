// How tables are cut into parts that workers copy side by side, and which parts travel together. Pure.
import type { MirroredTable } from '../mirror/work.ts';
import { ident, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import { type Column, type Leaf, showTable, type Table, type TableName } from '../pg/table.ts';

/** Rows of a table: all, those in a range of pages, or those in a range of the key. `end` null: open. */
export type PartRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'pages'; readonly first: number; readonly end: number | null }
  | {
      readonly kind: 'key';
      readonly key: Column;
      readonly order: KeyOrder | null;
      readonly from: string | null;
      readonly end: string | null;
    }
  | { readonly kind: 'null'; readonly key: Column };

/** Operators by which a type orders, as SQL writes them, where they are not found without a search_path. */
export interface KeyOrder {
  readonly less: string;
  readonly atLeast: string;
}

/** How a relation is cut by a key. */
export interface KeyCut {
  readonly key: Column;
  readonly order: KeyOrder | null;
  /** The values that begin parts 2, 3, … in order, as text. */
  readonly bounds: readonly string[];
}

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
  /** Of a view or a foreign table nobody knows how large it is. */
  readonly unsized?: true;
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
  /** By showTable: the table itself with `key:` in the mapping, else leaves that ctid does not cut; see keyWishes. */
  readonly cuts: ReadonlyMap<string, KeyCut>;
}

/** A relation that is to be cut by a key: the server has to say where. */
export interface KeyWish {
  readonly from: TableName;
  readonly only: boolean;
  readonly key: Column;
  /** Into how many; null: by how many rows there are, which must be counted. */
  readonly parts: number | null;
}

/**
 * What of a table is cut by a key: all of it if the mapping names one; else by its primary key what ctid does not cut and is
 * worth it.
 */
export function keyWishes(mapping: MirroredTable, source: Table, options: CutOptions): readonly KeyWish[] {
  const { leaves } = source;
  const column = (name: string | undefined) => source.columns.find((each) => each.name === name);
  const key = mapping.key === null ? undefined : column(mapping.key);
  if (key !== undefined) {
    const from = { schema: source.schema, name: source.name };
    const unknown = leaves.some(isUnsized);
    const rows = leaves.reduce((sum, leaf) => sum + leaf.rows, 0);
    const parts = options.snapshot_num_partitions_override || (unknown ? null : partsOf(rows, options));
    return [{ from, only: source.kind === 'r', key, parts }];
  }
  const primary = column(source.primaryKey?.columns[0]);
  if (mapping.key !== null || primary === undefined) return [];
  return wantedParts(leaves, options).flatMap((parts, i): KeyWish[] => {
    const leaf = leaves[i];
    if (leaf === undefined || leaf.kind !== 'r' || leaf.byPages || parts < 2) return [];
    return [{ from: { schema: leaf.schema, name: leaf.name }, only: true, key: primary, parts }];
  });
}

/** Parts that a number of rows makes. */
export function partsOf(rows: number, options: CutOptions): number {
  return Math.max(1, Math.ceil(rows / options.snapshot_num_rows_per_partition));
}

// An override is for the whole table: each leaf is one part at least, and those with more rows share what is left.
function wantedParts(leaves: readonly Leaf[], options: CutOptions): readonly number[] {
  const override = options.snapshot_num_partitions_override || undefined;
  if (override === undefined) return leaves.map((leaf) => partsOf(leaf.rows, options));
  const rows = leaves.reduce((sum, leaf) => sum + leaf.rows, 0);
  const more = Math.max(0, override - leaves.length);
  const shares = leaves.map((leaf) => (rows === 0 ? more / leaves.length : (more * leaf.rows) / rows));
  const parts = shares.map((share) => 1 + Math.floor(share));
  const left = Math.max(0, override - parts.reduce((sum, each) => sum + each, 0));
  const byRest = shares.map((share, i) => ({ i, rest: share % 1 })).toSorted((a, b) => b.rest - a.rest);
  for (const { i } of byRest.slice(0, left)) parts[i] = (parts[i] ?? 0) + 1;
  return parts;
}

/** Cuts a table. Every row is in exactly one part: ranges touch, the first and the last are open. */
export function cutTable(table: TableToCut, options: CutOptions): readonly Part[] {
  const { source, mapping } = table;
  const own = mapping.key === null ? undefined : table.cuts.get(showTable(source));
  const cuts = own === undefined ? cutLeaves(table, options) : cutRoot(table, own);
  // A partitioned table without partitions has one part as well, so that it is finished like any other.
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
  // A key that the table lacks cuts nothing.
  const keyless = table.mapping.key !== null;
  const wanted = keyless ? leaves.map(() => 1) : wantedParts(leaves, options);
  return leaves.flatMap((leaf, i) => {
    const cut = table.cuts.get(showTable(leaf));
    const from = { schema: leaf.schema, name: leaf.name };
    const unsized = isUnsized(leaf) ? ({ unsized: true } as const) : {};
    const read = { from, only: leaf.kind === 'r', into: table.into(leaf), ...unsized };
    return share(read, leaf, cut === undefined ? cutPages(leaf, wanted[i] ?? 1) : keyRanges(cut, false));
  });
}

function cutRoot({ mapping, source }: TableToCut, cut: KeyCut): readonly Cut[] {
  const rows = source.leaves.reduce((sum, leaf) => sum + leaf.rows, 0);
  const bytes = source.leaves.reduce((sum, leaf) => sum + leaf.bytes, 0);
  const read = {
    from: { schema: source.schema, name: source.name },
    only: source.kind === 'r',
    into: mapping.to,
    ...(source.leaves.some(isUnsized) ? ({ unsized: true } as const) : {}),
  };
  // What is NOT NULL elsewhere is not kept so by anybody here.
  const foreign = source.leaves.some((leaf) => leaf.kind !== 'r');
  return share(read, { rows, bytes }, keyRanges(cut, foreign));
}

function isUnsized(leaf: Leaf): boolean {
  return leaf.kind === 'v' || leaf.kind === 'f';
}

function share(
  read: Pick<Cut, 'from' | 'only' | 'into' | 'unsized'>,
  all: { readonly rows: number; readonly bytes: number },
  ranges: readonly PartRange[],
): readonly Cut[] {
  const full = ranges.filter((range) => range.kind !== 'null').length;
  return ranges.map((range) => ({
    ...read,
    range,
    rows: range.kind === 'null' ? 0 : Math.round(all.rows / full),
    bytes: range.kind === 'null' ? 0 : Math.round(all.bytes / full),
  }));
}

// Pages were counted outside of the snapshot: the last range is open, as the table may have been shorter then.
function cutPages(leaf: Leaf, wanted: number): readonly PartRange[] {
  const count = leaf.byPages ? Math.max(1, Math.min(wanted, leaf.pages)) : 1;
  if (count === 1) return [{ kind: 'whole' }];
  const bounds = Array.from({ length: count }, (_, i) => Math.floor((leaf.pages * i) / count));
  return bounds.map((first, i) => ({ kind: 'pages', first, end: bounds[i + 1] ?? null }));
}

function keyRanges({ key, order, bounds }: KeyCut, mayBeNull: boolean): readonly PartRange[] {
  const ranges: PartRange[] = [null, ...bounds].map((from, i) => {
    return { kind: 'key', key, order, from, end: bounds[i] ?? null };
  });
  return key.notNull && !mayBeNull ? ranges : [...ranges, { kind: 'null', key }];
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
      const { less, atLeast } = range.order ?? { less: '<', atLeast: '>=' };
      const from = range.from === null ? null : sql`${column} ${trusted(atLeast)} ${value(range.from)}`;
      const end = range.end === null ? null : sql`${column} ${trusted(less)} ${value(range.end)}`;
      if (from !== null && end !== null) return sql`${from} and ${end}`;
      return from ?? end ?? sql`not (${keyIsNull(range.key)})`;
    }
    case 'null':
      return keyIsNull(range.key);
    default:
      return range satisfies never;
  }
}

/** Whether the key of a row is NULL. A planner (17) believes in a NOT NULL of a foreign table, which nobody keeps, and would not look. */
export function keyIsNull(key: Pick<Column, 'name' | 'notNull'>): Sql {
  return key.notNull ? sql`pg_catalog.num_nulls(${ident(key.name)}) > 0` : sql`${ident(key.name)} is null`;
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
/** Small tables travel together up to that. */
export const groupBytes = 4 * 1024 * 1024;
const groupTables = 25;

/**
 * Puts small tables together and orders jobs, largest first, so that no worker idles while another has ten parts left. What may be
 * of any size goes by itself and before all.
 */
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
    if (parts.length === 1 && only !== undefined && !only.unsized && only.bytes <= smallBytes) {
      group.push(only);
      bytes += only.bytes;
      if (group.length === groupTables || bytes >= groupBytes) close();
    } else jobs.push(...parts.map((part) => ({ parts: [part], bytes: part.unsized ? Infinity : part.bytes })));
  }
  close();
  return jobs.toSorted((a, b) => (a.bytes === b.bytes ? 0 : b.bytes - a.bytes));
}

/** How many parts each table has, by showTable of the source's name. */
export function countParts(tables: readonly (readonly Part[])[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { mapping } of tables.flat()) {
    const table = showTable(mapping.from);
    counts.set(table, (counts.get(table) ?? 0) + 1);
  }
  return counts;
}
