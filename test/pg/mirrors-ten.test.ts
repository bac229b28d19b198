// Ten mirrors in one process: they run side by side, each is right, and one in trouble leaves the others alone.
import { expect, test } from 'vitest';
import { expectEqualTables } from '../support/compare.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test('ten mirrors at once copy and follow, and each holds the rows of its source', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  const numbers = Array.from({ length: 10 }, (_, i) => i);
  await source.exec(
    `${numbers
      .map(
        (i) => `create table t${i} (id int primary key, v text);
        insert into t${i} select g, 'old' from generate_series(1, 300) g;`,
      )
      .join('\n')}`,
  );
  for (const i of numbers) {
    await it.world.say(`create mirror of_ten_${i} from src to dst with table mapping (public.t${i}:public.t${i})`);
  }
  const change = async (from: number, to: number) =>
    await source.exec(`do $$ begin
      for n in ${from}..${to} loop
        for i in 0..9 loop
          execute format('insert into t%s values (%s, %L)', i, 300 + n, 'new');
          execute format('update t%s set v = %L where id = %s', i, 'changed ' || n, n);
          execute format('delete from t%s where id = %s', i, 200 + n);
          commit;
        end loop;
      end loop;
    end $$`);
  // Some of it comes while they copy.
  await change(1, 10);
  await until(
    'all stream',
    async () => (await it.world.show('show mirrors')).filter((row) => row.status === 'running').length === 10,
    120_000,
  );
  await change(11, 40);
  const digest = numbers
    .map((i) => `select ${i} as t, count(*)::int as n, sum(hashtextextended(t::text, 0))::text as sum from t${i} t`)
    .join(' union all ');
  const expected = await source.exec(digest);
  await until(
    'all is there',
    async () => JSON.stringify(await target.exec(digest)) === JSON.stringify(expected),
    120_000,
  );
  await expectEqualTables(
    source.connection,
    target.connection,
    numbers.map((i) => ({ schema: 'public', name: `t${i}` })),
  );
  expect(expected).toHaveLength(10);
}, 180_000);
