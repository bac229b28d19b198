// A whole mirror with schema_changes = full: who may have it, what the journal, the list of tables and the ledger say, and nothing left behind.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { testCatalog, traces } from '../support/catalog.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const captures = `select (select count(*)::int from pg_event_trigger) as triggers,
  (select count(*)::int from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = '_sluice') as functions`;

test('all that was changed stands in the journal and in the list of tables, and DROP MIRROR leaves nothing behind', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await source.exec(
    "create table shop (id int primary key, name text, u int unique); insert into shop select g, 'n' || g, g from generate_series(1, 50) g; create table old (id int primary key)",
  );
  await using it = await running(source, target);
  await it.world.say("create mirror full_a from src to dst for all tables with (schema_changes = 'full')");
  await it.world.say(
    "create mirror full_b from src to dst with table mapping (public.shop:other.shop) with (schema_changes = 'full')",
  );
  const status = async () => (await it.world.show('show mirrors')).map((row) => row.status).join();
  await until('both stream', async () => (await status()) === 'running,running');
  // At once, before anybody has looked at the source again.
  await source.exec('alter table shop drop constraint shop_u_key; insert into shop (id, u) values (51, 50)');
  await source.exec('create index shop_name on shop (name)');
  await source.exec(`create table "new one" (id serial primary key, v text); insert into "new one" (v) values (1), (2);
    create view names as select v from "new one"`);
  await source.exec("alter table shop add x int default 3; drop table old; comment on table shop is 'ours'");
  const tables = async () => {
    const rows = await it.world.database.exec<{ name: string }>(
      "select source_table as name from sluice.tables where mirror = 'full_a' order by 1",
    );
    return rows.map(({ name }) => name).join();
  };
  await until('the list of tables', async () => (await tables()) === 'public."new one",public.shop');
  await source.exec('insert into shop (id) values (100); insert into "new one" (v) values (3)');
  await until('the objects', async () => {
    const [found] = await target.exec<{ there: boolean }>(`select to_regclass('public.shop_name') is not null
      and to_regclass('public.names') is not null and to_regclass('public.old') is null
      and to_regclass('other.shop_name') is not null and obj_description('other.shop'::regclass) = 'ours'
      and (select count(*) from "new one") = 3 and (select count(*) from other.shop where x = 3) = 52
      and (select count(*) from public.shop where x = 3) = 52 as there`);
    return found?.there === true;
  });
  const journal = async () =>
    await it.world.database.exec<{ change: string; statements: string[]; lsn: string }>(
      "select change, statements, lsn::text from sluice.schema_changes where mirror = 'full_a'",
    );
  const wanted = [
    'public.shop: index shop_name of public.shop made',
    'view public.names made',
    'public."new one": table joins the mirror',
    'public.old: dropped',
    'public.shop: column x integer added',
  ];
  await until('the journal', async () => {
    const lines = (await journal()).map(({ change }) => change);
    return wanted.every((line) => lines.includes(line));
  });
  const told = await journal();
  const changes = told.map(({ change }) => change);
  expect(new Set(changes).size).toBe(changes.length);
  expect(told.find(({ change }) => change === 'public.old: dropped')?.statements).toEqual([
    'drop table "public"."old"',
  ]);
  const ledger = async () =>
    JSON.stringify(
      await it.world.database.exec(
        "select kind, state from sluice.objects where mirror = 'full_a' and name in ('shop_name', 'names', 'old') order by 1",
      ),
    );
  const made = JSON.stringify(['index', 'view'].map((kind) => ({ kind, state: 'created' })));
  await until('the ledger', async () => (await ledger()) === made);
  expect(await source.exec(captures)).toEqual([{ triggers: 4, functions: 2 }]);
  // What is ours on the source is no object of the source's.
  expect(await it.world.database.exec("select name from sluice.objects where kind = 'event trigger'")).toEqual([]);
  await it.world.say('drop mirror full_a');
  await until('it is gone', async () => (await status()) === 'running');
  expect(await source.exec(captures)).toEqual([{ triggers: 2, functions: 1 }]);
  await source.exec('alter table shop add y int; insert into shop (id, y) values (200, 1)');
  await until(
    'the other follows',
    async () => (await target.exec('select from other.shop where id = 200')).length === 1,
  );
  await it.world.say('drop mirror full_b');
  await until('it is gone', async () => (await status()) === '');
  expect(await traces(source)).toEqual({ slots: [], publications: [], schemas: [] });
  expect(await source.exec(captures)).toEqual([{ triggers: 0, functions: 0 }]);
  await source.exec('create table after (id int)');
  expect(await target.exec("select 1 as there from pg_namespace where nspname = '_sluice'")).toEqual([]);
});

test('a role that may make no event trigger is told to have columns follow only, before anything is made', async () => {
  await using world = await testCatalog();
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const role = `plain_${randomBytes(4).toString('hex')}`;
  await source.exec(`create role ${role} login replication password 'secret'; grant all on database ${source.database} to ${role};
    create table a (id int primary key); alter table a owner to ${role}; grant all on schema public to ${role}`);
  await world.peer('src', { ...source, user: role, password: 'secret' });
  await world.peer('dst', target);
  const text = "mirror plain from src to dst for all tables with (schema_changes = 'full')";
  const rows = await world.show(`explain create ${text}`);
  expect(rows.find(({ check }) => check === 'schema changes')).toMatchObject({
    state: 'error',
    message: expect.stringContaining('event triggers'),
    hint: expect.stringContaining("schema_changes = 'columns'"),
  });
  await expect(world.say(`create ${text}`)).rejects.toMatchObject({ sqlstate: '42501' });
  expect(await traces(source)).toEqual({ slots: [], publications: [], schemas: [] });
  await source.exec(`drop owned by ${role}; drop role ${role}`);
});

test('what has passed the end of the log that a person asked for before a cut-over is there with its tables and indexes', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await source.exec('create table shop (id int primary key)');
  await using it = await running(source, target);
  await it.world.say("create mirror cut from src to dst for all tables with (schema_changes = 'full')");
  await until('it runs', async () => (await it.world.show('show mirrors'))[0]?.status === 'running');
  const afterwards = [
    'select 1',
    'insert into shop select count(*) from shop',
    "select pg_logical_emit_message(true, 'x', 'y')",
  ];
  for (const [n, after] of [...afterwards, ...afterwards].entries()) {
    await source.exec(`create table t${n} (id int primary key, v text); insert into t${n} select g, g from generate_series(1, 100) g;
      create index t${n}_v on t${n} (v); create sequence s${n}`);
    await source.exec(after);
    const [end] = await source.exec<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
    await until('it is durable', async () => {
      const [mirror] = await it.world.database.exec<{ ready: boolean }>(
        `select durable_lsn >= '${end?.lsn}' as ready from sluice.mirrors`,
      );
      return mirror?.ready === true;
    });
    expect(
      await target.exec(`select to_regclass('t${n}_v') is not null as index, to_regclass('s${n}') is not null as sequence,
        (xpath('/row/n/text()', query_to_xml('select count(*) as n from t${n}', false, true, '')))[1]::text as rows`),
    ).toEqual([{ index: true, sequence: true, rows: '100' }]);
  }
});
