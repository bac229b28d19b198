// Every change arrives once, whatever is killed: our side, either server's session, at whatever moment.
import { expect, test } from 'vitest';
import type { SluiceError } from '../../src/base/errors.ts';
import { sql } from '../../src/pg/sql.ts';
import { type Following, following, type Running } from '../support/following.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test('a stop between the target’s commit and the acknowledgement loses nothing and repeats nothing', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({
    source,
    target,
    tables:
      'create table log (n int); alter table log replica identity full; create table x (id int primary key, n int); insert into x values (1, 0)',
    mirrored: ['log', 'x'],
  });
  // A copy of the slot stays where it is: as if no acknowledgement had ever arrived.
  const unheard = `${f.work.name}_unheard`;
  await source.exec(`select pg_copy_logical_replication_slot('${f.work.name}', '${unheard}')`);
  const first = f.start();
  await source.exec('insert into log select 1 from generate_series(1, 300); update x set n = n + 1');
  await source.exec('insert into log values (2); update x set n = n + 1');
  await f.settle();
  await first.stop();
  const second = following2(f, unheard).start();
  await source.exec('insert into log values (3); update x set n = n + 1');
  await f.settle();
  await second.stop();
  for (const table of ['log', 'x']) {
    const rows = await f.rows(table);
    expect(rows.target).toEqual(rows.source);
  }
});

// The same mirror on another slot.
function following2(f: Following, slot: string): Following {
  Object.assign(f, { work: { ...f.work, slot: { name: slot, made: true } } });
  return f;
}

test('the source may not forget what the target has not committed', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables: 'create table x (id int primary key)', mirrored: ['x'] });
  const running = f.start();
  await f.settle();
  const blocker = await target.connect();
  await blocker.client.query('begin; lock table x in access exclusive mode');
  await source.exec('insert into x select g from generate_series(1, 1000) g');
  const [end] = await source.exec<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
  await until('the target to wait for the lock', async () => {
    const [row] = await target.exec<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return row?.n === 1;
  });
  const [slot] = await source.exec<{ behind: boolean }>(
    `select confirmed_flush_lsn < '${end?.lsn}'::pg_lsn as behind from pg_replication_slots where slot_name = '${f.work.name}'`,
  );
  expect(slot?.behind).toBe(true);
  await blocker.client.query('commit');
  await f.settle();
  expect((await f.rows('x')).target.length).toBe(1000);
  await running.stop();
});

test('a newer owner of the mirror keeps an older one from writing', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables: 'create table x (id int primary key)', mirrored: ['x'] });
  const running = f.start();
  await f.settle();
  await target.exec('update _sluice.checkpoints set token = token + 1');
  await source.exec('insert into x values (1)');
  await expect(running.done).rejects.toMatchObject({ kind: 'fenced' });
  expect((await f.rows('x')).target).toEqual([]);
});

const accounts = 50;

test.each([
  [14, 18],
  [18, 14],
] as const)('random changes and random kills end in equal tables, from PostgreSQL %i to %i', async (from, to) => {
  await using source = await testDatabase(from);
  await using target = await testDatabase(to);
  const f = await following({
    source,
    target,
    tables: `create table account (id int primary key, balance int not null, note text); insert into account select g, 100, 'n' from generate_series(1, ${accounts}) g;
      create table movement (id bigint generated always as identity primary key, a int, b int, amount int);
      create table bag (v int, t text); alter table bag replica identity full;
      create table uniq (id int primary key, code int unique); insert into uniq select g, g from generate_series(1, 40) g`,
    mirrored: ['account', 'movement', 'bag', 'uniq'],
    options: { max_batch_size: 300 },
  });
  let writing = true;
  const writer = write(source, () => writing);
  const reader = watchTotal(target, () => writing);
  const kills = ['stop', 'walsender', 'apply', 'stop', 'apply', 'walsender', 'walsender', 'apply', 'stop', 'stop'];
  for (const kill of kills) {
    const running = f.start();
    await f.settle();
    await strike(kill, { f, running });
  }
  writing = false;
  await writer;
  await reader;
  const running = f.start();
  await f.settle();
  await running.stop();
  for (const table of ['account', 'movement', 'bag', 'uniq']) {
    const rows = await f.rows(table);
    expect(rows.target).toEqual(rows.source);
  }
  expect((await f.rows('movement')).target.length).toBeGreaterThan(100);
});

async function strike(kill: string, { f, running }: { f: Following; running: Running }): Promise<void> {
  // The slot is never ahead of the target: asked in this order, as both only grow.
  const [slot] = await f.source.exec<{ lsn: string }>(
    `select confirmed_flush_lsn::text as lsn from pg_replication_slots where slot_name = '${f.work.name}'`,
  );
  const [row] = await f.target.exec<{ behind: boolean }>(
    `select lsn >= '${slot?.lsn}'::pg_lsn as behind from _sluice.checkpoints`,
  );
  expect(row?.behind).toBe(true);
  if (kill === 'stop') return await running.stop();
  const [db, purpose] = kill === 'walsender' ? [f.source, 'stream|catch-up'] : [f.target, 'apply'];
  let error: SluiceError | undefined;
  const ended = running.done.catch((reason: unknown) => {
    error = reason as SluiceError;
  });
  // Between two ways of reading there may be nobody to strike, or one that is about to go.
  await until('the mirror is struck', async () => {
    await db.connection.run(sql`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name similar to ${`sluice (${purpose}) ${f.work.name} %`}`);
    return error !== undefined;
  });
  await ended;
  // Whoever runs the mirror tries again by itself.
  expect(error?.retry).toBe('backoff');
}

// Transactions of one connection, as fast as they go: transfers, identical rows, unique values that swap, rollbacks.
async function write(source: TestDatabase, more: () => boolean): Promise<void> {
  const db = await source.connect();
  const pick = (n: number) => 1 + Math.floor(Math.random() * n);
  while (more()) {
    const [a, b, amount] = [pick(accounts), pick(accounts), pick(20)];
    const transfer = `update account set balance = balance - ${amount} where id = ${a}; update account set balance = balance + ${amount} where id = ${b};
      insert into movement (a, b, amount) values (${a}, ${b}, ${amount});`;
    const [x, y] = [pick(40), pick(40)];
    const swap = `update uniq set code = -1 where id = ${x}; update uniq set code = (select -id from uniq where id = ${y}) - 100 where id = ${y};
      update uniq set code = ${x} + 1000 * ${pick(1000)} where id = ${x};`;
    const bag = `insert into bag values (${pick(3)}, null), (${pick(3)}, 'x'); delete from bag where ctid = (select ctid from bag limit 1);`;
    const bulk = `insert into movement (a, b, amount) select 1, 2, 0 from generate_series(1, ${pick(900)}); delete from movement where amount = 0 and id % 2 = 0;`;
    const rolled = `savepoint s; ${transfer} rollback to s;`;
    const parts = [transfer, swap, bag, rolled, Math.random() < 0.1 ? bulk : ''].filter(() => Math.random() < 0.7);
    await db.client.query(`begin; ${parts.join(' ')} ${Math.random() < 0.1 ? 'rollback' : 'commit'}`);
  }
}

// No read of the target may ever see half of a transfer.
async function watchTotal(target: TestDatabase, more: () => boolean): Promise<void> {
  const db = await target.connect();
  while (more()) {
    const { total } = await db.one<{ total: string }>(sql`select sum(balance)::text as total from account`);
    expect(total).toBe(String(accounts * 100));
  }
}
