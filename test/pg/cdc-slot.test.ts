// Before anything is applied, slot and log of the source are compared with what the target has: what is gone is told, never skipped.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { Connection } from '../../src/pg/client.ts';
import { sql } from '../../src/pg/sql.ts';
import { type Following, following } from '../support/following.ts';
import { databaseOn, type OwnServer, ownServer, testDatabase } from '../support/servers.ts';
import { untilLate } from '../support/wait.ts';

const tables = 'create table x (id int primary key); create table log (n int); alter table log replica identity full';
const mirrored = ['x', 'log'];
const remedy = expect.stringContaining('WITH (resync = true)');

async function followedOnce(f: Following): Promise<void> {
  const running = f.start();
  await f.source.exec('insert into x select coalesce(max(id), 0) + 1 from x');
  await f.settle();
  await running.stop();
  await slotIsFree(f.source.connection, f.work.name);
}

async function slotIsFree(db: Connection, slot: string): Promise<void> {
  await untilLate('the slot is free', async () => {
    const rows = await db.query(sql`select 1 from pg_replication_slots where slot_name = ${slot} and active`);
    return rows.length === 0;
  });
}

test.each([14, 18] as const)(
  'a slot of PostgreSQL %i that was dropped and made anew under its name is told from the one that was lost, also when nothing was written in between',
  async (major) => {
    await using source = await testDatabase(major);
    await using target = await testDatabase(18);
    const f = await following({ source, target, tables, mirrored });
    const { name } = f.work;
    await followedOnce(f);
    for (const between of ['select 1', 'insert into x values (1000); insert into log values (1)']) {
      await source.exec(`select pg_drop_replication_slot('${name}')`);
      await source.exec(between);
      await source.exec(`select pg_create_logical_replication_slot('${name}', 'pgoutput')`);
      await expect(f.start().done).rejects.toMatchObject({
        kind: 'slot_lost',
        message: `replication slot "${name}" is ahead of the target`,
        detail: expect.stringContaining('dropped and made anew'),
        hint: remedy,
      });
      // The new one has moved on meanwhile.
      await source.exec('insert into x select max(id) + 1 from x');
      await expect(f.start().done).rejects.toMatchObject({ kind: 'slot_lost' });
    }
    expect((await f.rows('x')).target).toEqual(['(1)']);
  },
);

test('a slot of that name that is of another kind or another database is not read', async () => {
  await using source = await testDatabase(18);
  await using other = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables, mirrored });
  const { name } = f.work;
  await followedOnce(f);
  await source.exec(`select pg_drop_replication_slot('${name}')`);
  await source.exec(`select pg_create_physical_replication_slot('${name}', true)`);
  try {
    await expect(f.start().done).rejects.toMatchObject({
      message: expect.stringContaining('not one of the plugin pgoutput'),
      hint: remedy,
    });
  } finally {
    await source.exec(`select pg_drop_replication_slot('${name}')`);
  }
  await other.exec(`select pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  await expect(f.start().done).rejects.toMatchObject({
    message: expect.stringContaining('of another database'),
    hint: remedy,
  });
}, 180_000);

/** The server's folder as it is, while it is stopped. */
function copyFolder(from: string, to: string): void {
  spawnSync('rm', ['-rf', to]);
  expect(spawnSync('cp', ['-a', from, to]).status).toBe(0);
}

function folders(own: OwnServer): { readonly now: string; readonly kept: string } {
  const home = dirname(own.server.logFile);
  return { now: `${home}/cluster`, kept: `${home}/kept` };
}

/** Starts it again; the mirror finds it there. */
async function restart(f: Following, own: OwnServer, side: 'source' | 'target'): Promise<Connection> {
  const { port } = await own.restart();
  Object.assign(f, { work: { ...f.work, [side]: { ...f.work[side], port } } });
  const db = await Connection.open(own.server.config(f.work[side].database));
  await db.run(sql`set search_path = public`);
  return db;
}

test('a source can be stopped while its mirror is idle, and one that was put back to an older state, or has taken away the log, is found out', async () => {
  await using own = await ownServer({ settings: { max_slot_wal_keep_size: '1MB', max_wal_size: '64MB' } });
  // Gone with its server.
  const source = await databaseOn(own.server.config(), 18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables, mirrored });
  await followedOnce(f);
  await own.server.stop('fast');
  const { now, kept } = folders(own);
  copyFolder(now, kept);
  await using later = await restart(f, own, 'source');
  await later.run(sql`insert into log values (1)`);
  const running = f.start();
  await untilLate('the target has more', async () => (await target.exec('select 1 from log')).length === 1);
  // A server that stops waits for whoever reads its log: an idle mirror must not keep it.
  const asked = performance.now();
  await own.server.stop('fast');
  expect(performance.now() - asked).toBeLessThan(12_000);
  await expect(running.done).rejects.toMatchObject({ retry: 'backoff' });
  copyFolder(kept, now);
  await using earlier = await restart(f, own, 'source');
  await expect(f.start().done).rejects.toMatchObject({
    kind: 'slot_lost',
    message: 'the source has lost changes that the target has',
    hint: remedy,
  });
  await slotIsFree(earlier, f.work.name);
  await untilLate('the slot is lost', async () => {
    await earlier.run(sql`select pg_catalog.pg_logical_emit_message(false, 'filler', 'x')`);
    await earlier.run(sql`select pg_catalog.pg_switch_wal()`);
    await earlier.run(sql`checkpoint`);
    const [slot] = await earlier.query<{ s: string }>(sql`select wal_status as s from pg_replication_slots`);
    return slot?.s === 'lost';
  });
  await expect(f.start().done).rejects.toMatchObject({
    kind: 'slot_lost',
    message: expect.stringContaining('has lost the log that it needs'),
    detail: expect.stringContaining('max_slot_wal_keep_size'),
    hint: remedy,
  });
}, 180_000);

test('the slot never passes what a target holds that crashes under synchronous_commit = off, and one put back to an older state is found out', async () => {
  await using source = await testDatabase(18);
  // Commits that nobody waits for are on the disk ten seconds later.
  await using own = await ownServer({ settings: { synchronous_commit: 'off', wal_writer_delay: '10s' } });
  // Gone with its server.
  const target = await databaseOn(own.server.config(), 18);
  const f = await following({ source, target, tables, mirrored });
  await followedOnce(f);
  await own.server.stop('fast');
  const { now, kept } = folders(own);
  copyFolder(now, kept);
  await using first = await restart(f, own, 'target');
  const running = f.start();
  await source.exec('insert into log select 1 from generate_series(1, 3)');
  const checkpoint = async (db: Connection) =>
    (await db.one<{ lsn: string }>(sql`select lsn::text from _sluice.checkpoints`)).lsn;
  const acknowledged = await untilLate('it is acknowledged', async () => {
    const rows = await first.query(sql`select 1 from log`);
    const [slot] = await source.exec<{ lsn: string; all: boolean }>(`select confirmed_flush_lsn::text as lsn,
      confirmed_flush_lsn >= '${await checkpoint(first)}' as all from pg_replication_slots where slot_name = '${f.work.name}'`);
    return rows.length === 3 && slot?.all === true && slot.lsn;
  });
  await own.server.stop('immediate');
  await expect(running.done).rejects.toMatchObject({ retry: 'backoff' });
  await using second = await restart(f, own, 'target');
  const { holds } = await second.one<{ holds: boolean }>(
    sql`select lsn >= ${acknowledged}::pg_lsn as holds from _sluice.checkpoints`,
  );
  expect(holds).toBe(true);
  expect(await second.query(sql`select n from log`)).toHaveLength(3);
  await own.server.stop('fast');
  copyFolder(kept, now);
  await using _older = await restart(f, own, 'target');
  await expect(f.start().done).rejects.toMatchObject({
    kind: 'slot_lost',
    message: expect.stringContaining('is ahead of the target'),
    detail: expect.stringContaining('older state'),
    hint: remedy,
  });
}, 180_000);

test('a slot that nobody read for longer than the source allows is told with what to do', async () => {
  await using own = await ownServer({ settings: { idle_replication_slot_timeout: '1s' } });
  // Gone with its server.
  const source = await databaseOn(own.server.config(), 18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables, mirrored });
  await followedOnce(f);
  await untilLate('the slot is lost', async () => {
    await source.exec('checkpoint');
    const [slot] = await source.exec<{ s: string }>('select wal_status as s from pg_replication_slots');
    return slot?.s === 'lost';
  });
  await expect(f.start().done).rejects.toMatchObject({
    kind: 'slot_lost',
    message: expect.stringContaining('has lost the log that it needs'),
    detail: expect.stringContaining('idle_replication_slot_timeout'),
    hint: remedy,
  });
}, 60_000);
