// What tables are at the moment from which the stream is followed: it tells columns by what they were, not by what they are by then.
import type { TableTree } from '../peers/ddl-tree.ts';
import { readFiles, withFiles } from '../peers/files.ts';
import { type Memory, type ShapeLeaf, shapeLeaves, shapeOf } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type Table } from '../pg/table.ts';
import { nodeIn, type Storage } from './storage.ts';

/**
 * What is to be remembered of them; those that the target has not are left out.
 * @param source sees the tables as of that moment
 * @param there tables of the target, by showTable
 * @param storage where their partitions lay then, or before: of what is written anew from there on the stream may say nothing
 */
export async function shapesNow(
  source: Connection,
  trees: readonly TableTree[],
  there: ReadonlyMap<string, Table>,
  storage: Storage,
): Promise<readonly Memory[]> {
  // A table that is written anew before it is copied is not copied.
  const files = await readFiles(
    source,
    trees.map(({ root }) => root.oid),
  );
  return trees.flatMap(({ mapping, root }): Memory[] => {
    const to = there.get(showTable(mapping.to));
    if (to === undefined) return [];
    const shape = withFiles(shapeOf(mapping, root, to), files.get(root.oid));
    return [
      { table: showTable(mapping.from), shape, leaves: shapeLeaves(root).map((leaf) => withNode(leaf, storage)) },
    ];
  });
}

function withNode(leaf: ShapeLeaf, storage: Storage): ShapeLeaf {
  return { ...leaf, node: nodeIn(storage, leaf) };
}
