// Unlogged tables in the scope of a mirror that follows: their changes are in no log, so that they are made and stay empty.
import { type MirroredTable, type MirrorWork, withSchemas } from '../../mirror/work.ts';
import type { Connection } from '../../pg/client.ts';
import { showTable, type Table, type TableName } from '../../pg/table.ts';
import { growTrees } from '../ddl-input.ts';
import type { TableTree } from '../ddl-tree.ts';
import { inspectTables, listTables } from '../inspect.ts';

type Work = Pick<MirrorWork, 'tables' | 'scope' | 'slot'> & {
  readonly options: Pick<MirrorWork['options'], 'schema'>;
  readonly target: { readonly metadataSchema: string };
};

export const unloggedReason = 'its rows are not copied: it is unlogged, and its changes are in no log';

export const unfollowedReason =
  'its rows are copied and its changes do not follow: it is unlogged, and they are in no log';

/** Unlogged partitions of tables that are followed. */
export function unfollowedPartitions(trees: readonly TableTree[]): readonly Table[] {
  return trees.flatMap(({ partitions }) => partitions.filter(({ persistence }) => persistence === 'u'));
}

/** The unlogged tables that go along without their rows; none in a mirror that only copies, which copies them. */
export async function readUnlogged(source: Connection, work: Work): Promise<readonly TableTree[]> {
  const { scope, slot } = work;
  if (slot === null || scope.kind === 'tables' || work.options.schema === 'none') return [];
  const mirrored = new Set(work.tables.map(({ from }) => showTable(from)));
  const to = (from: TableName) =>
    scope.kind === 'all' ? from.schema : scope.pairs.find((pair) => pair.from === from.schema)?.to;
  const without = scope.kind === 'schemas' ? { without: scope.pairs.map(({ from }) => from) } : {};
  const mappings = (await listTables(source, undefined, { unlogged: true, ...without })).flatMap(
    (from): MirroredTable[] => {
      const schema = to(from);
      if (schema === undefined || mirrored.has(showTable(from)) || from.schema === work.target.metadataSchema)
        return [];
      return [{ from, to: { schema, name: from.name }, key: null, exclude: [], where: null }];
    },
  );
  const tables = await inspectTables(
    source,
    mappings.map(({ from }) => from),
  );
  const unlogged = tables.filter(({ persistence }) => persistence === 'u');
  return await growTrees(source, withSchemas(mappings, scope), unlogged);
}
