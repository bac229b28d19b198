// How far a real copy is and when it ends, as the catalog tells it while it runs; a throttle makes its pace one that we know.
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { Progress } from '../../src/catalog/progress.ts';
import { type Sql, sql } from '../../src/pg/sql.ts';
import { testCatalog } from '../support/catalog.ts';
import { type RunningWorld, running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

interface Sample {
  /** Since the copy began. */
  readonly second: number;
  readonly left: number;
  /** Of the rows alone, whose pace the throttle makes; how fast indexes are built is the machine's. */
  readonly load: number;
  readonly rows_total: number;
  readonly bytes_total: number;
  readonly percent: number;
}

async function sample({ world }: RunningWorld): Promise<Sample | undefined> {
  const [row] = await world.database.exec<{ facts: Sample }>(`select to_json(f) as facts from (
    select extract(epoch from estimated_at - began_at) as second, seconds_left as left, load_seconds_left as load, rows_total, bytes_total, percent
    from sluice.progress where seconds_left is not null) f`);
  return row?.facts;
}

/** Copies tables with wide and narrow rows and takes what is told meanwhile. */
async function copyAndSample(scale: number, throttle: string) {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await source.exec(`create table wide (id int primary key, t text);
    insert into wide select n, repeat('x', 500) from generate_series(1, ${12_000 * scale}) n;
    create table narrow (id int primary key, n int); create index on narrow (n);
    insert into narrow select n, n from generate_series(1, ${60_000 * scale}) n; analyze`);
  await using run = await running(source, target);
  const { world } = run;
  await world.say(`create mirror timed from src to dst for all tables
    with (initial_copy_only = true, snapshot_num_rows_per_partition = ${6_000 * scale}, snapshot_throttle = '${throttle}')`);
  const samples: Sample[] = [];
  const seen = { tables: 0, parts: 0, lines: new Set<string>() };
  await until(
    'it is copied',
    async () => {
      const now = await sample(run);
      if (now !== undefined && now.second !== samples.at(-1)?.second) samples.push(now);
      const [paced] = await world.database.exec<{ tables: number; parts: number }>(`select
        (select count(*)::int from sluice.tables where seconds_left > 0 and rows_per_second > 0 and bytes_per_second > 0) as tables,
        (select count(*)::int from sluice.parts where seconds_left > 0 and rows_per_second > 0 and bytes_per_second > 0) as parts`);
      seen.tables = Math.max(seen.tables, paced?.tables ?? 0);
      seen.parts = Math.max(seen.parts, paced?.parts ?? 0);
      for (const row of await world.show('show mirror timed')) seen.lines.add(row.property ?? '');
      return (await run.status()) === 'completed';
    },
    180_000,
  );
  const [end] = await world.database.exec<{ total: number; loaded: number; rows: number; bytes: number }>(`select
    (select extract(epoch from j.at - c.began_at)::float8 from sluice_private.copy_progress c
      join sluice_private.journal j on j.mirror_id = c.mirror_id and j.message = 'snapshotting → finishing') as loaded,
    (select extract(epoch from m.phase_since - c.began_at)::float8 from sluice_private.mirrors m
      join sluice_private.copy_progress c on c.mirror_id = m.id) as total,
    sum(rows_copied)::int as rows, sum(bytes_copied)::int as bytes from sluice.parts`);
  const times = { total: Number(end?.total), loaded: Number(end?.loaded) };
  return { samples, seen, ...times, rows: Number(end?.rows), bytes: Number(end?.bytes) };
}

test('while a copy runs it tells rows, bytes, rates and its end, for the whole and for each table and part', async () => {
  const { samples, seen, loaded, rows, bytes } = await copyAndSample(1, '1.5 MB/s');
  expect(rows).toBe(72_000);
  // The statistics are right here: so is what will have been copied.
  const late = samples.filter(({ second }) => second > loaded * 0.4 && second < loaded);
  expect(late.length).toBeGreaterThanOrEqual(3);
  for (const now of late) {
    expect(Math.abs(now.rows_total / rows - 1)).toBeLessThan(0.1);
    expect(Math.abs(now.bytes_total / bytes - 1)).toBeLessThan(0.1);
    expect(Math.abs(now.second + now.load - loaded) / loaded, JSON.stringify({ loaded, now })).toBeLessThan(0.25);
    expect(now.left).toBeGreaterThanOrEqual(now.load);
  }
  expect(samples.map(({ percent }) => percent).toSorted((a, b) => a - b)).toEqual(
    samples.map(({ percent }) => percent),
  );
  expect(seen.tables).toBeGreaterThanOrEqual(1);
  // How many workers a held copy has is theirs to find out: as many as bring something.
  expect(seen.parts).toBeGreaterThanOrEqual(1);
  expect([...seen.lines]).toEqual(expect.arrayContaining(['progress', 'time left', 'table public.wide']));
  expect([...seen.lines].some((line) => /^part \d+ of public\.wide$/.test(line))).toBe(true);
}, 60_000);

test('what is told of 500 tables that are copied at once is written in a few statements', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using world = await testCatalog();
  await world.peer('src', source);
  await world.peer('dst', target);
  const names = Array.from({ length: 500 }, (_, n) => `t${n}`);
  await source.exec(names.map((name) => `create table ${name} (id int primary key)`).join(';'));
  await world.say('create mirror many from src to dst for all tables with (initial_copy_only = true)');
  const [mirror] = await world.database.exec<{ id: string }>('select id from sluice_private.mirrors');
  const statements: Sql[] = [];
  const { pool } = world.catalog;
  const counting = {
    transaction: (work: Parameters<typeof pool.transaction>[0]) =>
      pool.transaction((db) => {
        const counted = new Proxy(db, {
          get(whole, name) {
            if (name !== 'run') return Reflect.get(whole, name, whole);
            return (statement: Sql) => {
              statements.push(statement);
              return whole.run(statement);
            };
          },
        });
        return work(counted);
      }),
  } as unknown as typeof pool;
  const progress = new Progress(counting, { id: mirror?.id ?? '', name: 'many' }, silentLog);
  const tables = names.map((name) => `public.${name}`);
  for (const table of tables) {
    progress.planned(table, { rows: 10, bytes: 8_192, parts: [{ part: 0, what: 'whole', rows: 10, bytes: 8_192 }] });
  }
  for (const table of tables) {
    progress.part(table, 0, { state: 'copying', rows: 0, bytes: 0 });
    progress.part(table, 0, { state: 'copying', rows: 10, bytes: 100 });
    progress.part(table, 0, { state: 'copied', rows: 10, bytes: 100 });
    progress.finished(table);
  }
  await progress.flush();
  expect(statements.length).toBeLessThan(10);
  // Nothing is known of the rows of the catalog yet: what goes through all of them for each is far too slow for thousands.
  for (const statement of statements.filter(({ text }) => text.startsWith('update'))) {
    const plan = JSON.stringify(await pool.transaction((db) => db.query(sql`explain ${statement}`)));
    expect(plan).not.toContain('Join Filter');
    expect(plan).toContain('Tid Scan');
  }
  const states = await world.database.exec('select distinct state, rows_copied::int as rows from sluice.tables');
  expect(states).toEqual([{ state: 'copied', rows: 10 }]);
});

// A minute and more: SLUICE_LONG_TESTS=1.
test.runIf(process.env.SLUICE_LONG_TESTS)(
  'after its first minute the end that a copy tells is within a tenth of its whole time',
  async () => {
    const { samples, total } = await copyAndSample(12, '1.2 MB/s');
    const late = samples.filter(({ second }) => second >= 60);
    expect(late.length).toBeGreaterThan(10);
    const worst = Math.max(...late.map((now) => Math.abs(now.second + now.left - total) / total));
    console.log(`a copy of ${total.toFixed(0)} s: at most ${(100 * worst).toFixed(1)} % off after the first minute`);
    expect(worst).toBeLessThan(0.1);
  },
  300_000,
);
