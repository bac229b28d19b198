// The source is ahead of the rows that the mirror meets: columns have gone on to other names and types since, or the rows come once more.
import { expect, test } from 'vitest';
import { sql } from '../../src/pg/sql.ts';
import { rowsByName, settled } from '../support/ddl.ts';
import { type Following, following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

test('a column that had another name and another type for a while is followed under the name that it has again', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = 'create table x (id int primary key, a int not null, b text); insert into x values (1, 1)';
  const f = await following({ source, target, tables, mirrored: ['x'] });
  await settled(f);
  await source.exec(
    'alter table x rename a to other; alter table x alter other type bigint; alter table x alter other drop not null',
  );
  await source.exec('insert into x values (2, 3000000000), (3, null)');
  await source.exec('alter table x rename other to a');
  await source.exec('insert into x values (4, 4)');
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});

// As when a process ends before the source hears of what it has applied.
async function restoredSlot({ source, work }: Following): Promise<{ put: () => Promise<void> }> {
  const { name } = work;
  await source.connection.run(sql`select pg_copy_logical_replication_slot(${name}, ${`${name}_kept`})`);
  return {
    put: async () => {
      await source.connection.run(sql`select pg_drop_replication_slot(${name})`);
      await source.connection.run(sql`select pg_copy_logical_replication_slot(${`${name}_kept`}, ${name})`);
      await source.connection.run(sql`select pg_drop_replication_slot(${`${name}_kept`})`);
    },
  };
}

test('rows that come once more are left out, whatever their columns were', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = 'create table x (id int primary key, a int); insert into x values (1, 1)';
  const f = await following({ source, target, tables, mirrored: ['x'] });
  await settled(f);
  const slot = await restoredSlot(f);
  await source.exec(`alter table x alter a type bigint; insert into x values (2, 3000000000);
    alter table x alter a type int using 7; insert into x values (3, 3)`);
  await settled(f);
  await slot.put();
  await source.exec(`alter table x alter a type text using 't' || a; insert into x values (4, 'four')`);
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});

test('a table that rows come once more of is the one that follows, where nothing changed since', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const tables = 'create table x (id int primary key, a int); create table y (id int primary key)';
  const f = await following({ source, target, tables, mirrored: ['x', 'y'] });
  await settled(f);
  const slot = await restoredSlot(f);
  await source.exec('insert into x values (2, 2); insert into y values (1)');
  await settled(f);
  await slot.put();
  await source.exec('update x set a = 3 where id = 2; truncate y; insert into x values (3, 3)');
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
  expect(await rowsByName(target, 'y')).toEqual([]);
});

test('a column that is gone by the time that its rows are met is not taken for another that is there', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables: 'create table x (id int primary key, a int)', mirrored: ['x'] });
  await settled(f);
  await source.exec(`alter table x add b float, add c bigint; insert into x values (1, 1, 1.5, 10)`);
  await source.exec('alter table x rename a to e; insert into x values (2, 2, 2.5, 20)');
  await source.exec(`alter table x drop b; alter table x add d text; insert into x values (3, 3, 30, 'd')`);
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});

test('a column of a partition that came and went is not taken for the one that has its name now', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = `create table x (id int, r int, c int, d text, primary key (id, r)) partition by list (r);
    create table x_0 partition of x for values in (0); insert into x values (1, 0, 1, 'd')`;
  const f = await following({ source, target, tables, mirrored: ['x'], viaRoot: false });
  await settled(f);
  await source.exec(`alter table x drop d; alter table x add d text; alter table x add e int default 6;
    insert into x values (2, 0, 2, 'd', 55); update x set e = 7 where id = 1`);
  await source.exec('alter table x drop e; alter table x add e int; insert into x values (3, 0, 3)');
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});

test('rows of a column that was dropped, made anew and then got another name keep their values, with a key and without', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const tables = `create table keyed (id int primary key, a text); insert into keyed values (1, 'before');
    create table bag (id int, a text); alter table bag replica identity full; insert into bag values (1, 'before')`;
  const f = await following({ source, target, tables, mirrored: ['keyed', 'bag'] });
  await settled(f);
  for (const table of ['keyed', 'bag']) {
    await source.exec(`alter table ${table} drop a; alter table ${table} add a text`);
    await source.exec(`insert into ${table} values (2, 'kept'); update ${table} set id = 3 where id = 1`);
    await source.exec(`alter table ${table} rename a to b; alter table ${table} add c text`);
    await source.exec(`insert into ${table} (id) values (4)`);
  }
  await settled(f);
  for (const table of ['keyed', 'bag']) {
    expect(await rowsByName(target, table), table).toEqual(await rowsByName(source, table));
  }
});

test('names that two columns have swapped are followed, though one of them is gone by then and another came and went', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = "create table x (id int primary key, a text, b text); insert into x values (1, 'a', 'b')";
  const f = await following({ source, target, tables, mirrored: ['x'] });
  await settled(f);
  await source.exec('alter table x rename a to c; alter table x rename b to a; alter table x rename c to b');
  await source.exec("insert into x (id, b, a) values (2, 'was a', 'was b')");
  await source.exec('alter table x add d int[]; alter table x rename a to e');
  await source.exec("insert into x values (3, 'was a', 'was b', '{1}')");
  await source.exec('alter table x drop b; alter table x drop d');
  await source.exec('insert into x values (4)');
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});

test('a new column that may be null by the time of its first row may be null on the target', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const tables = 'create table x (id int primary key); insert into x values (1)';
  const f = await following({ source, target, tables, mirrored: ['x'] });
  await settled(f);
  await source.exec('alter table x add a int not null default 5');
  const running = f.start();
  await f.settle();
  await source.exec('alter table x alter a drop not null');
  await source.exec('insert into x values (2, null)');
  await Promise.race([f.settle(), running.done]);
  await running.stop();
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});

test('a name that a later column has for a while is not refused because the target has gone on to it', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const tables = 'create table x (id int primary key, a int, b int); insert into x values (1, 1, 1)';
  const f = await following({ source, target, tables, mirrored: ['x'] });
  await settled(f);
  await source.exec('alter table x rename a to z; alter table x rename b to a; insert into x values (2, 2, 22)');
  await source.exec('alter table x rename a to c; alter table x rename z to a; insert into x values (3, 3, 33)');
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});

test('values of a new column that has another type by now are found in a table without a key', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const tables = `create table x (id int, a int); alter table x replica identity full; insert into x values (1, 1), (2, 2), (2, 2)`;
  const f = await following({ source, target, tables, mirrored: ['x'] });
  await settled(f);
  await source.exec('alter table x add at timestamptz default now(); insert into x values (3, 3)');
  await source.exec('update x set a = 5 where id = 1; delete from x where id = 3');
  await source.exec(
    `alter table x alter at drop default, alter at type int[] using '{8}'; insert into x values (4, 4, '{4}')`,
  );
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});

test('columns of which names and types have all changed by the time of their rows are not taken for each other', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const tables = "create table x (id int primary key, a int, b text); insert into x values (1, 1, 'b'), (2, 2, 'b')";
  const f = await following({ source, target, tables, mirrored: ['x'] });
  await settled(f);
  for (const step of [
    'add c float default random()',
    'add d float',
    'alter c drop default, alter c type timestamptz using to_timestamp(8)',
    'alter c type int using 8',
    'drop b',
  ]) {
    await source.exec(`alter table x ${step}`);
  }
  await source.exec('update x set a = 24 where id = 1; insert into x (id, c, d) values (3, 47, 60.25)');
  await source.exec('alter table x drop a; update x set c = 59 where id = 2; alter table x add e bigint');
  await source.exec('insert into x values (4, 39, 45.25, 16000000000); alter table x alter e type int using 8');
  await source.exec('insert into x (id, d) values (5, 85.25); alter table x rename c to z');
  await source.exec('alter table x rename e to aside; alter table x rename d to e; alter table x rename aside to d');
  await source.exec('insert into x values (6, 4, 93.25, 49)');
  await settled(f);
  expect(await rowsByName(target, 'x')).toEqual(await rowsByName(source, 'x'));
});
