// How far a mirror is behind: told honestly while it runs, while it is paused, and when the source cannot be asked.
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { Scope } from '../../src/base/scope.ts';
import { Progress } from '../../src/catalog/progress.ts';
import type { ReportedPosition } from '../../src/cdc/report.ts';
import { runStep } from '../../src/runner/steps.ts';
import { runSupervisor } from '../../src/runner/supervisor.ts';
import { type TestCatalog, testCatalog } from '../support/catalog.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { testCatchUpBytes, testSpill } from '../support/spill.ts';
import { until } from '../support/wait.ts';

interface Lag {
  readonly status: string;
  readonly lag_bytes: string | null;
  readonly lag_seconds: number | null;
  /** Seconds since the source was looked at. */
  readonly age: number | null;
  readonly reached: boolean | null;
}

async function lag(world: TestCatalog, lsn = '0/0'): Promise<Lag> {
  const [row] = await world.database.exec<Lag>(`select status, lag_bytes, lag_seconds::float8,
    extract(epoch from now() - lag_observed_at)::float8 as age, durable_lsn >= '${lsn}'::pg_lsn as reached
    from sluice.mirrors`);
  if (row === undefined) throw new Error('there is no mirror');
  return { ...row, lag_seconds: row.lag_seconds === null ? null : Number(row.lag_seconds), age: Number(row.age) };
}

test('the lag of a paused mirror grows with the source, and the position of the last write is reached after RESUME', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using world = await testCatalog();
  await world.peer('src', source);
  await world.peer('dst', target);
  await source.exec('create table a (id int primary key, t text)');
  await using scope = new Scope();
  const deps = {
    catalog: world.catalog,
    log: silentLog,
    runStep,
    spill: testSpill,
    catchUpBytes: testCatchUpBytes,
    slotLookSeconds: 0.5,
  };
  scope.run((signal) => runSupervisor(deps, signal));
  await world.say('create mirror lagging from src to dst with table mapping (public.a:public.a)');
  await until('it streams', async () => (await lag(world)).status === 'running');
  await world.say('pause mirror lagging');
  const looks = async () => {
    const [row] = await world.database.exec<{ n: number }>('select count(*)::int as n from sluice.slots');
    return row?.n ?? 0;
  };
  const before = await looks();
  await source.exec("insert into a select n, repeat('x', 100) from generate_series(1, 2000) n");
  const [end] = await source.exec<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  await until('the lag is seen', async () => Number((await lag(world)).lag_bytes) > 200_000);
  await until('the slot is looked at again and again', async () => (await looks()) >= before + 2);
  const paused = await lag(world, end?.lsn);
  expect(paused).toMatchObject({ status: 'paused', reached: false });
  expect(paused.lag_seconds).toBeGreaterThan(0);
  expect(paused.age).toBeLessThan(10);
  const shown = await world.show('show mirror lagging');
  expect(shown.find((row) => row.property === 'lag')?.value).toMatch(
    /bytes, .* s; the source was looked at .* s ago, which/,
  );
  await world.say('resume mirror lagging');
  await until('the last write is durable', async () => (await lag(world, end?.lsn)).reached === true);
  expect(await target.exec('select count(*)::int as n from a')).toEqual([{ n: 2000 }]);
});

test('the seconds count from when something began to wait, not from the last commit before an idle night', async () => {
  await using world = await testCatalog();
  await using source = await testDatabase(18);
  await world.peer('src', source);
  await world.peer('dst', world.database);
  await source.exec('create table a (id int primary key)');
  await world.say('create mirror lagging from src to dst with table mapping (public.a:public.a)');
  const [mirror] = await world.database.exec<{ id: string }>('select id from sluice_private.mirrors');
  const progress = new Progress(world.catalog.pool, { id: mirror?.id ?? '', name: 'lagging' }, silentLog);
  const night = new Date(Date.now() - 30_000_000);
  progress.batch({
    ...{
      startLsn: 1n,
      endLsn: 100n,
      durableLsn: 100n,
      transactions: 1,
      changes: 1,
      receivedAt: night,
      committedAt: night,
    },
    ...{ bytes: 1, stagedAt: null, mergedAt: night, acknowledgedAt: night },
    ...{ sourceCommittedAt: night, tables: new Map() },
  });
  const seconds = async (received: bigint, durable: bigint, agoMs: number | null) => {
    const oldestCommitAt = agoMs === null ? null : new Date(Date.now() - agoMs);
    progress.position({ received, durable, sourceEnd: received, oldestCommitAt });
    await progress.flush();
    return (await lag(world)).lag_seconds ?? -1;
  };
  expect(await seconds(100n, 100n, null)).toBe(0);
  const fresh = await seconds(200n, 100n, 5_000);
  expect(fresh).toBeGreaterThanOrEqual(5);
  expect(fresh).toBeLessThan(30);
  // What waited longest is durable; what came after it still waits.
  expect(await seconds(400n, 399n, 100)).toBeLessThan(5);
  // Log without a commit, of a transaction that is open or of another database, is not waited for.
  expect(await seconds(500n, 399n, null)).toBe(0);
  expect(await seconds(500n, 500n, null)).toBe(0);
});

test('what waits counts from its commit on the source, however late it comes to us', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables: 'create table a (id int primary key)', mirrored: ['a'] });
  // Committed while nobody listens.
  const before = Date.now();
  await source.exec('insert into a values (1)');
  const after = Date.now();
  await source.exec('insert into a values (2); select pg_sleep(1)');
  // The first row has to wait for this one.
  const holder = await target.connect();
  await holder.client.query('begin; insert into a values (1)');
  const positions: ReportedPosition[] = [];
  const running = f.start({ position: (now) => void positions.push(now) });
  const waits = () => positions.find(({ oldestCommitAt }) => oldestCommitAt != null);
  const oldest = (await until('it waits', waits)).oldestCommitAt?.getTime() ?? 0;
  // The two clocks are one here, but for how exactly the one tells the other.
  expect(oldest).toBeGreaterThan(before - 900);
  expect(oldest).toBeLessThan(after + 900);
  await holder.client.query('rollback');
  await f.settle();
  positions.length = 0;
  await until('nothing waits', () => positions.some(({ oldestCommitAt }) => oldestCommitAt === null));
  await running.stop();
});

test('the seconds of a mirror are those since that commit', async () => {
  await using world = await testCatalog();
  await using source = await testDatabase(18);
  await world.peer('src', source);
  await world.peer('dst', world.database);
  await source.exec('create table a (id int primary key)');
  await world.say('create mirror lagging from src to dst with table mapping (public.a:public.a)');
  const [mirror] = await world.database.exec<{ id: string }>('select id from sluice_private.mirrors');
  const progress = new Progress(world.catalog.pool, { id: mirror?.id ?? '', name: 'lagging' }, silentLog);
  progress.position({
    received: 200n,
    durable: 100n,
    sourceEnd: 200n,
    oldestCommitAt: new Date(Date.now() - 3_600_000),
  });
  await progress.flush();
  expect((await lag(world)).lag_seconds).toBeGreaterThan(3_599);
  // A session that has received nothing yet knows no better.
  const unknown = { received: 100n, durable: 100n, sourceEnd: 300n, oldestCommitAt: undefined };
  progress.position(unknown);
  await progress.flush();
  expect((await lag(world)).lag_seconds).toBeGreaterThan(3_599);
  progress.position({ received: 300n, durable: 300n, sourceEnd: 300n, oldestCommitAt: null });
  await progress.flush();
  expect((await lag(world)).lag_seconds).toBe(0);
  // Nor one that begins after a pause: the target was not behind when it was seen last, and may be since then.
  await world.database.exec(`update sluice_private.positions set observed_at = now() - interval '2 hours'`);
  progress.position({ ...unknown, sourceEnd: 400n });
  await progress.flush();
  expect((await lag(world)).lag_seconds).toBeGreaterThan(7_199);
  progress.position({ received: 400n, durable: 400n, sourceEnd: 400n, oldestCommitAt: null });
  await progress.flush();
  expect((await lag(world)).lag_seconds).toBe(0);
});

test('a session that has received nothing of what waits on the source does not say that nothing waits', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables: 'create table a (id int primary key)', mirrored: ['a'] });
  await source.exec('insert into a select generate_series(1, 20000)');
  const positions: ReportedPosition[] = [];
  const running = f.start({ position: (now) => void positions.push(now) });
  await f.settle();
  await running.stop();
  expect(positions[0]).toBeDefined();
  expect(positions[0]?.oldestCommitAt).not.toBeNull();
});
