// A census says which kinds of objects there are at all, and only these are read: one alone of its kind must be found.
import { expect, test } from 'vitest';
import { everyHeld, type Held, takeCensus } from '../../src/peers/schema/census.ts';
import { readDependencies } from '../../src/peers/schema/depend.ts';
import { readSide } from '../../src/peers/schema/side.ts';
import { testDatabase } from '../support/servers.ts';

// By what the census calls it: statements that make one, and the kinds of the ledger that are then read.
const alone: Readonly<Partial<Record<Held, readonly (readonly [statements: string, ...kinds: string[]])[]>>> = {
  pg_am: [['create access method mine type index handler bthandler', 'access method']],
  pg_amop: [
    ['alter operator family integer_ops using btree add operator 1 @> (jsonb, jsonb)', 'operator family member'],
  ],
  pg_amproc: [
    [
      `create function cmp(int4, numeric) returns int language sql immutable as 'select 0';
       alter operator family integer_ops using btree add function 1 (int4, numeric) cmp(int4, numeric)`,
      ...['operator family member', 'function'],
    ],
  ],
  pg_cast: [['create cast (int4 as inet) with inout', 'cast']],
  pg_collation: [['create collation mine from "C"', 'collation']],
  pg_conversion: [["create conversion mine for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8", 'conversion']],
  pg_default_acl: [['alter default privileges revoke execute on functions from public', 'default privileges']],
  pg_description: [
    ["comment on schema public is 'another'", 'comment'],
    ["comment on extension plpgsql is 'another'", 'comment'],
    ["create schema s; comment on schema s is 'mine'", 'comment'],
    ["create sequence s; comment on sequence s is 'mine'", 'comment'],
  ],
  pg_event_trigger: [
    [
      `create function ev() returns event_trigger language plpgsql as 'begin end';
       create event trigger mine on ddl_command_end execute function ev()`,
      'event trigger',
    ],
  ],
  pg_foreign_data_wrapper: [['create foreign data wrapper mine', 'foreign-data wrapper', 'owner']],
  pg_foreign_server: [
    [
      'create foreign data wrapper w; create server mine foreign data wrapper w; create user mapping for public server mine',
      ...['server', 'user mapping', 'owner'],
    ],
  ],
  pg_foreign_table: [
    [
      'create foreign data wrapper w; create server s foreign data wrapper w; create foreign table mine (id int) server s',
      'foreign table',
    ],
  ],
  pg_language: [['create trusted language mine handler plpgsql_call_handler', 'language', 'owner']],
  pg_largeobject_metadata: [["select lo_from_bytea(5, 'x'); comment on large object 5 is 'mine'", 'comment', 'owner']],
  pg_operator: [['create operator === (function = int4eq, leftarg = int4, rightarg = int4)', 'operator', 'owner']],
  pg_opclass: [
    [
      'create operator family fam using hash; create operator class mine for type int4 using hash family fam as storage int4',
      ...['operator class', 'operator family', 'owner'],
    ],
  ],
  pg_opfamily: [['create operator family mine using btree', 'operator family', 'owner']],
  pg_policy: [['create policy mine on plain', 'policy']],
  pg_proc: [
    ["create function mine() returns int language sql as 'select 1'", 'function', 'owner'],
    ['create procedure mine() language plpgsql as $$ begin end $$', 'procedure'],
    ['create aggregate mine(int) (sfunc = int4pl, stype = int4)', 'aggregate'],
  ],
  pg_sequence: [['create sequence mine', 'sequence', 'owner']],
  pg_transform: [
    [
      `create function f(internal) returns internal language internal immutable as 'boolin';
       create transform for int4 language plpgsql (from sql with function f(internal))`,
      'transform',
    ],
  ],
  pg_trigger: [
    [
      'create trigger mine before update on plain for each row execute function suppress_redundant_updates_trigger()',
      'trigger',
    ],
    [
      'create trigger mine after delete on parted for each row execute function suppress_redundant_updates_trigger()',
      'trigger',
    ],
  ],
  pg_ts_config: [['create text search configuration mine (copy = simple)', 'text search configuration', 'owner']],
  pg_ts_dict: [['create text search dictionary mine (template = simple)', 'text search dictionary', 'owner']],
  pg_ts_parser: [
    [
      `create text search parser mine (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype)`,
      'text search parser',
    ],
  ],
  pg_ts_template: [['create text search template mine (lexize = dsimple_lexize)', 'text search template']],
  pg_type: [
    ["create type mine as enum ('a')", 'type', 'owner'],
    ['create type mine as (a int)', 'type'],
    ['create domain mine as int', 'type'],
    ['create type mine as range (subtype = int4)', 'type'],
    ['create type mine', 'type'],
    [
      `create type mine; create function mi(cstring) returns mine language internal immutable strict as 'point_in';
       create function mo(mine) returns cstring language internal immutable strict as 'point_out';
       create type mine (input = mi, output = mo, element = float8, internallength = 16, category = 'A')`,
      'type',
    ],
  ],
  privileges: [
    ['grant select on plain to public', 'grant'],
    ['grant select (v) on plain to public', 'grant'],
    ['grant execute on function pg_ls_waldir() to public', 'grant'],
    ['revoke execute on function now() from public', 'grant'],
    ['grant select on pg_authid to public', 'grant'],
    ['revoke usage on type date from public', 'grant'],
    ['revoke usage on type point from public', 'grant'],
    ['revoke usage on language plpgsql from public', 'grant'],
    ['create schema s; grant usage on schema s to public', 'grant'],
    ['grant usage on type plain to pg_monitor', 'grant'],
    ['revoke usage on type plain from public', 'grant'],
    ['grant create on schema public to pg_monitor with grant option', 'grant'],
    ['create sequence s; grant usage on sequence s to public', 'grant'],
  ],
  rules: [['create rule mine as on insert to plain do also nothing', 'rule']],
  views: [
    ['create view mine as select 1 as one', 'view', 'owner'],
    [
      'create materialized view mine as select 1 as one; create index on mine (one)',
      ...['materialized view', 'materialized rows', 'index'],
    ],
    [
      'create view mine as select id, v from plain; create rule r as on insert to mine do instead insert into plain values (new.id, new.v)',
      'rule',
    ],
  ],
};

const plain = `
  create table plain (id int primary key, v text not null check (v <> ''), w int unique deferrable initially deferred,
    at timestamptz default now(), twice int generated always as (id * 2) stored);
  create table other (id bigint generated always as identity primary key, p int references plain, r int4range,
    exclude using gist (r with &&) deferrable);
  create index on other (p); create table heir (z int) inherits (plain); create unlogged table fast (a int);
  create table parted (id int, primary key (id)) partition by range (id); create table part partition of parted for values from (1) to (9);
  alter table parted add foreign key (id) references plain; create schema apart; create table apart.plain (a int);
  insert into plain values (1, 'x')`;

test.each([18, 14] as const)(
  'plain tables of %i hold nothing that needs a query of its own, nor an edge',
  async (major) => {
    await using db = await testDatabase(major);
    await db.exec(plain);
    const holds = await takeCensus(db.connection);
    expect([...holds]).toEqual(['pg_sequence']);
    const all = await readDependencies(db.connection, new Set(everyHeld));
    const few = await readDependencies(db.connection, holds);
    expect(all.needs).toEqual(new Map());
    expect(all.wide).toEqual(new Map());
    expect(few).toEqual(all);
  },
);

// Each alone: something of one relation that needs another, which has to be made before it.
const tied: readonly string[] = [
  "create sequence zz; create table aa (n bigint default nextval('zz'))",
  "create table zz (x int); create table aa (id int primary key, v oid default 'zz'::regclass)",
  'create table zz (x int); create table aa (v text default (row(1)::zz)::text)',
  "create table zz (x int); create table aa (w regtype default 'zz'::regtype)",
  'create table zz (x int); create table aa (id int, g int generated always as ((row(id)::zz).x) stored)',
  'create table zz (x int); create table aa (k int) partition by range (((row(k)::zz).x))',
  'create table zz (x int); create table aa (id int, z zz)',
  'create table zz (x int); create table aa (id int, z zz[])',
  "create schema z1; create table z1.t (x int); create table aa (source regclass not null default 'z1.t'::regclass)",
];

test.each([18, 14] as const)('tables of %i of which one needs another have edges', async (major) => {
  await using db = await testDatabase(major);
  await db.exec(plain);
  for (const statements of tied) {
    await db.exec(`begin; ${statements}`);
    const all = await readDependencies(db.connection, new Set(everyHeld));
    const few = await readDependencies(db.connection, await takeCensus(db.connection));
    await db.exec('rollback');
    expect([statements, few]).toEqual([statements, all]);
    expect([statements, few.needs.size]).toEqual([statements, 1]);
  }
});

test.each([18, 14] as const)('of each kind that %i knows, one alone is found', async (major) => {
  await using db = await testDatabase(major);
  await db.exec(plain);
  const usual = [...(await takeCensus(db.connection))];
  const missing: unknown[] = [];
  const unseen: Held[] = [];
  for (const name of everyHeld) {
    const cases = alone[name] ?? [];
    if (cases.length === 0) unseen.push(name);
    for (const [statements, ...kinds] of cases) {
      await db.exec(`begin; ${statements}`);
      const { entities, facts, graph } = await readSide(db.connection, ['_sluice']);
      expect([statements, graph]).toEqual([statements, await readDependencies(db.connection, new Set(everyHeld))]);
      await db.exec('rollback');
      const found = new Set<string>(entities.map(({ kind }) => kind));
      const lacking = kinds.filter((kind) => !found.has(kind));
      if (!facts.holds.has(name) || lacking.length > 0) missing.push({ name, statements, lacking });
    }
  }
  expect(missing).toEqual([]);
  // Statistics are parts of their tables; what is of an extension is not ours; a label needs a module.
  expect(unseen).toEqual(['pg_seclabel', 'pg_statistic_ext', 'pg_extension', 'relations']);
  // Rolled back, none of it is there. A catalog that was empty keeps the pages that it had got.
  const after = [...(await takeCensus(db.connection))].filter((name) => !usual.includes(name));
  expect(
    after.filter((name) => !name.startsWith('pg_') || ['pg_proc', 'pg_type', 'pg_trigger'].includes(name)),
  ).toEqual([]);
});
