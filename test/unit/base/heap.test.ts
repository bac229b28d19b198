// The bound of the heap's growth.
import { expect, test } from 'vitest';
import { followingPercent } from '../../../src/base/heap.ts';

const mb = 1024 * 1024;

test('a small heap may grow by 30 MB while changes are followed, a large one by 40 %', () => {
  expect(followingPercent(20 * mb)).toBe(150);
  expect(followingPercent(60 * mb)).toBe(50);
  expect(followingPercent(200 * mb)).toBe(40);
  expect(followingPercent(5 * mb)).toBe(200);
});
