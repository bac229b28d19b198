// LSNs read and print as PostgreSQL does.
import { expect, test } from 'vitest';
import { formatLsn, parseLsn } from '../../../src/pg/lsn.ts';

test('an LSN prints as it was read, and compares as a number', () => {
  for (const text of ['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF', '1/A']) expect(formatLsn(parseLsn(text))).toBe(text);
  expect(parseLsn('2/0') > parseLsn('1/FFFFFFFF')).toBe(true);
});

test('a text that is no LSN is refused', () => {
  expect(() => parseLsn('0/')).toThrow('not an LSN');
});
