// Making a folder with those above it, one by one: Node's own way never ends where a file system refuses with ENOENT (/proc).
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Makes the folder and what is missing above it, all with `mode`. @throws the file system's own error */
export function makeFolder(path: string, mode: number): void {
  const folder = resolve(path);
  if (existsSync(folder)) return;
  makeFolder(dirname(folder), mode);
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Another process made it a moment ago.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
