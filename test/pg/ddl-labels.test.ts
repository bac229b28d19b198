// Labels of enums follow before the rows that need them, also where the log is silent about them.
import { expect, test } from 'vitest';
import { type SluiceError, toSluiceError } from '../../src/base/errors.ts';
import { dropCheckpoint } from '../../src/peers/checkpoint.ts';
import { settled } from '../support/ddl.ts';
import { type Following, following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const labels =
  "select string_agg(enumlabel, ',' order by enumsortorder) as labels from pg_enum where enumtypid = 'mood'::regtype";

test.each([
  [14, 18],
  [18, 14],
] as const)(
  'labels that are added to an enum while the mirror runs follow from PostgreSQL %i to %i',
  async (from, to) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const f = await following({
      source,
      target,
      tables:
        "create type mood as enum ('glad', 'sad'); create table x (id int primary key, m mood, l mood[]); insert into x values (1, 'glad')",
      mirrored: ['x'],
    });
    const running = f.start();
    await source.exec("insert into x values (2, 'sad')");
    await Promise.race([f.settle(), running.done]);
    await source.exec(`alter type mood add value 'it''s "so"' before 'glad'`);
    await source.exec("alter type mood add value 'furious' after 'glad'");
    await source.exec(
      `insert into x values (3, 'it''s "so"', '{furious,NULL}'); update x set m = 'furious' where id = 1`,
    );
    await Promise.race([f.settle(), running.done]);
    await running.stop();
    // Also while it does not run, and for a column that has no row of it yet.
    await source.exec("alter type mood add value 'last'");
    await settled(f);
    expect((await f.rows('x')).target).toEqual((await f.rows('x')).source);
    expect(await target.exec(labels)).toEqual(await source.exec(labels));
    expect(f.changes.map(({ what }) => what)).toEqual([
      `label 'it's "so"' of type public.mood added`,
      "label 'furious' of type public.mood added",
      "label 'last' of type public.mood added",
    ]);
  },
);

test('a label that gets another name follows once all rows before are there', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: "create type mood as enum ('glad', 'sad', 'so so'); create table x (id int primary key, m mood)",
    mirrored: ['x'],
  });
  await settled(f);
  await source.exec("insert into x select g, 'sad' from generate_series(1, 100) g");
  for (let id = 200; id < 220; id++) await source.exec(`insert into x values (${id}, 'sad')`);
  await source.exec("alter type mood rename value 'sad' to 'blue'");
  await source.exec("insert into x values (300, 'blue'); update x set m = 'blue' where id = 1");
  await settled(f);
  expect((await f.rows('x')).target).toEqual((await f.rows('x')).source);
  expect(await target.exec(labels)).toEqual(await source.exec(labels));
  expect(f.changes).toMatchObject([{ what: "label 'sad' of type public.mood renamed to 'blue'" }]);
});

test('a value that the target cannot read for another reason than a label stops the mirror with it', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables: 'create table x (id int primary key, v text)', mirrored: ['x'] });
  await settled(f);
  await target.exec('alter table x alter v type int using null');
  await source.exec("insert into x values (1, 'no number')");
  await expect(f.start().done).rejects.toMatchObject({ kind: 'wrong_state' });
});

const moody = {
  tables:
    "create type mood as enum ('glad', 'sad'); create table x (id int primary key, m mood); insert into x values (1, 'glad'), (2, 'sad')",
  mirrored: ['x'],
};

async function expectSame({ source, target, ...f }: Following): Promise<void> {
  const rows = await f.rows('x');
  expect(rows.target).toEqual(rows.source);
  expect(await target.exec(labels)).toEqual(await source.exec(labels));
}

async function stopped(f: Following): Promise<SluiceError> {
  return await settled(f).then(
    () => expect.unreachable('it came through'),
    (error: unknown) => toSluiceError(error),
  );
}

// Runs what a hint says, to the letter: the first way that it names, or the one that has these words before it.
async function obey({ target }: Following, { hint }: SluiceError, words = ''): Promise<void> {
  const from = (hint ?? '').slice((hint ?? '').indexOf(words));
  const [, list = ''] = /on the target run (.*?;) then RESUME MIRROR/i.exec(from) ?? [];
  expect(list, hint).not.toBe('');
  for (const statement of list.split(/(?<=;) /)) await target.exec(statement);
}

const rename = "alter type mood rename value 'sad' to 'blue'";

test.each([
  ['after it', [rename, "alter type mood add value 'grey' after 'blue'"]],
  ['before it', ["alter type mood add value 'grey' before 'sad'", rename]],
  [
    'on both its sides',
    [rename, "alter type mood add value 'grey' before 'blue'", "alter type mood add value 'black'"],
  ],
  [
    'between it and one that got another name, too',
    [rename, "alter type mood rename value 'glad' to 'merry'", "alter type mood add value 'grey' before 'blue'"],
  ],
] as const)('a label gets another name and others are added %s, while nobody looks', async (_name, changes) => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({ source, target, ...moody });
  await settled(f);
  for (const change of changes) await source.exec(change);
  await source.exec('insert into x select 10 + row_number() over (), m from unnest(enum_range(null::mood)) m');
  await settled(f);
  await expectSame(f);
});

test('a label gets another name and others are added before the mirror is followed for the first time', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, ...moody });
  await source.exec(rename);
  await source.exec("alter type mood add value 'grey' before 'blue'");
  await source.exec("alter type mood add value 'black' after 'blue'");
  await source.exec("insert into x values (3, 'grey'), (4, 'black')");
  await source.exec("insert into x values (5, 'blue')");
  await settled(f);
  await expectSame(f);
});

test('rows with a label that was added come before those that have another label still under its old name', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, ...moody });
  await settled(f);
  await source.exec("alter type mood add value 'grey'");
  await source.exec("insert into x values (3, 'grey')");
  await source.exec("insert into x values (4, 'sad')");
  await source.exec(rename);
  await source.exec("insert into x values (5, 'blue')");
  await source.exec("insert into x values (6, 'glad')");
  await source.exec("alter type mood rename value 'glad' to 'merry'");
  await source.exec("insert into x values (7, 'merry')");
  await settled(f);
  await expectSame(f);
});

test('a label gets the name that another had', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, ...moody });
  await settled(f);
  await source.exec(rename);
  await source.exec("insert into x values (3, 'blue')");
  await source.exec("alter type mood rename value 'glad' to 'sad'");
  await source.exec("insert into x values (4, 'sad')");
  await settled(f);
  await expectSame(f);
});

test('a label of the target’s own stays what it is', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, ...moody });
  await target.exec("alter type mood add value 'own' before 'sad'; insert into x values (-1, 'glad')");
  await target.exec("update x set m = 'own' where id = -1");
  await settled(f);
  await source.exec(rename);
  await source.exec("alter type mood add value 'grey' before 'blue'");
  await source.exec("insert into x values (3, 'grey'), (4, 'blue')");
  await settled(f);
  expect(await target.exec('select m from x where id < 0')).toEqual([{ m: 'own' }]);
  await target.exec('delete from x where id < 0');
  const { source: rows, target: there } = await f.rows('x');
  expect(there).toEqual(rows);
});

test('where nobody can tell which label has got another name, the hint has the statements for either', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, ...moody });
  await settled(f);
  await target.exec("alter type mood rename value 'sad' to 'gone'; alter type mood add value 'own' after 'gone'");
  await source.exec(rename);
  await source.exec("alter type mood add value 'grey'");
  await source.exec("insert into x values (3, 'blue')");
  await source.exec("insert into x values (4, 'grey')");
  const error = await stopped(f);
  expect(error.hint).toContain("where 'blue' is what 'gone' was: on the target run");
  await obey(f, error, "where 'blue' is what 'gone' was");
  await settled(f);
  const { source: rows, target: there } = await f.rows('x');
  expect(there).toEqual(rows);
});

test('with a name that a label had for a while only, the hint says which statement lets its rows in', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, ...moody });
  await settled(f);
  await source.exec(rename);
  await source.exec("insert into x values (3, 'blue')");
  await source.exec("alter type mood rename value 'blue' to 'grey'");
  await source.exec("insert into x values (4, 'grey')");
  const error = await stopped(f);
  expect(error.hint).toContain("ALTER TYPE public.mood RENAME VALUE 'grey' TO '…'; then RESUME MIRROR");
  expect(error.hint).toMatch(/ Otherwise: PostgreSQL 14 of the target may lack this value/);
  await obey(f, { ...error, hint: error.hint?.replaceAll('…', 'blue') } as SluiceError);
  await settled(f);
  await expectSame(f);
});

test.each([14, 18] as const)(
  'where changes do not follow, the hint has the statements for labels, PostgreSQL %i',
  async (to) => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(to);
    const f = await following({ source, target, ...moody, options: { schema_changes: 'off' } });
    await settled(f);
    await source.exec("insert into x select g, 'sad' from generate_series(100, 200) g");
    await source.exec("alter type mood add value 'it''s \"so\"' before 'glad'");
    await source.exec("insert into x values (3, 'it''s \"so\"')");
    await source.exec("insert into x values (4, 'sad')");
    await source.exec(rename);
    await source.exec("insert into x values (5, 'blue')");
    const first = await stopped(f);
    expect(first.hint).toBe(
      "On the target run ALTER TYPE public.mood ADD VALUE 'it''s \"so\"' BEFORE 'glad'; then RESUME MIRROR.",
    );
    await obey(f, first);
    const second = await stopped(f);
    expect(second).toMatchObject({
      sqlstate: '22P02',
      hint: "On the target run ALTER TYPE public.mood RENAME VALUE 'sad' TO 'blue'; then RESUME MIRROR.",
    });
    await obey(f, second);
    await settled(f);
    await expectSame(f);
  },
);

test('what is remembered of labels goes with the last mirror', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, ...moody });
  await settled(f);
  expect(await target.exec('select jsonb_array_length(labels) as n from _sluice.known_labels')).toEqual([{ n: 2 }]);
  await dropCheckpoint(target.connection, f.work);
  expect(await target.exec("select from pg_namespace where nspname = '_sluice'")).toEqual([]);
});

const swapped = `begin; alter type mood rename value 'b' to 'between'; alter type mood rename value 'c' to 'b';
  alter type mood rename value 'between' to 'c'; commit`;
const columns = 'l mood[], d happy, c pair, r moods, s moodses';
const kinds = {
  'a key': `create table x (id int primary key, m mood, ${columns})`,
  'no key': `create table x (id int, m mood, ${columns}); alter table x replica identity full`,
  'labels in its key': `create table x (id int, m mood, ${columns}, primary key (id, m))`,
};
// Of each label.
const values = "m, array[m], m, row(m, 1)::pair, moods(m, m, '[]'), moodses(moods(m, m, '[]'))";

test.each(
  Object.entries({
    'a name that another label gave up': [
      "alter type mood rename value 'a' to 'z'; alter type mood rename value 'b' to 'a'",
      "update x set m = 'a' where id = 2",
      "update x set m = 'z' where id = 5",
    ],
    'a name that another gave up, and is new': [
      "alter type mood rename value 'a' to 'z'",
      "alter type mood add value 'a'",
      "update x set m = 'a' where id = 2",
      "update x set m = 'z' where id = 5",
    ],
    'names that were changed for each other': [
      swapped,
      "update x set m = 'b' where id = 3",
      "update x set m = 'c' where id = 6",
    ],
    'names that were changed for each other, and no row': [swapped],
  }).flatMap(([what, steps]) => Object.entries(kinds).map(([kind, table]) => ({ what, steps, kind, table }))),
)('labels with $what are the same on both sides, in a table with $kind', async ({ steps, table }) => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const made = `create type mood as enum ('a', 'b', 'c'); create domain happy as mood; create type pair as (m mood, n int);
    create type moods as range (subtype = mood, multirange_type_name = moodses); ${table};
    insert into x select i, ${values} from (select i, (array['a', 'b', 'c'])[1 + i % 3]::mood m from generate_series(1, 9) i) r`;
  const f = await following({ source, target, tables: made, mirrored: ['x'] });
  await settled(f);
  const running = f.start();
  for (const step of steps) {
    await source.exec(step);
    await Promise.race([f.settle(), running.done]);
  }
  await running.stop();
  const again = f.start();
  const same = async () => {
    const rows = await f.rows('x');
    return JSON.stringify(rows.target) === JSON.stringify(rows.source);
  };
  await Promise.race([until('rows are the same', same), again.done]);
  await source.exec(
    `insert into x select 20 + n, ${values} from unnest(enum_range(null::mood)) with ordinality as r (m, n)`,
  );
  await Promise.race([f.settle(), again.done]);
  await again.stop();
  await expectSame(f);
});

test.each([
  ['changed for each other', [swapped, "insert into x values (4, 'b')"]],
  [
    'gave up and got anew',
    [
      "alter type mood rename value 'a' to 'z'",
      "alter type mood add value 'a' before 'c'",
      "update x set m = 'a' where id = 2",
    ],
  ],
] as const)(
  'names that labels %s stop a mirror that does not follow, and what they say is read again once it is obeyed',
  async (_, steps) => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    const tables = `create type mood as enum ('a', 'b', 'c'); create table x (id int primary key, m mood);
      insert into x values (1, 'a'), (2, 'b'), (3, 'c')`;
    const f = await following({ source, target, tables, mirrored: ['x'], options: { schema_changes: 'off' } });
    await settled(f);
    for (const step of steps) await source.exec(step);
    const running = f.start();
    const error = await running.done.then(
      () => expect.unreachable('it came through'),
      (reason: unknown) => toSluiceError(reason),
    );
    expect(error.message).toBe('names of labels of public.mood are those of other labels on the source now');
    await obey(f, error);
    const again = f.start();
    const same = async () => {
      const rows = await f.rows('x');
      return JSON.stringify(rows.target) === JSON.stringify(rows.source);
    };
    await Promise.race([until('rows are the same', same), again.done]);
    await Promise.race([f.settle(), again.done]);
    await again.stop();
    await expectSame(f);
  },
);
