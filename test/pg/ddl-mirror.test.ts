// A whole mirror whose source's tables change: the copy, the changes, the journal, and nothing left behind.
import { expect, test } from 'vitest';
import { columnsOf, rowsByName } from '../support/ddl.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test('what follows a change of the schema stands in the journal with its place in the log and the statements of the target', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await source.exec(
    "create table shop (id int primary key, name text); insert into shop select g, 'n' || g from generate_series(1, 50) g",
  );
  await using it = await running(source, target);
  await it.world.say('create mirror ddl_told from src to dst for all tables with (max_batch_size = 100)');
  await until('it streams', async () => (await it.status()) === 'running');
  await source.exec(
    'alter table shop add price numeric(8,2) default 9.95 not null, add code uuid default gen_random_uuid()',
  );
  await source.exec("alter table shop rename name to title; insert into shop values (60, 'new', 1.5)");
  await until('the change on the target', async () => {
    if ((await it.status()) !== 'running') return false;
    return (await target.exec<{ n: number }>('select count(*)::int as n from shop'))[0]?.n === 51;
  });
  expect(await rowsByName(target, 'shop')).toEqual(await rowsByName(source, 'shop'));
  expect(await columnsOf(target, 'shop')).toEqual(await columnsOf(source, 'shop'));
  const told = async () =>
    await it.world.database.exec<{ change: string; statements: string[]; behind: boolean }>(`
      select change, statements, lsn <= (select durable_lsn from sluice.mirrors) as behind
      from sluice.schema_changes where mirror = 'ddl_told' and source_table = 'public.shop'`);
  await until('the journal to tell', async () => (await told()).some(({ behind }) => behind));
  expect(await told()).toEqual([
    {
      change: 'public.shop: column name renamed to title, column price numeric(8,2) added, column code uuid added',
      statements: expect.arrayContaining([
        'alter table "public"."shop" rename column "name" to "title"',
        expect.stringMatching(/^alter table "public"."shop" add column "price" numeric\(8,2\) default /),
        expect.stringMatching(/price, code: values of 50 rows read from the source$/),
      ]),
      behind: true,
    },
  ]);
  await it.world.say('drop mirror ddl_told');
  expect(await target.exec("select 1 as there from pg_namespace where nspname = '_sluice'")).toEqual([]);
});

test('a mirror that copies nothing knows the columns as they were when its slot was made', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const made = `create table x (id int primary key, a int, b text, c int); create table p (id int, r int, a int, c int, primary key (id, r)) partition by list (r);
    create table p1 partition of p for values in (1); insert into x select g, g, 'b' || g, g * 10 from generate_series(1, 100) g;
    insert into p select g, 1, g, g * 10 from generate_series(1, 100) g`;
  await source.exec(made);
  await target.exec(made);
  await using it = await running(source, target);
  // Its first session cannot begin before the columns have changed.
  const holder = await target.connect();
  await holder.client.query('begin; lock table pg_replication_origin in access exclusive mode');
  await it.world.say(
    'create mirror ddl_follow from src to dst with table mapping (public.x:public.x, public.p:public.p) with (do_initial_copy = false)',
  );
  await until('the slot is there', async () => {
    const slots = await source.exec(`select 1 as there from pg_replication_slots where slot_name like '%ddl_follow'
      and confirmed_flush_lsn is not null`);
    const checkpoints = await target.exec<{ n: number }>(
      `select count(*)::int as n from pg_class where relname = 'checkpoints'`,
    );
    if (slots.length === 0 || checkpoints[0]?.n !== 1) return false;
    const [row] = await target.exec<{ n: number }>('select count(lsn)::int as n from _sluice.checkpoints');
    return row?.n === 1;
  });
  for (const table of ['x', 'p']) {
    const r = table === 'p' ? [', r', ', 1'] : ['', ''];
    await source.exec(`insert into ${table} (id${r[0]}, a, c) values (5001${r[1]}, 1, 2); alter table ${table} rename a to t;
      alter table ${table} rename c to a; alter table ${table} rename t to c; update ${table} set a = 7 where id = 2`);
  }
  await holder.client.query('rollback');
  const arrived = async () => {
    const [row] = await target.exec<{ n: number }>('select count(*)::int as n from p where id = 2 and a = 7');
    return row?.n === 1;
  };
  await until('the changes on the target', async () => (await it.status()) === 'running' && (await arrived()));
  for (const table of ['x', 'p']) {
    expect(await rowsByName(target, table), table).toEqual(await rowsByName(source, table));
  }
  await it.world.say('drop mirror ddl_follow');
});
