// Which objects of a database go along with a mirror, and under which names: by what the mapping says and by what that needs.
import { expect, test } from 'vitest';
import { shownName } from '../../src/peers/schema/shown-name.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, copyAll, listening, mirrorWork, table } from '../support/copied.ts';
import { databaseWork, exceptions, made, sides } from '../support/database.ts';
import { testDatabase } from '../support/servers.ts';

const copyOnly = { initial_copy_only: true };
const never = new AbortController().signal;

const shop = `
  create schema shop; create schema other; create type shop.state as enum ('new', 'done'); create type other.kind as enum ('k');
  create function other.twice(int) returns int language sql immutable as 'select $1 * 2';
  create function other.unneeded() returns int language sql as 'select 1';
  create table shop.orders (id int primary key, state shop.state, kind other.kind, total int check (other.twice(total) > 0), shop text);
  insert into shop.orders values (1, 'new', 'k', 5, 's');
  create function shop.total(shop.orders) returns int language sql as 'select ($1).total';
  create function shop.sum_of() returns bigint begin atomic select sum(orders.total) from shop.orders; end;
  create function shop.hidden() returns bigint language sql as 'select count(*) from shop.orders';
  create sequence shop.free start 7; select nextval('shop.free'), nextval('shop.free');
  create view shop.open as select orders.id, shop.total(orders.*) as total from shop.orders where orders.state = 'new'::shop.state;
  create view shop.both as select o.id, v.total from shop.orders o join shop.open v on v.id = o.id;
  create view other.outside as select 1 as one from shop.orders;
  create materialized view shop.counted as select count(*) as n from shop.both;
  create rule ins as on insert to shop.open do instead insert into shop.orders (id, total) values (new.id, new.total);
  create cast (shop.state as int) with inout; create operator shop.#+# (function = int4pl, leftarg = int, rightarg = int);
  create text search configuration shop.conf (copy = simple)`;

// Functions that tables, their indexes and constraints call.
const calls = `
  create function shop.next(int) returns int language sql immutable as 'select $1 + 1';
  create table shop.calls (id int default shop.next(4), g int generated always as (shop.next(1)) stored, p int, constraint ok check (shop.next(p) > 0));
  create index calls_i on shop.calls (shop.next(p)) where shop.next(p) > 0; create statistics shop.st on (shop.next(p)), id from shop.calls;
  create domain shop.positive as int check (shop.next(value) > 1); create table shop.parts (id int, p shop.positive) partition by range (shop.next(id));
  create table shop.parts_1 partition of shop.parts for values from (1) to (9); insert into shop.calls (p) values (5); insert into shop.parts values (3, 7)`;

test('a schema mapping takes along everything in its schemas and what that needs, under the new names', async () => {
  await using it = await sides(shop);
  const work = await databaseWork(it, copyOnly, { kind: 'schemas', pairs: [{ from: 'shop', to: 'st.ore' }] });
  const told = await copyAll(work);
  expect(exceptions(told)).toEqual([
    expect.stringMatching(
      /^left_out function shop.hidden\(\): its text names shop.orders, which is st.ore.orders on the target, in a string/,
    ),
  ]);
  expect(made(told, 'function', 'view', 'materialized view', 'sequence', 'operator', 'cast', 'schema')).toEqual([
    'cast (shop.state AS integer)',
    'function other.twice(integer)',
    'function shop.sum_of()',
    'function shop.total(shop.orders)',
    'materialized view shop.counted',
    'operator shop.#+#(integer, integer)',
    'schema other',
    'schema shop',
    'sequence shop.free',
    'view shop.both',
    'view shop.open',
  ]);
  expect(
    await it.to.exec(`select (select n from "st.ore".counted) as n, "st.ore".sum_of() as sum, (select total from "st.ore".open) as total,
      nextval('"st.ore".free') as next, 3 operator("st.ore".#+#) 4 as seven`),
  ).toEqual([{ n: '1', sum: '5', total: 5, next: '9', seven: 7 }]);
  expect(
    await it.to.exec(
      `insert into "st.ore".open (id, total) values (2, 9); select id, total from "st.ore".orders order by id`,
    ),
  ).toEqual([
    { id: 1, total: 5 },
    { id: 2, total: 9 },
  ]);
  expect(await it.to.exec(`select 1 from pg_class where relname = 'outside'`)).toEqual([]);
  expect(
    await it.to.exec(`select 1 from pg_ts_config where cfgname = 'conf' and cfgnamespace = '"st.ore"'::regnamespace`),
  ).toHaveLength(1);
});

test('a table mapping takes along what its tables need and the views over them, which follow a new name', async () => {
  await using it = await sides(`${shop};
    create table shop.left_behind (id int); create view shop.of_both as select o.id from shop.orders o join shop.left_behind using (id);
    create view shop.over_it as select * from shop.of_both; create view shop.of_other as select * from shop.left_behind`);
  const orders = table('shop.orders', { to: { schema: 'st ore', name: 'Ord"ers' } });
  const told = await copyAll(mirrorWork(it, [orders], copyOnly));
  expect(exceptions(told)).toEqual([
    'left_out view shop.of_both: it needs shop.left_behind, which is neither mirrored nor on the target',
    'left_out view shop.over_it: view of_both is left out',
  ]);
  expect(made(told, 'function', 'view', 'materialized view', 'type', 'rule', 'sequence')).toEqual([
    'function other.twice(integer)',
    'function shop.total(shop.orders)',
    'materialized view shop.counted',
    'rule shop.ins of shop.open',
    'type other.kind',
    'type shop.state',
    'view other.outside',
    'view shop.both',
    'view shop.open',
  ]);
  expect(await it.to.exec(`insert into shop.open values (2, 9); select id, total from shop.both`)).toEqual([
    { id: 1, total: 5 },
  ]);
  expect(await it.to.exec(`select id from "st ore"."Ord""ers" order by 1`)).toEqual([{ id: 1 }, { id: 2 }]);
});

test('unlogged tables of a mirror that follows are made and stay empty, and the ledger says why', async () => {
  await using it = await sides(`create table t (id int primary key); insert into t values (1);
    create unlogged table u (id serial primary key, v text); insert into u (v) values ('x'), ('y'); create index u_v on u (v);
    create view of_u as select * from u`);
  const told = await copyAll(await databaseWork(it, {}));
  expect(exceptions(told)).toEqual([]);
  expect(told.objects.get(JSON.stringify(['table', 'public', 'u', '']))).toMatchObject({
    state: 'created',
    reason: 'its rows are not copied: it is unlogged, and its changes are in no log',
  });
  expect(await it.to.exec(`insert into u (v) values ('z') returning id`)).toEqual([{ id: 3 }]);
  expect(await it.to.exec(`select v from of_u`)).toEqual([{ v: 'z' }]);
  expect(await it.to.exec(`select indexname::text as name from pg_indexes where tablename = 'u' order by 1`)).toEqual([
    { name: 'u_pkey' },
    { name: 'u_v' },
  ]);
});

test('unlogged partitions of a mirror that follows are copied, and the ledger says that their changes do not follow', async () => {
  await using it = await sides(`create table p (id int primary key) partition by range (id);
    create unlogged table p_1 partition of p for values from (0) to (10); create table p_2 partition of p for values from (10) to (20);
    insert into p values (1), (11)`);
  const told = await copyAll(await databaseWork(it, {}));
  expect(told.objects.get(JSON.stringify(['table', 'public', 'p_1', '']))).toMatchObject({
    state: 'created',
    reason: 'its rows are copied and its changes do not follow: it is unlogged, and they are in no log',
  });
  expect(told.notes).toContainEqual('unlogged partitions are copied and their changes do not follow: public.p_1');
  expect(await it.to.exec('select id from p order by 1')).toEqual([{ id: 1 }, { id: 11 }]);
});

test('rows that users put into tables of an extension stay behind, and the ledger says so', async () => {
  await using it = await sides(`create table t (id int); create schema e; create extension citext schema e;
    update pg_extension set extconfig = array['t'::regclass::oid], extcondition = array['where id > 3'] where extname = 'citext'; insert into t values (4);
    insert into pg_depend values ('pg_class'::regclass, 't'::regclass, 0, 'pg_extension'::regclass, (select oid from pg_extension where extname = 'citext'), 0, 'e');
    create table m (id e.citext)`);
  const told = await copyAll(await databaseWork(it));
  expect(exceptions(told)).toEqual([
    'left_out extension citext, rows of t: rows that were put into a table of an extension are not copied: "public"."t"',
  ]);
});

test('tables, indexes and constraints that call functions of a renamed schema follow these, and a second call finds them', async () => {
  await using it = await sides(`create schema shop; ${calls}`);
  const work = await databaseWork(it, copyOnly, { kind: 'schemas', pairs: [{ from: 'shop', to: 'order' }] });
  const deps = listening(work);
  await claim(work);
  await prepareTarget(deps, never);
  await runSnapshot(deps, never);
  await finishSnapshot(deps, never);
  await finishSnapshot(deps, never);
  expect(exceptions(deps.told)).toEqual([]);
  expect(await it.to.exec(`insert into "order".calls (p) values (1) returning id, g`)).toEqual([{ id: 5, g: 2 }]);
  const texts = `select pg_get_expr(d.adbin, d.adrelid) as text from pg_attrdef d union all select pg_get_constraintdef(k.oid) from pg_constraint k where k.contype = 'c'
    union all select pg_get_indexdef(i.indexrelid) from pg_index i where i.indrelid::regclass::text ~ 'calls' union all select pg_get_statisticsobjdef(oid) from pg_statistic_ext
    union all select pg_get_partkeydef(p.partrelid) from pg_partitioned_table p order by 1`;
  const calling = (rows: readonly { text: string }[]) =>
    rows.map(({ text }) => text).filter((text) => text.includes('next('));
  const renamed = calling(await it.from.exec<{ text: string }>(texts)).map((text) =>
    text.replaceAll('shop.', '"order".'),
  );
  expect(calling(await it.to.exec<{ text: string }>(texts)).toSorted()).toEqual(renamed.toSorted());
  expect(renamed).toHaveLength(7);
});

test('of operator families that came with an extension only members that a user added get a line', async () => {
  await using it =
    await sides(`create extension btree_gist; create extension hstore; create type pair as (a int, b int);
    create function pair_hash(pair) returns int language sql immutable as 'select ($1).a';
    alter operator family hash_hstore_ops using hash add function 1 (pair, pair) pair_hash(pair)`);
  const told = await copyAll(await databaseWork(it));
  expect(exceptions(told)).toEqual([]);
  expect([...told.objects.values()].filter(({ kind }) => kind === 'operator family member')).toEqual([
    expect.objectContaining({ state: 'created', name: expect.stringContaining('(public.pair, public.pair)') }),
  ]);
  expect(told.notes).toEqual([]);
});

test('an extension stays in its schema where a mapping renames that, and with it what columns have of it', async () => {
  await using it =
    await sides(`create schema shop; create extension citext schema shop; create extension hstore schema shop;
    create table shop.people (id int primary key, mail shop.citext unique, tags shop.hstore); create index on shop.people using gin (tags);
    insert into shop.people values (1, 'A@x', 'a=>1')`);
  const work = await databaseWork(it, copyOnly, { kind: 'schemas', pairs: [{ from: 'shop', to: 'store' }] });
  expect(exceptions(await copyAll(work))).toEqual([]);
  expect(
    await it.to.exec(`select id from store.people where mail operator(shop.=) 'a@X' and tags operator(shop.?) 'a'`),
  ).toEqual([{ id: 1 }]);
  expect(
    await it.to.exec(
      `select distinct extnamespace::regnamespace::text as schema from pg_extension where extname in ('citext', 'hstore')`,
    ),
  ).toEqual([{ schema: 'shop' }]);
});

test('a policy and a grant for everybody follow renamed tables of the schema public, and are known again as made', async () => {
  await using it =
    await sides(`create table a (id int primary key); create table b (id int primary key); alter table b enable row level security;
    create policy p on b using (id in (select a.id from a)) with check (exists (select from a where a.id = b.id));
    grant select on b to public`);
  const tables = [table('a', { to: { schema: 'x', name: 'a 2' } }), table('b', { to: { schema: 'x', name: 'b2' } })];
  const told = await copyAll(mirrorWork(it, tables, copyOnly));
  expect(exceptions(told)).toEqual([]);
  expect(made(told, 'policy', 'grant')).toEqual([
    'grant public.privileges to PUBLIC of public.b',
    'policy public.p of public.b',
  ]);
});

test('the words that a server quotes are those that we quote', async () => {
  await using db = await testDatabase(18);
  const rows = await db.exec<{ word: string; quoted: string }>(
    'select word, quote_ident(word) as quoted from pg_get_keywords()',
  );
  expect(rows.map(({ word }) => shownName(word))).toEqual(rows.map(({ quoted }) => quoted));
});

test('a view that reads an excluded column is left out, and so is what reads that view', async () => {
  await using it = await sides(`create table t (id int primary key, secret text, v text);
    create view fine as select id, v from t; create view bad as select id, secret from t where v > ''; create view worse as select id from bad;
    create materialized view rows as select length(secret) as n from t`);
  const told = await copyAll(mirrorWork(it, [table('t', { exclude: ['secret'] })], copyOnly));
  expect(exceptions(told)).toEqual([
    'left_out materialized rows public.rows of public.rows: materialized view rows is left out',
    'left_out materialized view public.rows: its column secret is excluded from the mirror',
    'left_out view public.bad: its column secret is excluded from the mirror',
    'left_out view public.worse: view bad is left out',
  ]);
  expect(made(told, 'view')).toEqual(['view public.fine']);
});

const apart = `create schema a; create schema b; create table a.p (id int, v text, primary key (id)) partition by range (id);
  create table b.p1 partition of a.p for values from (0) to (10) partition by range (id); create table a.p2 partition of a.p for values from (10) to (20);
  create table b.p1_low partition of b.p1 for values from (0) to (10); create index on b.p1_low (v);
  create table b.other (id int primary key); insert into a.p select i, 'v' from generate_series(0, 19, 3) i`;

test.each([
  [
    'of both schemas',
    [
      { from: 'a', to: 'za' },
      { from: 'b', to: 'zb' },
    ],
    ['za.p', 'za.p2', 'zb.other', 'zb.p1', 'zb.p1_low'],
  ],
  ['of the root’s schema alone', [{ from: 'a', to: 'za' }], ['b.p1', 'b.p1_low', 'za.p', 'za.p2']],
  [
    'that changes two names',
    [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'a' },
    ],
    ['a.other', 'a.p1', 'a.p1_low', 'b.p', 'b.p2'],
  ],
])('partitions in another schema than their root go with a mapping %s', async (_, pairs, expected) => {
  await using it = await sides(apart);
  const told = await copyAll(await databaseWork(it, copyOnly, { kind: 'schemas', pairs }));
  expect(exceptions(told)).toEqual([]);
  const tables = await it.to.exec<{ name: string }>(`select relnamespace::regnamespace || '.' || relname as name
    from pg_class where relkind in ('r', 'p') and relnamespace::regnamespace::text ~ '^z?[ab]$' order by 1`);
  expect(tables.map(({ name }) => name)).toEqual(expected);
  const [root] = expected.filter((name) => name.endsWith('.p'));
  expect(await it.to.exec(`select count(*)::int as n from ${root}`)).toEqual([{ n: 7 }]);
});
