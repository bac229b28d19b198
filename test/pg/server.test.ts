// The whole server: starts with nothing but a folder, outlives its catalog's death, stops clean, and tells what is wrong with its settings.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import { freePort, removeEmbedded } from '../../src/pg/embedded.ts';
import { startServer } from '../../src/server.ts';
import { serverFolder } from '../support/folder.ts';
import { isAlive, runProgram } from '../support/gateway.ts';
import { programCommand } from '../support/program.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

function folder() {
  const path = serverFolder('server');
  return {
    path,
    [Symbol.dispose]() {
      removeEmbedded(join(path, 'catalog'));
      rmSync(path, { recursive: true, force: true });
    },
  };
}

async function client(port: number, password: string) {
  const connected = new pg.Client({ host: '127.0.0.1', port, user: 'anyone', password, database: 'sluice' });
  connected.on('error', () => {});
  await connected.connect();
  return { query: (text: string) => connected.query(text), [Symbol.asyncDispose]: () => connected.end() };
}

test('a server outlives the death of its embedded catalog, and ends its clients and the catalog when it stops', async () => {
  using home = folder();
  const config = readConfig({ SLUICE_DATA_DIR: home.path, SLUICE_PORT: '0', SLUICE_HTTP_PORT: '0' });
  const server = await startServer(config, silentLog);
  const pidFile = join(home.path, 'catalog/cluster/postmaster.pid');
  const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
  {
    await using before = await client(server.port, config.password);
    expect((await before.query('show mirrors')).rows).toEqual([]);
    expect((await before.query('select count(*)::int as n from sluice.journal')).rows).toEqual([{ n: 0 }]);
  }
  process.kill(pid, 'SIGKILL');
  await until('it is gone', () => !isAlive(pid));
  // Its processes notice that one after another; until then one of them may be asked, and say so.
  await until('the catalog answers again', async () => {
    await using again = await client(server.port, config.password);
    await again.query('show mirrors');
    await again.query('select 1 from sluice.journal');
    return true;
  });
  await using after = await client(server.port, config.password);
  expect((await after.query('show mirrors')).rows).toEqual([]);
  expect((await after.query('select count(*)::int as n from sluice.journal')).rows).toEqual([{ n: 0 }]);
  await server[Symbol.asyncDispose]();
  await server.ended;
  await expect(after.query('select 1')).rejects.toThrow();
  expect(existsSync(pidFile)).toBe(false);
});

test('two servers share one catalog by URL; what one is told the other knows', async () => {
  await using database = await testDatabase(18);
  using home = folder();
  const config = readConfig({
    ...{ SLUICE_DATA_DIR: home.path, SLUICE_PORT: '0', SLUICE_HTTP_PORT: '0', SLUICE_CATALOG_URL: database.url },
  });
  const [first, second] = await Promise.all([startServer(config, silentLog), startServer(config, silentLog)]);
  await using _one = first;
  await using _two = second;
  await using one = await client(first.port, config.password);
  await using two = await client(second.port, config.password);
  const { host, port, user, password } = database;
  await one.query(`create peer p from postgres with (host = '${host}', port = ${port}, user = '${user}',
    password = '${password}', database = '${database.database}')`);
  expect((await two.query('show peers')).rows).toMatchObject([{ name: 'p' }]);
  expect((await two.query('select 42 as n from p.pg_catalog.pg_class limit 1')).rows).toEqual([{ n: 42 }]);
});

test('a server that cannot have its port leaves nothing running', async () => {
  await using other = await holdPort(await freePort());
  using home = folder();
  const env = { SLUICE_DATA_DIR: home.path, SLUICE_PORT: String(other.port), SLUICE_HTTP_PORT: '0' };
  await expect(startServer(readConfig(env), silentLog)).rejects.toMatchObject({ kind: 'unreachable' });
  expect(existsSync(join(home.path, 'catalog/cluster/postmaster.pid'))).toBe(false);
});

/** Something that holds a port. */
async function holdPort(port: number) {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
  return { port, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => holder.close(() => resolve())) };
}

test('the program says how to connect without telling a password that was set, and ends with 0 on SIGTERM', async () => {
  await using database = await testDatabase(18);
  using home = folder();
  const httpPort = await freePort();
  const [program, ...main] = programCommand();
  const child = spawn(program!, [...main, 'start'], {
    env: {
      ...{ PATH: process.env.PATH, SLUICE_DATA_DIR: home.path, SLUICE_CATALOG_URL: database.url, SLUICE_PORT: '0' },
      ...{ SLUICE_HTTP_PORT: String(httpPort), SLUICE_PASSWORD: 'chosen by hand' },
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  try {
    await until('the banner', () => /psql "host=127\.0\.0\.1 port=\d+ /.test(output));
    expect(output).not.toContain('chosen by hand');
    const ready = await fetch(`http://127.0.0.1:${httpPort}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready' }]);
  } finally {
    child.kill('SIGTERM');
  }
  expect(await ended).toBe(0);
});

test('the program prints its help, and refuses a wrong setting by name with exit code 1', async () => {
  const [program, ...main] = programCommand();
  const [help, wrong] = await Promise.all([
    runProgram(program!, { args: [...main, 'help'] }),
    runProgram(program!, { args: [...main, 'start'], env: { SLUICE_PROT: '1' } }),
  ]);
  expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('SLUICE_CATALOG_URL')]);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain('SLUICE_PROT');
  expect(wrong.stderr).toContain('HINT: Known options:');
});
