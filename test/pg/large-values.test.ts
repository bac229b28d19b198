// A value of 100 MB is copied and followed, and this process holds it a few times at most.
import { expect, test } from 'vitest';
import { copyAll, mirrorWork, table } from '../support/copied.ts';
import { following } from '../support/following.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

const long = process.env.SLUICE_LONG_TESTS === '1';
const megabytes = 100;
const large = `decode(repeat('00ff5c0a27', ${(megabytes * 1024 * 1024) / 5}), 'hex')`;
// A type without a common binary form makes all values of the mirror travel as text.
const forms = long ? (['binary', 'text'] as const) : (['binary'] as const);

/** The most that buffers of this process hold while the work goes on, more than before it, in MB. */
async function mostHeld(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().arrayBuffers;
  let most = before;
  const looking = setInterval(() => {
    most = Math.max(most, process.memoryUsage().arrayBuffers);
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(looking);
  }
  return (most - before) / 1024 / 1024;
}

const digests = (db: TestDatabase) =>
  db.exec('select id, n, length(v)::int as length, md5(v) as digest from large order by id');

test.each(forms)(
  'a value of 100 MB is copied and followed (%s), in bounded memory',
  async (form) => {
    await using source = await testDatabase(14);
    await using target = await testDatabase(18);
    await using copy = await testDatabase(18);
    const tables = `create type pair as (a int, b int);
    create table large (id int primary key, n int, v bytea, p ${form === 'text' ? 'pair' : 'int'}); alter table large alter v set storage external`;
    const f = await following({ source, target, tables, mirrored: ['large'] });
    const held = await mostHeld(async () => {
      const running = f.start();
      await source.exec(`insert into large values (1, 1, ${large})`);
      await f.settle();
      // It is not sent again, neither with another value nor with another key, and comes along all the same.
      await source.exec('update large set n = 2; update large set id = 2');
      await f.settle();
      await running.stop();
    });
    expect(await digests(target)).toEqual(await digests(source));
    expect((await digests(target))[0]).toMatchObject({ id: 2, n: 2, length: megabytes * 1024 * 1024 });
    const copied = await mostHeld(async () => {
      const sides = { from: source, to: copy };
      await copyAll(mirrorWork(sides, [table('large')], { initial_copy_only: true }));
    });
    expect(await digests(copy)).toEqual(await digests(source));
    console.log(`${form}: ${held.toFixed(0)} MB held while following, ${copied.toFixed(0)} MB while copying`);
    const wire = form === 'text' ? 2 : 1;
    expect(held).toBeLessThan(megabytes * wire * 5);
    expect(copied).toBeLessThan(100);
  },
  240_000,
);
