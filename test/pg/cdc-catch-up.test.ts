// A backlog that is read in chunks, over a copy of the slot: every change once, in its order, and the slot only where the target is.
import { expect, test } from 'vitest';
import { sql, trusted } from '../../src/pg/sql.ts';
import { type Following, following } from '../support/following.ts';
import { databaseOn, ownServer, testDatabase } from '../support/servers.ts';
import { beEager } from '../support/streamed-source.ts';
import { until, untilLate } from '../support/wait.ts';

const tables = `create table t (id int primary key, v text);
  create table log (n int, v text); alter table log replica identity full;
  create table late (id int primary key, v text)`;
const mirrored = ['t', 'log', 'late'];
const always = { catchUpBytes: 1 } as const;
const inChunks = expect.stringContaining('is read in chunks');
const left = (why: string) => expect.stringMatching(`is left to the stream: ${why}`);

// Small transactions, with updates, deletes and rows that are the same as others.
const small = (from: number, to: number) => `do $$ begin
  for i in ${from}..${to} loop
    insert into t values (i, 'new'); update t set v = 'changed ' || i where id = i - 1; delete from t where id = i - 7;
    insert into log values (i % 3, 'same'); commit;
  end loop; end $$`;

async function expectSame(f: Following, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const rows = await f.rows(name);
    expect(rows.target, name).toEqual(rows.source);
  }
}

async function slotsOf(f: Following): Promise<readonly { name: string; temporary: boolean; confirmed: string }[]> {
  return await f.source.connection.query(sql`
    select slot_name::text as name, temporary, confirmed_flush_lsn::text as confirmed
    from pg_replication_slots where database = pg_catalog.current_database() order by temporary, slot_name`);
}

async function atEnd(f: Following): Promise<void> {
  await f.settle();
  await expectSame(f, 't', 'log', 'late');
}

test.each([
  [14, 18, false],
  [18, 14, true],
] as const)(
  'from version %i to %i a backlog arrives whole, in binary form and as text, and what comes then by the stream',
  async (from, to, text) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    // Another type on the target asks for values as text.
    const f = await following({ source, target, tables, mirrored, ...always });
    if (text) await target.exec('alter table t alter id type bigint');
    await source.exec(small(1, 3000));
    const long = `insert into late select g, repeat(md5(g::text), 40000) from generate_series(1, 3) g`;
    await source.exec(`${long}; update late set id = id + 10; truncate log; insert into log values (1, null)`);
    const running = f.start();
    await untilLate('the backlog is there', async () => (await f.rows('late')).target.length === 3);
    expect(f.notes).toContainEqual(inChunks);
    await source.exec(small(3001, 3100));
    await atEnd(f);
    // Nobody reads in chunks any more, and the copy of the slot is gone.
    await until('the stream runs', async () => {
      const rows = await source.connection.query(sql`select from pg_stat_replication
        where application_name like ${`sluice stream ${f.work.name} %`}`);
      return rows.length === 1;
    });
    expect((await slotsOf(f)).map(({ name }) => name)).toEqual([f.work.name]);
    await running.stop();
    const count = f.batches.reduce((sum, { tables }) => sum + (tables.get('public.t')?.inserts ?? 0), 0);
    expect(count).toBe(3100);
  },
);

test('the slot stays where the target is, however far ahead its copy has been read', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables, mirrored, ...always });
  const [before] = await slotsOf(f);
  await source.exec(small(1, 2000));
  const lock = await target.connect();
  await lock.run(trusted('begin; lock table t in access exclusive mode'));
  const running = f.start();
  await until('the copy of the slot has been read', async () => {
    const copy = (await slotsOf(f)).find(({ temporary }) => temporary);
    return copy !== undefined && copy.confirmed !== before?.confirmed && f.notes.some((note) => /chunks/.test(note));
  });
  expect((await slotsOf(f))[0]).toEqual(before);
  await lock.run(trusted('commit'));
  await atEnd(f);
  await running.stop();
});

test('what is cut off in the middle of a backlog goes on where the target is: nothing is lost, nothing comes twice', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables, mirrored, options: { max_batch_size: 200 }, ...always });
  const shown = () => target.connection.one<{ n: number }>(sql`select count(*)::int as n from log`);
  const cuts = ['stop', 'catch-up', 'apply', 'catch-up', 'stop', 'apply'];
  for (const [i, cut] of cuts.entries()) {
    await source.exec(small(i * 1500 + 1, (i + 1) * 1500));
    const { n } = await shown();
    const running = f.start();
    await until('some of it is there', async () => (await shown()).n > n);
    const db = cut === 'apply' ? target : source;
    if (cut !== 'stop') {
      await db.connection.run(sql`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like ${`sluice ${cut} ${f.work.name} %`}`);
    }
    await running.stop().catch((error: unknown) => expect(error).toMatchObject({ retry: 'backoff' }));
  }
  const running = f.start();
  await atEnd(f);
  await running.stop();
  expect((await f.rows('log')).target).toHaveLength(cuts.length * 1500);
});

test('a transaction that comes in blocks is left to the stream, with all that follows it', async () => {
  // An older one tells of transactions of other tables, too: those would come first. And it is looked at the first of the log only,
  // which must not be full of what other tests write.
  await using own = await ownServer({ major: 18 });
  await using source = await databaseOn(own.server.config(), 18);
  await beEager(source);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables, mirrored, ...always });
  await source.exec(small(1, 500));
  await source.exec(`insert into late select g, repeat(md5(g::text), 4) from generate_series(1, 30000) g`);
  await source.exec(small(501, 1000));
  const running = f.start();
  await atEnd(f);
  await running.stop();
  expect(f.notes).toContainEqual(inChunks);
  expect(f.notes).toContainEqual(left('a large transaction comes next'));
  // Where it is the first of all, nothing is read in chunks.
  await source.exec('update late set v = v || id');
  await source.exec(small(1001, 1100));
  f.notes.length = 0;
  const again = f.start();
  await atEnd(f);
  await again.stop();
  expect(f.notes).not.toContainEqual(inChunks);
  expect(f.notes).toContainEqual(left('a large transaction comes first'));
});

test('a target that takes nothing for long leaves the rest to the stream, which holds back no row versions of the source', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables, mirrored, ...always, catchUpStallMs: 700 });
  await source.exec('alter table late alter v set storage external');
  await source.exec(`do $$ begin for i in 1..900 loop
    insert into late select i * 10 + g, repeat(md5((i * 10 + g)::text), 250) from generate_series(1, 8) g; commit; end loop; end $$`);
  const locking = await target.connect();
  await locking.run(trusted('begin; lock table late in access exclusive mode'));
  const running = f.start();
  await until('the rest is left to the stream', async () =>
    f.notes.some((note) => /left to the stream: the target took nothing for 0.7 s/.test(note)),
  );
  await until('no chunk is open on the source', async () => {
    const [row] = await source.exec<{ n: number }>(`select count(*)::int as n from pg_stat_activity
      where datname = current_database() and backend_xmin is not null and application_name like 'sluice catch-up %'`);
    return row?.n === 0;
  });
  await locking.run(trusted('commit'));
  await atEnd(f);
  await running.stop();
});

test('values that are much longer than in the log do not wait for a reader that is not there yet', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables, mirrored, ...always });
  await source.exec(
    "do $$ begin for i in 1..700 loop insert into late values (i, repeat('z', 50000)); commit; end loop; end $$",
  );
  const running = f.start();
  await f.settle();
  await running.stop();
  expect(f.notes).not.toContainEqual(inChunks);
  expect(f.notes).toContainEqual(left('its values are much longer'));
  const shown = 'select count(*)::int as n, sum(length(v))::int as length from late';
  expect(await target.exec(shown)).toEqual([{ n: 700, length: 35_000_000 }]);
});

test('a slot that is dropped, or made anew, while its backlog is read from the copy is told, not skipped', async () => {
  await using source = await testDatabase(18);
  // Of another server: a slot is not made while a transaction is open.
  await using target = await testDatabase(14);
  for (const anew of [false, true]) {
    await source.exec('drop table if exists t, log, late, mark');
    await target.exec('drop table if exists t, log, late, mark');
    const f = await following({ source, target, tables, mirrored, ...always });
    await source.exec(small(1, 500));
    const lock = await target.connect();
    await lock.run(trusted('begin; lock table t in access exclusive mode'));
    const running = f.start();
    await until('the backlog is being read', async () => f.notes.some((note) => /chunks/.test(note)));
    await source.exec(`select pg_drop_replication_slot('${f.work.name}')`);
    await source.exec("insert into late values (1, 'between')");
    if (anew) await source.exec(`select pg_create_logical_replication_slot('${f.work.name}', 'pgoutput')`);
    await lock.run(trusted('commit'));
    await expect(running.done).rejects.toMatchObject({ kind: 'slot_lost' });
    expect((await f.rows('t')).target.length).toBeGreaterThan(0);
  }
});

test('changes of the schema in a backlog are followed in their place', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables, mirrored, ...always });
  const first = f.start();
  await f.settle();
  await first.stop();
  await source.exec(small(1, 200));
  await source.exec('alter table t add more int default 5; update t set more = id where id % 2 = 0');
  await source.exec('alter table late rename v to text; insert into late values (1, null)');
  await source.exec(small(201, 300));
  const running = f.start();
  await atEnd(f);
  await running.stop();
  expect(f.changes.length).toBeGreaterThan(0);
});

test.each([
  ['does not let us copy the slot', always],
  ['has little that waits', { catchUpBytes: 2 ** 30 }],
] as const)('where the source %s, all of it comes by the stream', async (_why, options) => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  if (options === always)
    await source.exec(
      'alter function pg_copy_logical_replication_slot(name, name, boolean) rename to no_such_function',
    );
  const f = await following({ source, target, tables, mirrored, ...options });
  await source.exec(small(1, 300));
  const running = f.start();
  await atEnd(f);
  await running.stop();
  expect(f.notes).not.toContainEqual(inChunks);
  const refused = left('function .* does not exist');
  if (options === always) expect(f.notes).toContainEqual(refused);
  else expect(f.notes).not.toContainEqual(left(''));
});
