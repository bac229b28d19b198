// Many tables in one batch: few changes of a table are applied by themselves, many through a staging table, in one target transaction.
import { expect, test } from 'vitest';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

test.each([
  ['as they come', false],
  ['where deleted rows stay', true],
])('a transaction that changes one table much and thirty a little arrives whole, %s', async (_how, deleted) => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const small = Array.from({ length: 30 }, (_, i) => `small_${i}`);
  const f = await following({
    source,
    target,
    tables: `create table much (id int primary key, v text);
      create table bag (v text);
      alter table bag replica identity full;
      insert into bag values ('one'), ('one'), (null);
      create table swapped (id int primary key, u int unique deferrable);
      insert into swapped values (1, 1), (2, 2);
      ${small.map((name) => `create table ${name} (id int primary key, v text); insert into ${name} select g, 'old' from generate_series(1, 6) g;`).join('\n')}`,
    mirrored: ['much', 'bag', 'swapped', ...small],
    options: { soft_delete: deleted },
  });
  const all = ['much', 'bag', 'swapped', 'mark', ...small];
  if (deleted) for (const name of all) await target.exec(`alter table ${name} add "_PEERDB_IS_DELETED" boolean`);
  await source.exec(`begin;
    insert into much select g, 'row ' || g from generate_series(1, 200) g;
    update much set v = 'changed' where id % 3 = 0;
    delete from much where id % 7 = 0;
    delete from bag where ctid = (select min(ctid) from bag where v = 'one');
    insert into bag values (null);
    update swapped set u = 3 - u;
    ${small
      .map(
        (name) => `insert into ${name} values (7, 'new');
          update ${name} set v = 'changed' where id = 1;
          update ${name} set id = 8 where id = 2;
          delete from ${name} where id = 3;
          insert into ${name} values (3, 'back');
          delete from ${name} where id in (4, 5);`,
      )
      .join('\n')}
    commit`);
  const running = f.start();
  await f.settle();
  // While it runs: each table that went through staging has one in its session.
  const staged = await target.exec<{ n: number }>(
    "select count(*)::int as n from pg_class where relkind = 'r' and relpersistence = 't' and relname ~ '^sluice_'",
  );
  await running.stop();
  for (const table of ['much', 'bag', 'swapped', ...small]) {
    const live = deleted ? ' where "_PEERDB_IS_DELETED" is not true' : '';
    const columns = table === 'bag' ? 'v' : table === 'swapped' ? 'id, u' : 'id, v';
    const rows = `select array_agg(t::text order by t::text) as rows from (select ${columns} from ${table}`;
    const [here] = await source.exec(`${rows}) t`);
    const [there] = await target.exec(`${rows}${live}) t`);
    expect(there, table).toEqual(here);
  }
  // Only the table with many changes has one.
  expect(staged[0]?.n).toBe(1);
});

test('a hundred tables that change a little need no staging tables', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const names = Array.from({ length: 100 }, (_, i) => `t${i}`);
  const f = await following({
    source,
    target,
    tables: names.map((name) => `create table ${name} (id int primary key, n int);`).join('\n'),
    mirrored: names,
  });
  await source.exec(`do $$ begin
    for i in 1..3 loop
      for t in 0..99 loop
        execute format('insert into t%s values (%s, 0)', t, i);
        execute format('update t%s set n = n + 1 where id = 1', t);
      end loop;
    end loop;
  end $$`);
  const running = f.start();
  await f.settle();
  const staged = await target.exec(
    "select relname from pg_class where relkind = 'r' and relpersistence = 't' and relname ~ '^sluice_'",
  );
  await running.stop();
  expect(staged).toEqual([]);
  const sums = names.map((name) => `select count(*), sum(n) from ${name}`).join(' union all ');
  expect(await target.exec(sums)).toEqual(await source.exec(sums));
});
