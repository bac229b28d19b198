// Peers that are no PostgreSQL, or a hostile one: the session hears what is wrong, nobody else notices, memory stays small.
import type { Socket } from 'node:net';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Connection } from '../../src/pg/client.ts';
import { message, parameterStatus, readyForQuery } from '../../src/wire/backend.ts';
import { noticeResponse } from '../../src/wire/failure.ts';
import { code } from '../../src/wire/frames.ts';
import { type TestGateway, testGateway } from '../support/relay.ts';
import { proper, type Rogue, type RogueOptions, rogueServer } from '../support/rogue.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { ask, SpokenClient } from '../support/spoken.ts';
import { until } from '../support/wait.ts';

let catalog: TestDatabase;
let peer: TestDatabase;
const uncaught: unknown[] = [];
const note = (error: unknown) => uncaught.push(error);

beforeAll(async () => {
  process.on('uncaughtException', note);
  [catalog, peer] = await Promise.all([testDatabase(18), testDatabase(14)]);
  await peer.exec('create table public.t (id int)');
});
afterAll(async () => {
  process.off('uncaughtException', note);
  await Promise.all([catalog, peer].map((db) => db?.[Symbol.asyncDispose]()));
});

interface World extends AsyncDisposable {
  readonly rogue: Rogue;
  readonly gateway: TestGateway;
}

async function world(options: RogueOptions): Promise<World> {
  const rogue = await rogueServer(options);
  const address: TestDatabase = { ...peer, port: rogue.port, [Symbol.asyncDispose]: async () => {} };
  const gateway = await testGateway({ catalog, peers: { peer, rogue: address } });
  return {
    rogue,
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await rogue[Symbol.asyncDispose]();
    },
  };
}

const announced = (type: string, length: number) => {
  const head = Buffer.alloc(5);
  head[0] = code(type);
  head.writeUInt32BE(length, 1);
  return head;
};
const row = (bytes: Buffer) => {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(1);
  head.writeUInt32BE(bytes.length, 2);
  return message(code('D'), head, bytes);
};
const onQuery = (act: (socket: Socket) => void): RogueOptions => ({
  answer: (packet, socket) => packet.startsWith('Q') && act(socket),
});
/** Writes for ever, as fast as it is taken. */
function pour(socket: Socket, bytes: Buffer): void {
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on('drain', more);
  more();
}

const refused = (client: pg.Client, text: string) =>
  client.query(text).then(
    () => undefined,
    (error: pg.DatabaseError) => error,
  );

const breaches: readonly (readonly [string, RogueOptions])[] = [
  ['announces a message of 2 GB', onQuery((socket) => socket.write(announced('T', 0x7fffffff)))],
  [
    'announces an error of 1 GB and sends it',
    onQuery((socket) => {
      socket.write(announced('E', 0x3fffffff));
      pour(socket, Buffer.alloc(65_536, 65));
    }),
  ],
  [
    'announces a command tag of 1 GB',
    onQuery((socket) => {
      socket.write(announced('C', 0x3fffffff));
      pour(socket, Buffer.alloc(65_536, 65));
    }),
  ],
  ['announces a length of nothing', onQuery((socket) => socket.write(announced('D', 0)))],
  ['answers in another language', onQuery((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))],
  ['is ready in no known way', onQuery((socket) => socket.write(message(code('Z'), Buffer.from('?'))))],
  ['is ready without a word', onQuery((socket) => socket.write(message(code('Z'))))],
  ['asks for a password again', onQuery((socket) => socket.write(message(code('R'), Buffer.from([0, 0, 0, 3]))))],
  [
    'reports settings without end',
    onQuery((socket) => {
      for (let i = 0; i < 2_000; i += 1) socket.write(parameterStatus(`setting.${i}`, 'x'));
    }),
  ],
];

describe('a peer that breaks the protocol', () => {
  test.each(breaches)('one that %s is an error of the statement, and the session goes on', async (_, options) => {
    await using it = await world(options);
    const client = await it.gateway.client();
    const other = await it.gateway.client('peer');
    const before = process.memoryUsage().rss;
    const error = await refused(client, 'select 1 from rogue.public.t');
    expect(error).toMatchObject({ code: '08P01', message: expect.stringContaining('peer "rogue"') });
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
    expect((await client.query('select count(*)::int as n from peer.public.t')).rows).toEqual([{ n: 0 }]);
    expect((await other.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await until('its connection is closed', () => it.rogue.open === 0);
    expect(uncaught).toEqual([]);
  });

  const logins: readonly (readonly [string, (socket: Socket) => void])[] = [
    ['asks for a login that nobody knows', (socket) => socket.write(message(code('R'), Buffer.from([0, 0, 3, 231])))],
    ['answers in another language', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    [
      'never comes to an end',
      (socket) => {
        socket.write(announced('N', 0x3fffffff));
        pour(socket, Buffer.alloc(65_536, 65));
      },
    ],
    ['cuts its message short', (socket) => socket.write(message(code('R')))],
    ['hangs up', (socket) => socket.destroy()],
    ['sends rows', (socket) => socket.write(Buffer.concat([row(Buffer.from('x')), ...proper.login]))],
  ];

  test.each(logins)('one whose login %s cannot be connected to, and nothing else happens', async (_, login) => {
    await using it = await world({ login });
    const client = await it.gateway.client();
    const error = await refused(client, 'select 1 from rogue.public.t');
    expect(error?.code).toMatch(/^08/);
    expect((await client.query('select count(*)::int as n from peer.public.t')).rows).toEqual([{ n: 0 }]);
    // Every connection of ours to a peer is as safe as that.
    const direct = Connection.open({ ...peer, port: it.rogue.port, connectionTimeoutMillis: 1_000 });
    await expect(direct).rejects.toThrow();
    expect(uncaught).toEqual([]);
  });
});

describe('a peer that speaks when it is not asked', () => {
  test("what it says is never mixed into another server's answer", async () => {
    await using it = await world({});
    using client = await SpokenClient.open(it.gateway.config());
    client.say(ask.query('select 1 from rogue.public.t'));
    await client.hear('Z');
    client.say(
      ask.query(
        "select repeat('x', 100000), pg_sleep(0.001) from peer.public.t right join generate_series(1, 500) on true",
      ),
    );
    await client.hear('D');
    // Settings and notices come between the messages or behind them, rows and answers not at all.
    it.rogue.broadcast(Buffer.concat([parameterStatus('TimeZone', 'Elsewhere'), noticeResponse('an aside')]));
    it.rogue.broadcast(Buffer.concat([row(Buffer.from('forged')), ...proper.answer]));
    await client.hear('Z', 2);
    expect(client.problem).toBeUndefined();
    expect(client.heard.types.replace(/[SN]/g, '')).toBe(`CZT${'D'.repeat(500)}CZ`);
    expect(client.heard.answers.some(({ body }) => body.includes('forged'))).toBe(false);
    await until('its connection is closed', () => it.rogue.open === 0);
  });

  test('notices and notifications without end wait where they are, for a client that does not read or is busy elsewhere', async () => {
    await using it = await world({});
    const pouring = noticeResponse('n'.repeat(1_000));
    using deaf = await SpokenClient.open(it.gateway.config('rogue'), 10);
    deaf.socket.pause();
    const busy = await it.gateway.client();
    await busy.query('select 1 from rogue.public.t');
    const sleeping = busy.query('select pg_sleep(1.5)');
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 20; i += 1) {
      it.rogue.broadcast(Buffer.alloc(pouring.length * 2_000, pouring));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await sleeping;
    // 40 MB for each of the two are in the sender's own buffers.
    expect(process.memoryUsage().rss - before).toBeLessThan(160_000_000);
    expect((await busy.query('select count(*)::int as n from peer.public.t')).rows).toEqual([{ n: 0 }]);
    expect(uncaught).toEqual([]);
  });
});

describe('a connection that breaks inside a row', () => {
  const half = onQuery((socket) => {
    const whole = row(Buffer.alloc(1_000_000, 65));
    const columns = message(
      code('T'),
      Buffer.from('\0\x01x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0', 'latin1'),
    );
    socket.write(Buffer.concat([columns, whole.subarray(0, 500_000)]), () => socket.destroySoon());
  });

  test('ends the session as a direct connection would: no word is put into the row', async () => {
    await using it = await world(half);
    for (const database of ['sluice', 'rogue']) {
      using client = await SpokenClient.open(it.gateway.config(database));
      client.say(ask.query('select 1 from rogue.public.t'));
      await client.end();
      expect(client.problem).toBeUndefined();
      expect([client.heard.types, client.heard.whole]).toEqual(['T', false]);
    }
    expect((await (await it.gateway.client('peer')).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('a goodbye is said to a server that is left idle or in a transaction', async () => {
    const inTransaction: RogueOptions = {
      answer: (_, socket) =>
        socket.write(Buffer.concat([message(code('C'), Buffer.from('BEGIN\0')), readyForQuery('T')])),
    };
    for (const options of [{}, inTransaction]) {
      await using it = await world(options);
      const client = await it.gateway.client('rogue');
      await client.query('select 1');
      await client.end();
      await until('it was told', () => it.rogue.heard.endsWith('X\0\0\0\x04'));
    }
  });
});
