// Back-off grows, stays within bounds, and a pause ends when it is told to.
import { expect, test } from 'vitest';
import { backoffMs, pause } from '../../../src/base/retry.ts';

test('waits start at half a second, double, and never pass thirty seconds', () => {
  expect(backoffMs(0, () => 1)).toBe(500);
  expect(backoffMs(0, () => 0)).toBe(250);
  expect(backoffMs(3, () => 1)).toBe(4000);
  expect(backoffMs(1000, () => 1)).toBe(30_000);
});

test('a pause ends at once when its signal is aborted', async () => {
  const controller = new AbortController();
  const waiting = pause(60_000, controller.signal);
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ kind: 'stopped' });
});
