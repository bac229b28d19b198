// The tables that a mirror of a database or of schemas stands for, as the source has them now.
import { type MirroredTable, type MirrorWork, withSchemas } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { listTables } from './inspect.ts';

type Include = Parameters<typeof listTables>[2];

/** Each as it would be mirrored; none for a mirror of single tables. */
export async function tablesInScope(
  source: Connection,
  { scope, ...work }: Pick<MirrorWork, 'scope' | 'source' | 'target'>,
  include: Include = {},
): Promise<readonly MirroredTable[]> {
  const whole = { key: null, exclude: [], where: null };
  if (scope.kind === 'tables') return [];
  const ours = new Set([work.source.metadataSchema, work.target.metadataSchema]);
  if (scope.kind === 'all') {
    const all = (await listTables(source, undefined, include)).filter(({ schema }) => !ours.has(schema));
    return all.map((table) => ({ ...whole, from: table, to: table }));
  }
  const list: MirroredTable[] = [];
  for (const pair of scope.pairs) {
    for (const table of await listTables(source, pair.from, include)) {
      list.push({ ...whole, from: table, to: { schema: pair.to, name: table.name } });
    }
  }
  return withSchemas(list, scope);
}

/** Those that the mirror did not begin with, also under another name. */
export async function listNewTables(source: Connection, work: MirrorWork): Promise<readonly TableName[]> {
  const { scope, slot, tables } = work;
  const without = scope.kind === 'schemas' ? { without: scope.pairs.map(({ from }) => from) } : {};
  const now = await tablesInScope(source, work, { unlogged: slot === null, ...without });
  const known = new Set(tables.map(({ from }) => showTable(from)));
  return now.map(({ from }) => from).filter((table) => !known.has(showTable(table)));
}
