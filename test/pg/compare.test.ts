// The judge of all other tests is itself tested: the comparison finds every difference, and the bank keeps its total.
import { expect, test } from 'vitest';
import { compareTable, isEqual } from '../../demo/compare.ts';
import { bankTables, bankTotal, openBank, startBank } from '../support/bank.ts';
import { expectEqualTables } from '../support/compare.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const odd = { schema: 'public', name: 'odd "table"' };

test('a comparison finds a missing, a changed and a doubled row, and does not mind order, newlines or NULLs', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const create = 'create table "odd ""table""" (a int, "b c" text, d double precision, e timestamptz)';
  const row = (i: string) =>
    `select ${i}, case when ${i} % 3 > 0 then E'line\\n\\\\' || ${i} end, 0.1 * ${i}, 'epoch'::timestamptz`;
  await source.exec(`${create}; insert into "odd ""table""" ${row('i')} from generate_series(1, 3000) i`);
  await target.exec(`${create}; insert into "odd ""table""" ${row('i')} from generate_series(3000, 1, -1) i`);
  const compare = () => compareTable(source.connection, target.connection, { from: odd, to: odd });
  expect(await compare()).toMatchObject({ sourceRows: 3000, targetRows: 3000, missing: 0, surplus: 0 });

  await target.exec(`delete from "odd ""table""" where a = 7;
    update "odd ""table""" set "b c" = '' where a = 9;
    insert into "odd ""table""" ${row('11')}`);
  const different = await compare();
  expect(different).toMatchObject({ sourceRows: 3000, targetRows: 3000, missing: 2, surplus: 2 });
  expect(isEqual(different)).toBe(false);
  expect(different.examples.join('\n')).toContain('only on the source: (7,');
});

test('the bank’s total is the same in every read while it works, and its tables do change', async () => {
  await using db = await testDatabase(18);
  await openBank(db.connection, 5000);
  const total = await bankTotal(db.connection);
  await using bank = await startBank({ connect: db.connect, writers: 2, pauseMs: 0, seed: 7 });
  await until('some hundred transactions', async () => {
    expect(await bankTotal(db.connection)).toBe(total);
    return bank.counters.committed > 400;
  });
  const counters = await bank.stop('the end');
  expect(counters.rolledBack).toBeGreaterThan(0);
  expect(counters.failed).toBe(0);
  expect(await bankTotal(db.connection)).toBe(total);
  await using other = await testDatabase(14);
  await openBank(other.connection, 5000);
  await expect(expectEqualTables(db.connection, other.connection, bankTables)).rejects.toThrow('tables that differ');
});
