// Which objects of a database go along with a mirror, and under which names: by what the mapping says and by what that needs.
import { expect, test } from 'vitest';
import { copyAll, mirrorWork, table } from '../support/copied.ts';
import { databaseWork, exceptions, made, sides } from '../support/database.ts';

const copyOnly = { initial_copy_only: true };

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
