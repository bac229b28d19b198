// Values that a change of the source's schema computes anew under the type that they had: the log has none of them.
import { expect, test } from 'vitest';
import { rowsByName, settled } from '../support/ddl.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

// $ is the table's name.
const rows = 'insert into $ select i, i % 2, i, i * 2 from generate_series(1, 20) i';
const kinds = {
  keyed: `create table $ (id int primary key, r int, c int, d int); ${rows}`,
  bag: `create table $ (id int, r int, c int, d int); alter table $ replica identity full; ${rows}`,
  parted: `create table $ (id int, r int, c int, d int, primary key (id, r)) partition by list (r);
    create table $_1 (d int, c int, r int not null, id int not null); alter table $ attach partition $_1 for values in (1);
    create table $_0 partition of $ for values in (0); ${rows}`,
};

const anew = 'alter table $ alter c type int using c + 1000';
const there = 'alter table $ alter c type timestamptz using to_timestamp(c)';
const back = 'alter table $ alter c type int using 8';
const more = 'insert into $ values (100, 0, 1, 1)';

// Each is a transaction of the source.
const cases: Readonly<Record<string, readonly string[]>> = {
  plainly: [anew, more],
  'between rows of one transaction': [`update $ set d = 7 where r = 1; ${anew}; update $ set d = 8 where r = 0`],
  'between rows that the mirror meets later': [
    'update $ set c = 5 where id = 4',
    anew,
    'update $ set d = 8 where id in (3, 5)',
    more,
  ],
  'twice, with rows between': [
    ...['update $ set c = 5 where id = 4', anew, 'update $ set c = 6 where id = 7'],
    ...[anew, 'update $ set d = 5 where id = 9'],
  ],
  'by another type and back, without a row between': [there, back, more],
  'by another type and back, with rows before, between and after': [
    ...['update $ set c = 5 where id = 4', there, 'update $ set c = to_timestamp(77) where id = 6'],
    ...[back, 'update $ set c = 99 where id = 7'],
  ],
  'by a wider type, and again under that': [
    ...['alter table $ alter c type bigint using c + 1', 'update $ set c = 5 where id = 4'],
    ...['alter table $ alter c type bigint using c + 1000', 'update $ set c = 6 where id = 8'],
  ],
  'after they were new': [
    ...['alter table $ add e float default random()', 'update $ set e = 5 where id = 4'],
    ...['alter table $ alter e type float using e + 1000', 'update $ set e = 6 where id = 8'],
  ],
  'while another column gets another name': [`${anew}; alter table $ rename d to e`, more],
};

// The other direction when there is time.
const ways = [
  { from: 14, to: 18, viaRoot: true },
  { from: 18, to: 14, viaRoot: false },
] as const;

test.each(process.env.SLUICE_LONG_TESTS === '1' ? ways : ways.slice(0, 1))(
  'values that ALTER TABLE computes anew under their type are the same on both sides (from $from to $to, partitions by their root: $viaRoot)',
  async ({ from, to, viaRoot }) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const tables = Object.entries(cases).flatMap(([what, steps], i) =>
      Object.entries(kinds).map(([kind, made]) => ({ name: `${kind}_${i}`, made, what: `${kind} ${what}`, steps })),
    );
    const named = ({ name }: { readonly name: string }, text: string) => text.replaceAll('$', name);
    const made = tables.map((table) => named(table, table.made)).join(';');
    const f = await following({ source, target, tables: made, mirrored: tables.map(({ name }) => name), viaRoot });
    await settled(f);
    const sides = async () => {
      for (const table of tables) {
        expect(await rowsByName(target, table.name), table.what).toEqual(await rowsByName(source, table.name));
      }
    };
    // The source is ahead of each row that the mirror meets.
    for (const table of tables) for (const step of table.steps) await source.exec(named(table, step));
    await settled(f);
    await sides();
    // Each is met as it comes.
    const running = f.start();
    for (const table of tables) await source.exec(named(table, `${anew}; update $ set r = r where id < 4`));
    await Promise.race([f.settle(), running.done]);
    await running.stop();
    await sides();
  },
  120_000,
);

test('TRUNCATE of a table that was read again since, and of one that was not, empties the other, though they reference each other', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = `create table orders (id int primary key, line int, amount int);
    create table lines (id int primary key, of int references orders deferrable initially deferred, n int);
    alter table orders add foreign key (line) references lines deferrable initially deferred;
    insert into orders values (1, null, 1), (2, null, 2); insert into lines values (1, 1, 1), (2, 2, 2)`;
  const f = await following({ source, target, tables, mirrored: ['orders', 'lines'] });
  await settled(f);
  // When the first of these comes, orders is read as it is behind the last.
  await source.exec('alter table orders drop amount; alter table orders add amount int default 7');
  await source.exec('insert into orders values (3, 1, 3)');
  await source.exec('truncate orders cascade; insert into orders values (4, 7, 4); insert into lines values (7, 4)');
  await source.exec('insert into orders values (5, 8, 5); insert into lines values (8, 5)');
  // And the other way round.
  await settled(f);
  for (const name of ['orders', 'lines']) {
    expect(await rowsByName(target, name), name).toEqual(await rowsByName(source, name));
  }
  await source.exec('alter table lines drop n; alter table lines add n int default 8');
  await source.exec('insert into lines values (9, 5)');
  await source.exec('truncate lines cascade; insert into orders values (6, 11, 6); insert into lines values (11, 6)');
  await settled(f);
  for (const name of ['orders', 'lines']) {
    expect(await rowsByName(target, name), name).toEqual(await rowsByName(source, name));
  }
}, 60_000);

test('values computed anew are told of where changes are not followed', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const options = { schema_changes: 'off' };
  const f = await following({ source, target, tables: kinds.keyed.replaceAll('$', 'x'), mirrored: ['x'], options });
  await settled(f);
  await source.exec(`${anew}; ${more}`.replaceAll('$', 'x'));
  await settled(f);
  expect(f.notes).toEqual([expect.stringMatching(/^public.x was written anew .* change of c; if that computed new/)]);
});

test('a type that becomes wider is read once, and not again once a row has come after it', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({ source, target, tables: kinds.keyed.replaceAll('$', 'x'), mirrored: ['x'] });
  const read = () => f.changes.filter(({ statements }) => statements.some((each) => each.includes('read from'))).length;
  await settled(f);
  const running = f.start();
  await source.exec('alter table x alter c type bigint');
  for (const value of [3_000_000_000, 3_000_000_001]) {
    await source.exec(`update x set c = ${value} where id = 1`);
    await Promise.race([f.settle(), running.done]);
  }
  await running.stop();
  expect(read()).toBe(1);
  await source.exec('vacuum full x');
  await source.exec('analyze x; update x set c = 3000000002 where id = 1');
  await settled(f);
  expect(read()).toBe(1);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});
