// Primary keys and the indexes of replica identities: what following needs, so that a failure here is one of the step.

import type { ObjectLine } from '../mirror/object.ts';
import { holdToken } from '../peers/checkpoint.ts';
import { addPrimaryKey } from '../peers/ddl.ts';
import { type Member, membersOf, type TableTree } from '../peers/ddl-tree.ts';
import { addIdentityIndex, findIdentityIndexes, takenNames } from '../peers/identity-index.ts';
import { indexNames } from '../peers/objects-input.ts';
import { indexObject } from '../peers/objects-plan-index.ts';
import type { IndexFacts, TableObjects } from '../peers/objects-read.ts';
import type { Connection } from '../pg/client.ts';
import type { Sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import { inParallel, inTurn } from './parallel.ts';
import { during } from './trees.ts';

interface KeyJob {
  readonly table: TableName;
  readonly statements: readonly Sql[];
  readonly bytes: number;
  readonly line: ObjectLine | null;
}

interface KeyJobs {
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
}

/** Makes what is missing. Tables that have a key keep it. @throws with the table that could not have its key */
export async function addKeys(deps: SnapshotDeps, sides: KeySides, signal: AbortSignal): Promise<void> {
  const { leaves, above } = await keyJobs(sides);
  await inParallel(deps.work, leaves, addKey(deps), signal);
  // One after another, as one may be above another.
  await inTurn(deps.work, above, addKey(deps), signal);
}

async function keyJobs({ target, trees, source: objects, there }: KeySides): Promise<KeyJobs> {
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
  const names = indexNames(all, objects.indexes);
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
  const taken = await takenNames(target, [...identities.values()].map(nameOf));
  const leaves: KeyJob[] = [];
  const above: KeyJob[] = [];
  for (const member of members) {
    const { source, to, tree, table } = member;
    const key = addPrimaryKey(source, to, tree.mapping.exclude, keys.get(source.oid)?.options);
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
    const facts = (key === null ? undefined : keys.get(source.oid)) ?? index;
    const line = facts === undefined ? null : lineOf(facts, source, statements);
    (table.kind === 'p' ? above : leaves).push({ table: to, statements, bytes, line });
  }
  return { leaves: leaves.toSorted((a, b) => b.bytes - a.bytes), above };
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

function addKey({ work, report }: SnapshotDeps) {
  return async (target: Connection, job: KeyJob) => {
    const tell = async (state: 'making' | 'created') => {
      if (job.line !== null) await report.objects([{ ...job.line, state }]);
    };
    await tell('making');
    try {
      await target.transaction(async () => {
        await holdToken(target, work);
        for (const statement of job.statements) await target.run(statement);
      });
    } catch (error) {
      throw during(`cannot add the keys of ${showTable(job.table)} on the target`, error);
    }
    await tell('created');
  };
}
