// Replication slots on real servers: made with a snapshot, taken from who holds them, dropped; and each way it can go wrong.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { connectPeer } from '../../src/peers/connect.ts';
import {
  createSlotWithSnapshot,
  dropSlot,
  endWalsender,
  readSlot,
  showBlocker,
  slotBlockers,
} from '../../src/peers/slot.ts';
import type { Connection } from '../../src/pg/client.ts';
import { formatLsn } from '../../src/pg/lsn.ts';
import { literal, sql } from '../../src/pg/sql.ts';
import { peerOf } from '../support/peer.ts';
import { ownServer, type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const use = { application: 'sluice test', replication: 'database' } as const;
const freshName = () => `slot_${randomBytes(4).toString('hex')}`;

async function makeSlot(db: TestDatabase, name: string): Promise<void> {
  await using repl = await connectPeer(peerOf(db), use);
  await createSlotWithSnapshot(repl, name, { temporary: false });
}

/** Streams from a slot until its connection ends. */
function stream(repl: Connection, slot: string): Promise<unknown> {
  const start = `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '"nobody"')`;
  return repl.client.query(start).catch((error: unknown) => error);
}

describe.each([14, 18] as const)('PostgreSQL %i', (major) => {
  test('a slot comes with a snapshot that shows what was committed before its LSN, and nothing after', async () => {
    await using db = await testDatabase(major);
    await db.exec('create table t (id int); insert into t values (1)');
    const name = freshName();
    await using repl = await connectPeer(peerOf(db), use);
    const { lsn, snapshot } = await createSlotWithSnapshot(repl, name, { temporary: false });
    await db.exec('insert into t values (2)');
    await using reader = await db.connect();
    const seen = await reader.transaction(async () => {
      await reader.run(sql`set transaction snapshot ${literal(snapshot)}`);
      return await reader.query(sql`select id from public.t`);
    }, 'begin isolation level repeatable read');
    expect(seen).toEqual([{ id: 1 }]);
    const state = await readSlot(db.connection, name);
    expect(state).toMatchObject({ plugin: 'pgoutput', database: db.database, active: false, walStatus: 'reserved' });
    expect(formatLsn(state?.confirmedFlush ?? 0n)).toBe(formatLsn(lsn));
    expect(state?.lagBytes).toBeGreaterThan(0);
  });

  test('a temporary slot is gone with its connection', async () => {
    await using db = await testDatabase(major);
    const name = freshName();
    {
      await using repl = await connectPeer(peerOf(db), use);
      await createSlotWithSnapshot(repl, name, { temporary: true });
      expect(await readSlot(db.connection, name)).toMatchObject({ temporary: true, active: true });
    }
    await until('the slot is gone', async () => (await readSlot(db.connection, name)) === null);
  });

  test('a slot of that name that is there already is 42710, and stays as it was', async () => {
    await using db = await testDatabase(major);
    const name = freshName();
    await makeSlot(db, name);
    const before = await readSlot(db.connection, name);
    await expect(makeSlot(db, name)).rejects.toMatchObject({
      kind: 'duplicate_object',
      sqlstate: '42710',
      hint: expect.stringContaining(`pg_drop_replication_slot('${name}')`),
    });
    expect((await readSlot(db.connection, name))?.confirmedFlush).toBe(before?.confirmedFlush);
  });

  test('dropping a slot ends the walsender that a dead owner left on it; dropping it twice is no error', async () => {
    await using db = await testDatabase(major);
    const name = freshName();
    await makeSlot(db, name);
    await using dead = await connectPeer(peerOf(db), use);
    const streaming = stream(dead, name);
    await until('the slot is held', async () => (await readSlot(db.connection, name))?.active);
    await endWalsender(db.connection, name);
    expect(await readSlot(db.connection, name)).toMatchObject({ active: false, activePid: null });
    await streaming;
    await using again = await connectPeer(peerOf(db), use);
    const streamingAgain = stream(again, name);
    await until('the slot is held', async () => (await readSlot(db.connection, name))?.active);
    expect(await dropSlot(db.connection, name)).toBe(true);
    expect(await dropSlot(db.connection, name)).toBe(false);
    await streamingAgain;
  });

  test('making a slot waits for open transactions of any database, and they are named', async () => {
    await using db = await testDatabase(major);
    await using elsewhere = await testDatabase(major);
    await elsewhere.exec('create table t (id int)');
    await using blocker = await elsewhere.connect();
    await blocker.run(sql`set application_name = 'night job'`);
    await blocker.run(sql`begin`);
    await blocker.run(sql`insert into public.t values (1)`);
    await using prepared = await elsewhere.connect();
    const gid = `gid_${freshName()}`;
    await prepared.run(sql`begin`);
    await prepared.run(sql`insert into public.t values (2)`);
    await prepared.run(sql`prepare transaction ${literal(gid)}`);

    const name = freshName();
    let made = false;
    const making = makeSlot(db, name).then(() => {
      made = true;
    });
    const mine = await until('both are named', async () => {
      const found = (await slotBlockers(db.connection)).filter((each) => each.database === elsewhere.database);
      return found.length === 2 && found;
    });
    expect(mine.map((each) => [each.pid, each.prepared, each.application])).toEqual(
      expect.arrayContaining([
        [blocker.pid, null, 'night job'],
        [null, gid, null],
      ]),
    );
    const words = mine.map(showBlocker).join('\n');
    expect(words).toContain(
      `process ${blocker.pid} (user ${db.user}, database ${elsewhere.database}, application night job`,
    );
    expect(words).toContain(`prepared transaction "${gid}"`);
    await until('the slot waits', async () => {
      const rows = await db.connection.query(sql`select 1 as one from pg_catalog.pg_locks l
        join pg_catalog.pg_stat_activity a on a.pid = l.pid
        where not l.granted and a.backend_type = 'walsender' and a.datname = ${db.database}`);
      return rows.length > 0;
    });
    expect(made).toBe(false);
    await blocker.run(sql`rollback`);
    await prepared.run(sql`rollback prepared ${literal(gid)}`);
    await making;
    expect(await readSlot(db.connection, name)).not.toBeNull();
  });

  test('a role that may not replicate is 42501 with the statement that mends it', async () => {
    await using db = await testDatabase(major);
    const user = `plain_${randomBytes(4).toString('hex')}`;
    await db.exec(`create role ${user} login password 'x'`);
    await expect(connectPeer(peerOf(db, { user, password: 'x' }), use)).rejects.toMatchObject({
      kind: 'forbidden',
      sqlstate: '42501',
      hint: expect.stringContaining('REPLICATION'),
    });
    await db.exec(`drop role ${user}`);
  });

  // What needs a server of its own is looked at on one major here; preflight looks on both.
  test.runIf(major === 18)(
    'wal_level replica, used-up slots and used-up walsenders each say what to change',
    async () => {
      await using logical = await ownServer({ major, settings: { max_replication_slots: 1, max_wal_senders: 2 } });
      const peer = peerOf(logical.server.config());
      await using first = await connectPeer(peer, use);
      await createSlotWithSnapshot(first, 'one', { temporary: false });
      await expect(createSlotWithSnapshot(first, 'two', { temporary: false })).rejects.toMatchObject({
        kind: 'too_many',
        sqlstate: '53400',
        hint: expect.stringContaining('max_replication_slots'),
      });
      await using _second = await connectPeer(peer, use);
      await expect(connectPeer(peer, use)).rejects.toMatchObject({
        kind: 'too_many',
        sqlstate: '53300',
        hint: expect.stringContaining('max_wal_senders'),
      });
      await using plain = await ownServer({ major, settings: { wal_level: 'replica' } });
      await using repl = await connectPeer(peerOf(plain.server.config()), use);
      await expect(createSlotWithSnapshot(repl, 'one', { temporary: false })).rejects.toMatchObject({
        kind: 'not_ready',
        sqlstate: '55000',
        hint: expect.stringContaining('wal_level = logical'),
      });
    },
  );

  test.runIf(major === 14)('a slot whose log was taken away says lost', async () => {
    await using server = await ownServer({ major, settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '64MB' } });
    const peer = peerOf(server.server.config());
    await using db = await connectPeer(peer, { application: 'test' });
    {
      await using repl = await connectPeer(peer, use);
      await createSlotWithSnapshot(repl, 'left_behind', { temporary: false });
    }
    const seen = new Set<string | null>();
    await until('the slot is lost', async () => {
      await db.run(sql`select pg_catalog.pg_logical_emit_message(false, 'filler', 'x')`);
      await db.run(sql`select pg_catalog.pg_switch_wal()`);
      seen.add((await readSlot(db, 'left_behind'))?.walStatus ?? null);
      await db.run(sql`checkpoint`);
      const state = await readSlot(db, 'left_behind');
      return state?.walStatus === 'lost';
    });
    expect(seen).toContain('unreserved');
    expect(await dropSlot(db, 'left_behind')).toBe(true);
  });
});
