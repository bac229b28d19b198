// The demo's folder: one run at a time in each, and nothing left of an earlier run, however it ended.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeEmbedded, startEmbedded } from '../src/pg/embedded.ts';

export interface DemoFolder {
  readonly path: string;
  /** Forgets everything in it. Servers in it must have been stopped. */
  release(): void;
}

/** Takes `base`, or `base-2`, `base-3` … if other runs of the demo are at work there. */
export async function takeFolder(base: string): Promise<DemoFolder> {
  for (let number = 1; ; number++) {
    const path = number === 1 ? base : `${base}-${number}`;
    mkdirSync(path, { recursive: true, mode: 0o711 });
    const owner = join(path, 'demo.pid');
    if (!claim(owner)) continue;
    // A run that was killed with -9 leaves its servers; adopting them is how they are found.
    for (const folder of serverFolders(path)) await (await startEmbedded({ dataDir: folder })).stop('immediate');
    clear(path);
    return {
      path,
      release() {
        clear(path);
        rmSync(owner, { force: true });
      },
    };
  }
}

function claim(file: string): boolean {
  try {
    writeFileSync(file, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch {
    // It is there: does its owner live?
  }
  const pid = Number(readFileSync(file, 'utf8'));
  if (pid > 0 && pid !== process.pid && isAlive(pid)) return false;
  writeFileSync(file, `${process.pid}\n`);
  return true;
}

/** The source's and the target's folder, and the catalog's, which is the only folder inside the gateway's. */
function serverFolders(path: string): readonly string[] {
  return [...foldersIn(path).filter((folder) => !folder.endsWith('gateway')), ...foldersIn(join(path, 'gateway'))];
}

function clear(path: string): void {
  for (const folder of [...serverFolders(path), join(path, 'gateway')]) removeEmbedded(folder);
}

function foldersIn(path: string): readonly string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name));
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
