// A source that was restored or promoted: whether its log still has what the target's rows came from.
import { expect, test } from 'vitest';
import { missingLog, switchPoint } from '../../../src/peers/timeline.ts';

const history = `1\t0/3000060\tno recovery target specified\n\n2\t1/A0000028\tbefore 2024-05-01 12:00:00+00\n`;

test('a history file says where each earlier timeline was left', () => {
  expect(switchPoint(history, 1n)).toBe(0x3000060n);
  expect(switchPoint(history, 2n)).toBe(0x1_a0000028n);
  expect(switchPoint(history, 3n)).toBeNull();
});

const now = { system: '7', timeline: 3n, end: 1000n };
const before = { system: '7', timeline: 2n };
const never = () => Promise.reject(new Error('not asked'));

test('a source on the same timeline has all up to its end', async () => {
  const remembered = { system: '7', timeline: 3n };
  expect(await missingLog({ remembered, now, checkpoint: 1000n }, never)).toBeNull();
  expect(await missingLog({ remembered, now, checkpoint: 1001n }, never)).toEqual({ kind: 'ends', at: 1000n });
  expect(await missingLog({ remembered: null, now, checkpoint: 1001n }, never)).toEqual({ kind: 'ends', at: 1000n });
});

test('a promoted source has all up to where it left the timeline that the target knows, however far it is now', async () => {
  const left = (at: bigint | null) => () => Promise.resolve(at);
  const of = { remembered: before, now, checkpoint: 500n };
  expect(await missingLog(of, left(500n))).toBeNull();
  expect(await missingLog(of, left(499n))).toEqual({ kind: 'ends', at: 499n });
  expect(await missingLog(of, left(null))).toEqual({ kind: 'other_branch' });
  expect(await missingLog({ ...of, now: { ...now, timeline: 1n } }, never)).toEqual({ kind: 'other_branch' });
});

test('another server is another server, wherever its log is', async () => {
  expect(await missingLog({ remembered: { ...before, system: '8' }, now, checkpoint: 1n }, never)).toEqual({
    kind: 'other_system',
  });
});
