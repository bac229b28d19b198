// Compiles src/ to dist/ and puts beside it what the compiler does not copy: SQL migrations and the generated parser.
// With a folder named: compiles to `dist` there, unchecked, with the package's own facts beside it (for tests, which check apart).
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [elsewhere] = process.argv.slice(2);
const dist = join(elsewhere ?? root, 'dist');
rmSync(dist, { recursive: true, force: true });
const done = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['-p', join(root, 'tsconfig.build.json'), '--outDir', dist],
    ...(elsewhere === undefined ? [] : ['--noCheck']),
  ],
  { stdio: 'inherit' },
);
if (done.status !== 0) process.exit(done.status ?? 1);
for (const folder of ['catalog/migrations', 'sql/generated']) {
  const from = join(root, 'src', folder);
  if (existsSync(from)) cpSync(from, join(dist, folder), { recursive: true });
}
if (elsewhere !== undefined) cpSync(join(root, 'package.json'), join(elsewhere, 'package.json'));
