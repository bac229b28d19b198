// How people may write a rate.
import { expect, test } from 'vitest';
import { readMirrorChanges, readMirrorOptions } from '../../../src/mirror/options.ts';
import { readRate } from '../../../src/mirror/rate.ts';

const megabyte = 1024 * 1024;

test.each([
  ['20', 20 * megabyte],
  ['20 MB/s', 20 * megabyte],
  ['20MB', 20 * megabyte],
  ['0.5', megabyte / 2],
  ['512 kB/s', megabyte / 2],
  ['1.5 gb/s', 1536 * megabyte],
  ['0', null],
  [undefined, null],
])('%s is a rate', (text, bytes) => {
  expect(readRate('snapshot_throttle', text)).toBe(bytes);
});

test.each(['fast', '', '-5', '20 MB/min', '20 Mbit/s', '1e3', '10 kB/s', '2000 GB/s', '5 5'])(
  '"%s" is refused with the ways to write it',
  (text) => {
    const written = [{ name: 'snapshot_throttle', value: text, namePosition: 5, valuePosition: 25 }];
    for (const read of [readMirrorOptions, readMirrorChanges]) {
      expect(() => read(written)).toThrow(
        expect.objectContaining({ sqlstate: '22023', position: 25, hint: expect.stringContaining('20 MB/s') }),
      );
    }
  },
);

test('a number needs no quotes', () => {
  expect(readMirrorOptions([{ name: 'snapshot_throttle', value: 20 }]).snapshot_throttle).toBe('20');
});
