// Unlogged tables that come while changes are followed: nothing of them is in the log, so that they are told of and not made.
import { type ObjectLine, objectKey } from '../mirror/object.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { tableObject } from '../peers/ddl-tree.ts';
import { readUnlogged } from '../peers/schema/unlogged.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import type { CdcReport } from './report.ts';

const reason =
  'it is unlogged and came while the mirror follows: its changes are in no log, and it is not made. To have it there, make it there';

/** Those in the mirror's scope, as they are now. */
export async function lookAtUnlogged(source: Connection, work: MirrorWork): Promise<readonly MirroredTable[]> {
  const { any } = await source.one<{ any: boolean }>(sql`select exists (select from pg_catalog.pg_class c
    where c.relkind = 'r' and c.relpersistence = 'u' and not c.relispartition and c.oid >= 16384) as any`);
  return any ? (await readUnlogged(source, work)).map(({ mapping }) => mapping) : [];
}

/**
 * Says of each that the target lacks that it does, and of those that went since that they are no matter any more.
 * @param told keys of the lines that were told of, which is kept up to date
 */
export async function tellUnlogged(
  { target, report }: { readonly target: Connection; readonly report: CdcReport },
  unlogged: readonly MirroredTable[],
  told: Set<string>,
): Promise<void> {
  const lines = await lacking(target, unlogged);
  const now = new Set(lines.map(objectKey));
  const gone = [...told].filter((key) => !now.has(key));
  for (const key of gone) told.delete(key);
  if (gone.length > 0) await report.gone(gone);
  const fresh = lines.filter((line) => !told.has(objectKey(line)));
  if (fresh.length === 0) return;
  for (const line of fresh) told.add(objectKey(line));
  await report.objects(fresh);
  for (const { schema, name } of fresh)
    await report.noteOnce(`table ${showTable({ schema, name })} is not on the target: ${reason}`);
}

async function lacking(target: Connection, unlogged: readonly MirroredTable[]): Promise<readonly ObjectLine[]> {
  if (unlogged.length === 0) return [];
  const there = await target.query<{
    schema: string;
    name: string;
  }>(sql`select n.nspname::text as schema, c.relname::text as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(${unlogged.map(({ to }) => to.schema)}::text[]) and c.relname = any(${unlogged.map(({ to }) => to.name)}::text[])`);
  const standing = new Set(there.map(showTable));
  return unlogged
    .filter(({ to }) => !standing.has(showTable(to)))
    .map(({ from }) => ({ ...tableObject(from), stage: 'before', state: 'left_out', reason, statement: '' }));
}
