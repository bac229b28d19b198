// A copy that dies and goes on: parts are there once or not at all, tables under a new snapshot are right at their own LSN.
import { expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import type { MirrorWork } from '../../src/mirror/work.ts';
import { readCheckpoint, readCopiedTables } from '../../src/peers/checkpoint.ts';
import { dropSlot, readSlot } from '../../src/peers/slot.ts';
import { showTable } from '../../src/pg/table.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { expectEqualTables } from '../support/compare.ts';
import { claim, copyAll, listening, mirrorWork, table } from '../support/copied.ts';
import { cuttable } from '../support/cuttable.ts';
import { buildGates } from '../support/gates.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const never = new AbortController().signal;
const steady = { schema: 'public', name: 'steady' };
const held = { schema: 'public', name: 'held' };

interface World extends AsyncDisposable {
  readonly from: TestDatabase;
  readonly to: TestDatabase;
}

/** `steady` is copied at once; `held` waits at row 1500 on the target while lock 7 is held. */
async function world(): Promise<World> {
  const from = await testDatabase(18);
  const to = await testDatabase(18);
  await from.exec(`create table steady (id int primary key, v text); create table held (id int primary key, v text);
    insert into steady select i, 'v' from generate_series(1, 500) i;
    insert into held select i, repeat('x', 100) from generate_series(1, 3000) i`);
  await to.exec(`create table steady (id int primary key, v text); create table held (id int primary key, v text);
    create function wait() returns trigger language plpgsql as $$ begin
      if new.id = 1500 then perform pg_advisory_xact_lock_shared(7); end if; return new; end $$;
    create trigger wait before insert on held for each row execute function wait(); alter table held enable always trigger wait`);
  return {
    from,
    to,
    async [Symbol.asyncDispose]() {
      await from[Symbol.asyncDispose]();
      await to[Symbol.asyncDispose]();
    },
  };
}

const options = {
  snapshot_num_partitions_override: 10,
  snapshot_max_parallel_workers: 2,
  snapshot_num_tables_in_parallel: 2,
};

/** Runs the copy until a part of `held` waits on the target and `steady` is finished. */
async function copyUntilHeld(w: World, work: MirrorWork, signal: AbortSignal) {
  await w.to.exec('select pg_advisory_lock(7)');
  const copying = runSnapshot(listening(work), signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  await until('a part waits', async () => {
    const rows = await w.to.exec(`select 1 from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`);
    return rows.length > 0;
  });
  await until('the other parts are there', async () => {
    const rows = await w.to.exec(`select 1 from _sluice.parts p join _sluice.copied_tables t using (mirror_id)
      where mirror_id = '${work.id}' and p.source_table = 'public.held' and t.source_table = 'public.steady' and t.finished`);
    return rows.length === 9;
  });
  return { copying };
}

test.each(['lost its snapshot', 'was stopped'])(
  'a copy that %s goes on from its finished parts, each row once',
  async (how) => {
    await using w = await world();
    const work = mirrorWork(w, [table('steady'), table('held')], options);
    await claim(work);
    await prepareTarget(listening(work), never);
    const stop = new AbortController();
    const { copying } = await copyUntilHeld(w, work, stop.signal);
    if (how === 'was stopped') stop.abort();
    else {
      // All of the source at once, so that nobody is left who could give the snapshot to others.
      for (const side of [w.from, w.to]) {
        await side.exec(`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like 'sluice %' and datname = current_database()`);
      }
    }
    const error = await copying;
    expect(error).toBeInstanceOf(SluiceError);
    await w.to.exec('select pg_advisory_unlock_all()');
    // Nothing of the part in flight is there.
    const parts = await w.to.exec<{ rows: number }>(
      `select coalesce(sum(row_count), 0)::int as rows from _sluice.parts where source_table = 'public.held'`,
    );
    expect(await w.to.exec(`select count(*)::int as rows from held`)).toEqual(parts);
    const [{ now } = { now: '' }] = await w.to.exec<{ now: string }>('select clock_timestamp()::text as now');

    // The source has gone on meanwhile. All tables show the new snapshot.
    await w.from.exec(
      `insert into steady values (9999, 'later'); insert into held values (9999, 'later'); update held set v = 'new' where id = 5;
     delete from held where id = 6; update held set id = -7 where id = 7`,
    );
    const again = listening({ ...work, token: 2n });
    await claim(again.work);
    await runSnapshot(again, never);
    expect(again.told.finished).toEqual(['public.held']);
    expect(again.told.notes.join()).toContain('of 1 of 2 tables: public.held (9 of 10)');
    expect(await w.to.exec(`select part from _sluice.parts where copied_at > '${now}'`)).toHaveLength(1);
    await expectEqualTables(w.from.connection, w.to.connection, [held]);
    expect(await w.to.exec('select count(*)::int as n from steady')).toEqual([{ n: 501 }]);
    const copied = await readCopiedTables(w.to.connection, again.work);
    const lsns = [steady, held].map((name) => copied.get(showTable(name))?.snapshotLsn ?? 0n);
    expect(lsns[0]).toBe(lsns[1]);
    // The stream begins where the first snapshot was: others of its tables may not have come along.
    expect(lsns[1]).toBeGreaterThan((await readCheckpoint(w.to.connection, again.work)) ?? 0n);
    await finishSnapshot(again, never);
    const slots = await w.from.exec(
      `select slot_name::text as name from pg_replication_slots where database = current_database()`,
    );
    expect(slots).toEqual([{ name: work.slot?.name }]);
  },
);

test('a worker that loses the target keeps the snapshot, which nobody else has, until its successor has it', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await using way = await cuttable(from);
  await from.exec('create table big (id int primary key); insert into big select generate_series(1, 2000)');
  const alone = { snapshot_num_partitions_override: 4, snapshot_max_parallel_workers: 1, initial_copy_only: true };
  const there = { ...from, host: way.host, port: way.port };
  const work = mirrorWork({ from: there, to }, [table('big')], { ...alone, snapshot_num_tables_in_parallel: 1 });
  const gates = await buildGates(await to.connect(), 'no rows are gated');
  await gates.partAfter(1);
  await gates.close('part');
  await claim(work);
  const deps = listening(work);
  await prepareTarget(deps, never);
  const copying = runSnapshot(deps, never);
  await gates.someoneWaitsAt('part');
  await from.exec('insert into big select generate_series(2001, 3000)');
  way.freeze();
  const end = (db: TestDatabase, purpose: string) =>
    db.exec(`select pg_terminate_backend(pid, 10000) from pg_stat_activity
      where application_name like 'sluice ${purpose}%' and datname = current_database()`);
  await end(from, 'snapshot');
  await end(to, 'copy');
  await gates.open('part');
  way.thaw();
  await copying;
  expect(await to.exec('select count(*)::int as n from big')).toEqual([{ n: 2000 }]);
});

test('a copy-only mirror shows one point in time, also when it was interrupted', async () => {
  await using w = await world();
  const work = mirrorWork(w, [table('steady'), table('held')], { ...options, initial_copy_only: true });
  await claim(work);
  await prepareTarget(listening(work), never);
  const stop = new AbortController();
  const { copying } = await copyUntilHeld(w, work, stop.signal);
  stop.abort();
  await copying;
  await w.to.exec('select pg_advisory_unlock_all()');
  await w.from.exec(`insert into steady values (9999, 'later'); insert into held values (9999, 'later')`);
  const again = listening(work);
  await runSnapshot(again, never);
  await finishSnapshot(again, never);
  expect(again.told.finished.toSorted()).toEqual(['public.held', 'public.steady']);
  await expectEqualTables(w.from.connection, w.to.connection, [steady, held]);
});

test('all tables of a copy show the same point in time while the source is written to', async () => {
  await using w = await world();
  await w.from.exec(
    `create table a (n int, id int primary key default 1); create table b (n int, id int primary key default 1); insert into a values (0); insert into b values (0)`,
  );
  const writer = await w.from.connect();
  const stop = new AbortController();
  const writing = (async () => {
    while (!stop.signal.aborted) await writer.client.query('update a set n = n + 1; update b set n = n + 1');
  })();
  const work = mirrorWork(w, [table('a'), table('steady'), table('b')], {});
  await copyAll(work);
  stop.abort();
  await writing;
  const [row] = await w.to.exec<{ a: number; b: number }>('select (select n from a) as a, (select n from b) as b');
  expect(row?.a).toBe(row?.b);
});

test('a runner that lost the mirror to another writes nothing more', async () => {
  await using w = await world();
  const work = mirrorWork(w, [table('steady'), table('held')], options);
  await claim(work);
  await prepareTarget(listening(work), never);
  await claim({ ...work, token: 5n });
  await expect(runSnapshot(listening(work), never)).rejects.toMatchObject({ kind: 'fenced' });
  await expect(prepareTarget(listening(mirrorLike(work)), never)).rejects.toMatchObject({ kind: 'fenced' });
  expect(await w.to.exec('select count(*)::int as n from steady')).toEqual([{ n: 0 }]);
});

// The same owner, with a table that is still to be made.
function mirrorLike(work: MirrorWork): MirrorWork {
  return { ...work, tables: [table('steady', { to: { schema: 'public', name: 'steady_too' } })] };
}

test('a slot that a dead try left without a checkpoint is made again; one that is gone after it is told', async () => {
  await using w = await world();
  const work = mirrorWork(w, [table('steady')], {});
  await claim(work);
  await prepareTarget(listening(work), never);
  await w.from.exec(`select pg_create_logical_replication_slot('${work.slot?.name}', 'pgoutput')`);
  const before = await readSlot(w.from.connection, work.slot?.name ?? '');
  await w.from.exec(`insert into steady values (9999, 'later')`);
  await runSnapshot(listening(work), never);
  const after = await readSlot(w.from.connection, work.slot?.name ?? '');
  expect(after?.confirmedFlush).toBeGreaterThan(before?.confirmedFlush ?? 0n);
  await expectEqualTables(w.from.connection, w.to.connection, [steady]);
  await dropSlot(w.from.connection, work.slot?.name ?? '');
  const lost = { kind: 'slot_lost', hint: expect.stringContaining('WITH (resync = true)') };
  await expect(runSnapshot(listening(work), never)).rejects.toMatchObject(lost);
  // Another one of that name has not what came before it.
  await w.from.exec(`select pg_create_logical_replication_slot('${work.slot?.name}', 'pgoutput')`);
  await expect(runSnapshot(listening(work), never)).rejects.toMatchObject(lost);
});

test('while the slot waits for an open transaction, the sessions that hold it up are named', async () => {
  await using w = await world();
  const work = mirrorWork(w, [table('steady')], {});
  await claim(work);
  await prepareTarget(listening(work), never);
  const other = await w.from.connect();
  await other.client.query(`set application_name = 'long report'; begin; insert into steady values (8888, 'open')`);
  const deps = listening(work);
  const copying = runSnapshot(deps, never);
  await until('it is told', () =>
    deps.told.notes.some((note) => note.includes('long report') && note.includes(String(other.pid))),
  );
  await other.client.query('commit');
  await copying;
  expect(await w.to.exec('select v from steady where id = 8888')).toEqual([{ v: 'open' }]);
});

test('a mirror that copies nothing begins its stream at the given slot, or at one that is made', async () => {
  await using w = await world();
  const made = mirrorWork(w, [table('steady')], { do_initial_copy: false });
  await claim(made);
  await prepareTarget(listening(made), never);
  const slot = await readSlot(w.from.connection, made.slot?.name ?? '');
  expect(await readCheckpoint(w.to.connection, made)).toBe(slot?.confirmedFlush);
  const name = `given_${made.id.slice(0, 8)}`;
  await w.from.exec(`select pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  const given = mirrorWork(w, [table('held')], { do_initial_copy: false, replication_slot_name: name });
  await claim(given);
  await prepareTarget(listening(given), never);
  expect(await readCheckpoint(w.to.connection, given)).toBe((await readSlot(w.from.connection, name))?.confirmedFlush);
});

test.each([
  ['moved by VACUUM FULL', 'vacuum full held'],
  ['rewritten by a change of type', 'alter table held alter v type text using v || v'],
  ['emptied by TRUNCATE', 'truncate held'],
  ['replaced under its name', 'alter table held rename to gone; create table held (like gone including all)'],
])('a table that was %s while it was copied is copied anew, never half', async (_, statement) => {
  await using w = await world();
  const work = mirrorWork(w, [table('steady'), table('held')], { ...options, snapshot_max_parallel_workers: 1 });
  await claim(work);
  await prepareTarget(listening(work), never);
  // `steady` waits on the target, so that `held` is not touched on the source while it is rewritten there.
  await w.to.exec(`create trigger wait before insert on steady for each row execute function wait();
    alter table steady enable always trigger wait; insert into steady values (0, 'x'); delete from steady`);
  await w.from.exec(`insert into steady select i, 'v' from generate_series(1000, 200000) i; analyze`);
  await w.to.exec('select pg_advisory_lock(7)');
  const first = listening({ ...work, options: { ...work.options, snapshot_num_tables_in_parallel: 1 } });
  const copying = runSnapshot(first, never).then(
    () => undefined,
    (error: unknown) => error,
  );
  await until('a part waits', async () => {
    const rows = await w.to.exec(`select 1 from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`);
    return rows.length > 0;
  });
  for (const each of statement.split('; ')) await w.from.exec(each);
  await w.to.exec('select pg_advisory_unlock_all()');
  expect(await copying).toMatchObject({ kind: 'source_changed', sqlstate: '40001', retry: 'backoff' });
  expect(first.told.notes.join()).toContain('source table public.held was rewritten');
  const again = listening({ ...work, token: 2n });
  await claim(again.work);
  await runSnapshot(again, never);
  // Nothing of it was there, so that nothing of it is lost.
  expect(again.told.notes).toContainEqual('the copy goes on under a new snapshot: 1 of 2 had no finished part yet');
  expect(again.told.finished).toContain('public.held');
  await expectEqualTables(w.from.connection, w.to.connection, [held]);
});
