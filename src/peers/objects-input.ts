// What a plan of objects works on: both sides' facts, looked up by what the plan asks for, and where each table and index goes. Pure.
import { showTable, type Table, type TableName } from '../pg/table.ts';
import type { Asked } from './asked.ts';
import { type Member, type MemberOf, membersOf, type TableHead, type TableTree } from './ddl-tree.ts';
import type { ConstraintFacts, IndexFacts, StatisticsFacts, TableObjects } from './objects-read.ts';
import type { Sequence } from './sequences.ts';

/** A table of the target that no mirror of ours writes, but that ours refer to. */
export interface OutsideTable extends TableName {
  readonly columns: readonly string[];
}

export interface ObjectInput {
  readonly trees: readonly TableTree[];
  readonly source: TableObjects;
  /** Of the target's tables in `there`. */
  readonly target: TableObjects;
  /** The mirrored tables and partitions that are on the target. */
  readonly there: readonly Table[];
  /** Tables of the target, of the names that foreign keys and inheritance of ours speak of. */
  readonly outside: readonly OutsideTable[];
  readonly extensions: readonly NeededExtension[];
  /** That columns of the tables own or call, where they are to be compared. */
  readonly sequences?: { readonly source: readonly Sequence[]; readonly target: readonly Sequence[] };
  /** Tables of the mirror that are not among these trees and that their foreign keys refer to, by OID on the source. */
  readonly beyond?: ReadonlyMap<number, Beyond>;
  /** By OID, indexes that have another name on the target than their own in their table's schema; unless given, it is found. */
  readonly moved?: ReadonlyMap<number, TableName>;
  /** Whether changes are applied in sessions that foreign keys of the target see. */
  readonly actsWhileFollowing: boolean;
  readonly lateKeys?: LateKeys;
  /** Whether rows stay on the target, marked, when they are deleted on the source. */
  readonly keepsDeleted?: boolean;
  readonly asked?: Asked;
}

/**
 * Tables (OID on the source) whose primary key is made with their other indexes: its index first, beside their builds, or at once
 * where all of them together take no time.
 */
export type LateKeys = ReadonlyMap<number, 'index first' | 'at once'>;

/** A table of the mirror that is planned at another time. */
export interface Beyond {
  readonly to: TableName;
  readonly exclude: readonly string[];
  readonly primaryKey: readonly string[];
  /** What stands for it on the target; null: it is no table of its own there. */
  readonly there: Table['kind'] | null;
}

export interface NeededExtension {
  readonly name: string;
  readonly schema: string;
  readonly on: 'installed' | 'available' | 'missing';
}

/** A table of the mirror and its counterpart. */
export interface Place extends Member {
  readonly there: Table;
  readonly exclude: ReadonlySet<string>;
}

export interface ObjectContext extends ObjectInput {
  /** By OID of the source's table; none where the target has no such table (partitions that flow into a plain one). */
  readonly places: ReadonlyMap<number, Place>;
  /** Every table of the mirror, by OID on the source. */
  readonly members: ReadonlyMap<number, Member>;
  /** By OID of the source's index. */
  readonly names: ReadonlyMap<number, TableName>;
  readonly sourceIndexes: ReadonlyMap<number, IndexFacts>;
  readonly targetIndexes: ReadonlyMap<number, IndexFacts>;
  /** The source's indexes of partitions, by OID of the index that has taken them as its own. */
  readonly partIndexes: ReadonlyMap<number, readonly IndexFacts[]>;
  /** What stands on the target's tables, by OID of the table. */
  readonly standing: ReadonlyMap<number, Standing>;
  readonly outsideByName: ReadonlyMap<string, OutsideTable>;
}

export interface Standing {
  readonly indexes: IndexFacts[];
  readonly constraints: ConstraintFacts[];
  readonly statistics: StatisticsFacts[];
  /** By column; '' for the table's own. */
  readonly comments: Map<string, string>;
}

export function objectContext(input: ObjectInput): ObjectContext {
  const byName = new Map(input.there.map((table) => [showTable(table), table]));
  const all = input.trees.flatMap(membersOf);
  const places = new Map<number, Place>();
  for (const member of all) {
    const there = byName.get(showTable(member.to));
    const ours = member.source === member.tree.root || there?.partitionOf != null;
    if (there === undefined || !ours) continue;
    places.set(member.source.oid, { ...member, there, exclude: new Set(member.tree.mapping.exclude) });
  }
  return {
    ...input,
    places,
    members: new Map(all.map((member) => [member.source.oid, member])),
    names: input.moved === undefined ? indexNames(all, input.source.indexes) : namesBy(input.moved, all, input.source),
    sourceIndexes: new Map(input.source.indexes.map((index) => [index.oid, index])),
    targetIndexes: new Map(input.target.indexes.map((index) => [index.oid, index])),
    partIndexes: byParent(input.source.indexes),
    standing: standingOf(input.target),
    outsideByName: new Map(input.outside.map((table) => [showTable(table), table])),
  };
}

function byParent(indexes: readonly IndexFacts[]): ReadonlyMap<number, readonly IndexFacts[]> {
  const parts = new Map<number, IndexFacts[]>();
  for (const index of indexes) {
    if (index.parent === null) continue;
    const list = parts.get(index.parent);
    if (list === undefined) parts.set(index.parent, [index]);
    else list.push(index);
  }
  return parts;
}

function standingOf(target: TableObjects): ReadonlyMap<number, Standing> {
  const all = new Map<number, Standing>();
  const of = (table: number): Standing => {
    const found: Standing = all.get(table) ?? { indexes: [], constraints: [], statistics: [], comments: new Map() };
    all.set(table, found);
    return found;
  };
  for (const each of target.indexes) of(each.table).indexes.push(each);
  for (const each of target.constraints) of(each.table).constraints.push(each);
  for (const each of target.statistics) of(each.table).statistics.push(each);
  for (const each of target.comments) of(each.table).comments.set(each.column ?? '', each.comment);
  return all;
}

/**
 * An index lives in its table's schema and keeps its name; where two tables meet in one schema and so would two names, the later
 * one gets a number. The same input gives the same names, so that a second call finds what the first one made.
 */
export function indexNames(
  members: readonly MemberOf<TableHead>[],
  indexes: readonly IndexHead[],
): ReadonlyMap<number, TableName> {
  const byTable = new Map(members.map((member) => [member.source.oid, member]));
  const taken = new Set(members.map((member) => showTable(member.to)));
  const names = new Map<number, TableName>();
  // Tables that keep their name keep those of their indexes.
  const isRenamed = (index: IndexHead) => {
    const member = byTable.get(index.table);
    return member !== undefined && isMoved(member);
  };
  for (const index of [...indexes.filter((each) => !isRenamed(each)), ...indexes.filter(isRenamed)]) {
    const member = byTable.get(index.table);
    if (member === undefined) continue;
    let name = { schema: member.to.schema, name: index.name };
    for (let number = 1; taken.has(showTable(name)); number++) {
      name = { schema: member.to.schema, name: `${cutTo(index.name, 58)}_${number}` };
    }
    taken.add(showTable(name));
    names.set(index.oid, name);
  }
  return names;
}

export type IndexHead = Pick<IndexFacts, 'oid' | 'table' | 'name'>;

/** Whether a table has another name on the target. */
export function isMoved({ source, to }: MemberOf<TableHead>): boolean {
  return to.name !== source.name || to.schema !== source.schema;
}

/** The names of some tables' indexes, where those that are not as usual were found before. */
export function namesBy(
  moved: ReadonlyMap<number, TableName>,
  members: readonly MemberOf<TableHead>[],
  { indexes }: Pick<TableObjects, 'indexes'>,
): ReadonlyMap<number, TableName> {
  const byTable = new Map(members.map((member) => [member.source.oid, member]));
  return new Map(
    indexes.flatMap(({ oid, table, name }) => {
      const member = byTable.get(table);
      return member === undefined ? [] : [[oid, moved.get(oid) ?? { schema: member.to.schema, name }] as const];
    }),
  );
}

function cutTo(name: string, bytes: number): string {
  let cut = name;
  while (Buffer.byteLength(cut) > bytes) cut = [...cut].slice(0, -1).join('');
  return cut;
}

/** Why a table of the mirror has no place on the target. */
export function absence({ there }: Pick<ObjectContext, 'there'>, { to }: Member): string {
  const stands = there.some((each) => each.schema === to.schema && each.name === to.name);
  return `${showTable(to)} is ${stands ? 'no table of its own' : 'not'} on the target`;
}

/** Those of the columns (attnum) that are excluded, by name. */
export function excludedOf(place: Place, columns: readonly number[]): readonly string[] {
  if (place.exclude.size === 0) return [];
  return place.source.columns
    .filter(({ attnum, name }) => columns.includes(attnum) && place.exclude.has(name))
    .map(({ name }) => name);
}
