// Labels of enums follow before the rows that need them, also where the log is silent about them.
import { expect, test } from 'vitest';
import { settled } from '../support/ddl.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

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
