// A print of a database's catalogs is the same as long as nothing in them was changed.
import { expect, test } from 'vitest';
import { isCatalogPrint, readCatalogPrint } from '../../src/peers/catalog-print.ts';
import { sql } from '../../src/pg/sql.ts';
import { pinned } from '../support/copied.ts';
import { databaseOn, ownServer, testDatabase } from '../support/servers.ts';

const before = `create table t (id int primary key, v text); create type mood as enum ('sad'); create sequence s;
  create function f() returns int language sql as 'select 1'; create view w as select id from t; create index i on t (v)`;

const changes = [
  'create table u ()',
  'drop view w',
  "comment on column t.v is 'a word'",
  "alter table t alter v set default 'x'",
  'alter table t add c int',
  'alter table t alter v set statistics 7',
  'grant select on t to public',
  "alter type mood add value 'glad'",
  'alter sequence s increment 2',
  "create or replace function f() returns int language sql as 'select 2'",
  'drop index i',
  'alter table t add constraint c check (id > 0) not valid',
  'alter table t enable row level security',
  'create statistics st on id, v from t',
  'alter table t rename v to x',
  'alter default privileges grant select on tables to public',
  'select lo_create(4711)',
  'grant select on large object 4711 to public',
  "comment on large object 4711 is 'a word'",
  `do $$ begin execute format('alter database %I set work_mem = ''9MB''', current_database()); end $$`,
  `do $$ begin execute format('comment on database %I is ''a word''', current_database()); end $$`,
  `do $$ begin execute format('grant connect on database %I to public', current_database()); end $$`,
];

// On a server of its own: what all databases share is in it, and other tests change that.
test.each([14, 18] as const)(
  'PostgreSQL %i: each change of the catalogs changes their print, and nothing else does',
  async (major) => {
    await using own = await ownServer({ major });
    await using db = await databaseOn(own.server.config(), major);
    await db.exec(before);
    await using reader = await pinned(db);
    const first = await readCatalogPrint(reader);
    if (first === null) throw new Error('no print');
    const { print } = first;
    expect(print).toMatch(/^[0-9a-f]{32}$/);
    for (const harmless of [
      "insert into t select i, 'x' from generate_series(1, 1000) i",
      "select setval('s', 77)",
      'analyze',
      'vacuum',
      'vacuum freeze pg_class',
      'begin; create table gone (); rollback',
    ]) {
      await db.exec(harmless);
      expect([harmless, (await readCatalogPrint(reader))?.print]).toEqual([harmless, print]);
      expect([harmless, await isCatalogPrint(reader, first)]).toEqual([harmless, true]);
    }
    const prints = [print];
    let last = first;
    for (const change of changes) {
      expect(await isCatalogPrint(reader, last)).toBe(true);
      await db.exec(change);
      expect([change, await isCatalogPrint(reader, last)]).toEqual([change, false]);
      const now = await readCatalogPrint(reader);
      if (now === null) throw new Error('no print');
      expect([change, prints.includes(now.print)]).toEqual([change, false]);
      prints.push(now.print);
      last = now;
    }
  },
);

test('what a transaction that was under way changes is seen when it has ended, not before', async () => {
  await using own = await ownServer({ major: 18 });
  await using db = await databaseOn(own.server.config(), 18);
  await db.exec(before);
  await using reader = await pinned(db);
  const [early, late] = [await pinned(db), await pinned(db)];
  for (const each of [early, late]) await each.run(sql`begin`);
  await early.run(sql`create table public.early ()`);
  const print = await readCatalogPrint(reader);
  if (print === null) throw new Error('no print');
  await late.run(sql`create table public.late ()`);
  expect(await isCatalogPrint(reader, print)).toBe(true);
  await late.run(sql`commit`);
  expect(await isCatalogPrint(reader, print)).toBe(false);
  const then = await readCatalogPrint(reader);
  if (then === null) throw new Error('no print');
  await early.run(sql`commit`);
  expect(await isCatalogPrint(reader, then)).toBe(false);
  for (const each of [early, late]) await each.close();
});

test('a role that may not read all catalogs gets a print of those that it may', async () => {
  await using db = await testDatabase(18);
  await db.exec(before);
  const role = `reader_${db.database}`;
  await db.exec(`create role ${role} login password 'x'`);
  try {
    await using reader = await pinned({ ...db, user: role, password: 'x' });
    const print = await readCatalogPrint(reader);
    if (print === null) throw new Error('no print');
    await db.exec('alter table t add c int');
    expect(await isCatalogPrint(reader, print)).toBe(false);
  } finally {
    await db.exec(`drop role ${role}`);
  }
});
