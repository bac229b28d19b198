// Makes the target ready for rows: what is missing is made, what is there is used if it fits; then the publication.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import type { ObjectLine } from '../mirror/object.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { type Definition, readDefinitions } from '../peers/begun-tables.ts';
import { holdToken } from '../peers/checkpoint.ts';
import { connectSides } from '../peers/connect.ts';
import { ensureDdlCapture } from '../peers/ddl-capture.ts';
import { cannotTake } from '../peers/ddl-fit.ts';
import { planInput, readFactsAndRefusals, readSourceSchema } from '../peers/ddl-input.ts';
import { planAfterDrops, planSchema, type SchemaPlan } from '../peers/ddl-plan.ts';
import { membersOf, type TableTree, tableObject, targetNames } from '../peers/ddl-tree.ts';
import { foundEntities } from '../peers/found-objects.ts';
import { inspectTables } from '../peers/inspect.ts';
import { type TargetFacts, tablesWithRows } from '../peers/inspect-target.ts';
import { forgetTree } from '../peers/known-objects.ts';
import { forgetCopied } from '../peers/known-tables.ts';
import { createPublication } from '../peers/publication.ts';
import {
  type CommonFacts,
  type DatabasePlan,
  planSides,
  readCommon,
  readSourceSide,
  readTargetSide,
} from '../peers/schema/read-plan.ts';
import { readUnlogged, unfollowedPartitions, unfollowedReason, unloggedReason } from '../peers/schema/unlogged.ts';
import type { Sequence } from '../peers/sequences.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import { asChange } from './as-change.ts';
import { followsAll, lookBefore } from './changed-tables.ts';
import type { SnapshotDeps } from './deps.ts';
import { readAhead } from './read-ahead.ts';
import { forgetUnmade, rememberTables, rememberToMake, withoutChanged } from './remember.ts';
import { ensureStream } from './slot.ts';
import { makeBefore } from './steps.ts';
import { readStorage } from './storage.ts';
import { during, readTrees } from './trees.ts';

/**
 * The step `preparing`. May be killed anywhere and called again: it looks at what is there and makes the rest. The caller has
 * claimed the checkpoint.
 * @throws `undefined_table`, `wrong_state` (what is on the target does not fit; all of it in the detail), `upstream` …
 */
export async function prepareTarget(given: SnapshotDeps, signal: AbortSignal): Promise<void> {
  const use = { application: applicationName('prepare', given.work), shelf: given.sessions };
  await using sides = await connectSides(given.work, use, signal);
  const { source, target } = sides;
  const { work, now } = await lookBefore(given, { source, target });
  const deps = { ...given, work };
  const tables = work.tables.map(({ from }) => from);
  const before = followsAll(work) ? undefined : await readStorage(source, tables);
  try {
    await preparePresent(deps, { source, target }, signal);
  } catch (error) {
    throw await asChange(deps, error, { tables, now, before }, signal);
  }
}

async function preparePresent(
  deps: SnapshotDeps,
  { source, target }: Pick<Sides, 'source' | 'target'>,
  signal: AbortSignal,
): Promise<void> {
  const { work } = deps;
  const { definitions, trees } = await readTables(source, work);
  const sides = { deps, source, target, trees, empty: await readUnlogged(source, work), definitions };
  const fitting = await planWhatFits(sides, signal);
  await refuseRows(target, work, fitting);
  await using beside = new Scope(signal);
  // What follows everything tells of each change from the beginning on, which is when the tables stand.
  if (!followsAll(work)) beside.run((stop) => prepareSource(sides, fitting, stop));
  await makeSchema(sides, fitting, signal);
  await noteInheritance(deps, target, trees);
  await beside.join();
  throwIfStopped(signal);
  if (followsAll(work)) {
    await ensureDdlCapture(source, work);
    await publish(source, work, trees);
  }
  if (work.slot !== null && !work.options.do_initial_copy) await ensureStream(deps, { source, target }, signal);
}

// While the target makes its tables, the source has nothing to do.
async function prepareSource(
  { deps, source, trees }: Sides,
  { common: { usualOwner } }: Fitting,
  signal: AbortSignal,
): Promise<void> {
  const { work, memory, log } = deps;
  await publish(source, work, trees);
  if (memory === undefined || signal.aborted) return;
  try {
    const ahead = await readAhead(source, work, { usualOwner, signal });
    if (ahead !== null) memory.keep(work, ahead);
  } catch (error) {
    // Whoever wants it reads it by himself.
    log.debug({ err: toSluiceError(error) }, 'nothing was read ahead');
  }
}

// Before the stream begins, so that it tells of every change from its beginning on.
async function publish(source: Connection, work: MirrorWork, trees: readonly TableTree[]): Promise<void> {
  if (work.slot === null || !work.publication.made) return;
  const tables = trees.map(({ root, mapping: { exclude, where } }) => ({ table: root, exclude, where }));
  await createPublication(source, work.publication.name, tables);
}

// The definitions first: a table that is altered before it is read is taken for altered, never the other way round.
async function readTables(source: Connection, work: MirrorWork) {
  const names = work.tables.map(({ from }) => from);
  const definitions = followsAll(work) ? await readDefinitions(source, names) : [];
  return { definitions, trees: await readTrees(source, work.tables, { sizes: false }) };
}

/**
 * Makes tables anew that were altered on the source since the target's were made, and what they need by now. No row of theirs is
 * copied yet, or all come again.
 * @throws `upstream` if something of the target hangs on them
 */
export async function makeAnew(
  deps: SnapshotDeps,
  { source, target }: Pick<Sides, 'source' | 'target'>,
  signal: AbortSignal,
): Promise<void> {
  const { work } = deps;
  const { definitions, trees } = await readTables(source, work);
  const standing = await inspectTables(
    target,
    work.tables.map(({ to }) => to),
    { sizes: false },
  );
  await target.transaction(async () => {
    await holdToken(target, work);
    for (const table of standing) await forgetTree(target, work, table);
    await forgetCopied(
      target,
      work,
      work.tables.map(({ from }) => from),
    );
  });
  if (standing.length > 0) await dropTables(target, work, standing);
  const sides = { deps, source, target, trees, empty: [], definitions };
  await makeSchema(sides, await planWhatFits(sides, signal), signal);
}

interface Sides {
  readonly deps: SnapshotDeps;
  readonly source: Connection;
  readonly target: Connection;
  readonly trees: readonly TableTree[];
  /** Tables that are made without their rows, where the target has none of their name. */
  readonly empty: readonly TableTree[];
  /** What the tables were before they were read; none where nothing is remembered of them. */
  readonly definitions: readonly Definition[];
}

/** Brings the target's schema about. */
async function makeSchema(sides: Sides, fitting: Fitting, signal: AbortSignal): Promise<void> {
  const { deps, target, trees, empty, definitions } = sides;
  const { plan, database: all, facts, sequences } = fitting;
  const { work } = deps;
  if (!followsAll(work)) await makeBefore(deps, target, { steps: plan.steps, database: all }, signal);
  else {
    const objects = await withoutChanged(target, work, all.objects);
    const early = objects.filter(({ line }) => line.stage === 'before');
    const found = foundEntities({ objects: early });
    const remembered = await rememberToMake(target, work, found, early);
    const unmade = await makeBefore(deps, target, { steps: plan.steps, database: { ...all, objects } }, signal);
    await forgetUnmade(target, work, remembered, (key) => unmade.has(key));
    await rememberTables(target, work, { trees, database: all, definitions, sequences });
  }
  await tellUsed(deps, trees, facts);
  await tellUnlogged(deps, trees, empty);
}

interface Fitting {
  readonly plan: SchemaPlan;
  readonly database: DatabasePlan;
  readonly facts: TargetFacts;
  readonly sequences: readonly Sequence[];
  readonly common: CommonFacts;
}

/** Plans the schema, and drops what is to be replaced. What was read of both sides and is in no plan goes with its return. */
async function planWhatFits({ deps, source, target, trees, empty }: Sides, signal: AbortSignal): Promise<Fitting> {
  const { work } = deps;
  const all = [...trees, ...(await missingOf(target, empty))];
  const common = await readCommon({ source, target }, work);
  const [ofSource, targetSide] = await Promise.all([
    (async () => ({
      schema: await readSourceSchema(source, all),
      side: await readSourceSide(source, work, common),
    }))(),
    readTargetSide(target, work, common),
  ]);
  const { schema } = ofSource;
  const sides = { source: ofSource.side, target: targetSide };
  for (;;) {
    throwIfStopped(signal);
    const facts = await readFactsAndRefusals(target, schema);
    const database = planSides(sides, work, [...trees, ...empty]);
    const input = planInput(schema, facts, work, database);
    const plan = planSchema(input);
    refuse(plan.drop.length === 0 ? plan : planAfterDrops(input));
    if (plan.drop.length === 0) return { plan, database, facts, sequences: schema.sequences, common };
    await dropTables(target, work, plan.drop);
    sides.target = await readTargetSide(target, work, common);
  }
}

function refuse(plan: SchemaPlan): void {
  if (plan.missing.length > 0) {
    const names = plan.missing.map(showTable);
    throw new SluiceError('undefined_table', `target table ${names[0]} does not exist`, {
      detail: `Missing on the target: ${names.join(', ')}.`,
      hint: "Make it, or let the mirror make it: schema = 'tables'.",
    });
  }
  if (plan.problems.length === 0) return;
  const replace = plan.unfit.length > 0 ? '; tables that may be replaced: resync = true' : '';
  const { message, detail } = cannotTake(plan.problems);
  throw new SluiceError('wrong_state', message, {
    detail,
    hint: `${[...plan.remedies, 'Mend it on the target and RESUME MIRROR'].join(' ')}${replace}.`,
  });
}

// Rows that we did not bring are never mixed with ours, and never deleted without being told to.
async function refuseRows(target: Connection, work: MirrorWork, { facts, plan }: Fitting): Promise<void> {
  if (!work.options.do_initial_copy || work.options.resync) return;
  const ours = new Set([...work.tables.map(({ to }) => to), ...plan.joining].map(showTable));
  await refuseFilled(
    target,
    [...facts.tables.values()].filter((table) => table.partitionOf !== null || ours.has(showTable(table))),
  );
}

/** @throws `wrong_state` if one of these tables holds a row */
export async function refuseFilled(target: Connection, tables: readonly TableName[]): Promise<void> {
  const filled = (await tablesWithRows(target, tables)).map(showTable);
  if (filled.length === 0) return;
  throw new SluiceError('wrong_state', `target table ${filled[0]} has rows`, {
    detail: `Not empty: ${filled.join(', ')}.`,
    hint: 'Empty it, or have it replaced: resync = true; or follow changes only: do_initial_copy = false.',
  });
}

async function noteInheritance(
  { report, work }: SnapshotDeps,
  target: Connection,
  trees: readonly TableTree[],
): Promise<void> {
  // Joined after the load.
  if (work.options.schema === 'full') return;
  const heirs = trees.filter(({ root }) => root.inherits.length > 0);
  const there = await inspectTables(
    target,
    heirs.map(({ mapping }) => mapping.to),
  );
  const joined = new Set(there.filter((table) => table.inherits.length > 0).map(showTable));
  const lone = heirs.filter(({ mapping }) => !joined.has(showTable(mapping.to))).map(({ root }) => showTable(root));
  if (lone.length > 0)
    await report.note(`tables that inherit from others stand alone on the target: ${lone.join(', ')}`);
}

async function dropTables(target: Connection, work: MirrorWork, tables: readonly TableName[]): Promise<void> {
  const list = join(tables.map((table) => ident(table.schema, table.name)));
  try {
    await target.transaction(async () => {
      await holdToken(target, work);
      await target.run(sql`drop table if exists ${list}`);
    });
  } catch (error) {
    throw during('cannot replace tables of the target', error, 'Drop what depends on them first.');
  }
}

// Tables that were there before, or that a try before this one made.
async function tellUsed({ report }: SnapshotDeps, trees: readonly TableTree[], facts: TargetFacts): Promise<void> {
  const used = trees.flatMap(membersOf).filter(({ to }) => facts.tables.has(showTable(to)));
  const lines = used.map(({ source }): ObjectLine => ({ ...tableObject(source), stage: 'before', state: 'existed' }));
  if (lines.length > 0) await report.objects(lines);
}

async function missingOf(target: Connection, trees: readonly TableTree[]): Promise<readonly TableTree[]> {
  const there = new Set((await inspectTables(target, targetNames(trees), { sizes: false })).map(showTable));
  return trees.filter(({ mapping }) => !there.has(showTable(mapping.to)));
}

async function tellUnlogged(
  { report, work }: SnapshotDeps,
  trees: readonly TableTree[],
  empty: readonly TableTree[],
): Promise<void> {
  const told: readonly (readonly [readonly Table[], string, string])[] = [
    [empty.map(({ root }) => root), unloggedReason, 'unlogged tables are made and stay empty'],
    [
      work.slot === null ? [] : unfollowedPartitions(trees),
      unfollowedReason,
      'unlogged partitions are copied and their changes do not follow',
    ],
  ];
  for (const [tables, reason, words] of told) {
    if (tables.length === 0) continue;
    const lines = tables.map((table): ObjectLine => {
      return { ...tableObject(table), stage: 'before', state: 'existed', reason };
    });
    await report.objects(lines);
    await report.note(`${words}: ${tables.map(showTable).join(', ')}`);
  }
}
