// The program as it is delivered: compiled once for a whole run of tests, as it starts in a third of the time that its source takes.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const variable = 'SLUICE_TEST_PROGRAM';

/** Compiles src/ to a folder of this run's own, below node_modules so that packages are found. @returns removes it */
export function buildProgram(): () => void {
  const all = join(root, 'node_modules/.cache');
  mkdirSync(all, { recursive: true });
  const folder = mkdtempSync(join(all, 'sluice-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/build.mjs'), folder], {
    encoding: 'utf8',
  });
  if (status !== 0) {
    remove();
    throw new Error(`src/ cannot be compiled: ${stderr}`);
  }
  // Workers that run tests inherit it.
  process.env[variable] = join(folder, 'dist/main.js');
  return remove;
}

/** The words that run the program, without its arguments: as compiled for this run, or else from source. */
export function programCommand(): readonly string[] {
  const built = process.env[variable];
  return [process.execPath, ...(built === undefined ? ['--import', 'tsx', join(root, 'src/main.ts')] : [built])];
}
