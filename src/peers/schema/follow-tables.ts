// Expressions of tables, of their indexes and constraints, under the names that functions have on the target. Pure.
import type { Table } from '../../pg/table.ts';
import type { TableTree } from '../ddl-tree.ts';
import type { TableObjects } from '../objects-read.ts';
import { follow, type Renames } from './follow.ts';

/** The same tables with defaults, generated columns and partition keys that speak of the target's names. */
export function followTrees(trees: readonly TableTree[], renames: Renames): readonly TableTree[] {
  if (renames.names.size === 0) return trees;
  return trees.map((tree) => ({
    ...tree,
    root: followTable(tree.root, renames),
    partitions: tree.partitions.map((each) => followTable(each, renames)),
  }));
}

function followTable(table: Table, renames: Renames): Table {
  const { partitioning } = table;
  return {
    ...table,
    columns: table.columns.map((column) =>
      column.default === null ? column : { ...column, default: follow(column.default, renames).text },
    ),
    partitioning: partitioning && { ...partitioning, key: follow(partitioning.key, renames).text },
  };
}

/** Foreign keys are left: their tables follow the mapping anyway. */
export function followObjects(objects: TableObjects, renames: Renames): TableObjects {
  if (renames.names.size === 0) return objects;
  const moved = (text: string) => follow(text, renames).text;
  return {
    ...objects,
    indexes: objects.indexes.map((index) => (index.using === null ? index : { ...index, using: moved(index.using) })),
    constraints: objects.constraints.map((each) =>
      each.type === 'c' ? { ...each, definition: moved(each.definition) } : each,
    ),
    statistics: objects.statistics.map((each) => (each.body === null ? each : { ...each, body: moved(each.body) })),
  };
}
