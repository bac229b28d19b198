// Whatever pieces and pauses a client's messages come in: they are answered as by the server itself, straight on or not.
import type { Socket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { message } from '../../src/wire/backend.ts';
import { code } from '../../src/wire/frames.ts';
import { RawClient, type TestGateway, testGateway } from '../support/relay.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

let catalog: TestDatabase;
let peer: TestDatabase;
let gateway: TestGateway;

beforeAll(async () => {
  [catalog, peer] = await Promise.all([testDatabase(18), testDatabase(14)]);
  await peer.exec('create table public.t (id int primary key, what text)');
  gateway = await testGateway({ catalog, peers: { peer } });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await Promise.all([catalog, peer].map((db) => db?.[Symbol.asyncDispose]()));
});

const text = (value: string) => Buffer.from(`${value}\0`);
const query = (sql: string) => message(code('Q'), text(sql));
const parse = (sql: string, name = '') => message(code('P'), text(name), text(sql), Buffer.of(0, 0));
const bind = (statement = '', portal = '') => message(code('B'), text(portal), text(statement), Buffer.alloc(6));
const describePortal = (name = '') => message(code('D'), Buffer.from('P'), text(name));
const describeStatement = (name = '') => message(code('D'), Buffer.from('S'), text(name));
const execute = (portal = '', rows = 0) => message(code('E'), text(portal), Buffer.of(0, 0, 0, rows));
const closeStatement = (name: string) => message(code('C'), Buffer.from('S'), text(name));
const closePortal = (name: string) => message(code('C'), Buffer.from('P'), text(name));
const sync = message(code('S'));
const flush = message(code('H'));
const run = (sql: string) => [parse(sql), bind(), describePortal(), execute()];
const ready = code('Z');

/** A session whose bytes are said and heard as they are. */
class Conversation implements Disposable {
  heard = Buffer.alloc(0);
  closed = false;
  readonly socket: Socket;
  readonly client: pg.Client;

  private constructor(client: pg.Client) {
    this.client = client;
    this.socket = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;
    this.socket.removeAllListeners('data');
    this.socket.on('data', (chunk) => {
      this.heard = Buffer.concat([this.heard, chunk]);
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  static async open(config: pg.ClientConfig): Promise<Conversation> {
    const client = new pg.Client(config);
    client.on('error', () => {});
    await client.connect();
    return new Conversation(client);
  }

  /** What was heard, message by message. */
  get messages(): readonly Buffer[] {
    const messages: Buffer[] = [];
    for (let at = 0; at + 5 <= this.heard.length; ) {
      const end = at + this.heard.readUInt32BE(at + 1) + 1;
      messages.push(this.heard.subarray(at, end));
      at = end;
    }
    return messages;
  }

  get types(): string {
    return this.messages.map((each) => String.fromCharCode(each[0]!)).join('');
  }

  async untilReady(count: number): Promise<void> {
    const seen = () => [...this.types].filter((type) => type.charCodeAt(0) === ready).length;
    await until(`${count} times ready`, () => seen() >= count || this.closed);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const answersOf = (messages: readonly Buffer[]) =>
  messages.filter((each) => each[0] === code('Q') || each[0] === code('S')).length;

/** But for where in its source the server says that an error was raised (some are ours), and its backend's number. */
function gistOf(talk: Conversation): readonly string[] {
  return talk.messages.map((each) => {
    const body = each.toString('latin1', 5).replaceAll(/pg_temp_\d+/g, 'pg_temp');
    const type = String.fromCharCode(each[0]!);
    return type + (type === 'E' ? body.replace(/F[^\0]*\0L\d+\0R[^\0]*\0/, '') : body);
  });
}

/** How the same messages may arrive. */
const manners: Readonly<Record<string, (talk: Conversation, messages: readonly Buffer[]) => Promise<void>>> = {
  'in one packet': async (talk, messages) => {
    talk.socket.write(Buffer.concat(messages));
    await talk.untilReady(answersOf(messages));
  },
  'each by itself': async (talk, messages) => {
    for (const each of messages) {
      talk.socket.write(each);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await talk.untilReady(answersOf(messages));
  },
  'one answer awaited after the other': async (talk, messages) => {
    let expected = 0;
    for (const each of messages) {
      talk.socket.write(each);
      if (answersOf([each]) === 1) await talk.untilReady(++expected);
    }
  },
  'cut in the middle of each': async (talk, messages) => {
    const whole = Buffer.concat(messages);
    let at = 0;
    for (const each of messages) {
      const cut = at + (each.length >> 1);
      talk.socket.write(whole.subarray(at === 0 ? 0 : at - 1, cut));
      await new Promise((resolve) => setImmediate(resolve));
      talk.socket.write(whole.subarray(cut, at + each.length - 1));
      at += each.length;
    }
    talk.socket.write(whole.subarray(at - 1));
    await talk.untilReady(answersOf(messages));
  },
};

const conversations: Readonly<Record<string, readonly Buffer[]>> = {
  'simple queries, many in flight': Array.from({ length: 20 }, (_, i) => query(`select ${i} as n`)),
  'an error between simple queries, with its position': [query('select 1'), query('select nothing'), query('select 2')],
  'extended queries, many in flight': Array.from({ length: 20 }, (_, i) => [...run(`select ${i}`), sync]).flat(),
  'a named statement, used again and again': [
    parse('select 7 as seven', 's'),
    describeStatement('s'),
    sync,
    ...Array.from({ length: 5 }, () => [bind('s'), execute(), sync]).flat(),
    closeStatement('s'),
    sync,
    bind('s'),
    sync,
    query('select 1'),
  ],
  'an error in a pipeline, and what is skipped': [
    ...run('select 1'),
    ...run('select 1/0'),
    ...run('select 2'),
    sync,
    ...run('select 3'),
    sync,
  ],
  'a Parse that fails leaves no statement': [
    parse('select nothing', 'bad'),
    sync,
    bind('bad'),
    execute(),
    sync,
    query('select 1'),
  ],
  'a name that is taken keeps what it has': [
    parse('select 1 as first', 'n'),
    sync,
    parse('select 2 as second', 'n'),
    sync,
    bind('n'),
    describePortal(),
    execute(),
    sync,
  ],
  'portals, some rows at a time': [
    parse('select * from generate_series(1, 5)'),
    bind('', 'p'),
    execute('p', 2),
    execute('p', 2),
    describePortal('p'),
    execute('p', 2),
    closePortal('p'),
    execute('p', 2),
    sync,
    query('select 1'),
  ],
  'a portal ends with its transaction': [
    parse('select 1', 's'),
    bind('s', 'p'),
    sync,
    execute('p'),
    sync,
    query('select 1'),
  ],
  'a transaction by simple queries': [
    query('begin'),
    query("insert into public.t values (1, 'one')"),
    query('savepoint a'),
    query("insert into public.t values (1, 'again')"),
    query('select 1'),
    query('rollback to a'),
    query('select * from public.t'),
    query('rollback'),
    query('select * from public.t'),
  ],
  'a transaction by extended queries': [
    ...run('begin'),
    sync,
    ...run("insert into public.t values (2, 'two')"),
    sync,
    ...run('select * from public.t'),
    sync,
    ...run('select 1/0'),
    sync,
    ...run('select 1'),
    sync,
    ...run('rollback'),
    sync,
  ],
  'settings between': [
    query("set application_name = 'straight'"),
    query('show application_name'),
    ...run("set datestyle = 'German'"),
    sync,
    ...run("select date '2026-01-31'"),
    sync,
    query('reset all'),
    query("select date '2026-01-31'"),
  ],
  'quotes that end elsewhere': [
    query('set standard_conforming_strings = off'),
    query("/* */ select 'a\\'; select 2 --'"),
    query("/* */ select E'a\\'; select 2 --'"),
    query('set standard_conforming_strings = on'),
    query("/* */ select 'a\\'; select 2 --'"),
  ],
  'several statements in one text': [
    query('select 1; select 2'),
    query('/* */ select 1; select 1/0; select 2'),
    query('select 3'),
  ],
  'texts with nothing in them': [query(''), query('-- nothing'), query(';'), ...run(''), sync, query('select 1;')],
  'COPY out and in': [
    query('copy (select 1 union all select 2) to stdout'),
    query('create temporary table c (a int)'),
    Buffer.concat([
      query('copy c from stdin'),
      message(code('d'), Buffer.from('1\n2\n')),
      message(code('d'), Buffer.from('3\n')),
      message(code('c')),
    ]),
    query('select sum(a) from c'),
    ...run('copy (select 3) to stdout'),
    sync,
    query('select 1'),
  ],
  'notices, and a notification to oneself': [
    query("do $$begin raise notice 'simple'; end$$"),
    ...run("do $$begin raise warning 'extended'; end$$"),
    sync,
    query('select 1'),
  ],
  'Flush, and a Sync that ends nothing': [
    ...run('select 1'),
    flush,
    ...run('select 2'),
    sync,
    sync,
    sync,
    query('select 3'),
    sync,
  ],
  'a simple query in an unfinished extended one': [
    parse('select 1', 's'),
    bind('s'),
    query('select 2'),
    bind('s'),
    execute(),
    sync,
  ],
  'an error that comes with Sync': [
    query('create temporary table d (a int unique deferrable initially deferred)'),
    ...run('insert into d values (1), (1)'),
    sync,
    query('select count(*) from d'),
  ],
  'messages that are not right': [
    message(code('B'), text(''), Buffer.from('no end')),
    sync,
    message(code('D'), Buffer.from('Q'), text('')),
    sync,
    message(code('E'), text('')),
    sync,
    query('select 1'),
  ],
  'a prepared statement by SQL': [
    query('prepare p as select 5'),
    query('execute p'),
    bind('p'),
    execute(),
    sync,
    query('deallocate p'),
    query('execute p'),
    query('deallocate all'),
    query('discard all'),
    query('select 1'),
  ],
};

describe('a conversation is answered by a peer through the gateway as directly', () => {
  test.each(Object.keys(conversations))('%s', async (name) => {
    const messages = conversations[name]!;
    using direct = await Conversation.open(directConfig());
    await manners['one answer awaited after the other']!(direct, messages);
    for (const [manner, say] of Object.entries(manners)) {
      using talk = await Conversation.open(gateway.config('peer'));
      await say(talk, messages);
      expect([manner, ...gistOf(talk)]).toEqual([manner, ...gistOf(direct)]);
    }
  });
});

describe('what goes straight on stays in its place', () => {
  const sleep = "select pg_sleep(30), 'straight' as s";
  const onPeer = (like: string) =>
    peer.exec<{ readonly pid: number; readonly state: string }>(
      `select pid, state from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like '${like}'`,
    );
  const untilActive = (like: string) =>
    until('it runs', async () => (await onPeer(like)).find(({ state }) => state === 'active')?.pid);

  test.each(Object.keys(manners))('between statements of ours and of other peers, %s', async (manner) => {
    using talk = await Conversation.open(gateway.config('peer'));
    await manners[manner]!(talk, [
      query("select 'one'"),
      query('show mirrors'),
      query("select 'two'"),
      ...run("select 'three'"),
      ...run('show mirrors'),
      ...run("select 'four'"),
      sync,
      query("execute peer $$select 'five'$$"),
      query("select 'six' from peer.public.t right join (select 1) a on true"),
      ...run("select 'seven'"),
      ...run('show mirror'),
      ...run("select 'skipped'"),
      sync,
      query("select 'eight'; show mirrors; select 'nine'"),
      query("select 'ten'"),
    ]);
    const all = talk.heard.toString('latin1');
    const words = [
      'one',
      'first',
      'two',
      'three',
      'second',
      'four',
      'five',
      'six',
      'seven',
      'C42',
      'eight',
      'nine',
      'ten',
    ];
    let at = 0;
    for (const word of words) {
      const next = all.indexOf(word, at);
      expect([word, next > at]).toEqual([word, true]);
      at = next;
    }
    expect(all).not.toContain('skipped');
    expect(talk.types.endsWith('TDCZ')).toBe(true);
  });

  test('a session of the catalog goes to a peer and back within one extended query', async () => {
    using talk = await Conversation.open(gateway.config());
    await manners['in one packet']!(talk, [
      query("select 'warm'"),
      ...run("select 'catalog'"),
      ...run("insert into peer.public.t values (71, 'undone')"),
      ...run('select 1/0'),
      sync,
      query('select count(*) from peer.public.t'),
      query("select 'home'"),
    ]);
    expect(talk.types).toBe('TDCZ12TDC12nC1EZTDCZTDCZ');
    expect(await peer.exec('select id from public.t where id = 71')).toEqual([]);
  });

  test('a cancel stops it, and what was sent behind it is answered', async () => {
    using talk = await Conversation.open(gateway.config('peer'));
    await manners['in one packet']!(talk, [query('select 1')]);
    talk.socket.write(Buffer.concat([query(sleep), query("select 'behind'")]));
    await untilActive('%straight%');
    const { processID, secretKey } = talk.client as unknown as { processID: number; secretKey: number };
    const body = Buffer.alloc(8);
    body.writeInt32BE(processID, 0);
    body.writeInt32BE(secretKey, 4);
    using canceller = new RawClient(gateway.port);
    canceller.send(Buffer.concat([Buffer.of(0, 0, 0, 16, 4, 210, 22, 46), body]));
    await talk.untilReady(3);
    expect(talk.types).toBe('TDCZTEZTDCZ');
    expect(talk.heard.toString('latin1')).toContain('C57014');
  });

  test('a goodbye behind it waits for its answer', async () => {
    using talk = await Conversation.open(gateway.config('peer'));
    await manners['in one packet']!(talk, [query('select 1')]);
    talk.socket.write(Buffer.concat([query("select pg_sleep(0.2), 'last words'"), message(code('X'))]));
    await until('it is over', () => talk.closed);
    expect(talk.types).toBe('TDCZTDCZ');
  });

  test('a client that vanishes takes it along', async () => {
    using talk = await Conversation.open(gateway.config('peer'));
    await manners['in one packet']!(talk, [query('select 1')]);
    talk.socket.write(query("select pg_sleep(30), 'gone with it'"));
    await untilActive('%gone with it%');
    talk.socket.destroy();
    await until('it is gone', async () => (await onPeer('%gone with it%')).length === 0, 5_000);
  });

  test('a peer that is lost in the middle ends the session, and says why', async () => {
    using talk = await Conversation.open(gateway.config('peer'));
    await manners['in one packet']!(talk, [query('select 1')]);
    talk.socket.write(Buffer.concat([query("select pg_sleep(30), 'lost'"), query("select 'never'")]));
    const pid = await untilActive("%''lost''%");
    await peer.exec(`select pg_terminate_backend(${pid})`);
    await until('it is over', () => talk.closed);
    expect(talk.types).toMatch(/^TDCZT?E$/);
    expect(talk.heard.toString('latin1')).toMatch(/SFATAL.*C57P01/s);
  });

  test('notifications arrive in the middle and at rest, and notices of others wait for their turn', async () => {
    using talk = await Conversation.open(gateway.config('peer'));
    await manners['one answer awaited after the other']!(talk, [query('listen straight'), query('select 1')]);
    await peer.exec("notify straight, 'at rest'");
    await until('it is heard', () => talk.types.endsWith('A'));
    await manners['one answer awaited after the other']!(talk, [query('begin')]);
    await peer.exec("notify straight, 'in a transaction'");
    talk.socket.write(Buffer.concat([query("select 'inside'"), query('commit'), query("select 'outside'")]));
    await talk.untilReady(6);
    await until('it is heard', () => talk.heard.includes('in a transaction'));
    expect(talk.types.replaceAll('A', '')).toBe('CZTDCZCZTDCZCZTDCZ');
  });

  test('a gateway that stops lets it finish', async () => {
    const other = await testGateway({ catalog, peers: { peer } });
    using talk = await Conversation.open(other.config('peer'));
    await manners['in one packet']!(talk, [query('select 1')]);
    talk.socket.write(query("select pg_sleep(0.5), 'finished'"));
    await untilActive('%finished%');
    await other.stop();
    await until('it is over', () => talk.closed);
    expect(talk.types).toBe('TDCZTDCZE');
    expect(talk.heard.toString('latin1')).toMatch(/finished.*C57P01/s);
  });

  test('a message longer than one read arrives whole, be it a row, a notice or an error', async () => {
    using direct = await Conversation.open(directConfig());
    using talk = await Conversation.open(gateway.config('peer'));
    const messages = [
      query("select repeat('row', 100000), repeat('é', 200000)"),
      query("do $$begin raise notice '%', repeat('notice', 100000); end$$"),
      query("do $$begin raise exception '%', repeat('error', 100000); end$$"),
      query(
        `select ${Array.from({ length: 1500 }, (_, i) => `${i} as "a rather long name of column ${i}"`).join(', ')}`,
      ),
      query("select repeat('x', 1000) from generate_series(1, 2000)"),
    ];
    for (const each of [direct, talk]) await manners['in one packet']!(each, messages);
    expect(gistOf(talk)).toEqual(gistOf(direct));
  });

  test('a client that reads slowly gets every byte, and what it asks meanwhile waits', async () => {
    using talk = await Conversation.open(gateway.config('peer'));
    await manners['in one packet']!(talk, [query('select 1')]);
    const before = process.memoryUsage().rss;
    talk.socket.pause();
    const rows = 60_000;
    talk.socket.write(
      Buffer.concat([
        query(`select i, md5(i::text) || repeat('y', 970) from generate_series(1, ${rows}) i`),
        ...run("select 'behind'"),
        sync,
      ]),
    );
    await until('the peer waits for us', async () => {
      const [row] = await peer.exec<{ readonly n: number }>(
        "select count(*)::int as n from pg_stat_activity where wait_event = 'ClientWrite' and query like '%md5(i::text)%' and pid <> pg_backend_pid()",
      );
      return row?.n === 1;
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000);
    let bytes = 0;
    let inOrder = true;
    let last = 0;
    talk.socket.removeAllListeners('data');
    let kept = Buffer.alloc(0);
    const done = new Promise<void>((resolve) => {
      talk.socket.on('data', (chunk) => {
        bytes += chunk.length;
        kept = Buffer.concat([kept, chunk]);
        let at = 0;
        while (at + 5 <= kept.length && at + 1 + kept.readUInt32BE(at + 1) <= kept.length) {
          if (kept[at] === code('D') && kept.readUInt16BE(at + 5) === 2) {
            const length = kept.readUInt32BE(at + 7);
            const number = Number(kept.toString('latin1', at + 11, at + 11 + length));
            inOrder &&= number === last + 1;
            last = number;
          }
          if (kept[at] === ready && last === rows && kept.subarray(0, at).includes('behind')) resolve();
          at += 1 + kept.readUInt32BE(at + 1);
        }
        kept = kept.subarray(at);
        talk.socket.pause();
        setImmediate(() => talk.socket.resume());
      });
    });
    talk.socket.resume();
    await done;
    expect([inOrder, last]).toEqual([true, rows]);
    expect(bytes).toBeGreaterThan(rows * 1000);
  });
});

function directConfig(): pg.ClientConfig {
  const { host, port, user, password, database } = peer;
  return { host, port, user, password, database };
}
