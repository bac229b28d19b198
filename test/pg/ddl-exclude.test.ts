// Excluded columns stay out and row filters hold, whatever changes on the source.
import { expect, test } from 'vitest';
import { connectPeer } from '../../src/peers/connect.ts';
import { sql } from '../../src/pg/sql.ts';
import { columnsOf, rowsByName, settled } from '../support/ddl.ts';
import { type Following, following } from '../support/following.ts';
import { peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

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

const hiding = (f: Following) => f.source.exec(`alter publication ${f.work.name} set table ex (id, a), mark`);

async function mirroredBut(
  sides: Pick<Following, 'source' | 'target'>,
  options: Readonly<Record<string, string>> = {},
): Promise<Following> {
  const f = await following({
    ...sides,
    ...{ options, mirrored: [{ from: { schema: 'public', name: 'ex' }, exclude: ['hide'] }] },
    tables:
      'create table ex (id int primary key, a int, hide int); insert into ex select g, g, g from generate_series(1, 10) g',
  });
  await f.target.exec('alter table ex drop hide');
  // As the publication of a mirror is made.
  await hiding(f);
  return f;
}

/** What both sides have of it, once they are the same. */
async function untilSame(f: Following): Promise<void> {
  const shown = (db: TestDatabase) => db.exec('select id, a, w from ex order by id');
  await until(
    'the same rows',
    async () => JSON.stringify(await shown(f.target)) === JSON.stringify(await shown(f.source)),
  );
}

const isListed = async ({ source, work }: Following) =>
  (await source.exec(`select from pg_publication_tables where pubname = '${work.name}' and 'w' = any(attnames)`))
    .length > 0;

test.each([
  [14, 'columns'],
  [18, 'full'],
] as const)(
  'a column that comes where another is left out has all its values, though no row follows, to PostgreSQL %i with schema_changes = %s',
  async (to, schema_changes) => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(to);
    const f = await mirroredBut({ source, target }, { schema_changes });
    const running = f.start();
    await f.settle();
    await source.exec('alter table ex add w int; update ex set w = id');
    // The event trigger's word comes before the list has it.
    if (schema_changes === 'full') await Promise.race([untilSame(f), running.done]);
    await source.exec('update ex set w = w + 100');
    await until('the list to grow', () => isListed(f));
    await Promise.race([untilSame(f), running.done]);
    expect(f.notes.join()).toContain('publishes the new columns of public.ex');
    expect((await columnsOf(target, 'ex')).map((line) => line.trim())).toEqual([
      'a integer f',
      'id integer t',
      'w integer f',
    ]);
    await source.exec('update ex set w = 2 * id where id > 5; insert into ex values (11, 11, 11, 11)');
    await untilSame(f);
    await running.stop();
    expect(JSON.stringify([f.changes, f.notes])).toContain('values of 10 rows read from the source');
  },
);

test.each(['goes on', 'is ended first'])(
  'what a transaction wrote to a column that was not published yet comes when it is committed, if the mirror %s',
  async (how) => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    const f = await mirroredBut({ source, target });
    await source.exec('alter table ex add w int');
    await using writer = await connectPeer(peerOf(source), { application: 'writer' });
    await writer.run(sql`begin`);
    await writer.run(sql`update public.ex set w = 1000 where id = 1`);
    const running = f.start();
    await until('the list to grow', () => isListed(f));
    await source.exec('update ex set w = 7 where id = 7');
    await f.settle();
    expect(await target.exec('select id from ex where w = 7')).toEqual([{ id: 7 }]);
    if (how === 'goes on') {
      await writer.run(sql`commit`);
      await untilSame(f);
      return await running.stop();
    }
    await running.stop();
    await writer.run(sql`commit`);
    const again = f.start();
    await Promise.race([untilSame(f), again.done]);
    await again.stop();
    // What was read is not read again.
    const [left] = await target.exec<{ unread: unknown }>(
      `select unread from ${f.work.target.metadataSchema}.copied_tables where source_table = 'public.ex'`,
    );
    expect(left?.unread).toEqual([]);
  },
);

test('values of a column whose type has no common binary form are read, too, once the stream goes on without', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await mirroredBut({ source, target });
  const running = f.start();
  await f.settle();
  await source.exec("alter table ex add w regtype; update ex set w = 'text'");
  await Promise.race([untilSame(f), running.done]);
  await source.exec("update ex set w = 'date' where id = 3; insert into ex values (11, 11, 11, 'text')");
  await untilSame(f);
  await running.stop();
});
