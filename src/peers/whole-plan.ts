// Everything of a mirror beyond its rows, planned from what both sides have now.
import { objectKey } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import type { TableTree } from './ddl-tree.ts';
import type { ObjectInput } from './objects-input.ts';
import { lookAtSource, lookAtTables, lookAtTarget, type SourceObjects } from './objects-look.ts';
import { planObjects } from './objects-plan.ts';
import type { PlannedObject } from './objects-planned.ts';
import { followObjects } from './schema/follow-tables.ts';
import { type DatabasePlan, planSides, readSourceSide, readTargetSide } from './schema/read-plan.ts';
import type { DatabaseSide } from './schema/side.ts';

/** The source's side of it. */
export interface SourceLook {
  readonly trees: readonly TableTree[];
  readonly objects: SourceObjects;
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
  return { trees, objects: await lookAtSource(source, trees), side: await readSourceSide(source, work) };
}

export async function planWhole(target: Connection, work: MirrorWork, look: SourceLook): Promise<WholePlan> {
  const standing = await lookAtTables(target, look.trees);
  const input = await lookAtTarget(target, look.objects, { standing, follows: work.slot !== null });
  const sides = { source: look.side, target: await readTargetSide(target, work) };
  const database = planSides(sides, work, look.trees);
  const ofTables = planObjects({
    ...{ ...input, source: followObjects(input.source, database.renames) },
    keepsDeleted: work.options.soft_delete && work.slot !== null,
  });
  const known = new Set(database.objects.map(({ line }) => objectKey(line)));
  const rest = ofTables.filter(({ line }) => !known.has(objectKey(line)));
  return { objects: [...database.objects, ...rest], database, ofTables: rest, input };
}
