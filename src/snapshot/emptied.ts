// Rows that were copied must be there when the copy ends: a table that somebody emptied, or dropped and made again, has no page.
import { SluiceError } from '../base/errors.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { readTablesWithParts } from '../peers/copied-parts.ts';
import { readFilledLeaves, readPages } from '../peers/inspect-target.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type TableName } from '../pg/table.ts';

/**
 * To be called before changes are applied, which may take rows away, and again at the end, with what the first call gave.
 * @param filled leaves of partitioned tables that had a page
 * @returns those that have one
 * @throws `wrong_state` if a table of the target, into which rows were copied, is gone or has no page; all of them in the detail
 */
export async function refuseEmptied(
  target: Connection,
  work: MirrorWork,
  filled: readonly TableName[] = [],
): Promise<readonly TableName[]> {
  if (!work.options.do_initial_copy) return [];
  const copied = await readTablesWithParts(target, work);
  const roots = work.tables.filter(({ from }) => copied.has(showTable(from))).map(({ to }) => to);
  const tables = [...roots, ...filled];
  const pages = await readPages(target, tables);
  const gone = tables.filter((table) => !pages.has(showTable(table)));
  const emptied = tables.filter((table) => pages.get(showTable(table)) === 'none');
  const [first] = [...gone, ...emptied];
  if (first === undefined) return await readFilledLeaves(target, roots);
  const list = (words: string, some: typeof tables) =>
    some.length === 0 ? [] : [`${words}: ${some.map(showTable).join(', ')}.`];
  throw new SluiceError('wrong_state', `the rows that were copied into ${showTable(first)} are not there any more`, {
    detail: [...list('Gone from the target', gone), ...list('Without a row', emptied)].join(' '),
    hint: 'They were dropped, emptied or made again on the target. Drop the mirror and create it anew with resync = true.',
  });
}
