// Cancels and clients that vanish, in every state that a conversation can be in: the right server stops, and nothing runs on.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RawClient, type TestGateway, testGateway } from '../support/relay.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';
import { cancelRequest, errorField, run, said, typesOf, WireSession } from '../support/wire.ts';

let catalog: TestDatabase;
let a: TestDatabase;
let b: TestDatabase;
let gateway: TestGateway;
/** Takes connections and says nothing. */
let deaf: Server;
const knocking = new Set<Socket>();

beforeAll(async () => {
  [catalog, a, b] = await Promise.all([testDatabase(18), testDatabase(14), testDatabase(18)]);
  for (const db of [a, b]) await db.exec('create table public.t (id int, what text)');
  deaf = createServer((socket) => {
    knocking.add(socket);
    socket.on('error', () => {});
    socket.resume();
    socket.on('close', () => knocking.delete(socket));
  });
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  const silent: TestDatabase = { ...a, port: (deaf.address() as AddressInfo).port };
  gateway = await testGateway({ catalog, peers: { a, b, silent } });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const socket of knocking) socket.destroy();
  await new Promise((resolve) => deaf.close(resolve));
  await Promise.all([catalog, a, b].map((db) => db?.[Symbol.asyncDispose]()));
});

/** Sessions on that server, but for the test's own. */
async function sessions(db: TestDatabase): Promise<readonly { readonly state: string; readonly query: string }[]> {
  return db.exec(`select state, query from pg_stat_activity where datname = current_database()
    and backend_type = 'client backend' and query not like 'set search_path = public%' and pid <> pg_backend_pid()`);
}
const runs = (db: TestDatabase, mark: string) =>
  until(`${mark} runs`, async () =>
    (await sessions(db)).some(({ state, query }) => state === 'active' && query.includes(mark)),
  );
async function cancel(session: WireSession): Promise<void> {
  using raw = new RawClient(gateway.port);
  raw.send(cancelRequest(session));
  await until('the request is taken', () => raw.closed);
}

const slow = (peer: string, mark: string) =>
  `select pg_sleep(60), '${mark}' from (select 1 union all select 2 from ${peer}.public.t) x limit 1`;

interface State {
  readonly name: string;
  /** The server that is busy. */
  readonly at: () => TestDatabase;
  readonly say: readonly Buffer[];
  readonly mark: string;
  /** PostgreSQL looks for a cancel when more data comes. */
  readonly more?: Buffer;
  /** What is said when the server has stopped, up to ReadyForQuery. */
  readonly last?: readonly Buffer[];
}

const feed = said.copyData(`1\t${'x'.repeat(1000)}\n`);
const states: readonly State[] = [
  { name: 'a simple query', at: () => a, say: [said.query(slow('a', 'simple'))], mark: 'simple' },
  { name: 'an extended query', at: () => a, say: [...run(slow('a', 'extended')), said.sync], mark: 'extended' },
  {
    name: 'an extended query without its Sync',
    at: () => b,
    say: [...run(slow('b', 'flushed')), said.flush],
    mark: 'flushed',
    last: [said.sync],
  },
  {
    name: 'the second server of a pipeline',
    at: () => b,
    say: [...run('insert into a.public.t values (1)'), ...run(slow('b', 'second')), ...run('select 1'), said.sync],
    mark: 'second',
  },
  {
    name: 'a COPY from the client',
    at: () => a,
    say: [said.query('copy a.public.t from stdin'), feed],
    mark: 'copy',
    more: feed,
  },
  {
    name: 'a COPY from the client in an extended query',
    at: () => a,
    say: [...run('copy a.public.t from stdin'), said.flush, feed],
    mark: 'copy',
    more: feed,
    last: [said.sync],
  },
  {
    name: 'a COPY to the client',
    at: () => b,
    say: [said.query("copy (select pg_sleep(60), 'out' from b.public.t right join (select 1) x on true) to stdout")],
    mark: 'out',
  },
  { name: 'a raw statement', at: () => a, say: [said.query("execute a $$select pg_sleep(60), 'raw'$$")], mark: 'raw' },
];

describe('a cancel', () => {
  test.each(states)('stops $name, and the session goes on', async ({ at, say, mark, more, last = [] }) => {
    using session = await WireSession.open(gateway.config());
    session.send(...say);
    await runs(at(), mark);
    const began = Date.now();
    await cancel(session);
    // The request is passed on; how long that takes nobody tells.
    const feeding = setInterval(() => more !== undefined && session.send(more), 50);
    try {
      await session.until('the error', (heard) => heard.some(({ type }) => type === 'E'));
    } finally {
      clearInterval(feeding);
    }
    expect(Date.now() - began).toBeLessThan(2_000);
    session.send(...last);
    expect(errorField(await session.ready(0), 'C')).toBe('57014');
    expect((await sessions(at())).filter(({ state }) => state === 'active')).toEqual([]);
    expect(typesOf(await session.ask([said.query('select 1')]))).toBe('TDCZ');
    expect(await a.exec('select * from public.t')).toEqual([]);
  });

  test('stops the wait for a server that does not answer, and the session goes on', async () => {
    using session = await WireSession.open(gateway.config());
    session.send(said.query('select * from silent.public.t'));
    await until('it knocks', () => knocking.size > 0);
    await cancel(session);
    expect(errorField(await session.ready(0), 'C')).toBe('57014');
    await until('it has hung up', () => knocking.size === 0);
    expect(typesOf(await session.ask([said.query('select 1')]))).toBe('TDCZ');
  });

  test('stops a statement of ours as well', async () => {
    using session = await WireSession.open(gateway.config());
    session.send(said.query('pause mirror m'));
    await until('it runs', () => gateway.said.some(({ kind }) => kind === 'pause_mirror'));
    await cancel(session);
    const heard = await session.ready(0);
    expect(errorField(heard, 'C')).toBe('57014');
    expect(errorField(heard, 'M')).toBe('canceling statement due to user request');
  });

  test('with a wrong key stops nothing', async () => {
    using session = await WireSession.open(gateway.config('a'));
    session.send(said.query("select pg_sleep(0.3), 'wrong key'"));
    using raw = new RawClient(gateway.port);
    raw.send(cancelRequest({ pid: session.pid, secret: session.secret ^ 1 }));
    await until('the request is taken', () => raw.closed);
    expect(typesOf(await session.ready(0))).toBe('TDCZ');
  });

  test('when nothing is being done does nothing', async () => {
    using session = await WireSession.open(gateway.config('a'));
    await session.ask([said.query("begin; insert into public.t values (1, 'kept')")]);
    await cancel(session);
    expect(typesOf(await session.ask([said.query('select 1')]))).toBe('TDCZ');
    expect(typesOf(await session.ask([said.query('rollback')]))).toBe('CZ');
  });
});

describe('a client that vanishes', () => {
  test.each(states)('in $name leaves nothing behind within a second', async ({ at, say, mark }) => {
    using session = await WireSession.open(gateway.config());
    session.send(...say);
    await runs(at(), mark);
    session.vanish();
    const gone = async () => (await sessions(a)).length + (await sessions(b)).length === 0;
    // A second is the promise; a busy machine is given another two to look.
    await until('nothing is left', gone, 3_000);
    expect(await a.exec('select * from public.t')).toEqual([]);
  });

  test.each([
    ['in a transaction', [said.query("begin; insert into a.public.t values (1, 'half')")]],
    ['in a failed transaction', [said.query('begin; select nothing from a.public.t')]],
    ['in a pipeline', [...run("insert into a.public.t values (1, 'half')"), said.flush]],
    ['between statements', [said.query('select count(*) from a.public.t')]],
    [
      'in a portal',
      [said.query('begin'), said.parse('table a.public.t'), said.bind(), said.execute('', 1), said.flush],
    ],
  ] as const)('%s leaves nothing behind', async (_, say) => {
    using session = await WireSession.open(gateway.config());
    session.send(...say);
    await until('it is there', async () => (await sessions(a)).some(({ query }) => query.includes('public.t')));
    session.vanish();
    await until('it is gone', async () => (await sessions(a)).length === 0, 3_000);
    expect(await a.exec('select * from public.t')).toEqual([]);
  });

  test('while a server does not answer is not waited for', async () => {
    using session = await WireSession.open(gateway.config());
    session.send(said.query('select * from silent.public.t'));
    await until('it knocks', () => knocking.size > 0);
    session.vanish();
    await until('it has hung up', () => knocking.size === 0, 3_000);
  });
});
