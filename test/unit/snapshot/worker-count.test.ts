// How many workers a copy has: as many as bring something, never more than allowed.
import { expect, test } from 'vitest';
import { type CopySize, WorkerCount } from '../../../src/snapshot/worker-count.ts';

const large = { small: false, tables: 9 };

/**
 * Plays a copy that lasts, whose workers together bring that many bytes a second.
 * @returns how many there were, second by second
 */
function play(
  most: number,
  bytesPerSecond: (workers: number, second: number) => number,
  seconds: number,
  size: CopySize = large,
): number[] {
  const count = new WorkerCount(most, 0, size);
  const seen: number[] = [];
  for (let ms = 250; ms <= seconds * 1_000; ms += 250) {
    count.passed(bytesPerSecond(count.wanted, ms / 1_000) / 4);
    count.look(ms, 0.99);
    if (ms % 1_000 === 0) seen.push(count.wanted);
  }
  return seen;
}

test('where each brings as much as the others, all are soon at work', () => {
  expect(play(4, (workers) => workers * 50, 6)).toEqual([2, 3, 3, 4, 4, 4]);
  expect(play(12, (workers) => workers * 50, 8)).toEqual([2, 3, 3, 5, 5, 8, 8, 12]);
});

test('where more bring nothing, two go on, and a minute later it is tried again', () => {
  const seen = play(8, () => 100, 70);
  expect(seen.slice(0, 5)).toEqual([2, 3, 3, 2, 2]);
  expect(seen.filter((workers) => workers > 2)).toHaveLength(4);
  expect(seen[64]).toBe(3);
});

test('what came to be worth it later is found', () => {
  const seen = play(4, (workers, second) => (second < 30 ? 100 : workers * 50), 80);
  expect(seen.at(-1)).toBe(4);
  expect(seen[40]).toBe(2);
});

test('where some more bring more and many do not, it stays in between', () => {
  expect(play(16, (workers) => Math.min(workers, 4) * 50, 20).at(-1)).toBe(5);
});

test('nothing that passes is no reason for more to stay', () => {
  expect(play(8, () => 0, 9).at(-1)).toBe(2);
  expect(play(1, () => 10, 9)).toEqual(Array(9).fill(1));
  expect(play(2, (workers) => workers, 9)).toEqual(Array(9).fill(2));
});

test('what cannot be had is not wanted any more', () => {
  const count = new WorkerCount(8, 0, large);
  count.passed(100);
  expect(count.look(2_000, 0.99)).toBe(3);
  count.limit(2);
  expect(count.wanted).toBe(2);
  for (let ms = 2_250; ms < 90_000; ms += 250) {
    count.passed(ms);
    expect(count.look(ms, 0.99)).toBe(2);
  }
});

test('where all is small, all begin', () => {
  const small = { small: true, tables: 0 };
  expect(new WorkerCount(6, 0, small).wanted).toBe(6);
  expect(new WorkerCount(1, 0, small).wanted).toBe(1);
});

test('a single table begins with one, and gets more where they bring something', () => {
  const one = { small: false, tables: 1 };
  expect(play(8, (workers) => workers * 50, 8, one)).toEqual([1, 2, 2, 3, 3, 5, 5, 8]);
  expect(play(8, () => 100, 6, one)).toEqual([1, 2, 2, 1, 1, 1]);
  expect(play(8, () => 100, 1, { small: false, tables: 0 })).toEqual([1]);
});

test('no more are tried where the rest will soon be over', () => {
  const count = new WorkerCount(8, 0, large);
  count.passed(100);
  expect(count.look(2_000, 0.5)).toBe(2);
  count.passed(100);
  // Five of six jobs are done after ten seconds: two are left, no longer than it takes to see whether more workers bring more.
  expect(count.look(10_000, 1 / 6)).toBe(2);
  count.passed(100);
  expect(count.look(12_000, 0.5)).toBe(3);
});
