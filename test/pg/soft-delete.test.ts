// With soft_delete a row that goes on the source stays on the target, marked; what comes back is the same row again.
import { describe, expect, test } from 'vitest';
import { type Following, following } from '../support/following.ts';
import { expectKept, type KeptTable, keepDeleted } from '../support/kept.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const options = { soft_delete: true, synced_at_col_name: '_PEERDB_SYNCED_AT' };
const definitions = `
  create table k (id bigint primary key, v text, big text); alter table k alter big set storage external;
  insert into k select g, 'v' || g, repeat(md5(g::text), 200) from generate_series(1, 40) g;
  create table two (a text, b int, v int, primary key (b, a)); insert into two select 'a' || g % 5, g, g from generate_series(1, 40) g;
  create table num (n numeric primary key, v int); insert into num select g, g from generate_series(1, 40) g;
  create table whole (id int primary key, v text, big text); alter table whole replica identity full; alter table whole alter big set storage external;
  insert into whole select g, 'w', repeat('big', 3000) from generate_series(1, 40) g;
  create table ix (x int, code text not null, v int); create unique index ix_code on ix (code); alter table ix replica identity using index ix_code;
  insert into ix select g, 'c' || g, g from generate_series(1, 40) g;
  create table bag (a int, b text); alter table bag replica identity full;
  insert into bag select g % 3, case when g % 2 = 0 then 'b' end from generate_series(1, 12) g;
  create table part (id int, at int, v text, primary key (id, at)) partition by range (at);
  create table part1 partition of part for values from (0) to (20); create table part2 partition of part for values from (20) to (1000);
  insert into part select g, g, 'p' from generate_series(1, 40) g;
  create table idn (id int generated always as identity primary key, v text);
  insert into idn (v) select 'v' || g from generate_series(1, 40) g;
  create table gen (code text primary key, n int generated always as identity, v text);
  insert into gen (code, v) select 'c' || g, 'v' from generate_series(1, 40) g;`;
const tables: readonly KeptTable[] = [
  { name: 'k', key: ['id'] },
  { name: 'two', key: ['b', 'a'] },
  { name: 'num', key: ['n'] },
  { name: 'whole', key: ['id'] },
  { name: 'ix', key: ['code'] },
  { name: 'bag', key: [] },
  { name: 'part', key: ['id', 'at'] },
  { name: 'idn', key: ['id'] },
  { name: 'gen', key: ['code'] },
];
const names = tables.map(({ name }) => name);

// A sequence that is the same for the same seed.
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % sides;
  };
}

// One statement over few keys, so that keys come, go and come again.
function change(roll: (sides: number) => number): string {
  const [a, b, n] = [roll(60), roll(60), roll(1000)];
  const each = [
    `insert into k values (${a}, 'i${n}', repeat('fresh', 800)) on conflict do nothing`,
    `update k set v = 'u${n}' where id = ${a}`,
    `update k set big = repeat('${n}', 1500) where id = ${a}`,
    `delete from k where id = ${a}`,
    `update k set id = ${b}, big = '${n}' where id = ${a} and not exists (select from k where id = ${b})`,
    `insert into two values ('a${a % 5}', ${b % 45}, ${n}) on conflict do nothing`,
    `update two set v = ${n} where b = ${b}`,
    `delete from two where b = ${a}`,
    `update two set a = a || 'x' where b = ${a} and length(a) < 4`,
    `insert into num values (${a}, ${n}) on conflict do nothing`,
    `update num set n = n::numeric(10, ${a % 4}) where n = ${b}`,
    `delete from num where n = ${a}`,
    `insert into whole values (${a}, 'i${n}', repeat('new', 2000)) on conflict do nothing`,
    `update whole set v = 'u${n}' where id = ${a}`,
    `update whole set id = ${b} where id = ${a} and not exists (select from whole where id = ${b})`,
    `delete from whole where id = ${a}`,
    `insert into ix values (${n}, 'c${a}', ${n}) on conflict do nothing`,
    `update ix set x = null, v = ${n} where code = 'c${a}'`,
    `delete from ix where code = 'c${a}'`,
    `insert into bag values (${a % 3}, case when ${b} % 2 = 0 then 'b' end), (${a % 3}, 'twice'), (${a % 3}, 'twice')`,
    `update bag set a = ${b % 3} where ctid = (select min(ctid) from bag where a = ${a % 3})`,
    `delete from bag where ctid = (select max(ctid) from bag where a = ${a % 3})`,
    `insert into part values (${a}, ${b % 40}, 'i${n}') on conflict do nothing`,
    `update part set at = ${b % 40} where id = ${a} and not exists (select from part p where p.id = ${a} and p.at = ${b % 40}) and (select count(*) from part p where p.id = ${a}) = 1`,
    `delete from part where id = ${a}`,
    `insert into idn (id, v) overriding system value values (${a}, 'i${n}') on conflict do nothing`,
    `update idn set v = 'u${n}' where id = ${a}`,
    `delete from idn where id = ${a}`,
    `insert into gen (code, v) values ('c${a}', 'i${n}') on conflict do nothing`,
    `update gen set v = 'u${n}' where code = 'c${a}'`,
    `update gen set n = default where code = 'c${a}'`,
    `update gen set code = 'c${b}' where code = 'c${a}' and not exists (select from gen where code = 'c${b}')`,
    `delete from gen where code = 'c${a}'`,
  ];
  return each[roll(each.length)] ?? '';
}

async function story(f: Following, seed: number, restart: () => Promise<void>): Promise<void> {
  const roll = dice(seed);
  for (let round = 0; round < 14; round++) {
    const many = [1, 3, 12, 150][round % 4] ?? 1;
    const changes = Array.from({ length: many }, () => change(roll));
    // In the middle, at either side of which the same keys are used.
    if (round % 5 === 3) changes.splice(roll(many), 0, round % 2 === 0 ? 'truncate k, bag' : 'truncate part, two');
    await f.source.exec(`begin; ${changes.join('; ')}; commit`);
    if (round % 3 === 1) await restart();
    await f.settle();
    await expectKept(f, tables);
  }
}

describe.each([
  [14, 18, 'binary'],
  [18, 14, 'text'],
] as const)('from PostgreSQL %i to %i, values in %s', (from, to, form) => {
  test('rows are marked, come back and move as they would one by one, however they are gathered', async () => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    // A type of one's own has no common binary form.
    const text =
      form === 'text' ? 'create type pair as (a int, b int); create table odd (id int primary key, p pair);' : '';
    const mirrored = form === 'text' ? [...names, 'odd'] : names;
    const f = await following({ source, target, tables: text + definitions, mirrored, options });
    const kept = form === 'text' ? [...tables, { name: 'odd', key: ['id'] }] : tables;
    await keepDeleted(f, kept);
    let run = f.start();
    await story(f, from, async () => {
      // The session that applies is cut, wherever it is; what it had not committed comes again.
      await until('a session is struck', async () => {
        const struck = await target.exec(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'sluice apply%'`,
        );
        return struck.length > 0;
      });
      await run.done.catch(() => undefined);
      run = f.start();
    });
    await run.stop();
  });
});

test('every row that is written gets the time of it, others keep theirs', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables: definitions, mirrored: names, options });
  await keepDeleted(f, tables);
  const run = f.start();
  await source.exec(
    "update k set v = 'x' where id = 1; delete from k where id = 2; insert into k values (100, 'new', '')",
  );
  await f.settle();
  const synced = 'select id, "_PEERDB_SYNCED_AT" is not null as synced from k where id in (1, 2, 3, 100) order by id';
  const expected = [1, 2, 3, 100].map((id) => ({ id: String(id), synced: id !== 3 }));
  expect(await target.exec(synced)).toEqual(expected);
  const [first] = await target.exec<{ at: string }>('select max("_PEERDB_SYNCED_AT")::text as at from k');
  await source.exec(`update k set v = 'y' where id > 3`);
  await f.settle();
  const late = `select count(*)::int as n from k where "_PEERDB_SYNCED_AT" > '${first?.at}'`;
  expect(await target.exec(late)).toEqual([{ n: 38 }]);
  await run.stop();
});

test('synced_at_col_name alone: rows go and come as on the source, each with its time', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  await source.exec(
    "create table s (id int primary key, v text); insert into s select g, 'v' from generate_series(1, 50) g",
  );
  await it.world.say(
    `create mirror synced from src to dst with table mapping (public.s:public.s) with (synced_at_col_name = 'at')`,
  );
  await until('it runs', async () => (await it.status()) === 'running');
  await source.exec(
    "delete from s where id < 10; update s set v = 'w' where id > 40; insert into s select g, 'n' from generate_series(100, 300) g; insert into s values (400, 'one')",
  );
  const state = (db: typeof source) => db.exec('select id, v from s order by id');
  await until('the last row', async () => (await target.exec('select from s where id = 400')).length === 1);
  expect(await state(target)).toEqual(await state(source));
  expect(await target.exec('select count(*)::int as n from s where at is null')).toEqual([{ n: 0 }]);
});

test('a mirror with soft_delete makes its column, copies, follows, and leaves out what deleted rows would violate', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  await source.exec(`create table users (id int primary key, mail text unique, n int);
    create table orders (id int primary key, of_user int references users (id), of_mail text references users (mail));
    create index users_n on users (n); insert into users values (1, 'a', 1), (2, 'b', 2); insert into orders values (1, 1, 'a')`);
  await it.world.say(`create mirror kept from src to dst with table mapping (public.users:public.users, public.orders:public.orders)
    with (soft_delete = true, soft_delete_col_name = 'gone')`);
  await until('it runs', async () => (await it.status()) === 'running');
  expect(await target.exec('select id, gone from users order by id')).toEqual([
    { id: 1, gone: false },
    { id: 2, gone: false },
  ]);
  await source.exec("delete from users where id = 2; insert into users values (3, 'b', 3)");
  await until('the new row', async () => (await target.exec('select from users where id = 3')).length === 1);
  expect(await target.exec('select id, mail, gone from users order by id')).toEqual([
    { id: 1, mail: 'a', gone: false },
    { id: 2, mail: 'b', gone: true },
    { id: 3, mail: 'b', gone: false },
  ]);
  const left = await it.world.database.exec(
    "select name, state, reason from sluice.objects where state = 'left_out' order by name",
  );
  expect(left).toEqual([
    { name: 'orders_of_mail_fkey', state: 'left_out', reason: expect.stringContaining('soft_delete') },
    { name: 'users_mail_key', state: 'left_out', reason: expect.stringContaining('soft_delete') },
  ]);
});

test('a source that has the column already is refused before anything is made', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  await source.exec('create table users (id int primary key, gone boolean)');
  const create = `create mirror clash from src to dst with table mapping (public.users:public.users)
    with (soft_delete = true, soft_delete_col_name = 'gone')`;
  await expect(it.world.say(create)).rejects.toMatchObject({
    message: expect.stringContaining('public.users has a column "gone", which the mirror is to fill itself'),
  });
});
