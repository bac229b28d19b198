// Sums of what was changed, table by table. Pure.
import type { AppliedTable } from '../peers/apply-table.ts';
import type { TableCounts } from '../peers/apply-walk.ts';
import { showTable } from '../pg/table.ts';
import type { AppliedBatch, TableChanges } from './report.ts';
import type { Batch } from './stops.ts';

export type Times = Pick<AppliedBatch, 'stagedAt' | 'mergedAt' | 'committedAt' | 'acknowledgedAt'>;

/** What is told of a batch that the target has, whose changes were counted by table. */
export function appliedBatch(
  counts: ReadonlyMap<AppliedTable, TableCounts>,
  batch: Batch & Pick<AppliedBatch, 'endLsn' | 'durableLsn'>,
  times: Times,
): AppliedBatch {
  const tables = new Map<string, TableChanges>();
  let changes = 0;
  let bytes = 0;
  for (const [table, each] of counts) {
    const name = showTable(table.from);
    tables.set(name, addTable(tables.get(name), each));
    changes += each.inserts + each.updates + each.deletes + each.truncates;
    bytes += each.bytes;
  }
  const { startLsn, endLsn, durableLsn, transactions, receivedAt } = batch;
  const sourceCommittedAt = batch.sourceCommittedAt ?? times.committedAt;
  const place = { startLsn, endLsn, durableLsn };
  return { ...place, transactions, changes, bytes, receivedAt, ...times, sourceCommittedAt, tables };
}

function addTable(sum: TableChanges | undefined, more: TableChanges): TableChanges {
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
