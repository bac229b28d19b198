// After the load: keys, then all else that belongs to the tables, statistics, sequences; durable before it ends.
import { SluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { type ObjectStage, objectKey, objectStages } from '../mirror/object.ts';
import { targetName } from '../mirror/target-name.ts';
import { applicationName } from '../mirror/work.ts';
import { endLeftovers, readCopiedTables } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { membersOf, type TableTree, targetNames } from '../peers/ddl-tree.ts';
import { foundEntities, foundOfTables } from '../peers/found-objects.ts';
import { inspectTables } from '../peers/inspect.ts';
import { lookForExtensions, type SourceObjects } from '../peers/objects-look.ts';
import { planExtensions } from '../peers/objects-plan.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import type { Renames } from '../peers/schema/follow.ts';
import { moveSequences, tableOids } from '../peers/sequences.ts';
import { moveFreeSequences } from '../peers/sequences-free.ts';
import { readRemembered, type Shape } from '../peers/shape.ts';
import { pagesOf } from '../peers/table-heads.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, sql } from '../pg/sql.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import { splitAltered, withoutIdentities } from './altered.ts';
import { asChange } from './as-change.ts';
import { followsAll, lookForTables, type Present } from './changed-tables.ts';
import { compareCatalogs, makeAgain } from './closing.ts';
import type { SnapshotDeps } from './deps.ts';
import { flushTarget } from './flush.ts';
import { addKeys } from './keys.ts';
import { KnownSource } from './known-source.ts';
import { ObjectRun } from './objects.ts';
import { Crew, inParallel } from './parallel.ts';
import { forgetUnmade, type Remembered, rememberToMake, withoutChanged } from './remember.ts';
import type { Sides } from './start.ts';
import { during } from './trees.ts';
import { inTurns, lookAtAll, planOthers, planSlice, readSlices, type Whole } from './whole.ts';

/**
 * The step `finishing`. May be killed anywhere and called again: what stands already is left. The caller has claimed the
 * checkpoint. What the target refuses, of all but keys, is told in the ledger and stops nothing.
 * @throws `wrong_state` if a table is not copied, `upstream` with what failed …
 */
export async function finishSnapshot(given: SnapshotDeps, signal: AbortSignal): Promise<void> {
  const use = { application: applicationName('finish', given.work) };
  await using target = await connectPeer(given.work.target, use, signal);
  await endLeftovers(target, given.work, ['finish']);
  // After that: where both are one database, it would be taken for one of them.
  await using source = await connectPeer(given.work.source, use, signal);
  const present = await lookForTables(given, { source, target });
  const deps = { ...given, work: present.work };
  try {
    await finishPresent(deps, { source, target, altered: alteredOf(present) }, signal);
  } catch (error) {
    // It is looked at anew which of them are there.
    throw await asChange(deps, error, { tables: deps.work.tables.map(({ from }) => from), now: present.now }, signal);
  }
}

function alteredOf({ now }: Present): ReadonlySet<string> {
  return new Set([...now].filter(([, { is, was }]) => was !== undefined && was !== is.print).map(([name]) => name));
}

async function finishPresent(
  deps: SnapshotDeps,
  { source, target, altered }: Sides & { readonly altered: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<void> {
  const { work, report } = deps;
  if (work.options.do_initial_copy) await refuseUnfinished(deps, target);
  const whole = await lookAtAll(source, target, work);
  await makeAll(deps, { whole, altered }, signal);
  const { missing } = await moveAllSequences(whole).catch((error: unknown) => {
    throw during('cannot bring the sequences of the target forward', error);
  });
  if (missing.length > 0) {
    await report.note(`sequences without a counterpart on the target: ${missing.map(showTable).join(', ')}`);
  }
  await moveFreeSequences({ source, target }, work);
  throwIfStopped(signal);
  await flushTarget(target, work);
}

interface Making {
  readonly deps: SnapshotDeps;
  readonly run: ObjectRun;
  readonly crew: Crew;
  /** What need not be waited for before the end. */
  readonly beside: Scope;
  readonly whole: Whole;
  /** Filled with what is read, for the comparison at the end; null where nothing is kept. */
  readonly known: KnownSource | null;
  /** Tables that are not any more what was copied, by showTable of the source's names. */
  readonly altered: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

async function makeAll(
  deps: SnapshotDeps,
  { whole, altered }: Pick<Making, 'whole' | 'altered'>,
  signal: AbortSignal,
): Promise<void> {
  const { schema } = deps.work.options;
  await using crew = new Crew(deps.work, deps.report.note, { purpose: 'finish' });
  if (schema === 'none') return await analyze(crew, whole, signal);
  const run = new ObjectRun(deps, crew);
  await using beside = new Scope(signal);
  const compares = schema === 'full' && !followsAll(deps.work);
  const known = compares ? await KnownSource.before(whole.source, whole.slices.length) : null;
  const making = { deps, run, crew, beside, whole, known, altered, signal };
  // It lets go of what it read when it returns, unless that is little, before both sides are compared.
  await makeObjects(making);
  if (schema === 'full') {
    await makeAgain(run, whole, signal);
    await compareCatalogs(deps, run, { ...whole, known });
    await run.tellScript();
  }
  await beside.join();
}

async function makeObjects(making: Making): Promise<void> {
  const { run, crew, beside, whole, known, signal } = making;
  const { target, work } = whole;
  const { objects: all, renames } = await planOthers(whole, known);
  const objects = followsAll(work) ? await withoutChanged(target, work, all) : all;
  const found = followsAll(work) ? foundEntities({ objects }) : [];
  const remembered = followsAll(work) ? await rememberToMake(target, work, found, objects) : [];
  await run.begin(objects);
  await run.make(objects, { stages: ['before'], watch: target }, signal);
  const { later, toForget } = await makeSlices(making, renames);
  // With expressions of indexes and extended statistics; and before foreign keys and all else that is looked at by queries.
  const last = [...later, ...objects].filter(isLate);
  if (last.length > 0) await analyze(crew, whole, signal);
  else beside.run((stop) => analyze(crew, whole, stop));
  if (whole.work.options.schema !== 'full') return;
  await run.make(last, { stages: objectStages.slice(firstLate), watch: target }, signal);
  await forgetUnmade(target, work, [...toForget, ...remembered], (key) => run.isUnmade(key));
}

// What stands between tables, and what stands on them: after all slices.
const firstLate = objectStages.indexOf('foreign keys');

const isLate = ({ line, steps }: PlannedObject) =>
  steps.length > 0 && line.state === 'waiting' && objectStages.indexOf(line.stage) >= firstLate;

interface MadeSlices {
  /** What comes after that of all tables. */
  readonly later: readonly PlannedObject[];
  /** What is remembered of that, and is to be forgotten where it cannot be made. */
  readonly toForget: readonly Remembered[];
}

/** Keys, indexes and what else is each table's own. */
async function makeSlices(making: Making, renames: Renames): Promise<MadeSlices> {
  const { whole, run, known, signal } = making;
  const { target, work } = whole;
  const later: PlannedObject[] = [];
  const toForget: Remembered[] = [];
  const extensions = new Set<string>();
  let place = 0;
  // The source is read while the target builds.
  for await (const theirs of readSlices(whole)) {
    throwIfStopped(signal);
    known?.slices.push(theirs);
    const { late, altered } = await makeKeys(making, theirs, extensions);
    if (whole.work.options.schema !== 'full') continue;
    const { planned, input } = await planSlice(whole, theirs, { renames, lateKeys: late });
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

/** What keys need, and keys. @returns `late`: tables (OID) whose key is made with their indexes */
async function makeKeys(
  { deps, run, crew, whole, altered, signal }: Making,
  theirs: SourceObjects,
  extensions: Set<string>,
): Promise<{ readonly late: ReadonlySet<number>; readonly altered: ReadonlySet<string> }> {
  const { target, work, moved } = whole;
  const there = await inspectTables(target, targetNames(theirs.trees), { sizes: false });
  const fresh = theirs.extensions.filter(({ name }) => !extensions.has(name));
  for (const { name } of fresh) extensions.add(name);
  const needed = planExtensions(await lookForExtensions(target, fresh));
  await run.begin(needed);
  await run.make(needed, { stages: ['needs'], watch: target }, signal);
  const mayBeLate = work.options.schema === 'full';
  const isPending = ({ mapping }: TableTree) =>
    followsAll(work) && !sameTable(targetName(work, mapping, mapping.from), mapping.to);
  const of = { target, there, crew, isPending, ...(moved === null ? {} : { moved }) };
  if (altered.size === 0) {
    const sides = { ...of, trees: theirs.trees, source: theirs.objects, mayBeLate };
    return { late: await addKeys(deps, sides, signal), altered };
  }
  const shapes = shapesOf(await readRemembered(target, work));
  const split = splitAltered(theirs.trees, { altered, shapes, there });
  const late = await addKeys(deps, { ...of, trees: split.same, source: theirs.objects, mayBeLate }, signal);
  const objects = withoutIdentities(theirs.objects);
  await addKeys(deps, { ...of, trees: split.altered, source: objects, mayBeLate: false }, signal);
  return { late, altered: split.names };
}

function shapesOf(remembered: ReadonlyMap<string, { readonly shape: Shape | null }>): ReadonlyMap<string, Shape> {
  return new Map([...remembered].flatMap(([name, { shape }]) => (shape === null ? [] : [[name, shape] as const])));
}

/** @returns what is not made yet */
async function makeSlice(
  { run, whole, signal }: Making,
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

async function refuseUnfinished({ work }: SnapshotDeps, target: Connection): Promise<void> {
  const copied = await readCopiedTables(target, work);
  const names = work.tables.map((table) => showTable(table.from));
  const unfinished = names.filter((name) => copied.get(name)?.finished !== true);
  if (unfinished.length === 0) return;
  throw new SluiceError('wrong_state', `${unfinished.length} tables are not copied as the target knows it`, {
    detail: `Not copied: ${unfinished.join(', ')}.`,
    hint: 'The target has forgotten commits (a restored backup?). Drop the mirror and create it anew.',
  });
}

async function moveAllSequences({ source, target, trees }: Whole) {
  const members = trees.flatMap(membersOf);
  const mapping = members.map((member) => ({ from: member.source, to: member.to }));
  const there = await tableOids(
    target,
    mapping.map(({ to }) => to),
  );
  const tables = { source: members.map((member) => ({ oid: member.source.oid })), target: there };
  return await moveSequences({ source, target }, mapping, tables);
}

const analyzedTogether = 40;

// The planner of the target, and the merge of changes, know nothing of the tables before.
async function analyze(crew: Crew, { mirrored }: Whole, signal: AbortSignal): Promise<void> {
  if (!crew.work.options.do_initial_copy) return;
  const sized = mirrored.map((tree) => ({ to: tree.mapping.to, pages: pagesOf(tree) }));
  const large = sized.filter((table) => table.pages >= 1_000).toSorted((a, b) => b.pages - a.pages);
  const small = sized.filter((table) => table.pages < 1_000);
  const groups: TableName[][] = large.map((table) => [table.to]);
  for (let at = 0; at < small.length; at += analyzedTogether) {
    groups.push(small.slice(at, at + analyzedTogether).map((table) => table.to));
  }
  const run = async (target: Connection, tables: TableName[]) => {
    await target.run(sql`analyze ${join(tables.map((table) => ident(table.schema, table.name)))}`);
  };
  await inParallel(crew, groups, run, signal);
}
