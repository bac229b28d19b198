// Transactions that the source sends before their commit: kept here, applied when they are committed, forgotten when they are not.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Spill } from '../../src/base/spill.ts';
import type { Connection } from '../../src/pg/client.ts';
import { sql, trusted } from '../../src/pg/sql.ts';
import { everything, quiet, quieted } from '../support/ddl-full.ts';
import { type Following, following } from '../support/following.ts';
import { runProgram } from '../support/gateway.ts';
import { testDatabase } from '../support/servers.ts';
import { eager, expectStreamed } from '../support/streamed-source.ts';

const rows = (from: number, to: number, what: string) =>
  `insert into t select g, '${what}', repeat(md5(g::text), 8) from generate_series(${from}, ${to}) g;`;
const tables = `create table t (id int primary key, v text, big text);
  create table small (id int primary key, v text)`;

async function expectSame(f: Following, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const text = `select count(*)::int as rows, sum(hashtextextended(t::text, 0)) as sum from ${name} t`;
    expect(await f.target.exec(text), name).toEqual(await f.source.exec(text));
  }
}

const say = (db: Connection, text: string) => db.run(trusted(text));

// Each story on one version, unless there is time.
const both = process.env.SLUICE_LONG_TESTS === '1';
const [old, recent] = both
  ? ([
      [14, 18],
      [18, 14],
    ] as const)
  : ([[14], [18]] as const);

test.each([14, 18] as const)(
  'from version %i large transactions that overlap arrive whole, in the order of their commits',
  async (major) => {
    await using source = await eager(major);
    await using target = await testDatabase(18);
    const f = await following({ source, target, tables, mirrored: ['t', 'small'] });
    await source.exec("insert into small values (1, 'first')");
    const running = f.start();
    const [one, two, three] = [await source.connect(), await source.connect(), await source.connect()];
    await say(one, `begin; ${rows(1, 3000, 'one')}`);
    await say(two, `begin; ${rows(10_001, 13_000, 'two')}`);
    await say(one, rows(3001, 6000, 'one'));
    await say(three, `begin; ${rows(30_001, 33_000, 'three')}`);
    await source.exec("update small set v = 'between' where id = 1");
    await f.settle();
    await expectStreamed(f, 2);
    expect(await target.exec('select id from t')).toEqual([]);
    await expectSame(f, 'small');
    // What began later is committed first, and the key goes from one to the other.
    await say(two, `delete from small where id = 1; ${rows(13_001, 15_000, 'two')} commit`);
    await say(three, 'rollback');
    await say(one, `insert into small values (1, 'one'); ${rows(6001, 7000, 'one')} commit`);
    await f.settle();
    await running.stop();
    await expectSame(f, 't', 'small');
    expect(await target.exec('select count(*)::int as n from t')).toEqual([{ n: 12_000 }]);
    const told = f.batches.reduce((sum, batch) => sum + (batch.tables.get('public.t')?.inserts ?? 0), 0);
    expect(told).toBe(12_000);
    const ends = f.batches.map(({ endLsn }) => endLsn);
    expect(ends).toEqual(ends.toSorted((a, b) => Number(a - b)));
  },
);

test.each(old)(
  'from version %i what was rolled back to a savepoint is left out, and all else of the transaction is not',
  async (major) => {
    await using source = await eager(major);
    await using target = await testDatabase(18);
    const f = await following({ source, target, tables, mirrored: ['t', 'small'] });
    const before = `${rows(1, 50, 'before')} alter table t alter big set storage external; update t set big = repeat(id::text, 4000)`;
    await source.exec(before);
    const running = f.start();
    await f.settle();
    await source.exec(`begin;
      savepoint gone; ${rows(1001, 3000, 'gone')} savepoint inside; ${rows(3001, 5000, 'gone')} release inside; rollback to gone;
      ${rows(1001, 2000, 'kept')}
      savepoint kept; ${rows(5001, 7000, 'released')} release kept;
      savepoint outer_; ${rows(7001, 8000, 'kept')} savepoint nested; ${rows(8001, 9000, 'gone')} rollback to nested;
      ${rows(8001, 8500, 'again')} release outer_;
      update t set v = 'unchanged toast' where id <= 20;
      update t set id = id + 100000 where id between 21 and 30;
      delete from t where id between 31 and 40;
      truncate small; insert into small values (7, 'after truncate');
      ${rows(20_001, 21_000, 'last')} commit`);
    await f.settle();
    await running.stop();
    await expectStreamed(f, 1);
    await expectSame(f, 't', 'small');
    expect(await target.exec("select count(*)::int as n from t where v = 'gone'")).toEqual([{ n: 0 }]);
    expect(f.notes).toEqual([]);
  },
);

test.each(recent)(
  'from version %i columns that come, change and go between its rows follow in their place',
  async (major) => {
    await using source = await eager(major);
    await using target = await testDatabase(18);
    const f = await following({ source, target, tables, mirrored: ['t', 'small'] });
    const running = f.start();
    await source.exec(rows(1, 10, 'before'));
    await source.exec(`begin; ${rows(11, 2000, 'as it was')}
      alter table t add column n int not null default 7; update t set n = id where id < 5;
      insert into t select g, 'new', 'x', g from generate_series(2001, 4000) g;
      savepoint undone; alter table t add column never text; insert into t select g, 'x', 'x', 1, 'never' from generate_series(4001, 6000) g;
      rollback to undone;
      alter table t drop column big; alter table t rename column v to w;
      insert into t select g, 'newer', g from generate_series(6001, 8000) g; commit`);
    await source.exec("insert into t values (9000, 'after', 3)");
    await f.settle();
    await running.stop();
    await expectStreamed(f, 1);
    await expectSame(f, '(select id, w, n from t)');
  },
);

test.each(recent)(
  'from version %i a stream that is cut while a transaction comes brings all of it again, once',
  async (major) => {
    await using source = await eager(major);
    await using target = await testDatabase(18);
    const f = await following({ source, target, tables, mirrored: ['t', 'small'] });
    const writer = await source.connect();
    const first = f.start();
    await say(writer, `begin; ${rows(1, 5000, 'first half')}`);
    await expectStreamed(f, 1);
    await source.exec("insert into small values (1, 'beside it')");
    await f.settle();
    await source.connection.run(sql`select pg_terminate_backend(active_pid) from pg_replication_slots
      where slot_name = ${f.work.slot?.name ?? ''}`);
    await expect(first.done).rejects.toThrow();
    const second = f.start();
    await say(writer, `update small set v = 'once' where id = 1; ${rows(5001, 9000, 'second half')}`);
    await f.settle();
    await second.stop();
    const third = f.start();
    await say(writer, 'commit');
    await f.settle();
    await third.stop();
    await expectSame(f, 't', 'small');
    expect(f.batches.reduce((sum, batch) => sum + (batch.tables.get('public.t')?.inserts ?? 0), 0)).toBe(9000);
  },
);

test.each(old)(
  'from version %i a prepared transaction arrives when it is committed, and not when it is rolled back',
  async (major) => {
    await using source = await eager(major);
    await using target = await testDatabase(18);
    const f = await following({ source, target, tables, mirrored: ['t', 'small'] });
    const running = f.start();
    const [yes, no] = [`yes_${f.work.name}`, `no_${f.work.name}`];
    await source.exec(`begin; ${rows(1, 3000, 'prepared')} prepare transaction '${yes}'`);
    await source.exec(`begin; ${rows(3001, 6000, 'prepared')} prepare transaction '${no}'`);
    await f.settle();
    expect(await target.exec('select id from t')).toEqual([]);
    await source.exec(`rollback prepared '${no}'`);
    await source.exec(`commit prepared '${yes}'`);
    await f.settle();
    await running.stop();
    await expectStreamed(f, 1);
    await expectSame(f, 't');
  },
);

test('where every transaction describes its tables anew, the source is not asked about them for each that waits', async () => {
  await using source = await eager(18, 'all');
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables, mirrored: ['t', 'small'] });
  const commits = async () => {
    await source.exec('select pg_stat_force_next_flush()');
    const text = 'select xact_commit::int as n from pg_stat_database where datname = current_database()';
    return (await source.exec<{ n: number }>(text))[0]?.n ?? 0;
  };
  const many = 400;
  await source.exec(`do $$ begin for i in 1..${many} loop
    insert into t values (i, 'one', ''); insert into small values (i, 'one'); commit; end loop; end $$`);
  const before = await commits();
  const running = f.start();
  await f.settle();
  await running.stop();
  await expectSame(f, 't', 'small');
  expect((await commits()) - before).toBeLessThan(many);
});

test('where everything comes before its commit, changes of the schema and rows keep their order', async () => {
  await using source = await eager(18, 'all');
  await using target = await testDatabase(18);
  const f = await following({
    ...{ source, target, tables, mirrored: ['t', 'small'] },
    options: { schema_changes: 'full' },
    scope: { kind: 'all' },
  });
  await quieted(f);
  const running = f.start();
  await source.exec(`begin; ${rows(1, 100, 'a')} alter table t add column n int;
    insert into t select g, 'b', 'x', g from generate_series(101, 200) g; create index t_n on t (n); commit`);
  await source.exec('alter table t rename column v to w; insert into t values (300, $$c$$, $$x$$, 1)');
  await quiet(f, running);
  expect(await everything(target)).toEqual(await everything(source));
  expect(f.notes.filter((note) => note.includes('wait on the source'))).toEqual([]);
  // Nobody can say whether a message was in what was rolled back: the source is to keep it.
  await source.exec(`begin; alter table t add column kept text; savepoint undone; alter table t drop column n; rollback to undone;
    insert into t values (400, 'd', 'x', 2, 'kept'); commit`);
  await source.exec('drop table small');
  await quiet(f, running);
  await running.stop();
  expect(await everything(target)).toEqual(await everything(source));
  expect(f.notes.filter((note) => note.includes('a savepoint was rolled back'))).toHaveLength(1);
});

describe('where there is no room to keep it', () => {
  test('in a folder that cannot be, the source keeps large transactions, and the journal says so', async () => {
    await using source = await eager(18);
    await using target = await testDatabase(18);
    const f = await following({
      source,
      target,
      tables,
      mirrored: ['t', 'small'],
      spill: new Spill('/dev/null/spill'),
    });
    const running = f.start();
    const writer = await source.connect();
    await source.exec("insert into small values (1, 'before')");
    await say(writer, `begin; ${rows(1, 5000, 'large')}`);
    await source.exec("update small set v = 'beside it'");
    await f.settle();
    await expectSame(f, 'small');
    await say(writer, 'commit');
    await f.settle();
    await running.stop();
    await expectSame(f, 't', 'small');
    expect(f.notes.filter((note) => note.startsWith('large transactions wait on the source'))).toHaveLength(1);
  });

  test('on a disk that is nearly full, half of what is free stays free and nothing is lost', async ({ skip }) => {
    const disk = mkdtempSync(join(tmpdir(), 'sluice-disk-'));
    const mounted = await runProgram('mount', { args: ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk] });
    try {
      if (mounted.code !== 0) return skip('a file system cannot be mounted here');
      await using source = await eager(14);
      await using target = await testDatabase(18);
      const f = await following({ source, target, tables, mirrored: ['t', 'small'], spill: new Spill(disk) });
      const running = f.start();
      await source.exec(rows(1, 3000, 'fits'));
      await f.settle();
      await expectStreamed(f, 1);
      expect(f.notes).toEqual([]);
      await source.exec(`begin; ${rows(10_001, 40_000, 'too large')} commit`);
      await source.exec("insert into small values (1, 'after')");
      await f.settle();
      await running.stop();
      await expectSame(f, 't', 'small');
      expect(f.notes).toEqual([expect.stringContaining(`too little room in ${disk}`)]);
    } finally {
      if (mounted.code === 0) await runProgram('umount', { args: [disk] });
      rmSync(disk, { recursive: true, force: true });
    }
  });
});
