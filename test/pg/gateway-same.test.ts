// The promise in one test: whatever is said in whatever order, the answers are those of the server itself.
import pg from 'pg';
import { expect, test } from 'vitest';
import { testGateway } from '../support/relay.ts';
import { alterDatabase, testDatabase } from '../support/servers.ts';

const statements = [
  'begin',
  'begin read only',
  'commit',
  'rollback',
  'commit and chain',
  'rollback and chain',
  'savepoint a',
  'rollback to a',
  'release a',
  "prepare transaction 'x'",
  "rollback prepared 'x'",
  "insert into s.t values (1, 'a')",
  "insert into s.t values (1, 'a'); insert into s.t values (2, 'b')",
  "begin; insert into s.t values (3, 'c')",
  "insert into s.t values (9, 'z'); rollback; select 1",
  'commit; begin',
  'begin; select 1; commit; select 2',
  'delete from s.t',
  'select count(*) from s.t',
  'select nope from s.t',
  'syntax error here',
  'select 1; ; select 2',
  '',
  '; ;',
  "set work_mem = '2MB'",
  "set local work_mem = '1MB'",
  "set work_mem = '7MB'; select 1/0",
  'show work_mem',
  'reset work_mem',
  'declare c cursor for select * from s.t',
  'fetch 1 from c',
  'close c',
  'prepare p as select 7',
  'execute p',
  'deallocate p',
  'deallocate all',
  'discard all',
];

/** Everything that a client sees of an answer. */
async function ask(client: pg.Client, text: string, extended: boolean): Promise<unknown> {
  const status = () => client.getTransactionStatus();
  try {
    const config = (extended ? { text, queryMode: 'extended' } : { text }) as pg.QueryConfig;
    const answer: unknown = await client.query(config);
    const results = (Array.isArray(answer) ? answer : [answer]) as pg.QueryResult[];
    return { results: results.map(({ command, rowCount, rows }) => ({ command, rowCount, rows })), status: status() };
  } catch (error) {
    const { code, message, severity, position } = error as pg.DatabaseError;
    // The error comes before ReadyForQuery; the next answer comes behind it.
    await client.query(';');
    return { code, message, severity, position, status: status() };
  }
}

/** Numbers that look random and are the same every time. */
function* numbers(seed: number): Generator<number> {
  for (let x = seed; ; ) {
    x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield x / 2_147_483_648;
  }
}

test.each([1, 2, 3])('a session on a peer answers like the peer itself (%i)', async (seed) => {
  await using db = await testDatabase(18);
  await using gateway = await testGateway({ catalog: db, peers: { db } });
  // A row of a transaction that was prepared is locked until somebody ends that.
  await alterDatabase(db, 'lock_timeout', '50ms');
  await db.exec('create schema s; create table s.t (id int primary key, what text)');
  const direct = new pg.Client({
    host: db.host,
    port: db.port,
    user: db.user,
    password: db.password,
    database: db.database,
  });
  await direct.connect();
  const random = numbers(seed);
  const draw = () => random.next().value as number;
  const said = Array.from({ length: 300 }, () => ({
    text: statements[Math.floor(draw() * statements.length)]!,
    extended: draw() < 0.4,
  }));
  const play = async (client: pg.Client) => {
    const heard: unknown[] = [];
    for (const { text, extended } of said) {
      heard.push({ text, extended, answer: await ask(client, text, extended) });
    }
    await client.query('rollback');
    await client.query("rollback prepared 'x'").catch(() => {});
    await client.query('delete from s.t');
    return heard;
  };
  try {
    const expected = await play(direct);
    expect(await play(await gateway.client('db'))).toEqual(expected);
  } finally {
    await direct.end();
  }
});
