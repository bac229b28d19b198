// Primary keys and the indexes of replica identities: what following needs, so that a failure here is one of the step.

import { chunksOf } from '../base/chunks.ts';
import type { ObjectLine } from '../mirror/object.ts';
import { holdToken } from '../peers/checkpoint.ts';
import { addPrimaryKey } from '../peers/ddl.ts';
import { type Member, membersOf, type TableTree } from '../peers/ddl-tree.ts';
import { addIdentityIndex, findIdentityIndexes, takenNames } from '../peers/identity-index.ts';
import { indexNames, type LateKeys, namesBy } from '../peers/objects-input.ts';
import { indexObject } from '../peers/objects-plan-index.ts';
import type { IndexFacts, TableObjects } from '../peers/objects-read.ts';
import type { Connection } from '../pg/client.ts';
import { join, type Sql } from '../pg/sql.ts';
import { sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import { type Crew, inParallel, inTurn } from './parallel.ts';
import { during } from './trees.ts';

interface KeyJob {
  readonly table: TableName;
  readonly statements: readonly Sql[];
  readonly bytes: number;
  readonly line: ObjectLine | null;
}

export interface KeyJobs {
  /** Those that are left to be made with the tables' other indexes. */
  readonly late: LateKeys;
  /** Side by side, largest first. */
  readonly leaves: readonly KeyJob[];
  /** After them, one by one: tables that take the leaves' indexes as their own. */
  readonly above: readonly KeyJob[];
}

/** What the source has and the target has of the mirror's tables. */
export interface KeySides {
  readonly target: Connection;
  readonly trees: readonly TableTree[];
  readonly source: TableObjects;
  readonly there: readonly Table[];
  /** @see ObjectInput */
  readonly moved?: ReadonlyMap<number, TableName>;
  /** Whether the target's table has another name only until the mirror follows. */
  readonly isPending?: (tree: TableTree) => boolean;
  /** Whether primary keys may be left to be made with other indexes. */
  readonly mayBeLate: boolean;
}

/** Makes them. @throws with the table that could not have its key */
export async function makeKeys(
  deps: SnapshotDeps,
  crew: Crew,
  { leaves, above }: KeyJobs,
  signal: AbortSignal,
): Promise<void> {
  const large = leaves.filter((job) => job.bytes >= smallBytes).map((job) => [job]);
  const small = chunksOf(
    leaves.filter((job) => job.bytes < smallBytes),
    together,
  );
  await inParallel(crew, [...large, ...small], (target, jobs) => addSome(deps, target, jobs), signal);
  // One after another, as one may be above another.
  await inTurn(crew, chunksOf(above, together), (target, jobs) => addSome(deps, target, jobs), signal);
}

function isLarge({ leaves }: Table): boolean {
  return leaves.reduce((sum, leaf) => sum + leaf.bytes, 0) >= smallBytes;
}

/**
 * Whether the key can be built as an index first, beside others of its table, and be made the key in no time after that: under
 * its own name, on a table that no parent hands a key to.
 */
function canBeLate({ source, to, tree, table }: Member & { readonly table: Table }, index: IndexFacts): boolean {
  return (
    table.kind === 'r' &&
    table.partitionOf === null &&
    sameTable(source, to) &&
    tree.mapping.exclude.length === 0 &&
    index.using !== null &&
    index.constraint?.period === false
  );
}

// Below that, a table's key takes less time than its transaction.
const smallBytes = 8 * 1024 * 1024;
const together = 40;

/** What is missing. Tables that have a key keep it. */
export async function planKeys({
  target,
  trees,
  source: objects,
  there,
  mayBeLate,
  moved,
  isPending,
}: KeySides): Promise<KeyJobs> {
  const byName = new Map(there.map((table) => [showTable(table), table]));
  const all = trees.flatMap(membersOf);
  const members = trees.flatMap((tree) =>
    // Deepest first: parents come before children in the tree.
    membersOf(tree)
      .toReversed()
      .flatMap((member) => {
        const table = byName.get(showTable(member.to));
        const ours = member.source === tree.root || table?.partitionOf != null;
        return table === undefined || table.primaryKey !== null || !ours ? [] : [{ ...member, table }];
      }),
  );
  const names = moved === undefined ? indexNames(all, objects.indexes) : namesBy(moved, all, objects);
  const identities = new Map(
    objects.indexes
      .filter((index) => index.identity && index.constraint?.type !== 'p')
      .map((index) => [index.table, index]),
  );
  const keys = new Map(
    objects.indexes.filter((index) => index.constraint?.type === 'p').map((index) => [index.table, index]),
  );
  const identified = members.filter((member) => identities.has(member.source.oid) && takesIdentity(member));
  const standing = await findIdentityIndexes(
    target,
    new Map(identified.map(({ source, table }) => [table.oid, source.identityColumns ?? []])),
  );
  const nameOf = (index: IndexFacts) => names.get(index.oid) ?? index;
  const taken = await takenNames(target, [...identities.values(), ...keys.values()].map(nameOf));
  const late = new Map<number, 'index first' | 'at once'>();
  const indexBytes = new Map<number, number>();
  for (const { table, bytes } of objects.indexes) indexBytes.set(table, (indexBytes.get(table) ?? 0) + bytes);
  const leaves: KeyJob[] = [];
  const above: KeyJob[] = [];
  for (const member of members) {
    const { source, to, tree, table } = member;
    const ofSource = keys.get(source.oid);
    // One whose index stands was begun so, by a try before this one.
    const isBegun = ofSource !== undefined && taken.has(showTable(nameOf(ofSource)));
    const isLate = mayBeLate && ofSource !== undefined && canBeLate(member, ofSource);
    const isSmall = !isLarge(source) && (indexBytes.get(source.oid) ?? 0) < smallBytes && !isBegun;
    if (isLate) late.set(source.oid, isSmall ? 'at once' : 'index first');
    const key = isLate
      ? null
      : addPrimaryKey(
          isPending?.(tree) ? { ...source, name: to.name } : source,
          to,
          tree.mapping.exclude,
          ofSource?.options,
        );
    const index = identified.includes(member) ? identities.get(source.oid) : undefined;
    const identity = index && {
      name: nameOf(index).name,
      constraint: index.constraint !== null,
      using: usingOf(index, member),
    };
    const statements = [
      ...(key === null ? [] : [key]),
      ...(identity === undefined
        ? []
        : addIdentityIndex(source, identity, { to, taken, standing: standing.get(table.oid) })),
    ];
    if (statements.length === 0) continue;
    const bytes = source.leaves.reduce((sum, leaf) => sum + leaf.bytes, 0);
    const facts = (key === null ? undefined : ofSource) ?? index;
    const line = facts === undefined ? null : lineOf(facts, source, statements);
    (table.kind === 'p' ? above : leaves).push({ table: to, statements, bytes, line });
  }
  return { leaves: leaves.toSorted((a, b) => b.bytes - a.bytes), above, late };
}

function lineOf(index: IndexFacts, source: Table, statements: readonly Sql[]): ObjectLine {
  const statement = statements.map((each) => each.text).join('; ');
  return { ...indexObject(index, source), stage: 'indexes', state: 'waiting', bytes: index.bytes, statement };
}

function usingOf(index: IndexFacts, { source, tree }: Member): string | null {
  const excluded = source.columns.some(
    ({ attnum, name }) => index.columns.includes(attnum) && tree.mapping.exclude.includes(name),
  );
  return excluded ? null : index.using;
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

async function addSome(deps: SnapshotDeps, target: Connection, jobs: readonly KeyJob[]): Promise<void> {
  const { report } = deps;
  const lines = (some: readonly KeyJob[], state: 'making' | 'created') =>
    some.flatMap(({ line }) => (line === null ? [] : [{ ...line, state }]));
  await report.objects(lines(jobs, 'making'));
  try {
    await add(deps, target, jobs);
    await report.objects(lines(jobs, 'created'));
  } catch (error) {
    const [first] = jobs;
    if (jobs.length === 1 || target.lost.aborted) throw failure(error, first);
    // Once more one by one, to say which it is.
    for (const job of jobs) {
      await add(deps, target, [job]).catch((again: unknown) => {
        throw failure(again, job);
      });
      await report.objects(lines([job], 'created'));
    }
  }
}

async function add({ work }: SnapshotDeps, target: Connection, jobs: readonly KeyJob[]): Promise<void> {
  await target.transaction(async () => {
    await holdToken(target, work);
    await target.run(
      join(
        jobs.flatMap((job) => job.statements),
        '; ',
      ),
    );
  });
}

function failure(error: unknown, job: KeyJob | undefined) {
  return during(`cannot add the keys of ${job === undefined ? '' : showTable(job.table)} on the target`, error);
}
