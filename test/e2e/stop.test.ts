// How the gateway ends: in order on a signal, also when Ctrl-C comes twice as under npm, and found again after kill -9.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createPeer, isAlive, startGateway } from '../support/gateway.ts';
import { testDatabase } from '../support/servers.ts';

function catalogPid(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'catalog/cluster/postmaster.pid'), 'utf8').split('\n')[0]);
}

test('Ctrl-C that arrives twice at once ends the gateway in order, with its catalog', async () => {
  await using gateway = await startGateway();
  const catalog = catalogPid(gateway.dataDir);
  expect(isAlive(catalog)).toBe(true);
  process.kill(gateway.pid, 'SIGINT');
  await gateway.kill('SIGINT');
  expect(isAlive(catalog)).toBe(false);
});

test('a catalog that outlived a kill -9 is adopted, and what was written is there', async () => {
  await using gateway = await startGateway();
  const catalog = catalogPid(gateway.dataDir);
  await using db = await testDatabase(18);
  await gateway.query(createPeer('kept', db));
  await gateway.kill('SIGKILL');
  expect(isAlive(catalog)).toBe(true);
  await gateway.start();
  expect(catalogPid(gateway.dataDir)).toBe(catalog);
  expect(await gateway.query('select name, database from sluice.peers')).toEqual([
    { name: 'kept', database: db.database },
  ]);
});
