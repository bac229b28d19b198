// Partitions that a partitioned table of the target lacks, where it stands before the mirror and is used. Pure.
import { ident, quoteName, type Sql, sql, trusted } from '../pg/sql.ts';
import { type Column, sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { attachPartition } from './ddl.ts';
import { makePartition } from './ddl-attach.ts';
import { sameExpression } from './ddl-fit.ts';
import { type Member, type PlanContext, type SchemaStep, type TableTree, tableObject } from './ddl-tree.ts';
import { identities } from './found-settings.ts';

/** A partition of the source that stands below no table of the target, and where it belongs there. */
export interface Lacking {
  readonly member: Member;
  readonly parent: TableName;
  /** OID of its parent on the source. */
  readonly above: number;
}

/** One that is made with the columns that its parent has on the target. */
export interface Inheriting extends Lacking {
  readonly columns: readonly Column[];
}

/** Why a table of the target cannot be what it has the name of. */
export interface Misfit {
  readonly of: TableName;
  readonly words: string;
}

export interface LackingPartitions {
  /** The topmost of those that are to be attached. */
  readonly attach: readonly Lacking[];
  /** They, and all below those that do not stand: parents first. */
  readonly members: readonly Member[];
  /** Those whose columns come from a table of the target that has others than the source's; parents first. */
  readonly inherit: readonly Inheriting[];
  /** Why some that stand cannot be attached. */
  readonly problems: readonly Misfit[];
  /** Tables of the target that are divided otherwise than the source's, and may have no place for a row: in words. */
  readonly otherwise: readonly string[];
}

/**
 * A table of the target whose partitions are all some of the source's by their bounds lacks the rest. One that is divided in its
 * own way, or not at all, is used as it is.
 */
export function lackingPartitions(context: PlanContext, tree: TableTree): LackingPartitions {
  const search = new Search(context);
  search.visit({ tree, source: tree.root, to: tree.mapping.to });
  return search;
}

/** Goes down a tree and gathers. */
class Search implements LackingPartitions {
  readonly attach: Lacking[] = [];
  readonly members: Member[] = [];
  readonly inherit: Inheriting[] = [];
  readonly problems: Misfit[] = [];
  readonly otherwise: string[] = [];
  readonly #context: PlanContext;

  constructor(context: PlanContext) {
    this.#context = context;
  }

  /** One that stands on the target, if it does. */
  visit(member: Member): void {
    const there = standing(this.#context, member);
    if (there?.partitioning == null) return;
    const { source } = member;
    const bounds = this.#context.target.bounds.get(showTable(there)) ?? [];
    const children = childrenOf(this.#context, member);
    const lacking = children.filter((child) => !bounds.some((bound) => sameBound(bound, child)));
    for (const child of children) {
      if (!lacking.includes(child) && isPartitionOf(this.#context, child, there)) this.visit(child);
    }
    const alike =
      source.partitioning !== null &&
      sameExpression(there.partitioning.key, source.partitioning.key) &&
      bounds.every((bound) => children.some((child) => sameBound(bound, child)));
    if (alike) for (const each of lacking) this.#add(each, { columns: there, above: source.oid });
    else if ((lacking.length > 0 || source.partitioning === null) && !bounds.includes('DEFAULT')) {
      this.otherwise.push(`${showTable(there)} (${there.partitioning.key}, ${bounds.length} partitions)`);
    }
  }

  // `columns`: those that its parent has on the target, or is to get there.
  #add(member: Member, { columns, above }: { readonly columns: Table; readonly above: number }): void {
    const context = this.#context;
    const { schema, name } = columns;
    const lacking = { member, parent: { schema, name }, above };
    const own = standing(context, member);
    if (own !== undefined) {
      this.problems.push(...misfits(context, own, { member, parent: columns }));
      this.members.push(member);
      this.attach.push(lacking);
      this.visit(member);
    } else if (hasColumnsOf(context, columns, member)) {
      this.members.push(...withAllBelow(context, member));
      this.attach.push(lacking);
    } else {
      this.inherit.push({ ...lacking, columns: columns.columns });
      const below = { columns: { ...columns, ...member.to }, above: member.source.oid };
      for (const child of childrenOf(context, member)) this.#add(child, below);
    }
  }
}

/** What attaches one, after it was made. */
export function attachStep({ member: { source, to }, parent, above }: Lacking): readonly SchemaStep[] {
  if (source.partitionOf === null) return [];
  return [
    {
      what: `partition ${showTable(to)} of ${quoteName(parent.schema, parent.name)}`,
      id: `attach:${source.oid}`,
      after: [`pg_class:${source.oid}`, `pg_class:${above}`],
      statements: [attachPartition(parent, to, source.partitionOf)],
    },
  ];
}

/** What makes one with the columns of its parent on the target. */
export function inheritStep({ member, parent, above, columns }: Inheriting): readonly SchemaStep[] {
  const { source, to } = member;
  if (source.partitionOf === null) return [];
  const { bound } = source.partitionOf;
  return [
    {
      what: `partition ${showTable(to)} of ${quoteName(parent.schema, parent.name)}`,
      id: `pg_class:${source.oid}`,
      after: [`pg_class:${above}`],
      objects: [tableObject(source)],
      statements: [
        makePartition({ to, parent, bound, key: source.partitioning?.key ?? null }),
        ...sayings(member, columns),
      ],
    },
  ];
}

// What the source's says otherwise than its table, as far as nothing else is needed for it.
function sayings({ source, to, tree }: Member, columns: readonly Column[]): readonly Sql[] {
  const alter = sql`alter table ${ident(to.schema, to.name)}`;
  const identity = identities[source.replicaIdentity];
  const given = source.columns.flatMap(({ name, default: value, generated, identity: counts }) => {
    const same = columns.find((column) => column.name === name);
    const isLeft = generated !== '' || counts !== '' || tree.mapping.exclude.includes(name);
    if (value === null || same === undefined || isLeft || value.includes('::regclass')) return [];
    if (same.default !== null && sameExpression(same.default, value)) return [];
    return [sql`${alter} alter column ${ident(name)} set default ${trusted(value)}`];
  });
  return [
    ...given,
    ...(identity === undefined || source.replicaIdentity === 'd'
      ? []
      : [sql`${alter} replica identity ${trusted(identity)}`]),
  ];
}

/** What keeps rows from the target where nothing may be made there. */
export function lackingWords({ member: { source, to }, parent }: Lacking): string {
  return `${showTable(parent)} has no partition ${source.partitionOf?.bound} on the target, as is ${showTable(to)} on the source`;
}

function standing(context: PlanContext, { to }: Member): Table | undefined {
  return context.target.tables.get(showTable(to));
}

function isPartitionOf(context: PlanContext, member: Member, parent: TableName): boolean {
  const above = standing(context, member)?.partitionOf?.parent;
  return above !== undefined && sameTable(above, parent);
}

function sameBound(bound: string, { source }: Member): boolean {
  return source.partitionOf !== null && sameBounds(bound, source.partitionOf.bound);
}

/** Whether two servers say the same of a partition's bounds, for keys of whatever type. */
export function sameBounds(a: string, b: string): boolean {
  return sameExpression(inOneWay(a), inOneWay(b));
}

// The values of a list in one order; whole numbers as of `integer`: those of other types stand in quotes.
function inOneWay(bound: string): string {
  const text = bound.replaceAll(/'(-?\d+)'/g, '$1');
  const list = /^(FOR VALUES IN \()([\s\S]*)\)$/.exec(text);
  if (list === null) return text;
  const values = (list[2] ?? '').match(/(?:'(?:[^']|'')*'|[^',])+/g) ?? [];
  return `${list[1]}${values
    .map((value) => value.trim())
    .toSorted()
    .join(', ')})`;
}

function withAllBelow(context: PlanContext, member: Member): readonly Member[] {
  return [member, ...childrenOf(context, member).flatMap((child) => withAllBelow(context, child))];
}

function childrenOf({ children }: PlanContext, { source }: Member): readonly Member[] {
  return children.get(showTable(source)) ?? [];
}

// Whether a table that is made as the source's has just the columns of its table-to-be, to which ours are added before.
function hasColumnsOf(context: PlanContext, parent: Table, { source, tree }: Member): boolean {
  const ours = source.columns.filter(({ name }) => !tree.mapping.exclude.includes(name));
  const theirs = parent.columns.filter(({ name }) => !isAdded(context, name));
  return (
    theirs.length === ours.length &&
    ours.every(({ name, type }) => theirs.some((column) => column.name === name && column.type.text === type.text))
  );
}

function isAdded({ added }: PlanContext, name: string): boolean {
  return added.some((column) => column.name === name);
}

// Why a table that stands by itself cannot be attached.
function misfits(
  context: PlanContext,
  own: Table,
  { member: { source }, parent }: { readonly member: Member; readonly parent: Table },
): readonly Misfit[] {
  const whole = `${showTable(own)} cannot be a partition of ${showTable(parent)} on the target`;
  const why = (words: string): Misfit => ({ of: own, words: `${whole}: ${words}` });
  if (own.partitionOf !== null && sameTable(own.partitionOf.parent, parent)) {
    return [why(`it is ${own.partitionOf.bound} there and ${source.partitionOf?.bound} on the source`)];
  }
  const wanted = parent.columns.filter(({ name }) => !isAdded(context, name));
  const more = own.columns.filter(
    ({ name }) => !isAdded(context, name) && !parent.columns.some((column) => column.name === name),
  );
  return [
    ...wanted.flatMap((column) => {
      const same = own.columns.find(({ name }) => name === column.name);
      if (same === undefined) return [why(`it has no column ${column.name}`)];
      if (same.type.text !== column.type.text)
        return [why(`${column.name} is ${same.type.text}, not ${column.type.text}`)];
      return column.notNull && !same.notNull ? [why(`${column.name} may be NULL`)] : [];
    }),
    ...more.map(({ name }) => why(`it has a column ${name} of its own`)),
  ];
}
