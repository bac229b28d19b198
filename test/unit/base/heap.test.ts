// The bound of the heap's growth.
import { expect, test } from 'vitest';
import { copyingPercent, followingPercent } from '../../../src/base/heap.ts';

const mb = 1024 * 1024;

test('a small heap may grow by 30 MB while changes are followed, a large one by 40 %', () => {
  expect(followingPercent(20 * mb)).toBe(150);
  expect(followingPercent(60 * mb)).toBe(50);
  expect(followingPercent(200 * mb)).toBe(40);
  expect(followingPercent(5 * mb)).toBe(200);
});

test('while tables are copied it may grow by 14 MB, or a quarter', () => {
  expect(copyingPercent(28 * mb)).toBe(50);
  expect(copyingPercent(7 * mb)).toBe(100);
  expect(copyingPercent(100 * mb)).toBe(25);
});
