// A READ ONLY user who says the protocol's messages one by one: every transaction begins as a read-only one, however the last one ended.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestGateway, testGateway } from '../support/relay.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { errorField, run, said, typesOf, WireSession } from '../support/wire.ts';

const { parse, bind, execute, sync, query } = said;

let catalog: TestDatabase;
let old: TestDatabase;
let young: TestDatabase;
let gateway: TestGateway;

beforeAll(async () => {
  [catalog, old, young] = await Promise.all([testDatabase(18), testDatabase(14), testDatabase(18)]);
  for (const peer of [old, young]) {
    await peer.exec(`create table log (at int);
      create function sneak() returns int language plpgsql as $$ begin
        perform set_config('default_transaction_read_only', 'off', false); return 1; end $$;
      create function write() returns int language plpgsql as $$ begin insert into log values (1); return 1; end $$`);
  }
  gateway = await testGateway({ catalog, peers: { old, young }, readOnly: true });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await Promise.all([catalog, old, young].map((db) => db?.[Symbol.asyncDispose]()));
});

const written = async (peer: TestDatabase) => (await peer.exec('select at from log')).length;
/** Parse, Bind and Execute under names of their own. */
const named = (text: string, name: string) => [
  parse(text, name),
  bind({ portal: name, statement: name }),
  execute(name),
];
const sneak = run('select sneak()');
const write = run('select write()');

/** What is said in a session at the peer, turn by turn. */
const atPeer: Readonly<Record<string, readonly (readonly Buffer[])[]>> = {
  'COMMIT of a pipeline': [[...sneak, ...run('commit'), ...write, sync]],
  'COMMIT of a transaction of a pipeline': [[...run('begin'), ...sneak, ...run('commit'), ...write, sync]],
  'ROLLBACK of an older transaction': [
    [query('begin')],
    [...run('rollback'), ...sneak, ...run('commit'), ...write, sync],
  ],
  'COMMIT AND CHAIN': [[query('begin')], [...sneak, ...run('commit and chain'), ...write, ...run('commit'), sync]],
  'DISCARD ALL': [[...run('discard all'), ...write, sync]],
  'a statement of which the session knows nothing any more': [
    [parse('commit'), sync],
    [query('show mirrors')],
    [...named('select sneak()', 'a'), bind(), execute(), ...named('select write()', 'b'), sync],
  ],
  'a statement that was prepared before': [
    [query('prepare a as select write()')],
    [...sneak, ...run('commit'), ...run('execute a'), sync],
  ],
  'a simple query behind a pipeline that no Sync has ended': [[...sneak, query('select write()')]],
  'several statements': [[query('select sneak(); commit; select write()')], [query('discard all; select write()')]],
  'a cursor WITH HOLD': [
    [query('begin; select sneak()')],
    [query('declare c cursor with hold for select write()')],
    [query('commit')],
    [query('fetch c')],
  ],
};
/** The same at the catalog; `peer` is the peer's name. */
const atCatalog = (peer: string): typeof atPeer => {
  const there = (text: string) => `execute ${peer} $$${text}$$`;
  const writeThere = query(there('select write()'));
  return {
    'COMMIT said to the peer by name': [
      [...run(there('select sneak()')), ...run(there('commit')), ...run(there('select write()')), sync],
    ],
    'RESET ALL that the peer hears later': [[query('reset all')], [query(`select ${peer}.public.write()`)]],
    'RESET ALL before a text for the peer': [[query('reset all')], [writeThere]],
    'RESET ALL before a transaction': [[query('reset all')], [query('begin')], [writeThere], [query('commit')]],
    'RESET ALL in a transaction': [[query('begin; reset all; commit and chain')], [writeThere], [query('commit')]],
    'BEGIN behind a pipeline that no Sync has ended': [
      [...run(there('select sneak()')), query('begin')],
      [writeThere],
      [query('commit')],
    ],
  };
};

describe.each(['old', 'young'])('a READ ONLY user writes nothing on the peer %s', (name) => {
  const peer = () => (name === 'old' ? old : young);
  const tries = [
    ...Object.entries(atPeer).map(([what, turns]) => ({ what, turns, database: name })),
    ...Object.entries(atCatalog(name)).map(([what, turns]) => ({ what, turns, database: 'sluice' })),
  ];

  test.each(tries)('by $what', async ({ turns, database }) => {
    const before = await written(peer());
    using session = await WireSession.open(gateway.config(database));
    let refused = 0;
    for (const turn of turns) {
      const heard = await session.ask(turn);
      if (errorField(heard, 'C') === '25006') refused += 1;
    }
    expect(await written(peer())).toBe(before);
    // The server itself has said so, and the session goes on.
    expect(refused).toBeGreaterThan(0);
    await session.ask([query('rollback')]);
    expect(typesOf(await session.ask([...run('select 1'), sync]))).toMatch(/^12TDCS?Z$/);
  });

  test('by a text that means something else there', async () => {
    using session = await WireSession.open(gateway.config('sluice'));
    const set = (value: string) => `select set_config('standard_conforming_strings', '${value}', false)`;
    const before = await written(peer());
    for (const text of [
      set('off'),
      'set standard_conforming_strings = off',
      "set names 'SJIS'",
      'set client_encoding to gbk',
    ]) {
      const heard = await session.ask([query(`execute ${name} $$${text}$$`)]);
      expect(errorField(heard, 'C'), text).toBe('42501');
      expect(errorField(await session.ask([...run(text), sync]), 'C'), text).toBe('42501');
    }
    for (const text of [
      set('on'),
      'set standard_conforming_strings = on',
      "set names 'utf-8'",
      'reset client_encoding',
    ]) {
      const heard = await session.ask([query(`execute ${name} $$${text}$$`)]);
      expect(typesOf(heard), text).not.toContain('E');
    }
    await session.ask([
      query(`execute ${name} $$select '\\' || '; commit; begin read write; select write(); commit; --'$$`),
    ]);
    expect(await written(peer())).toBe(before);
  });
});
