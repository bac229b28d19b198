// A hot standby as the source: copied from at any version, followed from 16 on, with the slot on the standby itself.
import { expect, test } from 'vitest';
import { running } from '../support/running.ts';
import { databaseOn, testDatabase } from '../support/servers.ts';
import { databaseOnStandby, standbyPair } from '../support/standby.ts';
import { until } from '../support/wait.ts';

test('a mirror copies and follows a standby, with its slot there and the publication made on the primary', async () => {
  await using pair = await standbyPair({ major: 18 });
  await using primary = await databaseOn(pair.primary.config(), 18);
  await primary.exec(`create table goods (id int primary key, name text);
    insert into goods select n, 'thing ' || n from generate_series(1, 5000) n`);
  await pair.caughtUp();
  await using standby = await databaseOnStandby(primary, pair);
  await using target = await testDatabase(18);
  await using run = await running(standby, target);
  const create = (options: string) =>
    run.world.say(`create mirror from_standby from src to dst with table mapping (public.goods:public.goods) ${options}`);
  await primary.exec('create publication goods_pub for table goods');
  await pair.caughtUp();
  await create(`with (publication_name = 'goods_pub')`);
  await until('it waits', async () => console.log(JSON.stringify(await run.world.show('show mirror from_standby'))) as never || true);
  await new Promise(r => setTimeout(r, 4000));
  console.log(JSON.stringify(await run.world.show('show mirror from_standby')));
  await primary.exec('select pg_log_standby_snapshot()');
  await until('it follows', async () => (await run.status()) === 'running');
  await primary.exec("update goods set name = 'sold' where id = 7; delete from goods where id = 8");
  await until('the changes', async () => {
    const [row] = await target.exec<{ n: number }>("select count(*)::int as n from goods where name <> 'sold'");
    return row?.n === 4998;
  });
  await run.world.say('drop mirror from_standby');
  expect(await standby.exec('select slot_name from pg_replication_slots')).toEqual([]);
}, 60_000);
