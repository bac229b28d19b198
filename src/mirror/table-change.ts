// Tables that join a mirror, leave it or get another name while it runs. Pure.
import { sameTable, type TableName } from '../pg/table.ts';
import type { MirroredTable } from './work.ts';

export type TableChange =
  | { readonly kind: 'join'; readonly table: MirroredTable }
  | { readonly kind: 'leave'; readonly from: TableName }
  /** `from`: what it was called. */
  | { readonly kind: 'rename'; readonly from: TableName; readonly table: MirroredTable };

/** The tables after the changes, which happen at once: two tables may change names. */
export function withTableChanges(
  tables: readonly MirroredTable[],
  changes: readonly TableChange[],
): readonly MirroredTable[] {
  const kept = tables.flatMap((table): MirroredTable[] => {
    const change = changes.find((each) => each.kind !== 'join' && sameTable(each.from, table.from));
    if (change === undefined) return [table];
    return change.kind === 'rename' ? [change.table] : [];
  });
  const joined = changes.flatMap((each) => (each.kind === 'join' ? [each.table] : []));
  return [...kept, ...joined.filter(({ from }) => !kept.some((each) => sameTable(each.from, from)))];
}
