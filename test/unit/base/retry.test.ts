// Back-off grows, stays within bounds, and a pause ends when it is told to.
import { expect, test } from 'vitest';
import { backoffMs, pause, untilNextTryMs } from '../../../src/base/retry.ts';

test('waits start at half a second, double, and never pass thirty seconds', () => {
  expect(backoffMs(0, () => 1)).toBe(500);
  expect(backoffMs(0, () => 0)).toBe(250);
  expect(backoffMs(3, () => 1)).toBe(4000);
  expect(backoffMs(1000, () => 1)).toBe(30_000);
});

test('tries begin at most thirty seconds apart, however long each of them took', () => {
  const last = (tookMs: number, random: number) =>
    untilNextTryMs({ attempt: 1000, tookMs, isStarting: false }, () => random);
  expect(last(0, 1)).toBe(30_000);
  expect(last(9_000, 1)).toBe(21_000);
  expect(last(9_000, 0)).toBe(6_000);
  // Never without a breath.
  expect(last(60_000, 1)).toBe(500);
  expect(last(60_000, 0)).toBe(250);
  expect(untilNextTryMs({ attempt: 1, tookMs: 900, isStarting: false }, () => 1)).toBe(500);
});

test('a server that says it is starting is asked again within two seconds', () => {
  const now = (attempt: number) => untilNextTryMs({ attempt, tookMs: 0, isStarting: true }, () => 1);
  expect(now(0)).toBe(500);
  expect(now(1)).toBe(1_000);
  expect(now(1000)).toBe(2_000);
});

test('a pause ends at once when its signal is aborted', async () => {
  const controller = new AbortController();
  const waiting = pause(60_000, controller.signal);
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ kind: 'stopped' });
});
