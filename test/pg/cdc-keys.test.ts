// Rows are found by what identifies them, whatever happens to it on the way.
import { describe, expect, test } from 'vitest';
import { type Following, type FollowingOptions, following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

const ways = [
  [14, 18],
  [18, 14],
] as const;
// Few changes go one by one, many are merged: each promise holds for both.
const sizes = [
  ['one by one', ''],
  [
    'merged',
    `; update filler set n = n + 1; delete from filler where id > 150; insert into filler select g, 0 from generate_series(151, 200) g`,
  ],
] as const;
const filler = `create table filler (id int primary key, n int); insert into filler select g, 0 from generate_series(1, 200) g;`;

interface Story {
  readonly tables: string;
  readonly mirrored: FollowingOptions['mirrored'];
  readonly changes: string;
}

async function follows(way: readonly [14 | 18, 14 | 18], story: Story): Promise<void> {
  await using source = await testDatabase(way[0]);
  await using target = await testDatabase(way[1]);
  const f = await following({ source, target, tables: filler + story.tables, mirrored: [...story.mirrored, 'filler'] });
  const running = f.start();
  for (const [, more] of sizes) {
    await source.exec(`begin; ${story.changes}${more}; commit`);
    await f.settle();
    await same(f, story.mirrored);
  }
  await running.stop();
}

async function same(f: Following, tables: FollowingOptions['mirrored']): Promise<void> {
  for (const table of [...tables, 'filler']) {
    const rows = await f.rows(typeof table === 'string' ? table : table.from.name);
    expect(rows.target).toEqual(rows.source);
  }
}

describe.each(ways)('from PostgreSQL %i to %i', (from, to) => {
  const way = [from, to] as const;

  test('an update that does not touch a large value leaves it as it was', async () => {
    // External values are not sent when they did not change.
    await follows(way, {
      tables: `create table docs (id int primary key, body text, n int); alter table docs alter body set storage external;
        insert into docs select g, repeat(md5(g::text), 30000), 0 from generate_series(1, 6) g;`,
      mirrored: ['docs'],
      changes: `update docs set n = n + 1 where id = 1;
        insert into docs values ((select max(id) + 1 from docs), repeat('fresh', 20000), 0); update docs set n = 7 where id = (select max(id) from docs);
        update docs set id = -id, n = 3 where id in (2, -2);
        update docs set body = repeat('new', 40000) where id = 3; update docs set n = n + 5 where id = 3;
        update docs set n = 9 where id = 4; update docs set id = 40 - id where id in (4, 36); update docs set id = 40 - id where id in (4, 36);
        delete from docs where id = 5; insert into docs values (5, repeat('again', 20000), 1); update docs set n = 2 where id = 5`,
    });
  });

  test('a large value survives a later update of the same batch', async () => {
    await follows(way, {
      tables: `create table docs (id int primary key, body text, n int); alter table docs alter body set storage external;
        insert into docs select g, repeat(md5(g::text), 30000), 0 from generate_series(1, 6) g;`,
      mirrored: ['docs'],
      changes: `update docs set n = n + 1 where id < 4; update docs set body = repeat('new', 40000) || n where id = 3; update docs set n = n + 5 where id = 3;
        insert into docs values ((select max(id) + 1 from docs), repeat('fresh', 20000), 0); update docs set n = 7 where id = (select max(id) from docs);
        update docs set body = 'short' where id = 2; update docs set n = 3 where id = 2; update docs set body = null where id = 1;
        delete from docs where id = 5; insert into docs values (5, repeat('again', 20000), 1); update docs set n = 2 where id = 5`,
    });
  });

  test('keys may change, be swapped inside one transaction, and be used again', async () => {
    await follows(way, {
      tables: `create table k (id bigint primary key, v text); insert into k select g, 'v' || g from generate_series(1, 20) g;
        create table two (a text, b int, v int, primary key (b, a)); insert into two select 'a' || g, g, g from generate_series(1, 20) g;`,
      mirrored: ['k', 'two'],
      changes: `update k set id = -1 where id = 1; update k set id = 1 where id = 2; update k set id = 2 where id = -1;
        delete from k where id = 3; insert into k values (3, 'reborn'); update k set v = v || '!' where id = 3;
        insert into k values (100, 'short'); update k set id = 101 where id = 100; delete from k where id = 101;
        delete from k where id = 5; update k set id = 5 where id = 6; insert into k values (6, 'six');
        update k set id = id + 1000 where id between 10 and 15; update k set id = id - 1000 where id > 1000;
        update two set a = a || 'x', v = v + 1 where b < 5; update two set b = b + 100 where b between 6 and 8; update two set b = b - 100 where b > 100`,
    });
  });

  test('a deferrable key identifies nothing while a transaction runs', async () => {
    await follows(way, {
      tables: `create table late (id int primary key deferrable, v text); alter table late replica identity full;
        insert into late select g, 'v' || g from generate_series(1, 10) g;`,
      mirrored: ['late'],
      changes: `update late set id = 11 - id; update late set v = v || '!' where id = 2;
        set constraints all deferred; insert into late values (3, 'twin'); update late set v = 'changed' where v = 'twin';
        delete from late where id = 3 and v <> 'changed'`,
    });
  });

  test('a unique value may move from one row to another', async () => {
    await follows(way, {
      tables: `create table u (id int primary key, email text unique, n int); insert into u select g, 'm' || g, 0 from generate_series(1, 120) g;`,
      mirrored: ['u'],
      changes: `update u set email = 'tmp' where id = 1; update u set email = 'm1' where id = 2; update u set email = 'm2' where id = 1;
        update u set email = 'tmp' where id = 20; update u set email = case email when 'm21' then 'm20' else 'm21' end where id = 21;
        update u set email = (select case email when 'm21' then 'm20' else 'm21' end from u where id = 21) where id = 20;
        update u set email = 'tmp' where email = 'm1'; update u set email = 'm1' where email = 'm2'; update u set email = 'm2' where email = 'tmp';
        update u set n = n + 1;
        delete from u where id = 9; insert into u values (9, 'm10b', 1); update u set email = 'free' where id = 10; update u set email = 'm10' where id = 9;
        update u set email = 'm9' where id = 10; update u set email = 'x' where id = 9; update u set email = 'm10' where id = 10; update u set email = 'm9' where id = 9`,
    });
  });

  test('without a key, exactly one of several identical rows goes, NULLs or not', async () => {
    await follows(way, {
      tables: `create table bag (a int, b text, j json, p point); alter table bag replica identity full;
        insert into bag select 1, 'same', '{"x": 1}', '(1,2)' from generate_series(1, 8);
        insert into bag select null, null, null, null from generate_series(1, 8);
        insert into bag select g % 3, case when g % 2 = 0 then 'b' end, null, null from generate_series(1, 12) g;`,
      mirrored: ['bag'],
      changes: `delete from bag where ctid = (select ctid from bag where a = 1 and b = 'same' limit 1);
        delete from bag where ctid = (select ctid from bag where a is null limit 1);
        update bag set b = 'changed' where ctid = (select ctid from bag where a = 1 and b = 'same' limit 1);
        update bag set a = 5 where ctid = (select ctid from bag where a is null and b is null limit 1);
        insert into bag values (7, 'seven', '[]', null), (7, 'seven', '[]', null); delete from bag where ctid = (select ctid from bag where a = 7 limit 1);
        update bag set b = null where a = 5`,
    });
  });

  test('REPLICA IDENTITY FULL with a key, USING INDEX, and NOTHING are followed as what they are', async () => {
    await follows(way, {
      tables: `create table fk (id int primary key, t text, big text); alter table fk replica identity full; alter table fk alter big set storage external;
        insert into fk select g, 't', repeat('big', 5000) from generate_series(1, 10) g;
        create table ix (x int, code text not null, v int); create unique index ix_code on ix (code); alter table ix replica identity using index ix_code;
        insert into ix select g, 'c' || g, g from generate_series(1, 10) g;
        create table ins (n int, t text); alter table ins replica identity nothing;`,
      mirrored: ['fk', 'ix', 'ins'],
      changes: `update fk set t = t || '1' where id < 4; update fk set id = id + 100 where id in (4, 5); update fk set id = id - 100 where id in (104); delete from fk where id in (105); insert into fk values (5, 'back', 'b');
        update ix set v = v + 1, x = null where code < 'c3'; update ix set code = 'd' || code where code = 'c7'; update ix set code = 'c7' where code = 'dc7'; delete from ix where code = 'c8'; insert into ix values (8, 'c8', 88);
        insert into ins select g, 'row' from generate_series(1, 3) g`,
    });
  });
});
