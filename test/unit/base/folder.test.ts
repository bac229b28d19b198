// Folders are made with those above them, and what cannot be made is said at once.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolder } from '../../../src/base/folder.ts';

test('a folder is made with those above it, and made again without harm', () => {
  const home = mkdtempSync(join(tmpdir(), 'sluice-folder-'));
  try {
    makeFolder(join(home, 'a', 'b'), 0o700);
    makeFolder(join(home, 'a', 'b'), 0o700);
    expect(statSync(join(home, 'a', 'b')).mode & 0o777).toBe(0o700);
  } finally {
    rmSync(home, { recursive: true });
  }
});

test.skipIf(process.platform !== 'linux')('a place where no folder can be is refused at once', () => {
  expect(() => makeFolder('/proc/x/y', 0o700)).toThrow('ENOENT');
});
