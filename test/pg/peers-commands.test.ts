// CREATE, ALTER, DROP, VALIDATE PEER and the two SHOWs, as a person says them: checked before kept, secrets never shown.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../src/pg/embedded.ts';
import { type TestCatalog, testCatalog } from '../support/catalog.ts';
import { allWords } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { sshHost } from '../support/ssh.ts';

let world: TestCatalog;
let old: TestDatabase;
let fresh: TestDatabase;

beforeAll(async () => {
  [world, old, fresh] = await Promise.all([testCatalog(), testDatabase(14), testDatabase(18)]);
});
afterAll(async () => {
  await Promise.all([world, old, fresh].map((each) => each[Symbol.asyncDispose]()));
});
beforeEach(async () => {
  await world.database.exec('delete from sluice_private.mirrors; delete from sluice_private.peers');
});

function optionsOf(db: TestDatabase, more: Readonly<Record<string, string | number>> = {}): string {
  const { host, port, user, password, database } = db;
  const all = { host, port, user, password, database, ...more };
  const list = Object.entries(all).map(([name, value]) =>
    typeof value === 'number' ? `${name} = ${value}` : `${name} = '${value.replaceAll("'", "''")}'`,
  );
  return `(${list.join(', ')})`;
}

async function shown(name: string): Promise<Readonly<Record<string, string | null>>> {
  const rows = await world.show(`show peer ${name}`);
  return Object.fromEntries(rows.map((row) => [row.option, row.value ?? null]));
}

async function refusal(text: string): Promise<unknown> {
  return await world.say(text).catch((error: unknown) => error);
}

describe('CREATE PEER', () => {
  test('connects, checks and keeps it; SHOW PEERS and SHOW PEER show it without its password', async () => {
    const text = `create peer old from postgres with ${optionsOf(old)}`;
    expect(await world.say(text)).toEqual({ tag: 'CREATE PEER', notices: [] });
    expect(await world.show('show peers')).toEqual([
      {
        ...{ name: 'old', type: 'POSTGRES', host: old.host, port: String(old.port), user: old.user },
        ...{ database: old.database, sslmode: 'prefer', ssh_host: null, mirrors: '0' },
      },
    ]);
    expect(await shown('old')).toMatchObject({ type: 'POSTGRES', password: '********', metadata_schema: '_sluice' });
    const everything = await world.database.exec(`select (select string_agg(p::text, '') from sluice.peers p)
      || (select string_agg(j::text, '') from sluice.journal j) as text`);
    expect(JSON.stringify([await world.show('show peer old'), everything])).not.toContain(old.password);
  });

  test('one that is there already is 42710, or with IF NOT EXISTS the same tag and a notice', async () => {
    await world.peer('p', fresh);
    expect(await refusal(`create peer p from postgres with ${optionsOf(old)}`)).toMatchObject({ sqlstate: '42710' });
    expect(await world.say(`create peer if not exists p from postgres with ${optionsOf(old)}`)).toEqual({
      tag: 'CREATE PEER',
      notices: ['peer "p" already exists, skipping'],
    });
    expect(await shown('p')).toMatchObject({ port: String(fresh.port) });
  });

  test.each([
    ['a wrong password', () => optionsOf(fresh, { password: 'hunter2' }), '28P01'],
    ['nobody listening', async () => optionsOf(fresh, { port: await freePort(), password: 'hunter2' }), '08001'],
    ['TLS that is not offered', () => optionsOf(fresh, { sslmode: 'require', application: 'x' }), '22023'],
    ['TLS that is not there', () => optionsOf(fresh, { sslmode: 'require' }), '08001'],
    ['an option that is not known', () => `(host = 'h', passwort = 'hunter2')`, '22023'],
    ['a missing host', () => `(user = 'u', password = 'hunter2')`, '22023'],
    ['a database that is not there', () => optionsOf(fresh, { database: 'nowhere' }), '3D000'],
  ])('%s is refused, nothing is kept, and no secret is said', async (_what, options, sqlstate) => {
    const error = await refusal(`create peer p from postgres with ${await options()}`);
    expect(error).toMatchObject({ sqlstate });
    expect(allWords(error)).not.toContain('hunter2');
    expect(await world.show('show peers')).toEqual([]);
  });

  test('a kind of peer that is not served is 0A000 and says which are', async () => {
    expect(await refusal(`create peer p from snowflake with (account_id = 'x')`)).toMatchObject({
      sqlstate: '0A000',
      message: 'peer type SNOWFLAKE is not supported',
      hint: 'Supported types: POSTGRES.',
    });
  });

  test('an SSH host whose key is not pinned comes with a notice that says what to pin', async () => {
    await using host = await sshHost();
    const ssh = { host: '127.0.0.1', port: host.port, user: 'pass', password: 'ssh-secret' };
    const make = (name: string, config: object) =>
      world.say(`create peer ${name} from postgres with ${optionsOf(fresh, { ssh_config: JSON.stringify(config) })}`);
    const { notices } = await make('open', ssh);
    expect(notices).toEqual([expect.stringContaining(`"host_key": "${host.fingerprint}"`)]);
    expect(await make('pinned', { ...ssh, host_key: host.fingerprint })).toMatchObject({ notices: [] });
    expect(await world.show('validate peer open')).toContainEqual(
      expect.objectContaining({
        check: 'ssh host key',
        state: 'warning',
        remedy: expect.stringContaining(host.fingerprint),
      }),
    );
    expect(JSON.stringify(await world.show('show peer open'))).not.toContain('ssh-secret');
  });
});

describe('ALTER PEER', () => {
  test('changes what it names after it has connected with it, and keeps the rest', async () => {
    await world.peer('p', fresh);
    expect(await world.say("alter peer p set (sslmode = 'disable')")).toEqual({ tag: 'ALTER PEER', notices: [] });
    expect(await shown('p')).toMatchObject({ sslmode: 'disable', database: fresh.database });
    expect((await world.show('validate peer p'))[0]).toMatchObject({ check: 'connect', state: 'ok' });
  });

  test('what cannot connect is refused and changes nothing', async () => {
    await world.peer('p', fresh);
    const error = await refusal("alter peer p set (password = 'hunter2')");
    expect(error).toMatchObject({ sqlstate: '28P01' });
    expect(allWords(error)).not.toContain('hunter2');
    expect((await world.show('validate peer p'))[0]).toMatchObject({ state: 'ok' });
    expect(await refusal("alter peer p set (hots = 'x')")).toMatchObject({ sqlstate: '22023', position: 19 });
    expect(await refusal("alter peer nobody set (host = 'x')")).toMatchObject({
      sqlstate: '42704',
      hint: 'Peers: p.',
    });
  });
});

describe('DROP PEER', () => {
  test('lets it go; one that is not there is 42704, or with IF EXISTS a notice', async () => {
    await world.peer('p', fresh);
    expect(await world.say('drop peer p')).toEqual({ tag: 'DROP PEER', notices: [] });
    expect(await refusal('drop peer p')).toMatchObject({ sqlstate: '42704' });
    expect(await world.say('drop peer if exists p')).toEqual({
      tag: 'DROP PEER',
      notices: ['peer "p" does not exist, skipping'],
    });
  });

  test('a peer that a mirror uses stays, and the mirror is named and counted', async () => {
    await world.peer('src', fresh);
    await world.peer('dst', old);
    await fresh.exec('create table if not exists t (id int primary key)');
    await world.say('create mirror m from src to dst with table mapping (public.t:public.t)');
    expect(await refusal('drop peer src')).toMatchObject({ sqlstate: '2BP01', detail: 'Mirrors: m.' });
    expect((await world.show('show peers')).map((row) => row.mirrors)).toEqual(['1', '1']);
  });
});

describe('VALIDATE PEER', () => {
  test('shows each check with what to do', async () => {
    await world.peer('p', old);
    const rows = await world.show('validate peer p');
    const states = Object.fromEntries(rows.map((row) => [row.check, row.state]));
    expect(states).toMatchObject({
      connect: 'ok',
      version: 'ok',
      tls: 'warning',
      'source: wal_level': 'ok',
      'source: replication': 'ok',
      'source: slots': 'ok',
      'source: walsenders': 'ok',
      'target: create': 'ok',
      'target: session_replication_role': 'ok',
    });
    for (const row of rows) expect(row.remedy !== null).toBe(row.state !== 'ok');
  });

  test('a peer that does not answer any more is a row, not an error', async () => {
    const role = `short_lived_${fresh.database}`;
    await fresh.exec(`create role ${role} login password 'x'`);
    await world.say(`create peer p from postgres with ${optionsOf(fresh, { user: role, password: 'x' })}`);
    const plain = await world.show('validate peer p');
    expect(plain).toContainEqual(expect.objectContaining({ check: 'source: replication', state: 'warning' }));
    expect(plain).toContainEqual(
      expect.objectContaining({ check: 'target: session_replication_role', state: 'warning' }),
    );
    await fresh.exec(`drop role ${role}`);
    expect(await world.show('validate peer p')).toEqual([
      expect.objectContaining({
        check: 'connect',
        state: 'error',
        detail: expect.stringContaining('refuses the login'),
      }),
    ]);
  });
});

test.each(['catalog', 'sluice', 'peerdb_stats', 'information_schema', 'pg_catalog'])(
  'a peer cannot be called %s, which names something in the catalog',
  async (name) => {
    expect(await refusal(`create peer ${name} from postgres with ${optionsOf(fresh)}`)).toMatchObject({
      sqlstate: '42939',
    });
  },
);
