// Partitions that are published each by itself are several relations of one table: what changes with one is met by all.
import { expect, test } from 'vitest';
import { rowsByName, settled, sidesOf } from '../support/ddl.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

const tables = `create table p (id int, r int, a int, primary key (id, r)) partition by list (r);
  create table p0 (a int, r int not null, id int not null); alter table p attach partition p0 for values in (0);
  create table p1 partition of p for values in (1)`;

const stories = {
  'a column renamed there and back, between rows of one partition only': [
    'insert into p values (1, 0, 1), (2, 1, 1)',
    'alter table p rename a to b; insert into p values (3, 0, 2)',
    'alter table p rename b to a; insert into p values (4, 1, 3), (5, 0, 3)',
    'alter table p rename a to c; insert into p values (6, 1, 4), (7, 0, 4)',
  ],
  'a type changed there and back, between rows of one partition only': [
    'insert into p values (1, 0, 1), (2, 1, 1)',
    'alter table p alter a type bigint; insert into p values (3, 0, 5000000000); delete from p where id = 3',
    'alter table p alter a type int; insert into p values (4, 1, 3), (5, 0, 3)',
  ],
};

test.each(Object.entries(stories))('%s, follows', async (_, steps) => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({
    source,
    target,
    tables,
    mirrored: ['p'],
    viaRoot: false,
  });
  await settled(f);
  for (const step of steps) await source.exec(step);
  await settled(f);
  const sides = await sidesOf(f, ['p']);
  expect(sides.target).toEqual(sides.source);
});

test.each([true, false])(
  'rows of partitions that are older than a column show its default of then, by root: %s',
  async (viaRoot) => {
    await using source = await testDatabase(14);
    await using target = await testDatabase(18);
    const f = await following({
      source,
      target,
      tables: `${tables}; insert into p values (1, 0, 1), (2, 1, 1), (3, 1, 2)`,
      mirrored: ['p'],
      viaRoot,
    });
    await settled(f);
    await source.exec(
      `alter table p add c timestamptz default now(), add d int default 5; insert into p values (4, 0, 1)`,
    );
    await settled(f);
    await source.exec(
      'alter table p add e int default 7; alter table p alter e set default 8; insert into p values (5, 1, 1)',
    );
    await settled(f);
    expect(await rowsByName(target, 'p')).toEqual(await rowsByName(source, 'p'));
  },
);
