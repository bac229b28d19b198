// The end of the making of objects: what may go now is tried once more, and both catalogs are compared with what the ledger says.
import { type ObjectLine, objectKey, objectStages } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { membersOf, type TableTree, tableObject } from '../peers/ddl-tree.ts';
import { lookAtSource, lookAtTables, lookAtTarget } from '../peers/objects-look.ts';
import { planObjects } from '../peers/objects-plan.ts';
import { type PlannedObject, refused } from '../peers/objects-planned.ts';
import { followObjects } from '../peers/schema/follow-tables.ts';
import { planSides, readSourceSide, readTargetSide } from '../peers/schema/read-plan.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type Table } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import type { ObjectRun } from './objects.ts';

/** Everything of the mirror, as both sides are now, and the target's tables. */
export async function planAll(
  { source, target }: { readonly source: Connection; readonly target: Connection },
  work: MirrorWork,
  trees: readonly TableTree[],
): Promise<{ readonly planned: readonly PlannedObject[]; readonly there: readonly Table[] }> {
  const [ofSource, ofTarget] = await Promise.all([
    readSource(source, work, trees),
    (async () => ({ standing: await lookAtTables(target, trees), side: await readTargetSide(target, work) }))(),
  ]);
  const { standing } = ofTarget;
  const input = await lookAtTarget(target, ofSource.theirs, { standing, follows: work.slot !== null });
  const { objects, renames } = planSides({ source: ofSource.side, target: ofTarget.side }, work, trees);
  const ofTables = planObjects({
    ...{ ...input, source: followObjects(input.source, renames) },
    keepsDeleted: work.options.soft_delete && work.slot !== null,
  });
  const known = new Set(objects.map(({ line }) => objectKey(line)));
  const planned = [
    ...missingTables(trees, input.there),
    ...objects,
    ...ofTables.filter(({ line }) => !known.has(objectKey(line))),
  ];
  return { planned, there: input.there };
}

/** What the source has of the tables, and besides. */
export async function readSource(source: Connection, work: MirrorWork, trees: readonly TableTree[]) {
  return { theirs: await lookAtSource(source, trees), side: await readSourceSide(source, work) };
}

function missingTables(trees: readonly TableTree[], there: readonly Table[]): readonly PlannedObject[] {
  const byName = new Map(there.map((table) => [showTable(table), table]));
  return trees.flatMap((tree) => {
    // Partitions of a table that is none there flow into it.
    const whole = byName.get(showTable(tree.mapping.to))?.kind === 'p' ? membersOf(tree) : membersOf(tree).slice(0, 1);
    return whole
      .filter(({ to }) => !byName.has(showTable(to)))
      .map(({ source, to }) => {
        const subject = { name: tableObject(source), stage: 'before', table: to } as const;
        return refused(subject, { reason: 'it is not on the target', statement: '' });
      });
  });
}

// A function, relation, other object or schema that is not there, or has no rows yet: the bodies of functions say to no catalog
// what they need.
const notThere: ReadonlySet<string | undefined> = new Set(['42883', '42P01', '42704', '3F000', '55000']);

/** Makes what failed for want of something that may be there by now. @param look plans anew, by what both sides have now */
export async function makeAgain(
  run: ObjectRun,
  look: () => Promise<readonly PlannedObject[]>,
  watch: Connection,
  signal: AbortSignal,
): Promise<void> {
  const failed = run.failed;
  if (!failed.some(({ sqlstate }) => notThere.has(sqlstate))) return;
  const now = await look();
  const wanting = new Set(failed.filter(({ sqlstate }) => notThere.has(sqlstate)).map(objectKey));
  // And what was not tried for want of those; needs come first in the plan.
  const untried = new Set(failed.filter(({ sqlstate }) => sqlstate === undefined).map(objectKey));
  for (const { line, needs } of now) {
    const key = objectKey(line);
    if (untried.has(key) && needs.some((need) => wanting.has(need))) wanting.add(key);
  }
  const again = now.filter(({ line, steps }) => wanting.has(objectKey(line)) && steps.length > 0);
  if (again.length === 0) return;
  run.forget(again);
  await run.make(again, { stages: objectStages, watch }, signal);
}

/**
 * Both catalogs against the ledger: what the source has and the target has not, or has otherwise, and what no line of this run
 * accounts for, becomes one.
 */
export async function compareCatalogs(
  { report }: SnapshotDeps,
  run: ObjectRun,
  now: readonly PlannedObject[],
): Promise<void> {
  const missing = new Set<string>();
  const lines = now.flatMap(({ line, steps, needs, quiet }): readonly ObjectLine[] => {
    const found = accountFor(run, { line, steps });
    if (found.length === 0) return [];
    // Of what is gone itself, there is nothing to say.
    const gone = needs.some((key) => missing.has(key)) || missing.has(line.table);
    if (quiet === true && gone) return [];
    for (const each of found)
      missing.add(objectKey(each)).add(each.kind === 'table' ? showTable(each) : objectKey(each));
    return found;
  });
  if (lines.length === 0) return;
  await report.objects(lines);
  for (const line of lines) {
    const of = line.table === '' ? '' : ` of ${line.table}`;
    await report.note(`the catalogs differ: ${line.kind} ${line.name}${of}: ${line.reason}`);
  }
}

// Nothing, if a line of this run says what became of it.
function accountFor(run: ObjectRun, { line, steps }: Pick<PlannedObject, 'line' | 'steps'>): readonly ObjectLine[] {
  const said = run.endOf(line)?.state;
  if (said === 'failed' || said === 'left_out' || said === 'waiting') return [];
  if (line.state === 'waiting' && steps.length > 0) {
    const reason =
      said === undefined
        ? 'it came to the source while the mirror was at work'
        : 'it was on the target and is not, or not all of it, any more';
    return [{ ...line, state: 'failed', reason }];
  }
  return line.state === 'existed' || line.state === 'created' ? [] : [line];
}
