// Connecting to a peer: what refuses us says so with its code, its place and what to do, and never with a secret.
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cancelQuery, connectPeer, peerClientConfig } from '../../src/peers/connect.ts';
import { freePort } from '../../src/pg/embedded.ts';
import { sql } from '../../src/pg/sql.ts';
import { allWords, peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

const use = { application: 'test' };

// Connections are what is tested; nothing is written, so one database of each major does for all.
let databases: Readonly<Record<14 | 18, TestDatabase>>;
beforeAll(async () => {
  databases = { 14: await testDatabase(14), 18: await testDatabase(18) };
});
afterAll(async () => {
  for (const db of Object.values(databases)) await db[Symbol.asyncDispose]();
});

/** A server that takes connections and does `act` with them. */
async function oddServer(act: (socket: Socket) => void): Promise<{ readonly port: number } & AsyncDisposable> {
  const port = await freePort();
  const server = createServer();
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    act(socket);
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

describe.each([14, 18] as const)('PostgreSQL %i', (major) => {
  test('a wrong password is refused with 28P01, once, and not shown', async () => {
    const db = databases[major];
    const error = await connectPeer(peerOf(db, { password: 'hunter2' }), use).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      kind: 'login_refused',
      sqlstate: '28P01',
      retry: 'person',
      hint: 'Look at user and password of the peer.',
      message: expect.stringContaining(`127.0.0.1:${db.port} refuses the login`),
    });
    expect(allWords(error)).not.toContain('hunter2');
  });

  test('no password where one is asked for is said so', async () => {
    const db = databases[major];
    await expect(connectPeer(peerOf(db, { password: undefined }), use)).rejects.toMatchObject({
      sqlstate: '28P01',
      hint: expect.stringContaining('ALTER PEER'),
    });
  });

  test('a database that does not exist is the server’s own answer', async () => {
    const db = databases[major];
    await expect(connectPeer({ ...peerOf(db), database: 'nowhere' }, use)).rejects.toMatchObject({ sqlstate: '3D000' });
  });

  test.each(['require', 'verify-full'] as const)(
    'sslmode %s against a server without TLS is 08001 with what to change',
    async (sslMode) => {
      const db = databases[major];
      const error = await connectPeer(peerOf(db, { sslMode }), use).catch((caught: unknown) => caught);
      expect(error).toMatchObject({
        kind: 'unreachable',
        sqlstate: '08001',
        message: `127.0.0.1:${db.port} does not offer TLS, and sslmode is ${sslMode}`,
        hint: expect.stringContaining("sslmode = 'prefer'"),
      });
      expect(allWords(error)).not.toContain(db.password);
    },
  );

  test.each(['disable', 'allow', 'prefer'] as const)(
    'sslmode %s does without TLS where there is none',
    async (sslMode) => {
      const db = databases[major];
      await using connection = await connectPeer(peerOf(db, { sslMode }), { application: 'it is me' });
      const rows = await connection.query(sql`select application_name from pg_catalog.pg_stat_activity
      where pid = pg_catalog.pg_backend_pid()`);
      expect(rows).toEqual([{ application_name: 'it is me' }]);
    },
  );

  test('a running query is cancelled by its key', async () => {
    const db = databases[major];
    const peer = peerOf(db);
    await using connection = await connectPeer(peer, use);
    const { processID, secretKey } = connection.client as unknown as { processID: number; secretKey: number };
    const sleeping = connection.run(sql`select pg_catalog.pg_sleep(60)`).catch((error: unknown) => error);
    const config = await peerClientConfig(peer, use);
    await cancelQuery(config, { processId: processID, secretKey });
    expect(await sleeping).toMatchObject({ sqlstate: '57014' });
    expect(await connection.query(sql`select 1 as one`)).toEqual([{ one: 1 }]);
  });
});

test('nobody listening is 08001 and names the place', async () => {
  const db = databases[18];
  const port = await freePort();
  await expect(connectPeer(peerOf({ ...db, port }), use)).rejects.toMatchObject({
    kind: 'unreachable',
    sqlstate: '08001',
    message: `cannot connect to 127.0.0.1:${port}: connection refused`,
    hint: expect.stringContaining('firewall'),
  });
});

test('a name that does not exist is 08001', async () => {
  const db = databases[18];
  await expect(connectPeer(peerOf({ ...db, host: 'nowhere.invalid' }), use)).rejects.toMatchObject({
    sqlstate: '08001',
  });
});

test.each(['disable', 'prefer'] as const)('a server that never answers is given up (sslmode %s)', async (sslMode) => {
  const db = databases[18];
  await using silent = await oddServer(() => {});
  const peer = peerOf({ ...db, port: silent.port }, { sslMode });
  await expect(connectPeer(peer, { ...use, timeoutMs: 300 })).rejects.toMatchObject({
    sqlstate: '08001',
    message: expect.stringContaining('no answer'),
  });
});

test('a server that hangs up is 08001, and what is no PostgreSQL does not crash us', async () => {
  const db = databases[18];
  await using rude = await oddServer((socket) => socket.destroy());
  await expect(connectPeer(peerOf({ ...db, port: rude.port }), use)).rejects.toMatchObject({
    sqlstate: expect.stringMatching(/^08/),
  });
  await using web = await oddServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await expect(connectPeer(peerOf({ ...db, port: web.port }), use)).rejects.toMatchObject({
    sqlstate: expect.stringMatching(/^08/),
  });
});

test('an attempt that is under way stops when it is told to', async () => {
  const db = databases[18];
  const stop = new AbortController();
  await using silent = await oddServer(() => stop.abort());
  const peer = peerOf({ ...db, port: silent.port });
  await expect(connectPeer(peer, use, stop.signal)).rejects.toMatchObject({ kind: 'stopped' });
});
