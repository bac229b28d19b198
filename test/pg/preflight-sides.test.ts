// The check before a mirror: what both servers lack is named, be it rights, slots, publications or room on the target.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPeer } from '../../src/peers/connect.ts';
import { createSlotWithSnapshot } from '../../src/peers/slot.ts';
import { peerOf } from '../support/peer.ts';
import { look, lookWith, type Pair, pairOf, refusal } from '../support/preflight.ts';
import { ownServer, testDatabase } from '../support/servers.ts';

describe.each([14, 18] as const)('a source of PostgreSQL %i', (major) => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await pairOf(major);
  });
  afterAll(() => pair?.[Symbol.asyncDispose]());
  const fresh = () => pair.empty();

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
    detail: expect.stringContaining('max_slot_wal_keep_size'),
  });
  const taken = await given('held');
  expect(taken).toMatchObject({ state: 'error' });
});
