// What the target has of the source's objects while the first copy runs, written down as it is made: so that what is dropped or renamed meanwhile can follow.
import { objectKey } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { type Definition, writeBegun } from '../peers/begun-tables.ts';
import { holdToken } from '../peers/checkpoint.ts';
import { type TableTree, targetNames } from '../peers/ddl-tree.ts';
import { type Found, foundOfTables } from '../peers/found-objects.ts';
import { inspectTables } from '../peers/inspect.ts';
import {
  addKnownObjects,
  findKnownObjects,
  forgetKnownObjects,
  type KnownObject,
  wantLook,
} from '../peers/known-objects.ts';
import type { ObjectInput } from '../peers/objects-input.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import type { TableObjects } from '../peers/objects-read.ts';
import type { PlannedEntity } from '../peers/schema/plan.ts';
import type { DatabasePlan } from '../peers/schema/read-plan.ts';
import { readSequences, type Sequence } from '../peers/sequences.ts';
import type { Connection } from '../pg/client.ts';

const treesPerTrip = 250;
const nothing: TableObjects = { version: 0, indexes: [], constraints: [], statistics: [], comments: [] };

/**
 * Before they are made: a try that dies on the way leaves on the target what the source may not have any more when the next one
 * looks. All is looked at anew when the mirror follows.
 * @returns what was written down
 */
export async function rememberToMake(
  target: Connection,
  work: MirrorWork,
  found: readonly Found[],
  planned: readonly PlannedObject[],
): Promise<readonly Remembered[]> {
  const able = new Set(
    planned.flatMap(({ line, steps }) =>
      line.state === 'existed' || (line.state === 'waiting' && steps.length > 0) ? [objectKey(line)] : [],
    ),
  );
  const some = found.filter(({ key }) => able.has(key));
  await target.transaction(async () => {
    await holdToken(target, work);
    await addKnownObjects(target, work, some);
    await wantLook(target, work);
  });
  return some.map(({ id, key }) => ({ id, key }));
}

/** By its id in what is remembered, and its key in the ledger. */
export type Remembered = Pick<Found, 'id' | 'key'>;

/** What could not be made is none of what stands there. */
export async function forgetUnmade(
  target: Connection,
  work: MirrorWork,
  found: readonly Remembered[],
  isUnmade: (key: string) => boolean,
): Promise<void> {
  const ids = found.filter(({ key }) => isUnmade(key)).map(({ id }) => id);
  if (ids.length === 0) return;
  await target.transaction(async () => {
    await holdToken(target, work);
    await forgetKnownObjects(target, work, ids);
  });
}

/** What came with the tables themselves, and what the tables were. */
export async function rememberTables(
  target: Connection,
  work: MirrorWork,
  {
    trees,
    database,
    definitions,
    sequences,
  }: {
    readonly trees: readonly TableTree[];
    readonly database: Pick<DatabasePlan, 'renames'>;
    readonly definitions: readonly Definition[];
    readonly sequences: readonly Sequence[];
  },
): Promise<void> {
  for (let at = 0; at < trees.length; at += treesPerTrip) {
    const some = trees.slice(at, at + treesPerTrip);
    const there = await inspectTables(target, targetNames(some), { sizes: false });
    const input: ObjectInput = {
      ...{ trees: some, there, source: nothing, target: nothing },
      ...{ outside: [], extensions: [], actsWhileFollowing: false },
      sequences: { source: sequences, target: await readSequences(target, there) },
    };
    const found = foundOfTables(input, database.renames).filter(({ stands }) => stands !== false);
    await target.transaction(async () => {
      await holdToken(target, work);
      await addKnownObjects(target, work, found);
    });
  }
  await target.transaction(async () => {
    await holdToken(target, work);
    await writeBegun(target, work, definitions);
  });
}

/** Without what the target has as the source had it before: that follows with the changes. */
export async function withoutChanged(
  target: Connection,
  work: MirrorWork,
  objects: readonly PlannedEntity[],
): Promise<readonly PlannedEntity[]> {
  const known = new Map(
    (
      await findKnownObjects(
        target,
        work,
        objects.map(({ id }) => id),
      )
    ).map((each) => [each.id, each]),
  );
  return objects.filter((each) => !isChanged(known.get(each.id), each));
}

function isChanged(known: KnownObject | undefined, { to, definition }: PlannedEntity): boolean {
  if (known === undefined || known.kind !== to.kind || known.drop.length === 0) return false;
  return known.schema !== to.schema || known.name !== to.name || known.definition !== definition;
}
