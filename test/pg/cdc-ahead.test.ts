// Large transactions that are applied before their commit, where nothing else comes: what is done too early is undone, and nobody sees it.
import { expect, test } from 'vitest';
import { sql, trusted } from '../../src/pg/sql.ts';
import { type Following, following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { eager, expectStreamed } from '../support/streamed-source.ts';
import { until } from '../support/wait.ts';

const tables = `create table t (id int primary key, v text, big text);
  create table small (id int primary key, v text)`;
const rows = (from: number, to: number, what: string) =>
  `insert into t select g, '${what}', repeat(md5(g::text), 8) from generate_series(${from}, ${to}) g;`;

async function world(more: Partial<Parameters<typeof following>[0]> = {}) {
  const source = await eager(18);
  const target = await testDatabase(18);
  // In pieces of a thousand changes, so that little is much.
  const options = { max_batch_size: 500 };
  const f = await following({ source, target, tables, mirrored: ['t', 'small'], options, ...more });
  const writer = await source.connect();
  return {
    ...{ f, source, target },
    say: (text: string) => writer.run(trusted(text)),
    async [Symbol.asyncDispose]() {
      await target[Symbol.asyncDispose]();
      await source[Symbol.asyncDispose]();
    },
  };
}

// Somebody holds the lock of a writer on the target's table.
async function isWritten({ target }: Following): Promise<boolean> {
  const held = await target.exec(`select from pg_catalog.pg_locks
    where relation = 't'::regclass and mode = 'RowExclusiveLock' and granted and database = (select oid from pg_database
      where datname = current_database())`);
  return held.length > 0;
}

const early = (f: Following) => until('rows of an open transaction on the target', () => isWritten(f));
const undone = (f: Following) => until('that they are undone', async () => !(await isWritten(f)));

async function expectSame(f: Following): Promise<void> {
  for (const table of ['t', 'small']) {
    const text = `select count(*)::int as rows, sum(hashtextextended(t::text, 0)) as sum from ${table} t`;
    expect(await f.target.exec(text), table).toEqual(await f.source.exec(text));
  }
  await expectStreamed(f, 1);
}

const inserted = (f: Following) =>
  f.batches.reduce((sum, batch) => sum + (batch.tables.get('public.t')?.inserts ?? 0), 0);

test('a large transaction is on the target before its commit, unseen, and whole with it', async () => {
  await using w = await world();
  const { f, say, target, source } = w;
  await source.exec("insert into small values (1, 'one'), (2, 'two')");
  const running = f.start();
  await f.settle();
  await say(`begin; ${rows(1, 6000, 'a')}`);
  await early(f);
  expect(await target.exec('select id from t')).toEqual([]);
  await say(`${rows(6001, 9000, 'b')} update t set v = 'c' where id % 7 = 0; delete from t where id % 11 = 0;
    update small set id = 3 - id where id = 1 and false; delete from small where id = 2; commit`);
  await f.settle();
  await running.stop();
  await expectSame(f);
  expect(inserted(f)).toBe(9000);
  expect(f.notes).toEqual([]);
});

test('one that waits for so long that it would hold up the target is undone, and done again', async () => {
  await using w = await world();
  const { f, say } = w;
  const running = f.start();
  await say(`begin; ${rows(1, 6000, 'a')}`);
  await early(f);
  await undone(f);
  await say(`${rows(6001, 9000, 'b')} commit`);
  await f.settle();
  await running.stop();
  await expectSame(f);
  expect(inserted(f)).toBe(9000);
});

test('what others commit meanwhile does not wait for it', async () => {
  await using w = await world();
  const { f, say, source, target } = w;
  const running = f.start();
  await say(`begin; ${rows(1, 6000, 'a')}`);
  await early(f);
  await source.exec("insert into small values (1, 'meanwhile')");
  await f.settle();
  expect(await isWritten(f)).toBe(false);
  expect(await target.exec('select v from small')).toEqual([{ v: 'meanwhile' }]);
  // The next one may be, as soon as it is alone.
  await say(`delete from small where id = 1; ${rows(6001, 9000, 'b')} commit`);
  await say(`begin; ${rows(10_001, 14_000, 'next')}`);
  await early(f);
  await say('commit');
  await f.settle();
  await running.stop();
  await expectSame(f);
  expect(inserted(f)).toBe(13_000);
});

test('one that is rolled back, or a savepoint of it, leaves nothing', async () => {
  await using w = await world();
  const { f, say } = w;
  const running = f.start();
  await say(`begin; ${rows(1, 6000, 'gone')}`);
  await early(f);
  await say('rollback');
  await undone(f);
  await say(`begin; ${rows(1, 4000, 'kept')}`);
  await early(f);
  await say(`savepoint a; ${rows(4001, 6000, 'gone')} savepoint b; ${rows(6001, 8000, 'gone')} rollback to a;
    ${rows(4001, 5000, 'kept')} commit`);
  await f.settle();
  await running.stop();
  await expectSame(f);
  expect(inserted(f)).toBe(5000);
});

test.each([
  ['computes values anew under their type', 'alter table t alter v type text using upper(v)'],
  ['adds a column', "alter table t add n int not null default 7; update t set v = 'd' where id < 100"],
  ['empties a table', 'truncate small'],
])('one that %s has that from its commit on', async (_, change) => {
  await using w = await world();
  const { f, say, source } = w;
  await source.exec(`${rows(100_001, 100_500, 'before')} insert into small values (1, 'before')`);
  const running = f.start();
  await f.settle();
  await say(`begin; ${rows(1, 6000, 'a')}`);
  await early(f);
  await say(`${change}; ${rows(6001, 9000, 'b').replace('insert into t', 'insert into t (id, v, big)')} commit`);
  await f.settle();
  await source.exec(`${rows(9001, 9010, 'after').replace('insert into t', 'insert into t (id, v, big)')}`);
  await f.settle();
  await running.stop();
  await expectSame(f);
});

test('what the target refuses of one that is never committed is no conflict, and of one that is, it is', async () => {
  await using w = await world();
  const { f, say, target } = w;
  const running = f.start();
  await f.settle();
  await target.exec("insert into t values (5000, 'not ours', '')");
  await say(`begin; ${rows(1, 6000, 'a')}`);
  await until('the target refused it', async () => {
    const [said] = await target.exec<{ n: number }>(
      `select xact_rollback::int as n from pg_stat_database where datname = current_database()`,
    );
    return (said?.n ?? 0) > 0;
  });
  await say('rollback');
  await f.settle();
  expect(f.conflicts).toEqual([]);
  await say(`begin; ${rows(1, 6000, 'a')} commit`);
  await expect(running.done).rejects.toThrow(/\(id\) = \(5000\)/);
  expect(f.conflicts).toHaveLength(1);
  const again = f.start();
  await target.exec('delete from t where id = 5000');
  await f.settle();
  await again.stop();
  await expectSame(f);
});

test('a reader of the target who holds it up holds up nobody else', async () => {
  await using w = await world();
  const { f, say, source, target } = w;
  const running = f.start();
  await f.settle();
  const holder = await target.connect();
  await holder.run(sql`begin; lock table t in share mode`);
  await say(`begin; ${rows(1, 6000, 'a')}`);
  await until('rows of an open transaction wait', async () => {
    const waits = await target.exec("select from pg_locks where relation = 't'::regclass and not granted");
    return waits.length > 0;
  });
  await source.exec("insert into small values (1, 'meanwhile')");
  await f.settle();
  await holder.run(sql`rollback`);
  await say('commit');
  await f.settle();
  await running.stop();
  await expectSame(f);
});
