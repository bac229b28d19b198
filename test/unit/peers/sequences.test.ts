// Where a target's sequence is set, from where both sides stand.
import { expect, test } from 'vitest';
import { nextSetting } from '../../../src/peers/sequences.ts';

const up = { increment: 1n, cycle: false };
const down = { increment: -5n, cycle: false };
const at = (last: number, called = true) => ({ last: BigInt(last), called });

test('an ascending sequence moves on and never back', () => {
  expect(nextSetting(at(9), at(5), up)).toEqual(at(9));
  expect(nextSetting(at(5), at(9), up)).toBeNull();
  expect(nextSetting(at(5), at(5), up)).toBeNull();
  expect(nextSetting(at(5, false), at(5), up)).toBeNull();
});

test('a descending sequence moves down and never up', () => {
  expect(nextSetting(at(-9), at(-4), down)).toEqual(at(-9));
  expect(nextSetting(at(-4), at(-9), down)).toBeNull();
});

test('one that was never used takes the place of the source’s, wherever that is', () => {
  expect(nextSetting(at(5), at(5, false), up)).toEqual(at(5));
  expect(nextSetting(at(3), at(100, false), up)).toEqual(at(3));
  expect(nextSetting(at(100, false), at(1, false), up)).toEqual(at(100, false));
});

test('one that cycles follows the source around', () => {
  expect(nextSetting(at(1), at(5), { increment: 1n, cycle: true })).toEqual(at(1));
});
