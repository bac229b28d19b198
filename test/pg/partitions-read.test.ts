// Partitioned tables that must be read whole once more, while their partitions come, go and are emptied.
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { runCdc } from '../../src/cdc/run.ts';
import { copyAll, mirrorWork, table } from '../support/copied.ts';
import { settled } from '../support/ddl.ts';
import { everything, quieted } from '../support/ddl-full.ts';
import { following } from '../support/following.ts';
import { quietReport } from '../support/quiet-report.ts';
import { testDatabase } from '../support/servers.ts';
import { testCatchUpBytes, testSpill } from '../support/spill.ts';
import { until, untilLate } from '../support/wait.ts';

test('partitions that came, went and changed places before a partitioned table could be read again follow with all their rows', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    ...{ source, target, mirrored: ['p', 'lone'], options: { schema_changes: 'full' }, scope: { kind: 'all' } },
    tables: `create table p (id int, r int, v text, primary key (id, r)) partition by range (r);
      create table p1 partition of p for values from (0) to (10); create table p2 partition of p for values from (10) to (20);
      create table p4 partition of p for values from (70) to (80);
      insert into p values (1, 1, 'a'), (2, 11, 'b'), (4, 71, 'd');
      create table lone (id int, r int not null, v text, primary key (id, r)); insert into lone values (50, 55, 'l')`,
  });
  await quieted(f);
  // The first of these makes the table be read again; the source is as it is after the last by then.
  await source.exec(`create table filled (like p including all); insert into filled values (70, 35, 'f');
    alter table p attach partition filled for values from (30) to (40)`);
  await source.exec(`create table p5 partition of p for values from (40) to (50) partition by list (id);
    create table p51 partition of p5 default; insert into p values (80, 45, 'x')`);
  await source.exec(`insert into lone values (51, 56, 'm'); alter table p attach partition lone for values from (50) to (60);
    delete from p where id = 50; update p set v = 'n' where id = 51`);
  await source.exec(
    `drop table p2; create table p2 partition of p for values from (10) to (20); insert into p values (9, 19, 'new')`,
  );
  await source.exec(`alter table p detach partition p4; alter table p4 rename to p4_old; insert into p4_old values (5, 75, 'e');
    create table p4 partition of p for values from (70) to (80); insert into p values (6, 76, 'g')`);
  await source.exec('alter table p1 rename to first; update p set v = v || v');
  await quieted(f);
  expect(await everything(target)).toEqual(await everything(source));
});

const halves = `create table p (id int, r int, v text, primary key (id, r)) partition by list (r);
  create table p1 partition of p for values in (1); create table p2 partition of p for values in (2);
  insert into p values (1, 1, 'old'), (2, 1, 'old'), (3, 2, 'other')`;

// One story in one direction, unless there is time.
const all = [
  [14, 'columns', 18],
  [18, 'full', 14],
  [18, 'off', 14],
] as const;

test.each(process.env.SLUICE_LONG_TESTS === '1' ? all : all.slice(0, 1))(
  'a partition that PostgreSQL %i emptied and filled again at once is read again, with schema_changes = %s',
  async (from, followed, to) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const options = { schema_changes: followed };
    const f = await following({ source, target, tables: halves, mirrored: ['p'], options });
    await settled(f);
    await source.exec(`truncate p1; insert into p values (100, 1, 'new')`);
    // Nothing of this needs a look: the stream tells of the one, and the columns of the other.
    await source.exec(`insert into mark values (-1); update p set v = 'changed' where id = 3`);
    const running = f.start();
    const sides = async () => await f.rows('p');
    const isRead = async () => {
      // A mark brings the target to where the partition was looked at.
      await f.settle();
      return (await sides()).target.length === 2;
    };
    await Promise.race([until('the rows that are gone to leave the target', isRead), running.done]);
    await source.exec(`insert into p values (101, 1, 'newer'); delete from p where id = 3`);
    await Promise.race([f.settle(), running.done]);
    expect((await sides()).target).toEqual((await sides()).source);
    expect(f.notes.filter((note) => note.includes('public.p is read whole again: public.p1'))).toHaveLength(1);
    await running.stop();
  },
);

test('a session knows what emptied a partitioned table in the one before, though nobody looked in between', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const options = { soft_delete: true, synced_at_col_name: '' };
  const f = await following({ source, target, tables: halves, mirrored: ['p'], options });
  for (const table of ['p', 'mark']) await target.exec(`alter table ${table} add "_PEERDB_IS_DELETED" boolean`);
  const first = f.start();
  await f.settle();
  await first.stop();
  const before = await target.exec(`select leaves from _sluice.copied_tables where source_table = 'public.p'`);
  const second = f.start();
  await f.settle();
  await source.exec(`truncate p; insert into p values (7, 1, 'a'), (8, 2, 'b')`);
  await Promise.race([f.settle(), second.done]);
  await second.stop();
  // It was ended before it looked.
  expect(await target.exec(`select leaves from _sluice.copied_tables where source_table = 'public.p'`)).toEqual(before);
  const third = f.start();
  const known = async () => {
    const [row] = await target.exec<{ now: unknown }>(
      `select leaves as now from _sluice.copied_tables where source_table = 'public.p'`,
    );
    return JSON.stringify(row?.now) !== JSON.stringify((before[0] as { leaves: unknown }).leaves);
  };
  await Promise.race([untilLate('the new files are known', known), third.done]);
  await third.stop();
  expect(f.notes.filter((note) => note.includes('read whole again'))).toEqual([]);
});

test('a partitioned table is not read again where the stream tells of TRUNCATE, or a change of columns wrote it anew', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables: halves, mirrored: ['p'] });
  await settled(f);
  await source.exec(`begin; truncate p; insert into p values (7, 1, 'a'), (8, 2, 'b'); commit`);
  const running = f.start();
  await Promise.race([f.settle(), running.done]);
  const remembered = async () => {
    await f.settle();
    const [row] = await target.exec<{ leaves: readonly { name: string; node: string }[] }>(
      `select leaves from _sluice.copied_tables where source_table = 'public.p'`,
    );
    const now = await source.exec<{ node: string }>(
      `select pg_relation_filenode(oid)::text as node from pg_class where relname in ('p1', 'p2') order by oid`,
    );
    return JSON.stringify(row?.leaves.map(({ node }) => node)) === JSON.stringify(now.map(({ node }) => node));
  };
  await Promise.race([until('the files to be known', remembered), running.done]);
  await running.stop();
  await source.exec(`alter table p alter v type varchar(20) using v || '!'; update p set v = 'c' where id = 7`);
  await settled(f);
  const again = f.start();
  await Promise.race([until('the files to be known again', remembered), again.done]);
  await again.stop();
  expect((await f.rows('p')).target).toEqual((await f.rows('p')).source);
  expect(f.notes.filter((note) => note.includes('read whole again'))).toEqual([]);
});

test('a partition that was emptied and filled again stops a mirror with soft_delete once, with what to do', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const options = { soft_delete: true, soft_delete_col_name: 'gone' };
  const f = await following({ source, target, tables: halves, mirrored: ['p'], options });
  for (const table of ['p', 'mark']) await target.exec(`alter table ${table} add gone boolean not null default false`);
  await settled(f);
  await source.exec(`truncate p1; insert into p values (100, 1, 'new')`);
  const running = f.start();
  await source.exec('insert into mark values (-1)');
  await expect(running.done).rejects.toMatchObject({
    kind: 'wrong_state',
    message: 'partition public.p1 was emptied by TRUNCATE and filled again on the source, or written anew',
    hint: expect.stringContaining('remove the rows from public.p1 on the target that the source has not'),
  });
  await settled(f);
});

test.each([
  [18, 'columns', 14],
  [14, 'full', 18],
] as const)(
  'a partition that PostgreSQL %i emptied and filled with keys that it had is read again when one does not fit, with schema_changes = %s',
  async (from, followed, to) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const options = { schema_changes: followed };
    const f = await following({ source, target, tables: halves, mirrored: ['p'], options });
    await settled(f);
    const running = f.start();
    await source.exec(`update p set v = 'followed' where id = 3`);
    await Promise.race([f.settle(), running.done]);
    // Nobody looks at the source in between: the row comes first.
    await source.exec(
      `begin; truncate p1; insert into p values (1, 1, 'new'); update p set v = 'with it' where id = 3; commit`,
    );
    await source.exec(
      `insert into p values (4, 1, 'newer'), (5, 2, 'newer'); delete from p where id = 1; truncate p1; insert into p values (4, 1, 'newest')`,
    );
    await Promise.race([f.settle(), running.done]);
    const { target: arrived, source: wanted } = await f.rows('p');
    expect(arrived).toEqual(wanted);
    expect(f.notes.filter((note) => note.includes('public.p is read whole again: public.p1'))).not.toHaveLength(0);
    // What somebody else wrote is no reason to read anything.
    const notes = f.notes.length;
    await target.exec(`insert into p values (6, 2, 'by hand')`);
    await source.exec(`insert into p values (6, 2, 'new')`);
    await expect(running.done).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('(id, r) = (6, 2)'),
    });
    expect(f.notes.slice(notes)).toEqual([]);
  },
);

test('a partition that was emptied and filled after its rows were copied, before anybody looked, is read again', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(14);
  // Without a key nothing tells the new rows from the old ones.
  await from.exec(`${halves}; create table loose (id int, r int, v text) partition by list (r); alter table loose replica identity full;
    create table loose1 partition of loose for values in (1); alter table loose1 replica identity full;
    insert into loose values (1, 1, 'old'), (2, 1, 'old')`);
  const work = mirrorWork({ from, to }, [table('p'), table('loose')]);
  await copyAll(work);
  await from.exec(`begin; truncate p1; insert into p values (1, 1, 'new'); truncate loose1; insert into loose values (1, 1, 'old'); commit;
    insert into p values (5, 2, 'last')`);
  const controller = new AbortController();
  const deps = { work, report: quietReport, log: silentLog, spill: testSpill, catchUpBytes: testCatchUpBytes };
  const done = runCdc(deps, controller.signal);
  done.catch(() => {});
  const rows = async (db: typeof from) =>
    JSON.stringify([await db.exec('select * from p order by id'), await db.exec('select * from loose order by id')]);
  const equal = async () => (await rows(to)) === (await rows(from));
  try {
    await Promise.race([untilLate('the rows that are gone to leave the target', equal), done]);
  } finally {
    controller.abort();
  }
  await done;
});

test('with soft_delete a row of such a partition that does not fit stops the mirror with what to look at', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const options = { soft_delete: true, soft_delete_col_name: 'gone' };
  const f = await following({ source, target, tables: halves, mirrored: ['p'], options });
  for (const name of ['p', 'mark']) await target.exec(`alter table ${name} add gone boolean not null default false`);
  await settled(f);
  const running = f.start();
  await Promise.race([f.settle(), running.done]);
  await source.exec(`begin; truncate p1; insert into p values (1, 1, 'new'); commit`);
  await expect(running.done).rejects.toMatchObject({
    kind: 'wrong_state',
    message: 'partition public.p1 was emptied by TRUNCATE and filled again on the source, or written anew',
    detail: expect.stringContaining('soft_delete'),
  });
});
