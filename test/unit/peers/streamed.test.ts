// Transactions that come before their commit: kept as they come, given back whole, without what was rolled back.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Spill } from '../../../src/base/spill.ts';
import { readChange, readLength, readMessage, rowEnd, type StreamCommit, tags } from '../../../src/peers/pgoutput.ts';
import { StreamedTransactions } from '../../../src/peers/streamed.ts';
import type { CommittedStream } from '../../../src/peers/streamed-read.ts';
import * as make from '../cdc/messages.ts';

interface World extends AsyncDisposable {
  readonly folder: string;
  readonly kept: StreamedTransactions;
  readonly failures: string[];
  /** Messages of a block, each with the number of its subtransaction. */
  block(xid: number, ...messages: readonly (readonly [Buffer, number])[]): void;
}

function world(messagePrefix: string | null = 'ours'): World {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-kept-'));
  const kept = new StreamedTransactions({ spill: new Spill(folder), messagePrefix });
  const failures: string[] = [];
  kept.listen({ relieved: () => {}, failed: (error) => failures.push(error.message) });
  return {
    ...{ folder, kept, failures },
    block: (xid, ...messages) => {
      kept.start(xid);
      const frames = messages.map(([message, subxid]) => make.frame(make.inBlock(message, subxid)));
      // As they lie among others, first all but one together.
      for (const run of [Buffer.concat(frames.slice(0, -1)), frames.at(-1) ?? Buffer.alloc(0)]) {
        const chunk = Buffer.concat([Buffer.from('before'), run, Buffer.from('behind')]);
        kept.add(chunk, 6, 6 + run.length);
        expect(chunk.subarray(0, 6).toString() + chunk.subarray(6 + run.length).toString()).toBe('beforebehind');
        chunk.fill(0);
      }
    },
    async [Symbol.asyncDispose]() {
      await kept[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

const commit = (xid: number): StreamCommit => {
  const message = make.streamCommit(xid, 0x2_0000_0001n, 0x2_0000_0009n);
  return readMessage(message, 0, message.length) as StreamCommit;
};

// Shown by what they are and what is in them: a list of megabytes takes long to compare.
const shown = (message: Buffer) =>
  message.length < 1000
    ? message.toString('latin1')
    : `${message.length} ${createHash('sha256').update(message).digest('hex')}`;

async function messages(read: CommittedStream): Promise<readonly string[]> {
  const found: string[] = [];
  for (let chunk = await read.next(); chunk !== undefined; chunk = await read.next()) {
    for (let at = 0; at < chunk.length; ) {
      const end = at + readLength(chunk, at + 1) + 1;
      expect([chunk[at], chunk[at + 5]]).toEqual([0x64, 0x77]);
      const message = chunk.subarray(at + 30, end);
      const length = lengthOf(message);
      // Something may stand behind it that nobody reads.
      expect([0, 4]).toContain(message.length - length);
      found.push(shown(message.subarray(0, length)));
      at = end;
    }
  }
  return found;
}

function lengthOf(message: Buffer): number {
  const nameEnd = (at: number) => message.indexOf(0, at) + 1;
  switch (message[0]) {
    case tags.insert:
    case tags.update:
    case tags.delete: {
      const change = readChange(message, 0);
      return rowEnd(message, change.kind === 'delete' ? change.old : change.row);
    }
    case tags.truncate:
      return 6 + 4 * message.readUInt32BE(1);
    case tags.type:
      return nameEnd(nameEnd(5));
    case tags.relation: {
      let at = nameEnd(nameEnd(5)) + 3;
      for (let left = message.readUInt16BE(at - 2); left > 0; left--) at = nameEnd(at + 1) + 8;
      return at;
    }
    default:
      return message.length;
  }
}

const row = (value: string) => make.insert(1, [value]);
const whole = (xid: number, ...inner: readonly Buffer[]) => {
  const begin = make.begin(0x2_0000_0001n, xid);
  begin.writeBigInt64BE(1_000_000n, 9);
  return [begin, ...inner, make.commit(0x2_0000_0001n, 0x2_0000_0009n)].map(shown);
};

test('what came in blocks is an ordinary transaction once it is committed', async () => {
  await using w = world();
  const relation = make.relation(1, 't', [{ name: 'id', key: true }]);
  w.block(7, [relation, 7], [row('a'), 7]);
  w.block(8, [row('of another'), 8]);
  const rest = [make.update(1, ['b']), make.remove(1, 'K', ['c']), make.truncate([1]), make.typeName(9, 's', 'y')];
  w.block(7, ...rest.map((message) => [message, 7] as const));
  expect(await messages(w.kept.finish(commit(7)))).toEqual(whole(7, relation, row('a'), ...rest));
  expect(() => w.kept.finish(commit(7))).toThrow(/did not send/);
  expect(await messages(w.kept.finish(commit(8)))).toEqual(whole(8, row('of another')));
});

test('an origin, which has no number, is kept as the first of its transaction', async () => {
  await using w = world();
  w.kept.start(7);
  const frame = make.frame(make.origin(0n, 'from there'));
  w.kept.add(frame, 0, frame.length);
  w.block(7, [row('a'), 9]);
  w.kept.abort(7, 9);
  expect(await messages(w.kept.finish(commit(7)))).toEqual(whole(7, make.origin(0n, 'from there')));
});

test('what was rolled back to a savepoint is left out, in memory and on the disk', async () => {
  await using w = world();
  const large = (mark: string) => row(mark.repeat(100_000));
  for (let i = 0; i < 8; i++) {
    w.block(7, [large('a'), 7], [large('b'), 8], [large('c'), 9]);
    w.block(7, [row('small'), 9], [row('small'), 7]);
  }
  w.kept.abort(7, 9);
  const expected = Array.from({ length: 8 }, () => [large('a'), large('b'), row('small')]).flat();
  expect(await messages(w.kept.finish(commit(7)))).toEqual(whole(7, ...expected));
});

test('values larger than any buffer come back as they were, in their place', async () => {
  await using w = world();
  const rows = [1, 300_000, 2, 262_144, 3_000_000, 5].map((size, i) => row(String(i).repeat(size)));
  w.block(7, ...rows.map((message) => [message, 7] as const));
  // Their files have no name that another could open.
  const read = w.kept.finish(commit(7));
  expect(await messages(read)).toEqual(whole(7, ...rows));
  expect(readdirSync(w.folder)).toEqual([]);
});

test('what a kill left is swept away, and nothing else', async () => {
  await using w = world();
  for (const name of ['sluice-spill-1', 'mine']) writeFileSync(join(w.folder, name), 'x');
  mkdirSync(join(w.folder, 'sluice-spill-folder'));
  w.block(7, [row('a'.repeat(300_000)), 7]);
  await w.kept.finish(commit(7)).close();
  expect(readdirSync(w.folder).toSorted()).toEqual(['mine', 'sluice-spill-folder']);
});

test('many small ones together stay within a bound of memory, and none is lost', async () => {
  await using w = world();
  const value = (xid: number) => row(`${xid} `.repeat(20_000));
  for (let xid = 1; xid <= 200; xid++) w.block(xid, [value(xid), xid]);
  for (let xid = 200; xid >= 1; xid--) {
    if (xid % 3 === 0) w.kept.abort(xid, xid);
    else expect(await messages(w.kept.finish(commit(xid)))).toEqual(whole(xid, value(xid)));
  }
  expect(w.failures).toEqual([]);
});

test('when much is committed and waits, nothing more is to come before some of it is read', async () => {
  await using w = world();
  for (let xid = 1; xid <= 600; xid++) {
    w.block(xid, [row(`of ${xid}`), xid]);
    w.kept.commit(xid);
  }
  expect(w.kept.behind).toBe(true);
  for (let xid = 1; xid <= 600; xid++) {
    expect(await messages(w.kept.finish(commit(xid)))).toEqual(whole(xid, row(`of ${xid}`)));
    if (xid === 560) expect(w.kept.behind).toBe(false);
  }
  expect(w.failures).toEqual([]);
  for (let xid = 1; xid <= 600; xid++) w.block(xid, [row('open'), xid]);
  expect(w.failures).toEqual([expect.stringContaining('too many transactions')]);
});

test('a logical message of ours beside a savepoint that was rolled back cannot be told apart, others are no trouble', async () => {
  await using w = world();
  w.block(7, [make.logical('theirs', 'x'.repeat(1000)), 7], [row('a'), 7]);
  w.kept.abort(7, 9);
  expect(await messages(w.kept.finish(commit(7)))).toEqual(whole(7, row('a')));
  w.block(8, [make.logical('ours', 'a change'), 8], [row('a'), 8]);
  expect(w.failures).toEqual([]);
  w.kept.abort(8, 9);
  expect(w.failures).toEqual([expect.stringContaining('a savepoint was rolled back')]);
  // It must never be taken for whole.
  expect(() => w.kept.finish(commit(8))).toThrow(/a savepoint was rolled back/);
});

test('what was not kept because there was no room is never given back as if it were whole', async () => {
  const kept = new StreamedTransactions({ spill: new Spill('/dev/null/no'), messagePrefix: null });
  const failures: string[] = [];
  kept.listen({ relieved: () => {}, failed: (error) => failures.push(error.message) });
  const add = (xid: number, message: Buffer) => {
    kept.start(xid);
    const frame = make.frame(make.inBlock(message, xid));
    kept.add(frame, 0, frame.length);
  };
  add(6, row('whole, in memory'));
  add(7, row('a'.repeat(300_000)));
  await expect((async () => messages(kept.finish(commit(7))))()).rejects.toThrow();
  expect(failures).toHaveLength(1);
  expect(await messages(kept.finish(commit(6)))).toEqual(whole(6, row('whole, in memory')));
  add(8, row('after'));
  expect(() => kept.finish(commit(8))).toThrow();
  await kept[Symbol.asyncDispose]();
});
