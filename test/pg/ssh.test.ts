// Peers behind an SSH host: logged in with a password or a key, the host's own key checked, nothing left open.
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PeerConfig, SshConfig } from '../../src/mirror/peer.ts';
import { cancelQuery, connectPeer, openPeer, peerClientConfig } from '../../src/peers/connect.ts';
import { freePort } from '../../src/pg/embedded.ts';
import { sql } from '../../src/pg/sql.ts';
import { allWords, peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { type SshHost, sshHost } from '../support/ssh.ts';
import { until } from '../support/wait.ts';

const use = { application: 'test' };
let host: SshHost;
// Connections are what is tested; nothing is written, so one database of each major does for all.
let databases: Readonly<Record<14 | 18, TestDatabase>>;

beforeAll(async () => {
  host = await sshHost();
  databases = { 14: await testDatabase(14), 18: await testDatabase(18) };
});
afterAll(async () => {
  for (const db of Object.values(databases)) await db[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

function through(peer: PeerConfig, more: Partial<SshConfig> = {}): PeerConfig {
  return { ...peer, ssh: { host: '127.0.0.1', port: host.port, user: 'pass', password: 'ssh-secret', ...more } };
}

describe.each([14, 18] as const)('PostgreSQL %i', (major) => {
  test('a password and a key both lead to the server, and large results come whole', async () => {
    const db = databases[major];
    const byKey = { user: 'key', password: undefined, privateKey: host.userKey };
    for (const login of [{}, byKey]) {
      await using connection = await connectPeer(through(peerOf(db), login), use);
      const rows = await connection.query<{ text: string }>(
        sql`select pg_catalog.repeat(n::text, 1000) as text from pg_catalog.generate_series(1, 5000) n`,
      );
      expect([rows.length, rows.at(-1)?.text]).toEqual([5000, '5000'.repeat(1000)]);
    }
    await until('every session is closed', () => host.sessions === 0);
  });

  test('the host key that is pinned is asked for and checked, whatever its form', async () => {
    const db = databases[major];
    for (const hostKey of [host.publicKey, host.publicKey.split(' ')[1]]) {
      await using link = await openPeer(through(peerOf(db), { hostKey }), use);
      expect(link.sshFingerprint).toBe(host.fingerprint);
    }
  });

  test('a replication connection, a transaction that is broken off and a cancel go the same way', async () => {
    const db = databases[major];
    const peer = through(peerOf(db));
    {
      await using replication = await connectPeer(peer, { ...use, replication: 'database' });
      expect(await replication.one(sql`IDENTIFY_SYSTEM`)).toMatchObject({ dbname: db.database });
    }
    await using connection = await connectPeer(peer, use);
    const { secretKey } = connection.client as unknown as { secretKey: number };
    const sleeping = connection.run(sql`select pg_catalog.pg_sleep(60)`).catch((error: unknown) => error);
    await cancelQuery(await peerClientConfig(peer, use), { processId: connection.pid, secretKey });
    expect(await sleeping).toMatchObject({ sqlstate: '57014' });
    const again = connection.run(sql`select pg_catalog.pg_sleep(60)`).catch((error: unknown) => error);
    host.cut();
    expect(await again).toMatchObject({ kind: 'connection_lost', sqlstate: '08006' });
    await until('every session is closed', () => host.sessions === 0);
  });

  test('aborting breaks the connection and its session off', async () => {
    const db = databases[major];
    const stop = new AbortController();
    const connection = await connectPeer(through(peerOf(db)), use, stop.signal);
    expect(host.sessions).toBe(1);
    stop.abort();
    expect(connection.lost.aborted).toBe(true);
    await until('every session is closed', () => host.sessions === 0);
  });
});

test('a host that shows another key than the pinned one gets no password', async () => {
  const db = databases[18];
  await using other = await sshHost();
  const error = await connectPeer(through(peerOf(db), { hostKey: other.publicKey }), use).catch((e: unknown) => e);
  expect(error).toMatchObject({
    kind: 'unreachable',
    sqlstate: '08001',
    message: `the SSH host 127.0.0.1:${host.port} is not the one that host_key names`,
    detail: `It shows the key ${host.fingerprint}.`,
  });
  expect(allWords(error)).not.toContain('ssh-secret');
  const print = { hostKey: other.fingerprint };
  await expect(connectPeer(through(peerOf(db), print), use)).rejects.toMatchObject({ sqlstate: '08001' });
  await until('every session is closed', () => host.sessions === 0);
});

test('a wrong SSH password is 28P01 of the SSH host, and not shown', async () => {
  const db = databases[18];
  const error = await connectPeer(through(peerOf(db), { password: 'hunter2' }), use).catch((e: unknown) => e);
  expect(error).toMatchObject({
    kind: 'login_refused',
    sqlstate: '28P01',
    message: `the SSH host 127.0.0.1:${host.port} refuses the login of "pass"`,
  });
  expect(allWords(error)).not.toContain('hunter2');
});

test('a private key that cannot be read is refused, and not shown', async () => {
  const db = databases[18];
  const peer = through(peerOf(db), { user: 'key', password: undefined, privateKey: 'hunter2' });
  const error = await connectPeer(peer, use).catch((e: unknown) => e);
  expect(error).toMatchObject({ sqlstate: '22023', message: 'ssh_config: "private_key" cannot be read' });
  expect(allWords(error)).not.toContain('hunter2');
});

test('a host that answers passwords only by questions is served too', async () => {
  const db = databases[18];
  await using pam = await sshHost({ keyboardOnly: true });
  await using connection = await connectPeer(through(peerOf(db), { port: pam.port }), use);
  expect(await connection.query(sql`select 1 as one`)).toEqual([{ one: 1 }]);
});

test('nobody at the SSH port, nobody at the server behind it, and forwarding not allowed are told apart', async () => {
  const db = databases[18];
  await using closed = await sshHost({ noForwarding: true });
  const port = await freePort();
  const refusal = (peer: PeerConfig) => connectPeer(peer, use).catch((error: unknown) => error);
  expect(await refusal(through(peerOf(db), { port }))).toMatchObject({
    sqlstate: '08001',
    message: `cannot reach the SSH host 127.0.0.1:${port}: ECONNREFUSED`,
  });
  expect(await refusal(through(peerOf({ ...db, port })))).toMatchObject({
    sqlstate: '08001',
    message: expect.stringContaining(`:${port}`),
  });
  expect(await refusal(through(peerOf(db), { port: closed.port }))).toMatchObject({
    sqlstate: '08001',
    message: expect.stringContaining(`${db.host}:${db.port}`),
  });
  await until('every session is closed', () => host.sessions === 0);
});

test('an SSH host that takes the connection and says nothing is given up when it is told to stop', async () => {
  const db = databases[18];
  const stop = AbortSignal.timeout(200);
  const silent = createServer((socket) => socket.resume());
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
  const { port } = silent.address() as { port: number };
  await expect(connectPeer(through(peerOf(db), { port }), use, stop)).rejects.toMatchObject({ kind: 'stopped' });
  await new Promise((done) => silent.close(done)); // ends only when our side has closed its connection
});
