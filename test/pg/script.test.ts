// What a mirror leaves to an administrator: summed up where people look, and one script of it in order; and mirrors of one name told apart.
import { expect, test } from 'vitest';
import { ordinaryRole } from '../support/database.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test('what an ordinary role cannot make is summed up, and one script makes it in order', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const tables = Array.from({ length: 6 }, (_, i) => `create table t${i} (id int primary key);`).join('');
  await source.exec(`${tables} create function f() returns trigger language plpgsql as 'begin return null; end';
    create view "two
lines; drop table t0" as select; create trigger tr after insert on t1 for each row execute function f();
    create function told() returns event_trigger language plpgsql as 'begin end';
    create event trigger "first; --" on ddl_command_end execute function told();
    alter event trigger "first; --" disable; comment on event trigger "first; --" is 'mine';
    alter database "${source.database}" set app.key = 'hush'`);
  await using ordinary = await ordinaryRole(target);
  await using it = await running(source, ordinary);
  const mapping = 'mirror scripted from src to dst for all tables';
  const explained = await it.world.show(`explain create ${mapping}`);
  const objects = explained.find(({ check }) => check === 'objects')?.detail?.split('\n');
  expect(objects).toContainEqual(expect.stringMatching(/^owner .* and \d+ more: our role is no member of "sluice"$/));
  expect(objects?.filter((line) => line.startsWith('owner'))).toHaveLength(1);
  await it.world.say(`create ${mapping}`);
  await until('it follows', async () => (await it.status()) === 'running');
  const shown = (await it.world.show('show mirror scripted')).map(({ property, value }) => `${property}: ${value}`);
  expect(shown.filter((line) => line.startsWith('owner'))).toEqual([
    expect.stringMatching(
      /^owner of \d+ objects: left out: our role is no member of "sluice" \(.*, .*, .* and \d+ more\)$/s,
    ),
  ]);
  expect(shown).toContainEqual(
    expect.stringMatching(
      /^for an administrator: \d+ now, 1 at the change-over: SELECT text FROM sluice\.script WHERE mirror = 'scripted' ORDER BY step$/,
    ),
  );
  await until('the journal says so', async () => {
    const notes = await it.world.database.exec<{ message: string }>(
      `select message from sluice.journal where event = 'note'`,
    );
    return notes.some(({ message }) => message.startsWith('statements are left to an administrator'));
  });
  await it.world.say('pause mirror scripted');
  await until('it is paused', async () => (await it.status()) === 'paused');
  const script = await it.world.database.exec<{ text: string }>(
    `select text from sluice.script where mirror = 'scripted' order by step`,
  );
  // A person fills in what is a secret.
  const withheld = script.filter(({ text }) => text.startsWith('--'));
  expect(withheld).toEqual([
    {
      text: `-- setting of the database: app.key: the database itself is not changed by a mirror\n--   alter database "${target.database}" set "app"."key" to '********';`,
    },
  ]);
  // As one text, as psql would be given it.
  await target.exec(script.map(({ text }) => text).join('\n'));
  const facts = `select (select count(*)::int from pg_trigger where not tgisinternal) as triggers,
    (select evtenabled::text || obj_description(oid, 'pg_event_trigger') from pg_event_trigger) as event,
    (select count(*)::int from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
      and pg_get_userbyid(relowner) = 'sluice') as owned`;
  expect(await target.exec(facts)).toEqual([{ triggers: 1, event: 'Dmine', owned: 7 }]);
  await target.exec('drop event trigger "first; --"');
  await it.world.say('drop mirror scripted');
});

test('the journal tells mirrors apart that had one name after each other', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  await source.exec('create table t (id int primary key)');
  for (const round of [1, 2]) {
    await it.world.say(
      `create mirror same_name from src to dst for all tables with (initial_copy_only = true, resync = true)`,
    );
    await until('it is copied', async () => (await it.status()) === 'completed');
    if (round === 1) await it.world.say('drop mirror same_name');
  }
  const entries = await it.world.database.exec<{ id: string; dropped: boolean; n: number }>(
    `select mirror_id as id, mirror_dropped as dropped, count(*)::int as n, count(distinct mirror_created_at)::int as times
     from sluice.journal where mirror = 'same_name' group by 1, 2 order by min(at)`,
  );
  expect(entries).toMatchObject([
    { dropped: true, times: 1 },
    { dropped: false, times: 1 },
  ]);
  const rows = await it.world.show('show mirror same_name');
  expect(rows.find(({ property }) => property === 'id')?.value).toBe(entries[1]?.id);
});
