// After the load: keys, then all else that belongs to the tables, statistics, sequences; durable before it ends.
import { SluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { type ObjectStage, objectStages } from '../mirror/object.ts';
import { applicationName } from '../mirror/work.ts';
import { endLeftovers, readCopiedTables } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { membersOf, type TableTree, targetNames } from '../peers/ddl-tree.ts';
import { inspectTables } from '../peers/inspect.ts';
import { lookAtTables, lookAtTarget, lookForExtensions } from '../peers/objects-look.ts';
import { planExtensions, planObjects } from '../peers/objects-plan.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import { followObjects } from '../peers/schema/follow-tables.ts';
import { planSides, readTargetSide } from '../peers/schema/read-plan.ts';
import { readUnlogged } from '../peers/schema/unlogged.ts';
import { moveSequences } from '../peers/sequences.ts';
import { moveFreeSequences } from '../peers/sequences-free.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import { compareCatalogs, makeAgain, planAll, readSource } from './closing.ts';
import type { SnapshotDeps } from './deps.ts';
import { flushTarget } from './flush.ts';
import { addKeys } from './keys.ts';
import { ObjectRun } from './objects.ts';
import { inParallel } from './parallel.ts';
import { during, readTrees } from './trees.ts';

/**
 * The step `finishing`. May be killed anywhere and called again: what stands already is left. The caller has claimed the
 * checkpoint. What the target refuses, of all but keys, is told in the ledger and stops nothing.
 * @throws `wrong_state` if a table is not copied, `upstream` with what failed …
 */
export async function finishSnapshot(deps: SnapshotDeps, signal: AbortSignal): Promise<void> {
  const { work, report } = deps;
  const use = { application: applicationName('finish', work) };
  await using source = await connectPeer(work.source, use, signal);
  await using target = await connectPeer(work.target, use, signal);
  await endLeftovers(target, work, ['finish']);
  if (work.options.do_initial_copy) await refuseUnfinished(deps, target);
  const mirrored = await readTrees(source, work.tables);
  const trees = [...mirrored, ...(await readUnlogged(source, work))];
  const there = await makeAll(deps, { source, target }, { trees, mirrored, signal });
  const tables = { source: trees.flatMap((tree) => [tree.root, ...tree.partitions]), target: there };
  const { missing } = await moveSequences({ source, target }, sequenceMapping(trees), tables).catch(
    (error: unknown) => {
      throw during('cannot bring the sequences of the target forward', error);
    },
  );
  if (missing.length > 0) {
    await report.note(`sequences without a counterpart on the target: ${missing.map(showTable).join(', ')}`);
  }
  await moveFreeSequences({ source, target }, work);
  throwIfStopped(signal);
  await flushTarget(target, work);
}

interface Trees {
  /** All that are on the target, or should be. */
  readonly trees: readonly TableTree[];
  /** Those of them whose rows are there too. */
  readonly mirrored: readonly TableTree[];
}

interface Making extends Trees {
  readonly deps: SnapshotDeps;
  readonly run: ObjectRun;
  readonly source: Connection;
  readonly target: Connection;
  /** Lets the target's planner know the rows. */
  readonly rows: () => Promise<void>;
}

/** @returns the mirror's tables on the target */
async function makeAll(
  deps: SnapshotDeps,
  { source, target }: { readonly source: Connection; readonly target: Connection },
  { trees, mirrored, signal }: Trees & { readonly signal: AbortSignal },
): Promise<readonly Table[]> {
  const { work } = deps;
  const rows = async () => {
    if (work.options.do_initial_copy) await analyze(deps, mirrored, signal);
  };
  const standing = () => inspectTables(target, targetNames(trees), { sizes: false });
  if (work.options.schema === 'none') {
    await rows();
    return await standing();
  }
  const run = new ObjectRun(deps);
  const making = { deps, run, source, target, trees, mirrored, rows };
  // Each lets go of what it read when it returns: of 10,000 tables one reading is enough to hold.
  await makeObjects(making, signal);
  if (work.options.schema !== 'full') return await standing();
  const look = () => planAll({ source, target }, work, trees);
  await makeAgain(run, async () => (await look()).planned, target, signal);
  const { planned: now, there } = await look();
  await compareCatalogs(deps, run, now);
  await run.tellScript();
  return there;
}

async function makeObjects(making: Making, signal: AbortSignal): Promise<void> {
  const planned = await makeKeys(making, signal);
  if (making.deps.work.options.schema === 'full') await makeRest(making, planned, signal);
  else await making.rows();
}

/** What keys need, and keys. @returns what comes after them */
async function makeKeys(
  { deps, run, source, target, trees }: Making,
  signal: AbortSignal,
): Promise<readonly PlannedObject[]> {
  const { work } = deps;
  const [{ theirs, side }, ofTarget] = await Promise.all([
    readSource(source, work, trees),
    (async () => ({
      there: await inspectTables(target, targetNames(trees), { sizes: false }),
      side: await readTargetSide(target, work),
    }))(),
  ]);
  const database = planSides({ source: side, target: ofTarget.side }, work, trees);
  await run.begin(database.objects);
  await run.make(database.objects, { stages: ['before'], watch: target }, signal);
  const needed = planExtensions(await lookForExtensions(target, theirs.extensions));
  await run.begin(needed);
  await run.make(needed, { stages: ['needs'], watch: target }, signal);
  const mayBeLate = work.options.schema === 'full';
  const lateKeys = await addKeys(
    deps,
    { target, trees, source: theirs.objects, there: ofTarget.there, mayBeLate },
    signal,
  );
  if (work.options.schema !== 'full') return [];
  const standing = await lookAtTables(target, trees);
  const input = await lookAtTarget(target, theirs, { standing, follows: work.slot !== null });
  const followed = { ...input, source: followObjects(input.source, database.renames) };
  const keepsDeleted = work.options.soft_delete && work.slot !== null;
  const planned = planObjects({ ...followed, lateKeys, keepsDeleted }).filter(({ line }) => line.stage !== 'needs');
  await run.begin(planned);
  return [...planned, ...database.objects];
}

async function makeRest(
  { run, target, rows }: Making,
  planned: readonly PlannedObject[],
  signal: AbortSignal,
): Promise<void> {
  const make = (stages: readonly ObjectStage[]) => run.make(planned, { stages, watch: target }, signal);
  await make(['indexes']);
  refuseLackingKeys(run, planned);
  await make(['constraints', 'inheritance', 'statistics']);
  // With expressions of indexes and extended statistics; and before foreign keys, which are looked at by queries.
  await rows();
  await make(objectStages.slice(objectStages.indexOf('foreign keys')));
}

// Other objects may fail; without its key a table cannot be followed.
function refuseLackingKeys(run: ObjectRun, planned: readonly PlannedObject[]): void {
  for (const { line } of planned) {
    if (line.kind !== 'primary key') continue;
    const end = run.endOf(line);
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

function sequenceMapping(trees: readonly TableTree[]) {
  return trees.flatMap((tree) => membersOf(tree).map((member) => ({ from: member.source, to: member.to })));
}

const analyzedTogether = 40;

// The planner of the target, and the merge of changes, know nothing of the tables before.
async function analyze(deps: SnapshotDeps, trees: readonly TableTree[], signal: AbortSignal): Promise<void> {
  const sized = trees.map(({ mapping, root }) => ({
    to: mapping.to,
    pages: root.leaves.reduce((sum, leaf) => sum + leaf.pages, 0),
  }));
  const large = sized.filter((table) => table.pages >= 1_000).toSorted((a, b) => b.pages - a.pages);
  const small = sized.filter((table) => table.pages < 1_000);
  const groups: TableName[][] = large.map((table) => [table.to]);
  for (let at = 0; at < small.length; at += analyzedTogether) {
    groups.push(small.slice(at, at + analyzedTogether).map((table) => table.to));
  }
  const run = async (target: Connection, tables: TableName[]) => {
    await target.run(sql`analyze ${join(tables.map((table) => ident(table.schema, table.name)))}`);
  };
  await inParallel(deps.work, groups, run, signal);
}
