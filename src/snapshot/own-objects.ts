// Makes what is each table's own: keys, indexes, constraints, statistics. Slice by slice; the next one is read and planned while
// one is made.
import { oneAhead } from '../base/ahead.ts';
import { SluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { type ObjectStage, objectKey, objectStages } from '../mirror/object.ts';
import { targetName } from '../mirror/target-name.ts';
import { type TableTree, targetNames } from '../peers/ddl-tree.ts';
import { foundOfTables } from '../peers/found-objects.ts';
import { inspectTables } from '../peers/inspect.ts';
import type { LateKeys } from '../peers/objects-input.ts';
import { lookForExtensions, type SourceObjects } from '../peers/objects-look.ts';
import { planExtensions } from '../peers/objects-plan.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import type { Renames } from '../peers/schema/follow.ts';
import { readRemembered, type Shape } from '../peers/shape.ts';
import type { TablesPlan } from '../peers/whole-plan.ts';
import { sameTable, type Table } from '../pg/table.ts';
import { splitAltered, withoutIdentities } from './altered.ts';
import { followsAll } from './changed-tables.ts';
import type { SnapshotDeps } from './deps.ts';
import { type KeyJobs, type KeySides, makeKeys, planKeys } from './keys.ts';
import type { KnownSource } from './known-source.ts';
import type { ObjectRun } from './objects.ts';
import type { Crew } from './parallel.ts';
import { forgetUnmade, type Remembered, rememberToMake } from './remember.ts';
import { inTurns, planSlice, readSlices, type Whole } from './whole.ts';

export interface MakingSlices {
  readonly deps: SnapshotDeps;
  readonly run: ObjectRun;
  readonly crew: Crew;
  readonly whole: Whole;
  /** Filled with what is read, for the comparison at the end; null where nothing is kept. */
  readonly known: KnownSource | null;
  /** Whether it is full already. */
  readonly isRead: boolean;
  /** Tables that are not any more what was copied, by showTable of the source's names. */
  readonly altered: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

export interface MadeSlices {
  /** What comes after that of all tables. */
  readonly later: readonly PlannedObject[];
  /** What is remembered of that, and is to be forgotten where it cannot be made. */
  readonly toForget: readonly Remembered[];
}

/**
 * Keys, indexes and what else is each table's own.
 * @param slices see lookAhead
 * @throws if a table cannot have its key
 */
export async function makeSlices(
  making: MakingSlices,
  slices: AsyncIterable<SliceAhead>,
  renames: Renames,
): Promise<MadeSlices> {
  const { whole, run, known, isRead, signal } = making;
  const { target, work } = whole;
  const later: PlannedObject[] = [];
  const toForget: Remembered[] = [];
  let place = 0;
  for await (const slice of slices) {
    throwIfStopped(signal);
    if (!isRead) known?.slices.push(slice.theirs);
    const { late, altered } = await makeNeeds(making, slice);
    if (work.options.schema !== 'full') continue;
    const { planned, input } = slice.planned ?? (await planSlice(whole, slice.theirs, { renames, lateKeys: late }));
    // What belongs to a table that was altered follows with its columns.
    const own = inTurns(planned, place).filter(({ line }) => line.stage !== 'needs' && !altered.has(line.table));
    place += planned.length;
    const found = followsAll(work) ? foundOfTables(input, renames) : [];
    const remembered = followsAll(work) ? await rememberToMake(target, work, found, own) : [];
    const left = await makeSlice(making, own);
    later.push(...left);
    await forgetUnmade(target, work, remembered, (key) => run.isUnmade(key));
    const lateKeys = new Set(left.map(({ line }) => objectKey(line)));
    toForget.push(...remembered.filter(({ key }) => lateKeys.has(key)));
  }
  return { later, toForget };
}

export interface SliceAhead {
  readonly theirs: SourceObjects;
  readonly there: readonly Table[];
  /** Extensions that keys need too. */
  readonly needed: readonly PlannedObject[];
  /** Keys that are made before all else; null: tables were altered, and what keys there are is looked at in its turn. */
  readonly keys: KeyJobs | null;
  /** What is made of all else, where nothing of it is changed by what is made before; null: it is planned after that. */
  readonly planned: TablesPlan | null;
}

/**
 * Looks at one slice while something else is made.
 * @param others when it resolves, what is no table's own stands as far as tables need it
 */
export function lookAhead(making: MakingSlices, others: Promise<Renames>): AsyncIterable<SliceAhead> {
  // Its failure is met where it is waited for.
  others.catch(() => undefined);
  return oneAhead(lookAtEach(making, others));
}

async function* lookAtEach(making: MakingSlices, others: Promise<Renames>): AsyncGenerator<SliceAhead> {
  const { whole, known, isRead } = making;
  const { target, work } = whole;
  const extensions = new Set<string>();
  for await (const theirs of isRead && known !== null ? known.slices : readSlices(whole)) {
    const there = await inspectTables(target, targetNames(theirs.trees), { sizes: false });
    const renames = await others;
    const fresh = theirs.extensions.filter(({ name }) => !extensions.has(name));
    for (const { name } of fresh) extensions.add(name);
    const needed = planExtensions(await lookForExtensions(target, fresh));
    const keys = making.altered.size > 0 ? null : await planKeys(keySides(making, theirs, there));
    const isPlain =
      keys?.leaves.length === 0 && keys.above.length === 0 && needed.every(({ steps }) => steps.length === 0);
    const planned =
      isPlain && work.options.schema === 'full'
        ? await planSlice(whole, theirs, { renames, lateKeys: keys.late, there })
        : null;
    yield { theirs, there, needed, keys, planned };
  }
}

function keySides({ whole }: MakingSlices, { trees, objects }: SourceObjects, there: readonly Table[]): KeySides {
  const { target, work, moved } = whole;
  const isPending = ({ mapping }: TableTree) =>
    followsAll(work) && !sameTable(targetName(work, mapping, mapping.from), mapping.to);
  const mayBeLate = work.options.schema === 'full';
  return { target, there, isPending, trees, source: objects, mayBeLate, ...(moved === null ? {} : { moved }) };
}

/** What keys need, and those that are made before all else. */
async function makeNeeds(
  making: MakingSlices,
  { theirs, there, needed, keys }: SliceAhead,
): Promise<{ readonly late: LateKeys; readonly altered: ReadonlySet<string> }> {
  const { deps, run, crew, whole, altered, signal } = making;
  const { target, work } = whole;
  await run.begin(needed);
  await run.make(needed, { stages: ['needs'], watch: target }, signal);
  if (keys !== null) {
    await makeKeys(deps, crew, keys, signal);
    return { late: keys.late, altered };
  }
  const shapes = shapesOf(await readRemembered(target, work));
  const split = splitAltered(theirs.trees, { altered, shapes, there });
  const sides = keySides(making, theirs, there);
  const ofSame = await planKeys({ ...sides, trees: split.same });
  await makeKeys(deps, crew, ofSame, signal);
  const objects = withoutIdentities(theirs.objects);
  const ofAltered = await planKeys({ ...sides, trees: split.altered, source: objects, mayBeLate: false });
  await makeKeys(deps, crew, ofAltered, signal);
  return { late: ofSame.late, altered: split.names };
}

function shapesOf(remembered: ReadonlyMap<string, { readonly shape: Shape | null }>): ReadonlyMap<string, Shape> {
  return new Map([...remembered].flatMap(([name, { shape }]) => (shape === null ? [] : [[name, shape] as const])));
}

/** @returns what is not made yet */
async function makeSlice(
  { run, whole, signal }: MakingSlices,
  planned: readonly PlannedObject[],
): Promise<readonly PlannedObject[]> {
  const make = (stages: readonly ObjectStage[], some = planned) =>
    run.make(some, { stages, watch: whole.target }, signal);
  await run.begin(planned);
  await make(['indexes']);
  refuseLackingKeys(run, planned);
  await make(['constraints', 'inheritance', 'statistics']);
  const late = planned.filter(isLate);
  // Comments may be many; those that need nothing that comes later need not be held until then.
  const held = new Set(late.filter(({ line }) => line.stage === 'foreign keys').map(({ line }) => objectKey(line)));
  const waits = ({ line, needs }: PlannedObject) => line.stage !== 'settings' || needs.some((need) => held.has(need));
  await make(
    ['settings'],
    late.filter((object) => !waits(object)),
  );
  return late.filter(waits);
}

/** What stands between tables, and what stands on them, comes after all slices. */
export const firstLate = objectStages.indexOf('foreign keys');

export function isLate({ line, steps }: PlannedObject): boolean {
  return steps.length > 0 && line.state === 'waiting' && objectStages.indexOf(line.stage) >= firstLate;
}

// Other objects may fail; without its key a table cannot be followed.
function refuseLackingKeys(run: ObjectRun, planned: readonly PlannedObject[]): void {
  for (const { line } of planned) {
    if (line.kind !== 'primary key') continue;
    const end = run.unmade(line);
    if (end?.state !== 'failed') continue;
    throw new SluiceError('upstream', `cannot add the keys of ${line.table} on the target: ${end.reason}`, {
      ...(end.sqlstate === undefined ? {} : { sqlstate: end.sqlstate }),
    });
  }
}
