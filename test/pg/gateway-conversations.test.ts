// Whatever pieces and pauses a client's messages come in: they are answered as by the server itself, straight on or not.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { message } from '../../src/wire/backend.ts';
import { code } from '../../src/wire/frames.ts';
import {
  bind,
  Conversation,
  closePortal,
  closeStatement,
  describePortal,
  describeStatement,
  directConfig,
  execute,
  flush,
  gistOf,
  manners,
  parse,
  query,
  run,
  sync,
  text,
} from '../support/exchange.ts';
import { type TestGateway, testGateway } from '../support/relay.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

let catalog: TestDatabase;
let peer: TestDatabase;
let gateway: TestGateway;

beforeAll(async () => {
  [catalog, peer] = await Promise.all([testDatabase(18), testDatabase(14)]);
  await peer.exec('create table public.t (id int primary key, what text)');
  gateway = await testGateway({ catalog, peers: { peer } });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await Promise.all([catalog, peer].map((db) => db?.[Symbol.asyncDispose]()));
});

const conversations: Readonly<Record<string, readonly Buffer[]>> = {
  'simple queries, many in flight': Array.from({ length: 20 }, (_, i) => query(`select ${i} as n`)),
  'an error between simple queries, with its position': [query('select 1'), query('select nothing'), query('select 2')],
  'extended queries, many in flight': Array.from({ length: 20 }, (_, i) => [...run(`select ${i}`), sync]).flat(),
  'a named statement, used again and again': [
    parse('select 7 as seven', 's'),
    describeStatement('s'),
    sync,
    ...Array.from({ length: 5 }, () => [bind('s'), execute(), sync]).flat(),
    closeStatement('s'),
    sync,
    bind('s'),
    sync,
    query('select 1'),
  ],
  'an error in a pipeline, and what is skipped': [
    ...run('select 1'),
    ...run('select 1/0'),
    ...run('select 2'),
    sync,
    ...run('select 3'),
    sync,
  ],
  'what is skipped is neither made nor closed': [
    parse('select 1 as one', 'a'),
    sync,
    parse('select nothing', 'b'),
    parse('select 2 as two', 'b'),
    closeStatement('a'),
    sync,
    parse('select 3 as three', 'b'),
    sync,
    bind('a'),
    describePortal(),
    execute(),
    bind('b'),
    describePortal(),
    execute(),
    sync,
    parse("select 'kept'"),
    sync,
    parse('select nothing', 'c'),
    parse("select 'skipped'"),
    sync,
    bind(),
    execute(),
    sync,
    parse('select nothing'),
    sync,
    bind(),
    sync,
    query('select 1'),
  ],
  'a Parse that fails leaves no statement': [
    parse('select nothing', 'bad'),
    sync,
    bind('bad'),
    execute(),
    sync,
    query('select 1'),
  ],
  'a name that is taken keeps what it has': [
    parse('select 1 as first', 'n'),
    sync,
    parse('select 2 as second', 'n'),
    sync,
    bind('n'),
    describePortal(),
    execute(),
    sync,
  ],
  'portals, some rows at a time': [
    parse('select * from generate_series(1, 5)'),
    bind('', 'p'),
    execute('p', 2),
    execute('p', 2),
    describePortal('p'),
    execute('p', 2),
    closePortal('p'),
    execute('p', 2),
    sync,
    query('select 1'),
  ],
  'a portal ends with its transaction': [
    parse('select 1', 's'),
    bind('s', 'p'),
    sync,
    execute('p'),
    sync,
    query('select 1'),
  ],
  'a transaction by simple queries': [
    query('begin'),
    query("insert into public.t values (1, 'one')"),
    query('savepoint a'),
    query("insert into public.t values (1, 'again')"),
    query('select 1'),
    query('rollback to a'),
    query('select * from public.t'),
    query('rollback'),
    query('select * from public.t'),
  ],
  'a transaction by extended queries': [
    ...run('begin'),
    sync,
    ...run("insert into public.t values (2, 'two')"),
    sync,
    ...run('select * from public.t'),
    sync,
    ...run('select 1/0'),
    sync,
    ...run('select 1'),
    sync,
    ...run('rollback'),
    sync,
  ],
  'settings between': [
    query("set application_name = 'straight'"),
    query('show application_name'),
    ...run("set datestyle = 'German'"),
    sync,
    ...run("select date '2026-01-31'"),
    sync,
    query('reset all'),
    query("select date '2026-01-31'"),
  ],
  'quotes that end elsewhere': [
    query('set standard_conforming_strings = off'),
    query("/* */ select 'a\\'; select 2 --'"),
    query("/* */ select E'a\\'; select 2 --'"),
    query('set standard_conforming_strings = on'),
    query("/* */ select 'a\\'; select 2 --'"),
  ],
  'several statements in one text': [
    query('select 1; select 2'),
    query('/* */ select 1; select 1/0; select 2'),
    query('select 3'),
  ],
  'texts with nothing in them': [query(''), query('-- nothing'), query(';'), ...run(''), sync, query('select 1;')],
  'COPY out and in': [
    query('copy (select 1 union all select 2) to stdout'),
    query('create temporary table c (a int)'),
    Buffer.concat([
      query('copy c from stdin'),
      message(code('d'), Buffer.from('1\n2\n')),
      message(code('d'), Buffer.from('3\n')),
      message(code('c')),
    ]),
    query('select sum(a) from c'),
    ...run('copy (select 3) to stdout'),
    sync,
    query('select 1'),
  ],
  'notices, and a notification to oneself': [
    query("do $$begin raise notice 'simple'; end$$"),
    ...run("do $$begin raise warning 'extended'; end$$"),
    sync,
    query('select 1'),
  ],
  'Flush, and a Sync that ends nothing': [
    ...run('select 1'),
    flush,
    ...run('select 2'),
    sync,
    sync,
    sync,
    query('select 3'),
    sync,
  ],
  'a simple query in an unfinished extended one': [
    parse('select 1', 's'),
    bind('s'),
    query('select 2'),
    bind('s'),
    execute(),
    sync,
  ],
  'an error that comes with Sync': [
    query('create temporary table d (a int unique deferrable initially deferred)'),
    ...run('insert into d values (1), (1)'),
    sync,
    query('select count(*) from d'),
  ],
  'messages that are not right': [
    message(code('B'), text(''), Buffer.from('no end')),
    sync,
    message(code('D'), Buffer.from('Q'), text('')),
    sync,
    message(code('E'), text('')),
    sync,
    query('select 1'),
  ],
  'a prepared statement by SQL': [
    query('prepare p as select 5'),
    query('execute p'),
    bind('p'),
    execute(),
    sync,
    query('deallocate p'),
    query('execute p'),
    query('deallocate all'),
    query('discard all'),
    query('select 1'),
  ],
};

describe('a conversation is answered by a peer through the gateway as directly', () => {
  test.each(Object.keys(conversations))('%s', async (name) => {
    const messages = conversations[name]!;
    using direct = await Conversation.open(directConfig(peer));
    await manners['one answer awaited after the other']!(direct, messages);
    for (const [manner, say] of Object.entries(manners)) {
      using talk = await Conversation.open(gateway.config('peer'));
      await say(talk, messages);
      expect([manner, ...gistOf(talk)]).toEqual([manner, ...gistOf(direct)]);
    }
  });
});
