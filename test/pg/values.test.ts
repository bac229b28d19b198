// Every value of every type arrives as it is: copied and followed, in binary form and as text, found by a key and by all of a row.
import { expect, test } from 'vitest';
import { expectEqualTables } from '../support/compare.ts';
import { copyAll, mirrorWork, table } from '../support/copied.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { builtinValues, insertValues, ownValues, valuesDefinition } from '../support/values.ts';

const ways = [
  [14, 18],
  [18, 14],
] as const;
const kinds = { builtin: builtinValues, own: ownValues } as const;

test.each(ways)('every value is copied as it is, from PostgreSQL %i to %i', async (from, to) => {
  await using source = await testDatabase(from);
  await using target = await testDatabase(to);
  await source.exec(valuesDefinition);
  const names = Object.keys(kinds).flatMap((what) => [`values_${what}`, `all_${what}`]);
  for (const [what, values] of Object.entries(kinds)) {
    await source.exec(insertValues(`values_${what}`, values, 1));
    await source.exec(`insert into all_${what} table values_${what}; insert into all_${what} table values_${what}`);
  }
  const sides = { from: source, to: target };
  await copyAll(
    mirrorWork(
      sides,
      names.map((name) => table(name)),
      { initial_copy_only: true },
    ),
  );
  const rows = await expectEqualTables(
    source.connection,
    target.connection,
    names.map((name) => table(name).from),
  );
  expect(Math.min(...rows.values())).toBeGreaterThan(3);
});

test.each(
  ways.flatMap(([from, to]) => [
    { from, to, what: 'builtin', form: 'in binary form' } as const,
    { from, to, what: 'own', form: 'as text' } as const,
  ]),
)('every value is followed as it is, from PostgreSQL $from to $to $form', async ({ from, to, what }) => {
  await using source = await testDatabase(from);
  await using target = await testDatabase(to);
  const [keyed, bag] = [`values_${what}`, `all_${what}`];
  // As text, the built-in types go along.
  const tables = what === 'own' ? [keyed, bag, 'values_builtin', 'all_builtin'] : [keyed, bag];
  // Their bytes mean something else before 17.
  const types = Object.keys(builtinValues);
  const textual =
    what === 'builtin' && from > to ? types.filter((type) => /interval|posint|price|word/.test(type)) : [];
  const columns = textual.map((type) => `drop c${types.indexOf(type)}`).join(', ');
  const dropped = textual.length === 0 ? '' : `; alter table ${keyed} ${columns}; alter table ${bag} ${columns}`;
  const builtin = Object.fromEntries(Object.entries(builtinValues).filter(([type]) => !textual.includes(type)));
  const f = await following({ source, target, tables: valuesDefinition + dropped, mirrored: tables });
  const running = f.start();
  const write = async (id: number, rest: string) => {
    const inserts = tables
      .filter((each) => each.startsWith('values'))
      .map((each) => {
        const values = each === 'values_own' ? ownValues : builtin;
        return `${insertValues(each, values, id)}; insert into ${each.replace('values', 'all')} select * from ${each} where id >= ${id}`;
      });
    await source.exec(`begin; ${inserts.join('; ')}; ${rest}; commit`);
    await f.settle();
    for (const name of tables) expect((await f.rows(name)).target, name).toEqual((await f.rows(name)).source);
  };
  // A few are written one by one, many are merged.
  await write(
    1,
    `update ${keyed} set id = -id where id = 2; update ${bag} set id = 100 where id = 3; delete from ${bag} where id = 1`,
  );
  const copies = tables.map(
    (name) =>
      `insert into ${name} select (jsonb_populate_record(v, jsonb_build_object('id', 1000 + v.id * 20 + g))).* from ${name} v, generate_series(1, 4) g where v.id between 11 and 30`,
  );
  const more = tables.map(
    (name) =>
      `update ${name} set id = id + 10000 where id % 3 = 0; update ${name} set c0 = c0 where id % 3 = 1; delete from ${name} where id % 7 = 0`,
  );
  await write(11, [...(what === 'own' ? [] : copies), ...more].join('; '));
  // Identical rows: exactly one of them goes.
  await write(
    31,
    `insert into ${bag} select b.* from ${bag} b, generate_series(1, 2) where id between 11 and 40; delete from ${bag} where ctid in (select min(ctid) from ${bag} group by id)`,
  );
  const [sender] = await source.exec<{ query: string }>(
    `select s.query from pg_stat_activity s join pg_replication_slots r on r.active_pid = s.pid where r.slot_name = '${f.work.name}'`,
  );
  expect(/binary/.test(sender?.query ?? ''), sender?.query).toBe(what === 'builtin');
  await running.stop();
});
