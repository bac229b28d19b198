// GET /metrics: what Prometheus is told, by real requests while mirrors run.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { healthRoutes } from '../../src/api/health.ts';
import { addMetrics } from '../../src/api/metrics.ts';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import { freePort } from '../../src/pg/embedded.ts';
import { startServer } from '../../src/server.ts';
import { type Exposition, readExposition } from '../support/exposition.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

interface Served extends AsyncDisposable {
  say(text: string): Promise<pg.QueryResult>;
  scrape(): Promise<{ readonly text: string; readonly type: string | null; readonly status: number }>;
  metrics(): Promise<Exposition>;
}

async function served(catalog: TestDatabase, more: Readonly<Record<string, string>> = {}): Promise<Served> {
  const home = mkdtempSync(join(tmpdir(), 'sluice-metrics-'));
  const config = readConfig({
    ...{ SLUICE_DATA_DIR: home, SLUICE_CATALOG_URL: catalog.url, SLUICE_SECRET_KEY: 'the key of these tests' },
    ...{ SLUICE_PORT: '0', SLUICE_HTTP_PORT: String(await freePort()), SLUICE_PASSWORD: 'word of passing', ...more },
  });
  const server = await startServer(config, silentLog);
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: 'anyone',
    password: 'word of passing',
    database: 'sluice',
  });
  await client.connect();
  const scrape = async () => {
    const answer = await fetch(`http://127.0.0.1:${server.httpPort}/metrics`);
    return { text: await answer.text(), type: answer.headers.get('content-type'), status: answer.status };
  };
  return {
    say: (text) => client.query(text),
    scrape,
    metrics: async () => readExposition((await scrape()).text),
    async [Symbol.asyncDispose]() {
      await client.end();
      await server[Symbol.asyncDispose]();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const peer = (
  name: string,
  at: TestDatabase,
) => `create peer ${name} from postgres with (host = '${at.host}', port = ${at.port},
  user = '${at.user}', password = '${at.password}', database = '${at.database}')`;

test('Prometheus reads mirrors and tables while they run, whatever they are called, and no secret', async () => {
  await using catalog = await testDatabase(18);
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  await using it = await served(catalog);
  const hostile = 'we"ird \\ na{me}\n, x';
  await source.exec(`create table plain (id int primary key); insert into plain select generate_series(1, 50);
    create table "${hostile.replaceAll('"', '""')}" (id int primary key)`);
  await it.say(peer('src', source));
  await it.say(peer('dst', target));
  await it.say('create mirror scraped from src to dst for all tables');
  const ofMirror = { mirror: 'scraped' };
  await until(
    'it runs',
    async () => (await it.metrics()).value('sluice_mirror_info', { ...ofMirror, status: 'running' }) === 1,
  );
  await source.exec(
    'insert into plain select generate_series(101, 120); update plain set id = -id where id = 1; delete from plain where id = 2',
  );
  await source.exec(`insert into "${hostile.replaceAll('"', '""')}" values (1)`);
  const plain = { ...ofMirror, table: 'public.plain' };
  await until(
    'it is counted',
    async () => (await it.metrics()).value('sluice_table_changes_total', { ...plain, change: 'insert' }) === 20,
  );
  const { text, type, status } = await it.scrape();
  expect({ type, status }).toEqual({ type: expect.stringMatching(/^text\/plain; version=0\.0\.4/), status: 200 });
  const metrics = readExposition(text);
  expect(metrics.value('sluice_catalog_up')).toBe(1);
  expect(metrics.value('sluice_table_changes_total', { ...plain, change: 'update' })).toBe(1);
  expect(metrics.value('sluice_table_changes_total', { ...plain, change: 'delete' })).toBe(1);
  expect(metrics.value('sluice_table_change_bytes_total', plain)).toBeGreaterThan(200);
  expect(metrics.value('sluice_table_conflicts_total', plain)).toBe(0);
  expect(metrics.value('sluice_mirror_copied_rows', ofMirror)).toBe(50);
  expect(metrics.value('sluice_mirror_tables', ofMirror)).toBe(2);
  expect(metrics.value('sluice_mirror_lag_seconds', ofMirror)).toBeGreaterThanOrEqual(0);
  expect(metrics.value('sluice_mirror_lag_bytes', ofMirror)).toBeGreaterThanOrEqual(0);
  expect(metrics.value('sluice_mirror_commit_latency_seconds', ofMirror)).toBeLessThan(60);
  expect(metrics.value('sluice_mirror_in_trouble', ofMirror)).toBe(0);
  expect(metrics.value('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
  const names = new Set(metrics.samples.map(({ labels }) => labels.table));
  expect([...names].some((name) => name?.includes('na{me}') && name.includes('\n') && name.includes('\\'))).toBe(true);
  await until(
    'the slot was looked at',
    async () => ((await it.metrics()).value('sluice_mirror_slot_held_bytes', ofMirror) ?? -1) >= 0,
  );
  for (const [name, kind] of metrics.types) {
    if (!name.startsWith('sluice_')) continue;
    expect(name, name).toMatch(
      kind === 'counter' ? /_total$/ : /_(bytes|seconds|rows|tables|up|lost|info|in_trouble|left_out)$/,
    );
  }
  for (const secret of [source.password, target.password, 'word of passing', 'the key of these tests']) {
    expect(text).not.toContain(secret);
  }
  // What is over is not told of any more; what needs a person is.
  await target.exec('delete from plain where id = 5');
  await source.exec('update plain set id = 500 where id = 5');
  await until(
    'it waits for a person',
    async () => (await it.metrics()).value('sluice_mirror_in_trouble', ofMirror) === 2,
  );
  expect((await it.metrics()).value('sluice_table_conflicts_total', plain)).toBe(1);
  await it.say('drop mirror scraped');
  await until('it is gone', async () => (await it.metrics()).value('sluice_mirror_tables', ofMirror) === undefined);
});

test('the gauges of a mirror that is paused, retried or failed are not 0 because nobody looks', async () => {
  await using catalog = await testDatabase(18);
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await served(catalog);
  await source.exec('create table a (id int primary key)');
  await it.say(peer('src', source));
  await it.say(peer('dst', target));
  await it.say('create mirror dark from src to dst for all tables');
  const of = { mirror: 'dark' };
  const follows = async () => {
    const now = await it.metrics();
    const status = now.value('sluice_mirror_info', { ...of, status: 'running' });
    const trouble = now.value('sluice_mirror_in_trouble', of);
    return status === 1 && trouble === 0 && now.value('sluice_mirror_lag_seconds', of) === 0;
  };
  /** Scrapes until it has counted for two seconds; nothing that is told may be 0 or go back. */
  const scrapes = async (what: string) => {
    const told: Exposition[] = [];
    const seconds = (now: Exposition | undefined) => now?.value('sluice_mirror_lag_seconds', of) ?? 0;
    await until(what, async () => {
      told.push(await it.metrics());
      return seconds(told.at(-1)) > seconds(told[0]) + 2;
    });
    expect(told.map((now) => now.value('sluice_mirror_lag_bytes', of))).not.toContain(0);
    expect(seconds(told[0])).toBeGreaterThan(0);
    expect(told.map(seconds)).toEqual(told.map(seconds).toSorted((a, b) => a - b));
    return told;
  };
  await until('it has everything', follows);
  await it.say('pause mirror dark');
  await source.exec('insert into a values (1)');
  await scrapes('it counts while it is paused');
  await it.say('resume mirror dark');
  await until('it has everything again', follows);
  await target.exec('alter table a rename to b');
  await source.exec('insert into a values (2)');
  await until('it is in trouble', async () => (await it.metrics()).value('sluice_mirror_in_trouble', of) !== 0);
  await scrapes('it counts while it is in trouble');
  await target.exec('alter table b rename to a');
  await it.say('resume mirror dark');
  await until('it has everything once more', follows);
  await it.say('pause mirror dark');
  await source.exec(
    'select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()',
  );
  await it.say('resume mirror dark');
  await until('it failed', async () => (await it.metrics()).value('sluice_mirror_in_trouble', of) === 2);
  await source.exec('insert into a values (3)');
  const told = await scrapes('it counts where it failed');
  // Nobody has looked at the slot since then: that it is lost is known all the same.
  expect(new Set(told.map((now) => now.value('sluice_mirror_slot_lost', of)))).toEqual(new Set([1]));
  expect(new Set(told.map((now) => now.value('sluice_mirror_slot_held_bytes', of)))).toEqual(new Set([undefined]));
});

test('more tables than are wanted are counted and left out, and 0 turns it off', async () => {
  await using catalog = await testDatabase(18);
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await source.exec("select format('create table many_%s (id int primary key)', n) from generate_series(1, 5) n");
  for (let n = 1; n <= 5; n++) await source.exec(`create table many_${n} (id int primary key)`);
  {
    await using it = await served(catalog, { SLUICE_METRICS_TABLES: '3' });
    await it.say(peer('src', source));
    await it.say(peer('dst', target));
    await it.say('create mirror bounded from src to dst for all tables');
    const metrics = await it.metrics();
    expect(metrics.value('sluice_metrics_left_out', { what: 'tables' })).toBe(2);
    expect(metrics.samples.filter(({ name }) => name === 'sluice_table_conflicts_total')).toHaveLength(3);
    await until('it runs', async () => (await it.metrics()).value('sluice_mirror_info', { status: 'running' }) === 1);
    await it.say('drop mirror bounded');
    await until('it is gone', async () => (await it.metrics()).value('sluice_mirror_tables') === undefined);
  }
  await using off = await served(catalog, { SLUICE_METRICS_TABLES: '0' });
  expect((await off.scrape()).status).toBe(404);
});

test('while the catalog is away the process is told of, and that the catalog is away', async () => {
  const app = healthRoutes({ ready: async () => {} });
  addMetrics(app, { read: () => Promise.reject(new Error('away')) });
  const metrics = readExposition(await (await app.request('/metrics')).text());
  expect(metrics.value('sluice_catalog_up')).toBe(0);
  expect(metrics.value('process_start_time_seconds')).toBeGreaterThan(1_600_000_000);
});
