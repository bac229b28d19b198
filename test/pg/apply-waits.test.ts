// A target that lets changes wait, or ends our session: who it is, and which side, is told.
import { expect, test } from 'vitest';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test('SHOW MIRROR names who holds the lock that changes wait for on the target; a session that is ended there says which side it was', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await source.exec('create table x (id int primary key)');
  await using it = await running(source, target);
  await it.world.say('create mirror waits_for_lock from src to dst for all tables');
  await until('it follows', async () => (await it.status()) === 'running');
  const holder = await target.connect();
  await holder.client.query(`set application_name = 'nightly report'; begin; lock table x`);
  const [{ pid } = { pid: 0 }] = (await holder.client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
  await source.exec('insert into x values (1)');
  const shown = async () =>
    (await it.world.show('show mirror waits_for_lock')).find(({ property }) => property === 'waits for')?.value ?? '';
  await until('the wait to be shown', async () => (await shown()) !== '');
  expect(await shown()).toMatch(
    new RegExp(
      `^process ${pid} \\(user \\w+, application nightly report, idle in transaction for \\d+ s\\) on the target`,
    ),
  );
  expect(await it.world.database.exec('select waits_for from sluice.waits')).toEqual([{ waits_for: await shown() }]);
  // What it waits for is another's; the session is ours.
  const ended = `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'sluice apply waits_for_lock %'`;
  await target.exec(ended);
  const trouble = async () => {
    const [row] = await it.world.database.exec<{ message: string; hint: string }>(
      `select message, details ->> 'hint' as hint from sluice.journal where event = 'trouble'`,
    );
    return row;
  };
  await until('the trouble to be told', async () => (await trouble()) !== undefined);
  expect((await trouble())?.message).toMatch(/^the target \(.*, database \w+\) says: terminating connection/);
  expect((await trouble())?.hint).toMatch(/^Somebody ended the mirror's session on the target/);
  await holder.client.query('commit');
  await until('the row to come', async () => (await target.exec('select from x')).length === 1);
  await until('nothing to be waited for', async () => (await shown()) === '');
  await it.world.say('drop mirror waits_for_lock');
});
