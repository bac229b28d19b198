// A hot standby as the source: copied from at any version, followed from 16 on, with the slot on the standby itself.
import { expect, test } from 'vitest';
import { running } from '../support/running.ts';
import { databaseOn, type TestDatabase, testDatabase } from '../support/servers.ts';
import { databaseOnStandby, standbyPair } from '../support/standby.ts';
import { until } from '../support/wait.ts';

async function count(db: TestDatabase, where = 'true'): Promise<number> {
  const [row] = await db.exec<{ n: number }>(`select count(*)::int as n from goods where ${where}`);
  return row?.n ?? 0;
}

const goods = `create table goods (id int primary key, name text);
  insert into goods select n, 'thing ' || n from generate_series(1, 5000) n; analyze goods`;

// SLUICE_LONG_TESTS=1: all majors.
test.each(process.env.SLUICE_LONG_TESTS ? ([16, 17, 18] as const) : ([16, 18] as const))(
  'a mirror copies and follows a standby of PostgreSQL %i, with its slot there and the publication made on the primary',
  async (major) => {
    await using pair = await standbyPair({ major });
    await using primary = await databaseOn(pair.primary.config(), major);
    // Of a type of one's own, so that the stream asks the standby what it is.
    await primary.exec(
      `${goods}; create type mood as enum ('fine', 'sold'); alter table goods add how mood default 'fine'`,
    );
    await pair.caughtUp();
    await using standby = await databaseOnStandby(primary, pair);
    await using target = await testDatabase(18);
    await using run = await running(standby, target);
    const { world } = run;
    const mapping = 'from src to dst with table mapping ({ from: public.goods, to: public.goods })';
    const options = `with (publication_name = 'goods_pub', snapshot_num_rows_per_partition = 1000)`;

    // No publication can be made here: the statement for the primary is told, and does it.
    const refused: { hint?: string } = await world.say(`create mirror from_standby ${mapping}`).then(
      () => ({}),
      (error) => error,
    );
    expect(refused).toMatchObject({ sqlstate: '55000', message: expect.stringContaining('standby') });
    const statement = /Run on the primary: (create publication .*); and give/.exec(refused.hint ?? '')?.[1] ?? '';
    await expect(world.say(`create mirror from_standby ${mapping} ${options}`)).rejects.toMatchObject({
      message: expect.stringContaining('"goods_pub" does not exist'),
      hint: expect.stringContaining('on the primary'),
    });
    await primary.exec(statement.replace('"peerflow_pub_from_standby"', 'goods_pub'));
    await pair.caughtUp();
    const { notices } = await world.say(`create mirror from_standby ${mapping} ${options}`);
    expect(notices.join()).toContain('select pg_log_standby_snapshot()');

    // An idle primary keeps the slot waiting, and SHOW MIRROR says what to do about it.
    await until('it says what it waits for', async () => {
      const rows = await world.show('show mirror from_standby');
      return rows.some(
        ({ property, value }) => property === 'waits for' && value?.includes('pg_log_standby_snapshot()'),
      );
    });
    await primary.exec('select pg_log_standby_snapshot()');
    await until('it follows', async () => (await run.status()) === 'running');
    const after = await world.show('show mirror from_standby');
    expect(after.filter(({ property }) => property === 'waits for')).toEqual([]);
    expect(await count(target)).toBe(5_000);

    await primary.exec("update goods set name = 'sold', how = 'sold' where id = 7; delete from goods where id = 8");
    await primary.exec("insert into goods values (9001, 'new')");
    await until('the changes are there', async () => {
      return (await count(target, "name = 'sold' or id = 9001")) === 2 && (await count(target)) === 5_000;
    });
    await world.say('pause mirror from_standby');
    await primary.exec('update goods set name = upper(name)');
    await world.say('resume mirror from_standby');
    await until('what came meanwhile is there', async () => (await count(target, 'name = upper(name)')) === 5_000);

    // A standby that is away cannot tell its primary what it needs: rows of the catalog are removed under the slot.
    await world.say('pause mirror from_standby');
    await until('it rests', async () => (await run.status()) === 'paused');
    pair.wire.lead(1);
    pair.wire.cut();
    const gone = 'select 1 from pg_stat_replication';
    await until('the primary knows of no standby', async () => (await primary.exec(gone)).length === 0);
    await primary.exec('create table passing (id int)');
    await primary.exec('drop table passing');
    await primary.exec('vacuum pg_catalog.pg_class');
    pair.wire.lead(pair.primary.port);
    await until('the slot is lost', async () => {
      const [slot] = await standby.exec<{ s: string }>('select wal_status as s from pg_replication_slots');
      return slot?.s === 'lost';
    });
    await world.say('resume mirror from_standby');
    const trouble = await until('it is told', async () => {
      const [row] = await world.database.exec<Record<string, string>>(
        "select sqlstate, trouble, hint from sluice.mirrors where sqlstate = '55000'",
      );
      return row;
    });
    expect(trouble.trouble).toContain('has lost the log that it needs');
    expect(trouble.hint).toContain('WITH (resync = true)');
    const [error] = await world.database.exec<{ detail: string }>(
      "select detail from sluice.errors where sqlstate = '55000'",
    );
    expect(error?.detail).toContain('Set hot_standby_feedback = on there');
    await world.say('drop mirror from_standby');
    expect(await standby.exec('select slot_name from pg_replication_slots')).toEqual([]);
  },
  90_000,
);

test('before PostgreSQL 16 a standby cannot be followed, which is said at once, and is copied with several workers', async () => {
  await using pair = await standbyPair({ major: 14, standbySettings: { hot_standby_feedback: 'off' } });
  await using primary = await databaseOn(pair.primary.config(), 14);
  await primary.exec(goods);
  await pair.caughtUp();
  await using standby = await databaseOnStandby(primary, pair);
  await using target = await testDatabase(18);
  await using run = await running(standby, target);
  const create = (options: string) =>
    run.world.say(
      `create mirror copy_14 from src to dst with table mapping (public.goods:public.goods) with (${options})`,
    );
  await expect(create("publication_name = 'p'")).rejects.toMatchObject({
    sqlstate: '55000',
    message: expect.stringContaining('only from PostgreSQL 16'),
    hint: expect.stringContaining('initial_copy_only'),
  });
  const { notices } = await create('initial_copy_only = true, snapshot_num_rows_per_partition = 500');
  expect(notices.join()).toContain('hot_standby_feedback');
  await until('it is copied', async () => (await run.status()) === 'completed');
  expect(await count(target)).toBe(5_000);
}, 60_000);

test('a copy that the standby cancels, because the primary removed rows, says why and begins again by itself', async () => {
  const quick = { hot_standby_feedback: 'off', max_standby_streaming_delay: '0', max_standby_archive_delay: '0' };
  await using pair = await standbyPair({ major: 18, standbySettings: quick });
  await using primary = await databaseOn(pair.primary.config(), 18);
  await primary.exec(`create table goods (id int primary key, name text);
    insert into goods select n, repeat('x', 500) from generate_series(1, 100000) n; analyze goods`);
  await pair.caughtUp();
  await using standby = await databaseOnStandby(primary, pair);
  await using target = await testDatabase(18);
  await using run = await running(standby, target);
  await run.world.say(`create mirror cancelled from src to dst with table mapping (public.goods:public.goods)
    with (initial_copy_only = true, snapshot_throttle = '2 MB/s')`);
  await until('rows are read', async () => {
    const [row] = await run.world.database.exec<{ n: number }>(
      'select coalesce(sum(rows_copied), 0)::int as n from sluice.parts',
    );
    return (row?.n ?? 0) > 100;
  });
  await primary.exec('delete from goods where id <= 100');
  await primary.exec('vacuum goods');
  const trouble = await until('it is in trouble', async () => {
    const [row] = await run.world.database.exec<{ message: string; hint: string; sqlstate: string }>(
      "select message, hint, sqlstate from sluice.errors where sqlstate = '40001'",
    );
    return row;
  });
  expect(trouble.message).toContain('conflict with recovery');
  expect(trouble.hint).toContain('hot_standby_feedback = on');
  await run.world.say("alter mirror cancelled set (snapshot_throttle = '0')");
  await until('it is copied', async () => (await run.status()) === 'completed');
  expect(await count(target)).toBe(99_900);
}, 60_000);
