// schema_changes = full: whatever is changed of the source's schema follows, in order with the rows.
import { expect, test } from 'vitest';
import { everything, quiet, quieted } from '../support/ddl-full.ts';
import { following } from '../support/following.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

async function full(source: TestDatabase, target: TestDatabase, tables: string, mirrored: readonly string[]) {
  const f = await following({
    ...{ source, target, tables, mirrored },
    options: { schema_changes: 'full' },
    scope: { kind: 'all' },
  });
  await quieted(f);
  return f;
}

// Each story in one direction, unless there is time.
const both = process.env.SLUICE_LONG_TESTS === '1';
const up = both
  ? ([
      [14, 18],
      [18, 14],
    ] as const)
  : ([[14, 18]] as const);
const down = both ? up : ([[18, 14]] as const);

test.each(up)('new tables join the mirror with the rows that they have, from PostgreSQL %i to %i', async (from, to) => {
  await using source = await testDatabase(from);
  await using target = await testDatabase(to);
  const f = await full(source, target, 'create table x (id int primary key, a int); insert into x values (1, 1)', [
    'x',
  ]);
  const running = f.start();
  await source.exec(`begin; create table n (id int primary key, v text); insert into n values (1, 'a');
      alter table n add w int default 7; insert into n values (2, 'b', 8); update n set v = 'c' where id = 1;
      alter table n drop v; insert into x values (2, 2); create index n_w on n (w); commit`);
  await source.exec('insert into n values (3, 9)');
  await source.exec(`create schema "sch""ema😀"; create table "sch""ema😀"."t
a" (id serial primary key, "c%s" text unique);
      insert into "sch""ema😀"."t
a" ("c%s") select 'v' || g from generate_series(1, 5) g`);
  await source.exec('create table taken as select g as id, g * 2 as v from generate_series(1, 10) g');
  await source.exec('alter table taken add primary key (id)');
  await source.exec('update taken set v = 0 where id = 3');
  await quiet(f, running);
  await source.exec('update n set w = 1; delete from taken where id > 5; insert into n values (10, 10)');
  await quiet(f, running);
  await running.stop();
  expect(await everything(target)).toEqual(await everything(source));
  expect(f.work.tables.map((table) => table.from.name).toSorted()).toEqual(['mark', 'n', 't\na', 'taken', 'x']);
});

test.each(down)(
  'indexes, constraints, views, functions and all else follow, from PostgreSQL %i to %i',
  async (from, to) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const f = await full(
      source,
      target,
      `create table x (id int primary key, a int, b text, u int); insert into x select g, g, 'b' || g, g from generate_series(1, 20) g;
     create table y (id int primary key, x int); create view seen as select id, a from x;
     create function twice(i int) returns int language sql immutable as 'select i * 2'`,
      ['x', 'y'],
    );
    const running = f.start();
    await source.exec(`create unique index x_u on x (u); alter table x add constraint x_a check (a < 1000);
    alter table y add constraint y_x foreign key (x) references x (id); create type mood as enum ('glad', 'sad');
    alter table x add m mood default 'glad'; comment on table x is 'what it''s for'; comment on column x.a is 'a';
    create view more as select id, twice(a) as t from x; create function once(i int) returns int language sql as 'select i';
    create index x_twice on x (twice(a)); alter table x alter b set not null, alter b set default 'none'`);
    await source.exec('insert into x (id, a, u) values (21, 21, 21)');
    await quiet(f, running);
    expect(await everything(target)).toEqual(await everything(source));
    await source.exec(`drop index x_u; insert into x (id, a, u) values (22, 22, 21); alter table x drop constraint x_a;
    insert into x (id, a, u) values (23, 2000, 1)`);
    await source.exec(`alter index x_twice rename to "x 'twice'"; alter type mood rename value 'sad' to 'blue';
    alter type mood add value 'so so' after 'glad'`);
    await source.exec(`update x set m = 'blue' where id < 5; update x set m = 'so so' where id = 6; alter table x rename a to n;
    create or replace function once(i int) returns int language sql as 'select i + 0'; drop view more;
    alter view seen rename to looked; comment on table x is 'other'; comment on column x.n is null;
    alter table x alter b drop default, alter b drop not null; alter table y drop constraint y_x`);
    await source.exec('insert into x (id, n, b) values (24, 1, null); insert into y values (1, 999)');
    await quiet(f, running);
    expect(await everything(target)).toEqual(await everything(source));
    await source.exec(`alter table x rename to z; alter table y rename to x; alter table z rename to y; alter function twice(int) rename to double;
    insert into x values (7, 7); insert into y (id) values (77)`);
    await quiet(f, running);
    await source.exec('drop table x; drop view looked; alter table y drop m; drop type mood; drop function once(int)');
    await source.exec('insert into y (id) values (78)');
    await quiet(f, running);
    await running.stop();
    expect(await everything(target)).toEqual(await everything(source));
    expect(f.changes.map(({ what }) => what).filter((what) => what.includes('x_u'))).toEqual([
      'index x_u of public.x made',
      'index x_u of public.x dropped',
    ]);
  },
);

test.each(up)(
  'partitions that are made, attached, detached and dropped follow with their rows, from PostgreSQL %i to %i',
  async (from, to) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const f = await full(
      source,
      target,
      `create table p (id int, r int, primary key (id, r)) partition by range (r);
     create table p1 partition of p for values from (0) to (10); insert into p select g, g from generate_series(1, 9) g;
     create table lone (id int, r int not null, primary key (id, r)); insert into lone values (100, 25)`,
      ['p', 'lone'],
    );
    const running = f.start();
    await source.exec(`create table p2 partition of p for values from (10) to (20); insert into p values (11, 11)`);
    await source.exec(
      `alter table p attach partition lone for values from (20) to (30); insert into p values (101, 26)`,
    );
    await source.exec(`begin; create table p4 (id int, r int not null, primary key (id, r)); insert into p4 select g, 35 from generate_series(1, 4) g;
    alter table p attach partition p4 for values from (30) to (40); insert into p values (5, 36); update p set id = -id where r = 35; commit`);
    await quiet(f, running);
    expect(await everything(target)).toEqual(await everything(source));
    // The source has sent rows of p1 as such of p by then, which some of its versions do not forget.
    await source.exec('update p set id = 1001 where id = 1');
    await source.exec(`alter table p detach partition p1; insert into p1 values (1000, 1000); drop table p2;
    create table p2 partition of p for values from (10) to (20) partition by list (id); create table p2a partition of p2 default; insert into p values (12, 12)`);
    await source.exec('delete from p where id = 101; update p1 set r = -r');
    await quiet(f, running);
    await running.stop();
    expect(await everything(target)).toEqual(await everything(source));
  },
);

test.each(down)(
  'composites, domains and sequences that are altered follow, in order with the rows that hold them, from PostgreSQL %i to %i',
  async (from, to) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const f = await full(
      source,
      target,
      `create type place as (street text, "n""o" int, zip text); create domain share as int default 5 not null check (value < 100);
     create domain word as text constraint short check (length(value) < 5); create sequence free_seq maxvalue 100;
     create table x (id int primary key, p place, s share, w word); insert into x values (1, '(a,1,z)', 1, 'one')`,
      ['x'],
    );
    const running = f.start();
    await source.exec(`insert into x values (2, '(b,2,z)'); alter type place add attribute town text; insert into x values (3, '(c,3,z,t)');
      begin; alter type place drop attribute zip, add attribute zip int; insert into x values (4, '(d,4,t,5)'); savepoint a;
      alter type place rename attribute street to road; alter type place rename attribute "n""o" to street;
      alter type place rename attribute road to "n""o"; update x set p.street = 44, s = 6 where id = 4; commit;
      alter domain word drop constraint short; insert into x values (5, null, 7, 'a long one');
      alter domain share drop not null; alter domain share drop default; insert into x values (6, null, null);
      alter domain share drop constraint share_check; insert into x values (7, null, 1000)`);
    await quiet(f, running);
    expect(await everything(target)).toEqual(await everything(source));
    await source.exec(`update x set s = 1; alter domain share add constraint small check (value < 10); alter domain share set default 3;
      alter domain word add constraint "no 'x'" check (value <> 'x'); create type kind as enum ('a', 'b');
      alter sequence free_seq as int increment 3 maxvalue 1000 cycle cache 7; alter sequence free_seq rename to "Seq";
      alter type place rename to "Place"; alter type "Place" add attribute kind kind`);
    await source.exec(`alter domain share set not null; alter domain word rename constraint "no 'x'" to other`);
    await quiet(f, running);
    await source.exec(
      `update x set p.kind = 'b' where id < 3; alter type "Place" drop attribute kind; update x set w = 'w'`,
    );
    await quiet(f, running);
    await running.stop();
    expect(await everything(target)).toEqual(await everything(source));
  },
);
