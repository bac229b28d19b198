// Everything of a mirror beyond its rows, planned from what both sides have now.
import { objectKey } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import type { Table, TableName } from '../pg/table.ts';
import type { Asked } from './asked.ts';
import { addedColumns } from './ddl-input.ts';
import type { TableTree } from './ddl-tree.ts';
import type { Beyond, LateKeys, ObjectInput } from './objects-input.ts';
import { lookAtSource, lookAtTables, lookAtTarget, type SourceObjects } from './objects-look.ts';
import { planObjects } from './objects-plan.ts';
import type { PlannedObject } from './objects-planned.ts';
import type { Renames } from './schema/follow.ts';
import { followObjects } from './schema/follow-tables.ts';
import { type DatabasePlan, planSides, readSourceSide, readTargetSide } from './schema/read-plan.ts';
import type { DatabaseSide } from './schema/side.ts';
import { readSequences, type Sequence } from './sequences.ts';

/** The source's side of it. */
export interface SourceLook {
  readonly trees: readonly TableTree[];
  readonly objects: SourceObjects;
  readonly sequences: readonly Sequence[];
  readonly side: DatabaseSide | null;
}

export interface WholePlan {
  /** Of the database, then of the tables. */
  readonly objects: readonly PlannedObject[];
  readonly database: DatabasePlan;
  readonly ofTables: readonly PlannedObject[];
  readonly input: ObjectInput;
}

export async function lookAtWhole(
  source: Connection,
  work: MirrorWork,
  trees: readonly TableTree[],
): Promise<SourceLook> {
  const tables = trees.flatMap((tree) => [tree.root, ...tree.partitions]);
  const objects = await lookAtSource(source, trees);
  return { trees, objects, sequences: await readSequences(source, tables), side: await readSourceSide(source, work) };
}

export interface TablesPlan {
  readonly planned: readonly PlannedObject[];
  /** The tables on the target. */
  readonly there: readonly Table[];
  readonly input: ObjectInput;
}

/** What becomes of all that belongs to these tables, as the target is now. */
export async function planTables(
  target: Connection,
  work: MirrorWork,
  theirs: SourceObjects,
  how: {
    /** May come while the target is read. */
    readonly renames: Renames | Promise<Renames>;
    readonly lateKeys?: LateKeys;
    readonly beyond?: ReadonlyMap<number, Beyond> | null;
    readonly moved?: ReadonlyMap<number, TableName> | null;
    readonly there?: readonly Table[];
    /** What was asked about once more, where the tables are compared in what they say themselves; undefined: they are not. */
    readonly asked?: Asked;
    /** Ledger keys of tables that the mirror made. */
    readonly made?: ReadonlySet<string>;
  },
): Promise<TablesPlan> {
  const { renames, lateKeys, beyond = null, moved = null, asked, made = new Set<string>() } = how;
  const standing = await lookAtTables(target, theirs.trees, how.there);
  const follows = work.slot !== null;
  const known = { ...(beyond === null ? {} : { beyond }), ...(moved === null ? {} : { moved }) };
  const input = await lookAtTarget(target, theirs, { standing, follows, ...known });
  const followed = await renames;
  const added = addedColumns(work.options).map(({ name }) => name);
  const planned = planObjects(
    {
      ...{ ...input, source: followObjects(input.source, followed) },
      ...(lateKeys === undefined ? {} : { lateKeys }),
      ...(asked === undefined ? {} : { asked }),
      keepsDeleted: work.options.soft_delete && follows,
    },
    asked === undefined
      ? undefined
      : { renames: followed, follows, added, asked, made, version: theirs.objects.version },
  );
  return { planned, there: standing.there, input };
}

/** @param known whether an object of that id was there before: a primary key that is new is made, one that a table of the target stood without is not */
export async function planWhole(
  target: Connection,
  work: MirrorWork,
  look: SourceLook,
  known: (id: string) => boolean = () => true,
): Promise<WholePlan> {
  const keys = look.objects.objects.indexes.filter(
    ({ oid, constraint }) => constraint?.type === 'p' && !known(`pg_class:${oid}`),
  );
  const sides = { source: look.side, target: await readTargetSide(target, work, { holds: look.side?.facts.holds }) };
  const database = planSides(sides, work, look.trees);
  const lateKeys = new Map(keys.map((index) => [index.table, 'index first'] as const));
  const planning = await planTables(target, work, look.objects, { renames: database.renames, lateKeys });
  const { planned, there } = planning;
  const input = {
    ...planning.input,
    sequences: { source: look.sequences, target: await readSequences(target, there) },
  };
  const ofDatabase = new Set(database.objects.map(({ line }) => objectKey(line)));
  const rest = planned.filter(({ line }) => !ofDatabase.has(objectKey(line)));
  return { objects: [...database.objects, ...rest], database, ofTables: rest, input };
}
