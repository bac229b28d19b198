// From what the source has and what the target has: the steps that make the target ready, or every reason why it cannot be. Pure.
import { ident, quoteName, type Sql, sql } from '../pg/sql.ts';
import { sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { addColumn, attachPartition, createTable, type TableToMake } from './ddl.ts';
import { type Before, planBefore } from './ddl-before.ts';
import { missingLabels, tableDifferences, typeDifference } from './ddl-fit.ts';
import { handedDown, heirOf } from './ddl-heirs.ts';
import { attachStep, inheritStep, type LackingPartitions, lackingPartitions, lackingWords } from './ddl-lacking.ts';
import { leftOutOf } from './ddl-properties.ts';
import {
  type Member,
  membersOf,
  type PlanContext,
  type PlanInput,
  parentsFirst,
  planContext,
  type SchemaStep,
  sequenceObject,
  sequenceTarget,
  type TableTree,
  tableObject,
} from './ddl-tree.ts';
import { createSequence, ownSequence } from './ddl-types.ts';
import type { Sequence } from './sequences.ts';

export interface SchemaPlan {
  /** Tables that do not fit and may be replaced: drop them, look again, plan again. Then there are no steps yet. */
  readonly drop: readonly TableName[];
  /** In this order. */
  readonly steps: readonly SchemaStep[];
  /** What a person must see to; then no step may be taken. */
  readonly problems: readonly string[];
  /** Statements that mend some of the problems. */
  readonly remedies: readonly string[];
  /** Mirrored tables that stand and do not fit; their differences are among the problems. */
  readonly unfit: readonly TableName[];
  /** Mirrored tables that are missing and are not to be made. */
  readonly missing: readonly TableName[];
  /** Mirrored tables that were there and are used as they are. */
  readonly used: readonly TableName[];
  /** Tables that stand alone there and are to become partitions. */
  readonly joining: readonly TableName[];
  /** Partitioned tables that are used and may have no place for a row: in words. */
  readonly otherwise: readonly string[];
}

export function planSchema(input: PlanInput): SchemaPlan {
  const context = planContext(input);
  const remedies: string[] = [];
  const { refusals } = input.target;
  const ofTypes = input.needs.types.flatMap((type) => {
    const there = input.target.types.get(showTable(type));
    if (there === undefined) return refusals?.get(showTable(type))?.map(({ words }) => words) ?? [];
    remedies.push(...missingLabels(type, there));
    return typeDifference(type, there) ?? [];
  });
  const trees = input.trees.map((tree) => planTree(context, tree));
  const toFill = input.create ? trees.flatMap(({ lacking }) => lacking ?? []) : [];
  const problems = [...ofTypes, ...trees.flatMap((each) => each.problems)];
  const drop = trees.flatMap((each) => each.drop);
  const told = {
    ...{ drop, remedies },
    unfit: trees.flatMap((each) => each.unfit),
    missing: trees.flatMap((each) => each.missing),
    used: trees.flatMap((each) => each.used),
    otherwise: toFill.flatMap((each) => each.otherwise),
  };
  if (drop.length > 0) return { ...told, steps: [], problems, joining: [] };
  const additions = trees.flatMap((each) => each.additions);
  const filled = toFill.flatMap(({ attach, inherit }) => [
    ...inherit.flatMap(inheritStep),
    ...attach.flatMap(attachStep),
  ]);
  const toMake = input.trees.filter((_, place) => trees[place]?.make);
  const lacking = toFill.flatMap(({ members }) => members);
  if (toMake.length === 0 && lacking.length === 0) {
    return { ...told, steps: [...additions, ...filled], problems, joining: [] };
  }
  const whole = inOrder(context, toMake).map(membersOf);
  const made = new Set([...whole.flat(), ...lacking].map(({ source }) => source.oid));
  const before = planBefore(context, made);
  const tables = [...whole, lacking].flatMap((members) => planMembers(context, members, before));
  return {
    ...told,
    steps: [...before.steps, ...additions, ...tables.flatMap((each) => each.steps), ...filled],
    problems: [...problems, ...before.problems, ...tables.flatMap((each) => each.problems)],
    joining: tables.flatMap((each) => each.joining),
  };
}

/** The plan as it will be when what it would drop is gone: what it says then is what counts. Pure. */
export function planAfterDrops(input: PlanInput): SchemaPlan {
  const first = planSchema(input);
  if (first.drop.length === 0) return first;
  const { target } = input;
  const dropped = new Set(first.drop.map(showTable));
  const goes = (table: Table): boolean => {
    if (dropped.has(showTable(table))) return true;
    const above = table.partitionOf && target.tables.get(showTable(table.partitionOf.parent));
    return above !== undefined && above !== null && goes(above);
  };
  const tables = new Map([...target.tables].filter(([, table]) => !goes(table)));
  return planSchema({ ...input, target: { ...target, tables }, replace: false });
}

/** What becomes of a mirrored table on the target. */
interface TreePlan extends Pick<SchemaPlan, 'drop' | 'problems' | 'unfit' | 'missing' | 'used'> {
  /** It is to be made, with its partitions. */
  readonly make: boolean;
  /** What the mirror adds to what stands. */
  readonly additions: readonly SchemaStep[];
  /** Of one that stands and is used. */
  readonly lacking: LackingPartitions | null;
}

const nothing: Omit<TreePlan, 'problems'> = {
  ...{ drop: [], unfit: [], missing: [], used: [], additions: [] },
  ...{ make: false, lacking: null },
};

function planTree(context: PlanContext, tree: TableTree): TreePlan {
  const { create, replace, target } = context;
  const { to } = tree.mapping;
  const own = ownColumns(context, tree);
  const there = target.tables.get(showTable(to));
  if (there === undefined) {
    if (!create) return { ...nothing, problems: own, missing: [to] };
    const drop = replace ? standingAlone(context, membersOf(tree).slice(1)) : [];
    return { ...nothing, problems: own, make: true, drop };
  }
  const differences = differencesOf(context, { tree, source: tree.root, to }, there);
  const problems = [...own, ...filledTwice(context, there)];
  if (!create) {
    const unfilled = addedTo(context, there);
    differences.push(...unfilled.map((column) => `${showTable(to)}.${column.name} is missing on the target`));
  }
  if (differences.length > 0) {
    if (replace && create && (there.kind === 'r' || there.kind === 'p')) return { ...nothing, problems, drop: [to] };
    return { ...nothing, problems: [...problems, ...differences], unfit: [to] };
  }
  const lacking = lackingPartitions(context, tree);
  const joining = lacking.attach.flatMap(({ member }) => target.tables.get(showTable(member.to)) ?? []);
  // What is made anew need not fit.
  const drop = replace ? standingAlone(context, lacking.members) : [];
  const stays = lacking.problems.filter(({ of }) => !drop.some((each) => sameTable(each, of)));
  problems.push(...stays.map(({ words }) => words));
  if (!create) problems.push(...[...lacking.attach, ...lacking.inherit].map(lackingWords));
  const additions = [there, ...joining].flatMap((table) => additionsTo(context, table));
  return { ...nothing, problems, drop, used: [to], additions, lacking };
}

// Columns of the source that have the names of those which the mirror fills.
function ownColumns({ added }: PlanContext, { root, mapping }: TableTree): readonly string[] {
  const taken = added.filter(
    ({ name }) => !mapping.exclude.includes(name) && root.columns.some((column) => column.name === name),
  );
  return taken.map(
    ({ name }) => `${showTable(root)} has a column ${quoteName(name)}, which the mirror is to fill itself`,
  );
}

function addedTo({ added }: PlanContext, there: Table) {
  return added.filter((column) => !there.columns.some((each) => each.name === column.name));
}

function additionsTo(context: PlanContext, there: Table): readonly SchemaStep[] {
  const statements = addedTo(context, there).map((column) => addColumn(there, column));
  return statements.length === 0 ? [] : [{ what: `table ${showTable(there)}`, statements }];
}

function differencesOf(context: PlanContext, member: Member, there: Table): string[] {
  const { exclude } = member.tree.mapping;
  const { follows, added, target } = context;
  const rules = { exclude, added: added.map((each) => each.name), follows, version: target.version };
  return [...tableDifferences(member.source, there, rules)];
}

// A column may have the row type of another table, which must then be made before; and so must parents.
function inOrder(context: PlanContext, trees: readonly TableTree[]): readonly TableTree[] {
  const types = new Set(context.needs.types.filter((type) => type.composite?.table).map(showTable));
  const isType = (tree: TableTree) => types.has(showTable(tree.root));
  return parentsFirst([...trees.filter(isType), ...trees.filter((tree) => !isType(tree))]);
}

// Rows of two tables of the source would be one table's there, and what empties one would empty both.
function filledTwice(context: PlanContext, there: Table): readonly string[] {
  if (there.partitionOf === null) return [];
  const targets = new Set([...context.members.values()].map(({ to }) => showTable(to)));
  let partitionOf: Table['partitionOf'] = there.partitionOf;
  while (partitionOf !== null) {
    const above = showTable(partitionOf.parent);
    if (targets.has(above))
      return [`${showTable(there)} is a partition of ${above} on the target, which the mirror fills, too`];
    partitionOf = context.target.tables.get(above)?.partitionOf ?? null;
  }
  return [];
}

// What is to be a partition and stands as a table of its own.
function standingAlone({ target }: PlanContext, members: readonly Member[]): readonly TableName[] {
  const there = members.flatMap(({ to }) => target.tables.get(showTable(to)) ?? []);
  return there.filter(({ partitionOf, kind }) => partitionOf === null && (kind === 'r' || kind === 'p'));
}

interface TablePlan {
  readonly steps: readonly SchemaStep[];
  readonly problems: readonly string[];
  readonly joining: readonly TableName[];
}

/** A table, or the whole of a partitioned one from the leaves up: it and the attaching of its partitions are one step. */
function planMembers(context: PlanContext, members: readonly Member[], before: Before): readonly TablePlan[] {
  return members.toReversed().map((member) => {
    const there = member.source === member.tree.root ? undefined : context.target.tables.get(showTable(member.to));
    if (there === undefined) {
      return { steps: [makeStep(context, member, before)], problems: limits(context, member), joining: [] };
    }
    const problems = differencesOf(context, member, there);
    const [of, above] = [member.source.partitionOf, there.partitionOf?.parent];
    if (above === undefined) return { steps: [], problems, joining: [there] };
    const parent = of === null ? undefined : context.members.get(showTable(of.parent))?.to;
    if (parent === undefined || !sameTable(above, parent)) {
      problems.push(`${showTable(there)} is a partition of ${showTable(above)} on the target`);
    }
    return { steps: [], problems, joining: [] };
  });
}

function makeStep(context: PlanContext, member: Member, before: Before): SchemaStep {
  const { source, to } = member;
  const parents = heirOf(context, member);
  const { lines } = leftOutOf(context, member, parents);
  const children = context.children.get(showTable(source)) ?? [];
  const withIt = sequencesWith(context, source, before);
  return {
    what: `table ${showTable(to)}`,
    id: `pg_class:${source.oid}`,
    ...(lines.length === 0 ? {} : { leftOut: lines }),
    // Parents before their heirs, and what is attached before what it is attached to.
    after: [
      ...children.map((child) => `pg_class:${child.source.oid}`),
      ...source.inherits.flatMap((parent) => {
        const above = context.members.get(showTable(parent));
        return above === undefined || parents.length === 0 ? [] : [`pg_class:${above.source.oid}`];
      }),
    ],
    objects: [...withIt.map(({ sequence }) => sequenceObject(sequence)), tableObject(source)],
    // Put together when they are asked for: those of ten thousand tables are not to be held at once.
    get statements() {
      return statementsOf(context, member, before);
    },
  };
}

function sequencesOf(context: PlanContext, source: Table) {
  return (context.sequencesOf.get(showTable(source)) ?? []).map((sequence) => {
    const name = sequenceTarget(context, sequence);
    // One that was there before belongs to whom it belongs.
    return { sequence, name, fresh: !context.target.sequences.has(showTable(name)) };
  });
}

function sequencesWith(context: PlanContext, source: Table, { withTable }: Before) {
  return sequencesOf(context, source).filter((each) => each.fresh && withTable.has(each.sequence.oid));
}

function statementsOf(context: PlanContext, member: Member, before: Before): readonly Sql[] {
  const { source, to, tree } = member;
  const { exclude } = tree.mapping;
  const own = sequencesOf(context, source);
  const parents = heirOf(context, member);
  const unable = leftOutOf(context, member, parents);
  const table: TableToMake = {
    parents: { names: parents, columns: handedDown(context, source) },
    ...{
      typed: unable.typed,
      options: unable.options,
      lacksCompression: unable.compressions,
      accessMethod: unable.accessMethod,
      nullable: unable.nullable,
      saysNoInherit: context.target.version >= 180_000,
    },
    source,
    to,
    exclude,
    added: context.added,
    identity: identities(context, member),
    renamed: new Map(
      own.map(({ sequence, name }) => [asDefault(sequence.regclass), asDefault(quoteName(name.schema, name.name))]),
    ),
  };
  const children = context.children.get(showTable(source)) ?? [];
  const uses = (sequence: Sequence, how: 'owned') =>
    sequence.uses.filter((use) => use.how === how && showTable(use.table) === showTable(source));
  return [
    ...sequencesWith(context, source, before).map((each) =>
      createSequence(each.sequence, each.name, context.target.version),
    ),
    ...createTable(table),
    ...loggedOtherwise(context, table),
    ...own.flatMap(({ sequence, name, fresh }) =>
      uses(sequence, 'owned')
        // An owner must be in the sequence's schema.
        .filter((use) => fresh && name.schema === to.schema && !exclude.includes(use.column))
        .map((use) => ownSequence(name, { table: to, column: use.column })),
    ),
    ...children.flatMap((child) =>
      child.source.partitionOf === null ? [] : [attachPartition(to, child.to, child.source.partitionOf)],
    ),
  ];
}

// The sequence behind an identity column is as its table is, if nothing else is said of it (15).
function loggedOtherwise(context: PlanContext, { source, identity, to }: TableToMake): readonly Sql[] {
  if (context.target.version < 150_000 || source.partitionOf !== null) return [];
  return [...identity.values()].flatMap(({ sequence, to: name }) => {
    const unlogged = sequence.unlogged ?? false;
    if (name === null || unlogged === (source.persistence === 'u' && source.partitioning === null)) return [];
    return [sql`alter sequence ${ident(to.schema, name.name)} set ${unlogged ? sql`unlogged` : sql`logged`}`];
  });
}

// As the server prints a sequence in a default.
function asDefault(regclass: string): string {
  return `'${regclass.replaceAll("'", "''")}'::regclass`;
}

// The sequence keeps its name where that is free; an identity's must live in its table's schema.
function identities(context: PlanContext, { source, to }: Member): TableToMake['identity'] {
  const found = new Map<string, { sequence: Sequence; to: TableName | null }>();
  for (const sequence of context.sequencesOf.get(showTable(source)) ?? []) {
    const use = sequence.uses.find((each) => each.how === 'identity' && showTable(each.table) === showTable(source));
    if (use === undefined) continue;
    const name = { schema: to.schema, name: sequence.name };
    const keeps = source.name === to.name && !context.target.sequences.has(showTable(name));
    found.set(use.column, { sequence, to: keeps ? name : null });
  }
  return found;
}

/** What the target's version, or any, cannot hold. */
function limits(context: PlanContext, { source, to, tree }: Member): readonly string[] {
  const problems: string[] = [];
  for (const { column, words } of context.target.refusals?.get(showTable(source)) ?? []) {
    if (column === null || !tree.mapping.exclude.includes(column)) problems.push(words);
  }
  const there = context.target.inTheWay?.get(showTable(to));
  if (there !== undefined) problems.push(`${showTable(to)} is ${there} on the target`);
  if (context.target.version < 180_000) {
    for (const column of source.columns) {
      if (column.generated !== 'v' || tree.mapping.exclude.includes(column.name)) continue;
      problems.push(`${showTable(source)}.${column.name} is a virtual generated column: these need PostgreSQL 18`);
    }
    if (source.primaryKey !== null && /\bWITHOUT OVERLAPS\b/.test(source.primaryKey.definition)) {
      problems.push(`the primary key of ${showTable(source)} is WITHOUT OVERLAPS: these need PostgreSQL 18`);
    }
  }
  if (context.target.version < 150_000) {
    for (const column of source.columns) {
      if (!hasOddScale(column.type.text) || tree.mapping.exclude.includes(column.name)) continue;
      problems.push(
        `${showTable(source)}.${column.name} is ${column.type.text}: a scale below 0 or above the precision needs PostgreSQL 15`,
      );
    }
  }
  for (const part of [to.schema, to.name]) {
    if (Buffer.byteLength(part) > 63)
      problems.push(`name "${part}" has ${Buffer.byteLength(part)} bytes, at most 63 fit`);
  }
  return problems;
}

function hasOddScale(type: string): boolean {
  const [, precision = 0, scale = 0] = /^numeric\((\d+),(-?\d+)\)/.exec(type) ?? [];
  return Number(scale) < 0 || Number(scale) > Number(precision);
}
