// Which tables keep their finished parts when the snapshot is lost, and why the others are read whole. Pure.
import type { MirroredTable } from '../mirror/work.ts';
import { comparesAlike } from '../peers/changed-keys.ts';
import type { BegunTable, CopiedPart } from '../peers/copied-parts.ts';
import type { TableTree } from '../peers/ddl-tree.ts';
import type { Publication } from '../peers/publication.ts';
import { type Remembered, type Shape, shapeLeaves, shapeOf } from '../peers/shape.ts';
import type { Lsn } from '../pg/lsn.ts';
import { join, literal, type Sql, sql } from '../pg/sql.ts';
import { type Column, sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { type Part, type PartRange, rangeCondition } from './plan.ts';
import type { Storage } from './storage.ts';

/** What is remembered of how a table was cut. */
export interface CutPlan {
  /** What must be the same for the parts to fit together; see tablePrint. */
  readonly print: string;
  readonly parts: readonly Omit<Part, 'mapping'>[];
}

/** A table whose finished parts stay; without parts: all of it is there. */
export interface KeptTable {
  readonly tree: TableTree;
  readonly to: Table;
  readonly print: string;
  /** All of them, as they were cut first. */
  readonly parts: readonly Part[];
  /** Those that the target has, by number. */
  readonly done: ReadonlyMap<number, CopiedPart>;
  /** What they show. */
  readonly snapshotLsn: Lsn;
  /** The columns that identify a row. */
  readonly key: readonly Column[];
}

/**
 * Everything about a table that a row's place in one part, or its looks, depend on while the row itself does not change: where
 * it is stored, its columns, its key, what is mirrored of it. Two tries with the same print read from the same cut.
 */
export function tablePrint(tree: TableTree, to: Table, storage: Storage): string {
  const { mapping, root, partitions } = tree;
  const columns = root.columns.map(({ attnum, name, type, generated, default: value }) =>
    generated === '' ? [attnum, name, type.text] : [attnum, name, type.text, value],
  );
  const identity = [root, ...partitions].map((table) => [table.oid, table.replicaIdentity, table.identityColumns]);
  return JSON.stringify([
    shapeOf(mapping, root, to),
    columns,
    identity,
    storage.get(showTable(root)),
    mapping.to,
    mapping.exclude,
    mapping.where,
  ]);
}

/** The plan to remember; null for a table that was not cut into parts. */
export function cutPlan(print: () => string, parts: readonly Part[]): CutPlan | null {
  if (parts.length < 2) return null;
  return { print: print(), parts: parts.map(({ mapping: _, ...rest }) => rest) };
}

export interface KeptFacts {
  readonly tree: TableTree;
  /** The target's table; undefined if it is gone. */
  readonly to: Table | undefined;
  readonly begun: BegunTable;
  readonly storage: Storage;
  readonly publication: Publication | null;
  /** Where the slot's stream begins: what changed before is not told any more. */
  readonly checkpoint: Lsn;
}

/** The table as it can go on, or why it cannot. */
export function keptTable(facts: KeptFacts): KeptTable | string {
  const { tree, to, begun, checkpoint } = facts;
  const plan = begun.plan as CutPlan | null;
  const { snapshotLsn } = begun;
  if (plan === null || snapshotLsn === null) return 'it was not cut into parts';
  if (to === undefined) return 'it is gone from the target';
  const print = tablePrint(tree, to, facts.storage);
  if (plan.print !== print) return 'it was rewritten or its definition changed';
  if (snapshotLsn < checkpoint || begun.parts.some((part) => part.snapshotLsn !== snapshotLsn))
    return 'its parts are not as of one snapshot';
  const unpublished = whyUnpublished(tree, facts.publication);
  if (unpublished !== null) return unpublished;
  const key = keyOf(tree, to);
  if (key === null) return 'it has no key that finds its rows on both sides';
  const parts = restoreParts(tree, plan.parts);
  if (parts === null) return 'the column that it was cut by is gone';
  const done = new Map(begun.parts.map((part) => [part.part, part]));
  return { tree, to, print, parts, done, snapshotLsn, key };
}

export interface FinishedFacts {
  readonly tree: TableTree;
  readonly to: Table | undefined;
  readonly snapshotLsn: Lsn | null;
  /** What the two sides were when it was copied. */
  readonly remembered: Remembered | undefined;
  readonly publication: Publication | null;
  readonly checkpoint: Lsn;
}

/** A table whose copy is finished, as it can be brought forward; null: it stays as of its own snapshot. */
export function finishedTable(facts: FinishedFacts): KeptTable | null {
  const { tree, to, snapshotLsn, remembered } = facts;
  if (to === undefined || snapshotLsn === null || snapshotLsn < facts.checkpoint) return null;
  if (remembered?.shape == null || showShape(remembered.shape) !== showShape(shapeOf(tree.mapping, tree.root, to)))
    return null;
  const oids = (leaves: readonly { readonly oid: number }[]) =>
    leaves
      .map(({ oid }) => oid)
      .toSorted()
      .join();
  if (oids(remembered.leaves ?? []) !== oids(shapeLeaves(tree.root))) return null;
  const key = keyOf(tree, to);
  if (key === null || whyUnpublished(tree, facts.publication) !== null) return null;
  return { tree, to, print: '', parts: [], done: new Map(), snapshotLsn, key };
}

function showShape({ oid, targetOid, key, columns }: Shape): string {
  const list = columns.map((column) => [column.attnum, column.name, column.type, column.target, column.targetType]);
  return JSON.stringify([oid, targetOid, key, list]);
}

// Every change of a row must be in the stream, or the row would stay as it was.
function whyUnpublished({ root }: TableTree, publication: Publication | null): string | null {
  if (publication === null) return 'its publication is gone';
  const { insert, update, delete: deletes } = publication;
  if (!insert || !update || !deletes) return 'its publication does not publish every change';
  const has = (table: TableName) => publication.tables.some((each) => sameTable(each, table));
  if (has(root) || (root.kind === 'p' && root.leaves.length > 0 && root.leaves.every(has))) return null;
  return 'its publication does not have it';
}

// A partition may have another identity than its root; then the stream's old rows have other columns.
function keyOf({ mapping, root, partitions }: TableTree, to: Table): readonly Column[] | null {
  const names = root.identityColumns;
  if (names === null || names.length === 0) return null;
  const same = (other: readonly string[] | null) =>
    other !== null && other.length === names.length && names.every((name) => other.includes(name));
  if (partitions.some((table) => table.kind !== 'p' && (table.kind !== 'r' || !same(table.identityColumns))))
    return null;
  const key = names.flatMap((name) => {
    const column = root.columns.find((each) => each.name === name);
    const there = to.columns.find((each) => each.name === name);
    const usable =
      column !== undefined &&
      there !== undefined &&
      !mapping.exclude.includes(name) &&
      column.generated === '' &&
      there.generated === '' &&
      comparesAlike(column, there);
    return usable ? [column] : [];
  });
  return key.length === names.length ? key : null;
}

// The target's memory names a column; what is read of it is what the source says now.
function restoreParts(tree: TableTree, parts: CutPlan['parts']): readonly Part[] | null {
  const restored: Part[] = [];
  for (const part of parts) {
    const range = restoreRange(tree, part.range);
    if (range === null) return null;
    restored.push({ ...part, range, mapping: tree.mapping });
  }
  return restored;
}

function restoreRange({ root }: TableTree, range: PartRange): PartRange | null {
  if (!('key' in range)) return range;
  const key = root.columns.find((column) => column.name === range.key.name);
  if (key === undefined) return null;
  if (range.kind === 'null' || range.order === null) return { ...range, key };
  return isOperator(range.order.less) && isOperator(range.order.atLeast) ? { ...range, key } : null;
}

// It becomes part of a statement, and whoever may write to the target's memory may not write to the source.
const isOperator = (text: string) =>
  /^operator\((?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)\.[-+*/<>=~!@#%^&|`?]{1,63}\)$/.test(text);

/** The rows of the finished parts, as a condition of a query on the root; null: all rows. */
export function doneCondition({ tree, parts, done }: KeptTable): Sql | null {
  if (done.size === parts.length) return null;
  const { root } = tree;
  const conditions: Sql[] = [];
  let open: Part | undefined;
  const close = () => {
    if (open !== undefined) conditions.push(partCondition(root, open));
    open = undefined;
  };
  for (const part of parts.filter(({ number }) => done.has(number))) {
    const joined = open === undefined ? null : joinPages(open, part);
    if (joined === null) close();
    open = joined ?? part;
  }
  close();
  return conditions.length === 0 ? sql`false` : sql`(${join(conditions, ' or ')})`;
}

function partCondition(root: Table, part: Part): Sql {
  const range = rangeCondition(part.range) ?? sql`true`;
  if (sameTable(part.from, root)) return sql`(${range})`;
  const leaf = root.leaves.find((each) => sameTable(each, part.from));
  return sql`(tableoid = ${literal(leaf?.oid ?? 0)}::oid and ${range})`;
}

// Thousands of ranges of pages that touch are one.
function joinPages(a: Part, b: Part): Part | null {
  if (a.range.kind !== 'pages' || b.range.kind !== 'pages' || !sameTable(a.from, b.from)) return null;
  return a.range.end === b.range.first ? { ...a, range: { ...a.range, end: b.range.end } } : null;
}

/** Names for a line of the journal. */
export function showReasons(reasons: ReadonlyMap<string, string>, most?: number): string {
  return firstNames(
    [...reasons].map(([table, reason]) => `${table} (${reason})`),
    most,
  );
}

// A line of the journal names that many tables.
const namesShown = 10;

/** The first of them, and how many more there are. */
export function firstNames(names: readonly string[], most = namesShown): string {
  const more = names.length > most ? `, and ${names.length - most} more` : '';
  return `${names.slice(0, most).join(', ')}${more}`;
}

/** By showTable of the source's name. */
export type KeptTables = ReadonlyMap<string, KeptTable>;

/** The tables of a list that are not kept. */
export function notKept(tables: readonly MirroredTable[], kept: KeptTables): readonly MirroredTable[] {
  return tables.filter((table) => !kept.has(showTable(table.from)));
}
