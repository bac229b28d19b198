// Two databases hold the same rows, or the test fails with the rows that differ.
import { expect } from 'vitest';
import { compareTables, isEqual, type TablePair } from '../../demo/compare.ts';
import type { Connection } from '../../src/pg/client.ts';
import type { TableName } from '../../src/pg/table.ts';

/** Compares the tables (same names on both sides unless a pair says otherwise); gives the rows per table. */
export async function expectEqualTables(
  source: Connection,
  target: Connection,
  tables: readonly (TableName | TablePair)[],
): Promise<ReadonlyMap<string, number>> {
  const pairs = tables.map((table) => ('from' in table ? table : { from: table, to: table }));
  const results = await compareTables(source, target, pairs);
  const different = results.filter((result) => !isEqual(result));
  expect(different, 'tables that differ').toEqual([]);
  return new Map(results.map((result) => [result.table, result.sourceRows]));
}
