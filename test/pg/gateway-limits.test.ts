// The gateway's limits: room at the door and inside, time to log in, idle clients, long messages, and a stop that waits.
import { connect as connectSocket } from 'node:net';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fieldsOf } from '../support/answers.ts';
import { hasPsql, psql, RawClient, type TestGateway, type TestGatewayOptions, testGateway } from '../support/relay.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { ask, SpokenClient } from '../support/spoken.ts';
import { until } from '../support/wait.ts';
import { said } from '../support/wire.ts';

let catalog: TestDatabase;
let peer: TestDatabase;

beforeAll(async () => {
  [catalog, peer] = await Promise.all([testDatabase(18), testDatabase(14)]);
  await peer.exec('create table public.t (id int)');
});
afterAll(async () => {
  await Promise.all([catalog, peer].map((db) => db?.[Symbol.asyncDispose]()));
});

const gatewayWith = (limits: NonNullable<TestGatewayOptions['limits']>) =>
  testGateway({ catalog, peers: { peer }, limits });

/** A connection that says who it is and then nothing. */
function halfway(gateway: TestGateway): RawClient {
  const raw = new RawClient(gateway.port);
  const body = Buffer.from('\0\x03\0\0user\0me\0\0', 'latin1');
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length + 4);
  raw.send(Buffer.concat([head, body]));
  return raw;
}

const lastError = (raw: RawClient) => fieldsOf(raw.received.subarray(raw.received.lastIndexOf('E\0\0\0') + 5));

const ending = (client: pg.Client) =>
  new Promise<pg.DatabaseError>((resolve) => client.on('error', (error) => resolve(error as pg.DatabaseError)));

describe('connections', () => {
  test('those who do not log in take no place of those who do, and the ones that wait longest make room', async () => {
    await using gateway = await gatewayWith({ connections: 4 });
    const early = await gateway.client();
    const silent: RawClient[] = [];
    for (let i = 0; i < 30; i += 1) {
      const raw = i % 2 === 0 ? halfway(gateway) : new RawClient(gateway.port);
      silent.push(raw);
      await until(
        'it is connected',
        () => raw.socket.readyState === 'open' && (i % 2 === 1 || raw.received.length > 0),
      );
    }
    await until('ten of thirty are turned away', () => silent.filter(({ closed }) => closed).length === 10);
    expect(silent.slice(0, 10).every(({ closed }) => closed)).toBe(true);
    expect(lastError(silent[0]!)).toMatchObject({ C: '53300', M: 'sorry, too many clients already' });
    const late = await gateway.client('peer');
    expect((await late.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect((await early.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    for (const raw of silent) raw[Symbol.dispose]();
  });

  test.skipIf(!hasPsql)('psql is told that the house is full, and is let in when somebody has left', async () => {
    await using gateway = await gatewayWith({ connections: 1 });
    const only = await gateway.client();
    const refused = await psql(gateway, ['select 1']);
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringContaining('FATAL:  sorry, too many clients already'),
    ]);
    await only.end();
    await until('there is room', async () => (await psql(gateway, ['select 1'])).code === 0);
  });

  test('a login that takes too long ends, and says so to who has said its name', async () => {
    await using gateway = await gatewayWith({ loginTimeoutMs: 300 });
    using silent = new RawClient(gateway.port);
    using slow = halfway(gateway);
    // One byte at a time is no way to stay.
    slow.send(Buffer.from([112, 0, 0, 3, 0]));
    const drip = setInterval(() => slow.socket.writable && slow.send(Buffer.of(112)), 50);
    await until('both are gone', () => silent.closed && slow.closed);
    clearInterval(drip);
    expect(silent.received.length).toBe(0);
    expect(lastError(slow)).toMatchObject({ S: 'FATAL', C: '57014', M: 'canceling authentication due to timeout' });
  });

  test('a client that has logged in is not hurried', async () => {
    await using gateway = await gatewayWith({ loginTimeoutMs: 300 });
    const client = await gateway.client('peer');
    await client.query('select pg_sleep(0.5)');
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
});

describe('idle clients', () => {
  test('a client that says nothing for too long is told and shut out, in a transaction and outside', async () => {
    await using gateway = await gatewayWith({ idleTimeoutMs: 400, idleInTransactionTimeoutMs: 200 });
    const idle = await gateway.client('peer');
    const told = ending(idle);
    const inside = await gateway.client();
    const toldInside = ending(inside);
    await inside.query('begin; insert into peer.public.t values (1)');
    expect(await toldInside).toMatchObject({
      ...{ severity: 'FATAL', code: '25P03', message: 'terminating connection due to idle-in-transaction timeout' },
    });
    expect(await told).toMatchObject({
      ...{ severity: 'FATAL', code: '57P05', message: 'terminating connection due to idle-session timeout' },
    });
    expect(await peer.exec('select id from public.t')).toEqual([]);
    await until('the peer is left alone', async () => (await ours()).length === 0);
  });

  test('a client that waits for an answer, or has begun an extended query, is not idle', async () => {
    await using gateway = await gatewayWith({ idleTimeoutMs: 200, idleInTransactionTimeoutMs: 200 });
    const busy = await gateway.client('peer');
    const sleeping = busy.query("select pg_sleep(0.6), 'busy' as what");
    using midway = await SpokenClient.open(gateway.config('peer'));
    midway.say(ask.parse('select 1'), ask.bind(), ask.execute(), ask.flush);
    await midway.hear('C');
    expect((await sleeping).rows).toMatchObject([{ what: 'busy' }]);
    midway.say(ask.sync);
    await midway.hear('Z');
    expect(midway.heard.types).toBe('12DCZ');
    await midway.end();
    expect(midway.heard.errors).toMatchObject([{ C: '57P05' }]);
  });
});

const ours = () =>
  peer.exec('select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()');

describe('messages', () => {
  test('one that is too long ends the session, after what was asked before is answered', async () => {
    await using gateway = await gatewayWith({ messageBytes: 100_000 });
    using client = await SpokenClient.open(gateway.config('peer'));
    const rows = "select repeat('x', 1000) from generate_series(1, 2000), pg_sleep(0.1)";
    client.say(ask.query(rows), ask.query(`select '${'y'.repeat(50_000)}'`), ask.query('z'.repeat(100_000)));
    await client.end();
    expect(client.problem).toBeUndefined();
    expect(client.heard.types).toBe(`T${'D'.repeat(2000)}CZTDCZE`);
    expect(client.heard.errors).toMatchObject([{ S: 'FATAL', C: '08P01', M: 'invalid message length' }]);
    expect(client.heard.whole).toBe(true);
  });

  test('nonsense in the middle of COPY data ends the session, and nothing of the data is kept', async () => {
    await using gateway = await gatewayWith({});
    for (const database of ['sluice', 'peer']) {
      using client = await SpokenClient.open(gateway.config(database));
      client.say(
        ask.query('copy peer.public.t from stdin'),
        ask.copyData(Buffer.from('7\n')),
        Buffer.from('!nonsense'),
      );
      client.socket.end();
      await client.end();
      expect(client.problem).toBeUndefined();
      expect(client.heard.errors.at(-1)).toMatchObject({ S: 'FATAL', C: '08P01' });
    }
    expect(await peer.exec('select id from public.t')).toEqual([]);
    await until('the peer is left alone', async () => (await ours()).length === 0);
  });

  test('nonsense in the middle of an extended query never breaks a row that is on its way', async () => {
    await using gateway = await gatewayWith({});
    using client = await SpokenClient.open(gateway.config('peer'));
    const rows = ask.parse("select repeat('x', 100000) from generate_series(1, 300)");
    client.say(rows, ask.bind(), ask.execute(), ask.flush);
    await client.hear('D');
    client.say(Buffer.from('!nonsense'));
    await client.end();
    expect(client.problem).toBeUndefined();
    expect(client.heard.types).toBe(`12${'D'.repeat(300)}CE`);
    expect(client.heard.errors).toMatchObject([{ S: 'FATAL', C: '08P01' }]);
  });
});

describe('slow readers and slow writers', () => {
  const megabyte = 1_000_000;
  const long = 'x'.repeat(3_000);

  /** Says it again and again until nobody takes any more. @returns how often all of it was taken */
  async function stuffed(client: SpokenClient, piece: Buffer): Promise<number> {
    const { socket } = client;
    let said = 0;
    for (let taken = -1; taken !== socket.bytesWritten - socket.writableLength; ) {
      taken = socket.bytesWritten - socket.writableLength;
      for (; socket.writableLength < megabyte; said += 1) socket.write(piece);
      expect(said * piece.length).toBeLessThan(60 * megabyte);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    return said;
  }

  test('a server that does not take COPY data stops the client that sends it', async () => {
    await using gateway = await gatewayWith({});
    await peer.exec(`create table public.slow (id int, what text);
      create function public.wait() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(7); return new; end';
      create trigger wait before insert on public.slow for each row execute function public.wait()`);
    await peer.exec('select pg_advisory_lock(7)');
    using client = await SpokenClient.open(gateway.config());
    client.say(ask.query('copy peer.public.slow from stdin'));
    await client.hear('G');
    const rows = await stuffed(client, ask.copyData(Buffer.from(`1\t${'x'.repeat(100_000)}\n`)));
    await peer.exec('select pg_advisory_unlock(7)');
    client.say(ask.copyDone);
    await client.hear('Z');
    expect(client.problem).toBeUndefined();
    expect(await peer.exec('select count(*)::int as n from public.slow')).toEqual([{ n: rows }]);
  });

  test('a server that waits for a lock stops the client that goes on asking, and answers all of it later', async () => {
    await using gateway = await gatewayWith({});
    const blocker = await peer.connect();
    await blocker.client.query('begin; lock table public.t');
    using client = await SpokenClient.open(gateway.config('peer'), 10);
    client.say(ask.parse('select id from public.t', 's'), ask.bind('s'), ask.execute(), ask.flush);
    const asked = await stuffed(
      client,
      Buffer.concat([ask.parse(`select 1 -- ${'x'.repeat(5_000)}`), ask.bind(), ask.execute()]),
    );
    await blocker.client.query('rollback');
    client.say(ask.sync);
    await client.hear('Z');
    expect(client.problem).toBeUndefined();
    expect(client.heard.dropped + client.heard.answers.length).toBe(asked * 4 + 4);
  });

  test("a transaction that says much before it names a peer is the catalog's, so that little waits here", async () => {
    await using gateway = await gatewayWith({});
    const client = await gateway.client();
    const set = (text: string) => client.query(`set a.b = '${text}'`);
    await client.query('begin');
    await set('x'.repeat(500_000));
    expect((await client.query('select * from peer.public.t')).rows).toEqual([]);
    await client.query('rollback');
    await client.query('begin');
    for (const each of ['u', 'v', 'w']) await set(each.repeat(500_000));
    await expect(client.query('select * from peer.public.t')).rejects.toMatchObject({ code: '0A000' });
    await client.query('rollback');
    await client.query('begin');
    for (const each of ['u', 'v', 'w', 'x']) await set(each.repeat(500_000));
    await client.query('commit');
    const { rows } = await client.query("execute peer $$select left(current_setting('a.b'), 1) as first$$");
    expect(rows).toEqual([{ first: 'x' }]);
    await client.end();
  });

  test('so does one that gets what was prepared elsewhere for a transaction of its own', async () => {
    await using gateway = await gatewayWith({});
    const blocker = await peer.connect();
    await blocker.client.query('begin; lock table public.t');
    using client = await SpokenClient.open(gateway.config(), 10);
    client.say(ask.parse('select $1::text', 's'), ask.sync);
    await client.hear('Z');
    client.say(ask.query('begin'));
    await client.hear('Z', 2);
    client.say(ask.parse('select id from peer.public.t', 'w'), ask.bind('w'), ask.execute(), ask.flush);
    const bound = await stuffed(client, said.bind({ statement: 's', values: ['x'.repeat(5_000)] }));
    await blocker.client.query('rollback');
    client.say(ask.sync);
    // `1Z` and `CZ`, `12C`, one answer each, and the last Z.
    const heard = () => client.heard.dropped + client.heard.answers.length;
    await until('all is answered', () => client.problem !== undefined || heard() >= bound + 8);
    expect(client.problem).toBeUndefined();
  });

  test.each([
    ['simple queries', ask.query(`select '${long}'`)],
    ['extended queries', Buffer.concat([ask.parse(`select '${long}'`), ask.bind(), ask.execute(), ask.sync])],
    [
      'descriptions',
      Buffer.concat([ask.parse(`select 1 as "${'x'.repeat(60)}", 2 as "${'y'.repeat(60)}"`), ask.describe('S')]),
    ],
    ['errors', ask.query(`"${long.slice(0, 60)}${'"'.repeat(1_000)}`)],
  ])('a client that reads no answers is stopped at some point: %s', async (_, piece) => {
    await using gateway = await gatewayWith({});
    using client = await SpokenClient.open(gateway.config('peer'), 10);
    client.socket.pause();
    await stuffed(client, piece);
    const other = await gateway.client('peer');
    expect((await other.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
});

describe('a stop', () => {
  test('a client in a transaction may finish it, and is told then', async () => {
    const gateway = await gatewayWith({ drainMs: 20_000 });
    const client = await gateway.client();
    await client.query('begin; insert into peer.public.t values (7)');
    const told = ending(client);
    const stopped = gateway.stop();
    await until('nobody is let in any more', () => refused(gateway.port));
    await client.query('insert into peer.public.t values (8)');
    await client.query('commit');
    expect(await told).toMatchObject({ code: '57P01' });
    await stopped;
    expect(await peer.exec('select id from public.t order by id')).toEqual([{ id: 7 }, { id: 8 }]);
    await peer.exec('truncate public.t');
  });

  test('one that does not finish is broken off between two messages, and what it did is undone', async () => {
    const gateway = await gatewayWith({ drainMs: 300 });
    const client = await gateway.client();
    await client.query('begin; insert into peer.public.t values (9)');
    const told = ending(client);
    using reading = await SpokenClient.open(gateway.config('peer'));
    reading.say(ask.query("select repeat('x', 10000), generate_series(1, 100000000)"));
    await reading.hear('D');
    using deaf = await SpokenClient.open(gateway.config('peer'));
    deaf.say(ask.query("select repeat('x', 10000), generate_series(1, 100000000)"));
    deaf.socket.pause();
    await gateway.stop();
    expect(await told).toMatchObject({ code: '57P01' });
    await reading.end();
    expect(reading.problem).toBeUndefined();
    expect(await peer.exec('select id from public.t')).toEqual([]);
    const left = () =>
      peer.exec(
        "select 1 from pg_stat_activity where datname = current_database() and query like '%100000000%' and pid <> pg_backend_pid()",
      );
    await until('the peer is left alone', async () => (await left()).length === 0);
  });

  test('an extended query that has begun is finished to its Sync', async () => {
    const gateway = await gatewayWith({ drainMs: 20_000 });
    using client = await SpokenClient.open(gateway.config('peer'));
    client.say(ask.parse('select 1'), ask.bind(), ask.execute(), ask.flush);
    await client.hear('C');
    const stopped = gateway.stop();
    await until('nobody is let in any more', () => refused(gateway.port));
    client.say(ask.execute(), ask.sync);
    await client.end();
    await stopped;
    expect(client.heard.types).toBe('12DCCZE');
    expect(client.heard.errors).toMatchObject([{ C: '57P01' }]);
  });
});

/** Whether nobody listens there any more. */
function refused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}
