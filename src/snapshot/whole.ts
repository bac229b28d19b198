// All that a mirror has to make beyond its rows, read and planned slice by slice; what belongs to no table, at once.
import { oneAhead } from '../base/ahead.ts';
import { objectKey } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { type Asked, nothingAsked } from '../peers/asked.ts';
import { attachPartition } from '../peers/ddl.ts';
import { growTrees } from '../peers/ddl-input.ts';
import { type MemberOf, membersOf, type TableTree, type TreeOf, tableObject } from '../peers/ddl-tree.ts';
import { type InspectOptions, inspectTables } from '../peers/inspect.ts';
import { type Beyond, type IndexHead, indexNames, isMoved, type LateKeys } from '../peers/objects-input.ts';
import { lookAtSource as lookAtObjects, type SourceObjects } from '../peers/objects-look.ts';
import { type PlannedObject, refused, toMake } from '../peers/objects-planned.ts';
import type { Renames } from '../peers/schema/follow.ts';
import { type DatabasePlan, planSides, readSides } from '../peers/schema/read-plan.ts';
import { readUnlogged } from '../peers/schema/unlogged.ts';
import { readHeads, readIndexHeads, type SizedHead } from '../peers/table-heads.ts';
import { planTables, type TablesPlan } from '../peers/whole-plan.ts';
import type { Connection } from '../pg/client.ts';
import { sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { followsAll } from './changed-tables.ts';
import type { KnownSource } from './known-source.ts';
import { type Crew, inParallel } from './parallel.ts';
import { cutSlices, type Slice } from './slices.ts';
import { refuseMissing } from './trees.ts';

/** What is held of all tables while they are looked at slice by slice. */
export interface Whole extends WholeSource {
  readonly source: Connection;
  readonly target: Connection;
  readonly work: MirrorWork;
  /** Ledger keys of tables that the mirror made; none where nobody can tell. */
  readonly made: ReadonlySet<string>;
}

/** That of it which the source says. */
export interface WholeSource {
  /** Those whose rows are mirrored. */
  readonly mirrored: readonly TreeOf<SizedHead>[];
  /** These, and those that are made without their rows. */
  readonly trees: readonly TreeOf<SizedHead>[];
  readonly slices: readonly Slice[];
  /** The following only where there are several slices. By OID on the source. */
  readonly members: ReadonlyMap<number, MemberOf<SizedHead>> | null;
  /** Indexes whose names on the target are not their own, by OID. */
  readonly moved: ReadonlyMap<number, TableName> | null;
}

/** Reads what there is. @throws `undefined_table` */
export async function lookAtAll(sides: Pick<Whole, 'source' | 'target' | 'made'>, work: MirrorWork): Promise<Whole> {
  return { ...sides, work, ...(await lookAtSource(sides.source, work)) };
}

/** @throws `undefined_table` */
export async function lookAtSource(source: Connection, work: MirrorWork): Promise<WholeSource> {
  const mirrored = await readHeads(source, work.tables);
  refuseMissing(
    work.tables,
    mirrored.map(({ root }) => root),
  );
  const unlogged = (await readUnlogged(source, work)).map(({ mapping }) => mapping);
  const trees = unlogged.length === 0 ? mirrored : [...mirrored, ...(await readHeads(source, unlogged))];
  const slices = cutSlices(trees);
  const several = slices.length > 1;
  const members = several ? new Map(trees.flatMap(membersOf).map((each) => [each.source.oid, each])) : null;
  const moved = members === null ? null : await readMoved(source, [...members.values()]);
  return { mirrored, trees, slices, members, moved };
}

export function tablesIn({ trees }: Pick<WholeSource, 'trees'>): number {
  return trees.reduce((sum, { partitions }) => sum + 1 + partitions.length, 0);
}

const tablesPerTrip = 500;

// One schema's names on the target may come from several on the source: who gets which is decided over all of them.
async function readMoved(
  source: Connection,
  members: readonly MemberOf<SizedHead>[],
): Promise<ReadonlyMap<number, TableName>> {
  if (!members.some(isMoved)) return new Map();
  const indexes: IndexHead[] = [];
  const oids = members.map((member) => member.source.oid);
  for (let at = 0; at < oids.length; at += tablesPerTrip) {
    indexes.push(...(await readIndexHeads(source, oids.slice(at, at + tablesPerTrip))));
  }
  const byTable = new Map(members.map((member) => [member.source.oid, member]));
  const names = indexNames(members, indexes);
  return new Map(
    indexes.flatMap(({ oid, table, name }) => {
      const to = names.get(oid);
      const usual = { schema: byTable.get(table)?.to.schema ?? '', name };
      return to === undefined || sameTable(to, usual) ? [] : [[oid, to] as const];
    }),
  );
}

/** What becomes of the objects that belong to no table, as both sides are now. What they need is let go of, unless it is to be known. */
export async function planOthers(
  whole: Omit<Whole, 'members' | 'moved' | 'slices' | 'mirrored' | 'made'>,
  known: KnownSource | null = null,
): Promise<Pick<DatabasePlan, 'objects' | 'renames'>> {
  const { source, target, work, trees } = whole;
  const sides = await readSides({ source, target }, work, known?.side);
  if (known !== null) known.side = sides.source;
  const { objects, renames } = planSides(sides, work, trees);
  return { objects, renames };
}

/** The tables of a slice with all that belongs to them on the source; what was dropped meanwhile is left out. */
async function readSlice(source: Connection, { tables }: Slice, options: InspectOptions): Promise<SourceObjects> {
  const names = tables.map(({ from }) => from);
  const roots = await inspectTables(source, names, options);
  return await lookAtObjects(source, await growTrees(source, tables, roots), options);
}

/** What becomes of all that belongs to a slice's tables, as the target is now. */
export async function planSlice(
  whole: Whole,
  theirs: SourceObjects,
  how: {
    readonly renames: Renames | Promise<Renames>;
    readonly lateKeys?: LateKeys;
    /** Its tables on the target, if they were read a moment ago. */
    readonly there?: readonly Table[];
    readonly asked?: Asked;
  },
): Promise<TablesPlan> {
  const { target, work, moved, made } = whole;
  const beyond = await readBeyond(whole, theirs);
  // What the source alters of its tables follows, and is told there.
  const { asked = nothingAsked, ...rest } = how;
  return await planTables(target, work, theirs, {
    ...rest,
    made,
    moved,
    beyond,
    ...(followsAll(work) ? {} : { asked }),
  });
}

// Tables of other slices that this one's refer to.
async function readBeyond(
  { source, target, members, work }: Whole,
  { trees, objects }: SourceObjects,
): Promise<ReadonlyMap<number, Beyond> | null> {
  if (members === null) return null;
  const own = new Set(trees.flatMap(membersOf).map((member) => member.source.oid));
  const wanted = new Map<number, MemberOf<SizedHead>>();
  for (const { references } of objects.constraints) {
    const member = references === null || own.has(references.oid) ? undefined : members.get(references.oid);
    if (member !== undefined) wanted.set(member.source.oid, member);
  }
  const all = [...wanted.values()];
  // By what a row is known is asked only where rows stay.
  const asked = work.options.soft_delete ? all.map((member) => member.source) : [];
  const theirs = new Map((await inspectTables(source, asked, { sizes: false })).map((each) => [each.oid, each]));
  const names = all.map(({ to }) => to);
  const there = new Map((await inspectTables(target, names, { sizes: false })).map((each) => [showTable(each), each]));
  return new Map(
    all.map((member): readonly [number, Beyond] => {
      const { tree, to } = member;
      const table = there.get(showTable(to));
      const ours = member.source === tree.root || table?.partitionOf != null;
      return [
        member.source.oid,
        {
          to,
          exclude: tree.mapping.exclude,
          primaryKey: theirs.get(member.source.oid)?.primaryKey?.columns ?? [],
          there: table === undefined || !ours ? null : table.kind,
        },
      ];
    }),
  );
}

/** How everything is read. */
export interface EachOptions extends InspectOptions {
  /** What the source still is, if that is known: then only the target is read, by the sessions of the crew side by side. */
  readonly known?: { readonly source: KnownSource; readonly crew: Crew; readonly signal: AbortSignal } | null;
  readonly asked?: Asked;
}

/**
 * Everything of the mirror as both sides are now: what belongs to the tables, slice by slice and with the tables that are not
 * there, then what belongs to none.
 */
export async function* planEach(
  whole: Whole,
  { known = null, ...options }: EachOptions = {},
): AsyncGenerator<readonly PlannedObject[]> {
  // Both are read at the same time: a server works while we look at what the other query brought.
  const others = planOthers(whole, known?.source ?? null);
  const renames = others.then((plan) => plan.renames);
  // Its failure is met where the plan is waited for.
  renames.catch(() => undefined);
  const slices = known === null ? oneAhead(planSlices(whole, renames, options)) : planKnown(whole, renames, known);
  const [{ objects }, each] = await Promise.all([others, slices]);
  const told = new Set(objects.map(({ line }) => objectKey(line)));
  let place = 0;
  for await (const { theirs, planned, there } of each) {
    const own = planned.filter(({ line }) => !told.has(objectKey(line)));
    yield [...missingTables(theirs.trees, there, options.asked), ...inTurns(own, place)];
    place += planned.length;
  }
  yield objects;
}

interface SlicePlan extends TablesPlan {
  readonly theirs: SourceObjects;
}

async function* planSlices(
  whole: Whole,
  renames: Promise<Renames>,
  { asked, ...options }: InspectOptions & Pick<EachOptions, 'asked'>,
): AsyncGenerator<SlicePlan> {
  const how = asked === undefined ? { renames } : { renames, asked };
  for await (const theirs of readSlices(whole, options)) yield { theirs, ...(await planSlice(whole, theirs, how)) };
}

async function planKnown(
  whole: Whole,
  renames: Promise<Renames>,
  { source, crew, signal }: NonNullable<EachOptions['known']>,
): Promise<readonly SlicePlan[]> {
  const plans = new Map<SourceObjects, SlicePlan>();
  const plan = async (target: Connection, theirs: SourceObjects) => {
    plans.set(theirs, { theirs, ...(await planSlice({ ...whole, target }, theirs, { renames })) });
  };
  await inParallel(crew, source.slices, plan, signal);
  return source.slices.flatMap((theirs) => plans.get(theirs) ?? []);
}

/** All slices of the source as they are when they are read. */
export async function* readSlices(
  whole: Pick<Whole, 'source' | 'slices'>,
  options: InspectOptions = {},
): AsyncGenerator<SourceObjects> {
  for (const slice of whole.slices) yield await readSlice(whole.source, slice, options);
}

/** Their turns among those of all slices. */
export function inTurns(planned: readonly PlannedObject[], before: number): readonly PlannedObject[] {
  if (before === 0) return planned;
  return planned.map((each) => ({ ...each, line: { ...each.line, place: before + (each.line.place ?? 0) } }));
}

// Tables that are not on the target, and partitions that stand there by themselves.
function missingTables(
  trees: readonly TableTree[],
  there: readonly Table[],
  asked = nothingAsked,
): readonly PlannedObject[] {
  const byName = new Map(there.map((table) => [showTable(table), table]));
  return trees.flatMap((tree) => {
    const members = membersOf(tree);
    // Partitions of a table that is none there flow into it.
    const isPartitioned = byName.get(showTable(tree.mapping.to))?.kind === 'p';
    const names = new Map(members.map(({ source, to }) => [showTable(source), to]));
    return (isPartitioned ? members : members.slice(0, 1)).flatMap(({ source, to }) => {
      const standing = byName.get(showTable(to));
      const subject = { name: tableObject(source), stage: 'before', table: to } as const;
      if (standing === undefined) return [refused(subject, { reason: 'it is not on the target', statement: '' })];
      const { partitionOf } = source;
      const parent = partitionOf === null ? undefined : names.get(showTable(partitionOf.parent));
      if (partitionOf === null || parent === undefined || standing.partitionOf !== null) return [];
      const attach = attachPartition(parent, to, partitionOf);
      if (asked.failed(objectKey(subject.name))) return [toMake(subject, [[attach]])];
      return [
        refused(subject, {
          reason: `it is no partition of ${showTable(parent)} on the target`,
          statement: attach.text,
        }),
      ];
    });
  });
}
