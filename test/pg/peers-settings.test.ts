// Settings that a role or a database carries (ALTER … SET) change nothing of what we read, write or wait for.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { PeerConfig } from '../../src/mirror/peer.ts';
import { connectPeer, peerClientConfig } from '../../src/peers/connect.ts';
import { Connection } from '../../src/pg/client.ts';
import { ident, sql, trusted } from '../../src/pg/sql.ts';
import { peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

const hostile: Readonly<Record<string, string>> = {
  datestyle: "'SQL, DMY'",
  intervalstyle: "'sql_standard'",
  timezone: "'Asia/Kathmandu'",
  client_encoding: "'LATIN1'",
  bytea_output: "'escape'",
  extra_float_digits: '-15',
  standard_conforming_strings: 'off',
  array_nulls: 'off',
  search_path: 'hostile, public, pg_catalog',
  xmloption: "'document'",
  statement_timeout: "'200ms'",
  lock_timeout: "'10ms'",
  idle_in_transaction_session_timeout: "'150ms'",
  idle_session_timeout: "'150ms'",
  row_security: 'on',
  default_transaction_read_only: 'on',
  default_transaction_isolation: "'serializable'",
  default_transaction_deferrable: 'on',
  synchronous_commit: 'off',
};

// A login of the test's own, with the hostile settings on the role or on the database.
async function hostilePeer(db: TestDatabase, on: 'role' | 'database'): Promise<PeerConfig & AsyncDisposable> {
  const user = `hostile_${randomBytes(4).toString('hex')}`;
  await db.exec(`create role ${user} superuser replication login password 'x'; create schema hostile;
    create function hostile.now() returns text language sql as $$ select 'wrong' $$`);
  const subject = on === 'role' ? trusted(`role ${user}`) : sql`database ${ident(db.database)}`;
  const settings = db.major >= 17 ? { ...hostile, transaction_timeout: "'150ms'" } : hostile;
  for (const [name, value] of Object.entries(settings)) {
    await db.connection.run(sql`alter ${subject} set ${ident(name)} = ${trusted(value)}`);
  }
  return {
    ...peerOf(db, { user, password: 'x' }),
    async [Symbol.asyncDispose]() {
      await db.exec(`drop owned by ${user} cascade; alter database "${db.database}" reset all; drop role ${user}`);
    },
  };
}

const values = sql`select ('2024-03-01 12:00:00+00'::timestamptz)::text as stamp, '1 day 02:03:04'::interval::text as span,
  '\\x00ff'::bytea::text as bytes, (0.1::float8 + 0.2::float8)::text as float, '{null,1}'::int[]::text as list,
  (null is distinct from ('{null}'::text[])[1])::text as null_is_text, pg_catalog.pg_typeof(now())::text as now,
  'é' as text, (12.5::numeric)::money::text as money`;

const expected = {
  stamp: '2024-03-01 12:00:00+00',
  span: '1 day 02:03:04',
  bytes: '\\x00ff',
  float: '0.30000000000000004',
  list: '{NULL,1}',
  null_is_text: 'false',
  now: 'timestamp with time zone',
  text: 'é',
  money: '$12.50',
};

describe.each([14, 18] as const)('PostgreSQL %i', (major) => {
  test.each(['role', 'database'] as const)('values read the same whatever the %s sets', async (on) => {
    await using db = await testDatabase(major);
    await using peer = await hostilePeer(db, on);
    await using plain = await connectPeer(peer, { application: 'test' });
    expect(await plain.one(values)).toEqual(expected);
    await using replication = await connectPeer(peer, { application: 'test', replication: 'database' });
    expect(await replication.one(values)).toEqual(expected);
  });

  test('a server too busy for the millisecond that it allows a statement is connected to', async () => {
    await using db = await testDatabase(major);
    await db.exec(`alter database ${db.database} set statement_timeout = '1ms'`);
    const all = await Promise.all(Array.from({ length: 40 }, () => connectPeer(peerOf(db), { application: 'test' })));
    for (const each of all) {
      expect(await each.one(sql`select pg_catalog.current_setting('statement_timeout') as t`)).toEqual({ t: '0' });
      await each.close();
    }
  });

  test('a client made from the replication settings alone prints values the same, as the stream needs it', async () => {
    await using db = await testDatabase(major);
    await using peer = await hostilePeer(db, 'role');
    const config = await peerClientConfig(peer, { application: 'test', replication: 'database' });
    expect(config.options).toContain('-c datestyle=ISO,MDY');
    await using raw = await Connection.open(config);
    await raw.client.query('reset all'); // back to what the startup packet said, not to what the role says
    const { stamp, span, money } = expected;
    const shown = await raw.one(sql`select ('2024-03-01 12:00:00+00'::timestamptz)::text as stamp,
      '1 day 02:03:04'::interval::text as span, pg_catalog.decode('00ff', 'hex')::text as bytes,
      (12.5::numeric)::money::text as money, 'public.t'::text::varchar as text`);
    expect(shown).toEqual({ stamp, span, bytes: '\\x00ff', money, text: 'public.t' });
  });

  test('no time limit of the role ends our transactions, idle or busy, nor those of a replication connection', async () => {
    await using db = await testDatabase(major);
    await using peer = await hostilePeer(db, 'role');
    await using plain = await connectPeer(peer, { application: 'test' });
    await using replication = await connectPeer(peer, { application: 'test', replication: 'database' });
    for (const connection of [plain, replication]) {
      await connection.transaction(async () => {
        await db.exec('select pg_sleep(0.25)'); // ours is idle in its transaction meanwhile
        await connection.run(sql`select pg_catalog.pg_sleep(0.25)`);
      });
      await db.exec('select pg_sleep(0.25)'); // and idle outside of one
      await connection.run(sql`select 1`);
    }
  });

  test('a read-only, serializable role can still be written to, and a commit waits for the disk', async () => {
    await using db = await testDatabase(major);
    await using peer = await hostilePeer(db, 'role');
    await using connection = await connectPeer(peer, { application: 'test' });
    await connection.transaction(async () => {
      await connection.run(sql`create table public.written (id int)`);
      const shown = await connection.one(sql`select current_setting('transaction_isolation') as isolation,
        current_setting('synchronous_commit') as durable`);
      expect(shown).toEqual({ isolation: 'read committed', durable: 'on' });
    });
    expect(await db.exec('select count(*)::int as n from public.written')).toEqual([{ n: 0 }]);
  });

  test('a row that a policy hides is an error, not a gap', async () => {
    await using db = await testDatabase(major);
    const user = `plain_${randomBytes(4).toString('hex')}`;
    await db.exec(`create role ${user} login password 'x';
      create table public.secret (id int); insert into public.secret values (1), (2);
      alter table public.secret enable row level security; grant select on public.secret to ${user};
      create policy one on public.secret using (id = 1)`);
    const peer = peerOf(db, { user, password: 'x' });
    await using connection = await connectPeer(peer, { application: 'test' });
    await expect(connection.query(sql`select * from public.secret`)).rejects.toMatchObject({ sqlstate: '42501' });
    await db.exec(`drop table public.secret; drop role ${user}`);
  });
});
