// Whether a look at the source's catalog was taken when a transaction had ended.
import { expect, test } from 'vitest';
import { shows } from '../../../src/cdc/look.ts';

test('a look shows transactions that had ended when it was taken, and no other', () => {
  const cases: readonly [snapshot: string, xid: number, shown: boolean][] = [
    ['100:105:', 99, true],
    ['100:105:100,103', 99, true],
    ['100:105:100,103', 100, false],
    ['100:105:100,103', 101, true],
    ['100:105:100,103', 103, false],
    ['100:105:100,103', 104, true],
    ['100:105:100,103', 105, false],
    ['100:105:100,103', 2_000_000_000, false],
  ];
  for (const [snapshot, xid, shown] of cases) expect(shows(snapshot, xid), `${xid} in ${snapshot}`).toBe(shown);
});

test('the stream says only the lower half of a transaction’s number, which begins anew after four thousand million', () => {
  const turn = 2n ** 32n;
  const snapshot = `${3n * turn - 2n}:${3n * turn + 5n}:${3n * turn - 1n},${3n * turn + 2n}`;
  expect(shows(snapshot, 2 ** 32 - 3)).toBe(true);
  expect(shows(snapshot, 2 ** 32 - 2)).toBe(true);
  expect(shows(snapshot, 2 ** 32 - 1)).toBe(false);
  expect(shows(snapshot, 1)).toBe(true);
  expect(shows(snapshot, 2)).toBe(false);
  expect(shows(snapshot, 5)).toBe(false);
});

test('a standby does not say which transactions are open: nothing is known to have ended', () => {
  expect(shows('', 100)).toBe(false);
});
