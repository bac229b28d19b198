// Making the target ready: what is missing is made, what fits is used, what does not is told in full, and a killed try is gone on with.
import { describe, expect, test } from 'vitest';
import type { SluiceError } from '../../src/base/errors.ts';
import type { OptionValue } from '../../src/base/options.ts';
import type { MirroredTable } from '../../src/mirror/work.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, copyAll, listening, mirrorWork, table } from '../support/copied.ts';
import { type Sides, sides } from '../support/database.ts';

const copyOnly = { initial_copy_only: true };

async function prepare(
  w: Sides,
  tables: readonly MirroredTable[],
  options: Readonly<Record<string, OptionValue>> = copyOnly,
) {
  const work = mirrorWork(w, tables, options);
  await claim(work);
  await prepareTarget(listening(work), new AbortController().signal);
  return work;
}

const tablesOf = `select relname::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by 1`;

describe('tables that are on the target already', () => {
  test('are used if they fit, with more columns and a key of their own', async () => {
    await using w = await sides(
      'create table t (id int primary key, v text); insert into t values (1, $$a$$)',
      `create table t (v text, extra int default 7, id int, constraint mine primary key (id))`,
    );
    await copyAll(mirrorWork(w, [table('t')], copyOnly));
    expect(await w.to.exec('select * from t')).toEqual([{ v: 'a', extra: 7, id: 1 }]);
    const keys = `select conname::text as name from pg_constraint where conrelid = 't'::regclass and contype = 'p'`;
    expect(await w.to.exec(keys)).toEqual([{ name: 'mine' }]);
  });

  test('are refused with every difference when they do not fit, and nothing is made', async () => {
    await using w = await sides(
      `create table other (id int); create table t (id int primary key, a numeric(10,2), b text, c int, d int)`,
      `create table t (id smallint, a numeric(10,3), c int generated always as (1) stored, e int not null)`,
    );
    await expect(prepare(w, [table('t'), table('other')])).rejects.toMatchObject({
      kind: 'wrong_state',
      sqlstate: '55000',
      detail: [
        'public.t.id is smallint on the target and integer on the source',
        'public.t.a is numeric(10,3) on the target and numeric(10,2) on the source',
        'public.t.b is missing on the target',
        'public.t.c is generated on the target and a plain column on the source',
        'public.t.d is missing on the target',
        'public.t.e is NOT NULL on the target, without default and not on the source',
      ].join('\n'),
    });
    expect(await w.to.exec(tablesOf)).toEqual([{ name: 't' }]);
  });

  test('are refused when they hold rows, unless they may be replaced or nothing is copied', async () => {
    await using w = await sides(
      'create table t (id int primary key); insert into t values (1), (2)',
      'create table t (id int primary key); insert into t values (99)',
    );
    await expect(prepare(w, [table('t')])).rejects.toMatchObject({
      kind: 'wrong_state',
      message: 'target table public.t has rows',
      hint: expect.stringContaining('resync = true'),
    });
    await prepare(w, [table('t')], { do_initial_copy: false });
    expect(await w.to.exec('select id from t')).toEqual([{ id: 99 }]);
    await copyAll(mirrorWork(w, [table('t')], { ...copyOnly, resync: true }));
    expect(await w.to.exec('select id from t order by 1')).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test('are dropped and made anew with resync when they do not fit, their sequences and partitions too', async () => {
    await using w = await sides(
      `create table t (id serial primary key, v text) ; insert into t (v) values ('a');
       create table p (id int) partition by list (id); create table p1 partition of p for values in (1); insert into p values (1)`,
      `create table t (id serial primary key, v int); insert into t (v) values (5);
       create table p (id text) partition by list (id); create table p1 partition of p for values in ('1')`,
    );
    await copyAll(mirrorWork(w, [table('t'), table('p')], { ...copyOnly, resync: true }));
    expect(await w.to.exec(`select id, v, nextval('t_id_seq') as n from t`)).toEqual([{ id: 1, v: 'a', n: '2' }]);
    expect(await w.to.exec('select id from p1')).toEqual([{ id: 1 }]);
  });

  test('that another table refers to are emptied by resync', async () => {
    await using w = await sides(
      'create table t (id int primary key); insert into t values (1)',
      'create table t (id int primary key); insert into t values (1), (2); create table r (t int references t); insert into r values (1)',
    );
    await copyAll(mirrorWork(w, [table('t')], { ...copyOnly, resync: true }));
    expect(await w.to.exec('select id from t')).toEqual([{ id: 1 }]);
  });

  test('that refer to each other are emptied at once by resync, and keep their indexes', async () => {
    await using w = await sides(
      `create table r (id int primary key); create table t (id int primary key, r int references r); create index t_r on t (r);
       insert into r values (1); insert into t values (1, 1)`,
    );
    const tables = [table('t'), table('r')];
    await copyAll(mirrorWork(w, tables, copyOnly));
    const file = `select pg_relation_filenode('r') as r, pg_relation_filenode('t') as t`;
    const before = await w.to.exec(file);
    await w.to.exec('insert into r values (2); insert into t values (2, 2)');
    await copyAll(mirrorWork(w, tables, { ...copyOnly, resync: true }));
    expect(await w.to.exec('select t.id, r.id as r from t join r on r.id = t.r')).toEqual([{ id: 1, r: 1 }]);
    // By TRUNCATE, which gives each a new file.
    expect(await w.to.exec(file)).not.toMatchObject(before);
    expect(await w.to.exec(`select 1 from pg_indexes where indexname = 't_r'`)).toHaveLength(1);
  });

  test('must be there with schema = none; all missing ones are named', async () => {
    await using w = await sides(
      'create table a (id int primary key); create table b (); create table c ()',
      'create table a (id int)',
    );
    await expect(
      prepare(w, [table('a'), table('b'), table('c')], { ...copyOnly, schema: 'none' }),
    ).rejects.toMatchObject({
      kind: 'undefined_table',
      detail: 'Missing on the target: public.b, public.c.',
    });
    await copyAll(mirrorWork(w, [table('a')], { ...copyOnly, schema: 'none' }));
    expect(await w.to.exec(`select 1 from pg_constraint where conrelid = 'a'::regclass and contype = 'p'`)).toEqual([]);
  });
});

test('missing source tables are all named', async () => {
  await using w = await sides('create table a ()');
  await expect(prepare(w, [table('a'), table('b'), table('c.d')])).rejects.toMatchObject({
    kind: 'undefined_table',
    detail: 'Missing: public.b, c.d.',
  });
});

test('functions that defaults, generated columns and domains call are made before the tables, also where a mapping names only these', async () => {
  const fn = `create schema lib; create function lib.next_no(n int) returns int language sql immutable as 'select n + 1';`;
  const source = `${fn} create table t (id int default lib.next_no(4), g int generated always as (lib.next_no(1)) stored);
    create domain odd as int check (lib.next_no(value) % 2 = 0); create table o (v odd)`;
  await using w = await sides(source);
  await prepare(w, [table('t'), table('o')]);
  expect(await w.to.exec('insert into t values (default) returning id, g')).toEqual([{ id: 5, g: 2 }]);
});

test('a function that the target has already is used as it is, whatever its name', async () => {
  const next = '"li""b"."ne.xt ""No"" 1"';
  const made = (by: number) => `create schema "li""b";
    create function ${next}(n int) returns int language sql immutable as 'select n + ${by}';
    create function ${next}(n text) returns int language sql immutable as 'select 0';`;
  await using w = await sides(`${made(1)} create table t (id int default ${next}(4), v int)`, made(10));
  await prepare(w, [table('t')]);
  expect(await w.to.exec('insert into t values (default, 0) returning id')).toEqual([{ id: 14 }]);
});

test('extensions that types need are created, each in its schema', async () => {
  await using w = await sides(`create schema ext; create extension citext schema ext; create extension hstore;
    create table t (name ext.citext, h hstore, hs hstore[]); insert into t values ('Ab', 'a=>1, b=>NULL', array['c=>"x y"'::hstore])`);
  await copyAll(mirrorWork(w, [table('t')], copyOnly));
  const row = `select name::text as n, h::text as h, hs::text as hs from t where name operator(ext.=) 'aB'::ext.citext`;
  expect(await w.to.exec(row)).toEqual(await w.from.exec(row));
  expect(await w.to.exec(row)).toHaveLength(1);
});

test('an enum of the target that lacks labels is told with the labels', async () => {
  await using w = await sides(
    `create type mood as enum ('a', 'b', 'c'); create table t (m mood)`,
    `create type mood as enum ('b')`,
  );
  await expect(prepare(w, [table('t')])).rejects.toMatchObject({
    message: "the target cannot take the tables: type public.mood lacks the labels 'a', 'c' on the target",
    detail: undefined,
  });
});

test('a label that an enum of the source was given during the copy is told with what adds it', async () => {
  await using w = await sides(`create type mood as enum ('a'); create table t (m mood, ms mood[])`);
  const work = await prepare(w, [table('t')]);
  await w.from.exec("alter type mood add value 'b'");
  await w.from.exec("insert into t values ('b', null)");
  const copying = runSnapshot(listening(work), new AbortController().signal);
  await expect(copying).rejects.toMatchObject({
    sqlstate: '22P02',
    hint: expect.stringContaining('ALTER TYPE public.mood ADD VALUE …;'),
  });
});

test('a replica identity is the same on the target, so that it can be followed in turn', async () => {
  await using w = await sides(
    `create table whole (v text); alter table whole replica identity full;
     create table t (a int not null, b text not null, v text); create unique index t_ab on t (b, a);
     alter table t replica identity using index t_ab;
     create table u (id int primary key, a int not null unique); alter table u replica identity using index u_a_key;
     create table k (id int primary key); alter table k replica identity using index k_pkey;
     create table p (a int not null, v text) partition by range (a); create unique index p_a on p (a);
     alter table p replica identity using index p_a;
     create table p1 partition of p for values from (0) to (10); alter table p1 replica identity using index p1_a_idx;
     create table stands (a int not null unique); alter table stands replica identity using index stands_a_key;
     insert into t values (1, 'x', 'y'); insert into u values (1, 2); insert into p values (5, 'z')`,
    'create table stands (a int not null unique)',
  );
  const tables = ['whole', 't', 'u', 'k', 'p', 'stands'].map((name) => table(name));
  const work = mirrorWork(w, tables, copyOnly);
  await copyAll(work);
  await finishSnapshot(listening(work), new AbortController().signal);
  const identities = `select c.oid::regclass::text as table, c.relreplident::text as how, i.indexrelid::regclass::text as index
    from pg_class c left join pg_index i on i.indrelid = c.oid and i.indisreplident
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
      and c.relname <> 'k' order by 1`;
  const there = await w.to.exec(identities);
  expect(there).toEqual(await w.from.exec(identities));
  expect(there).toHaveLength(6);
  expect(
    await w.to.exec(
      `select conname::text as name from pg_constraint where contype = 'u' and conrelid <> 0 and connamespace = 'public'::regnamespace order by 1`,
    ),
  ).toEqual([{ name: 'stands_a_key' }, { name: 'u_a_key' }]);
});

test('what an older target cannot hold is told before anything is made', async () => {
  await using w = await sides(
    'create table ok (n numeric(5,5)); create table t (id int, v int generated always as (id * 2) virtual, up numeric(12,-2), down numeric(3,5))',
    undefined,
    [18, 14],
  );
  await expect(prepare(w, [table('ok'), table('t')])).rejects.toMatchObject({
    detail: `public.t.v is a virtual generated column: these need PostgreSQL 18
public.t.up is numeric(12,-2): a scale below 0 or above the precision needs PostgreSQL 15
public.t.down is numeric(3,5): a scale below 0 or above the precision needs PostgreSQL 15`,
  });
  expect(await w.to.exec(tablesOf)).toEqual([]);
  await prepare(w, [table('t', { exclude: ['v', 'up', 'down'] })]);
});

test('expressions that only the newer server knows are told before anything is made', async () => {
  await using w = await sides(
    `create schema own; create function own.uuidv7() returns uuid language sql as 'select gen_random_uuid()';
     create function pg_catalog.mine_only(text) returns text language sql as 'select $1';
     create type own.mood as enum ('a'); create domain own.code as text default 'x' check (value ~ '^[a-z]' and length(value) < 9);
     create domain dd as uuid default uuidv7() check (value <> uuid_extract_timestamp(value)::text::uuid);
     create sequence own.s;
     create table ok (id uuid default own.uuidv7(), at timestamptz default now(), r float default random(), c varchar(9) default 'uuidv7()'::varchar(9),
       m own.mood default 'a', code own.code, n numeric(10,2) default 1.50, i interval(3) default '1 day'::interval second(3), j jsonb default '{"a.b": 1}',
       e int default extract(year from now()), x xml default xmlelement(name a, 'b'), k int default coalesce(nullif(1, 2), greatest(3, 4)),
       a int[] default array[1, (array[2, 3])[1]], s text default substring('abc' from 2 for 1) || overlay('abc' placing 'x' from 1) || trim(both ' ' from ' a '),
       mi interval default make_interval(days => 3), f text default format('%s.%s', 'a', 'b'), nx int default nextval('own.s'), u text default current_user,
       z timestamp default (now() at time zone 'utc'), b bytea default '\\x01', q "char" default 'a', cl text default ('a' collate "C"), mo text default mine_only('x'),
       g text generated always as (lower(c) || n::text) stored, gm int generated always as (case when m = 'a'::own.mood then 1 else 2 end) stored, rc oid default 'ok'::regclass);
     create table t (id uuid default uuidv7(), dice int default (1 + random(1, 6)), v text, low text generated always as (casefold(v collate "C")) stored,
       js jsonb default json_array(1, 2 returning jsonb), so text default system_user, rv bytea default reverse('a'::bytea), inf interval default 'infinity');
     create table p (id int, u uuid) partition by range (id); create table p1 partition of p for values from (0) to (10);
     alter table p1 alter u set default uuidv7();
     create table k (v text) partition by list (casefold(v)); create table d (v dd)`,
    `create schema own; create function own.uuidv7() returns uuid language sql as 'select gen_random_uuid()'`,
    [18, 14],
  );
  const tables = ['ok', 't', 'p', 'k', 'd'].map((name) => table(name));
  const refused = await prepare(w, tables).catch((error: SluiceError) => error);
  const remedy = ': drop the default on the source, or make the table on the target without it';
  const lines = (refused as SluiceError).detail?.split('\n') ?? [];
  expect(lines.map((line) => line.replace(/ says: .*?(?=: drop the|: make the|$)/, ' says: …'))).toEqual([
    `domain public.dd has the default uuidv7(), and the target says: …: make the domain on the target without it`,
    expect.stringMatching(
      /^domain public.dd has CHECK .*uuid_extract_timestamp.*: make the domain on the target without it$/,
    ),
    `public.t.id has the default uuidv7(), and the target says: …${remedy}`,
    `public.t.dice has the default (1 + random(1, 6)), and the target says: …${remedy}`,
    `public.t.low is generated by casefold((v COLLATE "C")), and the target says: …`,
    `public.t.js has the default JSON_ARRAY(1, 2 RETURNING jsonb), and the target says: …${remedy}`,
    `public.t.so has the default SYSTEM_USER, and the target says: …${remedy}`,
    `public.t.rv has the default reverse('\\x61'::bytea), and the target says: …${remedy}`,
    `public.t.inf has the default 'infinity'::interval, and the target says: …${remedy}`,
    `public.p1.u has the default uuidv7(), and the target says: …${remedy}`,
    `public.k is partitioned by LIST (casefold(v)), and the target says: …`,
  ]);
  expect(lines[2]).toContain('function uuidv7() does not exist');
  expect(await w.to.exec(tablesOf)).toEqual([]);
  await w.to.exec('create table t (id uuid, dice int, v text, js jsonb, so text, rv bytea, inf interval)');
  await w.from.exec('alter table p1 alter u drop default; alter table ok alter mo drop default');
  await prepare(w, [table('ok'), table('t', { exclude: ['low'] }), table('p')]);
});

test('virtual and stored generated columns, unlogged tables and inheritance arrive', async () => {
  await using w = await sides(
    `create table t (id int primary key, v int generated always as (id * 2) virtual, s int generated always as (id * 3) stored);
     insert into t values (1), (2); create unlogged table u (id int); insert into u values (7);
     create table mother (id int); create table child (more int) inherits (mother);
     insert into mother values (1); insert into child values (2, 3)`,
  );
  await copyAll(mirrorWork(w, [table('t'), table('u'), table('mother'), table('child')], copyOnly));
  expect(await w.to.exec('select * from t order by id')).toEqual([
    { id: 1, v: 2, s: 3 },
    { id: 2, v: 4, s: 6 },
  ]);
  expect(
    await w.to.exec(`select relpersistence as p, (select id from u) as id from pg_class where relname = 'u'`),
  ).toEqual([{ p: 'u', id: 7 }]);
  expect(
    await w.to.exec('select (select array_agg(id) from mother) as m, (select array_agg(id) from child) as c'),
  ).toEqual([{ m: [1, 2], c: [2] }]);
});

test('tables go to other schemas with their sequences, partitions and row types', async () => {
  await using w = await sides(
    `create schema a; create sequence a.shared; create table a.one (id serial, s int default nextval('a.shared'));
     create table a.two (s int default nextval('a.shared'));
     create table a.log (at int) partition by range (at); create table a.log_1 partition of a.log for values from (1) to (9);
     insert into a.log values (5); insert into a.one default values; insert into a.two default values`,
  );
  const moved = (name: string, as = name) => table(`a.${name}`, { to: { schema: 'b', name: as } });
  await copyAll(mirrorWork(w, [moved('one'), moved('two'), moved('log', 'journal')], copyOnly));
  expect(await w.to.exec('insert into b.one default values returning id, s')).toEqual([{ id: 2, s: 3 }]);
  expect(await w.to.exec('insert into b.two default values returning s')).toEqual([{ s: 4 }]);
  expect(await w.to.exec('select at from b.journal_1')).toEqual([{ at: 5 }]);
  expect(await w.to.exec(`select pg_get_serial_sequence('b.one', 'id') as s`)).toEqual([{ s: 'b.one_id_seq' }]);
  expect(await w.to.exec(`select 1 from pg_namespace where nspname = 'a'`)).toEqual([]);
});

test('a try that was killed between any two transactions is gone on with', async () => {
  const many = Array.from({ length: 120 }, (_, i) => `create table t${i} (id serial primary key)`).join(';');
  await using w = await sides(`${many}; create table p (id int primary key) partition by list (id);
    create table p1 partition of p for values in (1); create table p2 partition of p for values in (2)`);
  const tables = [...Array.from({ length: 120 }, (_, i) => table(`t${i}`)), table('p')];
  // What a killed try leaves: some tables, a sequence with its table, a partition that is not attached yet.
  await w.to.exec('create table t3 (id serial); create table p1 (id int not null); create table p2 (id int not null)');
  await prepare(w, tables);
  await prepare(w, tables);
  expect(
    await w.to.exec(
      `select count(*)::int as n from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace`,
    ),
  ).toEqual([{ n: 123 }]);
  expect(await w.to.exec(`select count(*)::int as n from pg_inherits where inhparent = 'p'::regclass`)).toEqual([
    { n: 2 },
  ]);
});

test('a table that cannot be made is named with the server’s own answer', async () => {
  await using w = await sides(
    'create table a (); create table taken (); create table z ()',
    'create view taken as select 1',
  );
  await expect(prepare(w, [table('a'), table('taken'), table('z')])).rejects.toMatchObject({
    message: 'the target cannot take the tables: public.taken is a view on the target',
    detail: undefined,
  });
  await w.to.exec(`drop view taken; create function no_taken() returns event_trigger language plpgsql as $$ begin
      if to_regclass('public.taken') is not null then raise 'not that one' using errcode = 'insufficient_privilege'; end if; end $$;
    create event trigger no_taken on ddl_command_end when tag in ('CREATE TABLE') execute function no_taken()`);
  await expect(prepare(w, [table('a'), table('taken'), table('z')])).rejects.toMatchObject({
    kind: 'upstream',
    sqlstate: '42501',
    message: expect.stringContaining('cannot make table public.taken on the target'),
  });
});

test('many tables are made side by side: what needs another comes after it, and one that cannot be made keeps no other away', async () => {
  const lone = Array.from({ length: 160 }, (_, i) => `create table t${i} (id int primary key, c colour, r r${i % 3})`);
  await using w = await sides(`create type colour as enum ('red', 'green');
    create table r0 (a int); create table r1 (a int); create table r2 (a r1); ${lone.join(';')};
    create table mother (id int); create table heir (more int) inherits (mother);
    create table p (id int) partition by list (id); create table p1 partition of p for values in (1)`);
  const names = [...lone.map((_, i) => `t${i}`), 'p', 'heir', 'mother', 'r2', 'r0', 'r1'];
  const tables = names.map((name) => table(name));
  await w.to.exec(`create function bars() returns event_trigger language plpgsql as $$ begin
      if exists (select from pg_event_trigger_ddl_commands() where object_identity in ('public.t97', 'public.t140')) then
        raise 'not that one' using errcode = 'insufficient_privilege'; end if; end $$;
    create event trigger bars on ddl_command_end when tag in ('CREATE TABLE') execute function bars()`);
  await expect(prepare(w, tables)).rejects.toMatchObject({
    sqlstate: '42501',
    message: expect.stringContaining('cannot make table public.t97 on the target'),
    detail: expect.stringContaining('cannot make table public.t140 on the target'),
  });
  const made = async () => (await w.to.exec<{ name: string }>(tablesOf)).map(({ name }) => name);
  expect(await made()).toEqual([...names, 'p1'].filter((name) => name !== 't97' && name !== 't140').toSorted());
  await w.to.exec('drop event trigger bars');
  await prepare(w, tables);
  expect(await made()).toEqual([...names, 'p1'].toSorted());
});

test('what a default needs without the server noting it is made first; what cannot be is told with a way out', async () => {
  await using w = await sides(`create table zz (x int); create table mm (v text default (array[]::zz[])::text);
    create table aa (v text default (array[]::mm[])::text); insert into aa default values`);
  const tables = [table('aa'), table('mm'), table('zz')];
  await copyAll(mirrorWork(w, tables, copyOnly));
  expect(await w.to.exec('select v from aa')).toEqual([{ v: '{}' }]);
  const shown = `select relname, pg_get_expr(adbin, adrelid) as value from pg_attrdef join pg_class c on c.oid = adrelid where relname in ('aa', 'mm') order by 1`;
  expect(await w.to.exec(shown)).toEqual(await w.from.exec(shown));
  await w.from.exec(`create table one (v oid); create table two (v oid default 'one'::regclass);
    alter table one alter v set default 'two'::regclass; insert into two default values`);
  const work = mirrorWork(w, [table('one'), table('two')], copyOnly);
  const deps = listening(work);
  await claim(work);
  await expect(prepareTarget(deps, new AbortController().signal)).rejects.toMatchObject({
    kind: 'upstream',
    sqlstate: '42P01',
    message: expect.stringContaining('cannot make table public.one on the target'),
    hint: expect.stringContaining('without that default'),
  });
  await w.to.exec('create table one (v oid)');
  await prepareTarget(deps, new AbortController().signal);
  await runSnapshot(deps, new AbortController().signal);
  expect(await w.to.exec('select v = 0 as none from two')).toEqual([{ none: false }]);
});

test('tables whose types draw the same names for their arrays are made, whichever sessions make them', async () => {
  // The array of the row type of x is _x, as is the row type of a table of that name.
  const names = ['', '_', '__'].flatMap((prefix) => Array.from({ length: 150 }, (_, i) => `${prefix}z${i}`));
  await using w = await sides(names.map((name) => `create table ${name} (id int)`).join(';'));
  await prepare(
    w,
    names.map((name) => table(name)),
  );
  expect(await w.to.exec(`select count(*)::int as n from (${tablesOf}) made`)).toEqual([{ n: 450 }]);
});
