// Messages in whatever order: a session at a peer answers them byte for byte as the server does.
import { expect, test } from 'vitest';
import type { ClientConfig } from '../../src/pg/client.ts';
import { message } from '../../src/wire/backend.ts';
import { frontend } from '../../src/wire/frames.ts';
import { Conversation, say, show } from '../support/conversation.ts';
import { testGateway } from '../support/relay.ts';
import { alterDatabase, type TestDatabase, testDatabase } from '../support/servers.ts';

const setup = `create table t (id int primary key, what text);
  create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
  create table refused (id int);
  create trigger refuse before insert on refused for each statement execute function refuse();
  create function noisy(i int) returns int language plpgsql as $$ begin raise notice 'heard %', i; return i; end $$`;

/** Says all of it, each part up to its Sync, and gives what was answered. */
async function play(config: ClientConfig, parts: readonly Buffer[]): Promise<readonly string[][]> {
  await using conversation = await Conversation.open(config);
  const heard: string[][] = [];
  for (const part of parts) {
    const said = await conversation.ask(part, [Buffer.from('7\tseven\n8\t'), Buffer.from('eight\n')]);
    heard.push(said.map(show));
  }
  // A server that has lost count closes the connection, and nothing would be compared any more.
  expect((await conversation.query('rollback')).at(-1)?.type).toBe('Z');
  return heard;
}

async function expectSame(db: TestDatabase, parts: readonly Buffer[], names: (part: number) => string): Promise<void> {
  await using gateway = await testGateway({ catalog: db, peers: { db } });
  const { host, port, user, password, database } = db;
  const direct = await play({ host, port, user, password, database }, parts);
  await db.exec('truncate t');
  const through = await play(gateway.config('db') as ClientConfig, parts);
  const at = direct.findIndex((said, i) => said.join('\n') !== through[i]!.join('\n'));
  const facts = (said: readonly string[][]) => ({ after: names(at), said: said[at] });
  if (at >= 0) expect(facts(through)).toEqual(facts(direct));
}

/** Parse, Bind, Describe and Execute of a statement without a name. */
const run = (text: string) => [say.parse('', text), say.bind('', ''), say.describe('P', ''), say.execute('')];
const insert = (id: number) => run(`insert into t values (${id}, 'x') returning id`);
const { sync, flush } = say;
const functionCall = (oid: number) =>
  message(frontend.functionCall, Buffer.of(0, 0, oid >> 8, oid & 255, 0, 0, 0, 1, 0, 0, 0, 1, 0x34, 0, 0));

const cases: Readonly<Record<string, readonly (readonly Buffer[])[]>> = {
  'SET in a pipeline that fails is undone with the rest of it': [
    [...insert(1), ...run("set work_mem = '3MB'"), ...run('select 1 / 0'), ...insert(2), sync],
    [say.query('select count(*) from t; show work_mem')],
    [...run("set work_mem = '5MB'"), ...run('show work_mem'), sync],
    [say.query('show work_mem; reset work_mem')],
  ],
  'settings and savepoints in a pipeline hold': [
    [...run('begin'), ...run("set local work_mem = '7MB'"), ...run('savepoint a'), ...insert(1), sync],
    [...run('select nothing'), ...insert(2), sync],
    [...run('select 1'), sync],
    [...run('rollback to a'), ...run('show work_mem'), ...run('release a'), ...run('commit'), sync],
    [say.query('select count(*) from t; show work_mem')],
    [...run('set transaction isolation level serializable'), ...run('show transaction_isolation'), sync],
    [...run('savepoint a'), sync],
    [...run("set timezone = 'Asia/Tokyo'"), ...run("set datestyle = 'german'"), sync],
    [...run('reset all'), ...run('discard all'), sync],
    [...run('discard all'), sync],
  ],
  'what does not exist is told in the words of the server': [
    [say.bind('', 'a'), say.execute(''), sync],
    [say.describe('S', 'a'), sync],
    [say.describe('P', 'a'), sync],
    [say.execute('a'), sync],
    [say.close('S', 'a'), say.close('P', 'a'), sync],
    [say.parse('', 'select 1; select 2'), sync],
    [say.parse('a', 'select 1'), say.parse('a', 'select 2'), sync],
    [say.query('prepare b (int) as select $1 + 1')],
    [say.bind('', 'b', { parameters: ['4'] }), say.execute(''), sync],
    [say.query('deallocate a; execute b (5); deallocate all')],
    [say.bind('', 'a'), say.execute(''), sync],
    [say.query('begin; select nothing')],
    [say.bind('', 'a'), sync],
    [say.parse('', ''), say.bind('', ''), say.execute(''), sync],
    [say.parse('', 'begin'), sync],
    [say.parse('', 'commit'), say.bind('', ''), say.execute(''), sync],
  ],
  'parameters are judged by the server': [
    [say.parse('', 'select $1::int'), say.bind('', ''), sync],
    [say.parse('', 'select $1::int'), say.bind('', '', { parameters: [Buffer.of(1)] }), sync],
    [say.parse('', 'select $1::int'), say.bind('', '', { parameters: ['x'] }), say.execute(''), sync],
    [say.parse('', 'select 1, 2'), say.bind('', '', { resultFormats: [0, 1, 0] }), say.describe('P', ''), sync],
    [say.parse('', 'select $1', [4_000_000_000]), sync],
    [say.parse('', 'select $1'), say.describe('S', ''), sync],
    [say.parse('', 'begin'), say.bind('', '', { parameters: ['1'] }), sync],
    [say.parse('', ''), say.bind('', '', { parameters: ['1'] }), sync],
    [say.parse('', "set work_mem = '1MB'"), say.bind('', '', { parameters: ['1'] }), sync],
  ],
  'portals give their rows in parts and end with their transaction': [
    [
      say.parse('g', 'select generate_series(1, 5)'),
      say.bind('p', 'g'),
      say.execute('p', 2),
      say.execute('p', 2),
      sync,
    ],
    [say.execute('p', 2), sync],
    [...run('begin'), say.bind('p', 'g'), say.execute('p', 3), sync],
    [say.execute('p', 1), flush, say.execute('p', 7), say.execute('p', 1), say.close('P', 'p'), say.execute('p'), sync],
    [say.query('rollback')],
    [say.query('begin; declare c cursor for select generate_series(1, 4)')],
    [say.describe('P', 'c'), say.execute('c', 1), sync],
    [say.query('fetch 1 from c')],
    [say.close('P', 'c'), sync],
    [say.query('fetch 1 from c')],
    [say.query('rollback')],
  ],
  'notices and function calls keep their place': [
    [...run('select noisy(1)'), ...run('select noisy(2)'), ...run('select nothing'), ...run('select noisy(3)'), sync],
    [functionCall(1344)],
    [functionCall(1)],
    [say.query('begin')],
    [functionCall(1)],
    [say.query('rollback')],
  ],
};

test.each(Object.keys(cases))('%s', async (name) => {
  for (const major of [14, 18] as const) {
    await using db = await testDatabase(major);
    await db.exec(setup);
    const parts = cases[name]!.map((messages) => Buffer.concat(messages));
    await expectSame(db, parts, (at) => `part ${at} on PostgreSQL ${major}`);
  }
});

test('a COPY that fails before it reads answers the Sync behind it, one that fails later does not', async () => {
  for (const major of [14, 18] as const) {
    await using db = await testDatabase(major);
    await db.exec(setup);
    const texts = [
      'copy refused from stdin',
      'copy t from stdin',
      'copy t from stdin',
      'copy t (id) from stdin',
      'select 1',
    ];
    const parts = texts.map((text) => Buffer.concat([...run(text), sync]));
    await expectSame(db, parts, (at) => `${texts[at]} on PostgreSQL ${major}`);
  }
});

/** Numbers that look random and are the same every time. */
function* numbers(seed: number): Generator<number, never> {
  for (let x = seed; ; ) {
    x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield x / 2_147_483_648;
  }
}

const texts = [
  'select 1',
  'select generate_series(1, 3)',
  'select $1::int + 1',
  'select count(*) from t',
  "insert into t values (1, 'x')",
  "insert into t values (2, 'y') returning *",
  'delete from t',
  'select noisy(4)',
  'select 1 / 0',
  'select nope',
  'syntax error',
  '',
  'begin',
  'commit',
  'rollback',
  'savepoint s',
  'rollback to s',
  'release s',
  "set work_mem = '2MB'",
  "set local work_mem = '4MB'",
  "set work_mem = 'nonsense'",
  "set timezone = 'Asia/Tokyo'",
  'reset timezone',
  'show work_mem',
  'set transaction read only',
  'create temp table made (i int)',
  'copy t from stdin',
  'copy t to stdout',
  'prepare a as select 7',
  'execute a',
  'deallocate a',
  'deallocate all',
  'declare p cursor for select generate_series(1, 3)',
  'fetch 1 from p',
  'close p',
  'select 1; select 2',
] as const;

test.each([1, 2, 3, 4, 5, 6])('random messages are answered as the server answers them (%i)', async (seed) => {
  await using db = await testDatabase(seed % 2 === 0 ? 14 : 18);
  await db.exec(setup);
  await alterDatabase(db, 'lock_timeout', '50ms');
  const random = numbers(seed);
  const draw = <T>(from: readonly T[]): T => from[Math.floor(random.next().value * from.length)]!;
  const names: string[] = [];
  const one = (): readonly [string, Buffer] => {
    // The unnamed ones are used right behind their Parse, as every driver does: "run".
    const [statement, portal] = ['a', 'p'];
    const text = draw(texts);
    const parameters = text.includes('$1') ? ['5'] : [];
    switch (draw(['run', 'run', 'run', 'parse', 'bind', 'describe', 'execute', 'close', 'flush'])) {
      case 'run':
        return [
          `run ${text}`,
          Buffer.concat([
            say.parse('', text),
            say.bind('', '', { parameters }),
            say.describe('P', ''),
            say.execute(''),
          ]),
        ];
      case 'parse':
        // A COPY that is executed in the middle of a pipeline would take the rest for its data; and SQL's EXECUTE of a
        // savepoint that was prepared by the protocol ends the server's session.
        if (/^(copy t from|savepoint|rollback to|release)/.test(text)) return ['flush', flush];
        return [`parse ${statement} ${text}`, say.parse(statement, text)];
      case 'bind':
        return [`bind ${portal} ${statement}`, say.bind(portal, statement, { resultFormats: [draw([0, 1])] })];
      case 'describe':
        return draw([true, false])
          ? [`describe S ${statement}`, say.describe('S', statement)]
          : [`describe P ${portal}`, say.describe('P', portal)];
      case 'execute':
        return [`execute ${portal}`, say.execute(portal, draw([0, 1, 2]))];
      case 'close':
        return draw([true, false])
          ? [`close S ${statement}`, say.close('S', statement)]
          : [`close P ${portal}`, say.close('P', portal)];
      default:
        return ['flush', flush];
    }
  };
  const parts = Array.from({ length: 250 }, () => {
    if (draw([true, false])) {
      const text = draw(texts);
      names.push(`query ${text}`);
      return say.query(text);
    }
    const all = Array.from({ length: 1 + Math.floor(random.next().value * 5) }, one);
    // COPY takes what follows for its data: it stands at the end.
    const copies = all.findIndex(
      ([name]) => name.includes('copy t from') || name.startsWith('execute') || name.startsWith('bind'),
    );
    const kept = copies >= 0 && all.some(([name]) => name.includes('copy t from')) ? all.slice(0, copies + 1) : all;
    names.push(kept.map(([name]) => name).join(', '));
    return Buffer.concat([...kept.map(([, bytes]) => bytes), sync]);
  });
  await expectSame(db, parts, (at) => names.slice(Math.max(0, at - 6), at + 1).join(' | '));
});
