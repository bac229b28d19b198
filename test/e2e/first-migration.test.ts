// The README's ten lines, taken out of README.md as they stand and said with psql to real servers.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseLsn } from '../../src/pg/lsn.ts';
import { expectEqualTables } from '../support/compare.ts';
import { type Gateway, isInstalled, startGateway } from '../support/gateway.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The lines of the first SQL block below that heading. */
function sqlBelow(heading: string): readonly string[] {
  const section = readme.slice(readme.indexOf(heading));
  const block = /```sql\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  return block.split('\n').filter((line) => line.trim() !== '');
}

async function says(gateway: Gateway, line: string): Promise<string> {
  const done = await gateway.psql(line, { args: ['-At'] });
  expect(done, line).toMatchObject({ code: 0, stderr: '' });
  return done.stdout.trim();
}

async function shop(source: TestDatabase): Promise<void> {
  await source.exec(`create table orders (id bigint generated always as identity primary key, note text);
    insert into orders (note) select 'order ' || i from generate_series(1, 5000) i;
    create table lines (order_id bigint, line int, primary key (order_id, line));
    insert into lines select i, 1 from generate_series(1, 5000) i`);
}

test.skipIf(!isInstalled('psql'))('the ten lines of SQL in the README move a database', async () => {
  const lines = sqlBelow('## Your first migration');
  expect(lines).toHaveLength(10);
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await shop(source);
  await using gateway = await startGateway();
  const url = (host: string) => `postgres://postgres:secret@${host}:5432/shop`;
  const here = lines.map((line) => line.replace(url('old-host'), source.url).replace(url('new-host'), target.url));
  expect(here.filter((line, i) => line !== lines[i])).toHaveLength(2);

  const [
    createOld = '',
    createNew = '',
    createMirror = '',
    show = '',
    tables = '',
    countOld = '',
    countNew = '',
    reached = '',
  ] = here;
  expect(await says(gateway, createOld)).toBe('CREATE PEER');
  expect(await says(gateway, createNew)).toBe('CREATE PEER');
  expect(await says(gateway, createMirror)).toBe('CREATE MIRROR');
  await until('SHOW MIRROR says running', async () => (await says(gateway, show)).includes('running'));
  expect((await says(gateway, tables)).split('\n').sort()).toEqual([
    expect.stringMatching(/^public\.lines\|copied\|5000\|\d+$/),
    expect.stringMatching(/^public\.orders\|copied\|5000\|\d+$/),
  ]);
  await source.exec("insert into orders (note) values ('while it runs')");
  expect(await says(gateway, countOld)).toBe('5001');
  await until('the new order is there', async () => (await says(gateway, countNew)) === '5001');
  const [end] = await source.exec<{ lsn: string }>('select pg_current_wal_lsn() as lsn');
  const passed = async () => parseLsn(await says(gateway, reached)) >= parseLsn(end?.lsn ?? '');
  await until('nothing is left to bring', passed);
  expect(await says(gateway, here[8] ?? '')).toBe('PAUSE MIRROR');
  expect(await says(gateway, here[9] ?? '')).toBe('DROP MIRROR');

  await expectEqualTables(source.connection, target.connection, [
    { schema: 'public', name: 'orders' },
    { schema: 'public', name: 'lines' },
  ]);
  await until('the source holds no slot and no publication of ours', async () => {
    const left = await source.exec(`select slot_name::text from pg_replication_slots where database = current_database()
      union all select pubname::text from pg_publication`);
    return left.length === 0;
  });
  await target.exec("insert into orders (note) values ('after the move')"); // the identity goes on where it was
});
