// Mistakes that everybody makes once: each gets a clear error with a SQLSTATE and a hint, and leaves nothing behind.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../src/pg/embedded.ts';
import { createPeer, type Gateway, startGateway } from '../support/gateway.ts';
import { databaseOn, ownServer, type TestDatabase, testDatabase } from '../support/servers.ts';

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
});

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

async function refusal(statement: string): Promise<Refusal> {
  const error: unknown = await gateway.query(statement).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error, `refused: ${statement}`).toBeDefined();
  const { code, message, detail, hint } = error as Refusal;
  return { code, message, detail, hint };
}

/** Everything that a failed statement might leave: on the catalog, and on each database. */
async function footprint(...databases: readonly TestDatabase[]): Promise<unknown> {
  const left = await Promise.all(
    databases.map((db) =>
      db.exec(`select 'slot ' || slot_name as thing from pg_replication_slots where database = current_database()
        union all select 'publication ' || pubname from pg_publication
        union all select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_(temp|toast_temp)'
        union all select 'relation ' || oid::regclass from pg_class where relnamespace not in
          (select oid from pg_namespace where nspname ~ '^pg_' or nspname = 'information_schema') order by 1`),
    ),
  );
  const mirrors = await gateway.query('select name, phase from sluice.mirrors order by name');
  const peers = await gateway.query('select name from sluice.peers order by name');
  return { left, mirrors, peers };
}

/** Two databases as peers of the shared gateway; the peers go with it. */
async function twoPeers(name: string, source: TestDatabase, target: TestDatabase): Promise<AsyncDisposable> {
  await gateway.query(createPeer(`${name}_from`, source));
  await gateway.query(createPeer(`${name}_to`, target));
  return {
    [Symbol.asyncDispose]: async () => {
      await gateway.query(`drop peer ${name}_from`);
      await gateway.query(`drop peer ${name}_to`);
    },
  };
}

test('a wrong password is refused with 28P01 and no peer is made', async () => {
  await using db = await testDatabase(14);
  const before = await footprint(db);
  const refused = await refusal(createPeer('nobody', { ...db, password: 'not it' }));
  expect(refused).toMatchObject({ code: '28P01', hint: expect.any(String) });
  expect(JSON.stringify(refused)).not.toContain('not it');
  expect(await footprint(db)).toEqual(before);
});

test('a host that cannot be reached is 08001, names host and port, and no peer is made', async () => {
  const port = await freePort();
  const before = await footprint();
  const refused = await refusal(
    createPeer('far', { host: '127.0.0.1', port, user: 'u', password: 'hunter2', database: 'd' }),
  );
  expect(refused).toMatchObject({ code: '08001', hint: expect.any(String) });
  expect(`${refused.message} ${refused.detail}`).toContain(`127.0.0.1:${port}`);
  expect(JSON.stringify(refused)).not.toContain('hunter2');
  expect(await footprint()).toEqual(before);
});

test('TLS that is required and not offered is an error with a hint, and no peer is made', async () => {
  await using db = await testDatabase(18);
  const before = await footprint(db);
  const refused = await refusal(createPeer('bare', db).replace(');', ", sslmode = 'require');"));
  expect(refused).toMatchObject({ code: expect.stringMatching(/^08/), hint: expect.any(String) });
  expect(`${refused.message} ${refused.detail} ${refused.hint}`).toMatch(/TLS|SSL/);
  expect(await footprint(db)).toEqual(before);
});

test('missing source tables are all listed, with 42P01', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await source.exec('create table here (id int primary key)');
  await using _peers = await twoPeers('missing', source, target);
  const before = await footprint(source, target);
  const refused = await refusal(`create mirror m from missing_from to missing_to
    with table mapping (public.gone:public.gone, public.here:public.here, other.gone_too:public.gone_too)`);
  expect(refused).toMatchObject({ code: '42P01', hint: expect.any(String) });
  expect(refused.detail).toContain('public.gone');
  expect(refused.detail).toContain('other.gone_too');
  expect(refused.detail).not.toContain('public.here');
  expect(await footprint(source, target)).toEqual(before);
});

test('a source whose wal_level is not logical is refused with the setting to change', async () => {
  await using own = await ownServer({ major: 18, settings: { wal_level: 'replica' } });
  await using source = await databaseOn(own.server.config(), 18);
  await using target = await testDatabase(14);
  await source.exec('create table t (id int primary key)');
  await using _peers = await twoPeers('wal', source, target);
  const before = await footprint(source, target);
  const refused = await refusal('create mirror m from wal_from to wal_to for all tables');
  expect(refused).toMatchObject({ code: '55000', hint: expect.stringContaining('wal_level') });
  expect(await footprint(source, target)).toEqual(before);
});

test('a source without a free replication slot is refused with the setting to raise', async () => {
  await using own = await ownServer({ major: 14, settings: { max_replication_slots: 1 } });
  await using source = await databaseOn(own.server.config(), 14);
  await using target = await testDatabase(18);
  await source.exec('create table t (id int primary key)');
  await source.exec("select pg_create_logical_replication_slot('somebody', 'pgoutput')");
  await using _peers = await twoPeers('slots', source, target);
  const before = await footprint(source, target);
  const refused = await refusal('create mirror m from slots_from to slots_to for all tables');
  expect(refused).toMatchObject({ code: '53400', hint: expect.stringContaining('max_replication_slots') });
  expect(await footprint(source, target)).toEqual(before);
});

test('a target table that exists with rows is not written into', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  await source.exec('create table t (id int primary key); insert into t values (1)');
  await target.exec('create table t (id int primary key); insert into t values (2)');
  await using _peers = await twoPeers('full', source, target);
  const before = await footprint(source, target);
  const refused = await refusal('create mirror m from full_from to full_to for all tables');
  expect(refused).toMatchObject({ code: expect.stringMatching(/^[0-9A-Z]{5}$/), hint: expect.any(String) });
  expect(refused.code).not.toBe('XX000');
  expect(`${refused.message} ${refused.detail}`).toContain('public.t');
  expect(await footprint(source, target)).toEqual(before);
  expect(await target.exec('select id from t')).toEqual([{ id: 2 }]);
});

test('a name over 63 bytes is refused, where PostgreSQL would cut it', async () => {
  await using db = await testDatabase(18);
  const long = `peer_${'é'.repeat(30)}`; // 65 bytes, 35 characters
  const before = await footprint(db);
  expect(await refusal(createPeer(`"${long}"`, db))).toMatchObject({ code: '42622', hint: expect.any(String) });
  expect(await refusal(`create mirror "${long}" from a to b for all tables`)).toMatchObject({ code: '42622' });
  expect(await footprint(db)).toEqual(before);
});

test('a mirror of a table onto itself is refused, however the peers are named', async () => {
  await using db = await testDatabase(18);
  await db.exec('create table t (id int primary key)');
  await using _peers = await twoPeers('loop', db, { ...db, host: 'localhost' });
  const before = await footprint(db);
  const refused = await refusal('create mirror m from loop_from to loop_to for all tables');
  expect(refused).toMatchObject({ code: expect.stringMatching(/^[0-9A-Z]{5}$/), hint: expect.any(String) });
  expect(refused.code).not.toBe('XX000');
  expect(`${refused.message} ${refused.detail}`).toContain('itself');
  expect(await footprint(db)).toEqual(before);
});

test('a table whose updates could not be followed is refused by name, with the statement that mends it', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await source.exec('create table "no key" (id int); create table fine (id int primary key)');
  await using _peers = await twoPeers('keyless', source, target);
  const before = await footprint(source, target);
  const refused = await refusal('create mirror m from keyless_from to keyless_to for all tables');
  const text = `${refused.message} ${refused.detail} ${refused.hint}`;
  expect(text).toContain('"no key"');
  expect(text.toLowerCase()).toContain('replica identity full');
  expect(await footprint(source, target)).toEqual(before);
});
