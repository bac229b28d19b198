// When a transaction is read before its commit, and when not: what is received of others always goes first.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Spill } from '../../../src/base/spill.ts';
import { Ahead } from '../../../src/cdc/ahead.ts';
import { Gatherer } from '../../../src/cdc/batch.ts';
import { Intake } from '../../../src/cdc/intake.ts';
import type { Session } from '../../../src/cdc/session.ts';
import type { ChangeStream } from '../../../src/peers/stream.ts';
import { StreamedTransactions } from '../../../src/peers/streamed.ts';
import * as make from './messages.ts';

function world() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-ahead-'));
  const streamed = new StreamedTransactions({ spill: new Spill(folder), messagePrefix: null });
  const queue: Buffer[] = [];
  const intake = new Intake({ take: () => queue.shift() } as unknown as ChangeStream, streamed);
  const limits = { changes: 1000, piece: 1000, bytes: 1_000_000_000 };
  const gatherer = new Gatherer({ limits, checkpoint: 10n, truncate: true, isEcho: () => false });
  const session = { checkpoint: 10n, relations: { save: () => () => {} } } as unknown as Session;
  const ahead = new Ahead({ session, gatherer, intake, notBefore: 0 });
  return {
    ...{ queue, intake, gatherer, ahead, streamed },
    /** What is larger than a buffer comes to the disk at once. */
    block: (xid: number, value: string) => {
      streamed.start(xid);
      const frame = make.frame(make.inBlock(make.insert(1, [value.repeat(300_000)]), xid));
      streamed.add(frame, 0, frame.length);
    },
    /** Reads as far as it goes; gives why it stopped. */
    read: async () => {
      for (;;) {
        const reading = await intake.next();
        if (reading === undefined || typeof reading === 'string') return reading ?? 'nothing';
        gatherer.gather(reading.chunk, reading.at, 1);
        intake.done();
      }
    },
    async [Symbol.asyncDispose]() {
      await streamed[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

const small = [make.begin(20n, 5), make.insert(1, ['1']), make.commit(20n, 25n)].map((message) => make.frame(message));
const commit = (xid: number) => make.frame(make.streamCommit(xid, 30n, 35n));

test('not in the middle of another, whose end is on its way', async () => {
  await using w = world();
  w.block(7, 'a');
  w.queue.push(Buffer.concat(small.slice(0, 2)));
  expect(await w.read()).toBe('nothing');
  expect(w.ahead.begin(0)).toBe(false);
  w.queue.push(small[2]!);
  expect(await w.read()).toBe('nothing');
  expect(w.gatherer.changes).toBe(1);
  expect(w.ahead.begin(0)).toBe(true);
});

test('not where two are open, and not twice', async () => {
  await using w = world();
  w.block(7, 'a');
  w.block(8, 'b');
  expect(w.ahead.begin(0)).toBe(false);
  w.streamed.abort(8, 8);
  expect(w.ahead.begin(0)).toBe(true);
  w.ahead.abandon(0);
  expect(w.ahead.begin(100_000)).toBe(false);
});

test('what another commits stops it; what only says how far the server is does not', async () => {
  await using w = world();
  w.block(7, 'a');
  expect(w.ahead.begin(0)).toBe(true);
  expect(await w.read()).toBe('nothing');
  const empty = Buffer.concat([small[0]!, small[2]!]);
  const outside = make.logical('x', 'y');
  outside[1] = 0;
  w.queue.push(Buffer.concat([make.keepalive(15n), empty, make.frame(outside)]));
  w.block(7, 'b');
  expect(await w.read()).toBe('nothing');
  w.block(7, 'c');
  w.queue.push(Buffer.concat([make.keepalive(16n), ...small]));
  expect(await w.read()).toBe('disturbed');
  w.ahead.abandon(0);
  expect(await w.read()).toBe('nothing');
  expect(w.gatherer.changes).toBe(1);
});

test('its own commit stops it, and what it still has to bring comes before that', async () => {
  await using w = world();
  w.block(7, 'a');
  expect(w.ahead.begin(0)).toBe(true);
  expect(await w.read()).toBe('nothing');
  w.block(7, 'b');
  w.block(7, 'c');
  w.queue.push(Buffer.concat([commit(7), ...small]));
  w.streamed.commit(7);
  expect(await w.read()).toBe('committed');
  expect(await w.ahead.confirm()).toBe(true);
  expect(await w.read()).toBe('nothing');
  const taken = w.gatherer.take();
  expect([taken?.changes, taken?.transactions, taken?.endLsn]).toEqual([4, 2, 25n]);
});

test('after one that was undone, the next waits longer each time, until one is done', async () => {
  await using w = world();
  const waits: number[] = [];
  let now = 1_000_000;
  for (let xid = 1; xid <= 10; xid++) {
    w.block(xid, 'a');
    let wait = 0;
    while (!w.ahead.begin(now + wait)) wait += 250;
    waits.push(wait);
    now += wait;
    w.ahead.abandon(now);
    w.streamed.abort(xid, xid);
  }
  expect(waits.slice(0, 4)).toEqual([0, 250, 500, 1000]);
  expect(waits.at(-1)).toBe(60_000);
});
