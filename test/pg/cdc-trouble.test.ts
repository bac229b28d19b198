// What cannot be applied stops the mirror before it does harm, and says what and why.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

describe.each([
  ['one by one', ''],
  ['merged', '; insert into x select g, 0 from generate_series(1000, 1200) g'],
])('%s', (_how, more) => {
  test('a row that the target refuses stops the mirror with its table, key and the target’s error', async () => {
    await using source = await testDatabase(14);
    await using target = await testDatabase(18);
    const f = await following({
      source,
      target,
      tables: 'create table x (id int primary key, n int)',
      mirrored: ['x'],
    });
    await target.exec('alter table x add constraint small check (n < 100)');
    const running = f.start();
    await source.exec('insert into x values (1, 1)');
    await f.settle();
    await source.exec(`begin; insert into x values (2, 2), (7, 700), (8, 8)${more}; commit`);
    await expect(running.done).rejects.toMatchObject({
      sqlstate: '23514',
      message: expect.stringMatching(/^insert into public\.x \(id\) = \(7\) failed on the target: .*small/),
      retry: 'person',
    });
    expect((await f.rows('x')).target).toEqual(['(1,1)']);
    await target.exec('alter table x drop constraint small');
    const again = f.start();
    await f.settle();
    expect((await f.rows('x')).target).toEqual((await f.rows('x')).source);
    await again.stop();
  });

  test('a row that is missing or one too many on the target stops the mirror and is named', async () => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    const f = await following({
      source,
      target,
      tables:
        "create table x (id int primary key, n int); insert into x values (1, 1), (2, 2), (3, 3); create table k (a text, b date, primary key (a, b)); insert into k values ('it''s', '2020-02-02')",
      mirrored: ['x', 'k'],
    });
    const tries = [
      [
        'delete from x where id = 2',
        'update x set n = 5 where id = 2',
        /^update of public\.x \(id\) = \(2\) found no such row/,
        'insert into x values (2, 2)',
      ],
      [
        'delete from x where id = 3',
        'delete from x where id = 3',
        /^delete from public\.x \(id\) = \(3\) found no such row/,
        'insert into x values (3, 3)',
      ],
      [
        'insert into x values (4, 0)',
        'insert into x values (4, 4)',
        /^insert into public\.x \(id\) = \(4\) failed .*x_pkey/,
        'delete from x where id = 4',
      ],
      [
        'delete from k',
        'delete from k',
        /^delete from public\.k \(a, b\) = \(it's, 2020-02-02\) found no/,
        "insert into k values ('it''s', '2020-02-02')",
      ],
    ] as const;
    for (const [harm, change, message, mend] of tries) {
      const running = f.start();
      await f.settle();
      await target.exec(harm);
      await source.exec(`begin; ${change}${more}; commit`);
      await expect(running.done).rejects.toMatchObject({
        kind: 'conflict',
        message: expect.stringMatching(message),
        hint: expect.stringContaining('WITH (resync = true)'),
      });
      await target.exec(mend);
      const again = f.start();
      await f.settle();
      await again.stop();
      expect((await f.rows('x')).target).toEqual((await f.rows('x')).source);
      await source.exec('delete from x where id >= 1000');
    }
  });
});

test('a column that only the source has stops a mirror that does not follow changes of the schema, before the first row with it', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: 'create table x (id int primary key, n int)',
    mirrored: ['x'],
    options: { schema_changes: 'off' },
  });
  const running = f.start();
  await source.exec('insert into x values (1, 1)');
  await source.exec(
    `insert into x values (2, 2); alter table x add "New col" numeric(5,2) default 7; insert into x values (3, 3, 3.5)`,
  );
  await expect(running.done).rejects.toMatchObject({
    kind: 'wrong_state',
    detail: expect.stringContaining('New col'),
    hint: expect.stringContaining('ALTER TABLE public.x ADD COLUMN "New col" numeric(5,2)'),
  });
  expect((await f.rows('x')).target).toEqual(['(1,1)']);
  await target.exec('alter table x add "New col" numeric(5,2) default 7');
  const again = f.start();
  await f.settle();
  expect((await f.rows('x')).target).toEqual((await f.rows('x')).source);
  await again.stop();
});

test('a column that was added on both sides is followed, and one that was dropped on the source stays empty on the target, with a note', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({
    source,
    target,
    tables: 'create table x (id int primary key, n int, gone text); create type pair as (a int, b int)',
    mirrored: ['x'],
    options: { schema_changes: 'off' },
  });
  const running = f.start();
  await source.exec("insert into x values (1, 1, 'a')");
  await f.settle();
  await target.exec('alter table x add more text, add mood text');
  await source.exec(
    "alter table x add more text; insert into x values (2, 2, 'b', 'more'); update x set more = 'now' where id = 1",
  );
  await f.settle();
  // A type without a common binary form: the stream begins again with text.
  await target.exec('alter table x add p pair');
  await source.exec("alter table x add p pair; insert into x values (3, 3, 'c', 'more', row(1, 2))");
  await f.settle();
  expect((await target.exec('select id, p::text from x where id = 3'))[0]).toEqual({ id: 3, p: '(1,2)' });
  await source.exec('alter table x drop gone; insert into x values (4, 4, null)');
  await f.settle();
  expect(f.notes.filter((note) => note.includes('dropped column gone'))).toHaveLength(1);
  expect(await target.exec('select id, gone from x where id > 2 order by id')).toEqual([
    { id: 3, gone: 'c' },
    { id: 4, gone: null },
  ]);
  const [both] = await source.exec<{ rows: string }>(
    "select string_agg(row(id, n, more, p)::text, ';' order by id) as rows from x",
  );
  expect(
    (await target.exec("select string_agg(row(id, n, more, p)::text, ';' order by id) as rows from x"))[0],
  ).toEqual(both);
  await running.stop();
});

test.each([true, false])(
  'partitions made while running, with columns in another order, are followed (publish_via_partition_root = %s)',
  async (viaRoot) => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    const f = await following({
      source,
      target,
      tables: `create table m (id int, at date, v text, primary key (id, at)) partition by range (at);
      create table m1 partition of m for values from ('2024-01-01') to ('2025-01-01')`,
      mirrored: ['m'],
      viaRoot,
    });
    const running = f.start();
    for (const many of [2, 90]) {
      await source.exec(
        `insert into m select g + ${many * 1000}, '2024-05-05', 'x' from generate_series(1, ${many}) g`,
      );
      const part = `create table m${many} (v text, at date not null, id int not null); alter table m${many} add primary key (id, at);
      alter table m attach partition m${many} for values from ('${2000 + many}-01-01') to ('${2000 + many}-12-31')`;
      await source.exec(part);
      await target.exec(part);
      await source.exec(`insert into m select g, '${2000 + many}-02-02', 'y' from generate_series(1, ${many}) g; update m set v = v || id where id % 2 = 0;
      update m set at = date '2024-06-06' + ${many} where id = 1 and at = '${2000 + many}-02-02'; delete from m where id = 2`);
      await f.settle();
      expect((await f.rows('m')).target).toEqual((await f.rows('m')).source);
    }
    await running.stop();
  },
);

test('excluded columns stay on the source', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({
    source,
    target,
    tables:
      'create table x (secret text, id int primary key, n int); create table bag (a int, secret int); alter table bag replica identity full',
    mirrored: [
      { from: { schema: 'public', name: 'x' }, exclude: ['secret'] },
      { from: { schema: 'public', name: 'bag' }, exclude: ['secret'] },
    ],
  });
  await target.exec('alter table x drop secret; alter table bag drop secret');
  const running = f.start();
  for (const many of [3, 100]) {
    await source.exec(`insert into x select 's', g + ${many * 100}, 0 from generate_series(1, ${many}) g; update x set secret = 't'; update x set n = id;
      insert into bag select g % 2, g from generate_series(1, ${many}) g; delete from bag where secret = 1; update bag set a = 5 where secret = 2; delete from x where id % 10 = 0`);
    await f.settle();
    const [x] = await source.exec('select count(*) n, sum(id) ids, sum(x.n) ns from x');
    expect((await target.exec('select count(*) n, sum(id) ids, sum(x.n) ns from x'))[0]).toEqual(x);
    const [bag] = await source.exec("select string_agg(a::text, ',' order by a) s from bag");
    expect((await target.exec("select string_agg(a::text, ',' order by a) s from bag"))[0]).toEqual(bag);
  }
  await running.stop();
});

test('a target that grants neither superuser nor session_replication_role is followed in an order that its foreign keys accept', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const role = `r_${randomBytes(5).toString('hex')}`;
  const f = await following({
    source,
    target,
    tables:
      'create table child (id int primary key, p int); create table parent (id int primary key, up int); alter table child add foreign key (p) references parent; alter table parent add foreign key (up) references parent',
    mirrored: ['child', 'parent'],
  });
  await target.exec(`create role ${role} login password 'x'; grant all on schema public to ${role}; alter schema _sluice owner to ${role};
    alter table child owner to ${role}; alter table parent owner to ${role}; alter table mark owner to ${role};
    grant all on all tables in schema _sluice to ${role}`);
  try {
    Object.assign(f, { work: { ...f.work, target: { ...f.work.target, user: role, password: 'x' } } });
    const running = f.start();
    for (const many of [4, 100]) {
      await source.exec(`begin; insert into parent select g + ${many * 1000}, null from generate_series(1, ${many}) g; update parent set up = id - 1 where id % 2 = 0;
        insert into child select id, id from parent on conflict do nothing; delete from child where id % 3 = 0; update parent set up = null; delete from parent p where not exists (select from child c where c.p = p.id); commit`);
      await f.settle();
      for (const table of ['child', 'parent'])
        expect((await f.rows(table)).target).toEqual((await f.rows(table)).source);
    }
    expect(f.notes.join()).toContain('session_replication_role');
    await running.stop();
  } finally {
    await target.exec(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`);
  }
});

test('rows of one statement that refer to each other, and foreign keys that the source looked at late, are followed by an ordinary role', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const role = `r_${randomBytes(5).toString('hex')}`;
  const f = await following({
    source,
    target,
    tables: `create table tree (id int primary key, up int references tree); create table late (id int primary key, up int);
      alter table late add foreign key (up) references late deferrable`,
    mirrored: ['tree', 'late'],
  });
  await target.exec(`create role ${role} login password 'x'; grant all on schema public to ${role}; alter schema _sluice owner to ${role};
    alter table tree owner to ${role}; alter table late owner to ${role}; alter table mark owner to ${role};
    grant all on all tables in schema _sluice to ${role}`);
  try {
    Object.assign(f, { work: { ...f.work, target: { ...f.work.target, user: role, password: 'x' } } });
    const running = f.start();
    for (const many of [5, 300]) {
      // Each row before the one that it refers to; and the one that is referred to goes first.
      await source.exec(
        `insert into tree select g, case when g < ${many} then g + 1 end from generate_series(1, ${many}) g`,
      );
      await source.exec(
        `begin; set constraints all deferred; insert into late values (1, 2); insert into late values (2, null); commit`,
      );
      await f.settle();
      for (const table of ['tree', 'late']) expect((await f.rows(table)).target).toEqual((await f.rows(table)).source);
      await source.exec(`delete from tree; delete from late`);
      await f.settle();
      for (const table of ['tree', 'late']) expect((await f.rows(table)).target).toEqual([]);
    }
    await running.stop();
  } finally {
    await target.exec(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`);
  }
});

test('a slot that is gone or ahead of the target is never replaced in silence', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables: 'create table x (id int primary key)', mirrored: ['x'] });
  const running = f.start();
  await f.settle();
  await running.stop();
  await source.exec('insert into x values (1)');
  await until('the slot is free', async () => {
    const [slot] = await source.exec<{ active: boolean }>(
      `select active from pg_replication_slots where slot_name = '${f.work.name}'`,
    );
    return slot?.active === false;
  });
  await source.exec(`select pg_replication_slot_advance('${f.work.name}', pg_current_wal_lsn())`);
  await expect(f.start().done).rejects.toMatchObject({
    kind: 'slot_lost',
    hint: expect.stringContaining('WITH (resync = true)'),
  });
  await source.exec(`select pg_drop_replication_slot('${f.work.name}')`);
  await expect(f.start().done).rejects.toMatchObject({
    kind: 'slot_lost',
    message: expect.stringContaining('does not exist'),
  });
});

test('with truncate = false a TRUNCATE stays away, and is told of', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: 'create table x (id int primary key)',
    mirrored: ['x'],
    options: { truncate: false },
  });
  const running = f.start();
  await source.exec('insert into x values (1); truncate x; insert into x values (2)');
  await f.settle();
  expect((await f.rows('x')).target).toEqual(['(1)', '(2)']);
  await until('the note', () => f.notes.some((note) => note.includes('TRUNCATE')));
  await running.stop();
});

test('with sync_interval changes wait to be gathered, and without it one is there in milliseconds', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables: 'create table x (id int primary key)', mirrored: ['x'] });
  const running = f.start();
  await f.settle();
  const waits: number[] = [];
  for (let id = 1; id <= 20; id++) {
    await source.exec(`insert into x values (${id})`);
    const from = performance.now();
    const batch = await until(
      'the row',
      () => f.batches.find((each) => each.changes === 1 && each.tables.has('public.x')),
      5_000,
    );
    waits.push(performance.now() - from);
    expect(batch.committedAt.getTime() - batch.receivedAt.getTime()).toBeLessThan(5_000);
    f.batches.length = 0;
  }
  // `until` looks every 20 ms; a timer of ours that polled would show.
  waits.sort((a, b) => a - b);
  expect(waits[10]).toBeLessThan(100);
  await running.stop();
  Object.assign(f, { work: { ...f.work, options: { ...f.work.options, sync_interval: 1 } } });
  const slow = f.start();
  await source.exec('insert into x values (101)');
  await source.exec('insert into x values (102)');
  const gathered = await until('the batch', () => f.batches.find((each) => each.tables.get('public.x')?.inserts === 2));
  expect(gathered.transactions).toBe(2);
  await slow.stop();
});

test('a generated column that does not follow is told of once', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const options = { schema_changes: 'off' };
  const f = await following({
    source,
    target,
    tables: 'create table x (id int primary key)',
    mirrored: ['x'],
    options,
  });
  const running = f.start();
  await source.exec('insert into x values (1)');
  await f.settle();
  await source.exec('alter table x add g int generated always as (id * 2) stored; insert into x values (2)');
  await f.settle();
  await running.stop();
  const again = f.start();
  await source.exec('insert into x values (3)');
  await f.settle();
  await again.stop();
  expect(f.notes.filter((note) => note.includes('generated column'))).toEqual([
    'public.x on the source has a new generated column g, which does not follow with schema_changes = off; to have it, on the target run ALTER TABLE public.x ADD COLUMN g integer GENERATED ALWAYS AS ((id * 2)) STORED;',
  ]);
  expect((await f.rows('x')).target).toEqual(['(1)', '(2)', '(3)']);
});

test('a value that the target’s older version does not have is told as such', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: 'create domain span as interval; create table x (id int primary key, i span)',
    mirrored: ['x'],
  });
  const running = f.start();
  await source.exec(`insert into x values (1, '-infinity')`);
  await expect(running.done).rejects.toMatchObject({
    message: expect.stringMatching(/^insert into public\.x \(id\) = \(1\) failed on the target: /),
    hint: expect.stringMatching(
      /^PostgreSQL 14 of the target may lack this value, which PostgreSQL 18 of the source has/,
    ),
    retry: 'person',
  });
});
