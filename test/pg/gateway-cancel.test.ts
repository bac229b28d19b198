// A cancel request that takes its time on the way to the peer stops what it was meant for, and nothing that comes after.
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { RawClient, type TestGateway, testGateway } from '../support/relay.ts';
import { type ServerAddress, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

/** A road to a server on which new travellers can be held up. */
interface Road extends AsyncDisposable {
  readonly port: number;
  /** How many are held up. */
  readonly waiting: number;
  hold(): void;
  release(): void;
}

async function road({ host, port }: ServerAddress): Promise<Road> {
  const sockets = new Set<Socket>();
  const held: Socket[] = [];
  let holding = false;
  const goOn = (socket: Socket) => {
    const other = connectSocket({ host, port, allowHalfOpen: true });
    for (const each of [socket, other]) {
      sockets.add(each);
      each.on('error', () => {});
      each.on('close', () => (each === socket ? other : socket).destroy());
    }
    socket.pipe(other).pipe(socket);
  };
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    if (holding) held.push(socket);
    else goOn(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get waiting() {
      return held.length;
    },
    hold: () => {
      holding = true;
    },
    release: () => {
      holding = false;
      for (const socket of held.splice(0)) goOn(socket);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of [...sockets, ...held]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sends a cancel request as every client does, on a connection of its own; `closed` when the server is done with it. */
function requestCancel(gateway: TestGateway, client: pg.Client): RawClient {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(16);
  bytes.writeUInt32BE(80877102, 4);
  bytes.writeInt32BE(processID, 8);
  bytes.writeInt32BE(secretKey, 12);
  const raw = new RawClient(gateway.port);
  raw.send(bytes);
  return raw;
}

test('a cancel request is answered when the peer has had it, so that the next statement is not hit', async () => {
  await using db = await testDatabase(18);
  await using slow = await road(db);
  await using gateway = await testGateway({ catalog: db, peers: { peer: { ...db, port: slow.port } } });
  const client = await gateway.client('peer');
  const running = client.query("select pg_sleep(30), 'sleeper'").catch((error: pg.DatabaseError) => error);
  const activity = "select pid from pg_stat_activity where state = 'active' and query like '%''sleeper''%'";
  await until('it runs', async () => (await db.exec(`${activity} and pid <> pg_backend_pid()`)).length === 1);
  slow.hold();
  using first = requestCancel(gateway, client);
  await until('the request is on its way', () => slow.waiting === 1);
  expect(first.closed).toBe(false);
  // Meanwhile the statement ends, of whatever cause.
  await db.exec(`select pg_cancel_backend(pid) from (${activity} and pid <> pg_backend_pid()) as it`);
  expect(await running).toMatchObject({ code: '57014' });
  slow.release();
  await until('the request is answered', () => first.closed);
  expect((await client.query('select pg_sleep(0.1)')).rowCount).toBe(1);
  await client.end();
});
