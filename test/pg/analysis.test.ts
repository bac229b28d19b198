// ANALYZE of what was copied: once each, early where it lacks nothing, and late enough where it does.
import { expect, test } from 'vitest';
import { copyAll, mirrorWork, table } from '../support/copied.ts';
import { type SharedMajor, type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

// About 10 MB each.
const filled = (name: string, at = 'i') =>
  `insert into ${name} select i, repeat('x', 400) || i % 100, ${at} from generate_series(1, 24000) i`;

const tables = `
  create table plain (id int primary key, v text, w int); ${filled('plain')};
  create table expressed (id int primary key, v text, w int); ${filled('expressed')};
  create index expressed_right on expressed (right(v, 2));
  create table extended (id int primary key, v text, w int); ${filled('extended', 'i % 7')};
  create statistics extended_both (ndistinct) on v, w from extended;
  create table parted (id int, v text, w int, primary key (id)) partition by range (id);
  create table parted_1 partition of parted for values from (0) to (12000);
  create table parted_2 partition of parted for values from (12000) to (maxvalue); ${filled('parted')};
  create table parent (id int primary key, v text, w int); ${filled('parent')};
  create table heir (primary key (id)) inherits (parent); ${filled('heir', '-i')};
  create table small (id int primary key, v text, w int); insert into small values (1, 'one', 1), (2, 'two', 2);
  create view wanting as select count(*) from plain`;

const names = ['plain', 'expressed', 'extended', 'parted', 'parent', 'heir', 'small'];

// A transaction that began to write later has a higher number. Whether a key came before the statistics of its table.
async function isLate(db: TestDatabase, name: string) {
  const [row] =
    await db.exec(`select (select max(s.xmin::text::int8) from pg_statistic s where s.starelid = '${name}'::regclass)
    > (select k.xmin::text::int8 from pg_constraint k where k.conrelid = '${name}'::regclass and k.contype = 'p') as late`);
  return row?.late;
}

test.for<[SharedMajor, SharedMajor]>([
  [14, 14],
  [18, 18],
])('every table has the statistics that it can have, made once, from PostgreSQL %i to %i', async ([source, target]) => {
  await using from = await testDatabase(source);
  await using to = await testDatabase(target);
  await from.exec(tables);
  await copyAll(
    mirrorWork(
      { from, to },
      names.map((name) => table(name)),
      { initial_copy_only: true },
    ),
  );
  const columns =
    await to.exec(`select tablename || case when inherited then ' with heirs' else '' end as of, count(*)::int as n
    from pg_stats where schemaname = 'public' group by 1 order by 1`);
  expect(columns).toEqual([
    { of: 'expressed', n: 3 },
    { of: 'expressed_right', n: 1 },
    { of: 'extended', n: 3 },
    { of: 'heir', n: 3 },
    { of: 'parent', n: 3 },
    { of: 'parent with heirs', n: 3 },
    { of: 'parted with heirs', n: 3 },
    { of: 'parted_1', n: 3 },
    { of: 'parted_2', n: 3 },
    { of: 'plain', n: 3 },
    { of: 'small', n: 3 },
  ]);
  const extended = await to.exec('select stxdndistinct is not null as there from pg_statistic_ext_data');
  expect(extended).toEqual([{ there: true }]);
  const rows = await to.exec(
    "select relname as name, reltuples::int as n from pg_class where relname in ('plain', 'parent', 'small') order by 1",
  );
  expect(rows).toEqual([
    { name: 'parent', n: 24_000 },
    { name: 'plain', n: 24_000 },
    { name: 'small', n: 2 },
  ]);
  expect(await isLate(to, 'plain')).toBe(false);
  for (const name of ['expressed', 'extended', 'small', 'parent'])
    expect([name, await isLate(to, name)]).toEqual([name, true]);
  const counts = () =>
    to.exec(`select relname as name, analyze_count::int as n from pg_stat_user_tables
      where relname = any('{${names.filter((name) => name !== 'parted' && name !== 'heir').join()}}') order by 1`);
  // 18 analyzes heirs with their parents, and 14 counts behind.
  await until('all are counted', async () => (await counts()).every(({ n }) => Number(n) > 0));
  expect((await counts()).map(({ n }) => n)).toEqual([1, 1, 1, 1, 1]);
});
