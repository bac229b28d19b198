// Rows that were copied and are not there when the copy ends: nobody is told that all is well.
import { expect, test } from 'vitest';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, copyAll, listening, mirrorWork, table } from '../support/copied.ts';
import { ordinaryRole } from '../support/database.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

const never = new AbortController().signal;

const tables = `create table kept (id int primary key); insert into kept values (1);
  create table "the Other" (id int primary key, v text); insert into "the Other" select i, 'v' from generate_series(1, 10) i;
  create table parted (id int primary key) partition by range (id);
  create table parted_1 partition of parted for values from (0) to (10); create table parted_2 partition of parted for values from (10) to (20);
  insert into parted values (3), (13);
  create table empty (id int primary key)`;

async function copied(from: TestDatabase, to: TestDatabase, options: Parameters<typeof mirrorWork>[2]) {
  await from.exec(tables);
  const names = ['kept', 'the Other', 'parted', 'empty'].map((name) => table(name));
  const work = mirrorWork({ from, to }, names, { initial_copy_only: true, ...options });
  await claim(work);
  await prepareTarget(listening(work), never);
  await runSnapshot(listening(work), never);
  return listening(work);
}

const gone = [
  ['truncate "the Other"', 'Without a row: public."the Other".'],
  ['truncate "the Other", parted', 'Without a row: public."the Other", public.parted.'],
  ['drop table "the Other"; create table "the Other" (id int not null, v text)', 'Without a row: public."the Other".'],
] as const;

test.each(['full', 'tables', 'none'] as const)(
  'a table that was emptied or made again on the target keeps the copy from ending, with schema = %s',
  async (schema) => {
    await using from = await testDatabase(18);
    await using to = await testDatabase(18);
    if (schema === 'none') await to.exec(tables.replaceAll(/insert into [^;]*/g, ''));
    const deps = await copied(from, to, { schema });
    for (const [statement, detail] of gone) {
      await to.exec(statement);
      await expect(finishSnapshot(deps, never)).rejects.toMatchObject({
        kind: 'wrong_state',
        message: 'the rows that were copied into public."the Other" are not there any more',
        detail,
      });
      await to.exec(
        `insert into "the Other" values (1, 'v'); insert into parted select 3 where not exists (select from parted)`,
      );
    }
    await finishSnapshot(deps, never);
  },
);

test('so does one that was dropped', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  const deps = await copied(from, to, {});
  await to.exec('drop table "the Other"');
  await expect(finishSnapshot(deps, never)).rejects.toMatchObject({
    kind: 'wrong_state',
    detail: 'Gone from the target: public."the Other".',
  });
});

test.each([
  ['truncate kept', 'Without a row: public.kept.'],
  ['truncate parted_1', 'Without a row: public.parted_1.'],
  ['drop table parted_1', 'Gone from the target: public.parted_1.'],
] as const)('and one that is emptied while keys are made: %s', async (statement, detail) => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  const deps = await copied(from, to, {});
  let emptied = false;
  const objects: typeof deps.report.objects = async (lines) => {
    await deps.report.objects(lines);
    if (emptied || !lines.some(({ kind, state }) => kind === 'primary key' && state === 'created')) return;
    emptied = true;
    await to.exec(statement);
  };
  await expect(finishSnapshot({ ...deps, report: { ...deps.report, objects } }, never)).rejects.toMatchObject({
    kind: 'wrong_state',
    detail,
  });
});

test('a table whose policies hold for its owner too is not looked into by that owner', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await using owner = await ordinaryRole(to);
  await from.exec(`create table hidden (id int primary key); insert into hidden values (1);
    alter table hidden enable row level security; alter table hidden force row level security; create policy none on hidden using (false)`);
  const told = await copyAll(mirrorWork({ from, to: owner }, [table('hidden')], { initial_copy_only: true }));
  expect([...told.objects.values()].filter(({ state }) => state === 'failed')).toEqual([]);
  expect(await to.exec('select id from hidden')).toEqual([{ id: 1 }]);
  expect(await to.exec("select relforcerowsecurity as forced from pg_class where relname = 'hidden'")).toEqual([
    { forced: true },
  ]);
});
