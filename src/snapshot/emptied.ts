// Rows that were copied must be there when the copy ends: a table that somebody dropped and made again on the target has none.
import { SluiceError } from '../base/errors.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { readTablesWithParts } from '../peers/copied-parts.ts';
import { tablesWithRows } from '../peers/inspect-target.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';

/**
 * To be called before changes are applied, which may take rows away.
 * @throws `wrong_state` if a table of the target, into which rows were copied, is gone or has none; all of them in the detail
 */
export async function refuseEmptied(target: Connection, work: MirrorWork): Promise<void> {
  if (!work.options.do_initial_copy) return;
  const copied = await readTablesWithParts(target, work);
  const tables = work.tables.filter(({ from }) => copied.has(showTable(from))).map(({ to }) => to);
  const there = await readThere(target, tables);
  const gone = tables.filter((table) => !there.has(showTable(table)));
  const present = tables.filter((table) => there.get(showTable(table))?.hidden === false);
  const filled = new Set((await tablesWithRows(target, present)).map(showTable));
  const emptied = present.filter((table) => !filled.has(showTable(table)));
  const [first] = [...gone, ...emptied];
  if (first === undefined) return;
  const list = (words: string, some: typeof tables) =>
    some.length === 0 ? [] : [`${words}: ${some.map(showTable).join(', ')}.`];
  throw new SluiceError('wrong_state', `the rows that were copied into ${showTable(first)} are not there any more`, {
    detail: [...list('Gone from the target', gone), ...list('Without a row', emptied)].join(' '),
    hint: 'They were dropped, emptied or made again on the target. Drop the mirror and create it anew with resync = true.',
  });
}

// Of a table whose policies hold for its owner too, our role may see no row.
async function readThere(target: Connection, tables: readonly TableName[]) {
  const [schemas, names] = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)];
  const rows = await target.query<TableName & { readonly hidden: boolean }>(sql`
    select n.nspname::text as schema, c.relname::text as name, pg_catalog.row_security_active(c.oid) as hidden
    from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${names}::text[])) as wanted(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name`);
  return new Map(rows.map((row) => [showTable(row), row]));
}
