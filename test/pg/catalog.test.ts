// The catalog: opened by several at once, closed to wrong keys and newer programs, read by a role that sees no secret.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { migrate, migration, ownMigrations, withCatalogLock } from '../../src/catalog/migrate.ts';
import { type Catalog, openCatalog } from '../../src/catalog/open.ts';
import type { CatalogPlace } from '../../src/catalog/server.ts';
import { phases, statusWord, type Trouble, type Wanted } from '../../src/mirror/phase.ts';
import { Connection } from '../../src/pg/client.ts';
import { removeEmbedded } from '../../src/pg/embedded.ts';
import { ident, literal, sql } from '../../src/pg/sql.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const secretKey = 'the key of these tests';

function open(place: CatalogPlace, key = secretKey): Promise<Catalog> {
  return openCatalog({ place, secretKey: key, log: silentLog }, new AbortController().signal);
}

test.each([14, 18] as const)('on PostgreSQL %s four processes that start at once make one catalog', async (major) => {
  await using db = await testDatabase(major);
  const place = { kind: 'url', url: db.url } as const;
  const catalogs = await Promise.all([open(place), open(place), open(place), open(place)]);
  for (const catalog of catalogs) await catalog[Symbol.asyncDispose]();
  const applied = await db.exec<{ name: string }>('select name from sluice_migrations.applied order by number');
  expect(applied.map((row) => row.name)).toEqual(ownMigrations().map((each) => each.name));
});

test('a migration that fails leaves nothing of itself, and the next start goes on where it was', async () => {
  await using db = await testDatabase();
  const first = migration('0001_one.sql', 'create table public.one (n int);');
  const broken = migration('0002_two.sql', 'create table public.two (n int); select 1/0;');
  const connection = await db.connect();
  const attempt = (second: typeof broken) => withCatalogLock(connection, () => migrate(connection, [first, second]));
  await expect(attempt(broken)).rejects.toMatchObject({ sqlstate: '22012' });
  expect(
    await db.exec("select to_regclass('public.one') is null as one, to_regclass('public.two') is null as two"),
  ).toEqual([{ one: false, two: true }]);
  await attempt(migration('0002_two.sql', 'create table public.two (n int);'));
  await expect(attempt(broken)).rejects.toMatchObject({ kind: 'unsupported' });
});

test('a catalog of a newer Sluice is refused', async () => {
  await using db = await testDatabase();
  const place = { kind: 'url', url: db.url } as const;
  await (await open(place))[Symbol.asyncDispose]();
  await db.exec("insert into sluice_migrations.applied (number, name, checksum) values (9999, '9999_future.sql', '')");
  await expect(open(place)).rejects.toMatchObject({ kind: 'unsupported', message: expect.stringContaining('newer') });
});

test('another secret key is refused at start, before it can seal anything', async () => {
  await using db = await testDatabase();
  const place = { kind: 'url', url: db.url } as const;
  await (await open(place))[Symbol.asyncDispose]();
  await expect(open(place, 'some other key, as long')).rejects.toMatchObject({
    message: expect.stringContaining('SLUICE_SECRET_KEY'),
  });
  await (await open(place))[Symbol.asyncDispose]();
});

test('a catalog that is away or refuses the login says so', async () => {
  await expect(open({ kind: 'url', url: 'postgres://u:p@127.0.0.1:1/d' })).rejects.toMatchObject({
    kind: 'unreachable',
    message: expect.stringContaining('SLUICE_CATALOG_URL'),
  });
  await using db = await testDatabase();
  const url = db.url.replace(`:${db.password}@`, ':wrong@');
  const refused = await open({ kind: 'url', url }).catch((error: Error) => error);
  expect(refused).toMatchObject({ kind: 'login_refused', sqlstate: '28P01' });
  expect(String(refused)).not.toContain('wrong');
});

test('the reader sees every view and no table, and may change nothing', async () => {
  await using db = await testDatabase();
  await using catalog = await open({ kind: 'url', url: db.url });
  await using reader = await Connection.open(catalog.readerConfig());
  const views = await reader.query<{ schema: string; name: string }>(sql`select n.nspname as schema, c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'v' and n.nspname in ('sluice', 'peerdb_stats') order by 1, 2`);
  expect(views.map(({ schema, name }) => `${schema}.${name}`)).toEqual([
    ...['cdc_batches', 'cdc_flows', 'cdc_table_aggregate_counts', 'flow_errors'].map((name) => `peerdb_stats.${name}`),
    ...['peer_slot_size', 'qrep_partitions', 'qrep_runs'].map((name) => `peerdb_stats.${name}`),
    ...['batches', 'changes', 'conflicts', 'errors', 'journal'].map((name) => `sluice.${name}`),
    ...['mirrors', 'objects', 'parts', 'peers'].map((name) => `sluice.${name}`),
    ...['progress', 'schema_changes', 'script', 'slots', 'tables', 'users', 'waits', 'wal'].map(
      (name) => `sluice.${name}`,
    ),
  ]);
  for (const { schema, name } of views)
    expect(await reader.query(sql`select * from ${ident(schema, name)}`)).toEqual([]);
  const tables = await reader.query<{ name: string }>(sql`select c.relname as name from pg_class c
    join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname = 'sluice_private'`);
  expect(tables.length).toBeGreaterThan(5);
  const refused = { sqlstate: '42501' };
  for (const { name } of tables) {
    await expect(reader.query(sql`select * from ${ident('sluice_private', name)}`)).rejects.toMatchObject(refused);
  }
  await reader.run(sql`set default_transaction_read_only = off`);
  await expect(reader.run(sql`delete from sluice.mirrors`)).rejects.toThrow();
  await expect(reader.run(sql`create schema mine`)).rejects.toMatchObject(refused);
  await expect(reader.run(sql`create table sluice.mine (n int)`)).rejects.toMatchObject(refused);
});

test('what one client says to the catalog no other can read', async () => {
  await using db = await testDatabase();
  await using catalog = await open({ kind: 'url', url: db.url });
  await using one = await Connection.open(catalog.readerConfig());
  await using other = await Connection.open(catalog.readerConfig());
  await one.run(sql`select 'a word of mine'`);
  const seen = await other.query<{ query: string }>(sql`select query from pg_stat_activity where pid = ${one.pid}`);
  expect(seen).toEqual([{ query: expect.not.stringContaining('a word of mine') }]);
});

test('a catalog user that may not make roles still gets a catalog, and clients a clear refusal', async () => {
  await using db = await testDatabase();
  const user = `${db.database}_plain`;
  await db.exec(`create role ${user} login password 'p'`);
  await db.connection.run(sql`grant create on database ${ident(db.database)} to ${ident(user)}`);
  {
    const url = `postgres://${user}:p@${db.host}:${db.port}/${db.database}`;
    await using catalog = await open({ kind: 'url', url });
    expect(() => catalog.readerConfig()).toThrow('has no role');
  }
  await db.exec(`drop owned by ${user}; drop role ${user}`);
});

test('an embedded catalog that is killed is started again by the next who needs it, and stops with its last user', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-catalog-'));
  try {
    const place = { kind: 'embedded', dataDir, throwaway: true } as const;
    const [one, two] = await Promise.all([open(place), open(place)]);
    const postmaster = () =>
      one.pool.use(async (db) => {
        const row = await db.one<{ file: string }>(sql`select pg_read_file('postmaster.pid') as file`);
        return Number(row.file.split('\n')[0]);
      });
    const pid = await postmaster();
    process.kill(pid, 'SIGKILL');
    await until('a new server', async () => (await postmaster()) !== pid);
    expect(await two.pool.use((db) => db.one(sql`select 1 as up`))).toEqual({ up: 1 });
    await one[Symbol.asyncDispose]();
    expect(await two.pool.use((db) => db.one(sql`select 1 as up`))).toEqual({ up: 1 });
    const config = two.readerConfig();
    await two[Symbol.asyncDispose]();
    await expect(Connection.open(config)).rejects.toMatchObject({ kind: 'unreachable' });
  } finally {
    removeEmbedded(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test('the views and the program use the same status word in every situation', async () => {
  await using db = await testDatabase();
  await using _catalog = await open({ kind: 'url', url: db.url });
  const trouble = (retryAt: Date | null): Trouble => ({
    ...{ kind: 'unreachable', sqlstate: '08001', message: 'away', detail: null, hint: null },
    retryAt,
    since: new Date(0),
  });
  const rows: string[] = [];
  const words: string[] = [];
  for (const phase of phases) {
    for (const wanted of ['run', 'pause', 'drop'] satisfies Wanted[]) {
      for (const working of [true, false]) {
        for (const problem of [null, trouble(null), trouble(new Date(0))]) {
          words.push(statusWord({ phase, wanted, working, trouble: problem }));
          const json = problem === null ? 'null' : literal(JSON.stringify(problem)).text;
          rows.push(`(${words.length}, '${phase}', '${wanted}', ${working}, ${json}::jsonb)`);
        }
      }
    }
  }
  const said = await db.exec<{ word: string }>(`select sluice_private.status_word(p, w, k, t) as word
    from (values ${rows.join(', ')}) as v (n, p, w, k, t) order by n`);
  expect(said.map((row) => row.word)).toEqual(words);
});

test('who asks for a mirror’s status alone does not have all of its tables counted', async () => {
  await using db = await testDatabase();
  await (await open({ kind: 'url', url: db.url }))[Symbol.asyncDispose]();
  const plan = async (columns: string) =>
    JSON.stringify(await db.exec(`explain select ${columns} from sluice.mirrors where name = 'm'`));
  expect(await plan('*')).toContain('on parts');
  expect(await plan('status, trouble, lag_bytes')).not.toMatch(/on (parts|table_progress|mirror_tables)/);
});

test('an address of the catalog that cannot be read names its variable', async () => {
  const place = { kind: 'url' as const, url: 'mysql://x' };
  const opening = openCatalog(
    { place, secretKey: 'the key of these tests', log: silentLog },
    new AbortController().signal,
  );
  await expect(opening).rejects.toThrow(/^SLUICE_CATALOG_URL: /);
});
