// What an error of a copy means where the schema has changed under it: it begins anew with what the source has by now.
import { SluiceError } from '../base/errors.ts';
import { applicationName } from '../mirror/work.ts';
import { type Definition, definitionsOf } from '../peers/begun-tables.ts';
import { connectPeer } from '../peers/connect.ts';
import { typesUsed } from '../peers/told-types.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { isVanished } from '../pg/vanished.ts';
import { followsAll, type Present } from './changed-tables.ts';
import { lookForTypes } from './changed-types.ts';
import type { SnapshotDeps } from './deps.ts';
import type { Sides } from './start.ts';
import { readStorage, type Storage } from './storage.ts';

/**
 * The error of a part, or `source_changed` if its tables or their types are not any more what the copy has begun with: that is
 * looked at when the copy begins again, for which other tables need not wait.
 * @param of `before`: where the tables lay when it began, for mirrors that follow no changes of the schema
 */
export async function asChange(
  { work }: SnapshotDeps,
  error: unknown,
  of: { readonly tables: readonly TableName[]; readonly now: Present['now']; readonly before?: Storage | undefined },
  signal: AbortSignal,
): Promise<unknown> {
  if (!(error instanceof SluiceError) || !mayComeOfIt.has(error.kind) || error.retry === 'backoff') return error;
  if (isVanished(error)) {
    const { detail, server } = error;
    return new SluiceError('source_changed', `something was dropped while it was looked at: ${error.message}`, {
      ...{ detail, server, cause: error },
    });
  }
  if (signal.aborted) return error;
  const isOther = followsAll(work) ? await isAltered(work, of, signal) : await isReplaced(work, of, signal);
  if (!isOther) return error;
  const names = of.tables.slice(0, mostNames).map(showTable).join(', ');
  return new SluiceError('source_changed', `the schema of the source changed while this was copied: ${names}`, {
    detail: error.message,
    cause: error,
  });
}

async function isAltered(
  work: SnapshotDeps['work'],
  of: { readonly tables: readonly TableName[]; readonly now: Present['now'] },
  signal: AbortSignal,
): Promise<boolean> {
  const use = { application: applicationName('snapshot', work) };
  await using source = await connectPeer(work.source, use, signal);
  await using target = await connectPeer(work.target, use, signal);
  const before = of.tables.flatMap((table) => of.now.get(showTable(table))?.is ?? []);
  const oids = before.map(({ oid }) => oid);
  const isSame = text(before) === text(await definitionsOf(source, oids));
  return !isSame || (await hasOtherTypes({ source, target }, work, oids));
}

// Dropped and made again: a table that is gone for good is missing when the step begins again, and then the error stands.
async function isReplaced(
  work: SnapshotDeps['work'],
  { tables, before }: { readonly tables: readonly TableName[]; readonly before?: Storage | undefined },
  signal: AbortSignal,
): Promise<boolean> {
  if (before === undefined) return false;
  await using source = await connectPeer(work.source, { application: applicationName('snapshot', work) }, signal);
  const now = await readStorage(source, tables);
  return tables.map(showTable).some((table) => before.has(table) && now.get(table) !== before.get(table));
}

const mayComeOfIt: ReadonlySet<string> = new Set(['upstream', 'wrong_state', 'undefined_table']);
const mostNames = 5;

function text(list: readonly Definition[]): string {
  return JSON.stringify(list.map(({ oid, schema, name, print }) => [oid, schema, name, print].join(' ')).toSorted());
}

async function hasOtherTypes(sides: Sides, work: SnapshotDeps['work'], tables: readonly number[]): Promise<boolean> {
  if (work.options.schema !== 'full') return false;
  const { enums, types } = await lookForTypes(sides, work);
  const oids = [...enums, ...types].map(({ oid }) => oid);
  return oids.length > 0 && (await typesUsed(sides.source, tables, oids)).size > 0;
}
