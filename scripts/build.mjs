// Compiles src/ to dist/ and puts beside it what the compiler does not copy: SQL migrations and the generated parser.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(`${root}dist`, { recursive: true, force: true });
const done = spawnSync(
  process.execPath,
  [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tsconfig.build.json`],
  {
    stdio: 'inherit',
  },
);
if (done.status !== 0) process.exit(done.status ?? 1);
for (const folder of ['catalog/migrations', 'sql/generated']) {
  if (existsSync(`${root}src/${folder}`)) cpSync(`${root}src/${folder}`, `${root}dist/${folder}`, { recursive: true });
}
