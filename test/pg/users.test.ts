// Further logins: made by the owner, checked like the owner, kept from what they may not do, logged out when they go.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import { type RunningServer, startServer } from '../../src/server.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

let catalog: TestDatabase;
let source: TestDatabase;
let server: RunningServer;
let second: RunningServer;
const home = mkdtempSync(join(tmpdir(), 'sluice-users-'));
const ownerPassword = 'the owner’s own';

beforeAll(async () => {
  catalog = await testDatabase(18);
  source = await testDatabase(14);
  const config = readConfig({
    ...{ SLUICE_DATA_DIR: home, SLUICE_PORT: '0', SLUICE_HTTP_PORT: '0', SLUICE_CATALOG_URL: catalog.url },
    SLUICE_PASSWORD: ownerPassword,
  });
  server = await startServer(config, silentLog);
  second = await startServer(config, silentLog);
  await source.exec(`create table t (id int primary key, v text); insert into t values (1, 'one');
    create table log (at int);
    create function sneak() returns int language plpgsql as $$ begin
      perform set_config('default_transaction_read_only', 'off', false); return 1; end $$;
    create function write() returns int language plpgsql as $$ begin insert into log values (1); return 1; end $$`);
  await using owner = await login('owner', ownerPassword);
  const { host, port, user, password, database } = source;
  await owner.query(`create peer src from postgres with (host = '${host}', port = ${port}, user = '${user}',
    password = '${password}', database = '${database}')`);
}, 60_000);

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await second?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
  await catalog?.[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

async function login(user: string, password: string, more: { database?: string; at?: RunningServer } = {}) {
  const { database = 'sluice', at = server } = more;
  const client = new pg.Client({ host: '127.0.0.1', port: at.port, user, password, database });
  let ending: Error | undefined;
  client.on('error', (error) => {
    ending ??= error;
  });
  await client.connect();
  return {
    query: (text: string | pg.QueryConfig) => client.query(text),
    /** What the gateway said when it ended the connection. */
    ending: () => ending as (Error & { readonly code?: string }) | undefined,
    [Symbol.asyncDispose]: () => client.end().catch(() => {}),
  };
}

const refusal = (code: string) => expect.objectContaining({ code });

describe('a created user', () => {
  test('logs in with its own password, on every gateway of the catalog, and the owner by that name no more', async () => {
    await using owner = await login('kim', ownerPassword);
    expect((await owner.query("create user kim password 'first'")).command).toBe('CREATE');
    await expect(login('kim', ownerPassword)).rejects.toThrow(refusal('28P01'));
    await expect(login('kim', 'wrong')).rejects.toThrow(refusal('28P01'));
    for (const at of [server, second]) {
      await using kim = await login('kim', 'first', { at });
      expect((await kim.query('select count(*)::int as n from sluice.peers')).rows).toEqual([{ n: 1 }]);
    }
    await expect(owner.query("create user kim password 'again'")).rejects.toThrow(refusal('42710'));
    await owner.query('drop user kim');
    await using again = await login('kim', ownerPassword);
    await expect(again.query('drop user kim')).rejects.toThrow(refusal('42704'));
    expect((await again.query('drop user if exists kim')).command).toBe('DROP');
  });

  test('does everything but manage users, its own password excepted', async () => {
    await using owner = await login('owner', ownerPassword);
    await owner.query("create user sam password 'one'");
    await using sam = await login('sam', 'one');
    await sam.query('insert into src.public.t values (2, $$two$$)');
    await sam.query("create user other password 'x'").then(
      () => expect.unreachable(),
      (error) => expect(error).toMatchObject({ code: '42501', message: expect.stringContaining('CREATE USER') }),
    );
    await expect(sam.query("alter user owner password 'x'")).rejects.toThrow(refusal('42501'));
    await expect(sam.query('alter user sam read only')).rejects.toThrow(refusal('42501'));
    await expect(sam.query('drop user sam')).rejects.toThrow(refusal('42501'));
    await sam.query("alter user sam password 'two'");
    await expect(login('sam', 'one')).rejects.toThrow(refusal('28P01'));
    await using _ = await login('sam', 'two');
    await owner.query('drop user sam');
  });

  test('is logged out everywhere when it is dropped or may do something else', async () => {
    await using owner = await login('owner', ownerPassword);
    await owner.query("create user temp password 'x'");
    await using here = await login('temp', 'x');
    await using there = await login('temp', 'x', { at: second });
    await here.query('select 1');
    await owner.query("alter user temp password 'y'");
    await here.query('select 1');
    await owner.query('alter user temp read only');
    await until('both are told', () => here.ending() !== undefined && there.ending() !== undefined);
    expect(here.ending()).toMatchObject({ code: '57P01', message: expect.stringContaining('"temp" was altered') });
    await using back = await login('temp', 'y');
    await owner.query('drop user temp');
    await until('it is told', () => back.ending() !== undefined);
    expect(back.ending()).toMatchObject({ code: '57P01', message: expect.stringContaining('"temp" was dropped') });
  });

  test.each(['drop user late', 'alter user late read only'])(
    'is not let in if it changes before it has proved itself: %s',
    async (change) => {
      await using owner = await login('owner', ownerPassword);
      await owner.query("drop user if exists late; create user late password 'x'");
      const client = new pg.Client({
        ...{ host: '127.0.0.1', port: server.port, user: 'late', database: 'sluice' },
        // Asked for when the server knows who that is.
        password: async () => {
          await owner.query(change);
          return 'x';
        },
      });
      client.on('error', () => {});
      await expect(client.connect()).rejects.toThrow(refusal('57P01'));
      await owner.query('drop user if exists late');
    },
  );

  test('is shown, its password and what proves it are not', async () => {
    await using owner = await login('owner', ownerPassword);
    await owner.query("create user anna password 'sEcReT-pw' read only; create user ben password 'sEcReT-pw'");
    expect((await owner.query('show users')).rows).toMatchObject([
      { name: 'anna', access: 'READ ONLY', created_by: 'owner' },
      { name: 'ben', access: 'READ WRITE', created_by: 'owner' },
    ]);
    await owner.query("alter user ben read only; alter user anna with password 'sEcReT-2' read write");
    const { rows } = await owner.query('select name, access from sluice.users order by name');
    expect(rows).toEqual([
      { name: 'anna', access: 'read_write' },
      { name: 'ben', access: 'read_only' },
    ]);
    const everything = await owner.query(`select (select string_agg(j::text, ' ') from sluice.journal j)
      || (select string_agg(u::text, ' ') from sluice.users u) as text`);
    expect(everything.rows[0].text).toContain('CREATE USER anna');
    expect(everything.rows[0].text).not.toContain('sEcReT');
    await expect(owner.query('select * from sluice_private.users')).rejects.toThrow(refusal('42501'));
    const [kept] = await catalog.exec<{ text: string }>(
      'select string_agg(u::text, $$ $$) as text from sluice_private.users u',
    );
    expect(kept?.text).not.toContain('sEcReT');
    await owner.query('drop user anna; drop user ben');
  });

  test('may be given what psql’s \\password has made of a password, and nothing that was made with MD5', async () => {
    await using owner = await login('owner', ownerPassword);
    // PostgreSQL's own verifier of a password.
    await source.exec("set password_encryption = 'scram-sha-256'; create role verified_by_test password 'behind it'");
    const [kept] = await source.exec<{ verifier: string }>(
      "select rolpassword as verifier from pg_authid where rolname = 'verified_by_test'",
    );
    await source.exec('drop role verified_by_test');
    await owner.query(`create user vera password '${kept?.verifier}'`);
    await using _ = await login('vera', 'behind it');
    await expect(login('vera', kept?.verifier ?? '')).rejects.toThrow(refusal('28P01'));
    const md5 = `md5${'0'.repeat(32)}`;
    await expect(owner.query(`alter user vera password '${md5}'`)).rejects.toThrow(refusal('22023'));
    await owner.query('drop user vera');
  });

  test('needs a name and a password, and a name that fits', async () => {
    await using owner = await login('owner', ownerPassword);
    await expect(owner.query("create user x password ''")).rejects.toThrow(refusal('22023'));
    await expect(owner.query(`create user ${'x'.repeat(64)} password 'y'`)).rejects.toThrow(refusal('42622'));
    await expect(owner.query("alter user nobody password 'y'")).rejects.toThrow(refusal('42704'));
    await owner.query(`create user "O'Hara ""x""; drop" password 'p''w'`);
    await using _ = await login('O\'Hara "x"; drop', "p'w");
    await owner.query(`drop user "O'Hara ""x""; drop"`);
  });
});

test('whoever changes something stands in the journal, with the place and the time, in the same transaction', async () => {
  await using owner = await login('Ms Owner', ownerPassword);
  await owner.query("create user jo password 'x'");
  await using jo = await login('jo', 'x');
  const { host, port, user, password, database } = source;
  await jo.query(`create peer journaled from postgres with (host = '${host}', port = ${port}, user = '${user}',
    password = '${password}', database = '${database}')`);
  await jo.query("alter peer journaled set (metadata_schema = 'other')");
  await jo.query('drop peer if exists journaled; drop peer if exists journaled');
  await owner.query('drop user jo');
  const { rows } = await owner.query(`select by_user, by_remote, message, at > now() - interval '1 minute' as recent
    from sluice.journal where message ~ 'USER jo|PEER.* journaled' order by id`);
  expect(rows.map((row) => [row.by_user, row.message.split(/ (?:FROM|SET|PASSWORD)/)[0]])).toEqual([
    ['Ms Owner', 'CREATE USER jo'],
    ['jo', 'CREATE PEER journaled'],
    ['jo', 'ALTER PEER journaled'],
    ['jo', 'DROP PEER IF EXISTS journaled'],
    ['Ms Owner', 'DROP USER jo'],
  ]);
  for (const row of rows)
    expect(row).toMatchObject({ recent: true, by_remote: expect.stringMatching(/^.*127\.0\.0\.1:\d+$/) });
});

describe('a READ ONLY user', () => {
  beforeAll(async () => {
    await using owner = await login('owner', ownerPassword);
    await owner.query("create user eve password 'look' read only");
  });
  afterAll(async () => {
    await using owner = await login('owner', ownerPassword);
    await owner.query('drop user eve');
  });

  test('looks: views, SHOW, EXPLAIN, peers by name, by EXECUTE and as database', async () => {
    await using eve = await login('eve', 'look');
    expect((await eve.query('select name from sluice.peers')).rows).toEqual([{ name: 'src' }]);
    expect((await eve.query('show peers')).rows).toHaveLength(1);
    expect((await eve.query('show peer src')).rows).toContainEqual({ option: 'password', value: '********' });
    await eve.query('validate peer src');
    expect((await eve.query('select v from src.public.t where id = 1')).rows).toEqual([{ v: 'one' }]);
    expect(
      (await eve.query({ text: 'select v from src.public.t where id = $1', values: [1] } as pg.QueryConfig)).rows,
    ).toEqual([{ v: 'one' }]);
    expect((await eve.query('execute src $$ select v from t where id = 1 $$')).rows).toEqual([{ v: 'one' }]);
    await using there = await login('eve', 'look', { database: 'src' });
    await there.query('begin isolation level repeatable read');
    expect((await there.query('select v from t where id = 1')).rows).toEqual([{ v: 'one' }]);
    expect((await there.query('show transaction_read_only')).rows).toEqual([{ transaction_read_only: 'on' }]);
    await there.query('commit and chain');
    expect((await there.query('show transaction_read_only')).rows).toEqual([{ transaction_read_only: 'on' }]);
    await there.query('rollback');
  });

  test.each([
    ["create peer x from postgres with (host = 'localhost')", '42501'],
    ['drop peer src', '42501'],
    ['create mirror m from src to src for all tables', '42501'],
    ["create user x password 'y'", '42501'],
    ['insert into src.public.t values (9)', '25006'],
    ['delete from src.public.t', '25006'],
    ['with gone as (delete from src.public.t returning *) select * from gone', '25006'],
    ['select * from src.public.t for update', '25006'],
    ['create table src.public.n (id int)', '42501'],
    ['copy src.public.t from stdin', '42501'],
    ['execute src $$ delete from t $$', '25006'],
    ['execute src $$ begin; set transaction read write; delete from t; commit $$', '25006'],
    ['execute src $$ do $x$ begin delete from t; end $x$ $$', '42501'],
    ["execute src $$ select pg_drop_replication_slot('s') $$", '42501'],
    ['begin read write', '25006'],
    ['set default_transaction_read_only = off', '25006'],
  ])('does not change anything: %s', async (text, sqlstate) => {
    await using eve = await login('eve', 'look');
    await expect(eve.query(text)).rejects.toThrow(refusal(sqlstate));
    await expect(eve.query({ text, values: [] })).rejects.toThrow(refusal(sqlstate));
    expect((await eve.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('gets round it neither by startup options, nor by functions that switch settings, nor by several statements', async () => {
    const before = await source.exec('select count(*)::int as n from log');
    await using eve = await login('eve', 'look', { database: 'src' });
    const tries = [
      'select sneak()',
      'select write()',
      'select sneak(); commit; select write()',
      'begin; select sneak(); commit; select write()',
      'begin; select sneak(); commit and chain; select write(); commit',
      'reset all; commit; select write()',
      'reset all; select write()',
    ];
    for (const text of tries) {
      const tried = eve.query(text);
      await (text === 'select sneak()' ? tried : expect(tried).rejects.toThrow(refusal('25006')));
      await eve.query('rollback');
    }
    await using home = await login('eve', 'look');
    for (const reset of ['reset all', 'begin; reset all; commit', 'discard all']) {
      for (const text of reset.split('; ')) await home.query(text);
      await expect(home.query('insert into src.public.log values (1)')).rejects.toThrow(refusal('25006'));
      await expect(home.query('execute src $$ insert into log values (1) $$')).rejects.toThrow(refusal('25006'));
    }
    const options = new pg.Client({
      ...{ host: '127.0.0.1', port: server.port, user: 'eve', password: 'look', database: 'src' },
      options: '-c default_transaction_read_only=off -c transaction_read_only=off',
    });
    await options.connect();
    await expect(options.query('select write()')).rejects.toThrow(refusal('25006'));
    await expect(options.query({ text: 'select write() where $1', values: [true] })).rejects.toThrow(refusal('25006'));
    await options.end();
    expect(await source.exec('select count(*)::int as n from log')).toEqual(before);
  });

  test('changes its own password', async () => {
    await using eve = await login('eve', 'look');
    await eve.query("alter user eve password 'look'");
    await using _ = await login('eve', 'look');
  });
});
