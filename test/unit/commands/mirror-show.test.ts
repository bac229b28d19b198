// What SHOW MIRROR says of a table.
import { expect, test } from 'vitest';
import { type TableFacts, tableLine } from '../../../src/commands/mirror-show.ts';

const table: TableFacts = {
  source_table: 'public.orders',
  target_table: 'shop.orders',
  state: 'waiting',
  rows_estimated: null,
  rows_copied: '0',
  seconds: null,
  seconds_left: null,
  parts: '1',
  parts_copied: '0',
  inserts: '0',
  updates: '0',
  deletes: '0',
  truncates: '0',
  change_bytes: null,
  changes_per_second: null,
  conflicts: null,
};

test('a table that waits says where it will go', () => {
  expect(tableLine(table)).toBe('waiting to shop.orders');
});

test('a table that is copied tells how far, how fast and how long', () => {
  const now = { ...table, state: 'copying', rows_copied: '1200', rows_estimated: '4800', seconds: '2' };
  expect(tableLine(now)).toBe('copying to shop.orders: 1,200 of about 4,800 (25 %) rows, 600 rows/s, 6 s left');
});

test('a table of many parts tells how many of them are copied, and what was reckoned is believed', () => {
  const now = {
    ...{ ...table, state: 'copying', rows_copied: '1200', rows_estimated: '4800', seconds: '2' },
    ...{ seconds_left: '185', parts: '12', parts_copied: '3' },
  };
  expect(tableLine(now)).toBe(
    'copying to shop.orders: 1,200 of about 4,800 (25 %) rows, 3 of 12 parts, 600 rows/s, 3 min 05 s left',
  );
});

test('a copied table tells its rows and what changed since', () => {
  const now = {
    ...table,
    state: 'copied',
    rows_copied: '1234567',
    rows_estimated: '9999999',
    seconds: '10',
    inserts: '1000',
  };
  expect(tableLine(now)).toBe('copied to shop.orders: 1,234,567 rows, 123,457 rows/s, 1,000 inserts');
  const followed = { ...now, change_bytes: '2097152', changes_per_second: 12.4, conflicts: '2' };
  expect(tableLine(followed)).toMatch(/1,000 inserts, 2.0 MB of changes, 12 changes\/s, 2 conflicts$/);
});
