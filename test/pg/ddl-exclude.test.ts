// Excluded columns stay out and row filters hold, whatever changes on the source.
import { expect, test } from 'vitest';
import { columnsOf, rowsByName, settled } from '../support/ddl.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

const x = { schema: 'public', name: 'x' };

test.each([
  [14, 18],
  [18, 14],
] as const)(
  'an excluded column never gets to the target, by whatever name, and others follow, from PostgreSQL %i to %i',
  async (from, to) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const f = await following({
      source,
      target,
      tables:
        "create table x (id int primary key, secret text, a int); insert into x values (1, 'hush', 1), (2, 'hush', 2)",
      mirrored: [{ from: x, exclude: ['secret'] }],
    });
    await target.exec('alter table x drop secret');
    // As the publication of a mirror is made.
    if (from > 14) await source.exec(`alter publication ${f.work.name} set table x (id, a), mark`);
    await settled(f);
    await source.exec(
      "insert into x values (3, 'hush', 3); alter table x add b int default 5; insert into x values (4, 'hush', 4, 44)",
    );
    await source.exec("alter table x rename secret to open; insert into x values (5, 'hush', 5, 55)");
    await settled(f);
    await source.exec(
      "alter table x add secret text default 'hush'; insert into x values (6, 'hush', 6, 66); update x set b = 7 where id = 1",
    );
    await settled(f);
    await source.exec(
      'update x set a = a + 1 where id in (2, 5); alter table x drop open; insert into x values (7, 7, 77)',
    );
    await settled(f);
    const [row] = await source.exec<{ rows: readonly string[] }>(
      `select array_agg(r::text order by r::text collate "C") as rows from (select a, b, id from x) r`,
    );
    expect(await rowsByName(target, 'x')).toEqual(row?.rows);
    expect((await columnsOf(target, 'x')).map((line) => line.split(' ')[0])).toEqual(['a', 'b', 'id']);
    const told = JSON.stringify([f.changes, f.notes]);
    expect(told).not.toContain('hush');
  },
);

test('a row filter holds for values that are read from the source, too', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: 'create table x (id int primary key, a int); insert into x select g, g from generate_series(1, 10) g',
    mirrored: [{ from: x, where: 'x.id % 2 = 0 -- even' }],
  });
  await target.exec('delete from x where id % 2 = 1');
  await source.exec(`alter publication ${f.work.name} set table x where (id % 2 = 0), mark`);
  await settled(f);
  await source.exec('alter table x add r double precision default random(); insert into x values (11), (12)');
  await source.exec('alter table x alter a type text using repeat(a::text, 2); update x set a = 0 where id < 3');
  await settled(f);
  const even = `select "the row"::text as row from (select a, id, r from x where id % 2 = 0) "the row" order by "the row"::text collate "C"`;
  expect(await rowsByName(target, 'x')).toEqual((await source.exec<{ row: string }>(even)).map(({ row }) => row));
});
