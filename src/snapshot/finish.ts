// After the load: primary keys and indexes of replica identities, statistics, sequences; durable before it ends.
import { SluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { applicationName } from '../mirror/work.ts';
import { holdToken, readCopiedTables } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { addPrimaryKey } from '../peers/ddl.ts';
import { type Member, membersOf, type TableTree, targetNames } from '../peers/ddl-tree.ts';
import { addIdentityIndex, findIdentityIndexes, readIdentityIndexes, takenNames } from '../peers/identity-index.ts';
import { inspectTables } from '../peers/inspect.ts';
import { moveSequences } from '../peers/sequences.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, type Sql, sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import { flushTarget } from './flush.ts';
import { during, readTrees } from './trees.ts';

/**
 * The step `finishing`. May be killed anywhere and called again: what stands already is left. The caller has claimed the
 * checkpoint.
 * @throws `wrong_state` if a table is not copied, `upstream` with what failed …
 */
export async function finishSnapshot(deps: SnapshotDeps, signal: AbortSignal): Promise<void> {
  const { work, report } = deps;
  const use = { application: applicationName('finish', work) };
  await using source = await connectPeer(work.source, use, signal);
  await using target = await connectPeer(work.target, use, signal);
  if (work.options.do_initial_copy) await refuseUnfinished(deps, target);
  const trees = await readTrees(source, work.tables);
  const there = await inspectTables(target, targetNames(trees));
  if (work.options.schema !== 'none') await addKeys(deps, await keyJobs({ source, target }, { trees, there }), signal);
  if (work.options.do_initial_copy) await analyze(deps, trees, signal);
  const tables = { source: trees.flatMap((tree) => [tree.root, ...tree.partitions]), target: there };
  const { missing } = await moveSequences({ source, target }, sequenceMapping(trees), tables).catch(
    (error: unknown) => {
      throw during('cannot bring the sequences of the target forward', error);
    },
  );
  if (missing.length > 0) {
    await report.note(`sequences without a counterpart on the target: ${missing.map(showTable).join(', ')}`);
  }
  throwIfStopped(signal);
  await flushTarget(target, work);
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

interface KeyJob {
  readonly table: TableName;
  readonly statements: readonly Sql[];
  readonly bytes: number;
}

interface KeyJobs {
  /** Side by side, largest first. */
  readonly leaves: readonly KeyJob[];
  /** After them, one by one: tables that take the leaves' indexes as their own. */
  readonly above: readonly KeyJob[];
}

/** Primary keys, and the index of a replica identity. Tables that have a key keep it. */
async function keyJobs(
  db: { readonly source: Connection; readonly target: Connection },
  sides: { readonly trees: readonly TableTree[]; readonly there: readonly Table[] },
): Promise<KeyJobs> {
  const byName = new Map(sides.there.map((table) => [showTable(table), table]));
  const members = sides.trees.flatMap((tree) =>
    // Deepest first: parents come before children in the tree.
    membersOf(tree)
      .toReversed()
      .flatMap((member) => {
        const table = byName.get(showTable(member.to));
        const ours = member.source === tree.root || table?.partitionOf != null;
        return table === undefined || table.primaryKey !== null || !ours ? [] : [{ ...member, table }];
      }),
  );
  const indexes = await readIdentityIndexes(
    db.source,
    members.filter(takesIdentity).map(({ source }) => source),
  );
  const identified = members.filter(({ source }) => indexes.has(source.oid));
  const standing = await findIdentityIndexes(
    db.target,
    new Map(identified.map(({ source, table }) => [table.oid, source.identityColumns ?? []])),
  );
  const taken = await takenNames(
    db.target,
    identified.flatMap(({ source, to }) => {
      const index = indexes.get(source.oid);
      return index === undefined ? [] : [{ schema: to.schema, name: index.name }];
    }),
  );
  const leaves: KeyJob[] = [];
  const above: KeyJob[] = [];
  for (const { source, to, tree, table } of members) {
    const key = addPrimaryKey(source, to, tree.mapping.exclude);
    const index = indexes.get(source.oid);
    const statements = [
      ...(key === null ? [] : [key]),
      ...(index === undefined ? [] : addIdentityIndex(source, index, { to, taken, standing: standing.get(table.oid) })),
    ];
    if (statements.length === 0) continue;
    const bytes = source.leaves.reduce((sum, leaf) => sum + leaf.bytes, 0);
    (table.kind === 'p' ? above : leaves).push({ table: to, statements, bytes });
  }
  return { leaves: leaves.toSorted((a, b) => b.bytes - a.bytes), above };
}

// One that has another identity keeps it; nullable columns, which the server refuses, are found in tables that stood before.
function takesIdentity({ source, tree, table }: Member & { readonly table: Table }): boolean {
  const there = new Map(table.columns.map((column) => [column.name, column]));
  return (
    table.replicaIdentity === 'd' &&
    (source.identityColumns ?? []).every(
      (column) => there.get(column)?.notNull === true && !tree.mapping.exclude.includes(column),
    )
  );
}

async function addKeys(deps: SnapshotDeps, { leaves, above }: KeyJobs, signal: AbortSignal): Promise<void> {
  await inParallel(deps, leaves, addKey(deps), signal);
  // One after another, as one may be above another.
  await inParallel({ ...deps, parallel: 1 }, above, addKey(deps), signal);
}

function addKey({ work }: SnapshotDeps) {
  return async (target: Connection, job: KeyJob) => {
    try {
      await target.transaction(async () => {
        await holdToken(target, work);
        for (const statement of job.statements) await target.run(statement);
      });
    } catch (error) {
      throw during(`cannot add the keys of ${showTable(job.table)} on the target`, error);
    }
  };
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
  await inParallel(deps, groups, run, signal);
}

async function inParallel<T>(
  deps: SnapshotDeps & { readonly parallel?: number },
  items: readonly T[],
  run: (target: Connection, item: T) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (items.length === 0) return;
  const { work } = deps;
  await using scope = new Scope(signal);
  const left = [...items];
  const workers = Math.min(items.length, deps.parallel ?? work.options.snapshot_num_tables_in_parallel);
  for (let i = 0; i < workers; i++) {
    scope.run(async (stop) => {
      await using target = await connectPeer(work.target, { application: applicationName('finish', work) }, stop);
      await target.run(sql`set maintenance_work_mem = '256MB'`);
      await target.run(sql`set synchronous_commit = off`);
      for (let item = left.shift(); item !== undefined; item = left.shift()) {
        throwIfStopped(stop);
        await run(target, item);
      }
    });
  }
  await scope.join();
  throwIfStopped(signal);
}
