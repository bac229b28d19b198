// Sessions that are open while a peer is dropped, altered or made anew: none of them works on what the name stood for before.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import { type RunningServer, startServer } from '../../src/server.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const home = mkdtempSync(join(tmpdir(), 'sluice-peers-'));
let catalog: TestDatabase;
let one: TestDatabase;
let two: TestDatabase;
let servers: readonly RunningServer[] = [];

beforeAll(async () => {
  [catalog, one, two] = await Promise.all([testDatabase(18), testDatabase(14), testDatabase(18)]);
  for (const [db, name] of [[one, 'one'] as const, [two, 'two'] as const])
    await db.exec(`create table who (name text); insert into who values ('${name}')`);
  const config = readConfig({
    ...{ SLUICE_DATA_DIR: home, SLUICE_PORT: '0', SLUICE_HTTP_PORT: '0', SLUICE_CATALOG_URL: catalog.url },
    SLUICE_PASSWORD: 'pw',
  });
  servers = [await startServer(config, silentLog), await startServer(config, silentLog)];
}, 60_000);

afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  for (const db of [catalog, one, two]) await db?.[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

async function login(server: number, database = 'sluice') {
  const client = new pg.Client({ host: '127.0.0.1', port: servers[server]!.port, user: 'x', password: 'pw', database });
  let ending: Error | undefined;
  client.on('error', (error) => {
    ending ??= error;
  });
  await client.connect();
  return {
    say: (text: string) => client.query(text),
    who: async () => (await client.query('select name from p.public.who')).rows[0]?.name as string,
    ending: () => ending,
    [Symbol.asyncDispose]: () => client.end().catch(() => {}),
  };
}

const options = ({ host, port, user, password, database }: TestDatabase) =>
  `host = '${host}', port = ${port}, user = '${user}', password = '${password}', database = '${database}'`;

test('a peer that is made anew elsewhere is found there by every session, and one that is dropped is gone', async () => {
  await using owner = await login(0);
  await using here = await login(0);
  await using there = await login(1);
  await owner.say(`create peer p from postgres with (${options(one)})`);
  await until('the other gateway knows it', async () => (await there.who().catch(() => '')) === 'one');
  expect(await here.who()).toBe('one');
  await using athome = await login(0, 'p');
  await athome.say('select 1');
  // A transaction that is open stays where it is until it ends.
  await here.say('begin');
  expect(await here.who()).toBe('one');
  await owner.say(`drop peer p; create peer p from postgres with (${options(two)})`);
  await until('who was at home there is told', () => athome.ending() !== undefined);
  expect(athome.ending()).toMatchObject({ code: '57P01', message: expect.stringContaining('peer "p" was dropped') });
  expect(await here.who()).toBe('one');
  await here.say('commit');
  expect(await here.who()).toBe('two');
  await until('the other gateway goes there, too', async () => (await there.who()) === 'two');
  await owner.say(`alter peer p set (${options(one)})`);
  await until('an altered peer is followed', async () => (await here.who()) === 'one');
  await owner.say('drop peer p');
  for (const session of [here, there]) {
    await until('it is gone', async () => {
      const gone = await session.say("execute p 'select 1'").catch((error: { code?: string }) => error.code);
      return gone === '42704';
    });
  }
});

test('a peer that is altered again before anyone could look at the first change is followed, too', async () => {
  await using owner = await login(0);
  await using here = await login(0);
  await using late = await login(0);
  await owner.say(`create peer p from postgres with (${options(one)})`);
  expect(await here.who()).toBe('one');
  // Nobody can read what names stand for while this is held.
  await catalog.exec('begin; lock table sluice_private.users in access exclusive mode');
  try {
    await owner.say(`alter peer p set (${options(two)})`);
    expect(await late.who()).toBe('two');
    await owner.say(`alter peer p set (${options(one)})`);
    await catalog.exec('commit');
    await until('who came between the changes is with the last', async () => (await late.who()) === 'one', 10_000);
    await until('who was there before is, too', async () => (await here.who()) === 'one', 10_000);
  } finally {
    await catalog.exec('rollback');
  }
  await owner.say('drop peer p');
});

test('a setting that a peer does not know is an error there until it is reset, and no longer', async () => {
  await using session = await login(0);
  await session.say(`create peer old from postgres with (${options(one)})`);
  await session.say("set transaction_timeout = '5s'");
  const ask = () => session.say('select name from old.public.who');
  for (let again = 0; again < 2; again += 1) await expect(ask()).rejects.toThrow('transaction_timeout');
  await session.say('reset transaction_timeout');
  expect((await ask()).rows).toEqual([{ name: 'one' }]);
  await session.say('drop peer old');
});
