// Which tables one TRUNCATE may empty.
import { expect, test } from 'vitest';
import { truncatable } from '../../../src/snapshot/empty.ts';

const empty = (tables: Record<number, readonly number[]>, filled: readonly number[]) =>
  [
    ...truncatable(
      Object.entries(tables).map(([oid, referredBy]) => ({ oid: Number(oid), referredBy })),
      new Set(filled),
    ),
  ].toSorted();

test('tables that refer to a filled one come along, those that a table from outside leads to stay out', () => {
  expect(empty({ 1: [], 2: [] }, [1])).toEqual([1]);
  expect(empty({ 1: [2], 2: [3], 3: [], 4: [] }, [1])).toEqual([1, 2, 3]);
  expect(empty({ 1: [2], 2: [1] }, [2])).toEqual([1, 2]);
  expect(empty({ 1: [2], 2: [99], 3: [] }, [1, 2, 3])).toEqual([3]);
});
