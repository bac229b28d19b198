// Values arrive as they are, whatever the settings of either side and whatever things are called.
import { describe, expect, test } from 'vitest';
import { quoteName } from '../../src/pg/sql.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

const types = `create type mood as enum ('sad', 'ok', 'happy ''quoted'''); create domain posint as int check (value > 0);`;
const exact = `create table v (id int primary key, n numeric, n2 numeric(30,10), f float8, r real, d date, ts timestamp, tz timestamptz, iv interval, t time, ttz timetz,
    c char(6), q "char", nm name, b bytea, bo bool, u uuid, j json, jb jsonb, x xml, bits bit(5), vb varbit, i inet, m macaddr, po point, tsv tsvector, r4 int4range, am mood, aa mood[], ai int[], dom posint, at text[])`;
const rows = (id: number) => `insert into v values
  (${id}, ('1' || repeat('0', 999))::numeric + 0.5, 123456789.0123456789, 1e-300, 1.1, '4712-01-01 BC', '0044-03-15 12:00:00 BC', '2024-02-29 23:59:59.999999+05:30', '1 year 2 mons -3 days 04:05:06.789', '23:59:60', '12:00:00+15:59',
   'ab', 'x', 'some name', '\\x00ff00', true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b": 1,  "a": [1, 2 ]}', '{"b": 1, "a": null}', '<a>text</a>', '10101', '101', '10.0.0.1/8', '08:00:2b:01:02:03', '(1.5,-2)', 'fat cat:3', '[1,5)', 'happy ''quoted''', '{sad,NULL,ok}', '[0:2]={1,NULL,3}', 5, '{"a,b",NULL,"NULL","x\\"y","back\\\\slash"}'),
  (${id + 1}, 'NaN', null, 'Infinity', '-Infinity', 'infinity', '-infinity', 'infinity', '-178000000 years', '00:00', '00:00-15:59',
   '', '', '', '', false, null, 'null', 'null', null, '00000', '', '::1', null, '(NaN,Infinity)', '', 'empty', null, '{}', '{{1,2},{3,4}}', null, '{}'),
  (${id + 2}, -0.000000000000000000000000000001, -1, '-0', 1.17549e-38, '5874897-12-31', '294276-12-31 23:59:59.999999', '4713-01-01 00:00:00+00 BC', '00:00:00.000001', '24:00', null,
   'ünïcö', '9', '"quoted"', decode(repeat('ab', 5000), 'hex'), null, null, '"\\u0000x"', '[]', null, null, '1', null, null, null, null, '(,)', 'sad', null, null, 1, array['', ' ', E'\\t\\n\\\\.', '😀'])`;

const hostile = [
  "datestyle = 'SQL, DMY'",
  "intervalstyle = 'sql_standard'",
  "timezone = 'Asia/Kathmandu'",
  "client_encoding = 'LATIN1'",
  "bytea_output = 'escape'",
  'standard_conforming_strings = off',
  'extra_float_digits = -10',
  'search_path = nowhere',
];

describe.each([
  [14, 18, 'in binary form', ''],
  [18, 14, 'in binary form', ''],
  [14, 18, 'as text', 'create type pair as (a int, b text); create table pairs (id int primary key, p pair); '],
  [18, 14, 'as text', 'create type pair as (a int, b text); create table pairs (id int primary key, p pair); '],
] as const)('from PostgreSQL %i to %i %s', (from, to, _how, composite) => {
  test('values arrive exactly under hostile settings of both databases', async () => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const f = await following({
      source,
      target,
      // An array of an enum has no common binary form.
      tables: types + composite + (composite === '' ? exact.replace('aa mood[]', 'aa text[]') : exact),
      mirrored: composite === '' ? ['v'] : ['v', 'pairs'],
    });
    for (const db of [source, target]) {
      for (const setting of hostile) await db.exec(`alter database ${db.database} set ${setting}`);
    }
    const running = f.start();
    // A few go one by one; many are merged.
    await source.exec(`${rows(1)}; update v set nm = 'touched' where id < 3`);
    await f.settle();
    await source.exec(`begin; ${rows(11)}; insert into v select (jsonb_populate_record(v, jsonb_build_object('id', 100 + g))).* from v, generate_series(1, 40) g where id = 11;
      update v set q = 'z' where id > 105; update v set id = id + 1000 where id > 135; delete from v where id = 104;
      ${composite === '' ? '' : `insert into pairs values (1, row(1, 'x,"y')), (2, null), (3, row(null, null)); update pairs set p.b = '(' where id = 1;`} commit`);
    await f.settle();
    for (const table of composite === '' ? ['v'] : ['v', 'pairs']) {
      const both = await f.rows(table);
      expect(both.target).toEqual(both.source);
      expect(both.target.length).toBeGreaterThan(2);
    }
    await running.stop();
  });
});

const oddNames = [
  'x""; drop table mark; --',
  'with.dot',
  'new\nline',
  'per%cent %s $1 $$',
  '😀 table',
  'UPPER',
  'select',
  'b'.repeat(63),
  "single'quote\\back",
];

test('tables and columns may be called anything', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const column = (name: string) => quoteName(name.slice(0, 63));
  const tables = oddNames
    .map(
      (name) =>
        `create table ${quoteName(name)} (${column(`${name.slice(0, 20)} id`)} int primary key, ${column(name)} text)`,
    )
    .join(';');
  const f = await following({ source, target, tables, mirrored: oddNames });
  const running = f.start();
  for (const rowsEach of [2, 80]) {
    for (const name of oddNames) {
      const key = column(`${name.slice(0, 20)} id`);
      await source.exec(`begin; insert into ${quoteName(name)} select ${rowsEach} * 1000 + g, 'x' from generate_series(1, ${rowsEach}) g;
        update ${quoteName(name)} set ${column(name)} = 'y' where ${key} % 2 = 0; delete from ${quoteName(name)} where ${key} % 5 = 0; commit`);
    }
    await f.settle();
  }
  for (const name of oddNames) {
    const rows = await f.rows(quoteName(name));
    expect(rows.target).toEqual(rows.source);
    expect(rows.target.length).toBeGreaterThan(50);
  }
  expect([...(f.batches.at(-2)?.tables.keys() ?? [])].length).toBeGreaterThan(0);
  await running.stop();
});

test('identity and generated columns keep the source’s values; triggers and foreign keys of the target do not fire', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: `create table g (id int generated always as identity primary key, a int, twice int generated always as (a * 2) stored, made text default md5(random()::text));
      create table hits (n int); create table parent (id int primary key); create table child (id int primary key, p int references parent);
      create function hit() returns trigger language plpgsql as $$ begin insert into hits values (1); return new; end $$;
      create trigger t after insert or update on g for each row execute function hit()`,
    mirrored: ['g', 'child'],
  });
  const running = f.start();
  for (const many of [3, 100]) {
    await source.exec(`insert into parent values (${many}); insert into child values (${many}, ${many});
      insert into g (a) select n from generate_series(1, ${many}) n; update g set a = a + 1 where id % 2 = 0; delete from g where id % 7 = 0`);
    await f.settle();
    const rows = await f.rows('g');
    expect(rows.target).toEqual(rows.source);
  }
  expect((await f.rows('hits')).target).toEqual([]);
  expect((await f.rows('child')).target).toEqual((await f.rows('child')).source);
  await running.stop();
});

test('a table without columns and one with 1,600 are followed', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const wide = Array.from({ length: 1599 }, (_, i) => `c${i} int`).join(', ');
  const f = await following({
    source,
    target,
    tables: `create table nothing (); alter table nothing replica identity full; create table wide (id int primary key, ${wide})`,
    mirrored: ['nothing', 'wide'],
  });
  const running = f.start();
  for (const many of [3, 90]) {
    await source.exec(`insert into nothing select from generate_series(1, ${many}); delete from nothing where ctid = (select ctid from nothing limit 1);
      insert into wide (id, c7, c1598) select ${many} * 1000 + g, g, g from generate_series(1, ${many}) g; update wide set c1 = 5 where id % 2 = 0; delete from wide where id % 5 = 0`);
    await f.settle();
    for (const table of ['nothing', 'wide']) {
      const rows = await f.rows(table);
      expect(rows.target).toEqual(rows.source);
    }
  }
  await running.stop();
});
