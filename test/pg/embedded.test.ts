// The embedded server: starts, is adopted after our death, survives its own kill, is safe to start from two sides at once.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Connection } from '../../src/pg/client.ts';
import { removeEmbedded, startEmbedded } from '../../src/pg/embedded.ts';
import { sql } from '../../src/pg/sql.ts';
import { until } from '../support/wait.ts';

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'sluice-embedded-'));
  return {
    path,
    [Symbol.dispose]() {
      removeEmbedded(path);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

test('two starts at once in one folder give one server to both, and a later start adopts it', async () => {
  using home = folder();
  const [one, two] = await Promise.all([
    startEmbedded({ dataDir: home.path, throwaway: true }),
    startEmbedded({ dataDir: home.path, throwaway: true }),
  ]);
  await using _stop = one;
  expect(two.pid).toBe(one.pid);
  const later = await startEmbedded({ dataDir: home.path, throwaway: true });
  expect([later.adopted, later.pid]).toEqual([true, one.pid]);
});

test('what was committed is there after the server was killed with -9, and its port need not be the same', async () => {
  using home = folder();
  const first = await startEmbedded({ dataDir: home.path });
  {
    await using connection = await Connection.open(first.config());
    await connection.run(sql`create table public.kept as select 42 as answer`);
  }
  process.kill(first.pid, 'SIGKILL');
  await using second = await startEmbedded({ dataDir: home.path });
  expect(second.adopted).toBe(false);
  await using connection = await Connection.open(second.config());
  expect(await connection.query(sql`select answer from public.kept`)).toEqual([{ answer: 42 }]);
});

test('a stopped server is really gone', async () => {
  using home = folder();
  const server = await startEmbedded({ dataDir: home.path, throwaway: true });
  await server.stop();
  await expect(Connection.open(server.config())).rejects.toMatchObject({ kind: 'unreachable' });
  await until('no process', () => {
    try {
      process.kill(server.pid, 0);
      return false;
    } catch {
      return true;
    }
  });
});
