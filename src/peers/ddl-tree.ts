// What a schema plan works on: the mirrored tables with their partitions, the target's facts, and where each thing goes. Pure.
import type { ObjectLine, ObjectName } from '../mirror/object.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { Sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import { type AddedColumn, partitionTarget } from './ddl.ts';
import type { SchemaNeeds } from './inspect-schema.ts';
import type { TargetFacts } from './inspect-target.ts';
import type { Sequence } from './sequences.ts';

/** What tells a table from others and says what it stands in: enough to know what goes along with ten thousand of them. */
export type TableHead = Pick<Table, 'oid' | 'schema' | 'name' | 'kind' | 'partitionOf' | 'inherits'>;

/** A mirrored table with its partitions, parents before children. */
export interface TreeOf<T extends TableHead> {
  readonly mapping: MirroredTable;
  readonly root: T;
  readonly partitions: readonly T[];
}

export type TableTree = TreeOf<Table>;

/** A table of a tree and its name on the target. */
export interface MemberOf<T extends TableHead> {
  readonly tree: TreeOf<T>;
  readonly source: T;
  readonly to: TableName;
}

export type Member = MemberOf<Table>;

/** What happens together or not at all. */
export interface SchemaStep {
  /** For messages: `table shop.orders`. */
  readonly what: string;
  /** `pg_class:16421` of a table of the source: what the order goes by. */
  readonly id?: string;
  /** What it makes, by the names in the ledger; none for what only adds to something that stands. */
  readonly objects?: readonly ObjectName[];
  readonly statements: readonly Sql[];
  /** Ids of steps that come before it. */
  readonly after?: readonly string[];
  /** What the target cannot hold of what is made. */
  readonly leftOut?: readonly ObjectLine[];
}

/** The name in the ledger of a table of the source. */
export function tableObject({ schema, name }: TableName): ObjectName {
  return { kind: 'table', schema, name, table: '' };
}

/** The name in the ledger of a sequence of the source; one behind an identity column has none, it is the column's. */
export function sequenceObject({ schema, name }: TableName): ObjectName {
  return { kind: 'sequence', schema, name, table: '' };
}

export interface PlanInput {
  readonly trees: readonly TableTree[];
  readonly needs: SchemaNeeds;
  readonly sequences: readonly Sequence[];
  readonly target: TargetFacts;
  readonly added: readonly AddedColumn[];
  /** Ids (`pg_type:16421`) and ledger keys of what others see to, before the tables are made. */
  readonly provided: ReadonlySet<string>;
  /** Whether anything may be made. */
  readonly create: boolean;
  /** Tables that are there and do not fit are dropped and made anew. */
  readonly replace: boolean;
  /** Whether changes will follow the copy. */
  readonly follows: boolean;
}

/** The input with what is looked up by name, so that 10,000 tables take one pass. */
export interface PlanContext extends PlanInput {
  /** By showTable of the source's name. */
  readonly members: ReadonlyMap<string, Member>;
  /** Direct partitions, by showTable of the parent's name on the source. */
  readonly children: ReadonlyMap<string, readonly Member[]>;
  /** Sequences that columns of a table use, by showTable of the table's name on the source. */
  readonly sequencesOf: ReadonlyMap<string, readonly Sequence[]>;
}

export function planContext(input: PlanInput): PlanContext {
  const members = input.trees.flatMap(membersOf);
  const children = new Map<string, Member[]>();
  for (const member of members) {
    const parent = member.source.partitionOf?.parent;
    if (parent !== undefined) push(children, showTable(parent), member);
  }
  const sequencesOf = new Map<string, Sequence[]>();
  for (const sequence of input.sequences) {
    for (const table of new Set(sequence.uses.map((use) => showTable(use.table)))) push(sequencesOf, table, sequence);
  }
  return { ...input, members: new Map(members.map((each) => [showTable(each.source), each])), children, sequencesOf };
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** The root and its partitions, parents before children. */
export function membersOf<T extends TableHead>(tree: TreeOf<T>): readonly MemberOf<T>[] {
  return [
    { tree, source: tree.root, to: tree.mapping.to },
    ...tree.partitions.map((source) => ({ tree, source, to: partitionTarget(tree.mapping, source) })),
  ];
}

/** The same trees, each after those that it inherits from, as far as these are among them; else in the order given. */
export function parentsFirst(trees: readonly TableTree[]): readonly TableTree[] {
  const byName = new Map(trees.map((tree) => [showTable(tree.root), tree]));
  const ordered = new Set<TableTree>();
  const visit = (tree: TableTree) => {
    for (const parent of tree.root.inherits) {
      const above = byName.get(showTable(parent));
      if (above !== undefined) visit(above);
    }
    ordered.add(tree);
  };
  for (const tree of trees) visit(tree);
  return [...ordered];
}

/** Every name that the mirror's tables and their partitions have on the target. */
export function targetNames(trees: readonly TreeOf<TableHead>[]): readonly TableName[] {
  return trees.flatMap((tree) => membersOf(tree).map((member) => member.to));
}

/** A sequence keeps its name and follows the schema of the first table that uses it, if it shares that table's. */
export function sequenceTarget(context: PlanContext, sequence: Sequence): TableName {
  for (const use of sequence.uses) {
    const member = context.members.get(showTable(use.table));
    if (member !== undefined && use.table.schema === sequence.schema) {
      return { schema: member.to.schema, name: sequence.name };
    }
  }
  return { schema: sequence.schema, name: sequence.name };
}
