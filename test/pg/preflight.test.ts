// The check before a mirror: whatever is in the way of tables, their columns and filters is found on real servers and named.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { look, type Pair, pairOf, refusal, type Wish } from '../support/preflight.ts';

describe.each([14, 18] as const)('a source of PostgreSQL %i', (major) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await pairOf(major);
  });
  afterAll(() => pair?.[Symbol.asyncDispose]());
  const fresh = () => pair.empty();

  test('a good plan has nothing in its way, and looking leaves nothing behind', async () => {
    const sides = await fresh();
    await sides.source.exec('create table t (id int primary key, v text); insert into t values (1)');
    const findings = await look(sides);
    expect(findings.filter((each) => each.state === 'error')).toEqual([]);
    expect(findings.length).toBeGreaterThan(10); // EXPLAIN shows what was looked at, too
    const left = await sides.source.exec(`select (select count(*) from pg_publication)::int as publications,
      (select count(*) from pg_replication_slots where database = current_database())::int as slots`);
    expect(left).toEqual([{ publications: 0, slots: 0 }]);
  });

  test('every missing source table is listed, not the first only', async () => {
    const sides = await fresh();
    await sides.source.exec('create table t (id int primary key)');
    expect(await refusal(sides, { tables: ['t', 'nowhere', 'Gone', 'x";drop'] })).toMatchObject({
      kind: 'undefined_table',
      sqlstate: '42P01',
      detail: 'Missing: public.nowhere, public."Gone", public."x"";drop".',
    });
  });

  test('a table that nothing identifies is refused by name with the statement that mends it, which does', async () => {
    const sides = await fresh();
    await sides.source.exec(`create table keyed (id int primary key); create table t (v text);
      create table nothing (id int primary key); alter table nothing replica identity nothing;
      create table deferred (id int primary key deferrable);
      create table gone (id int not null unique); alter table gone replica identity using index gone_id_key;
      alter table gone drop constraint gone_id_key`);
    const tables = ['keyed', 't', 'nothing', 'deferred', 'gone'];
    const refused = await refusal(sides, { tables });
    expect(refused).toMatchObject({
      kind: 'not_ready',
      sqlstate: '55000',
      message: expect.stringContaining('public.t'),
    });
    expect(refused?.detail).not.toContain('keyed');
    for (const name of tables.slice(1)) expect(refused?.detail).toContain(`public.${name}:`);
    expect(refused?.hint).toBe(
      'ALTER TABLE "public"."t" REPLICA IDENTITY FULL; ALTER TABLE "public"."nothing" REPLICA IDENTITY DEFAULT; ' +
        'ALTER TABLE "public"."deferred" REPLICA IDENTITY FULL; ALTER TABLE "public"."gone" REPLICA IDENTITY FULL;',
    );
    await sides.source.exec(refused?.hint ?? '');
    expect(await refusal(sides, { tables })).toBeUndefined();
    expect(await refusal(sides, { tables, slot: null, options: { initial_copy_only: true } })).toBeUndefined();
  });

  test('a copy alone needs no identity', async () => {
    const sides = await fresh();
    await sides.source.exec('create table t (v text); create unlogged table u (v text)');
    const copy = { tables: ['t', 'u'], slot: null, options: { initial_copy_only: true } } as const;
    expect(await refusal(sides, copy)).toBeUndefined();
  });

  test('a partition whose replica identity is another than its root’s is named', async () => {
    const sides = await fresh();
    await sides.source.exec(`create table t (id int primary key) partition by range (id);
      create table t1 partition of t for values from (0) to (10);
      create table t2 partition of t for values from (10) to (20);
      alter table t2 replica identity full`);
    const refused = await refusal(sides);
    expect(refused).toMatchObject({ sqlstate: '55000', hint: 'ALTER TABLE "public"."t2" REPLICA IDENTITY DEFAULT;' });
    await sides.source.exec('alter table t replica identity full');
    expect(await refusal(sides)).toMatchObject({ hint: 'ALTER TABLE "public"."t1" REPLICA IDENTITY FULL;' });
    await sides.source.exec('alter table t1 replica identity full');
    expect(await refusal(sides)).toBeUndefined();
  });

  test('views, foreign tables and (when changes are to follow) unlogged tables are refused by kind', async () => {
    const sides = await fresh();
    await sides.source.exec(`create table t (id int primary key); create view v as select 1 as id;
      create unlogged table u (id int primary key); create materialized view m as select 1 as id`);
    expect(await refusal(sides, { tables: ['t', 'v', 'u', 'm'] })).toMatchObject({
      sqlstate: '0A000',
      detail: 'public.v (view), public.u (unlogged: its changes are not in the log), public.m (materialized view).',
    });
  });

  test('what the target has otherwise and cannot be changed is found before anything is made: types, labels of enums', async () => {
    const sides = await fresh();
    const { source, target } = sides;
    const fn = (name: string) => `create function ${name}(int) returns int language sql immutable as 'select $1 + 1';`;
    await source.exec(`${fn('f')} ${fn('g')} ${fn('h')} create domain d as int default f(1);
      create type mood as enum ('a', 'b', 'c'); create type own as (a int);
      create table t (id int primary key, v int default f(1), s int generated always as (g(2)) stored, m mood, o own, d d);
      create table p (id int) partition by range (h(id));
      create table p1 partition of p for values from (0) to (9)`);
    await target.exec("create type mood as enum ('b'); create type own as (a text)");
    const wish = { tables: ['t', 'p'], slot: null, options: { initial_copy_only: true } } as const;
    const refused = await refusal(sides, wish);
    expect(refused).toMatchObject({
      kind: 'wrong_state',
      message: 'the target cannot take the tables, for 2 reasons',
      hint: `ALTER TYPE "public"."mood" ADD VALUE 'a' BEFORE 'b'; ALTER TYPE "public"."mood" ADD VALUE 'c' AFTER 'b';`,
    });
    expect(refused?.detail?.split('\n')).toEqual([
      "type public.mood lacks the labels 'a', 'c' on the target",
      'type public.own is (a text) on the target and (a integer) on the source',
    ]);
    await target.exec(refused?.hint ?? '');
    await target.exec(`drop type own; ${fn('f')} ${fn('g')} ${fn('h')}`);
    expect(await refusal(sides, wish)).toBeUndefined();
    expect(await target.exec("select 1 from pg_class where relname = 't'")).toEqual([]);
    if (major === 14) return;
    await source.exec('create table n (id int primary key, v int generated always as (id) virtual)');
    expect(await refusal(sides, { ...wish, tables: ['n'] })).toMatchObject({
      message: 'the target cannot take the tables: public.n.v is a virtual generated column: these need PostgreSQL 18',
      detail: undefined,
      hint: expect.stringContaining('exclude the columns'),
    });
  });

  test('a table is told to stand alone only where its parent is not mirrored', async () => {
    const sides = await fresh();
    await sides.source.exec('create table t (id int primary key); create table c (primary key (id)) inherits (t)');
    const told = async (tables: readonly string[]) =>
      (await look(sides, { tables })).filter(({ check }) => check === 'inheritance');
    expect(await told(['c'])).toEqual([
      expect.objectContaining({ state: 'warning', detail: 'Tables: public.c of public.t.' }),
    ]);
    expect(await told(['t', 'c'])).toEqual([]);
  });

  test('unlogged tables that will stay empty, and unlogged partitions that will not be followed, are told of', async () => {
    const sides = await fresh();
    await sides.source.exec(`create table t (id int primary key) partition by range (id); create unlogged table u (id int);
      create unlogged table t_1 partition of t for values from (0) to (10)`);
    const told = async (wish: Wish) => {
      const findings = (await look(sides, wish)).filter(({ check }) => check === 'unlogged tables');
      return findings.map(({ state, message, detail }) => `${state}: ${message}. ${detail}`);
    };
    const partitions =
      'warning: unlogged partitions are copied and not followed: their changes are in no log. Tables: public.t_1.';
    expect(await told({})).toEqual([partitions]);
    expect(await told({ scope: { kind: 'all' } })).toEqual([
      'warning: unlogged tables are made and stay empty: their changes are in no log. Tables: public.u.',
      partitions,
    ]);
    expect(await told({ slot: null, scope: { kind: 'all' } })).toEqual([]);
  });

  test('values that may be missing of rows which an update of their key brings into a filter are told of', async () => {
    const sides = await fresh();
    await sides.source.exec(`create table t (id int primary key, doc text, hidden jsonb, n int, flat text);
      alter table t alter flat set storage plain; create table whole (id int primary key, doc text);
      alter table whole replica identity full`);
    const filtered = (name: string) => ({
      from: { schema: 'public', name },
      where: 'id > 5',
      exclude: name === 't' ? ['hidden'] : [],
    });
    const told = async (wish: Wish) =>
      (await look(sides, wish)).filter(({ check }) => check === 'large values and filters');
    expect(await told({ tables: [filtered('t'), filtered('whole')] })).toMatchObject([
      {
        detail: 'Values that may be large, and are then not sent: public.t (doc).',
        hint: expect.stringContaining('ALTER TABLE "public"."t" REPLICA IDENTITY FULL;'),
      },
    ]);
    expect(await told({ tables: [filtered('t')], slot: null })).toEqual([]);
  });

  test('excluded and key columns must exist, and what identifies a row cannot be excluded', async () => {
    const sides = await fresh();
    await sides.source.exec('create table t (id int primary key, v text)');
    expect(await refusal(sides, { tables: [{ exclude: ['x'], key: 'y' }] })).toMatchObject({
      sqlstate: '42703',
      detail: 'Missing: public.t.x, public.t.y.',
    });
    expect(await refusal(sides, { tables: [{ exclude: ['id'] }] })).toMatchObject({
      sqlstate: '22023',
      message: 'column public.t.id identifies the row and cannot be excluded',
    });
    expect(await refusal(sides, { tables: [{ exclude: ['v'], key: 'id' }] })).toBeUndefined();
  });

  test('a column that a generated one is made of cannot be excluded without that one', async () => {
    const sides = await fresh();
    await sides.source.exec(
      'create table t (id int primary key, a int, b int, g int generated always as (a + b) stored, h int generated always as (7) stored)',
    );
    expect(await refusal(sides, { tables: [{ exclude: ['b'] }] })).toMatchObject({
      sqlstate: '22023',
      message: 'column public.t.b cannot be excluded: public.t.g is generated from it',
      detail: 'Generated: public.t.g from public.t.b.',
    });
    expect(await refusal(sides, { tables: [{ exclude: ['b', 'g'] }] })).toBeUndefined();
    expect(await refusal(sides, { tables: [{ exclude: ['h'] }] })).toBeUndefined();
  });

  test('a filter that PostgreSQL cannot use is refused with its own words, and cannot bring a second statement', async () => {
    const sides = await fresh();
    await sides.source.exec('create table t (id int primary key, v text); create table other (id int)');
    const copy = { slot: null, options: { initial_copy_only: true } };
    const filter = (where: string) => ({ tables: [{ where }] });
    expect(await refusal(sides, { ...copy, ...filter('id > 1 -- all of them') })).toBeUndefined();
    expect(await refusal(sides, { ...copy, ...filter('no_such_column') })).toMatchObject({
      message: expect.stringContaining('no_such_column'),
    });
    expect(await refusal(sides, { ...copy, ...filter('true); drop table public.other; select (1') })).toBeDefined();
    expect(await sides.source.exec('select count(*)::int as n from other')).toEqual([{ n: 0 }]);
    expect(await refusal(sides, filter('id > 1'))).toBeUndefined();
    expect(await refusal(sides, filter('random() > 0.5'))).toMatchObject({ sqlstate: '22023' });
    expect(await refusal(sides, filter("v = 'x' and id > 1"))).toMatchObject({
      sqlstate: '55000',
      detail: 'The source would refuse updates and deletes of: public.t (v).',
      hint: 'ALTER TABLE "public"."t" REPLICA IDENTITY FULL;',
    });
    expect(await sides.source.exec('select 1 from pg_publication')).toEqual([]);
  });
});
