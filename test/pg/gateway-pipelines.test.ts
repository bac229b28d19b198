// Pipelines and texts that go to several servers: what is undone, who hears what, which state the client is told.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type TestGateway, testGateway } from '../support/relay.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';
import { errorField, run, said, typesOf, WireSession } from '../support/wire.ts';

let catalog: TestDatabase;
let a: TestDatabase;
let b: TestDatabase;
let gateway: TestGateway;

beforeAll(async () => {
  [catalog, a, b] = await Promise.all([testDatabase(18), testDatabase(14), testDatabase(18)]);
  for (const db of [a, b]) {
    await db.exec(`create table public.t (id int primary key, what text);
      create table public.late (id int references public.t deferrable initially deferred)`);
  }
  gateway = await testGateway({ catalog, peers: { a, b } });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await Promise.all([catalog, a, b].map((db) => db?.[Symbol.asyncDispose]()));
});
beforeEach(async () => {
  for (const db of [a, b]) await db.exec('truncate public.t, public.late');
});

const open = (database?: string) => WireSession.open(gateway.config(database));
const ids = async (db: TestDatabase) =>
  (await db.exec<{ id: number }>('select id from public.t order by id')).map(({ id }) => id);
const insert = (peer: string, id: number) => run(`insert into ${peer}.public.t values (${id})`);

describe('a pipeline', () => {
  test('goes from server to server and back before its Sync, each answer in its place', async () => {
    using session = await open();
    const heard = await session.ask([
      ...run("select 'catalog'"),
      ...insert('a', 1),
      ...insert('b', 2),
      ...run('show mirrors'),
      ...run('select id from a.public.t'),
      said.flush,
      ...run('select id from b.public.t'),
      ...run("select 'catalog again'"),
      said.sync,
    ]);
    expect(typesOf(heard)).toBe('12TDC12nC12nC12TDDDC12TDC12TDC12TDCZ');
    expect(await Promise.all([ids(a), ids(b)])).toEqual([[1], [2]]);
  });

  test.each([
    ['at the last server', [...insert('a', 1), ...insert('b', 2), ...run('select nothing from b.public.t')]],
    ['at the first server', [...insert('b', 2), ...insert('a', 1), ...run('select nothing from b.public.t')]],
    ['at the catalog', [...insert('a', 1), ...insert('b', 2), ...run('select nothing')]],
    ['in a statement of ours', [...insert('a', 1), ...insert('b', 2), ...run('show mirror')]],
    ['in a name that nobody has', [...insert('a', 1), ...insert('b', 2), said.bind({ statement: 'nobody' })]],
  ])('that fails %s is undone everywhere and skipped to its Sync', async (_, messages) => {
    using session = await open();
    const heard = await session.ask([...messages, ...insert('a', 8), ...insert('b', 9), said.sync]);
    expect(typesOf(heard).replace(/^.*E/, 'E')).toBe('EZ');
    expect(heard.at(-1)?.text).toBe('I');
    expect(await Promise.all([ids(a), ids(b)])).toEqual([[], []]);
    expect(typesOf(await session.ask([...insert('a', 5), said.sync]))).toBe('12nCZ');
  });

  test('whose SET, SAVEPOINT or COMMIT stands in the middle is still one transaction up to there', async () => {
    using session = await open('a');
    const set = [...insert('a', 1), ...run("set work_mem = '3MB'"), ...run('select 1/0 from public.t'), said.sync];
    expect(typesOf(await session.ask(set))).toMatch(/^12nC12nC12?T?EZ$/);
    expect(await ids(a)).toEqual([]);
    const commit = [...insert('a', 1), ...run('commit'), ...insert('a', 1), said.sync];
    expect(typesOf(await session.ask(commit))).toBe('12nC12nNC12nEZ');
    expect(await ids(a)).toEqual([1]);
  });

  test('may begin and end transactions at several servers', async () => {
    using session = await open();
    const heard = await session.ask([
      ...run('begin'),
      ...insert('a', 1),
      ...run('commit'),
      ...run('begin'),
      ...insert('b', 2),
      ...run('rollback'),
      ...insert('b', 3),
      said.sync,
    ]);
    expect(heard.filter(({ type }) => type === 'C').map(({ text }) => text.replace('\0', ''))).toEqual([
      'BEGIN',
      'INSERT 0 1',
      'COMMIT',
      'BEGIN',
      'INSERT 0 1',
      'ROLLBACK',
      'INSERT 0 1',
    ]);
    expect(await Promise.all([ids(a), ids(b)])).toEqual([[1], [3]]);
  });

  test('that names a second server inside a transaction fails it', async () => {
    using session = await open();
    const heard = await session.ask([...run('begin'), ...insert('a', 1), ...insert('b', 2), said.sync]);
    expect([errorField(heard, 'C'), heard.at(-1)?.text]).toEqual(['0A000', 'E']);
    expect(errorField(heard, 'H')).toBe('Finish it with COMMIT or ROLLBACK before you go to another.');
    expect(errorField(await session.ask([...insert('a', 3), said.sync]), 'C')).toBe('25P02');
    expect(typesOf(await session.ask([said.query('rollback')]))).toBe('CZ');
    expect(await Promise.all([ids(a), ids(b)])).toEqual([[], []]);
  });
});

describe('one text', () => {
  test('is not run behind an error, and what the same server did before it is undone', async () => {
    using session = await open();
    const text = `insert into a.public.t values (1); insert into b.public.t values (1);
      insert into b.public.t values (2); insert into b.public.t values (2); insert into a.public.t values (3)`;
    expect(errorField(await session.ask([said.query(text)]), 'C')).toBe('23505');
    expect(await Promise.all([ids(a), ids(b)])).toEqual([[1], []]);
  });

  test('may hold BEGIN and COMMIT, and a BEGIN at its end takes in what stands before it', async () => {
    using session = await open('a');
    const heard = await session.ask([said.query('insert into public.t values (1); begin')]);
    expect(heard.at(-1)?.text).toBe('T');
    await session.ask([said.query('insert into public.t values (2); rollback; insert into public.t values (3)')]);
    expect(await ids(a)).toEqual([3]);
  });
});

describe('what a session has said', () => {
  const at = (peer: string, setting: string) => said.query(`execute ${peer} $$select current_setting('${setting}')$$`);
  const value = (heard: readonly { readonly type: string; readonly text: string }[]) =>
    heard.find(({ type }) => type === 'D')?.text.slice(6);

  test.each([
    ["set work_mem = '5MB'", 'work_mem', '5MB'],
    ["select set_config('work_mem', '6MB', false)", 'work_mem', '6MB'],
    ["select pg_catalog.set_config('search_path', '', false)", 'search_path', ''],
    ['set session characteristics as transaction read only', 'default_transaction_read_only', 'on'],
    ["set time zone 'Asia/Tokyo'", 'timezone', 'Asia/Tokyo'],
    ['set search_path to b, "A"', 'search_path', 'b, "A"'],
    ["set application_name = 'mine'", 'application_name', 'mine'],
    ['set role pg_monitor', 'role', 'pg_monitor'],
    ["set session authorization 'pg_monitor'", 'session_authorization', ''],
  ])('%s holds on every server, visited before or not, in both protocols', async (text, setting, expected) => {
    for (const messages of [[said.query(text)], [...run(text), said.sync]]) {
      using session = await open();
      await session.ask([at('a', 'port')]);
      expect(errorField(await session.ask(messages), 'M')).toBeUndefined();
      const read = setting === 'session_authorization' ? 'role' : setting;
      for (const peer of ['a', 'b']) {
        const heard = await session.ask([at(peer, read)]);
        expect([peer, value(heard)]).toEqual([peer, setting === 'session_authorization' ? 'none' : expected]);
      }
    }
  });

  test('RESET ALL keeps the role, and both kinds of characteristics hold side by side', async () => {
    using session = await open();
    await session.ask([said.query('set role pg_monitor')]);
    await session.ask([said.query('set session characteristics as transaction read only')]);
    await session.ask([said.query('set session characteristics as transaction isolation level serializable')]);
    expect(value(await session.ask([at('a', 'default_transaction_read_only')]))).toBe('on');
    await session.ask([said.query('reset all')]);
    expect(value(await session.ask([at('b', 'role')]))).toBe('pg_monitor');
    expect(value(await session.ask([at('a', 'default_transaction_isolation')]))).toBe('read committed');
  });

  test('a setting that was rolled back holds nowhere', async () => {
    using session = await open();
    for (const text of ['begin', "set work_mem = '5MB'", "insert into a.public.t values (1, 'x')", 'rollback'])
      await session.ask([said.query(text)]);
    expect(value(await session.ask([at('b', 'work_mem')]))).toBe('4MB');
    await session.ask([said.query("set work_mem = '5MB'; select 1/0")]);
    expect(value(await session.ask([at('a', 'work_mem')]))).toBe('4MB');
  });

  test('a wrong setting in a transaction is refused at once where the session is at home on a peer', async () => {
    using session = await open('a');
    await session.ask([said.query('begin')]);
    const heard = await session.ask([said.query("set work_mem = 'much'")]);
    expect([errorField(heard, 'C'), heard.at(-1)?.text]).toEqual(['22023', 'E']);
  });

  test('savepoints before the first server is named may be released and rolled back to', async () => {
    using session = await open();
    for (const text of ['begin', 'savepoint x', "set local work_mem = '5MB'", 'rollback to x', 'release x'])
      expect(typesOf(await session.ask([said.query(text)]))).toBe('CZ');
    await session.ask([said.query("insert into b.public.t values (1, current_setting('work_mem'))")]);
    expect(typesOf(await session.ask([said.query('commit')]))).toBe('CZ');
    expect(await b.exec('select what from public.t')).toEqual([{ what: '4MB' }]);
  });

  test('what was prepared or declared on a peer through the extended query is found there', async () => {
    using session = await open();
    await session.ask([...run('prepare far as select count(*) from a.public.t'), said.sync]);
    await session.ask([
      ...run('declare held cursor with hold for select i from a.public.t, generate_series(1, 3) i'),
      said.sync,
    ]);
    for (const text of ['execute far', 'fetch 1 from held', 'explain execute far', 'close held', 'deallocate far'])
      expect([text, errorField(await session.ask([said.query(text)]), 'M')]).toEqual([text, undefined]);
  });

  test('a statement about nobody runs in whatever transaction there is, wherever a driver has prepared it', async () => {
    using session = await open();
    await session.ask([said.parse('select $1::int + 1', 'kept'), said.sync]);
    const kept = [said.bind({ statement: 'kept', values: ['4'] }), said.describe('P'), said.execute(), said.sync];
    await session.ask([said.query('begin; insert into a.public.t values (1)')]);
    expect(typesOf(await session.ask(kept))).toBe('2TDCZ');
    expect(typesOf(await session.ask([said.query('commit')]))).toBe('CZ');
    expect(typesOf(await session.ask(kept))).toBe('2TDCZ');
    expect(await ids(a)).toEqual([1]);
  });

  test('a transaction that was prepared on a peer is committed there', async () => {
    using session = await open();
    for (const text of ['begin', 'insert into a.public.t values (1)', "prepare transaction 'two'"])
      expect(errorField(await session.ask([said.query(text)]), 'M')).toBeUndefined();
    expect(typesOf(await session.ask([said.query("commit prepared 'two'")]))).toBe('CZ');
    expect(await ids(a)).toEqual([1]);
  });

  test('LISTEN holds at the server that said it, also at one where the session is not at home', async () => {
    using session = await open();
    await session.ask([said.query('execute a $$listen door$$')]);
    await a.exec("notify door, 'knock'");
    await session.until('the knock', (heard) => heard.some(({ type, text }) => type === 'A' && text.includes('knock')));
    await session.ask([said.query('execute a $$unlisten door$$')]);
    const before = session.heard.length;
    await a.exec("notify door, 'unheard'");
    await session.ask([at('a', 'port')]);
    expect(typesOf(session.heard.slice(before))).toBe('TDCZ');
  });

  test('a name that a WITH query has made is no relation of the catalog, one that is dropped is', async () => {
    using session = await open();
    await session.ask([said.query('begin; insert into a.public.t values (1)')]);
    const text = 'with x as (select 1 as one) select * from x';
    expect(typesOf(await session.ask([said.query(text)]))).toBe('TDCZ');
    expect(errorField(await session.ask([said.query('drop table public.t')]), 'C')).toBe('0A000');
  });

  test('PREPARE peer and EXECUTE peer are a prepared statement, EXECUTE of another peer is not', async () => {
    using session = await open();
    await session.ask([said.query('prepare a(text) as select $1 || $$ prepared$$')]);
    expect(value(await session.ask([said.query("execute a('x')")]))).toBe('x prepared');
    expect(value(await session.ask([said.query("execute b('select 7')")]))).toBe('7');
    expect(value(await session.ask([said.query('execute a $$select 8$$')]))).toBe('8');
  });

  test('functions are called at home and in the transaction, and refused in a failed one', async () => {
    using session = await open('a');
    const abs = said.call(1397, [Buffer.from([255, 255, 255, 254])]);
    expect(typesOf(await session.ask([abs]))).toBe('VZ');
    await session.ask([said.query('begin')]);
    expect(typesOf(await session.ask([abs]))).toBe('VZ');
    await session.ask([said.query('select nothing')]);
    const heard = await session.ask([abs]);
    expect([errorField(heard, 'C'), heard.at(-1)?.text]).toEqual(['25P02', 'E']);
  });
});

describe('a server that is lost before the Sync of a pipeline', () => {
  const backends = (db: TestDatabase) =>
    db.exec<{ readonly pid: number; readonly state: string }>(`select pid, state from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`);
  const lose = async (db: TestDatabase) => {
    const pids = (await backends(db)).map(({ pid }) => pid);
    for (const pid of pids) await db.exec(`select pg_terminate_backend(${pid})`);
    await until('they are gone, and their sockets', () => pids.every(isOver));
  };
  const isOver = (pid: number) => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  };
  const completed = (count: number) => (heard: readonly { readonly type: string }[]) =>
    heard.filter(({ type }) => type === 'C').length === count;
  /** What the session hears of its Sync, and that it goes on behind it. */
  const ended = async (session: WireSession) => {
    const heard = await session.ask([said.sync]);
    expect(typesOf(await session.ask([said.query('select 1')]))).toBe('TDCZ');
    return heard;
  };

  test('is told of at the Sync: what was done there is gone, and undone elsewhere', async () => {
    using session = await open();
    session.send(...insert('a', 1), ...insert('b', 2), said.flush);
    await session.until('both are complete', completed(2));
    await lose(a);
    const heard = await ended(session);
    expect([typesOf(heard), errorField(heard, 'C')]).toEqual(['EZ', '57P01']);
    expect(await Promise.all([ids(a), ids(b)])).toEqual([[], []]);
  });

  test.each(['show mirrors', 'select 1', 'select 1 from b.public.t', 'begin'])(
    'is told of in its turn, before: %s',
    async (text) => {
      using session = await open();
      session.send(...run('execute a $$select pg_sleep(30)$$'), ...run(text), said.sync);
      await until('it runs', async () => (await backends(a)).some(({ state }) => state === 'active'));
      await lose(a);
      const heard = await session.ready(0);
      expect([typesOf(heard), errorField(heard, 'C')]).toEqual(['12TEZ', '57P01']);
      expect(typesOf(await session.ask([said.query('select 1')]))).toBe('TDCZ');
    },
  );

  test('leaves all behind its error skipped', async () => {
    using session = await open();
    session.send(...run('execute a $$select 1/0$$'), said.flush);
    await session.until('it fails', (heard) => heard.some(({ type }) => type === 'E'));
    await lose(a);
    session.send(...insert('b', 3));
    expect(typesOf(await ended(session))).toBe('Z');
    expect(await ids(b)).toEqual([]);
  });
});

describe('a simple query behind a pipeline that no Sync has ended', () => {
  test.each(['select 1', 'show mirrors', 'select id from b.public.t'])('ends it at every server: %s', async (text) => {
    using session = await open();
    const heard = await session.ask([...insert('a', 1), ...insert('b', 2), said.query(text)]);
    expect(typesOf(heard)).toMatch(/^12nC12nCTD+CZ$/);
    expect(heard.at(-1)?.text).toBe('I');
    expect(await Promise.all([ids(a), ids(b)])).toEqual([[1], [2]]);
  });

  test.each(['select 1', 'select 1 from a.public.t'])('is told if that fails: %s', async (text) => {
    using session = await open();
    const late = run('insert into a.public.late values (7)');
    const heard = await session.ask([...late, ...insert('b', 2), said.query(text)]);
    expect([typesOf(heard), errorField(heard, 'C')]).toEqual(['12nC12nCEZ', '23503']);
    expect(typesOf(await session.ask([said.query('select 1')]))).toBe('TDCZ');
  });
});
