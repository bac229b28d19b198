// What the lag says while nobody follows: it counts on from the last look that found nothing waiting, and is never a false 0.
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { readMetrics } from '../../src/catalog/metrics.ts';
import { Progress } from '../../src/catalog/progress.ts';
import { writeObservedSlot } from '../../src/catalog/progress-write.ts';
import { type TestCatalog, testCatalog } from '../support/catalog.ts';
import { type RunningWorld, running } from '../support/running.ts';
import { databaseOn, ownServer, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

interface Lag {
  readonly status: string;
  readonly trouble: string | null;
  readonly working: boolean;
  readonly bytes: number;
  readonly seconds: number;
}

async function lag({ database }: TestCatalog): Promise<Lag> {
  const [row] = await database.exec<{ facts: Lag }>(`select to_json(f) as facts from (
    select status, trouble, working, lag_bytes as bytes, lag_seconds as seconds from sluice.mirrors) f`);
  if (row === undefined) throw new Error('there is no mirror');
  return row.facts;
}

/** A mirror that follows and has everything, whose slot nobody else looks at. */
async function caughtUp(it: RunningWorld): Promise<void> {
  await it.source.exec('create table a (id int primary key); insert into a values (0)');
  await it.world.say('create mirror unseen from src to dst with table mapping (public.a:public.a)');
  await until('it has everything', async () => {
    const now = await lag(it.world);
    return now.status === 'running' && now.seconds === 0;
  });
}

test('the seconds of a paused mirror count from its pause, on over RESUME MIRROR, until the stream has told', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target, { slotLookSeconds: 600 });
  await caughtUp(it);
  await it.world.say('pause mirror unseen');
  const first = await lag(it.world);
  expect(first.seconds).toBeGreaterThan(0);
  await source.exec('insert into a select generate_series(1, 1000)');
  await until('it counts', async () => (await lag(it.world)).seconds > first.seconds + 1);
  await it.world.say('resume mirror unseen');
  const seen: Lag[] = [];
  await until('the rows are there', async () => {
    const now = await lag(it.world);
    const [row] = await target.exec<{ n: number }>('select count(*)::int as n from a');
    if (row?.n !== 1001) seen.push(now);
    return row?.n === 1001;
  });
  expect(seen.map(({ seconds }) => seconds).filter((seconds) => seconds < 1)).toEqual([]);
  expect(seen.some(({ status }) => status === 'running')).toBe(true);
  await until('nothing waits', async () => (await lag(it.world)).seconds === 0);
});

test('the seconds of a mirror whose target or slot is gone grow from the first failure', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target, { slotLookSeconds: 600 });
  await caughtUp(it);
  await target.exec('revoke all on table a from public; alter table a rename to b');
  await source.exec('insert into a values (1)');
  await until('it is in trouble', async () => (await lag(it.world)).trouble !== null);
  expect((await lag(it.world)).seconds).toBeGreaterThan(0);
  await target.exec('alter table b rename to a');
  await it.world.say('resume mirror unseen');
  await until('nothing waits', async () => {
    const now = await lag(it.world);
    return now.trouble === null && now.seconds === 0;
  });
  await it.world.say('pause mirror unseen');
  await source.exec(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()',
  );
  await source.exec('insert into a values (2)');
  await it.world.say('resume mirror unseen');
  const before = await lag(it.world);
  await until('it failed', async () => (await lag(it.world)).status === 'failed');
  const failed = await lag(it.world);
  expect(failed.seconds).toBeGreaterThan(before.seconds);
  await until('it grows', async () => (await lag(it.world)).seconds > failed.seconds + 0.5);
});

test.each([14, 18] as const)(
  'what PostgreSQL %i says of a slot whose log it has removed lets the lag grow',
  async (major) => {
    await using own = await ownServer({ major, settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '64MB' } });
    await using source = await databaseOn(own.server.config(), major);
    await using target = await testDatabase(18);
    await using it = await running(source, target, { slotLookSeconds: 0.5 });
    await caughtUp(it);
    await it.world.say('pause mirror unseen');
    await source.exec('insert into a values (1)');
    const lose = async () => {
      await source.exec('select pg_switch_wal()');
      await source.exec('checkpoint');
      const [slot] = await source.exec<{ status: string }>('select wal_status as status from pg_replication_slots');
      return slot?.status === 'lost';
    };
    await until('the slot is lost', lose);
    await it.world.say('resume mirror unseen');
    await until('it failed', async () => (await lag(it.world)).status === 'failed');
    const metrics = async () =>
      (await it.world.catalog.pool.use((db) => readMetrics(db, { mirrors: 10, tables: 10 }))).mirrors[0];
    const told = [await metrics()];
    await source.exec('insert into a select generate_series(2, 2000)');
    await until('the lag grows', async () => {
      const [first, now] = [told[0], await metrics()];
      told.push(now);
      return (
        (now?.lagBytes ?? 0) > (first?.lagBytes ?? 0) + 10_000 && (now?.lagSeconds ?? 0) > (first?.lagSeconds ?? 0) + 2
      );
    });
    const seconds = told.map((now) => now?.lagSeconds ?? 0);
    expect(Math.min(...seconds)).toBeGreaterThan(0);
    expect(seconds).toEqual(seconds.toSorted((a, b) => a - b));
    expect(told.map((now) => now?.lagBytes)).not.toContain(0);
    expect(new Set(told.map((now) => `${now?.slotLost}, ${now?.bytesUntilLost}`))).toEqual(new Set(['true, 0']));
  },
);

test('a look at the slot of a mirror that rests counts from the look before it, and from itself where nothing waits', async () => {
  await using world = await testCatalog();
  await using source = await testDatabase(18);
  await world.peer('src', source);
  await world.peer('dst', world.database);
  await source.exec('create table a (id int primary key)');
  await world.say('create mirror unseen from src to dst with table mapping (public.a:public.a)');
  const [mirror] = await world.database.exec<{ id: string }>('select id from sluice_private.mirrors');
  const id = mirror?.id ?? '';
  const progress = new Progress(world.catalog.pool, { id, name: 'unseen' }, silentLog);
  progress.position({ received: 100n, durable: 100n, sourceEnd: 100n, oldestCommitAt: null });
  await progress.flush();
  const ago = (seconds: number) =>
    world.database.exec(`update sluice_private.positions
      set observed_at = observed_at - interval '${seconds} s', behind_since = behind_since - interval '${seconds} s'`);
  const look = (lagBytes: number) =>
    world.catalog.pool.use((db) =>
      writeObservedSlot(db, id, {
        ...{ slot: 's', active: false, walStatus: 'reserved', invalidation: null, safeWalBytes: null },
        ...{ lagBytes, restartLsn: 50n, confirmedLsn: 100n },
      }),
    );
  await ago(60);
  expect((await lag(world)).seconds).toBeGreaterThanOrEqual(60);
  await look(0);
  const fresh = await lag(world);
  expect(fresh.seconds).toBeGreaterThan(0);
  expect(fresh.seconds).toBeLessThan(30);
  await ago(60);
  await look(500);
  expect(await lag(world)).toMatchObject({ bytes: 500 });
  expect((await lag(world)).seconds).toBeGreaterThanOrEqual(60);
  await ago(60);
  await look(900);
  expect((await lag(world)).seconds).toBeGreaterThanOrEqual(120);
});

test('the seconds of a mirror that says nothing any more count on, though nothing is known to be in its way', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target, { slotLookSeconds: 600 });
  await caughtUp(it);
  // As if the source had not answered for a minute.
  await it.world.database.exec(`create function hold() returns trigger language plpgsql as
    'begin new.observed_at = now() - interval ''1 minute''; new.behind_since = null; return new; end';
    create trigger hold before update on sluice_private.positions for each row execute function hold()`);
  await until('it counts', async () => (await lag(it.world)).seconds >= 60);
  await it.world.database.exec('drop trigger hold on sluice_private.positions');
  await until('nothing waits', async () => (await lag(it.world)).seconds === 0);
});
