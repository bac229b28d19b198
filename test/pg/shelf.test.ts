// A session that one step leaves to the next is as good as a new one, and none is left when nobody wants it any more.
import { expect, test } from 'vitest';
import { connectPeer } from '../../src/peers/connect.ts';
import { LeftSessions, SessionShelf } from '../../src/peers/shelf.ts';
import type { Connection } from '../../src/pg/client.ts';
import { sql, trusted } from '../../src/pg/sql.ts';
import { peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const peerTo = (db: TestDatabase) => peerOf(db, { sslMode: 'disable' });

const settings = `select name, setting from pg_catalog.pg_settings
  where source in ('session', 'client', 'user', 'database') and name <> 'application_name' order by name`;

async function sessionsOf(db: TestDatabase): Promise<readonly string[]> {
  const rows = await db.exec<{ name: string }>(`select application_name as name from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() order by 1`);
  return rows.map(({ name }) => name);
}

const noneIsLeft = (db: TestDatabase) => until('no session is left', async () => (await sessionsOf(db)).length === 0);

test.each([18, 14] as const)('what is left behind in a session of %i is gone when the next gets it', async (major) => {
  await using db = await testDatabase(major);
  const peer = peerTo(db);
  const shelf = new SessionShelf();
  const first = await connectPeer(peer, { application: 'first', shelf });
  const { pid, version } = first;
  const fresh = await first.query(trusted(settings));
  await first.run(trusted('create temporary table left_behind (a int)'));
  await first.run(trusted(`prepare asked as select 1`));
  await first.run(trusted('select pg_advisory_lock(7)'));
  await first.run(trusted('listen news'));
  await first.run(trusted(`set session_replication_role = replica; set search_path = public; set role pg_monitor`));
  await first.run(trusted('reset role'));
  await first.run(trusted('begin isolation level repeatable read'));
  await first.run(trusted('create table public.not_committed ()'));
  await first.close();
  expect(first.lost.aborted).toBe(true);
  await using second = await connectPeer(peer, { application: `it's "second"`, shelf });
  expect([second.pid, second.version, second.server]).toEqual([pid, version, first.server]);
  expect(await second.query(trusted(settings))).toEqual(fresh);
  expect(
    await second.one(sql`select pg_catalog.current_setting('application_name') as name,
      pg_catalog.to_regclass('pg_temp.left_behind')::text as table, pg_catalog.to_regclass('public.not_committed')::text as made,
      (select pg_catalog.count(*)::int from pg_catalog.pg_prepared_statements where name <> '') as prepared,
      (select pg_catalog.count(*)::int from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()) as locks,
      (select pg_catalog.count(*)::int from pg_catalog.pg_listening_channels()) as channels,
      pg_catalog.current_setting('transaction_isolation') as isolation`),
  ).toEqual({
    ...{ name: `it's "second"`, table: null, made: null, prepared: 0, locks: 0, channels: 0 },
    isolation: 'read committed',
  });
  await second.close();
  await shelf.end();
  await noneIsLeft(db);
});

test('a session that was ended while nobody had it, or is of another login, is not given', async () => {
  await using db = await testDatabase();
  const peer = peerTo(db);
  const shelf = new SessionShelf();
  const open = (to = peer, signal?: AbortSignal) => connectPeer(to, { application: 'sluice shelf', shelf }, signal);
  const first = await open();
  await first.close();
  await using other = await open({ ...peer, sslMode: 'prefer' });
  expect(other.pid).not.toBe(first.pid);
  await db.connection.run(sql`select pg_catalog.pg_terminate_backend(${first.pid}::int, 5000)`);
  const second = await open();
  expect(second.pid).not.toBe(first.pid);
  expect(await second.one(sql`select 1 as one`)).toEqual({ one: 1 });
  // In the middle of a statement it is ended, as any other.
  const asleep = second.run(sql`select pg_catalog.pg_sleep(1)`);
  asleep.catch(() => {});
  await second.close();
  await expect(asleep).rejects.toMatchObject({ kind: 'connection_lost' });
  const stop = new AbortController();
  const third = await open(peer, stop.signal);
  expect(third.pid).not.toBe(second.pid);
  stop.abort();
  await third.close();
  const fourth = await open();
  expect(fourth.pid).not.toBe(third.pid);
  await fourth.close();
  await expect(open(peer, stop.signal)).rejects.toMatchObject({ kind: 'stopped' });
  await other.close();
  await shelf.end();
  await noneIsLeft(db);
});

test('who does what cannot be undone takes one and does not put it back', async () => {
  await using db = await testDatabase();
  const peer = peerTo(db);
  const shelf = new SessionShelf();
  const open = async (use: object): Promise<Connection> => connectPeer(peer, { application: 'sluice shelf', ...use });
  const first = await open({ shelf });
  await first.close();
  const second = await open({ from: shelf });
  expect(second.pid).toBe(first.pid);
  await second.close();
  await noneIsLeft(db);
  const third = await open({ from: shelf });
  expect(third.pid).not.toBe(first.pid);
  await third.close();
  await shelf.end();
});

test('what a command leaves is for who runs its mirror, and for nobody when nobody comes', async () => {
  await using db = await testDatabase();
  const peer = peerTo(db);
  const left = new LeftSessions();
  const shelf = new SessionShelf();
  await (await connectPeer(peer, { application: 'sluice create mirror', shelf })).close();
  left.leave('one', shelf);
  expect(left.take('another')).toBeUndefined();
  expect(left.take('one')).toBe(shelf);
  expect(left.take('one')).toBeUndefined();
  expect(await sessionsOf(db)).toHaveLength(1);
  left.leave('one', shelf);
  await noneIsLeft(db);
  expect(left.take('one')).toBeUndefined();
});
