// A database that is finished in many slices is as one that is finished in a single one: what stands between slices, too.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ObjectLine } from '../../src/mirror/object.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { sliceBy } from '../../src/snapshot/slices.ts';
import { claim, copyAll, listening, mirrorWork, table } from '../support/copied.ts';
import { testDatabase } from '../support/servers.ts';

vi.setConfig({ testTimeout: 120_000 });

const never = new AbortController().signal;

let before: number;
beforeEach(() => {
  before = sliceBy(1);
});
afterEach(() => {
  sliceBy(before);
});

const line = ({ kind, name, table: of, state, reason }: ObjectLine) =>
  `${state} ${kind} ${name}${of === '' ? '' : ` of ${of}`}${reason === undefined ? '' : `: ${reason}`}`;

const schema = `
  create schema shop; create schema stock;
  create type shop.state as enum ('new', 'sent');
  create sequence shop.numbers start 500;
  create function shop.twice(a integer) returns integer language sql immutable as 'select a * 2';
  create table shop.item (id integer primary key, state shop.state, no integer default nextval('shop.numbers'));
  create table stock.item (id integer primary key, of integer references shop.item (id), other integer);
  create table shop.line (item integer references shop.item (id), n integer default nextval('shop.numbers'), part integer);
  create table shop.part (id integer, at date, primary key (id, at)) partition by range (at);
  create table shop.part_1 partition of shop.part for values from ('2024-01-01') to ('2025-01-01');
  create table shop.part_2 partition of shop.part for values from ('2025-01-01') to ('2026-01-01');
  create table shop.uses (id integer, at date, foreign key (id, at) references shop.part (id, at), foreign key (id, at) references shop.part_1 (id, at));
  create table shop.thing (id integer check (id > 0), name text); create table shop.animal (legs integer) inherits (shop.thing);
  create index item_twice on shop.item (shop.twice(id)); create index item_twice on stock.item (other);
  create index part_at on shop.part (at);
  comment on constraint line_item_fkey on shop.line is 'the item'; comment on index shop.item_twice is 'two';
  comment on column shop.line.n is 'how many'; alter table shop.item cluster on item_twice;
  create statistics shop.both on id, no from shop.item;
  create view shop.all_of as select i.id, s.other, l.n from shop.item i join stock.item s on s.of = i.id join shop.line l on l.item = i.id;
  create materialized view shop.counted as select count(*) from shop.all_of;
  insert into shop.item values (1, 'new'), (2, 'sent'); insert into stock.item values (1, 1, 7); insert into shop.line values (1), (2);
  insert into shop.part values (1, '2024-05-05'), (2, '2025-05-05'); insert into shop.uses values (1, '2024-05-05'); insert into shop.animal values (1, 'ant', 6);
  alter table shop.item add foreign key (id) references stock.item (id) deferrable initially deferred not valid;
  refresh materialized view shop.counted;`;
const tables = ['shop.item', 'stock.item', 'shop.line', 'shop.part', 'shop.uses', 'shop.thing', 'shop.animal'];

const definitions = `select n.nspname || '.' || c.relname || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid) as text
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('shop', 'stock', 'one')
  union all select indexdef from pg_indexes where schemaname in ('shop', 'stock', 'one')
  union all select description from pg_description where objoid >= 16384
  union all select relname || ' ' || indisclustered from pg_index join pg_class on oid = indexrelid where indisclustered and oid >= 16384
  union all select stxname from pg_statistic_ext
  union all select schemaname || '.' || sequencename || ' ' || coalesce(last_value, 0) from pg_sequences where schemaname <> 'one'
  union all select 'rows ' || other || ' ' || n from shop.all_of order by 1`;

test('what tables of several slices have of each other, and all else, arrives just so', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await source.exec(schema);
  const work = mirrorWork(
    { from: source, to: target },
    tables.map((name) => table(name)),
    { initial_copy_only: true },
  );
  const told = await copyAll({ ...work, scope: { kind: 'all' } });
  expect(await target.exec(definitions)).toEqual(await source.exec(definitions));
  expect([...told.objects.values()].map(line).filter((text) => !/^(created|existed) /.test(text))).toEqual([]);
  expect(told.notes).toEqual([]);
});

test('tables that are put into one schema have the names of their indexes from one list, in whatever slice they are', async () => {
  await using source = await testDatabase(18);
  await source.exec(schema);
  const made: unknown[] = [];
  for (const size of [1, 500]) {
    sliceBy(size);
    await using target = await testDatabase(18);
    const into = (name: string, to: string) => table(name, { to: { schema: 'one', name: to } });
    const renamed = [
      into('stock.item', 'second'),
      into('shop.line', 'line'),
      into('shop.item', 'first'),
      into('shop.part', 'piece'),
    ];
    const work = mirrorWork({ from: source, to: target }, renamed, { initial_copy_only: true });
    const told = await copyAll(work);
    made.push({
      indexes: await target.exec(`select indexdef from pg_indexes where schemaname = 'one' order by 1`),
      keys: await target.exec(
        `select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'one'::regnamespace order by 1, 2`,
      ),
      lines: [...told.objects.values()].map(line).toSorted(),
    });
  }
  expect(made[0]).toEqual(made[1]);
  expect(JSON.stringify(made[0])).toContain('item_twice_1');
});

test('a table that the source drops while its slice is still to come does not keep the others from being finished', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await source.exec(schema);
  const all = tables.map((name) => table(name));
  const work = mirrorWork({ from: source, to: target }, all, { initial_copy_only: true });
  const deps = listening(work);
  await claim(work);
  await prepareTarget(deps, never);
  await runSnapshot(deps, never);
  let dropped = false;
  const objects = async (lines: readonly ObjectLine[]) => {
    await deps.report.objects(lines);
    if (dropped || !lines.some(({ kind, state }) => kind === 'primary key' && state === 'created')) return;
    dropped = true;
    await source.exec('drop table shop.animal, shop.thing');
  };
  await finishSnapshot({ ...deps, report: { ...deps.report, objects } }, never);
  expect(dropped).toBe(true);
  const keys = `select conrelid::regclass::text as table from pg_constraint where contype = 'p' and conparentid = 0
    and connamespace in ('shop'::regnamespace, 'stock'::regnamespace) order by 1`;
  expect(await target.exec(keys)).toEqual(await source.exec(keys));
});
