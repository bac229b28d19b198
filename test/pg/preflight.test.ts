// The check before a mirror: each thing that is in the way is found on real servers, named, and leaves nothing behind.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SluiceError } from '../../src/base/errors.ts';
import { readMirrorOptions } from '../../src/mirror/options.ts';
import type { MirroredTable } from '../../src/mirror/work.ts';
import { connectPeer } from '../../src/peers/connect.ts';
import { preflight } from '../../src/peers/preflight.ts';
import { type Finding, type MirrorPlan, throwFirstError } from '../../src/peers/preflight-finding.ts';
import { createSlotWithSnapshot } from '../../src/peers/slot.ts';
import type { Connection } from '../../src/pg/client.ts';
import { peerOf } from '../support/peer.ts';
import { ownServer, type SharedMajor, type TestDatabase, testDatabase } from '../support/servers.ts';

interface Wish {
  readonly tables?: readonly (string | Partial<MirroredTable>)[];
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  readonly publication?: MirrorPlan['publication'];
  readonly slot?: MirrorPlan['slot'];
  readonly scope?: MirrorPlan['scope'];
}

function planOf({ tables = ['t'], options = {}, publication, slot, scope = { kind: 'tables' } }: Wish): MirrorPlan {
  const written = Object.entries(options).map(([name, value]) => ({ name, value }));
  const table = (name: string) => ({ schema: 'public', name });
  const whole = { key: null, exclude: [], where: null };
  return {
    name: 'm',
    options: readMirrorOptions(written),
    tables: tables.map((each) => {
      if (typeof each === 'string') return { ...whole, from: table(each), to: table(each) };
      const from = each.from ?? table('t');
      return { ...whole, ...each, from, to: each.to ?? from };
    }),
    scope,
    publication: publication ?? { name: 'preflight_pub', made: true },
    slot: slot === undefined ? { name: `preflight_${randomBytes(4).toString('hex')}`, made: true } : slot,
    target: { metadataSchema: '_sluice' },
  };
}

interface Sides {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

async function look({ source, target }: Sides, wish: Wish = {}): Promise<readonly Finding[]> {
  return await lookWith(source.connection, target.connection, wish);
}

// The settings that Connection.open pins, without the search_path that tests put back.
async function lookWith(source: Connection, target: Connection, wish: Wish): Promise<readonly Finding[]> {
  for (const each of [source, target]) await each.client.query("set search_path = ''");
  const { findings } = await preflight(source, target, planOf(wish));
  for (const each of [source, target]) await each.client.query('set search_path = public');
  return findings;
}

async function refusal(sides: Sides, wish: Wish = {}): Promise<SluiceError | undefined> {
  try {
    throwFirstError(await look(sides, wish));
    return undefined;
  } catch (error) {
    return error as SluiceError;
  }
}

async function sidesOf(major: SharedMajor): Promise<Sides & AsyncDisposable> {
  const source = await testDatabase(major);
  const target = await testDatabase(major === 14 ? 18 : 14);
  return {
    source,
    target,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

// One pair of databases for all tests of a major; each test finds them empty.
async function empty(db: TestDatabase): Promise<void> {
  await db.exec(
    `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`,
  );
  for (const { name } of await db.exec<{ name: string }>('select quote_ident(pubname) as name from pg_publication')) {
    await db.exec(`drop publication ${name}`);
  }
  await db.exec(
    'drop schema if exists hidden cascade; drop schema public cascade; create schema public; grant usage on schema public to public',
  );
}

describe.each([14, 18] as const)('a source of PostgreSQL %i', (major) => {
  let pair: Sides & AsyncDisposable;
  beforeAll(async () => {
    pair = await sidesOf(major);
  });
  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
  });
  const fresh = async (): Promise<Sides> => {
    await Promise.all([empty(pair.source), empty(pair.target)]);
    return pair;
  };

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

  test('a slot or publication that is there already, or is given and missing, is named', async () => {
    const sides = await fresh();
    const { source } = sides;
    await source.exec('create table t (id int primary key); create publication preflight_pub for table t');
    expect(await refusal(sides)).toMatchObject({
      sqlstate: '42710',
      message: expect.stringContaining('preflight_pub'),
    });
    await source.exec('drop publication preflight_pub');
    const name = `taken_${randomBytes(4).toString('hex')}`;
    await source.exec(`select pg_create_logical_replication_slot('${name}', 'pgoutput')`);
    expect(await refusal(sides, { slot: { name, made: true } })).toMatchObject({ kind: 'duplicate_object' });
    const given = { publication: { name: 'no_such_pub', made: false } };
    expect(await refusal(sides, given)).toMatchObject({
      sqlstate: '42704',
      message: expect.stringContaining('no_such_pub'),
    });
    const follow = { do_initial_copy: false };
    expect(await refusal(sides, { slot: { name: 'no_such_slot', made: false }, options: follow })).toMatchObject({
      sqlstate: '42704',
      hint: expect.stringContaining('pg_create_logical_replication_slot'),
    });
    await using elsewhere = await testDatabase(major);
    await elsewhere.exec('create table t (id int primary key)');
    const foreign = { source: elsewhere, target: sides.target };
    expect(await refusal(foreign, { slot: { name, made: false }, options: follow })).toMatchObject({
      message: expect.stringContaining(`belongs to database ${source.database}`),
    });
  });

  test('a given publication must cover every table, every kind of change, and every partition, by its root or each by itself', async () => {
    const sides = await fresh();
    await sides.source.exec(`create table t (id int primary key); create table u (id int primary key);
      create table p (id int primary key) partition by range (id);
      create table p1 partition of p for values from (0) to (9); create table p2 partition of p for values from (9) to (20);
      create publication mine for table t, p1 with (publish = 'insert, update')`);
    const wish = { tables: ['t', 'u', 'p'], publication: { name: 'mine', made: false } };
    expect(await refusal(sides, wish)).toMatchObject({
      sqlstate: '55000',
      detail:
        'it does not publish delete; it does not publish truncate; public.u is not in it; ' +
        'partition public.p2 of public.p is not in it.',
    });
    await sides.source.exec(`alter publication mine set (publish = 'insert, update, delete',
      publish_via_partition_root = true); alter publication mine add table u`);
    expect(await refusal(sides, { ...wish, options: { truncate: false } })).toMatchObject({
      detail: expect.stringContaining('public.p is not in it'),
    });
    for (const root of [false, true]) {
      await sides.source.exec(`alter publication mine set table t, u, p;
        alter publication mine set (publish_via_partition_root = ${root})`);
      expect(await refusal(sides, { ...wish, options: { truncate: false } })).toBeUndefined();
    }
    if (major === 14) return;
    await sides.source.exec(`alter publication mine set (publish_via_partition_root = false);
      alter publication mine set table t, u, p1, p2 where (id > 10)`);
    expect(await refusal(sides, { ...wish, options: { truncate: false } })).toMatchObject({
      detail: 'of partition public.p2 of public.p it sends only the rows with (id > 10).',
    });
  });

  test('a role that may not read, publish or see every row is told what to grant', async () => {
    const sides = await fresh();
    const { source } = sides;
    const user = `plain_${randomBytes(4).toString('hex')}`;
    await source.exec(`create role ${user} login replication password 'x'; create schema hidden;
      create table t (id int primary key, v text); create table guarded (id int primary key);
      create table hidden.h (id int primary key); alter table guarded enable row level security;
      grant select on guarded, hidden.h to ${user}`);
    await using plain = await connectPeer(peerOf(source, { user, password: 'x' }), { application: 'test' });
    const findings = await lookWith(plain, sides.target.connection, {
      tables: ['t', 'guarded', { from: { schema: 'hidden', name: 'h' } }],
    });
    const errors = new Map(findings.filter((each) => each.state === 'error').map((each) => [each.check, each]));
    expect(errors.get('rights to read')).toMatchObject({
      kind: 'forbidden',
      detail: 'Tables: public.t, hidden.h.',
      hint: expect.stringContaining('GRANT USAGE ON SCHEMA "hidden"'),
    });
    expect(errors.get('row security')).toMatchObject({ kind: 'forbidden', detail: 'Tables: public.guarded.' });
    expect(errors.get('rights to publish')).toMatchObject({ kind: 'forbidden' });
    await source.exec(`drop owned by ${user}; drop role ${user}`);
  });

  test('target tables that hold rows or do not fit are refused with every difference; resync replaces them', async () => {
    const sides = await fresh();
    const { source, target } = sides;
    await source.exec('create table t (id int primary key, a text, b text); create table u (id int primary key)');
    await target.exec(`create table t (id smallint primary key, b int generated always as (1) stored, must text not null);
      create table u (id int primary key); insert into u values (1)`);
    const tables = ['t', 'u'];
    const findings = await look(sides, { tables });
    expect(findings.find((each) => each.check === 'empty target tables')).toMatchObject({
      state: 'error',
      message: 'public.u exists on the target and holds rows',
      hint: expect.stringContaining('resync = true'),
    });
    expect(findings.find((each) => each.check === 'schema of the target')).toMatchObject({
      state: 'error',
      detail: [
        'public.t.id is smallint on the target and integer on the source',
        'public.t.a is missing on the target',
        'public.t.b is integer on the target and text on the source',
        'public.t.must is NOT NULL on the target, without default and not on the source',
      ].join('\n'),
      hint: expect.stringContaining('resync = true'),
    });
    expect(await refusal(sides, { tables, options: { resync: true } })).toBeUndefined();
    await target.exec('drop table t');
    expect(await refusal(sides, { tables })).toMatchObject({ sqlstate: '55000' });
    expect(await refusal(sides, { tables, options: { do_initial_copy: false } })).toBeUndefined();
    await target.exec('truncate u');
    expect(await refusal(sides, { tables })).toBeUndefined();
    expect(await refusal(sides, { tables, options: { schema: 'none' } })).toMatchObject({
      detail: 'Missing: public.t.',
    });
  });

  test('a role that may not create or write on the target is told what to grant', async () => {
    const sides = await fresh();
    const { source, target } = sides;
    const user = `plain_${randomBytes(4).toString('hex')}`;
    await source.exec('create table t (id int primary key); create table u (id int primary key)');
    await target.exec(`create role ${user} login password 'x'; create table u (id int primary key);
      revoke create on schema public from public`);
    await using plain = await connectPeer(peerOf(target, { user, password: 'x' }), { application: 'test' });
    const findings = await lookWith(source.connection, plain, { tables: ['t', 'u'] });
    const hints = findings.filter((each) => each.state === 'error').map((each) => each.hint);
    expect(hints).toEqual([
      `GRANT CREATE ON DATABASE "${target.database}" TO "${user}";`,
      `GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON … TO "${user}";`,
    ]);
    await target.exec(`drop owned by ${user}; drop role ${user}`);
  });

  test('a mirror onto itself is refused, and onto other tables of the same database is not', async () => {
    const sides = await fresh();
    await sides.source.exec('create table t (id int primary key)');
    const same = { source: sides.source, target: sides.source };
    const refused = await refusal(same);
    expect(refused).toMatchObject({ sqlstate: '22023', message: 'the mirror would go onto itself' });
    expect(refused?.detail).toBe('Both sides: public.t.');
    expect(await refusal(same, { tables: [{ to: { schema: 'public', name: 'copy' } }] })).toBeUndefined();
  });
});

// Servers of their own take seconds to start; these rules are the same in every version.
test('wal_level replica, no free slot and no free walsender are found before anything is made', async () => {
  await using target = await testDatabase();
  const settings = { wal_level: 'replica', max_replication_slots: 1, max_wal_senders: 1 };
  await using server = await ownServer({ settings });
  const peer = peerOf(server.server.config());
  await using source = await connectPeer(peer, { application: 'test' });
  await source.client.query('create table public.t (id int primary key)');
  await using holder = await connectPeer(peer, { application: 'test', replication: 'database' });
  await source.client.query("select pg_create_physical_replication_slot('taken')");
  const findings = await lookWith(source, target.connection, {});
  const errors = findings.filter((each) => each.state === 'error');
  expect(errors.map((each) => [each.check, each.kind])).toEqual([
    ['wal_level', 'not_ready'],
    ['replication slots', 'too_many'],
    ['walsenders', 'too_many'],
  ]);
  expect(errors[1]?.detail).toBe('Not read by anybody now: taken.');
  expect(holder.lost.aborted).toBe(false);
  const copy = await lookWith(source, target.connection, { slot: null, options: { initial_copy_only: true } });
  expect(copy.filter((each) => each.state === 'error')).toEqual([]);
});

test('a given slot that is lost, or is read by somebody, is said so', async () => {
  await using server = await ownServer({
    major: 14,
    settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '64MB' },
  });
  await using target = await testDatabase();
  const peer = peerOf(server.server.config());
  await using source = await connectPeer(peer, { application: 'test' });
  await source.client.query('create table public.t (id int primary key)');
  await using held = await connectPeer(peer, { application: 'test', replication: 'database' });
  await createSlotWithSnapshot(held, 'held', { temporary: true });
  await source.client.query("select pg_create_logical_replication_slot('left_behind', 'pgoutput')");
  for (let i = 0; i < 3; i++) {
    await source.client.query(
      "select pg_logical_emit_message(false, 'filler', 'x'); select pg_switch_wal(); checkpoint",
    );
  }
  const given = async (name: string) => {
    const wish = { slot: { name, made: false }, options: { do_initial_copy: false } };
    return (await lookWith(source, target.connection, wish)).find((each) => each.check === 'slot');
  };
  expect(await given('left_behind')).toMatchObject({
    kind: 'slot_lost',
    hint: expect.stringContaining('max_slot_wal_keep_size'),
  });
  const taken = await given('held');
  expect(taken).toMatchObject({ state: 'error' });
});
