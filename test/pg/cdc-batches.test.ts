// max_batch_size and sync_interval say how changes are gathered; no reader ever sees a part of a source transaction.
import { expect, test } from 'vitest';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test.each([
  ['as they come', {}],
  ['marked where they go', { soft_delete: true }],
])(
  'target transactions hold at most max_batch_size changes, and source transactions whole, %s',
  async (_how, options) => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    const f = await following({
      source,
      target,
      tables: 'create table part (tx int, n int, primary key (tx, n))',
      mirrored: ['part'],
      options: { max_batch_size: 5, sync_interval: 1, ...options },
    });
    await target.exec(
      'alter table part add "_PEERDB_IS_DELETED" boolean; alter table mark add "_PEERDB_IS_DELETED" boolean',
    );
    // What is there when it begins comes as a backlog.
    const sizes = Array.from({ length: 60 }, (_, i) => (i % 13 === 12 ? 40 : 1 + (i % 7)));
    for (const [i, size] of sizes.entries()) {
      await source.exec(`insert into part select ${i}, g from generate_series(1, ${size}) g`);
    }
    await source.exec('insert into part select 1000, g from generate_series(1, 3000) g');
    let reading = true;
    const torn: string[] = [];
    const reader = (async () => {
      const db = await target.connect();
      while (reading) {
        const { rows } = await db.client.query<{ tx: number; n: number }>(
          'select tx, count(*)::int as n from part group by tx',
        );
        for (const { tx, n } of rows) if (n !== (sizes[tx] ?? 3000)) torn.push(`${tx}: ${n}`);
      }
    })();
    const running = f.start();
    await f.settle();
    await until('every batch is told of', () => f.batches.reduce((sum, batch) => sum + batch.transactions, 0) === 62);
    reading = false;
    await reader;
    await running.stop();
    expect(torn).toEqual([]);
    for (const { changes, transactions } of f.batches) expect(changes > 5 ? transactions : 1).toBe(1);
    expect(f.batches.some(({ changes, transactions }) => transactions > 1 && changes <= 5)).toBe(true);
    expect(
      f.batches
        .filter(({ changes }) => changes > 5)
        .map(({ changes }) => changes)
        .toSorted((a, b) => b - a)[0],
    ).toBe(3000);
    expect((await target.exec('select count(*)::int as n from part'))[0]).toEqual({
      n: 3000 + sizes.reduce((a, b) => a + b),
    });
  },
);

test('with sync_interval a change waits that long to be gathered with others, and no longer', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const options = { sync_interval: 2 };
  const f = await following({
    source,
    target,
    tables: 'create table x (id int primary key)',
    mirrored: ['x'],
    options,
  });
  const running = f.start();
  await f.settle();
  f.batches.length = 0;
  await source.exec('do $$ begin for id in 1..30 loop insert into x values (id); commit; end loop; end $$');
  const gathered = await until('the batch is told of', () => f.batches.find(({ tables }) => tables.has('public.x')));
  expect(gathered.transactions).toBeGreaterThanOrEqual(30);
  const waited = gathered.committedAt.getTime() - gathered.receivedAt.getTime();
  expect(waited).toBeGreaterThanOrEqual(1_990);
  await running.stop();
});
