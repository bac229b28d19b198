// CREATE MIRROR and its siblings as the catalog sees them: exact, refused with reasons, and nothing left behind by a refusal.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noTraces, type TestCatalog, testCatalog, traces } from '../support/catalog.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

interface World extends AsyncDisposable {
  readonly world: TestCatalog;
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

async function twoPeers(): Promise<World> {
  const [world, source, target] = await Promise.all([testCatalog(), testDatabase(18), testDatabase(18)]);
  await world.peer('src', source);
  await world.peer('dst', target);
  return {
    ...{ world, source, target },
    async [Symbol.asyncDispose]() {
      await Promise.all([world, source, target].map((each) => each[Symbol.asyncDispose]()));
    },
  };
}

const counts =
  'select (select count(*) from sluice_private.mirrors)::int as mirrors, count(*)::int as said from sluice.journal where mirror is not null';

test('a mirror is written down with its tables, its names and who said so', async () => {
  await using it = await twoPeers();
  await it.source.exec(
    'create table a (id int primary key); create schema s; create table s."B c" (id int primary key, x int)',
  );
  const text = `create mirror Shop from src to dst with table mapping
    (public.a:public.a, {from: s."B c", to: t.b, key: id, exclude: [x]}) with (max_batch_size = 7)`;
  expect(await it.world.say(text)).toEqual({ tag: 'CREATE MIRROR', notices: [] });
  expect(await it.world.show('show mirrors')).toMatchObject([
    { name: 'shop', source: 'src', target: 'dst', kind: 'cdc', status: 'setup', phase: 'new', tables: '2' },
  ]);
  const [row] = await it.world.database.exec(
    `select publication, slot, statement, created_by, options ->> 'max_batch_size' as size from sluice_private.mirrors`,
  );
  expect(row).toMatchObject({
    publication: 'peerflow_pub_shop',
    slot: 'peerflow_slot_shop',
    created_by: 'tester',
    size: '7',
  });
  expect(await it.world.database.exec('select source_table, target_table from sluice.tables order by 1')).toEqual([
    { source_table: 'public.a', target_table: 'public.a' },
    { source_table: 's."B c"', target_table: 't.b' },
  ]);
  const [said] = await it.world.database.exec("select by_user, message from sluice.journal where mirror = 'shop'");
  expect(said).toMatchObject({ by_user: 'tester', message: expect.stringMatching(/^CREATE MIRROR shop/) });
  expect(await traces(it.source)).toEqual(noTraces);
});

test('whole schemas and whole databases are expanded when the mirror is made', async () => {
  await using it = await twoPeers();
  await it.source.exec(`create schema one; create schema two; create table one.a (id int primary key);
    create table one.b (id int primary key, d date) ; create table two.c (id int primary key);
    create table two.p (id int primary key) partition by range (id);
    create table two.p1 partition of two.p for values from (0) to (10)`);
  await it.world.say('create mirror m1 from src to dst with schema mapping (one:uno)');
  await it.world.say('create mirror m2 from src to dst for all tables with (initial_copy_only = true)');
  const tables = await it.world.database.exec<{ mirror: string; t: string }>(
    `select mirror, source_table || ' > ' || target_table as t from sluice.tables order by 1, 2`,
  );
  expect(tables.map(({ mirror, t }) => `${mirror}: ${t}`)).toEqual([
    ...['m1: one.a > uno.a', 'm1: one.b > uno.b', 'm2: one.a > one.a', 'm2: one.b > one.b', 'm2: two.c > two.c'],
    'm2: two.p > two.p',
  ]);
  const kinds = await it.world.show('show mirrors');
  expect(kinds.map(({ kind }) => kind)).toEqual(['cdc', 'copy']);
});

test('IF NOT EXISTS takes what is there with a notice, without it the name is taken', async () => {
  await using it = await twoPeers();
  await it.source.exec('create table a (id int primary key)');
  await it.world.say('create mirror m from src to dst with table mapping (public.a:public.a)');
  const again = await it.world.say(
    'create mirror if not exists m from src to dst with table mapping (public.a:public.a)',
  );
  expect(again).toEqual({ tag: 'CREATE MIRROR', notices: ['mirror "m" already exists, skipping'] });
  const plain = it.world.say('create mirror m from src to dst with table mapping (public.a:public.a)');
  await expect(plain).rejects.toMatchObject({ sqlstate: '42710' });
});

test('of two that create one mirror at once, one does', async () => {
  await using it = await twoPeers();
  await it.source.exec('create table a (id int primary key)');
  const text = 'create mirror m from src to dst with table mapping (public.a:public.a)';
  const results = await Promise.allSettled([it.world.say(text), it.world.say(text), it.world.say(text)]);
  expect(results.filter((each) => each.status === 'fulfilled')).toHaveLength(1);
  for (const each of results) if (each.status === 'rejected') expect(each.reason).toMatchObject({ sqlstate: '42710' });
  expect(await it.world.show('show mirrors')).toHaveLength(1);
});

describe('refusals', () => {
  let it: World;
  beforeAll(async () => {
    it = await twoPeers();
    await it.source.exec(
      'create table a (id int primary key); create table b (id int primary key); create table nokey (x int)',
    );
    await it.target.exec('create table "full" (id int primary key); insert into "full" values (1)');
  });
  afterAll(() => it[Symbol.asyncDispose]());

  test.each([
    [
      'peers that do not exist, both named',
      'create mirror m from no1 to no2 with table mapping (public.a:public.a)',
      '42704',
      /"no1" and "no2"/,
    ],
    [
      'tables that do not exist',
      'create mirror m from src to dst with table mapping (public.no:public.a)',
      '42P01',
      /public\.no|table/,
    ],
    ['a schema without tables', 'create mirror m from src to dst with schema mapping (nowhere:x)', '42P01', /nowhere/],
    [
      'an unknown option',
      'create mirror m from src to dst with table mapping (public.a:public.a) with (speed = 9)',
      '22023',
      /speed/,
    ],
    [
      'two mappings onto one table',
      'create mirror m from src to dst with table mapping (public.a:public.x, public.b:public.x)',
      '22023',
      /public\.x/,
    ],
    [
      'a name over 63 bytes',
      `create mirror ${'m'.repeat(64)} from src to dst with table mapping (public.a:public.a)`,
      '42622',
      /64 bytes|too long/,
    ],
    [
      'a mirror onto itself',
      'create mirror m from src to src with table mapping (public.a:public.a)',
      '22023',
      /itself/,
    ],
    [
      'a table without identity',
      'create mirror m from src to dst with table mapping (public.nokey:public.nokey)',
      '55000',
      /nokey/,
    ],
    [
      'a target table with rows',
      'create mirror m from src to dst with table mapping (public.b:public.full)',
      '55000',
      /full/,
    ],
    [
      'a query mirror',
      "create mirror m from src to dst for $$ select 1 $$ with (destination_table_name = 'x')",
      '0A000',
      /CREATE MIRROR/,
    ],
  ])('%s: refused with its own SQLSTATE, and nothing is left behind', async (_what, text, sqlstate, words) => {
    const error = (await it.world.say(text).catch((thrown: unknown) => thrown)) as Error & {
      sqlstate: string;
      detail?: string;
    };
    expect(error.sqlstate, error.message).toBe(sqlstate);
    expect(`${error.message} ${error.detail}`).toMatch(words);
    expect(await it.world.database.exec(counts)).toEqual([{ mirrors: 0, said: 0 }]);
    for (const side of [it.source, it.target]) expect(await traces(side)).toEqual(noTraces);
  });
});

test('two mirrors may not write one table of a target', async () => {
  await using it = await twoPeers();
  await it.source.exec('create table a (id int primary key); create table b (id int primary key)');
  await it.world.say('create mirror one from src to dst with table mapping (public.a:public.x)');
  await expect(
    it.world.say('create mirror two from src to dst with table mapping (public.b:public.x)'),
  ).rejects.toMatchObject({ sqlstate: '55000', detail: expect.stringContaining('mirror "one"') });
});

test('a peer that a mirror uses cannot be dropped, and the mirrors are named', async () => {
  await using it = await twoPeers();
  await it.source.exec('create table a (id int primary key)');
  await it.world.say('create mirror m from src to dst with table mapping (public.a:public.a)');
  await expect(it.world.say('drop peer src')).rejects.toMatchObject({ sqlstate: '2BP01', detail: 'Mirrors: m.' });
});

test('ALTER PEER names the mirrors that are at work with the old settings', async () => {
  await using it = await twoPeers();
  await it.source.exec('create table a (id int primary key)');
  await it.world.say('create mirror m from src to dst with table mapping (public.a:public.a)');
  const alter = `alter peer src set (port = ${it.source.port})`;
  expect((await it.world.say(alter)).notices).toEqual([]);
  await it.world.database.exec('update sluice_private.mirrors set working = true');
  expect((await it.world.say(alter)).notices).toEqual([
    expect.stringContaining('PAUSE MIRROR "m"; RESUME MIRROR "m";'),
  ]);
});

test('the doctor says what would be done and changes nothing', async () => {
  await using it = await twoPeers();
  await it.source.exec('create table a (id int primary key); create table nokey (x int)');
  const rows = await it.world.show(
    'explain create mirror m from src to dst with table mapping (public.a:public.a, public.nokey:public.nokey)',
  );
  expect(rows).toContainEqual(
    expect.objectContaining({
      check: 'plan',
      state: 'would',
      message: expect.stringMatching(/^copy table \S+ to \S+$/),
    }),
  );
  expect(
    rows
      .filter((row) => row.state === 'error')
      .map((row) => `${row.message} ${row.detail}`)
      .join(),
  ).toMatch(/nokey/);
  expect(await it.world.database.exec(counts)).toEqual([{ mirrors: 0, said: 0 }]);
});

test('a mirror that does not exist is 42704, or a notice with IF EXISTS', async () => {
  await using world = await testCatalog();
  for (const verb of ['pause', 'resume', 'drop']) {
    await expect(world.say(`${verb} mirror nobody`)).rejects.toMatchObject({ sqlstate: '42704' });
    const { notices } = await world.say(`${verb} mirror if exists nobody`);
    expect(notices).toEqual(['mirror "nobody" does not exist, skipping']);
  }
  await expect(world.say('show mirror nobody')).rejects.toMatchObject({ sqlstate: '42704' });
});

test('statements whose engines are not there name themselves', async () => {
  await using world = await testCatalog();
  for (const [text, name] of [
    ['resync mirror m', 'RESYNC MIRROR'],
    ['alter mirror m drop table public.a', 'ALTER MIRROR'],
    ['verify mirror m', 'VERIFY MIRROR'],
    ['repair mirror m', 'REPAIR MIRROR'],
    ['cutover mirror m dry run', 'CUTOVER MIRROR'],
    ['reverse mirror m', 'REVERSE MIRROR'],
    ['complete mirror m', 'COMPLETE MIRROR'],
    ['execute mirror m', 'EXECUTE MIRROR'],
  ] as const) {
    await expect(world.say(text), text).rejects.toMatchObject({
      sqlstate: '0A000',
      message: expect.stringContaining(name),
    });
  }
});

test('an option that does nothing says so', async () => {
  await using it = await twoPeers();
  await it.source.exec('create table a (id int primary key)');
  const say = (options: string) =>
    it.world.say(`create mirror m from src to dst with table mapping (public.a:public.a) with (${options})`);
  const { notices } = await say("schema_changes = 'columns', schema = 'full', script = 'x'");
  expect(notices).toEqual([expect.stringContaining('script')]);
});

test('options of statements that are not supported are checked first', async () => {
  await using world = await testCatalog();
  await expect(world.say('alter mirror m set (max_batch_size = 0)')).rejects.toMatchObject({ sqlstate: '22023' });
  await expect(world.say('cutover mirror m with (speed = 1)')).rejects.toMatchObject({ sqlstate: '22023' });
});

test('no secret of a peer is in any view, nor in the journal', async () => {
  await using it = await twoPeers();
  const views = await it.world.database.exec<{ view: string }>(
    "select schemaname || '.' || viewname as view from pg_views where schemaname in ('sluice', 'peerdb_stats')",
  );
  for (const { view } of views) {
    const rows = await it.world.database.exec(`select to_jsonb(v)::text as row from ${view} v`);
    expect(JSON.stringify(rows)).not.toContain(it.source.password);
  }
  const [peer] = await it.world.database.exec(
    "select host, port, options ->> 'password' as password from sluice.peers",
  );
  expect(peer).toEqual({ host: it.source.host, port: it.source.port, password: '********' });
});
