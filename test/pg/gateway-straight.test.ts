// What goes straight on to a session's home keeps its place: between other statements, before a cancel, a goodbye, a loss or a stop.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { message } from '../../src/wire/backend.ts';
import { code } from '../../src/wire/frames.ts';
import { Conversation, directConfig, gistOf, manners, query, ready, run, sync } from '../support/exchange.ts';
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
    using direct = await Conversation.open(directConfig(peer));
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
