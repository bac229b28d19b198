// What the demo shows of a copy: numbers that people read, and never more than a hundred percent.
import { expect, test } from 'vitest';
import { progressLine, shownCount, shownSeconds } from '../../../demo/screen.ts';

test('a progress line tells percent, rows, rate, size and what is left', () => {
  const line = progressLine({ rows: 250_000, ofRows: 1_000_000, bytes: 12_345_678, elapsedMs: 2_000 }, 8);
  expect(line).toBe('██░░░░░░   25 %  250,000 of 1,000,000 rows  125,000 rows/s  ETA 6.0 s  12.3 MB');
});

test('an estimate that was too low does not show more than the whole', () => {
  expect(progressLine({ rows: 12, ofRows: 10, bytes: 0, elapsedMs: 1000 }, 4)).toContain('100 %  12 of 12 rows');
});

test('before the first row there is no estimate, and no division by nothing', () => {
  expect(progressLine({ rows: 0, ofRows: 0, bytes: 0, elapsedMs: 0 }, 4)).toBe(
    '░░░░    0 %  0 of 1 rows  0 rows/s  ETA –  0.0 MB',
  );
});

test('counts and seconds are grouped as people write them', () => {
  expect([shownCount(7), shownCount(1234), shownCount(1234567)]).toEqual(['7', '1,234', '1,234,567']);
  expect([shownSeconds(0.44), shownSeconds(42.4), shownSeconds(185)]).toEqual(['0.4 s', '42 s', '3 min 05 s']);
});
