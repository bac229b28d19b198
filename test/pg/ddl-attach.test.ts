// Partitions that leave their table, are altered by themselves and come back: with schema_changes = full all of their rows do.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { everything, quiet, quieted } from '../support/ddl-full.ts';
import { type Following, following, type Running } from '../support/following.ts';
import { databaseOn, type OwnServer, ownServer, type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

// Sources on servers of their own: who reads a table again waits for every transaction of the source's server.
const servers = new Map<14 | 17, OwnServer>();
beforeAll(async () => {
  const [old, late] = await Promise.all([ownServer({ major: 14 }), ownServer({ major: 17 })]);
  servers.set(14, old).set(17, late);
});
afterAll(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]();
});

async function sourceOf(major: 14 | 17): Promise<TestDatabase> {
  const own = servers.get(major);
  if (own === undefined) throw new Error('not started');
  return await databaseOn(own.server.config(), major);
}

const from = [14, 17] as const;
const target = (major: 14 | 17) => testDatabase(major === 14 ? 18 : 14);

interface Sides {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

async function full(sides: Sides, tables: string, mirrored: readonly string[], more = {}) {
  const options = { schema_changes: 'full', ...more };
  const f = await following({ ...sides, tables, mirrored, options, scope: { kind: 'all' } });
  await quieted(f);
  return f;
}

/** As quiet; what the source altered while it was asked is asked again, as the runner does. */
async function quietAtLast(f: Following, running: Running): Promise<Running> {
  for (let now = running, tries = 1; ; tries++) {
    try {
      await quiet(f, now);
      return now;
    } catch (error) {
      if (!(error instanceof SluiceError) || error.retry !== 'backoff' || tries === 10) throw error;
      now = f.start();
    }
  }
}

/** Statements one by one. */
async function run(db: TestDatabase, ...steps: readonly string[]): Promise<void> {
  for (const step of steps) for (const statement of step.split('; ')) await db.exec(statement);
}

const va = `create table va (id int, r int, z int, primary key (id, r)) partition by range (r);
  create table va1 partition of va for values from (0) to (10); create table va2 partition of va for values from (10) to (20);
  insert into va select i, i, 0 from generate_series(1, 15) i`;

const away = 'alter table va detach partition va1';
const back = 'alter table va attach partition va1 for values from (0) to (10)';

// Each leaves the partition in its place. `update va` gives the target's table its column before that.
const stories: Readonly<Record<string, readonly string[]>> = {
  'a column that its table got meanwhile': [
    away,
    'update va1 set z = 55; insert into va1 values (7, 9, 1)',
    'alter table va add column k int; update va set k = 6; alter table va1 add column k int',
    back,
  ],
  'a column less, and another of the same name': [
    away,
    'update va1 set z = 55; delete from va1 where id = 2; alter table va drop column z; update va set id = id + 100',
    `alter table va add column z text not null default 't'; update va set z = 'u'; alter table va1 drop column z`,
    `alter table va1 add column z text not null default 'v'`,
    back,
  ],
  'a column that no row of its table has brought': [
    away,
    'alter table va add column k int default 3; alter table va1 add column k int default 5',
    'update va1 set k = 8 where id = 3; insert into va1 values (8, 9, 1)',
    back,
  ],
  'a generated column, a check and another collation': [
    away,
    `alter table va add column g int generated always as (z + 1) stored, add column c text collate "C", add check (z < 100)`,
    'update va set z = 2',
    `alter table va1 add column g int generated always as (z + 1) stored, add column c text collate "C"`,
    'alter table va1 add constraint va_z_check check (z < 100)',
    back,
  ],
  'another partition of its name in its place for a while': [
    away,
    'alter table va1 rename to old; update old set z = 55',
    'create table va1 partition of va for values from (0) to (10); insert into va values (1, 1, 1)',
    'alter table va add column k int; update va set k = 6; drop table va1; alter table old add column k int',
    'alter table old rename to va1',
    back,
  ],
  'a second visit between': [
    away,
    'alter table va add column k int; update va set k = 6; alter table va1 add column k int; update va1 set k = 7',
    back,
    'update va set z = 9; insert into va values (8, 9, 1, 1)',
    away,
    'update va1 set k = 8 where id < 4; alter table va add column n int; update va set n = 10; alter table va1 add column n int',
    back,
  ],
};

const ways = ['at once', 'after a pause', 'once it was mirrored by itself'] as const;
const cases = Object.entries(stories).flatMap(([name, steps]) => ways.map((way) => [name, way, steps] as const));

test.each(cases)('a partition that comes back with %s follows %s', async (_, way, [detach = '', ...steps]) => {
  const major = way === 'at once' ? 17 : 14;
  await using source = await sourceOf(major);
  await using to = await target(major);
  const f = await full({ source, target: to }, `${va}; create view seen as select id from va1`, ['va']);
  let running = f.start();
  if (way === 'after a pause') await running.stop();
  else await f.settle();
  await run(source, detach);
  if (way === 'once it was mirrored by itself') {
    await Promise.race([until('it is mirrored by itself', async () => f.work.tables.length === 3), running.done]);
    await quiet(f, running);
    await running.stop();
  }
  await run(source, ...steps);
  running = await quietAtLast(f, way === 'at once' ? running : f.start());
  expect(await everything(to)).toEqual(await everything(source));
  await run(source, 'update va set id = id + 1000 where r < 5; delete from va where r > 7');
  await quiet(f, running);
  await running.stop();
  expect(await everything(to)).toEqual(await everything(source));
});

test.each(from)(
  'a table that was away goes on by itself where it has left again, from PostgreSQL %i',
  async (major) => {
    await using source = await sourceOf(major);
    await using to = await target(major);
    const f = await full({ source, target: to }, va, ['va']);
    const running = f.start();
    await run(source, away);
    await Promise.race([until('it is mirrored by itself', async () => f.work.tables.length === 3), running.done]);
    await quiet(f, running);
    await running.stop();
    await run(
      source,
      'alter table va add column k int; update va set k = 6; alter table va1 add column k int default 4',
    );
    await run(source, back, 'update va set z = z + 1 where r < 20; insert into va values (8, 9, 1, 1)');
    await run(source, away, 'update va1 set k = 5 where id = 3; delete from va1 where id = 4');
    await quieted(f);
    expect(await everything(to)).toEqual(await everything(source));
  },
);

test.each(from)(
  'a partition with partitions that were others while it was away follows, from PostgreSQL %i',
  async (major) => {
    await using source = await sourceOf(major);
    await using to = await target(major);
    const tables = `${va}; create table va3 partition of va for values from (20) to (30) partition by list (id);
      create table va31 partition of va3 for values in (1); create table va32 partition of va3 for values in (2);
      create table va33 partition of va3 default; insert into va select i, 20 + i, 0 from generate_series(1, 6) i`;
    const f = await full({ source, target: to }, tables, ['va']);
    for (const steps of [[], ['drop table va31', 'alter table va3 detach partition va32']] as const) {
      await run(source, 'alter table va detach partition va3', ...steps);
      await run(source, `alter table va add column k${steps.length} int; update va set z = 6`);
      await run(source, `alter table va3 add column k${steps.length} int; update va3 set z = 7 where id > 1`);
      if (steps.length > 0) await run(source, 'create table va34 partition of va3 for values in (1, 2)');
      await run(source, 'alter table va attach partition va3 for values from (20) to (30)');
      await run(source, 'insert into va (id, r, z) values (1, 29, 29), (2, 29, 29) on conflict do nothing');
      await quieted(f);
      expect(await everything(to)).toEqual(await everything(source));
    }
  },
);

test.each(from)(
  'rows of a table that becomes a partition follow, though the source had told none of it, from PostgreSQL %i',
  async (major) => {
    await using source = await sourceOf(major);
    await using to = await target(major);
    const f = await full({ source, target: to }, va, ['va']);
    const running = f.start();
    await f.settle();
    await run(source, 'create table va3 (like va including all); insert into va3 values (1, 25, 1), (2, 26, 2)');
    await run(
      source,
      'alter table va attach partition va3 for values from (20) to (30)',
      'insert into va values (3, 27, 3)',
    );
    await quiet(f, running);
    await run(source, 'insert into va values (4, 28, 4)', 'update va set z = 9 where r > 25');
    await quiet(f, running);
    await running.stop();
    expect(await everything(to)).toEqual(await everything(source));
  },
);

const lp = `create table lp (id int, r int, z int, y int, x int, primary key (id, r)) partition by range (r);
  create table lp1 partition of lp for values from (0) to (10); alter table lp detach partition lp1;
  alter table lp1 drop column y; alter table lp1 add column y int;
  alter table lp attach partition lp1 for values from (0) to (10); insert into lp select i, i, 0, i, i from generate_series(1, 9) i`;

test.each(from)(
  'a partition that was mirrored by itself, and lost and got columns before it came back, follows from PostgreSQL %i',
  async (major) => {
    await using source = await sourceOf(major);
    await using to = await target(major);
    const f = await full({ source, target: to }, lp, ['lp']);
    const first = f.start();
    await run(source, 'alter table lp detach partition lp1');
    await quiet(f, first);
    await first.stop();
    await run(source, 'alter table lp add column k int; alter table lp1 add column k int, drop column y');
    await run(
      source,
      'alter table lp1 add column y int; alter table lp attach partition lp1 for values from (0) to (10)',
    );
    await quieted(f);
    expect(await everything(to)).toEqual(await everything(source));
    await run(source, 'update lp set k = 1, y = 2 where id = 3; insert into lp values (7, 9, 1, 1, 1, 1)');
    await quieted(f);
    expect(await everything(to)).toEqual(await everything(source));
  },
);

/** Follows until the mirror stops; its hint. */
async function stopped(f: Following): Promise<string> {
  const running = f.start();
  const error = await Promise.race([quiet(f, running), running.done]).then(
    () => null,
    (thrown: SluiceError) => thrown,
  );
  expect(error).toMatchObject({ kind: 'wrong_state' });
  return error?.hint ?? '';
}

/** What it says is to be run, run as it stands. */
async function obey(db: TestDatabase, hint: string): Promise<void> {
  const said = /^On the target run (.*); then RESUME MIRROR\.$/.exec(hint)?.[1];
  expect(said, hint).toBeDefined();
  await db.exec(said ?? '');
}

async function sameRows(f: Following, table: string): Promise<void> {
  const { source, target: there } = await f.rows(table);
  expect(there).toEqual(source);
}

const filled = [
  'create table va3 (like va including all); insert into va3 values (1, 25, 1), (2, 26, 2)',
  'alter table va attach partition va3 for values from (20) to (30); insert into va values (3, 27, 3)',
];

test.each([
  ['other columns', 'create table va3 (mine text); insert into va3 values ($$m$$)'],
  [
    'the same columns, and rows',
    'create table va3 (id int not null, r int not null, z int); insert into va3 values (9, 29, 9)',
  ],
  ['no columns, as it is a sequence', 'create sequence va3'],
])(
  'what has the name of a new partition on the target stays, with %s, and the rows of the partition come',
  async (_, own) => {
    await using source = await sourceOf(14);
    await using to = await target(14);
    const f = await full({ source, target: to }, va, ['va']);
    await to.exec(`${own}; create view theirs as select * from va3`);
    const before = await to.exec('select * from theirs');
    await run(source, ...filled);
    await obey(to, await stopped(f));
    await quieted(f);
    await sameRows(f, 'va');
    expect(await to.exec('select * from theirs')).toEqual(before);
  },
);

test('a partition that a person made on the target in place of the mirror is read again with its table', async () => {
  await using source = await sourceOf(17);
  await using to = await target(17);
  const f = await full({ source, target: to }, va, ['va']);
  await to.exec('create table va3 (mine text)');
  await run(source, ...filled);
  await stopped(f);
  await to.exec(`drop table va3; create table va3 (like va including all);
    alter table va attach partition va3 for values from (20) to (30)`);
  await quieted(f);
  await sameRows(f, 'va');
});

// The target refuses it to the mirror, not to a person.
const refuse = `create function refuse() returns event_trigger language plpgsql as $$ begin
    if current_query() ~* 'attach partition|partition of' and current_setting('application_name') like 'sluice%' then
      raise 'not now' using errcode = '42501'; end if; end $$;
  create event trigger refuse on ddl_command_start execute function refuse(); alter event trigger refuse enable always`;

test.each([
  ['that was away', [away, 'update va1 set z = 55; insert into va1 values (7, 9, 1)', back]],
  ['that came back with other columns', stories['a column that its table got meanwhile'] ?? []],
  ['that is new', ['create table va3 partition of va for values from (20) to (30); insert into va values (3, 27, 3)']],
])('a partition %s and that a person attached as the hint says has all of its rows', async (_, steps) => {
  await using source = await sourceOf(14);
  await using to = await target(14);
  const f = await full({ source, target: to }, va, ['va']);
  await to.exec(refuse);
  await run(source, ...steps);
  await obey(to, await stopped(f));
  await quieted(f);
  await sameRows(f, 'va');
  await to.exec('drop event trigger refuse');
});

test('with soft_delete a partition that comes back stops the mirror for good, by hand too: only a new copy helps', async () => {
  await using source = await sourceOf(14);
  await using to = await target(14);
  const tables = va.replace('z int', 'z int, gone bool not null default false');
  const options = { schema_changes: 'full', soft_delete: true, soft_delete_col_name: 'gone' };
  const f = await following({ source, target: to, tables, mirrored: ['va'], options, scope: { kind: 'all' } });
  await to.exec('alter table mark add gone boolean not null default false');
  await quieted(f);
  await run(source, away, 'update va1 set z = 55', back);
  expect(await stopped(f)).toMatch(/^Only a new copy helps: DROP MIRROR "f_[0-9a-f]{8}"; then CREATE MIRROR/);
  await to.exec(back);
  expect(await stopped(f)).toMatch(/^Only a new copy helps/);
});

test('a partition that has left and cannot be mirrored by itself, as something of the target hangs on it, is told of with what lets it', async () => {
  await using source = await sourceOf(14);
  await using to = await target(14);
  const f = await full({ source, target: to }, va, ['va']);
  await to.exec('create view theirs as select z from va1');
  const running = f.start();
  await run(source, away, 'alter table va1 add column k int');
  const told = () => f.notes.find((note) => note.startsWith('new table public.va1 is not mirrored yet'));
  await Promise.race([until('it is told of', async () => told() !== undefined), running.done]);
  const statement = /To mend it, on the target: (.+;)$/.exec(told() ?? '')?.[1];
  expect(statement).toBeDefined();
  await to.exec(statement ?? '');
  await run(source, 'insert into va1 values (7, 9, 1)', 'create table next (id int primary key)');
  await quiet(f, running);
  await running.stop();
  await sameRows(f, 'va1');
});
