// What can be seen of a mirror that follows: counts, bytes and rates of each table, the stages of each batch, what did not fit, and slots.
import { expect, test } from 'vitest';
import { writeObservedSlot } from '../../src/catalog/progress-write.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

interface Changes {
  readonly source_table: string;
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly truncates: number;
  readonly bytes: number;
  readonly rate: number;
  readonly byte_rate: number;
}

interface Stages {
  readonly id: string;
  readonly changes: number;
  readonly bytes: number;
  readonly ordered: boolean;
  readonly staged: boolean;
  readonly latency_seconds: number;
  readonly whole: boolean;
}

test('counts, bytes, rates and the stages of batches are seen by table while changes follow', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  await using it = await running(source, target);
  await source.exec(`create table a (id int primary key, t text); create table b (id int primary key, t text);
    insert into a select g, 'x' from generate_series(1, 100) g`);
  await it.world.say('create mirror seen from src to dst with table mapping (public.a:public.a, public.b:public.b)');
  await until('it runs', async () => (await it.status()) === 'running');
  const changes = async () =>
    await it.world.database.exec<Changes>(`select source_table, inserts::int, updates::int, deletes::int, truncates::int, bytes::int,
      round(rows_per_second * 1000)::int as rate, bytes_per_second::int as byte_rate from sluice.changes where mirror = 'seen' order by source_table`);
  await source.exec(`insert into b select g, repeat('y', 1000) from generate_series(1, 200) g`);
  await source.exec("update a set t = 'z' where id <= 10");
  await source.exec('delete from a where id > 95');
  await source.exec('truncate b');
  await until('all is counted', async () => (await changes())[1]?.truncates === 1);
  const [a, b] = await changes();
  expect(a).toMatchObject({ source_table: 'public.a', inserts: 0, updates: 10, deletes: 5, truncates: 0 });
  expect(b).toMatchObject({ source_table: 'public.b', inserts: 200, updates: 0, deletes: 0, truncates: 1 });
  // As they came: each row of b is a message of a little over 1,000 bytes, one of a is some dozen.
  expect(b?.bytes).toBeGreaterThan(200_000);
  expect(b?.bytes).toBeLessThan(230_000);
  expect(a?.bytes).toBeLessThan(2_000);
  // Over ten seconds or so: 200 rows are at most 20 a second, and fade.
  expect(b?.rate).toBeGreaterThan(0);
  expect(b?.rate).toBeLessThanOrEqual(20_000);
  expect(b?.byte_rate).toBeGreaterThan(1_000);
  const before = b?.rate ?? 0;
  await until('it fades', async () => ((await changes())[1]?.rate ?? before) < before * 0.9);
  const batches = await it.world.database.exec<Stages>(`select id, changes::int, bytes::int, latency_seconds::int,
      received_at <= coalesce(staged_at, merged_at) and coalesce(staged_at, merged_at) <= merged_at
        and merged_at <= committed_at and committed_at <= acknowledged_at as ordered,
      staged_at is not null as staged, start_lsn < end_lsn as whole
    from sluice.batches where mirror = 'seen' order by id`);
  expect(batches.length).toBeGreaterThan(0);
  expect(batches.every((batch) => batch.ordered && batch.whole)).toBe(true);
  // One machine: the same clock. An apply takes no hour.
  for (const batch of batches) expect(batch.latency_seconds).toBeLessThan(60);
  for (const batch of batches) expect(batch.latency_seconds).toBeGreaterThan(-1);
  // An update of many rows goes through a staging table, a few rows go one by one.
  await source.exec("update a set t = 'w'");
  await until('it is counted', async () => ((await changes())[0]?.updates ?? 0) === 105);
  const shown = await it.world.show('show mirror seen');
  await source.exec("update a set t = 'v' where id = 1");
  await until('it is counted', async () => ((await changes())[0]?.updates ?? 0) === 106);
  const staged = await it.world.database.exec(
    'select changes::int, staged_at is not null as staged from sluice.batches order by id desc limit 2',
  );
  expect(staged).toEqual([
    { changes: 1, staged: false },
    { changes: 95, staged: true },
  ]);
  const line = (property: string) => shown.find((row) => row.property === property)?.value;
  expect(line('changes')).toMatch(/^311 \(\d.* kB\); now \d+ rows\/s, /);
  expect(line('last batch')).toMatch(
    /^1 transactions, 95 changes \(.*\) up to .*: staged after \d+ ms, merged after .*, committed after .*, acknowledged after .*; there .* after the source's commit$/,
  );
  expect(line('table public.a')).toMatch(/105 updates, 5 deletes, .* of changes/);
});

test('a change that does not fit is seen with its key and how often it was met, and stops the mirror each time', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  await source.exec(
    "create table c (a int, b text, n int, primary key (a, b)); insert into c values (1, $$it's$$, 0), (2, $$x$$, 0), (3, $$y$$, 0)",
  );
  await it.world.say('create mirror met from src to dst with table mapping (public.c:public.c)');
  await until('it runs', async () => (await it.status()) === 'running');
  const status = async () => (await it.world.show('show mirrors'))[0]?.status;
  const conflicts = async () =>
    await it.world.database.exec(
      `select source_table, change, kind, row_key, times::int from sluice.conflicts where mirror = 'met' order by first_at`,
    );
  const first = { source_table: 'public.c', change: 'update', kind: 'missing', row_key: "(a, b) = (1, it's)" };
  await target.exec('delete from c where a = 1');
  await source.exec('update c set n = 1 where a = 1');
  await until('it stops', async () => (await status()) === 'failed');
  await until('it is written', async () => (await conflicts()).length === 1);
  expect(await conflicts()).toEqual([{ ...first, times: 1 }]);
  await it.world.say('resume mirror met');
  await until('it is met again', async () => ((await conflicts())[0] as { times: number }).times === 2);
  await until('it stops again', async () => (await status()) === 'failed');
  const shown = await it.world.show('show mirror met');
  expect(shown.find((row) => row.property === 'conflict in public.c')?.value).toMatch(
    /^update of \(a, b\) = \(1, it's\): no such row on the target; met 2 times, last at /,
  );
  expect(shown.find((row) => row.property === 'table public.c')?.value).toMatch(/2 conflicts$/);
  await target.exec("insert into c values (1, 'it''s', 0), (7, 'z', 0); delete from c where a = 2");
  await it.world.say('resume mirror met');
  await until('it goes on', async () => (await target.exec('select from c where a = 1 and n = 1')).length === 1);
  for (const [change, key, kind, mend] of [
    ["insert into c values (7, 'z', 7)", '(a, b) = (7, z)', 'exists', 'delete from c where a = 7'],
    ['delete from c where a = 2', '(a, b) = (2, x)', 'missing', "insert into c values (2, 'x', 0)"],
  ] as const) {
    await until('it runs', async () => (await status()) === 'running');
    await source.exec(change);
    await until('it stops', async () => (await status()) === 'failed');
    await until('it is written', async () => (await conflicts()).some((row) => row.row_key === key));
    expect((await conflicts()).at(-1)).toMatchObject({ change: change.slice(0, 6), kind, row_key: key, times: 1 });
    await target.exec(mend);
    await it.world.say('resume mirror met');
  }
  await until('nothing is lost', async () => {
    const rows = 'select a, b, n from c order by 1';
    return JSON.stringify(await target.exec(rows)) === JSON.stringify(await source.exec(rows));
  });
});

test('the size of a slot is kept for a week', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  await source.exec('create table d (id int primary key)');
  await it.world.say('create mirror history from src to dst with table mapping (public.d:public.d)');
  await until('it runs', async () => (await it.status()) === 'running');
  const { database, catalog } = it.world;
  const [mirror] = await database.exec<{ id: string }>('select id from sluice_private.mirrors');
  const look = {
    ...{ slot: 's', active: true, walStatus: 'reserved', invalidation: null, safeWalBytes: null, lagBytes: 1_048_576 },
    ...{ restartLsn: 1n, confirmedLsn: 2n },
  };
  await catalog.pool.use((db) => writeObservedSlot(db, mirror?.id ?? '', look));
  await database.exec(`insert into sluice_private.slots (mirror_id, slot, active, observed_at)
    select id, 's', true, now() - make_interval(days => d) from sluice_private.mirrors, generate_series(1, 20) d`);
  await catalog.pool.use((db) => writeObservedSlot(db, mirror?.id ?? '', look));
  const ages = await database.exec<{ oldest: number; days: number }>(`select
    extract(day from max(now() - observed_at))::int as oldest, count(distinct observed_at::date)::int as days from sluice.slots`);
  expect(ages[0]?.oldest).toBeLessThanOrEqual(7);
  expect(ages[0]?.days).toBeGreaterThanOrEqual(7);
  const dashboards = await database.exec('select slot_size::int from peerdb_stats.peer_slot_size where slot_size = 1');
  expect(dashboards.length).toBeGreaterThan(0);
});

test('dashboards made for PeerDB find the same numbers under its names', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  await source.exec('create table e (id int primary key); insert into e values (1)');
  await it.world.say('create mirror dash from src to dst with table mapping (public.e:public.e2)');
  await until('it runs', async () => (await it.status()) === 'running');
  await source.exec('insert into e values (2), (3); delete from e where id = 1');
  const counts = async () =>
    await it.world.database.exec(`select flow_name, destination_table_name, inserts_count::int as i, updates_count::int as u,
      deletes_count::int as d, total_count::int as t, latest_batch_id > 0 as batch from peerdb_stats.cdc_table_aggregate_counts`);
  const expected = { flow_name: 'dash', destination_table_name: 'public.e2', i: 2, u: 0, d: 1, t: 3, batch: true };
  await until('it is counted', async () => JSON.stringify(await counts()) === JSON.stringify([expected]));
  const shapes: Readonly<Record<string, string>> = {
    cdc_flows: 'latest_lsn_at_source >= latest_lsn_at_target and latest_lsn_at_target > 0',
    cdc_batches: 'rows_in_batch > 0 and batch_end_lsn > batch_start_lsn and end_time >= start_time',
    qrep_runs: "fetch_complete and consolidate_complete and parent_mirror_name = 'dash'",
    qrep_partitions: "rows_synced = 1 and parent_mirror_name = 'dash'",
    flow_errors: "flow_name = 'dash'",
  };
  for (const [view, condition] of Object.entries(shapes)) {
    const rows = await it.world.database.exec(`select from peerdb_stats.${view} where ${condition}`);
    expect(rows.length, view).toBeGreaterThan(0);
  }
});
