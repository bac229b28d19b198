// The end of the making of objects: what may go now is tried once more, and both catalogs are compared with what the ledger says.
import { type ObjectLine, objectKey, objectStages } from '../mirror/object.ts';
import { tableObject } from '../peers/ddl-tree.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import { listNewTables } from '../peers/scope-tables.ts';
import { showTable } from '../pg/table.ts';
import { followsAll } from './changed-tables.ts';
import type { SnapshotDeps } from './deps.ts';
import type { KnownSource } from './known-source.ts';
import type { ObjectRun } from './objects.ts';
import type { Crew } from './parallel.ts';
import { planEach, type Whole } from './whole.ts';

// A function, relation, other object or schema that is not there, or has no rows yet: the bodies of functions say to no catalog
// what they need.
const notThere: ReadonlySet<string | undefined> = new Set(['42883', '42P01', '42704', '3F000', '55000']);

/** Makes what failed for want of something that may be there by now, as both sides are now. */
export async function makeAgain(run: ObjectRun, whole: Whole, signal: AbortSignal): Promise<void> {
  const failed = run.failed;
  if (!failed.some(({ sqlstate }) => notThere.has(sqlstate))) return;
  const wanting = new Set(failed.filter(({ sqlstate }) => notThere.has(sqlstate)).map(objectKey));
  // And what was not tried for want of those; needs come first in the plan.
  const untried = new Set(failed.filter(({ sqlstate }) => sqlstate === undefined).map(objectKey));
  const again: PlannedObject[] = [];
  for await (const now of planEach(whole)) {
    for (const { line, needs } of now) {
      const key = objectKey(line);
      if (untried.has(key) && needs.some((need) => wanting.has(need))) wanting.add(key);
    }
    again.push(...now.filter(({ line, steps }) => wanting.has(objectKey(line)) && steps.length > 0));
  }
  if (again.length === 0) return;
  run.forget(again);
  await run.make(again, { stages: objectStages, watch: whole.target }, signal);
}

/**
 * Both catalogs against the ledger: what the source has and the target has not, or has otherwise, and what no line of this run
 * accounts for, becomes one.
 */
export async function compareCatalogs(
  { report, work }: SnapshotDeps,
  run: ObjectRun,
  { known, crew, ...whole }: Whole & { readonly known: KnownSource | null; readonly crew: Crew },
  signal: AbortSignal,
): Promise<void> {
  // What came to the source meanwhile follows.
  if (followsAll(work)) return;
  const missing = new Map<string, string>();
  const still = known !== null && (await known.holds(whole.source)) ? { source: known, crew, signal } : null;
  // Sizes say in what order to make what is made: nothing is.
  for await (const now of planEach(whole, { sizes: false, known: still }))
    await tellDifferences(report, differences(run, now, missing));
  const late = await listNewTables(whole.source, work);
  await tellDifferences(
    report,
    late.map(
      (table): ObjectLine => ({ ...tableObject(table), stage: 'before', state: 'left_out', reason: notBegunWith }),
    ),
  );
}

const notBegunWith = 'the mirror began without a table of that name: a new mirror copies it';

/** @param missing what was found to be missing, by key and by showTable, and why */
function differences(
  run: ObjectRun,
  now: readonly PlannedObject[],
  missing: Map<string, string>,
): readonly ObjectLine[] {
  return now.flatMap(({ line, steps, needs, quiet }): readonly ObjectLine[] => {
    const found = accountFor(run, { line, steps });
    if (found.length === 0) return [];
    // Of what is gone itself, there is nothing to say.
    const itsTable = missing.get(line.table);
    if (quiet === true && (itsTable !== undefined || needs.some((key) => missing.has(key)))) return [];
    const told =
      itsTable === undefined ? found : found.map((each) => ({ ...each, reason: `table ${line.table}: ${itsTable}` }));
    for (const each of told)
      missing
        .set(objectKey(each), each.reason ?? '')
        .set(each.kind === 'table' ? showTable(each) : objectKey(each), each.reason ?? '');
    return told;
  });
}

async function tellDifferences(report: SnapshotDeps['report'], lines: readonly ObjectLine[]): Promise<void> {
  if (lines.length === 0) return;
  await report.objects(lines);
  for (const line of lines) {
    const of = line.table === '' ? '' : ` of ${line.table}`;
    await report.note(`the catalogs differ: ${line.kind} ${line.name}${of}: ${line.reason}`);
  }
}

// Nothing, if a line of this run says what became of it.
function accountFor(run: ObjectRun, { line, steps }: Pick<PlannedObject, 'line' | 'steps'>): readonly ObjectLine[] {
  if (run.unmade(line) !== undefined) return [];
  const isGone = run.stands(line);
  if (line.state === 'waiting' && steps.length > 0) {
    return [{ ...line, state: 'failed', reason: isGone ? lost : 'it came to the source while the mirror was at work' }];
  }
  if (line.state === 'existed' || line.state === 'created') return [];
  // The key of a table that stood without it, if it had stood so from the beginning; the run has told every other property.
  if (line.state === 'left_out' && isGone) return [{ ...line, state: 'failed', reason: lost }];
  if (line.kind === 'property') return [{ ...line, state: 'failed' }];
  return [line];
}

const lost = 'it is not on the target any more as it was made, or was changed on the source since';
