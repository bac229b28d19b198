// A whole copy from server to server: exact types and values, hostile names, partitions, keys, filters, sequences; both ways of versions.
import { describe, expect, test } from 'vitest';
import { inspectPartitions, inspectTables } from '../../src/peers/inspect.ts';
import { sql } from '../../src/pg/sql.ts';
import type { Table } from '../../src/pg/table.ts';
import { expectEqualTables } from '../support/compare.ts';
import { copyAll, mirrorWork, pinned, table } from '../support/copied.ts';
import { type Sides, sides } from '../support/database.ts';
import type { SharedMajor, TestDatabase } from '../support/servers.ts';

function world(from: SharedMajor, to: SharedMajor, schema: string): Promise<Sides> {
  return sides(schema, 'select 1', [from, to]);
}

/** Everything of a table that must be the same, without what differs by nature. */
function shape(each: Table | undefined) {
  if (each === undefined) return undefined;
  const { kind, persistence, columns, primaryKey, partitioning, partitionOf } = each;
  // Names of NOT NULL came with 18, and with them who says it.
  const plain = columns.map(({ attnum: _, notNullName: __, notNullLocal: ___, type, ...column }) => ({
    ...column,
    type: type.text,
  }));
  return { kind, persistence, columns: plain, primaryKey, partitioning, partitionOf };
}

async function shapes(db: TestDatabase, names: readonly string[]) {
  await using connection = await pinned(db);
  const roots = await inspectTables(
    connection,
    names.map((name) => table(name).from),
  );
  const partitions = await inspectPartitions(connection, roots);
  return [...roots, ...partitions].map((each) => [each.name, shape(each)]);
}

const types = `
  create schema shop;
  create type shop.state as enum ('new', 'pa''id', 'sent');
  create domain shop.email as text collate "C" default 'x@y' not null check (value like '%@%');
  create domain shop.pin as varchar(4) constraint "pin ""4""" check (length(value) = 4);
  create type shop.place as (street text collate "C", no int, mood shop.state);
  create domain shop.places as shop.place[];
  create type shop.span as range (subtype = float8, subtype_diff = float8mi);
  create sequence shop.tickets as smallint increment by -5 minvalue -1000 maxvalue 900 start with 900 cache 10 cycle;
  create table shop.everything (
    id bigint generated always as identity (start with 1000 increment by 10),
    serial serial, own int default nextval('shop.tickets'), n numeric, n2 numeric(12,3) not null default 1.5, f4 real, f8 float8,
    b boolean, c char(5), vc varchar(10) collate "C" default 'a''b\\c', t text, by bytea, ch "char", d date, ti time(2), tz timetz,
    ts timestamp, tstz timestamptz(3) default now(), iv interval, u uuid, j json, jb jsonb, x cidr, mac macaddr8, bits bit(3), vbits varbit,
    p point, tsv tsvector, r int4range, mr nummultirange, sp shop.span, st shop.state default 'new', sts shop.state[],
    e shop.email, pin shop.pin, pl shop.place, pls shop.place[], pld shop.places, ia int[], rc regclass, mo money, lsn pg_lsn,
    computed text generated always as (upper(t)) stored, nothing int, primary key (id) include (vc));
  alter table shop.everything alter t set storage external, alter by set compression pglz, alter n set statistics 55;
  insert into shop.everything (n, n2, f4, f8, b, c, vc, t, by, ch, d, ti, tz, ts, tstz, iv, u, j, jb, x, mac, bits, vbits, p, tsv, r, mr,
    sp, st, sts, e, pin, pl, pls, pld, ia, rc, mo, lsn) values
    (('1' || repeat('7', 999) || '.5')::numeric, -1, 'NaN', '-Infinity', true, 'ab', 'x', E'tab\\t nl\\n \\\\. \\\\N 🐘', '\\x00ff', 'q',
     '0044-03-15 BC', '23:59:59.99', '10:00+05:30', '4713-01-01 BC', '294276-12-31 23:59:59.999+00', '-1 year 2 mons -3 days 04:05:06.789',
     '00000000-0000-0000-0000-00000000000f', '{"a" : 1, "a":2}', '{"a": [1, null]}', '10.0.0.0/8', '08:00:2b:01:02:03:04:05', '101', '0',
     '(1.5,-2)', 'a:1 b:2', '[1,5)', '{[1,2),[5,9)}', '[1.5,2.5]', 'pa''id', '[3:5]={new,NULL,sent}', 'a@b', '1234', '("x ""y""",3,new)',
     array[row('s', 1, 'sent')::shop.place, null], array[row('t', 2, 'new')::shop.place]::shop.places, '{{1,2},{3,NULL}}',
     'pg_class', 12.34, '16/B374D848'),
    ('NaN', 0, '1e-37', 'Infinity', false, '', '', '', '', E'\\x01', 'infinity', '24:00', '00:00-15:59', 'infinity', '-infinity', '0', null, 'null', 'null',
     '::/0', null, '000', '', '(NaN,Infinity)', '', 'empty', '{}', 'empty', null, '{}', 'c@d', '0000', null, '{}', null, '{}', null, -0.01, '0/0');
  insert into shop.everything (n) values (null), ('Infinity'), ('-Infinity'), (0.000), (1e-1000)`;

describe.each([
  [14, 18],
  [18, 14],
] as const)('from PostgreSQL %i to %i', (from, to) => {
  test('every type arrives with its exact values, and tables are made as they are on the source', async () => {
    await using w = await world(from, to, types);
    const work = mirrorWork(w, [table('shop.everything')], { initial_copy_only: true });
    const told = await copyAll(work);
    expect(told.finished).toEqual(['shop.everything']);
    expect(await shapes(w.to, ['shop.everything'])).toEqual(await shapes(w.from, ['shop.everything']));
    const rows = await expectEqualTables(w.from.connection, w.to.connection, [{ schema: 'shop', name: 'everything' }]);
    expect([...rows.values()]).toEqual([7]);
    // The identity, the serial and the shared sequence go on where the source's stand.
    // In a session that has no values in its cache yet.
    const fresh = await w.from.connect();
    const next = sql`insert into shop.everything (n) values (1) returning id, serial, own`;
    expect(await w.to.connection.query(next)).toEqual(await fresh.query(next));
    await expect(w.to.exec(`insert into shop.everything (pin) values ('12345')`)).rejects.toMatchObject({
      code: '22001',
    });
    await expect(w.to.exec(`insert into shop.everything (e) values ('none')`)).rejects.toMatchObject({ code: '23514' });
  });

  test('partitioned tables arrive as such at any depth, a child with its columns in another order too', async () => {
    await using w = await world(
      from,
      to,
      `create table orders (id int not null, at date not null, kind text not null default 'a', note text) partition by range (at);
       create table orders_old (note text, dropped int, kind text not null default 'b', at date not null, id int not null);
       alter table orders_old drop column dropped;
       alter table orders attach partition orders_old for values from (minvalue) to ('2024-01-01');
       create table orders_2024 partition of orders for values from ('2024-01-01') to ('2025-01-01') partition by list (kind);
       create table orders_2024_a partition of orders_2024 for values in ('a', 'b');
       create table orders_2024_rest partition of orders_2024 default;
       create table orders_later partition of orders default;
       alter table orders add primary key (id, at, kind);
       create table empty_root (id int) partition by hash (id);
       insert into orders select i, date '2023-01-01' + i % 900, case when i % 3 = 0 then 'a' else 'z' end, 'n' || i from generate_series(1, 5000) i`,
    );
    const work = mirrorWork(w, [table('orders'), table('empty_root')], {
      initial_copy_only: true,
      snapshot_num_rows_per_partition: 500,
    });
    const told = await copyAll(work);
    expect(
      told.planned.get('public.orders')?.filter((what) => what.startsWith('public.orders_old pages')).length,
    ).toBeGreaterThan(1);
    const names = ['orders', 'empty_root'];
    expect(await shapes(w.to, names)).toEqual(await shapes(w.from, names));
    const leaves = ['orders', 'orders_old', 'orders_2024_a', 'orders_2024_rest', 'orders_later'];
    await expectEqualTables(
      w.from.connection,
      w.to.connection,
      leaves.map((name) => ({ schema: 'public', name })),
    );
  });

  test('names with quotes, dots, newlines, dollars, percent signs and elephants are only names', async () => {
    const evil = [
      'x"; drop table y; --',
      'a.b',
      'new\nline',
      '$$',
      '%s %',
      '🐘',
      'SELECT',
      "it's",
      'back\\slash',
      'é'.repeat(31),
    ];
    const q = (name: string) => `"${name.replaceAll('"', '""')}"`;
    const lines = evil.map((name, i) => {
      const other = evil[(i + 1) % evil.length] ?? '';
      return `create schema ${q(name)}; create type ${q(name)}.${q(other)} as enum ('${name.replaceAll("'", "''")}');
        create sequence ${q(name)}.${q(`${i}'"`)};
        create table ${q(name)}.${q(name)} (${q(other)} int generated by default as identity constraint ${q(`pk ${i}'"%`)} primary key,
          ${q(name)} ${q(name)}.${q(other)}[], no int default nextval('${`${q(name)}.${q(`${i}'"`)}`.replaceAll("'", "''")}'::regclass));
        insert into ${q(name)}.${q(name)} (${q(name)}) select array['${name.replaceAll("'", "''")}']::${q(name)}.${q(other)}[] from generate_series(1, 3)`;
    });
    await using w = await world(
      from,
      to,
      `set standard_conforming_strings = on; create table y (); ${lines.join(';')}`,
    );
    const tables = evil.map((name) => ({ ...table('x'), from: { schema: name, name }, to: { schema: name, name } }));
    await copyAll(mirrorWork(w, tables, { initial_copy_only: true }));
    await expectEqualTables(
      w.from.connection,
      w.to.connection,
      tables.map((each) => each.from),
    );
    const [first] = tables;
    await using there = await pinned(w.to);
    const [made] = await inspectTables(there, first === undefined ? [] : [first.from]);
    expect(made?.primaryKey?.constraint).toBe(`pk 0'"%`);
  });
});

test('the settings of a hostile source change no value', async () => {
  await using w = await world(
    18,
    18,
    `create table t (id int primary key, d timestamptz, i interval, b bytea, f float8, t text)`,
  );
  await w.from.exec(`insert into t values (1, '2024-02-03 04:05:06.789+00', '1 year 2 mons -3 days', '\\x00ff', 0.1::float8 + 0.2, E'a\\\\b');
    alter database ${w.from.database} set datestyle = 'SQL, DMY'; alter database ${w.from.database} set intervalstyle = 'sql_standard';
    alter database ${w.from.database} set timezone = 'Asia/Kathmandu'; alter database ${w.from.database} set bytea_output = 'escape';
    alter database ${w.from.database} set extra_float_digits = 0; alter database ${w.from.database} set search_path = 'nowhere';
    alter database ${w.from.database} set standard_conforming_strings = off; alter database ${w.from.database} set client_encoding = 'LATIN1';
    alter database ${w.from.database} set statement_timeout = '1ms'; alter database ${w.from.database} set idle_in_transaction_session_timeout = '1ms';
    alter database ${w.from.database} set default_transaction_read_only = on`);
  await copyAll(mirrorWork(w, [table('t')]));
  await expectEqualTables(w.from.connection, w.to.connection, [{ schema: 'public', name: 't' }]);
});

test('a table without columns, one with 1,600 and one of which every column is excluded arrive', async () => {
  const wide = Array.from({ length: 1600 }, (_, i) => `c${i} int default ${i}`).join(', ');
  await using w = await world(
    14,
    18,
    `create table none (); insert into none select from generate_series(1, 7);
    create table wide (${wide}); insert into wide default values; create table hidden (a int, b int); insert into hidden values (1, 2), (3, 4)`,
  );
  const work = mirrorWork(w, [table('none'), table('wide'), table('hidden', { exclude: ['a', 'b'] })], {
    initial_copy_only: true,
    synced_at_col_name: '',
  });
  const told = await copyAll(work);
  expect(told.copied.map((part) => [part.table, part.rows]).toSorted()).toEqual([
    ['public.hidden', 2],
    ['public.none', 7],
    ['public.wide', 1],
  ]);
  await expectEqualTables(w.from.connection, w.to.connection, [{ schema: 'public', name: 'wide' }]);
  expect(
    await w.to.exec(`select (select count(*)::int from none) as n, (select count(*)::int from hidden) as h`),
  ).toEqual([{ n: 7, h: 2 }]);
});

test('filters, excluded columns, other names and key ranges with nulls hold', async () => {
  await using w = await world(
    18,
    18,
    `create schema app; create table app.people (id int generated always as identity primary key, secret text, age int, name text, no serial);
     insert into app.people (secret, age, name) select 's', nullif(i % 50, 0), 'n' || i from generate_series(1, 3000) i`,
  );
  const to = { schema: 'hr', name: 'staff' };
  const mapping = table('app.people', {
    to,
    exclude: ['secret'],
    where: 'people.age is null or age < 40 -- no pensioners',
    key: 'age',
  });
  const work = mirrorWork(w, [mapping], { initial_copy_only: true, snapshot_num_partitions_override: 4 });
  const told = await copyAll(work);
  expect(told.planned.get('app.people')?.at(-1)).toBe('age is null');
  expect(told.planned.get('app.people')).toHaveLength(5);
  const list = (relation: string, where: string) =>
    `select id, age, name, no from ${relation} where ${where} order by id`;
  expect(await w.to.exec(list('hr.staff', 'true'))).toEqual(
    await w.from.exec(list('app.people', 'age is null or age < 40')),
  );
  const columns = `select string_agg(attname, ',' order by attnum) as c from pg_attribute where attrelid = 'hr.staff'::regclass and attnum > 0`;
  expect(await w.to.exec(columns)).toEqual([{ c: 'id,age,name,no' }]);
  expect(
    await w.to.exec(
      `select pg_get_serial_sequence('hr.staff', 'no') as s, nextval(pg_get_serial_sequence('hr.staff', 'no')) as n`,
    ),
  ).toEqual([{ s: 'hr.people_no_seq', n: '3001' }]);
});

test('a predicate cannot bring a second statement along', async () => {
  await using w = await world(18, 18, 'create table t (id int); create table y ()');
  const where = 'true)) to stdout; drop table public.y; copy (select 1 where ((true';
  const copying = copyAll(mirrorWork(w, [table('t', { where })], { initial_copy_only: true }));
  await expect(copying).rejects.toMatchObject({
    kind: 'upstream',
    sqlstate: '42601',
    message: expect.stringContaining('public.t'),
  });
  expect(await w.from.exec(`select to_regclass('public.y')::text as y`)).toEqual([{ y: 'y' }]);
});

test('rows that row-level security would hide stop the copy', async () => {
  await using w = await world(18, 18, 'create table t (id int); insert into t values (1), (2)');
  const role = `reader_${w.from.database}`;
  await w.from.exec(`create role ${role} login password 'x'; grant select on t to ${role};
    alter table t enable row level security; create policy odd on t using (id = 1)`);
  const { from, to } = w;
  const work = mirrorWork({ from: { ...from, user: role, password: 'x' }, to }, [table('t')], {
    initial_copy_only: true,
  });
  try {
    await expect(copyAll(work)).rejects.toMatchObject({
      sqlstate: '42501',
      message: expect.stringContaining('row-level security'),
    });
  } finally {
    await w.from.exec(`drop owned by ${role}; drop role ${role}`);
  }
});

test('columns for soft deletes and times are added', async () => {
  await using w = await world(18, 18, 'create table t (id int primary key); insert into t values (1)');
  await w.to.exec('create table t (id int primary key)');
  await copyAll(mirrorWork(w, [table('t')], { soft_delete: true, synced_at_col_name: 'Synced At' }));
  expect(await w.to.exec(`select id, "_PEERDB_IS_DELETED" as d, "Synced At" <= now() as s from t`)).toEqual([
    { id: 1, d: false, s: true },
  ]);
});
