// Changes of the source reach the target: what was there before, what came, what went.
import { describe, expect, test } from 'vitest';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

describe.each([
  [14, 18],
  [18, 14],
] as const)('from PostgreSQL %i to %i', (from, to) => {
  test('inserts, updates and deletes arrive, a few at a time and many at once', async () => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const f = await following({
      source,
      target,
      tables: `create table a (id int primary key, t text, n numeric); insert into a select g, 't' || g, g from generate_series(1, 500) g`,
      mirrored: ['a'],
    });
    const running = f.start();
    await source.exec(
      `insert into a values (1001, 'x', 1.50); update a set t = 'y' where id = 1; delete from a where id = 2`,
    );
    await f.settle();
    let rows = await f.rows('a');
    expect(rows.target).toEqual(rows.source);
    await source.exec(
      `begin; insert into a select g, 'new', g from generate_series(2000, 4000) g; update a set n = n + 1 where id % 2 = 0; delete from a where id % 3 = 0; commit`,
    );
    await f.settle();
    rows = await f.rows('a');
    expect(rows.target).toEqual(rows.source);
    await running.stop();
  });
});
