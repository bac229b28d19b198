// After the load: keys, then all else that belongs to the tables, statistics, sequences; durable before it ends.
import { SluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { objectStages } from '../mirror/object.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { endLeftovers, readCopiedTables } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { membersOf } from '../peers/ddl-tree.ts';
import { foundEntities } from '../peers/found-objects.ts';
import { moveSequences, tableOids } from '../peers/sequences.ts';
import { moveFreeSequences } from '../peers/sequences-free.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { Analysis } from './analysis.ts';
import { asChange } from './as-change.ts';
import { followsAll, lookForTables, type Present } from './changed-tables.ts';
import { compareCatalogs, makeAgain } from './closing.ts';
import { madeTables, type SnapshotDeps } from './deps.ts';
import { withoutDropped } from './dropped.ts';
import { refuseEmptied } from './emptied.ts';
import { flushTarget } from './flush.ts';
import { KnownSource } from './known-source.ts';
import { ObjectRun } from './objects.ts';
import { firstLate, isLate, lookAhead, type MakingSlices, makeSlices } from './own-objects.ts';
import { Crew, inTurn } from './parallel.ts';
import { forgetUnmade, rememberToMake, withoutChanged } from './remember.ts';
import type { Sides } from './start.ts';
import { during } from './trees.ts';
import { lookAtAll, planOthers, tablesIn, type Whole } from './whole.ts';

/**
 * The step `finishing`. May be killed anywhere and called again: what stands already is left. The caller has claimed the
 * checkpoint. What the target refuses, of all but keys, is told in the ledger and stops nothing.
 * @throws `wrong_state` if a table is not copied, `upstream` with what failed …
 */
export async function finishSnapshot(given: SnapshotDeps, signal: AbortSignal): Promise<void> {
  const use = { application: applicationName('finish', given.work), shelf: given.sessions };
  await using target = await connectPeer(given.work.target, use, signal);
  await endLeftovers(target, given.work, ['finish']);
  // After that: where both are one database, it would be taken for one of them.
  await using source = await connectPeer(given.work.source, use, signal);
  const present = await lookForTables(given, { source, target });
  if (given.work.options.do_initial_copy) await refuseUnfinished({ ...given, work: present.work }, target);
  const deps = { ...given, work: await withoutDropped(given, present.work, source) };
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
  const look = async () => {
    const ahead = (await deps.memory?.take(work, source)) ?? null;
    const both = { source, target, made: await madeTables(deps) };
    if (ahead === null) return { whole: await lookAtAll(both, work), known: null };
    return { whole: { ...both, work, ...ahead.whole }, known: ahead.known };
  };
  const [{ whole, known }, filled] = await Promise.all([look(), refuseEmptied(target, work)]);
  await makeAll(deps, { whole, altered, known, filled }, signal);
  const forward = 'cannot bring the sequences of the target forward';
  const { missing, refused } = await moveAllSequences(whole).catch((error: unknown) => {
    throw during(forward, error);
  });
  if (missing.length > 0) {
    await report.note(`sequences without a counterpart on the target: ${missing.map(showTable).join(', ')}`);
  }
  const [first] = [...refused, ...(await moveFreeSequences({ source, target }, work))];
  if (first !== undefined) throw during(forward, first.error);
  throwIfStopped(signal);
  await flushTarget(target, work);
}

interface Making extends MakingSlices {
  /** What need not be waited for before the end. */
  readonly beside: Scope;
  readonly analysis: Analysis;
  /** Leaves of the target's partitioned tables that had rows when it began. */
  readonly filled: readonly TableName[];
}

async function makeAll(
  deps: SnapshotDeps,
  { whole, altered, known: ahead, filled }: Pick<Making, 'whole' | 'altered' | 'known' | 'filled'>,
  signal: AbortSignal,
): Promise<void> {
  const { schema } = deps.work.options;
  await using crew = new Crew(deps.work, deps.report.note, { purpose: 'finish' });
  const analysis = await Analysis.of(crew, whole.source, whole.mirrored);
  if (schema === 'none') {
    await analysis.rest(signal);
    await refuseEmptied(whole.target, deps.work, filled);
    return;
  }
  const run = new ObjectRun(deps, crew);
  await using beside = new Scope(signal);
  beside.run((stop) => analysis.begin(stop));
  const compares = schema === 'full' && !followsAll(deps.work);
  const known = ahead ?? (compares ? await KnownSource.before(whole.source, tablesIn(whole)) : null);
  const making = { deps, run, crew, beside, analysis, whole, known, isRead: ahead !== null, altered, filled, signal };
  // It lets go of what it read when it returns, unless that is little, before both sides are compared.
  await makeObjects(making);
  // Once more, for what was done to the target meanwhile.
  const still = async (target: Connection, work: MirrorWork) => void (await refuseEmptied(target, work, filled));
  beside.run((stop) => inTurn(crew, [deps.work], still, stop));
  if (schema === 'full') {
    await makeAgain(run, whole, signal);
    await compareCatalogs(deps, run, { ...whole, known, crew }, signal);
    await run.tellScript();
  }
  await beside.join();
}

async function makeObjects(making: Making): Promise<void> {
  const { run, beside, analysis, whole, signal } = making;
  const { target, work } = whole;
  const others = makeOthers(making);
  const slices = lookAhead(
    making,
    others.then(({ renames }) => renames),
  );
  const { objects, renames, remembered } = await others;
  const { later, toForget } = await makeSlices(making, slices, renames);
  const last = [...later, ...objects].filter(isLate);
  // With expressions of indexes and extended statistics; and before foreign keys and all else that is looked at by queries.
  if (last.length > 0) await analysis.rest(signal);
  else beside.run((stop) => analysis.rest(stop));
  if (whole.work.options.schema !== 'full') return;
  await run.make(last, { stages: objectStages.slice(firstLate), watch: target }, signal);
  await forgetUnmade(target, work, [...toForget, ...remembered], (key) => run.isUnmade(key));
}

/** What belongs to no table, as far as it stands before what does. */
async function makeOthers({ run, whole, known, signal }: Making) {
  const { target, work } = whole;
  const { objects: all, renames } = await planOthers(whole, known);
  const objects = followsAll(work) ? await withoutChanged(target, work, all) : all;
  const found = followsAll(work) ? foundEntities({ objects }) : [];
  const remembered = followsAll(work) ? await rememberToMake(target, work, found, objects) : [];
  await run.begin(objects);
  await run.make(objects, { stages: ['before'], watch: target }, signal);
  return { objects, renames, remembered };
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
