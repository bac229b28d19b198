// What is copied is all there is, however wrong its estimate was.
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { Progress } from '../../src/catalog/progress.ts';
import { writeAllCopied } from '../../src/catalog/progress-write.ts';
import { testCatalog } from '../support/catalog.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test('a copied part, table and mirror are at 100 % where the statistics promised more rows', async () => {
  await using world = await testCatalog();
  await using source = await testDatabase(18);
  await world.peer('src', source);
  await world.peer('dst', world.database);
  await source.exec('create table a (id int primary key); create table b (id int primary key)');
  await world.say('create mirror whole from src to dst with table mapping (public.a:public.a, public.b:public.b)');
  const [mirror] = await world.database.exec<{ id: string }>('select id from sluice_private.mirrors');
  const id = mirror?.id ?? '';
  const progress = new Progress(world.catalog.pool, { id, name: 'whole' }, silentLog);
  const part = (number: number) => ({ part: number, what: 'all', rows: 1_000, bytes: 8_000 });
  const seen = async () => {
    await progress.flush();
    const tables = await world.database.exec(`select source_table as t, state, rows_estimated::int as of_rows,
      rows_copied::int as rows, bytes_estimated::int as of_bytes, bytes_copied::int as bytes from sluice.tables order by 1`);
    const parts = await world.database.exec(`select rows_estimated::int as of_rows, rows_copied::int as rows
      from sluice.parts where state <> 'waiting' order by source_table, part`);
    const [whole] = await world.database.exec(
      'select rows_estimated::int as of_rows, rows_copied::int as rows from sluice.mirrors',
    );
    const shown = await world.show('show mirror whole');
    return { tables, parts, whole, line: shown.find((row) => row.property === 'rows copied')?.value };
  };
  progress.planned('public.a', { rows: 2_000, bytes: 16_000, parts: [part(0), part(1)] });
  progress.planned('public.b', { rows: 1_000, bytes: 8_000, parts: [part(0)] });
  progress.part('public.a', 0, { state: 'copied', rows: 600, bytes: 3_000 });
  progress.part('public.a', 1, { state: 'copying', rows: 100, bytes: 500 });
  expect(await seen()).toMatchObject({
    // What a finished part has is known; the rest is reckoned still.
    tables: [
      { t: 'public.a', state: 'copying', of_rows: 1_600, rows: 700, of_bytes: 16_000 },
      { t: 'public.b', state: 'waiting', of_rows: 1_000, rows: 0 },
    ],
    parts: [
      { of_rows: 600, rows: 600 },
      { of_rows: 1_000, rows: 100 },
    ],
    whole: { of_rows: 2_600, rows: 700 },
    line: '700 of about 2,600 (26 %)',
  });
  progress.part('public.a', 1, { state: 'copied', rows: 500, bytes: 2_500 });
  progress.finished('public.a');
  // More than was reckoned, and not at its end.
  progress.part('public.b', 0, { state: 'copying', rows: 1_500, bytes: 9_000 });
  expect(await seen()).toMatchObject({
    tables: [
      { t: 'public.a', state: 'copied', of_rows: 1_100, rows: 1_100, of_bytes: 5_500, bytes: 5_500 },
      { t: 'public.b', state: 'copying', of_rows: 1_500, rows: 1_500 },
    ],
    parts: [
      { of_rows: 600, rows: 600 },
      { of_rows: 500, rows: 500 },
      { of_rows: 1_500, rows: 1_500 },
    ],
    whole: { of_rows: 2_600, rows: 2_600 },
  });
  // Progress that was lost on the way makes no copy less than whole.
  await progress.flush();
  await world.catalog.pool.use((db) => writeAllCopied(db, id));
  expect(await seen()).toMatchObject({ whole: { of_rows: 2_600, rows: 2_600 }, line: '2,600' });
  // As the dashboards made for PeerDB see it.
  expect(
    await world.database.exec(
      'select sum(rows_in_partition)::int as of_rows, sum(rows_synced)::int as rows from peerdb_stats.qrep_partitions',
    ),
  ).toEqual([{ of_rows: 2_600, rows: 2_600 }]);
});

test('a table without rows that is copied counts none of those that were reckoned', async () => {
  await using world = await testCatalog();
  await using source = await testDatabase(18);
  await world.peer('src', source);
  await world.peer('dst', world.database);
  await source.exec('create table a (id int primary key)');
  await world.say('create mirror whole from src to dst with table mapping (public.a:public.a)');
  const [mirror] = await world.database.exec<{ id: string }>('select id from sluice_private.mirrors');
  const progress = new Progress(world.catalog.pool, { id: mirror?.id ?? '', name: 'whole' }, silentLog);
  progress.planned('public.a', { rows: 2_550, bytes: 0, parts: [] });
  progress.finished('public.a');
  await progress.flush();
  expect(await world.database.exec('select rows_estimated::int as n from sluice.mirrors')).toEqual([{ n: 0 }]);
  expect(await world.database.exec('select rows_estimated::int as n from sluice.tables')).toEqual([{ n: 0 }]);
});

test('what was copied and not told of, as the gateway was killed, is in the numbers at the end', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await source.exec(`create table a (id int primary key); insert into a select generate_series(1, 10);
    create table b (id int primary key, v text); insert into b select g, repeat('x', 1000) from generate_series(1, 4000) g; analyze`);
  await using run = await running(source, target);
  const seen = async () =>
    await run.world.database.exec(`select source_table as t, state, rows_copied::int as rows, bytes_copied::int as bytes
      from sluice.parts order by 1`);
  await run.world.say(`create mirror told from src to dst with table mapping (public.a:public.a, public.b:public.b)
    with (initial_copy_only = true, snapshot_throttle = '1 MB/s')`);
  const told = await until('the small one', async () => {
    const [a] = await seen();
    return a?.state === 'copied' && a;
  });
  // As whoever is killed between a part's commit and the next telling leaves it: what had passed by then is counted, or what framed it.
  await run.world.database.exec(
    `update sluice_private.parts set state = 'copying', rows_copied = 11, bytes_copied = 21, finished_at = null where source_table = 'public.a'`,
  );
  await until('all is there', async () => (await run.status()) === 'completed');
  const [a, b] = await seen();
  expect(a).toEqual(told);
  expect(a).toMatchObject({ rows: 10 });
  expect(b).toMatchObject({ rows: 4_000 });
});

test('a copy that goes on counts what it had: neither its rows nor its percent go back', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = Array.from({ length: 8 }, (_, n) => `t${n}`);
  for (const name of tables)
    await source.exec(`create table ${name} (id int primary key, v text);
      insert into ${name} select g, repeat('x', 1000) from generate_series(1, 700) g; analyze ${name}`);
  await using run = await running(source, target);
  await run.world.say(`create mirror on_and_on from src to dst for all tables
    with (snapshot_throttle = '1 MB/s', snapshot_num_tables_in_parallel = 1, snapshot_max_parallel_workers = 1)`);
  const told = async () => {
    const [now] = await run.world.database.exec<{ percent: number; rows: number; copied: number; at: string }>(
      `select p.percent, p.rows_copied::int as rows, p.estimated_at::text as at,
         (select count(*)::int from sluice.tables where state = 'copied') as copied from sluice.progress p`,
    );
    return now;
  };
  const before = await until('five tables', async () => {
    const now = await told();
    return now !== undefined && now.copied >= 5 && now.rows >= 3_500 && now;
  });
  await run.world.say('pause mirror on_and_on');
  await until('it rests', async () => (await run.status()) === 'paused');
  const resting = await told();
  await run.world.say('resume mirror on_and_on');
  const after = await until('another estimate', async () => {
    const now = await told();
    return now !== undefined && now.at !== resting?.at && now;
  });
  expect(after.rows).toBeGreaterThanOrEqual(3_500);
  // All rows are alike, and there is little to be made after them.
  expect(after.percent).toBeGreaterThan((100 * after.rows) / 5_600 - 15);
  expect(after.percent).toBeGreaterThanOrEqual(before.percent);
  await until('it follows', async () => (await run.status()) === 'running');
});
