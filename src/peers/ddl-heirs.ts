// Tables that inherit: whether one can be made as the heir of its parents, with only its own columns. Pure.
import { showTable, type Table, type TableName } from '../pg/table.ts';
import type { Member, PlanContext } from './ddl-tree.ts';

/**
 * The parents' names on the target where a table can be made as their heir; none: it is made with all of its columns and joined
 * after the load. Its columns come in the order in which the source has them either way: `INHERITS` puts the parents' first, so
 * that a parent which got a column later, or was joined later, may give another.
 */
export function heirOf(context: PlanContext, { source, tree }: Member): readonly TableName[] {
  if (source.inherits.length === 0 || source.partitionOf !== null) return [];
  if (tree.mapping.exclude.length > 0 || context.added.length > 0) return [];
  const parents: Member[] = [];
  for (const name of source.inherits) {
    const parent = context.members.get(showTable(name));
    if (parent === undefined || parent.tree.mapping.exclude.length > 0) return [];
    // One that stands on the target may have other columns than the source's.
    const there = context.target.tables.get(showTable(parent.to))?.columns ?? parent.source.columns;
    if (there.length !== parent.source.columns.length) return [];
    if (there.some((column, i) => column.name !== parent.source.columns[i]?.name)) return [];
    parents.push(parent);
  }
  const handed = parents.flatMap((parent) => parent.source.columns);
  const order = new Set([...handed, ...source.columns.filter((column) => column.local)].map((column) => column.name));
  const own = source.columns.map((column) => column.name);
  if (order.size !== own.length || [...order].some((name, i) => name !== own[i])) return [];
  // Of two parents' defaults the server takes none, if the table itself has not said which.
  const torn = source.columns.some((column) => {
    const theirs = handed.filter((each) => each.name === column.name);
    return !column.local && new Set(theirs.map((each) => each.default)).size > 1;
  });
  return torn ? [] : parents.map((parent) => parent.to);
}

/** The columns of a table's parents by name, as the source has them. */
export function handedDown(context: PlanContext, source: Table): ReadonlyMap<string, Table['columns']> {
  const handed = new Map<string, Table['columns'][number][]>();
  for (const name of source.inherits) {
    for (const column of context.members.get(showTable(name))?.source.columns ?? []) {
      const list = handed.get(column.name);
      if (list === undefined) handed.set(column.name, [column]);
      else list.push(column);
    }
  }
  return handed;
}
