// Tries again what is missing of the objects that belong to the tables, also while the mirror follows.
import { throwIfStopped } from '../base/retry.ts';
import { type ObjectName, type ObjectStage, type ObjectState, objectKey, objectStages } from '../mirror/object.ts';
import { applicationName } from '../mirror/work.ts';
import { Asked } from '../peers/asked.ts';
import { compareToken, endLeftovers } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import { analyzeAgain } from './analysis.ts';
import { madeTables, type SnapshotDeps } from './deps.ts';
import { withoutDropped } from './dropped.ts';
import { flushTarget } from './flush.ts';
import { ObjectRun } from './objects.ts';
import { Crew } from './parallel.ts';
import { lookAtAll, planEach } from './whole.ts';

/** What the ledger has of an object that is not on the target. */
export interface UnmadeObject extends ObjectName {
  readonly stage: ObjectStage;
  readonly state: ObjectState;
}

/**
 * The step `objects`. Looks at both sides anew, so that what was mended or made by hand is found. The caller has claimed the
 * checkpoint.
 * @param wanted of the ledger, by objectKey; what else the source has is left alone
 * @throws as `finishSnapshot`
 */
export async function retryObjects(
  given: SnapshotDeps,
  wanted: ReadonlyMap<string, UnmadeObject>,
  signal: AbortSignal,
): Promise<void> {
  const use = { application: applicationName('objects', given.work) };
  await using target = await connectPeer(given.work.target, use, signal);
  await endLeftovers(target, given.work, ['finish', 'objects']);
  // After that: where both are one database, it would be taken for one of them.
  await using source = await connectPeer(given.work.source, use, signal);
  const work = await withoutDropped(given, given.work, source);
  const deps = { ...given, work };
  const planned: PlannedObject[] = [];
  const whole = await lookAtAll({ source, target, made: await madeTables(deps) }, work);
  const asked = new Asked(wanted.values());
  for await (const some of planEach(whole, { asked }))
    planned.push(...some.filter(({ line }) => wanted.has(objectKey(line))));
  const there = new Set(planned.map(({ line }) => objectKey(line)));
  const gone = [...wanted].filter(([key, object]) => !there.has(key) && isPlanned(object)).map(([, object]) => object);
  const reason = 'it is not on the source any more';
  await deps.report.objects(gone.map((object) => ({ ...object, state: 'left_out', reason })));
  await using crew = new Crew(work, deps.report.note, { purpose: 'finish' });
  const run = new ObjectRun(deps, crew, compareToken);
  // Somebody may have done what the ledger asked for.
  await run.begin(planned.map((object) => ({ ...object, quiet: false })));
  await run.make(planned, { stages: objectStages, watch: target }, signal);
  const made = planned.filter(({ line, steps }) => steps.length > 0 && run.stands(line));
  await analyzeAgain(crew, made, whole, signal);
  throwIfStopped(signal);
  await flushTarget(target, work);
}

// Large objects are brought with the rows only, what a table was made without is told when it is made, and tables that the mirror
// began without are no matter of objects.
function isPlanned({ kind, stage, state }: UnmadeObject): boolean {
  if (kind === 'table' && state === 'left_out') return false;
  return kind !== 'large object' && !(kind === 'property' && stage === 'before');
}
