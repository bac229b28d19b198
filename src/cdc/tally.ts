// Sums of what was changed, table by table. Pure.
import type { AppliedTable } from '../peers/apply-table.ts';
import type { TableCounts } from '../peers/apply-walk.ts';
import type { TableChanges } from './report.ts';

export function addTable(sum: TableChanges | undefined, more: TableChanges): TableChanges {
  return {
    inserts: (sum?.inserts ?? 0) + more.inserts,
    updates: (sum?.updates ?? 0) + more.updates,
    deletes: (sum?.deletes ?? 0) + more.deletes,
    truncates: (sum?.truncates ?? 0) + more.truncates,
    bytes: (sum?.bytes ?? 0) + more.bytes,
  };
}

/** Into `sum`. */
export function addCounts(sum: Map<AppliedTable, TableCounts>, more: ReadonlyMap<AppliedTable, TableCounts>): void {
  for (const [table, counts] of more) sum.set(table, { ...addTable(sum.get(table), counts) });
}
