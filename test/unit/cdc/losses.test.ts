// How often a server's internal error is taken for one that passes.
import { expect, test } from 'vitest';
import { Losses } from '../../../src/cdc/run.ts';

test('five in a row are tried again, the sixth is told', () => {
  const losses = new Losses();
  expect([0, 1, 2, 3, 4, 5].map((second) => losses.again(second * 10_000))).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
});

test('those of months do not add up', () => {
  const losses = new Losses();
  for (let hour = 0; hour < 100; hour++) expect(losses.again(hour * 3_600_000)).toBe(true);
});
