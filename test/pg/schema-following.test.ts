// What is bound to tables while a mirror follows: nothing fires twice, nothing filters what we write, and what waits is told.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { type RunningWorld, running } from '../support/running.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const audited = `
  create table t (id int primary key, v text); create table audit (at int generated always as identity primary key, what text);
  create function note() returns trigger language plpgsql as
    $$ begin insert into audit (what) values (concat_ws(' ', tg_argv[0], tg_op, coalesce(new.id, old.id))); return null; end $$;
  create trigger ordinary after insert or update or delete on t for each row execute function note('ordinary');
  create trigger statement after insert on t for each statement execute function note('statement');
  create trigger off after insert on t for each row execute function note('off'); alter table t disable trigger off;`;

const eager = `
  create trigger always after insert on t for each row execute function note('always'); alter table t enable always trigger always;
  create trigger replica after insert on t for each row execute function note('replica'); alter table t enable replica trigger replica;
  create table r (id int primary key, v text);
  create rule ins as on insert to r do also insert into audit (what) values ('rule ' || new.id);
  create rule upd as on update to r do also insert into audit (what) values ('rule of update ' || new.id);
  create function guard() returns event_trigger language plpgsql as $$ begin raise exception 'no %', tg_tag; end $$;
  create table secret (id int primary key, v text); insert into secret values (1, 'hidden');
  alter table secret enable row level security, force row level security;
  create policy nobody on secret using (false) with check (false);`;

async function ledger(it: RunningWorld, ...states: readonly string[]) {
  const rows = await it.world.database.exec<{ line: string; reason: string | null; statement: string | null }>(
    `select kind || ' ' || name || coalesce(' of ' || source_table, '') as line, reason, statement from sluice.objects
      where state = any('{${states.join()}}') order by 1`,
  );
  return rows;
}

async function audit(db: TestDatabase) {
  return (await db.exec<{ what: string }>('select what from audit order by at')).map(({ what }) => what);
}

test('a trigger that writes a row does not fire for mirrored rows while the mirror follows, and does for clients of the target', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  await source.exec(`${audited} ${eager} insert into t values (1, 'a'); insert into r values (1, 'a')`);
  await source.exec(
    `create event trigger stop_ddl on ddl_command_end when tag in ('ALTER TABLE', 'CREATE INDEX') execute function guard(); alter event trigger stop_ddl enable always`,
  );
  await it.world.say('create mirror bound_follows from src to dst for all tables');
  await until('it streams', async () => (await it.status()) === 'running');
  await source.exec(`insert into t values (2, 'b'), (3, 'c'); update t set v = 'd' where id = 1; delete from t where id = 3;
    insert into r values (2, 'b'); update r set v = 'c' where id = 1; insert into secret values (2, 'hidden too'); update secret set v = 'x'`);
  // Many at once take another way.
  await source.exec(`insert into t select i, 'many' from generate_series(100, 300) i`);
  const all = (await audit(source)).length;
  await until('everything arrived', async () => (await audit(target)).length >= all);
  expect(await audit(target)).toEqual(await audit(source));
  expect(await target.exec('select id, v from secret order by id')).toEqual(
    await source.exec('select id, v from secret order by id'),
  );
  await until('the ledger is there', async () => (await ledger(it, 'waiting')).length > 0);
  expect(await ledger(it, 'failed', 'left_out')).toEqual([]);
  expect(await ledger(it, 'waiting')).toEqual([
    {
      line: 'rule upd of public.r',
      reason: 'a table with a rule on UPDATE takes no INSERT … ON CONFLICT, which we may need',
      statement: expect.stringContaining('CREATE RULE upd AS'),
    },
    {
      line: 'setting event trigger stop_ddl',
      reason: 'the event trigger is disabled: it would fire for what the mirror does',
      statement: 'alter event trigger "stop_ddl" enable always',
    },
    {
      line: 'setting trigger always of public.t',
      reason: 'the trigger is disabled: enable always has it fire for mirrored rows',
      statement: 'alter table "public"."t" enable always trigger "always"',
    },
    {
      line: 'setting trigger replica of public.t',
      reason: 'the trigger is disabled: enable replica has it fire for mirrored rows',
      statement: 'alter table "public"."t" enable replica trigger "replica"',
    },
  ]);
  const shown = await it.world.show('show mirror bound_follows');
  expect(shown.find(({ property }) => property === 'rule upd of public.r')?.value).toMatch(
    /^waits for the change-over: /,
  );
  // What waits is no failure: RETRY leaves it as it is.
  await it.world.say('alter mirror bound_follows retry');
  expect((await ledger(it, 'waiting')).map(({ line }) => line)).toHaveLength(4);
  expect(
    await target.exec(`select tgname || tgenabled::text as state from pg_trigger where not tgisinternal order by 1`),
  ).toEqual(['alwaysD', 'offD', 'ordinaryO', 'replicaD', 'statementO'].map((state) => ({ state })));
  await it.world.say('pause mirror bound_follows');
  await until('it is paused', async () => (await it.status()) === 'paused');
  await target.exec(`insert into t values (1000, 'client')`);
  expect((await audit(target)).slice(all)).toEqual(['ordinary INSERT 1000', 'statement INSERT']);
});

test('as an ordinary role, that may not keep triggers from firing, they wait, and no policy hides or stops a mirrored row', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const suffix = randomBytes(4).toString('hex');
  const [role, app, stranger] = [`owner_${suffix}`, `app_${suffix}`, `stranger_${suffix}`];
  await target.exec(`create role ${role} login password 'x'; create role ${app}; create role ${stranger}; grant ${app} to ${role};
    grant ${stranger} to ${role} with inherit false, set true; grant create on database "${target.database}" to ${role};
    grant usage, create on schema public to ${role}, ${app}, ${stranger}`);
  try {
    await using it = await running(source, target);
    await it.world.peer('low', { ...target, user: role, password: 'x' });
    await source.exec(`${audited} ${eager} insert into t values (1, 'a'); insert into r values (1, 'a')`);
    await source.exec(`create table kept (id int primary key); grant create on schema public to ${app}, ${stranger};
      create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (9) partition by range (id);
      create table p11 partition of p1 for values from (0) to (5); create trigger parted after insert on p for each row execute function note('parted');
      alter table p11 disable trigger parted;
      alter table t owner to ${app}; alter table secret owner to ${app}; alter table kept owner to ${stranger}; insert into kept values (1)`);
    await it.world.say('create mirror bound_low from src to low for all tables');
    await until('it streams', async () => (await it.status()) === 'running');
    await source.exec(`insert into t values (2, 'b'); update t set v = 'd' where id = 1; insert into r values (2, 'b');
      insert into secret values (2, 'hidden too'); update secret set v = 'x'; delete from secret where id = 1;
      insert into kept values (2)`);
    const all = (await audit(source)).length;
    await until('everything arrived', async () => (await audit(target)).length >= all);
    await until('that too', async () => (await target.exec(`select from secret where v = 'x'`)).length === 1);
    expect(await audit(target)).toEqual(await audit(source));
    await until('the ledger is there', async () => (await ledger(it, 'waiting')).length > 0);
    expect((await ledger(it, 'waiting')).map(({ line }) => line)).toEqual([
      'owner owner of public.kept',
      'row security forced of public.secret',
      'rule ins of public.r',
      'rule upd of public.r',
      'setting trigger always of public.t',
      'setting trigger parted of public.p11',
      'setting trigger replica of public.t',
      'trigger ordinary of public.t',
      'trigger parted of public.p',
      'trigger statement of public.t',
    ]);
    expect(await ledger(it, 'failed')).toEqual([]);
    expect(
      await target.exec(`select relrowsecurity, relforcerowsecurity from pg_class where relname = 'secret'`),
    ).toEqual([{ relrowsecurity: true, relforcerowsecurity: false }]);
    await until('the last one too', async () => (await target.exec('select from kept')).length === 2);
    expect(
      await target.exec(`select relname, pg_get_userbyid(relowner) as owner from pg_class
      where relname in ('t', 'kept', 'secret') order by 1`),
    ).toEqual([
      { relname: 'kept', owner: role },
      { relname: 'secret', owner: app },
      { relname: 't', owner: app },
    ]);
    expect(await target.exec('select polname from pg_policy')).toEqual([{ polname: 'nobody' }]);
    await it.world.say('drop mirror bound_low');
  } finally {
    const mine = [role, app, stranger];
    for (const db of [source, target]) await db.exec(mine.map((each) => `drop owned by ${each} cascade`).join('; '));
    await target.exec(mine.map((each) => `drop role ${each}`).join('; '));
  }
});

test('a role that the target lacks is made there, and RETRY gives it what it has on the source', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const role = `late_${randomBytes(4).toString('hex')}`;
  await source.exec(`create role ${role}; create table t (id int primary key, v text); grant select (v), insert on t to ${role};
    alter table t enable row level security; create policy own on t to ${role} using (id > 1); alter table t owner to ${role}`);
  try {
    await using it = await running(source, target);
    await it.world.say('create mirror bound_late from src to dst for all tables with (initial_copy_only = true)');
    await until('it is completed', async () => (await it.status()) === 'completed');
    const missing = await ledger(it, 'left_out');
    expect(missing.map(({ line }) => line)).toEqual(['owner owner of public.t', 'policy own of public.t']);
    expect(new Set(missing.map(({ reason }) => reason))).toEqual(new Set([`the target has no role "${role}"`]));
    await target.exec(`create role ${role}`);
    await it.world.say('alter mirror bound_late retry');
    expect(await ledger(it, 'left_out', 'failed', 'waiting')).toEqual([]);
    const facts = `select pg_get_userbyid(relowner) as owner, polname, polroles::regrole[]::text[] as roles from pg_class c join pg_policy p on p.polrelid = c.oid`;
    expect(await target.exec(facts)).toEqual(await source.exec(facts));
  } finally {
    await target.exec(`drop owned by ${role} cascade; drop role ${role}`);
    await source.exec(`drop owned by ${role} cascade; drop role ${role}`);
  }
});
