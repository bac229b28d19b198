// Changes of columns follow by themselves: in stream order, in the transaction of the first row that needs them, with the rows' values.
import { expect, test } from 'vitest';
import { settled, sidesOf } from '../support/ddl.ts';
import { type Following, following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

interface Change {
  readonly tables?: string;
  readonly mirrored?: readonly string[];
  /** Each is a transaction of the source. */
  readonly steps: readonly string[];
  /** Words that stand in the journal. */
  readonly journal?: readonly (string | RegExp)[];
  /** Statements that must have run on the target. */
  readonly ran?: readonly (string | RegExp)[];
}

const plain =
  "create table x (id int primary key, a int, b text); insert into x select g, g * 10, 'b' || g from generate_series(1, 5) g";

const changes: Record<string, Change> = {
  'a column without a default': {
    steps: ['alter table x add c int', 'insert into x values (10, 1, 1, 1)'],
    journal: ['column c integer added'],
    ran: ['alter table "public"."x" add column "c" integer'],
  },
  'a column with a constant default, not null, of a type with a modifier and a collation of its own': {
    steps: [
      `alter table x add c varchar(20) collate "C" default 'it''s "so", {1}' not null`,
      'insert into x (id) values (10)',
    ],
  },
  'a column whose default was computed once, for all rows that were there': {
    steps: [
      'alter table x add c timestamptz default now(), add d int[] default array[[1,2],[3,null]]',
      'insert into x (id) values (10)',
    ],
  },
  'a column whose default is another for each row': {
    steps: ['alter table x add c double precision default random() not null', 'insert into x (id) values (10)'],
    ran: [/^-- c: values of 5 rows read/],
  },
  'a column that was filled and made NOT NULL in one transaction': {
    steps: [
      'alter table x add c int; update x set c = id; alter table x alter c set not null',
      'insert into x (id, c) values (10, 3)',
    ],
  },
  'a default that was given to a column after it was added': {
    steps: ['alter table x add c int; alter table x alter c set default 7', 'insert into x (id) values (10)'],
  },
  'a serial and an identity column': {
    tables: `${plain}; create table y (id int primary key); insert into y select generate_series(1, 50)`,
    mirrored: ['x', 'y'],
    steps: [
      'alter table x add s bigserial; alter table y add i int generated always as identity (start with 100 increment by 5)',
      'insert into x (id) values (10); insert into y (id) values (60)',
    ],
  },
  'a generated column': {
    steps: ['alter table x add g int generated always as (a * 2) stored', 'insert into x values (10, 7)'],
    journal: ['generated column g added'],
  },
  'a dropped column, a renamed one and a retyped one at once': {
    steps: [
      'alter table x drop a; alter table x rename b to "B b"; alter table x alter "B b" type varchar(9)',
      `insert into x values (10, 'z')`,
    ],
    journal: [/column a dropped/, /column b renamed to B b/],
  },
  'columns that swap their names between two rows of one transaction': {
    tables: 'create table x (id int primary key, a int, b int); insert into x values (1, 10, 20)',
    steps: [
      'insert into x values (2, 3, 4); alter table x rename a to z; alter table x rename b to a; alter table x rename z to b; insert into x (id, a, b) values (3, 8, 9)',
    ],
  },
  'a column renamed and another added under its old name': {
    steps: [
      'alter table x rename b to c; alter table x add b int default 3',
      `insert into x (id, b, c) values (10, 5, '6')`,
    ],
  },
  'a column dropped and made anew with another type': {
    steps: ['alter table x drop b; alter table x add b int default 4', 'insert into x (id, b) values (10, 5)'],
  },
  'a column dropped and added again, as if nothing had been': {
    steps: [
      `insert into x values (10, 1, 'old'); alter table x drop b; alter table x add b text; insert into x values (11, 1, 'new')`,
      `update x set b = 'newer' where id = 1`,
    ],
  },
  'a column that came and went, and another that came under its name': {
    steps: [
      `alter table x add c int default 1; insert into x values (10, 1, 'b', 100); alter table x drop c; alter table x add d int default 2; insert into x values (11, 1, 'b', 200)`,
      `alter table x add e int; update x set e = 5 where id = 1; alter table x drop e; alter table x add e int default 3; insert into x (id) values (12)`,
    ],
  },
  'several changes between two rows of one transaction': {
    steps: [
      `insert into x values (10, 1, 'x'); alter table x add c int default 1; insert into x values (11, 2, 'y', 5);
       alter table x rename c to d; update x set d = 9 where id = 1; alter table x alter d type text using 'n' || d;
       insert into x values (12, 2, 'y', 'five'); alter table x drop a; delete from x where id = 2; alter table x add e text default 'e'; insert into x (id) values (13)`,
    ],
  },
  'a type whose values are computed anew': {
    steps: ['alter table x alter b type int using length(b)', 'insert into x values (10, 1, 77)'],
    ran: [/read from the source/],
  },
  'a type of the key': {
    steps: [
      'alter table x alter id type bigint',
      'insert into x values (3000000000, 1)',
      'update x set a = 5 where id = 3',
    ],
  },
  'a key that becomes a uuid': {
    tables:
      'create table x (id text primary key, v int); insert into x select md5(g::text), g from generate_series(1, 9) g',
    steps: ['alter table x alter id type uuid using id::uuid', 'update x set v = v + 1'],
  },
  'a column that may be null from now on': {
    tables: 'create table x (id int primary key, a int not null); insert into x values (1, 1)',
    steps: ['alter table x alter a drop not null', 'insert into x values (2, null)'],
  },
  'a column that the target could not do without': {
    tables: 'create table x (id int primary key, a int not null, b int); insert into x values (1, 1, 1)',
    steps: ['alter table x drop a', 'insert into x values (2, 2)'],
  },
  'columns of types that the target does not have': {
    steps: [
      `create schema types; create type types.mood as enum ('glad', 'so so'); create domain types.small as int check (value < 100);
       create type types.pair as (a int, b types.mood)`,
      `alter table x add m types.mood default 'glad', add s types.small default 3, add p types.pair, add l types.mood[] default '{glad,NULL}'`,
      `insert into x values (10, 1, 'b', 'so so', 5, '(1,glad)', '{"so so"}')`,
    ],
  },
  'names that are hostile': {
    tables: 'create table x (id int primary key, a int); insert into x values (1, 1)',
    steps: [
      `alter table x rename a to """; drop table x; --"`,
      `alter table x add "%s $1 'é🙂" text default '\\'';--', add "select" int`,
      `insert into x values (2, 2, 'z', 3)`,
    ],
  },
  'a partitioned table': {
    tables: `create table x (id int, r int, a int, primary key (id, r)) partition by list (r);
      create table x1 (r int not null, a int, id int not null); alter table x attach partition x1 for values in (1);
      create table x2 partition of x for values in (2); insert into x select g, 1 + g % 2, g from generate_series(1, 6) g`,
    steps: [
      'alter table x add c double precision default random(); alter table x rename a to b; insert into x values (10, 1, 1, 1), (11, 2, 2, 2)',
      'alter table x drop b; alter table x alter c type numeric using 5; update x set c = 1 where r = 2',
    ],
  },
  'tables that inherit': {
    tables: `create table p (id int primary key, a int); create table x (primary key (id), own int) inherits (p);
      insert into p values (1, 1); insert into x values (2, 2, 2)`,
    mirrored: ['p', 'x'],
    steps: [
      'alter table p add c int default 5; alter table p rename a to b; insert into x values (3, 3, 3, 3)',
      'insert into p values (4, 4, 4)',
      'alter table p drop b; alter table p alter c type bigint; insert into x values (5, 5, 5)',
      'insert into p values (6, 6)',
    ],
  },
  'a table under REPLICA IDENTITY FULL without a key': {
    tables: `create table x (a int, b text); alter table x replica identity full; insert into x values (1, 'a'), (1, 'a')`,
    steps: [
      `alter table x add c int default 4; insert into x values (2, 'b')`,
      `alter table x rename a to n; alter table x alter n type bigint; update x set b = 'c' where n = 2; delete from x where b = 'c'`,
      'alter table x drop b; insert into x values (7)',
    ],
  },
  'a table whose rows nothing tells apart, with values that are not in the log': {
    tables: `create table x (a int, b text); alter table x replica identity full; insert into x select g % 3, 'b' from generate_series(1, 9) g`,
    steps: [
      `insert into x values (20, 'z'); alter table x add c double precision default random(); insert into x values (21, 'y'); delete from x where a = 1`,
      `alter table x alter b type int using ascii(b); update x set a = 30 where a = 21; alter table x add d serial; insert into x values (22, 5)`,
      'insert into x values (23, 6); delete from x where a = 20; alter table x drop c; insert into x values (24, 7)',
    ],
    ran: [/rows read again from the source, as of/],
  },
  'a table without any identity that gets a key': {
    tables: `create table x (a int); insert into x select g from generate_series(1, 9) g`,
    steps: [
      'insert into x values (77); alter table x add id bigserial primary key; insert into x values (10)',
      'update x set a = a + 1; insert into x values (12)',
    ],
  },
  'a column that was generated and is not any more': {
    tables:
      'create table x (id int primary key, a int, g int generated always as (a + 1) stored); insert into x values (1, 1)',
    steps: ['alter table x alter g drop expression', 'insert into x values (2, 2, 2)'],
  },
  'a generated column that goes with the one it is computed from': {
    tables:
      'create table x (id int primary key, a int, g int generated always as (a + 1) stored, b int); insert into x values (1, 1)',
    steps: ['alter table x drop a cascade', 'insert into x values (2, 2)'],
  },
};

const long = process.env.SLUICE_LONG_TESTS === '1';

// Both ways for each change where there is time, else by turns.
const cases = Object.entries(changes).flatMap(([name, change], i) => {
  const ways = [
    { name, change, from: 14, to: 18, how: 'running' } as const,
    { name, change, from: 18, to: 14, how: 'stopped' } as const,
  ];
  return long ? ways : ways.slice(i % 2, (i % 2) + 1);
});

test.each(cases)(
  '$name follows from PostgreSQL $from to $to while the mirror is $how',
  async ({ change, from, to, how }) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const tables = change.mirrored ?? ['x'];
    const f = await following({ source, target, tables: change.tables ?? plain, mirrored: tables });
    await follow(f, change.steps, how);
    const sides = await sidesOf(f, tables);
    expect(sides.target).toEqual(sides.source);
    const what = f.changes.map((each) => each.what).join('; ');
    for (const words of change.journal ?? []) expect(what).toMatch(words);
    const ran = f.changes.flatMap((each) => each.statements);
    for (const statement of change.ran ?? []) expect(ran).toContainEqual(expect.stringMatching(statement));
    if (how === 'running') return;
    // Nothing is done twice, and what was agreed is agreed for the next session.
    const before = f.changes.length;
    await source.exec(tables.map((table) => `delete from ${table}`).join(';'));
    await settled(f);
    expect(f.changes.length).toBe(before);
    const after = await sidesOf(f, tables);
    expect(after.target).toEqual(after.source);
  },
);

async function follow(f: Following, steps: readonly string[], how: 'running' | 'stopped'): Promise<void> {
  await settled(f);
  if (how === 'stopped') {
    for (const step of steps) await f.source.exec(step);
    return await settled(f);
  }
  const running = f.start();
  for (const step of steps) {
    await f.source.exec(step);
    await Promise.race([f.settle(), running.done]);
  }
  await running.stop();
}
