// Tables that are on the target before the mirror: used if they fit, refused with every difference if not, and nothing else of the target is touched.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { OptionValue } from '../../src/base/options.ts';
import type { MirroredTable, MirrorWork } from '../../src/mirror/work.ts';
import { preflight } from '../../src/peers/preflight.ts';
import type { Finding } from '../../src/peers/preflight-finding.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { noTraces, testCatalog, traces } from '../support/catalog.ts';
import { expectEqualTables } from '../support/compare.ts';
import { claim, copyAll, listening, mirrorWork, pinned, table } from '../support/copied.ts';
import { type Sides, sides } from '../support/database.ts';
import { following } from '../support/following.ts';
import { peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

type Options = Readonly<Record<string, OptionValue>>;
const copyOnly = { initial_copy_only: true };

/** What EXPLAIN CREATE MIRROR would list. */
async function look(w: Sides, tables: readonly MirroredTable[], options: Options = copyOnly, work?: MirrorWork) {
  await using source = await pinned(w.from);
  const { user, password = '' } = work?.target ?? w.to;
  await using target = await pinned({ ...w.to, user, password });
  return (await preflight(source, target, mirrorWork(w, tables, options))).findings;
}

function found(findings: readonly Finding[], state: Finding['state']) {
  return findings.filter((each) => each.state === state);
}

/** What the step that makes the target ready says. */
async function prepared(w: Sides, tables: readonly MirroredTable[], options: Options = copyOnly) {
  const work = mirrorWork(w, tables, options);
  await claim(work);
  await prepareTarget(listening(work), new AbortController().signal);
}

const wide = `id smallint, i int, b bigint, few varchar(3), much varchar, dec numeric(8,2), at timestamptz(2), clock time(1), net cidr, r real,
  list int[], flags bit varying(4), unchanged char(4)`;
const wider = `id int, i numeric(10,0), b numeric, few varchar(5), much text, dec numeric(12,2), at timestamptz, clock time(3), net inet, r float8,
  list bigint[], flags bit varying, unchanged char(4)`;
const rows = (
  from: number,
  to: number,
) => `insert into %T select i, case i % 3 when 0 then 2147483647 when 1 then -2147483648 end, 9223372036854775807 - i,
  left(md5(i::text), i % 4), repeat('x', i % 9), i * 1.1, '2020-01-01'::timestamptz + i * interval '1.11 s', '10:00'::time + i * interval '0.1 s',
  ('10.0.' || i % 200 || '.0/24')::cidr, case i % 5 when 0 then 'NaN' when 1 then '-Infinity' else (i / 3.0)::text end::real, array[i, null, -i], (i % 16)::bit(4)::varbit, 'ab'
  from generate_series(${from}, ${to}) i`;

describe.each([
  [14, 18],
  [18, 14],
] as const)('from PostgreSQL %i to %i', (from, to) => {
  test('with wider types take each value as it is, in the copy and in the stream, with a key and without', async () => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const tables = `create table keyed (${wide}, primary key (id, few)); create table plain (${wide}); alter table plain replica identity full`;
    const name = (text: string, of: string) => text.replaceAll('%T', of);
    await source.exec(
      `${tables}; ${name(rows(1, 40), 'keyed')}; ${name(rows(1, 40), 'plain')}; ${name(rows(1, 40), 'plain')}`,
    );
    await target.exec(
      `create table keyed (more text default 'm', ${wider}, primary key (id, few)); create table plain (${wider}, own serial)`,
    );
    const w = { from: source, to: target };
    const pairs = ['keyed', 'plain'].map((each) => table(each));
    expect(found(await look({ ...w, async [Symbol.asyncDispose]() {} }, pairs), 'error')).toEqual([]);
    await copyAll(mirrorWork(w, pairs, copyOnly));
    await expectEqualTables(source.connection, target.connection, pairs);
    await target.exec('truncate keyed, plain; drop schema _sluice cascade');
    await source.exec('truncate keyed, plain');
    const f = await following({ source, target, tables: 'select 1', mirrored: ['keyed', 'plain'] });
    const running = f.start();
    for (const [first, last] of [
      [100, 102],
      [200, 400],
    ] as const) {
      for (const each of ['keyed', 'plain', 'plain']) await source.exec(name(rows(first, last), each));
      await f.settle();
      await expectEqualTables(source.connection, target.connection, pairs);
      for (const each of ['keyed', 'plain']) {
        await source.exec(
          `update ${each} set i = 7, dec = dec + 1 where id % 2 = 0; update ${each} set id = id + 5000, r = 0.1, at = at + interval '1 s' where id % 5 = 1 and id < 5000; delete from ${each} where id % 7 = 0`,
        );
      }
      await f.settle();
      await expectEqualTables(source.connection, target.connection, pairs);
    }
    await running.stop();
  });
});

test('that do not fit are listed, all of them with every difference, before anything starts and when it does', async () => {
  await using w = await sides(
    `create table a (id int primary key, n numeric, s varchar(9), at timestamp, c char(3), may int, g int);
     create table b (id int primary key); create table c (id int primary key); create table d (id int primary key); create table e (id int primary key);
     create table f (id int primary key) partition by range (id); create table f1 partition of f for values from (0) to (9)`,
    `create table a (id int primary key, n numeric(10,2), s varchar(8), at timestamptz, c text, may int not null, g int generated always as (id) stored, must int not null);
     create view b as select 1 as id; create materialized view c as select 1 as id; create sequence d; create type e as enum ('x');
     create type f1 as (id int)`,
  );
  const tables = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => table(name));
  const differences = [
    'public.a.n is numeric(10,2) on the target and numeric on the source',
    'public.a.s is character varying(8) on the target and character varying(9) on the source',
    'public.a.at is timestamp with time zone on the target and timestamp without time zone on the source',
    'public.a.c is text on the target and character(3) on the source',
    'public.a.may is NOT NULL on the target and may be NULL on the source',
    'public.a.g is generated on the target and a plain column on the source',
    'public.a.must is NOT NULL on the target, without default and not on the source',
  ];
  const kinds = ['public.b is a view on the target', 'public.c is a materialized view on the target'];
  const inTheWay = [
    'public.d is a sequence on the target',
    'public.e is a type on the target',
    'public.f1 is a type on the target',
  ];
  for (const options of [copyOnly, { ...copyOnly, resync: true }]) {
    const errors = found(await look(w, tables, options), 'error');
    const resync = 'resync' in options;
    const all = errors.map((each) => `${each.message}\n${each.detail}`).join('\n');
    // What may be replaced is no difference any more; what is no table never may.
    for (const each of differences) expect(all.includes(each), each).toBe(!resync);
    for (const each of inTheWay) expect(all).toContain(each);
    expect(all).toContain('Not tables: public.b, public.c.');
    await expect(prepared(w, tables, options)).rejects.toMatchObject({
      kind: 'wrong_state',
      detail: [...(resync ? [] : differences), ...kinds, ...inTheWay].join('\n'),
    });
  }
  expect(await w.to.exec('select count(*)::int as n from c')).toEqual([{ n: 1 }]);
});

describe('resync', () => {
  test('drops nothing that it was not asked to: what hangs on a table is named, in the look ahead and at work', async () => {
    await using w = await sides(
      'create table t (id int primary key, v text); insert into t values (1); create table u (id int primary key, t int references t)',
      `create table t (id int primary key, v int); create table u (id text primary key, t int references t);
       create view over_t as select v from t; create table outside (t int constraint to_t references t); create table typed (t t);
       create function of_t(t) returns int language sql as 'select 1'; create table heir () inherits (t)`,
    );
    const tables = [table('t'), table('u')];
    const options = { ...copyOnly, resync: true };
    const [error, ...others] = found(await look(w, tables, options), 'error');
    expect(others).toEqual([]);
    expect(error).toMatchObject({ kind: 'dependent_objects', check: 'dependents of replaced tables' });
    for (const each of [
      'view over_t',
      'constraint to_t on table outside',
      'column t of table typed',
      'function of_t(t)',
      'table heir',
    ]) {
      expect(error?.detail?.replaceAll('public.', '')).toContain(each);
    }
    // The foreign key between the two goes with them.
    expect(error?.detail).not.toContain('u_t_fkey');
    await expect(prepared(w, tables, options)).rejects.toMatchObject({ detail: expect.stringContaining('over_t') });
    await w.to.exec('drop view over_t; drop table outside, typed, heir; drop function of_t(t)');
    expect(found(await look(w, tables, options), 'error')).toEqual([]);
    await copyAll(mirrorWork(w, tables, options));
    expect(await w.to.exec('select id, v from t')).toEqual([{ id: 1, v: null }]);
  });

  test('changes no row of a table outside, where foreign keys cannot be switched off', async () => {
    await using w = await sides(
      'create table t (id int primary key); insert into t values (1)',
      `create table t (id int primary key); insert into t values (1), (2);
       create table outside (t int constraint cascading references t on delete cascade); insert into outside values (1)`,
    );
    await using plain = await ordinary(w.to);
    const options = { ...copyOnly, resync: true };
    const work = { ...mirrorWork(w, [table('t')], options), target: peerOf(plain, { sslMode: 'disable' }) };
    expect(found(await look(w, [table('t')], options, work), 'error')).toMatchObject([
      { check: 'foreign keys of target tables', detail: 'By ON DELETE of: cascading of public.outside.' },
    ]);
    await expect(copyAll(work)).rejects.toMatchObject({ detail: 'By ON DELETE of: cascading of public.outside.' });
    expect(await w.to.exec('select * from outside')).toEqual([{ t: 1 }]);
    // With the right to switch them off, the same is done and the row outside stays.
    await copyAll(mirrorWork(w, [table('t')], options));
    expect(await w.to.exec('select * from outside')).toEqual([{ t: 1 }]);
  });
});

test('triggers, rules, foreign keys, constraints and collations of target tables are told of where they matter', async () => {
  await using w = await sides(
    `create table t (id int primary key, v text, n int check (n > 0), p int); create table p (id int primary key);
     insert into p select generate_series(1, 9); insert into t select i, 'v', i, i from generate_series(1, 9) i`,
    `create table p (id int primary key); create table t (id int primary key, v text collate "C", n int check (n > 0), p int constraint up references p);
     alter table t add constraint narrow check (n < 5); create unique index only_once on t (p); create table hits (n int);
     create function hit() returns trigger language plpgsql as $$ begin insert into public.hits values (1); return new; end $$;
     create trigger ordinary before insert on t for each row execute function hit();
     create trigger "all ways" after insert on t for each row execute function hit(); alter table t enable always trigger "all ways";
     create trigger asleep after insert on t for each row execute function hit(); alter table t disable trigger asleep;
     create rule also as on delete to p do also insert into hits values (2)`,
  );
  const tables = [table('t'), table('p')];
  const warnings = (findings: readonly Finding[]) =>
    new Map(found(findings, 'warning').map((each) => [each.check, each]));
  const all = await look(w, tables);
  expect(found(all, 'error')).toEqual([]);
  const told = warnings(all);
  expect(told.get('session_replication_role')).toMatchObject({
    detail: 'Firing: trigger all ways of public.t.',
    hint: expect.stringContaining('ALTER TABLE "public"."t" DISABLE TRIGGER "all ways";'),
  });
  expect(told.get('constraints of target tables')?.detail).toBe(
    'public.t: check narrow (CHECK ((n < 5)))\npublic.t: unique only_once (btree (p))',
  );
  expect(told.get('collations of target tables')?.detail).toBe(
    `public.t.v: pg_catalog."C", on the source the type's own`,
  );
  // The row that breaks what only the target asks for is named.
  await expect(copyAll(mirrorWork(w, tables, copyOnly))).rejects.toMatchObject({
    message: expect.stringContaining('narrow'),
    detail: expect.stringMatching(/Failing row contains \(5, v, 5, 5\)[\s\S]*line 5/),
  });
  await w.to.exec('alter table t drop constraint narrow; truncate t, p, hits; drop schema _sluice cascade');
  await copyAll(mirrorWork(w, tables, copyOnly));
  // Only the one that always fires.
  expect(await w.to.exec('select count(*)::int as n from hits')).toEqual([{ n: 9 }]);
  // A role that cannot switch them off.
  await using plain = await ordinary(w.to);
  const work = { ...mirrorWork(w, tables, copyOnly), target: peerOf(plain, { sslMode: 'disable' }) };
  await w.to.exec('truncate t, p');
  const theirs = await look(w, tables, copyOnly, work);
  expect(warnings(theirs).get('session_replication_role')).toMatchObject({
    detail: 'Firing: rule also of public.p, trigger all ways of public.t, trigger ordinary of public.t.',
    hint: expect.stringContaining('GRANT SET ON PARAMETER'),
  });
  expect(found(theirs, 'error')).toMatchObject([
    {
      check: 'foreign keys of target tables',
      hint: expect.stringContaining('ALTER TABLE "public"."t" DROP CONSTRAINT "up";'),
    },
  ]);
});

test.each([14, 18] as const)(
  'a plain table goes into a partitioned one and back, copied and followed, from PostgreSQL %i',
  async (major) => {
    await using source = await testDatabase(major);
    await using target = await testDatabase(18);
    const columns = 'id int, region text not null, v text, primary key (id, region)';
    const parted = (
      name: string,
    ) => `create table ${name} (${columns}) partition by list (region); create table ${name}_n partition of ${name} for values in ('n');
    create table ${name}_rest partition of ${name} default partition by range (id); create table ${name}_low partition of ${name}_rest for values from (minvalue) to (50);
    create table ${name}_high partition of ${name}_rest for values from (50) to (100000)`;
    const otherwise = `create table otherwise (${columns}) partition by hash (id, region); create table otherwise_n partition of otherwise for values with (modulus 2, remainder 0);
    create table otherwise_1 partition of otherwise for values with (modulus 2, remainder 1)`;
    await source.exec(`create table spread (${columns}); ${parted('gathered')}; ${parted('otherwise')}`);
    await target.exec(`${parted('spread')}; create table gathered (${columns}); ${otherwise}`);
    const names = ['spread', 'gathered', 'otherwise'];
    for (const name of names)
      await source.exec(
        `insert into ${name} select i, case when i % 3 = 0 then 'n' else 's' end, 'v' from generate_series(1, 200) i`,
      );
    const w = { from: source, to: target };
    const tables = names.map((name) => table(name));
    expect(found(await look({ ...w, async [Symbol.asyncDispose]() {} }, tables), 'error')).toEqual([]);
    await copyAll(mirrorWork(w, tables, { ...copyOnly, snapshot_num_rows_per_partition: 50 }));
    await expectEqualTables(source.connection, target.connection, tables);
    await target.exec('truncate spread, gathered, otherwise; drop schema _sluice cascade');
    await source.exec('truncate spread, gathered, otherwise');
    const f = await following({ source, target, tables: 'select 1', mirrored: names });
    const running = f.start();
    for (const [first, last] of [
      [1, 9],
      [100, 400],
    ] as const) {
      for (const name of names) {
        await source.exec(`insert into ${name} select i, case when i % 3 = 0 then 'n' else 's' end, 'v' from generate_series(${first}, ${last}) i;
        update ${name} set region = 's' where id % 6 = 0; update ${name} set v = 'w', region = 'n' where id % 5 = 0; update ${name} set id = id + 1000 where id % 4 = 1 and id < 1000; delete from ${name} where id % 7 = 0`);
      }
      await f.settle();
      await expectEqualTables(source.connection, target.connection, tables);
    }
    await source.exec('truncate spread, gathered, otherwise; insert into spread values (1, $$n$$)');
    await f.settle();
    await expectEqualTables(source.connection, target.connection, tables);
    await running.stop();
  },
);

test('an identity that the target always generates takes the source’s values, whatever the update touches', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const tables = `create table beside (k int primary key, n int generated always as identity, v text);
    create table itself (id int generated always as identity primary key, v text); create table plain (n int generated always as identity, v text);
    alter table plain replica identity full`;
  const f = await following({ source, target, tables, mirrored: ['beside', 'itself', 'plain'] });
  const running = f.start();
  for (const [first, last] of [
    [1, 6],
    [100, 300],
  ] as const) {
    await source.exec(`insert into beside (k, v) select i, 'v' from generate_series(${first}, ${last}) i; update beside set v = 'w' where k % 2 = 0; update beside set n = default where k % 3 = 0;
      update beside set k = k + 1000 where k % 5 = 0; insert into itself (v) select 'v' from generate_series(${first}, ${last}); update itself set v = 'w' where id % 2 = 0;
      update itself set id = default where id % 3 = 0; insert into plain (v) select 'v' from generate_series(${first}, ${last}); update plain set v = 'w' where n % 2 = 0; update plain set n = default where n % 5 = 0`);
    await f.settle();
    for (const each of ['beside', 'itself', 'plain']) {
      const { source: left, target: right } = await f.rows(each);
      expect(right, each).toEqual(left);
    }
  }
  await running.stop();
});

/** The database as an owner sees it who may not switch triggers off. */
async function ordinary(db: TestDatabase): Promise<TestDatabase & AsyncDisposable> {
  const user = `plain_${randomBytes(4).toString('hex')}`;
  await db.exec(
    `create role ${user} login password 'x'; grant create on database "${db.database}" to ${user}; grant all on schema public to ${user}`,
  );
  await db.exec(`grant all on all tables in schema public to ${user}`);
  for (const { name } of await db.exec<{ name: string }>(
    `select quote_ident(relname) as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')`,
  )) {
    await db.exec(`alter table ${name} owner to ${user}`);
  }
  await db.exec(`do $$ begin if exists (select from pg_namespace where nspname = '_sluice') then
    execute 'grant all on schema _sluice to ${user}; grant all on all tables in schema _sluice to ${user}'; end if; end $$`);
  return {
    ...db,
    user,
    password: 'x',
    async [Symbol.asyncDispose]() {
      await db.exec(`reassign owned by ${user} to current_user; drop owned by ${user}; drop role ${user}`);
    },
  };
}

test('EXPLAIN CREATE MIRROR says of each whether it is used, does not fit, holds rows or would be replaced, and changes nothing', async () => {
  await using w = await sides(
    'create table fits (id int primary key, v int); create table unfit (id int primary key, v text); create table filled (id int primary key)',
    `create table fits (id bigint primary key, v numeric, more text); create table unfit (id int primary key, v int, must int not null);
     create table filled (id int primary key); insert into filled values (7)`,
  );
  await using catalog = await testCatalog();
  await catalog.peer('src', w.from);
  await catalog.peer('dst', w.to);
  const explain = async (tables: readonly string[], options = '') => {
    const mapping = tables.map((name) => `public.${name}:public.${name}`).join(', ');
    const rows = await catalog.show(
      `explain create mirror explained from src to dst with table mapping (${mapping}) with (initial_copy_only = true${options})`,
    );
    return rows.filter(({ state }) => state === 'error' || state === 'warning');
  };
  expect(await explain(['fits'])).toEqual([]);
  const told = await explain(['fits', 'unfit', 'filled']);
  expect(told).toMatchObject([
    { message: 'public.filled exists on the target and holds rows', hint: expect.stringContaining('resync = true') },
    { check: 'schema of the target', message: 'the target cannot take the tables, for 2 reasons' },
  ]);
  expect(told[1]?.detail?.split('\n')).toEqual([
    'public.unfit.v is integer on the target and text on the source',
    'public.unfit.must is NOT NULL on the target, without default and not on the source',
  ]);
  expect(await explain(['fits', 'unfit', 'filled'], ', resync = true')).toEqual([]);
  expect(await w.to.exec('select id from filled')).toEqual([{ id: 7 }]);
  expect(await traces(w.to)).toEqual(noTraces);
});
