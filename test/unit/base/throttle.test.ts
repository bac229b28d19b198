// A limit that several share, in a time that stands still until it is told to go on.
import { expect, test } from 'vitest';
import { Throttle } from '../../../src/base/throttle.ts';

function clock() {
  const time = { ms: 0 };
  return { time, now: () => time.ms };
}

/** Bytes that workers in turn pass in `seconds`, each waiting as it is told. */
function passed(throttle: Throttle, time: { ms: number }, run: { seconds: number; workers: number; lump: number }) {
  const end = time.ms + run.seconds * 1_000;
  const places = Array.from({ length: run.workers }, () => 0);
  let bytes = 0;
  while (time.ms < end) {
    for (const [worker, place] of places.entries()) {
      if (throttle.waitMs(place) > 0) continue;
      places[worker] = throttle.take(run.lump);
      bytes += run.lump;
    }
    time.ms += 5;
  }
  return bytes;
}

test('however many share it, they pass what the limit allows', () => {
  for (const workers of [1, 4, 16]) {
    const { time, now } = clock();
    const throttle = new Throttle(1_000_000, now);
    const bytes = passed(throttle, time, { seconds: 10, workers, lump: 8_192 });
    expect(bytes / 10).toBeGreaterThan(950_000);
    expect(bytes / 10).toBeLessThan(1_050_000);
  }
});

test('an idle minute is not made up for', () => {
  const { time, now } = clock();
  const throttle = new Throttle(1_000_000, now);
  time.ms += 60_000;
  expect(passed(throttle, time, { seconds: 1, workers: 1, lump: 8_192 })).toBeLessThan(1_200_000);
});

test('another limit holds for those who wait already, and none lets them go', () => {
  const { time, now } = clock();
  const throttle = new Throttle(1_000, now);
  const place = throttle.take(60_000);
  expect(throttle.waitMs(place)).toBeCloseTo(60_000, -2);
  throttle.set(10_000);
  expect(throttle.waitMs(place)).toBeCloseTo(6_000, -2);
  time.ms += 3_000;
  expect(throttle.waitMs(place)).toBeCloseTo(3_000, -2);
  throttle.set(null);
  expect(throttle.waitMs(place)).toBe(0);
  throttle.set(1_000);
  expect(throttle.waitMs(throttle.take(2_000))).toBeCloseTo(2_000, -2);
});

test('without a limit nobody waits', () => {
  const throttle = new Throttle(null);
  expect(throttle.pass(1_000_000_000)).toBeUndefined();
});

test('who is stopped stops waiting', async () => {
  const throttle = new Throttle(1);
  const stop = new AbortController();
  const waiting = throttle.pass(1_000_000, stop.signal);
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ kind: 'stopped' });
});
