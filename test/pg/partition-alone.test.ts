// Partitions that are mirrored without their partitioned table: what the table says of them is said of each alone.
import { expect, test } from 'vitest';
import { copyAll, mirrorWork, table } from '../support/copied.ts';
import { exceptions, sides } from '../support/database.ts';
import { running } from '../support/running.ts';
import type { TestDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const partitioned = `create function noted() returns trigger language plpgsql as 'begin return new; end';
  create table log (id int, at int, primary key (id, at)) partition by range (at);
  create trigger "n ""1""" after insert or update of at on log for each row when (new.id > 0) execute function noted('log''s');
  create trigger quiet before insert on log for each row execute function noted();
  create trigger always before insert on log for each row execute function noted();
  create table log_1 partition of log for values from (0) to (10);
  create table log_2 partition of log for values from (10) to (20) partition by range (id);
  create table log_21 partition of log_2 for values from (0) to (10);
  create trigger mine before insert on log_1 for each row execute function noted();
  alter table log_1 disable trigger quiet; alter table log_1 enable always trigger always;
  alter table log_21 disable trigger quiet; insert into log values (1, 1), (2, 15);`;

async function triggers(db: TestDatabase): Promise<readonly string[]> {
  const rows = await db.exec<{ line: string }>(`select tgrelid::regclass || ' ' || tgenabled::text || ' '
      || pg_get_triggerdef(oid) as line from pg_trigger
    where tgrelid in ('log_1'::regclass, 'log_2'::regclass, 'log_21'::regclass) order by 1`);
  return rows.map(({ line }) => line);
}

test.each([14, 18] as const)(
  'partitions of PostgreSQL %i that are mirrored without their table have its triggers as their own',
  async (major) => {
    await using it = await sides(partitioned, 'select 1', [major, 18]);
    const tables = [table('public.log_1'), table('public.log_2')];
    expect(exceptions(await copyAll(mirrorWork(it, tables, { initial_copy_only: true })))).toEqual([]);
    expect(await triggers(it.to)).toEqual(await triggers(it.from));
    expect(await it.to.exec('select id from log_21')).toEqual([{ id: 2 }]);
    // A second time they are found as they are.
    await it.to.exec('truncate log_1, log_2');
    expect(exceptions(await copyAll(mirrorWork(it, tables, { initial_copy_only: true })))).toEqual([]);
  },
);

test('a mapped schema brings partitions of tables in other schemas as tables of their own, and follows them', async () => {
  await using sources =
    await sides(`create schema parts; create schema deep; create table log (id int primary key) partition by range (id);
    create table parts.log_1 partition of log for values from (0) to (10);
    create table parts.log_2 partition of log for values from (10) to (20) partition by range (id);
    create table parts.log_21 partition of parts.log_2 for values from (10) to (15);
    create table deep.log_22 partition of parts.log_2 for values from (15) to (20); insert into log values (1), (11), (16)`);
  await using it = await running(sources.from, sources.to);
  const create = 'mirror partitions_alone from src to dst with schema mapping (parts:old)';
  const explained = await it.world.show(`explain create ${create}`);
  expect(explained.find(({ check }) => check === 'partitions')).toMatchObject({
    state: 'warning',
    message: 'partitions of tables in schemas that are not mapped become tables of their own',
    detail: 'Partitions: parts.log_1 of public.log; parts.log_2 of public.log.',
  });
  await it.world.say(`create ${create}`);
  await until('it follows', async () => (await it.status()) === 'running');
  await sources.from.exec('insert into log values (2), (12), (17)');
  const rows =
    'select tableoid::regclass::text as "table", id from old.log_2 union all select tableoid::regclass::text, id from old.log_1 order by 2';
  await until('the rows are there', async () => (await sources.to.exec(rows)).length === 6);
  expect(await sources.to.exec(rows)).toEqual(
    [1, 2, 11, 12, 16, 17].map((id) => ({ id, table: id < 10 ? 'old.log_1' : id < 15 ? 'old.log_21' : 'deep.log_22' })),
  );
  await it.world.say('drop mirror partitions_alone');
});
