// How often what happens again is taken for something that passes.
import { expect, test } from 'vitest';
import { Repeats } from '../../../src/cdc/repeats.ts';

const withinAMinute = () => new Repeats<number>((before, now) => now - before < 60_000);

test('five in a row are tried again, the sixth is told', () => {
  const losses = withinAMinute();
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
  const losses = withinAMinute();
  for (let hour = 0; hour < 100; hour++) expect(losses.again(hour * 3_600_000)).toBe(true);
});

test('what does not belong to the one before begins anew', () => {
  const places = new Repeats<bigint>((before, now) => before === now);
  const tries = [1n, 1n, 1n, 1n, 1n, 2n, 2n, 1n, 1n, 1n, 1n, 1n, 1n];
  expect(tries.map((place) => places.again(place)).lastIndexOf(true)).toBe(tries.length - 2);
  expect(places.again(2n)).toBe(true);
});
