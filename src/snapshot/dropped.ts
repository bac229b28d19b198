// Tables that were copied and are gone from the source since: their rows stay, and what they had beside them cannot be read any more.
import type { ObjectLine } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { tableObject } from '../peers/ddl-tree.ts';
import { findMissingTables } from '../peers/inspect.ts';
import type { Connection } from '../pg/client.ts';
import { showTable } from '../pg/table.ts';
import { followsAll } from './changed-tables.ts';
import type { SnapshotDeps } from './deps.ts';

const reason =
  'it was dropped or renamed on the source after it was copied: it has its rows, and nothing that was to be made after them';

/** The work without them, each with a line of the ledger. Who follows the whole schema finds them otherwise. */
export async function withoutDropped(
  { report }: Pick<SnapshotDeps, 'report'>,
  work: MirrorWork,
  source: Connection,
): Promise<MirrorWork> {
  if (followsAll(work)) return work;
  const missing = await findMissingTables(
    source,
    work.tables.map(({ from }) => from),
  );
  if (missing.length === 0) return work;
  const names = new Set(missing.map(showTable));
  await report.objects(
    missing.map((table): ObjectLine => ({ ...tableObject(table), stage: 'before', state: 'left_out', reason })),
  );
  await report.note(`dropped or renamed on the source after they were copied: ${[...names].join(', ')}`);
  return { ...work, tables: work.tables.filter(({ from }) => !names.has(showTable(from))) };
}
