// The gateway's door: logins, servers that vanish, clients that never read, limits, the end.
import { connect as connectSocket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { message } from '../../src/wire/backend.ts';
import { code } from '../../src/wire/frames.ts';
import { hasPsql, psql, RawClient, refusal, requestOf, type TestGateway, testGateway } from '../support/relay.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

let catalog: TestDatabase;
let peer: TestDatabase;
let gateway: TestGateway;

beforeAll(async () => {
  [catalog, peer] = await Promise.all([testDatabase(18), testDatabase(14)]);
  await peer.exec('create table public.t (id int, what text)');
  gateway = await testGateway({ catalog, peers: { peer } });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await Promise.all([catalog, peer].map((db) => db?.[Symbol.asyncDispose]()));
});

/** Sessions of ours on the peer whose last statement was like that. */
async function onPeer(query: string): Promise<readonly { readonly state: string }[]> {
  return peer.exec(
    `select state from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like '${query}'`,
  );
}

describe('logins', () => {
  test('a wrong password is refused by name, with any user name, and the right one lets any name in', async () => {
    for (const user of ['postgres', 'nobody']) {
      const error = await refusal({ ...gateway.config(), user, password: 'wrong' });
      expect(error).toMatchObject({ code: '28P01', message: `password authentication failed for user "${user}"` });
      expect(error.severity).toBe('FATAL');
    }
    await (await gateway.client()).end();
  });

  test.skipIf(!hasPsql)('psql is told of a wrong password, and asks for GSS and TLS without harm', async () => {
    const wrong = await psql(gateway, ['select 1'], { env: { PGPASSWORD: 'wrong' } });
    expect(wrong.code).toBe(2);
    expect(wrong.err).toContain('password authentication failed for user "anyone"');
    const right = await psql(gateway, ['select 1'], { env: { PGGSSENCMODE: 'prefer', PGSSLMODE: 'prefer' } });
    expect(right.err).toBe('');
    const tls = await psql(gateway, ['select 1'], { env: { PGSSLMODE: 'require' } });
    expect(tls.err).toContain('server does not support SSL');
  });

  test('a peer that cannot be reached refuses the session that asked for it, and only that', async () => {
    const lonely: TestDatabase = { ...peer, port: 1, [Symbol.asyncDispose]: async () => {} };
    await using other = await testGateway({ catalog, peers: { away: lonely } });
    expect(await refusal(other.config('away'))).toMatchObject({ code: '08001' });
    const client = await other.client();
    await expect(client.query('select * from away.public.t')).rejects.toMatchObject({ code: '08001' });
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('the server says what drivers look for', async () => {
    using raw = new RawClient(gateway.port);
    raw.send(requestOf(80877104));
    await until('N', () => raw.received.toString() === 'N');
    const client = await gateway.client('peer');
    const reported = new Map<string, string>();
    const second = new pg.Client(gateway.config('peer'));
    const { connection } = second as unknown as {
      connection: { on(event: string, heard: (m: { parameterName: string; parameterValue: string }) => void): void };
    };
    connection.on('parameterStatus', (m) => reported.set(m.parameterName, m.parameterValue));
    await second.connect();
    expect(reported.get('server_version')).toMatch(/^14\./);
    expect(reported.get('client_encoding')).toBe('UTF8');
    for (const name of [
      'DateStyle',
      'TimeZone',
      'integer_datetimes',
      'standard_conforming_strings',
      'in_hot_standby',
      'application_name',
    ]) {
      expect([name, reported.has(name)]).toEqual([name, true]);
    }
    await second.end();
    await client.end();
  });
});

describe('limits', () => {
  test('a client that says nothing is shown the door, and so is one that talks nonsense', async () => {
    await using strict = await testGateway({ catalog, limits: { loginTimeoutMs: 200 } });
    using silent = new RawClient(strict.port);
    using big = new RawClient(strict.port);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(1_000_000);
    big.send(head);
    using web = new RawClient(strict.port);
    web.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await until('all are gone', () => silent.closed && big.closed && web.closed);
    expect(big.received.toString()).toContain('C08P01');
  });

  test('a crowd is told that it is one', async () => {
    await using small = await testGateway({ catalog, limits: { connections: 2 } });
    await small.client();
    await small.client();
    expect(await refusal(small.config())).toMatchObject({ code: '53300' });
  });

  test('a message of 1 GB that is only announced is waited for without memory, and one of 2 GB is refused', async () => {
    const client = await gateway.client();
    const stream = (client as unknown as { connection: { stream: { write(bytes: Buffer): void } } }).connection.stream;
    const before = process.memoryUsage().rss;
    stream.write(Buffer.from([code('Q'), 0x3f, 0xff, 0xff, 0xff, 115]));
    const other = await gateway.client();
    expect((await other.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
    const broken = new Promise<pg.DatabaseError>((resolve) =>
      other.on('error', (error) => resolve(error as pg.DatabaseError)),
    );
    (other as unknown as { connection: { stream: { write(bytes: Buffer): void } } }).connection.stream.write(
      Buffer.from([code('Q'), 0x7f, 0xff, 0xff, 0xff]),
    );
    expect(await broken).toMatchObject({ code: '08P01' });
    stream.write(Buffer.alloc(0));
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  });

  test('a hundred idle clients cost the catalog nothing', async () => {
    await using idle = await testGateway({ catalog });
    const first = await idle.client();
    const clients = await Promise.all(Array.from({ length: 100 }, () => idle.client()));
    const rows = await catalog.exec<{ n: number }>(
      'select count(*)::int as n from pg_stat_activity where datname = current_database()',
    );
    expect(rows[0]?.n).toBeLessThan(15);
    const answers = await Promise.all(clients.slice(0, 20).map((client) => client.query('select 1 as one')));
    expect(answers.every(({ rows: [row] }) => row.one === 1)).toBe(true);
    await first.end();
  });
});

describe('byte by byte', () => {
  test('a conversation goes the same wherever its bytes are cut', async () => {
    // pg speaks through a wire that lets through one byte at a time.
    const socket = connectSocket({ host: '127.0.0.1', port: gateway.port });
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.setNoDelay(true);
    const write = socket.write.bind(socket) as (bytes: Buffer) => boolean;
    socket.write = ((bytes: Buffer | string) => {
      for (const byte of Buffer.from(bytes as Buffer)) write(Buffer.of(byte));
      return true;
    }) as typeof socket.write;
    socket.connect = (() => {
      process.nextTick(() => socket.emit('connect'));
      return socket;
    }) as typeof socket.connect;
    const client = new pg.Client({ ...gateway.config(), stream: () => socket });
    await client.connect();
    expect((await client.query("select 'é' || $1::text as t", ['ö'])).rows).toEqual([{ t: 'éö' }]);
    expect((await client.query('show mirrors; select count(*)::int as n from peer.public.t')) as unknown).toHaveLength(
      2,
    );
    await client.end();
  });

  test('messages pushed together, or ended by a goodbye, are all answered in order', async () => {
    const client = await gateway.client();
    const { connection } = client as unknown as { connection: { stream: NodeJS.ReadWriteStream } };
    const heard: Buffer[] = [];
    connection.stream.removeAllListeners('data');
    connection.stream.on('data', (chunk: Buffer) => heard.push(chunk));
    const closed = new Promise((resolve) => connection.stream.once('close', resolve));
    const query = (text: string) => message(code('Q'), Buffer.from(`${text}\0`));
    connection.stream.write(
      Buffer.concat([
        query("select 'one'"),
        query('show mirrors'),
        query("select 'three' from peer.public.t"),
        message(code('X')),
      ]),
    );
    await closed;
    const all = Buffer.concat(heard).toString('latin1');
    const places = ['one', 'SELECT 1', 'second', 'SHOW', 'SELECT 0'].map((word) => all.indexOf(word));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places.every((place) => place >= 0)).toBe(true);
  });

  const parse = (text: string) => message(code('P'), Buffer.from(`\0${text}\0\0\0`));
  const run = (text: string) => [parse(text), message(code('B'), Buffer.alloc(8)), message(code('E'), Buffer.alloc(5))];
  const sync = message(code('S'));

  /** Sends messages and gives the types of the answers, up to so many ReadyForQuery. */
  async function speak(messages: readonly Buffer[], ready: number, more: readonly Buffer[] = []): Promise<string> {
    const client = await gateway.client();
    const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadWriteStream } }).connection;
    let heard = Buffer.alloc(0);
    stream.removeAllListeners('data');
    stream.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
    });
    const types = () => {
      let seen = '';
      for (let at = 0; at + 5 <= heard.length; at += heard.readUInt32BE(at + 1) + 1)
        seen += String.fromCharCode(heard[at]!);
      return seen;
    };
    stream.write(Buffer.concat(messages));
    if (more.length > 0) {
      await until('COPY begins', () => types().includes('G'));
      stream.write(Buffer.concat(more));
    }
    await until('the answers', () => types().replace(/[^Z]/g, '').length >= ready);
    stream.end();
    return types();
  }

  test('an extended query that a statement of ours fails is undone and skipped to its Sync', async () => {
    const answers = await speak(
      [
        ...run("insert into peer.public.t values (1, 'undone')"),
        ...run('show mirror'),
        ...run("insert into peer.public.t values (2, 'skipped')"),
        sync,
        ...run("insert into peer.public.t values (3, 'kept')"),
        ...run('show mirrors'),
        ...run("select 'catalog'"),
        sync,
      ],
      2,
    );
    expect(answers).toBe('12CEZ12C12DDDC12DCZ');
    expect(await peer.exec('select id from public.t')).toEqual([{ id: 3 }]);
    await peer.exec('truncate public.t');
  });

  test('an extended query that a server fails is undone and skipped everywhere', async () => {
    const said = gateway.said.length;
    const answers = await speak(
      [
        ...run("insert into peer.public.t values (1, 'undone')"),
        ...run('select nothing from somewhere'),
        ...run('create peer made_up from postgres'),
        ...run("insert into peer.public.t values (2, 'skipped')"),
        sync,
        ...run('show mirrors'),
        sync,
      ],
      2,
    );
    expect(answers).toBe('12CEZ12DDDCZ');
    expect(gateway.said.slice(said).map(({ kind }) => kind)).toEqual(['show_mirrors']);
    expect(await peer.exec('select id from public.t')).toEqual([]);
  });

  test('COPY through the extended query takes data behind a Sync that came too early', async () => {
    const data = [
      message(code('d'), Buffer.from('1\tone\n2\tt')),
      message(code('d'), Buffer.from('wo\n')),
      message(code('c')),
    ];
    const answers = await speak([...run('copy peer.public.t from stdin'), sync], 1, [...data, sync]);
    expect(answers).toBe('12GCZ');
    const impatient = [...run('copy peer.public.t from stdin'), ...data, sync, ...run('show mirrors'), sync];
    expect(await speak(impatient, 2)).toBe('12GCZ12DDDCZ');
    const simple = [
      message(code('Q'), Buffer.from('copy peer.public.t from stdin\0')),
      ...data,
      ...run('show mirrors'),
      sync,
    ];
    expect(await speak(simple, 2)).toBe('GCZ12DDDCZ');
    expect(await peer.exec('select count(*)::int as n from public.t')).toEqual([{ n: 6 }]);
    await peer.exec('truncate public.t');
  });

  test('a message that is no data makes a COPY of an extended query fail, wherever the message belongs', async () => {
    const copy = [...run('copy peer.public.t from stdin'), sync];
    const late = async (then: readonly Buffer[]) => speak(copy, 1, [...then, sync]);
    for (const then of [
      run('show mirrors'),
      run('select 1'),
      run('select 1 from peer.public.t'),
      [message(code('Q'), Buffer.from('select 1\0'))],
    ]) {
      expect(await late(then)).toBe('12GEZ');
    }
    // Said before anyone knows that COPY waits for data.
    expect(await speak([...run('copy peer.public.t from stdin'), ...run('show mirrors'), sync], 1)).toBe('12GEZ');
    expect(await speak([...run('copy peer.public.t from stdin'), ...run('select 1'), sync], 1)).toBe('12GEZ');
    expect(await peer.exec('select * from public.t')).toEqual([]);
  });

  test('the unnamed portal is gone after a simple query, and asking for it does no server any harm', async () => {
    const query = (text: string) => message(code('Q'), Buffer.from(`${text}\0`));
    const again = message(code('E'), Buffer.alloc(5));
    const failed = [
      query('begin'),
      query('select 1 from peer.public.t'),
      query('rollback to nowhere'),
      query('select 1'),
    ];
    expect(await speak([...failed, again, sync], 5)).toBe('CZTCZEZEZEZ');
    const bound = [query('begin'), ...run('select 1 from peer.public.t'), sync, query('rollback to nowhere')];
    expect(await speak([...bound, again, sync], 4)).toBe('CZ12CZEZEZ');
    expect(await peer.exec('select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('COPY data that is too late or not wanted is taken as nothing', async () => {
    const data = [
      message(code('d'), Buffer.from('x\ty\n')),
      message(code('d'), Buffer.alloc(200_000, 120)),
      message(code('c')),
    ];
    const text = Buffer.from('copy peer.public.t from stdin\0');
    const answers = await speak([message(code('Q'), text), ...data, ...data, ...run('show mirrors'), sync], 2);
    expect(answers).toBe('GEZ12DDDCZ');
    expect(await speak([...data, ...run("select 'x' from peer.public.t"), ...data, sync], 1)).toBe('12CZ');
  });
});

describe('an upstream that vanishes', () => {
  const kill = (like: string) =>
    peer.exec(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like '${like}'`,
    );

  test('a visited peer that ends our connection is an error, and the session goes on', async () => {
    const client = await gateway.client();
    await client.query('begin');
    await client.query("select 'visitor' from peer.public.t");
    await kill('%visitor%from public.t');
    await until('the loss is noticed', async () => (await onPeer('%visitor%')).length === 0);
    const lost = await client.query('select 1 from peer.public.t').catch((error: pg.DatabaseError) => error.code);
    expect(['57P01', '25P02']).toContain(lost);
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('rollback');
    expect((await client.query('select count(*)::int as n from peer.public.t')).rows).toEqual([{ n: 0 }]);
    const running = client.query(
      "select pg_sleep(30), 'busy' from peer.public.t union all select pg_sleep(30), 'busy'",
    );
    await until('it runs', async () => (await onPeer('%busy%')).some(({ state }) => state === 'active'));
    void kill('%busy%').catch(() => {});
    await expect(running).rejects.toMatchObject({ code: '57P01', severity: 'ERROR' });
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    const extended = client.query({
      text: 'execute peer $$select pg_sleep(30), 3 as busy$$',
      queryMode: 'extended',
    } as pg.QueryConfig);
    await until('it runs', async () => (await onPeer('%busy%')).some(({ state }) => state === 'active'));
    void kill('%busy%').catch(() => {});
    await expect(extended).rejects.toMatchObject({ code: '57P01', severity: 'ERROR' });
    // Nothing behind its Sync is skipped.
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test('a session at home on a peer ends with it, and says why', async () => {
    const client = await gateway.client('peer');
    const ended = new Promise<pg.DatabaseError>((resolve) =>
      client.on('error', (error) => resolve(error as pg.DatabaseError)),
    );
    await client.query("select 'at home'");
    await kill("select ''at home''");
    expect(await ended).toMatchObject({ code: '57P01', severity: 'FATAL' });
  });
});

describe('much data', () => {
  test('a client that does not read stops the peer that feeds it, and memory stays small', async () => {
    const client = await gateway.client('peer');
    const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadStream } }).connection;
    stream.pause();
    const before = process.memoryUsage().rss;
    const result = client.query({
      text: "select repeat('x', 10000) as x, 'firehose' as f from generate_series(1, 20000)",
      rowMode: 'array',
    });
    await until('the peer waits for us', async () => {
      const rows = await peer.exec<{ wait: string | null }>(
        `select wait_event as wait from pg_stat_activity where datname = current_database() and query like '%firehose%' and pid <> pg_backend_pid()`,
      );
      return rows[0]?.wait === 'ClientWrite';
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(60_000_000);
    stream.resume();
    expect((await result).rowCount).toBe(20_000);
    await client.end();
  });

  test('a statement of 50 MB arrives whole, and waits with its peer', async () => {
    const client = await gateway.client('peer');
    const blocker = await peer.connect();
    await blocker.client.query('begin; lock table public.t');
    const { stream } = (client as unknown as { connection: { stream: import('node:net').Socket } }).connection;
    const copying = client.query('insert into public.t select 1, $1 where length($1) > 0', ['y'.repeat(50_000_000)]);
    await until('the insert waits for the lock', async () => {
      const rows = await peer.exec<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows[0]?.n === 1;
    });
    expect(stream.destroyed).toBe(false);
    await blocker.client.query('rollback');
    expect((await copying).rowCount).toBe(1);
    expect(await peer.exec('select length(what) as n from public.t')).toEqual([{ n: 50_000_000 }]);
    await peer.exec('truncate public.t');
    await client.end();
  });
});

describe('the end', () => {
  test('idle clients are told, busy ones finish, and the port is free', async () => {
    const closing = await testGateway({ catalog, peers: { peer } });
    const idle = await closing.client();
    const told = new Promise<pg.DatabaseError>((resolve) =>
      idle.on('error', (error) => resolve(error as pg.DatabaseError)),
    );
    const busy = await closing.client('peer');
    const running = busy.query("select pg_sleep(0.5), 'last words'");
    await until('it runs', async () => (await onPeer('%last words%')).some(({ state }) => state === 'active'));
    const stopped = closing.stop();
    expect(await told).toMatchObject({ code: '57P01', message: 'terminating connection due to administrator command' });
    expect((await running).rowCount).toBe(1);
    await stopped;
    await expect(new pg.Client(closing.config()).connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await until('the peer is left alone', async () => (await onPeer('%last words%')).length === 0);
  });

  test('a client that does not come to an end is broken off', async () => {
    const closing = await testGateway({ catalog, peers: { peer }, limits: { drainMs: 200 } });
    const busy = await closing.client('peer');
    const running = busy.query("select pg_sleep(30), 'stubborn'").catch((error: Error) => error);
    await until('it runs', async () => (await onPeer('%stubborn%')).some(({ state }) => state === 'active'));
    await closing.stop();
    expect(await running).toBeInstanceOf(Error);
    await until('it is gone', async () => (await onPeer('%stubborn%')).length === 0);
  });
});
