// Row filters and excluded columns hold in the copy and in the stream, with the same answer whether the source filters (15 on) or we do (14).
import { describe, expect, test } from 'vitest';
import type { SluiceError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { runCdc } from '../../src/cdc/run.ts';
import { Watcher } from '../../src/cdc/watch.ts';
import { noReadings } from '../../src/cdc/written.ts';
import type { MirroredTable, MirrorWork } from '../../src/mirror/work.ts';
import { preflight } from '../../src/peers/preflight.ts';
import { createPublication } from '../../src/peers/publication.ts';
import { readRemembered } from '../../src/peers/shape.ts';
import { expectEqualTables } from '../support/compare.ts';
import { copyAll, mirrorWork, pinned, table } from '../support/copied.ts';
import { quietReport } from '../support/quiet-report.ts';
import {
  alterDatabase,
  databaseOn,
  ownServer,
  type SharedMajor,
  type TestDatabase,
  testDatabase,
} from '../support/servers.ts';
import { testCatchUpBytes, testSpill } from '../support/spill.ts';
import { until } from '../support/wait.ts';

interface World extends AsyncDisposable {
  readonly from: TestDatabase;
  readonly to: TestDatabase;
}

async function world(major: SharedMajor | 15, schema: string, rows = ''): Promise<World> {
  // The first that filters by itself has a server of its own.
  const own = major === 15 ? await ownServer({ major }) : null;
  const from = own === null ? await testDatabase(major === 14 ? 14 : 18) : await databaseOn(own.server.config(), 15);
  const to = await testDatabase(18);
  await from.exec(`create table mark (n bigint primary key); ${schema}; ${rows}`);
  return {
    from,
    to,
    async [Symbol.asyncDispose]() {
      await from[Symbol.asyncDispose]();
      await to[Symbol.asyncDispose]();
      await own?.[Symbol.asyncDispose]();
    },
  };
}

interface Stream extends AsyncDisposable {
  /** Waits until all that the source has committed is on the target. */
  settle(): Promise<void>;
  readonly done: Promise<void>;
}

let marks = 0;

function stream(w: World, work: MirrorWork): Stream {
  const controller = new AbortController();
  const done = runCdc(
    { work, report: quietReport, log: silentLog, spill: testSpill, catchUpBytes: testCatchUpBytes },
    controller.signal,
  );
  done.catch(() => {});
  return {
    done,
    settle: async () => {
      const mark = ++marks;
      await w.from.exec(`insert into mark values (${mark})`);
      const arrived = async () => (await w.to.exec(`select 1 from mark where n = ${mark}`)).length > 0;
      await Promise.race([until('the mark on the target', arrived), done]);
    },
    async [Symbol.asyncDispose]() {
      controller.abort();
      await done.catch(() => {});
    },
  };
}

const filtered: readonly MirroredTable[] = [
  table('mark'),
  // By what identifies a row, under the table's name, with a comment at the end.
  table('keyed', { where: 'keyed.id > 10 -- no more', exclude: ['secret'] }),
  // By other columns: one that may be NULL, one that is left out, one that is large.
  table('whole', {
    where: 'open and (n is null or n > 5) and tenant = 7 and length(big) <> 3',
    exclude: ['tenant', 'secret'],
  }),
  table('nokey', { where: "v like 'a%'", exclude: ['secret'] }),
  table('parts', {
    where: "id > 10 and region <> 'south'",
    exclude: ['secret'],
    to: { schema: 'public', name: 'moved' },
  }),
  table('odd "table"', {
    where: `"sluice place" > 0 and c::bpchar = 'ab' and "C x" collate "C" >= 'B' and at < timestamptz '2024-01-01 00:00+00' and ids @> array[1]
      and ch = 'q' and span = interval '24 hours' and row(c, ch) is not null`,
  }),
];

const schema = `
  create table keyed (id int primary key, secret text, v text, big text);
  alter table keyed alter big set storage external;
  create table whole (id int primary key, open boolean, n int, tenant int, big text, secret text);
  alter table whole alter big set storage external; alter table whole replica identity full;
  create table nokey (v text, secret int, n int); alter table nokey replica identity full;
  create table parts (region text, id int, secret text, v text, primary key (id, region)) partition by list (region);
  create table parts_n (secret text, v text, id int not null, region text not null);
  alter table parts attach partition parts_n for values in ('north', 'south');
  create table parts_rest partition of parts default;
  create table "odd ""table""" ("sluice place" int primary key, c char(5), "C x" text collate "C", at timestamptz, ids int[], ch "char", span interval, "x""y" text);
  alter table "odd ""table""" replica identity full`;

const first = `
  insert into keyed select i, 's' || i, 'v' || i, repeat(md5(i::text), 100) from generate_series(1, 20) i;
  insert into whole select i, i % 2 = 0, nullif(i % 12, 0), 6 + i % 3 % 2, case when i % 5 = 0 then 'abc' else repeat(md5(i::text), 100) end, 's' from generate_series(1, 60) i;
  insert into nokey select chr(97 + i % 3) || i % 4, i, i % 2 from generate_series(1, 40) i;
  insert into parts select (array['north', 'south', 'east'])[1 + i % 3], i, 's', 'v' from generate_series(1, 40) i;
  insert into "odd ""table""" select i, case when i % 2 = 0 then 'ab' else 'cd' end, chr(64 + i % 5), timestamptz '2023-06-01 00:00+00' + i * interval '30 days',
    case when i % 4 <> 0 then array[i, 1] end, case when i % 7 = 0 then 'r' else 'q' end::"char", case when i % 9 = 0 then interval '1 month' else interval '1 day' end, E'a\\\\b"{},' from generate_series(1, 60) i`;

// Each way in and out of a filter: by the key, by other columns, by NULL, with and without the large value.
const changes: readonly string[] = [
  `insert into keyed values (100, 'x', 'y', null), (5000, 'x', 'y', 'z'); insert into keyed values (0, 'x', 'y', 'z')`,
  `update keyed set v = 'changed', secret = 'more'; update keyed set secret = 'only that' where id > 3`,
  `begin; update keyed set id = 3000 + id, big = 'new' where id < 4; update keyed set id = id - 3000 where id > 3002; commit`,
  `update keyed set id = -id where id in (11, 12); delete from keyed where id in (13, 5, -12)`,
  `begin; insert into keyed values (7000, '', 'a', 'b'); update keyed set id = -7000 where id = 7000; update keyed set id = 7001 , v = 'back', big = 'all of it' where id = -7000; commit`,
  `update whole set open = not open; update whole set n = null where n = 3`,
  `update whole set n = 4 where n is null; update whole set tenant = 13 - tenant; update whole set big = 'abc' where id % 4 = 0; update whole set id = id + 1000 where id % 3 = 0`,
  `update whole set big = repeat('q', 5000) where big = 'abc'; update whole set secret = 't' where id < 20; delete from whole where id % 7 = 0`,
  `begin; update whole set open = null where id = 1; update whole set open = true, n = 9, tenant = 7 where id = 1; update whole set n = 1 where id = 1; update whole set n = 10 where id = 1; commit`,
  `update nokey set v = 'a' || v where n = 1; update nokey set v = substr(v, 2) where v like 'aa%' and secret < 20; delete from nokey where secret % 5 = 0; update nokey set secret = -secret`,
  `update parts set id = id + 5, v = 'moved' where id between 8 and 12; update parts set region = 'south' where id = 21; update parts set region = 'north' where id in (23, 26); update parts set secret = ''; delete from parts where id % 4 = 0`,
  `update "odd ""table""" set c = 'ab', "C x" = 'b' where "sluice place" % 3 = 0; update "odd ""table""" set at = at - interval '2 years', ids = '{1}' where "sluice place" > 20; update "odd ""table""" set ch = 'q', span = '24:00:00' where ch = 'r'`,
  `insert into keyed select i, 's', 'v', repeat('b', 3000) from generate_series(-200, 200) i on conflict do nothing; insert into whole select i, true, i % 11, 7, 'abcd', '' from generate_series(2000, 2300) i`,
  `update whole set n = n + 1 where id >= 2000; update keyed set v = v || '!' where id between -50 and 90; delete from whole where id > 2200; update whole set open = false where id % 2 = 0`,
];

async function rowsOf(w: World): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for (const name of ['keyed', 'whole', 'nokey', 'moved', '"odd ""table"""']) {
    found.push(
      await w.to.exec(
        `select md5(string_agg(t::text, chr(10) order by t::text collate "C")) as rows, count(*)::int as n from ${name} t`,
      ),
    );
  }
  return found;
}

describe('with filters and excluded columns of many kinds', () => {
  const results = new Map<number, readonly unknown[]>();

  test.each([14, 15, 18] as const)(
    'the target shows what a query on a source of PostgreSQL %i does, after each change',
    async (major) => {
      await using w = await world(major, schema, first);
      const work = mirrorWork(w, filtered);
      await copyAll(work);
      const pairs = filtered.map(({ from, to, exclude, where }) => ({ from, to, exclude, where }));
      const counted = await expectEqualTables(w.from.connection, w.to.connection, pairs);
      for (const [name, rows] of counted) if (!name.includes('mark')) expect(rows, name).toBeGreaterThan(0);
      await using running = stream(w, work);
      for (const change of changes) {
        await w.from.exec(change);
        await running.settle();
        await expectEqualTables(w.from.connection, w.to.connection, pairs);
      }
      const columns = await w.to.exec(
        `select count(*)::int as n from information_schema.columns where column_name in ('secret', 'tenant') and table_schema = 'public'`,
      );
      expect(columns).toEqual([{ n: 0 }]);
      results.set(major, await rowsOf(w));
    },
  );

  test('and all show the same', () => {
    expect(results.get(14)).toEqual(results.get(15));
    expect(results.get(14)).toEqual(results.get(18));
  });
});

test.each([14, 18] as const)(
  'what comes while the mirror of PostgreSQL %i does not run is filtered as well, many changes at once',
  async (major) => {
    await using w = await world(
      major,
      'create table t (id int primary key, v int); alter table t replica identity full',
    );
    const mapping = table('t', { where: 'v % 3 = 0' });
    const work = mirrorWork(w, [table('mark'), mapping]);
    await copyAll(work);
    await w.from.exec(`insert into t select i, i from generate_series(1, 30000) i; update t set v = v + 1 where id % 2 = 0;
    begin; update t set v = v + 2 where id % 5 = 0; delete from t where id % 7 = 0; update t set v = 3 where v is null or id < 100; commit`);
    await using running = stream(w, work);
    await running.settle();
    const counted = await expectEqualTables(w.from.connection, w.to.connection, [mapping]);
    expect([...counted.values()][0]).toBeGreaterThan(5000);
  },
);

test.each([14, 18] as const)(
  'a filter that names no column takes all rows of PostgreSQL %i, or none',
  async (major) => {
    await using w = await world(
      major,
      'create table everything (id int primary key); create table nothing (id int primary key)',
    );
    const mappings = [table('everything', { where: 'true' }), table('nothing', { where: '1 > 2' })];
    const work = mirrorWork(w, [table('mark'), ...mappings]);
    await copyAll(work);
    await using running = stream(w, work);
    await w.from.exec(`insert into everything select i from generate_series(1, 6000) i; delete from everything where id < 10;
    insert into nothing select i from generate_series(1, 100) i; delete from nothing where id = 5`);
    await running.settle();
    const counted = await expectEqualTables(w.from.connection, w.to.connection, mappings.slice(0, 1));
    expect([...counted.values()]).toEqual([5991]);
    expect(await w.to.exec('select * from nothing')).toEqual([]);
  },
);

test.each([14, 18] as const)(
  'a row that comes in by its key without a large value of its own stops the mirror of PostgreSQL %i, and is not made up',
  async (major) => {
    await using w = await world(
      major,
      `create table t (id int primary key, big text); alter table t alter big set storage external;
       create table out (like t including all);
       insert into t values (1, repeat('x', 5000)), (2, 'short'); insert into out select * from t`,
    );
    const where = 'id > 10';
    const work = mirrorWork(w, [table('mark'), table('t', { where }), table('out', { where, exclude: ['big'] })]);
    await copyAll(work);
    await using running = stream(w, work);
    await w.from.exec('update t set id = 12 where id = 2; update out set id = id + 10');
    await running.settle();
    // What is left out need not be known.
    expect(await w.to.exec('select * from out order by 1')).toEqual([{ id: 11 }, { id: 12 }]);
    expect(await w.to.exec('select * from t')).toEqual([{ id: 12, big: 'short' }]);
    await w.from.exec('update t set id = 11 where id = 1');
    await expect(running.done).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('public.t'),
      hint: expect.stringContaining('REPLICA IDENTITY FULL'),
    });
    expect(await w.to.exec('select count(*)::int as n from t')).toEqual([{ n: 1 }]);
  },
);

test('the same filters are taken and refused whatever the version of the source', async () => {
  const answers = new Map<number, unknown>();
  const filters = [
    'id > 10 and v is not null',
    'coalesce(v, $$x$$) = $$y$$ or case when id = 1 then true else false end',
    'id = any (array[1, 2]) and v collate "C" > $$a$$',
    'id between 3 and 5 and (id, v) < (4, $$x$$) and t is distinct from null',
    'nullif(id, 4) is null and greatest(id, 3) > 2 and (id > 3) is not true',
    'random() > 0.5',
    "at > now() - interval '1 day'",
    'current_date > date $$2020-01-01$$',
    'state = $$on$$',
    'mine(id)',
    'id in (select 1)',
    'ctid is not null',
    'id === 3',
    'own collate "mine" > $$a$$',
    'id::text = $$1$$',
    'to_char(at, $$YYYY$$) = $$2024$$',
    'lower(v) = $$a$$ and v ~ $$^x$$ and v like $$b%$$',
    't.id > 3 and public.t.id < 9',
    'id > 1; select 1',
    'no_such = 1',
    'id + 1',
    "payload ->> 'a' = 'b'",
    'id / 0 > 1',
    'count(*) > 1',
    'xmlexists($$a$$ passing x)',
    'exists (select 1)',
  ];
  for (const major of [14, 15, 18] as const) {
    await using w = await world(major, 'select 1');
    const { from: db } = w;
    await db.exec(`create type state as enum ('on', 'off'); create function mine(int) returns boolean language sql immutable as 'select true';
      create function same(int, int) returns boolean language sql immutable as 'select $1 = $2';
      create operator === (leftarg = int, rightarg = int, function = same); create collation mine (provider = icu, locale = 'de');
      create table t (id int, v text, at timestamptz, state state, own text, payload jsonb, x xml, primary key (id)); alter table t replica identity full`);
    const answered: [string, string][] = [];
    for (const where of filters) {
      const columns: never[] = [];
      const published = {
        schema: 'public',
        name: 't',
        kind: 'r' as const,
        columns,
        replicaIdentity: 'f' as const,
        identityColumns: ['id'],
        leaves: [],
      };
      const refused = await createPublication(db.connection, 'p', [{ table: published, exclude: [], where }]).then(
        () => 'taken',
        () => 'refused',
      );
      answered.push([where, refused]);
      await db.exec('drop publication if exists p');
    }
    answers.set(major, answered);
  }
  expect(answers.get(14)).toEqual(answers.get(15));
  expect(answers.get(14)).toEqual(answers.get(18));
  expect((answers.get(14) as [string, string][]).filter(([, answer]) => answer === 'taken').length).toBeGreaterThan(5);
});

test.each([
  [14, true],
  [18, false],
] as const)(
  'a filter that we decide cannot use a generated column, as the stream does not bring it, from PostgreSQL %i (a publication of ours: %s)',
  async (major, made) => {
    await using w = await world(
      major,
      `create table x (id int primary key, n numeric, "Twice" int generated always as (id * 2) stored);
       alter table x replica identity full; create publication mine for table x, mark`,
    );
    const refusal = async (where: string, publication = { name: 'mine', made: false }) => {
      await using source = await pinned(w.from);
      await using target = await pinned(w.to);
      const work = mirrorWork(w, [table('x', { where })]);
      const plan = { ...work, name: 'm', ...(made ? {} : { publication }) };
      const { findings } = await preflight(source, target, plan);
      return findings.filter((each) => each.state === 'error');
    };
    const refused = [
      {
        kind: 'invalid_option',
        message: expect.stringContaining('generated columns are not in the stream: "Twice"'),
        hint: expect.stringContaining('out of the filter'),
      },
    ];
    expect(await refusal('n > 3.33 and ("Twice" is null or true)')).toMatchObject(refused);
    expect(await refusal('n > 3.33')).toEqual([]);
    if (made) return;
    // One that says it, says it.
    await w.from.exec('create publication whole for table x, mark with (publish_generated_columns = stored)');
    expect(await refusal('"Twice" > 3', { name: 'whole', made: false })).toEqual([]);
  },
);

test.each([14, 18] as const)(
  'dates of a filter are read month first and times in UTC, whatever the settings of the source are, from PostgreSQL %i',
  async (major) => {
    await using w = await world(
      major,
      'create table t (id int primary key, d date, at timestamptz); alter table t replica identity full',
      `insert into t values (1, '2024-01-01', '2024-01-05 00:00+00'), (2, '2024-01-02', '2024-01-05 00:00+00'),
        (3, '2024-01-02', '2024-01-04 23:00+00')`,
    );
    await alterDatabase(w.from, 'datestyle', 'SQL, DMY');
    await alterDatabase(w.from, 'timezone', 'Asia/Tokyo');
    const where = "d >= '01/02/2024' and at >= '2024-01-05 00:00'";
    const work = mirrorWork(w, [table('mark'), table('t', { where })]);
    await copyAll(work);
    expect(await w.to.exec('select id from t order by 1')).toEqual([{ id: 2 }]);
    await using running = stream(w, work);
    await w.from.exec(`update t set d = '2024-01-02' where id = 1; update t set at = '2024-01-05 00:00+00' where id = 3;
      insert into t values (4, '2024-01-03', '2024-01-04 23:59+00')`);
    await running.settle();
    expect(await w.to.exec('select id from t order by 1')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  },
);

test('a column that is generated by now is to be taken out of the filter', async () => {
  await using w = await world(14, 'create table x (id int primary key, v int); alter table x replica identity full');
  const work = mirrorWork(w, [table('mark'), table('x', { where: 'v > 1' })]);
  await copyAll(work);
  await w.from.exec('alter table x drop v, add v int generated always as (id * 2) stored; insert into x values (1)');
  await expect(stream(w, work).done).rejects.toMatchObject({
    message: 'the stream lacks columns that the filter of public.x uses',
    detail: 'Missing: v.',
    hint: expect.stringContaining('a "where" without v: the source generates it'),
  });
});

describe('a publication that was given', () => {
  const given = (work: MirrorWork): MirrorWork => ({ ...work, publication: { name: 'mine', made: false } });
  const where = 'v > 10';

  test.each([14, 18] as const)(
    'without a filter leaves the filtering to the mirror, from PostgreSQL %i',
    async (major) => {
      await using w = await world(
        major,
        `create table t (id int primary key, v int); alter table t replica identity full; create publication mine for all tables`,
        'insert into t values (1, 1), (2, 20), (3, null)',
      );
      const mapping = table('t', { where });
      const work = given(mirrorWork(w, [table('mark'), mapping]));
      await copyAll(work);
      await using running = stream(w, work);
      await w.from.exec('update t set v = v + 10; insert into t values (4, 4), (5, 50); delete from t where id = 2');
      await running.settle();
      await expectEqualTables(w.from.connection, w.to.connection, [mapping]);
      expect(await w.to.exec('select * from t order by 1')).toEqual([
        { id: 1, v: 11 },
        { id: 5, v: 50 },
      ]);
    },
  );

  test('with another filter is refused, with the same one in other words it serves', async () => {
    await using w = await world(
      18,
      `create table t (id int primary key, v int); alter table t replica identity full; create table u (id int primary key, v int, w int)`,
    );
    const refusal = async (publication: string, tables: readonly MirroredTable[]) => {
      await w.from.exec(`drop publication if exists mine; create publication mine for table ${publication}`);
      await using source = await pinned(w.from);
      await using target = await pinned(w.to);
      const plan = { ...given(mirrorWork(w, tables)), name: 'm' };
      const { findings } = await preflight(source, target, plan);
      return findings.filter((each) => each.state === 'error').map((each) => `${each.message} / ${each.detail}`);
    };
    const mapping = table('t', { where: ' v>10 -- so' });
    expect(await refusal('t where (v > 10)', [mapping])).toEqual([]);
    expect(await refusal('t', [mapping])).toEqual([]);
    expect(await refusal('t where (v > 11)', [mapping])).toMatchObject([expect.stringContaining('(v > 11)')]);
    expect(await refusal('t where (v > 11)', [table('t')])).toMatchObject([expect.stringContaining('(v > 11)')]);
    // Ours to filter, by the same rules.
    expect(await refusal('u', [table('u', { where })])).toMatchObject([expect.stringContaining('public.u (v)')]);
    expect(await refusal('u (id, v)', [table('u')])).toMatchObject([expect.stringContaining('leaves out w')]);
    expect(await refusal('u (id, v)', [table('u', { exclude: ['w'] })])).toEqual([]);
  });
});

test.each([14, 18] as const)(
  'where changes of the schema do not follow, a column that comes later is told of where others are left out, from PostgreSQL %i',
  async (major) => {
    await using w = await world(
      major,
      'create table t (id int primary key, secret text)',
      `insert into t values (1, 's')`,
    );
    const tables = [table('mark'), table('t', { exclude: ['secret'] })];
    const work = mirrorWork(w, tables, { schema_changes: 'off' });
    await copyAll(work);
    {
      await using running = stream(w, work);
      await w.from.exec(`insert into t values (2, 's')`);
      await running.settle();
      expect(await w.to.exec('select * from t order by 1')).toEqual([{ id: 1 }, { id: 2 }]);
    }
    await w.from.exec(`alter table t add note text default 'n'; update t set note = 'changed'`);
    const stopped = await stream(w, work).done.catch((error: unknown) => error as SluiceError);
    expect(stopped).toMatchObject({ kind: 'wrong_state', detail: expect.stringContaining('Missing: note.') });
    // What it says to run is what it takes.
    const hint = stopped?.hint ?? '';
    for (const statement of hint.match(/ALTER PUBLICATION [^;]*;/g) ?? []) await w.from.exec(statement);
    await w.to.exec(`alter table t add note text default 'n'; update t set note = 'changed'`);
    await using again = stream(w, work);
    await w.from.exec(`insert into t values (3, 's', 'new'); update t set note = 'more' where id = 1`);
    await again.settle();
    await expectEqualTables(w.from.connection, w.to.connection, [table('t', { exclude: ['secret'] })]);
  },
);

test('a filter that is changed in the publication stops the mirror', async () => {
  await using w = await world(18, 'create table t (id int primary key)');
  const work = mirrorWork(w, [table('mark'), table('t', { where: 'id > 10' })]);
  await copyAll(work);
  const { watch } = await watcherOf(w, work);
  await watch();
  await w.from.exec(`alter publication "${work.publication.name}" set table mark, t where (id > 11)`);
  await expect(watch()).rejects.toMatchObject({ kind: 'wrong_state', message: expect.stringContaining('public.t') });
});

async function watcherOf(w: World, work: MirrorWork) {
  const watcher = new Watcher(work, await readRemembered(w.to.connection, work), {
    note: async () => {},
    readings: noReadings(),
  });
  return { watch: () => watcher.look({ source: w.from.connection, target: w.to.connection, reached: 0n }) };
}
