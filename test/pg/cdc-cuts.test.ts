// Connections that break at the worst moments: at any byte, between a COMMIT and its answer, with a COMMIT that arrives later.
import { expect, test } from 'vitest';
import type { SluiceError } from '../../src/base/errors.ts';
import { type Following, following } from '../support/following.ts';
import { peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';
import { type Cutter, type Wire, wireCutter } from '../support/wire-cutter.ts';

const tables = `create table log (n int, t text); alter table log replica identity full;
  create table x (id int primary key, n int); insert into x select g, 0 from generate_series(1, 20) g`;

interface Wired extends AsyncDisposable {
  readonly f: Following;
  readonly source: Cutter;
  readonly target: Cutter;
}

/** Both connections go over a wire of the test's. */
async function wired(from: TestDatabase, to: TestDatabase): Promise<Wired> {
  const f = await following({ source: from, target: to, tables, mirrored: ['log', 'x'] });
  const [source, target] = [await wireCutter(from), await wireCutter(to)];
  const at = (db: TestDatabase, { host, port }: Cutter) => ({ ...peerOf(db), host, port });
  Object.assign(f, { work: { ...f.work, source: at(from, source), target: at(to, target) } });
  return {
    ...{ f, source, target },
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

async function isEqual(f: Following): Promise<boolean> {
  const { source, target } = await f.rows('log');
  return source.length === target.length;
}

async function expectEqual(f: Following): Promise<void> {
  for (const table of ['log', 'x']) {
    const rows = await f.rows(table);
    expect(rows.target).toEqual(rows.source);
  }
}

// The longest takes most of a session's bytes: login, looks, the stream's messages, staging COPY and merge.
const reach = 400_000;
const points = process.env.SLUICE_LONG_TESTS ? 60 : 9;

test.each(['source', 'target'] as const)(
  'a connection to the %s that breaks after any number of bytes loses nothing and repeats nothing',
  async (side) => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    await using w = await wired(source, target);
    const { f } = w;
    let cuts = 0;
    for (let i = 0; i < points; i++) {
      await source.exec(
        `insert into log select ${i}, 'one by one' from generate_series(1, 5); update x set n = n + 1 where id < 4`,
      );
      await source.exec(`insert into log select ${i}, repeat('y', 1000) from generate_series(1, 150); update x set n = n + 1;
        insert into log values (${i}, repeat('z', 100000))`);
      let left = Math.round(reach ** ((i + 1) / points));
      w[side].watch((_way, bytes, wire) => {
        left -= bytes.length;
        if (left <= 0) wire.cut();
      });
      const running = f.start();
      let error: SluiceError | undefined;
      running.done.catch((reason: SluiceError) => {
        error = reason;
      });
      await until('it breaks, or all is there', async () => error !== undefined || (await isEqual(f)));
      w[side].watch(undefined);
      if (error === undefined) await running.stop().catch(() => undefined);
      else {
        cuts++;
        // Whoever runs the mirror tries again by itself.
        expect(error.retry, error.message).toBe('backoff');
      }
    }
    expect(cuts).toBeGreaterThan(points / 2);
    const running = f.start();
    await f.settle();
    await running.stop();
    await expectEqual(f);
  },
);

/** Calls `then` with the wire of the next COMMIT, before the target gets it. */
function atCommit(cutter: Cutter, then: (wire: Wire, bytes: Buffer) => void): void {
  cutter.watch((way, bytes, wire) => {
    if (way !== 'to server' || !bytes.includes('commit\0')) return;
    cutter.watch(undefined);
    then(wire, bytes);
  });
}

test('a COMMIT whose answer is lost was one: its rows do not come again', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await using w = await wired(source, target);
  const { f } = w;
  const running = f.start();
  await f.settle();
  const cut = new Promise<void>((resolve) => {
    atCommit(w.target, (wire) => {
      wire.deafen();
      const there = () => until('the commit', async () => (await f.rows('log')).target.length === 3);
      void there().then(() => {
        wire.cut();
        resolve();
      });
    });
  });
  await source.exec("insert into log select 1, 'a' from generate_series(1, 3)");
  await cut;
  await expect(running.done).rejects.toMatchObject({ retry: 'backoff' });
  const again = f.start();
  await f.settle();
  await again.stop();
  await expectEqual(f);
});

test('a COMMIT that reaches the target after its connection was given up changes nothing any more', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using w = await wired(source, target);
  const { f } = w;
  const running = f.start();
  await f.settle();
  const held = new Promise<() => void>((resolve) => {
    atCommit(w.target, (wire, bytes) => resolve(wire.holdBack(bytes)));
  });
  await source.exec("insert into log select 1, 'a' from generate_series(1, 3)");
  const release = await held;
  await expect(running.done).rejects.toMatchObject({ retry: 'backoff' });
  const again = f.start();
  await until('the rows, once', async () => (await f.rows('log')).target.length === 3);
  release();
  await f.settle();
  await again.stop();
  await expectEqual(f);
});

test('rows are written only onto the checkpoint that they begin at, also by the owner of the mirror', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables, mirrored: ['log', 'x'] });
  const running = f.start();
  await f.settle();
  // As if a session of ours that nobody knows of had brought the next rows already.
  await target.exec('update _sluice.checkpoints set lsn = lsn + 1');
  await source.exec("insert into log values (1, 'a')");
  await expect(running.done).rejects.toMatchObject({
    retry: 'backoff',
    message: expect.stringContaining('has moved the checkpoint'),
  });
  expect((await f.rows('log')).target).toEqual([]);
});
