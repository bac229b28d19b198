// Single messages through the gateway, each answered byte for byte as by the server itself.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestGateway, testGateway } from '../support/relay.ts';
import { addressOf, type TestDatabase, testDatabase } from '../support/servers.ts';
import { asSaid, asSent } from '../support/statements-of-peers.ts';
import { type Bound, errorField, said, typesOf, WireSession } from '../support/wire.ts';

let catalog: TestDatabase;
let db: TestDatabase;
let gateway: TestGateway;

beforeAll(async () => {
  [catalog, db] = await Promise.all([testDatabase(18), testDatabase(14)]);
  await db.exec(`create schema s; create type s.mood as enum ('sad', 'happy');
    create table s.t (id int primary key, what text); insert into s.t select i, 'row ' || i from generate_series(1, 5) i;
    create table s.one as select 1 as id`);
  gateway = await testGateway({ catalog, peers: { db } });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await Promise.all([catalog, db].map((each) => each?.[Symbol.asyncDispose]()));
});

/** What both hear: one directly, the other through a session that is at home with the catalog. */
async function both(say: (as: (marked: string) => string) => readonly Buffer[]): Promise<void> {
  using direct = await WireSession.open(addressOf(db));
  using through = await WireSession.open(gateway.config());
  const expected = await direct.ask(say(asSent));
  expect(await through.ask(say(asSaid))).toEqual(expected);
  expect(typesOf(expected)).not.toContain('E');
}

describe('parameters and results', () => {
  test.each([
    ['bool', 't'],
    ['int2', '-3'],
    ['int4', '7'],
    ['int8', '9007199254740993'],
    ['float4', '1.5'],
    ['float8', '-Infinity'],
    ['numeric', '123456789012345678901234567890.000001'],
    ['numeric', 'NaN'],
    ['text', 'é 🐘'],
    ['varchar', ''],
    ['char(5)', 'ab'],
    ['"char"', 'x'],
    ['name', 'n'],
    ['bytea', '\\x00ff'],
    ['date', '0044-03-15 BC'],
    ['time', '24:00:00'],
    ['timetz', '04:05:06.789+02'],
    ['timestamp', 'infinity'],
    ['timestamptz', '2026-01-31 12:00:00.123456+00'],
    ['interval', '1 mon -2 days 03:04:05.6'],
    ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['json', '{"a": [1, null]}'],
    ['jsonb', '{"a": [1, null]}'],
    ['xml', '<a/>'],
    ['inet', '10.0.0.1/8'],
    ['cidr', '10.0.0.0/8'],
    ['macaddr', '08:00:2b:01:02:03'],
    ['bit(3)', '101'],
    ['varbit', '10101'],
    ['point', '(1,2)'],
    ['polygon', '((0,0),(1,1))'],
    ['tsvector', "'a':1 'b':2"],
    ['tsquery', "'a' & 'b'"],
    ['int4range', '[1,5)'],
    ['nummultirange', '{[1,2),[3,4)}'],
    ['int4[]', '[0:1]={1,NULL}'],
    ['text[]', '{a,"b,c",NULL}'],
    ['«db.»s.mood', 'happy'],
    ['«db.»s.mood[]', '{sad,NULL,happy}'],
    ['«db.»s.t', '(1,x)'],
    ['pg_lsn', '16/B374D848'],
    ['oid', '42'],
    ['money', '$1.00'],
  ])('%s goes both ways in text and in binary: %s', async (type, value) => {
    // The binary form, from the server itself.
    using direct = await WireSession.open(addressOf(db));
    const [text, values] = [`select $1::${type}`, [value]];
    const parsed = [said.parse(asSent(text)), said.bind({ values, results: [1] }), said.execute(), said.sync];
    const row = (await direct.ask(parsed)).find(({ type: letter }) => letter === 'D')?.text ?? '';
    const binary = Buffer.from(row, 'latin1').subarray(6);
    const ways: Bound[] = [
      { values },
      { values, results: [1] },
      { values: [binary], formats: [1] },
      { values: [binary], formats: [1], results: [1] },
      { values: [null] },
    ];
    await both((as) => [
      said.parse(as(`${text} from «db.»s.one`), 'st'),
      said.describe('S', 'st'),
      ...ways.flatMap((way) => [said.bind({ statement: 'st', ...way }), said.describe('P'), said.execute()]),
      said.close('S', 'st'),
      said.sync,
    ]);
  });

  test('a portal gives its rows bit by bit, beside others, and says when it is at its end', async () => {
    using session = await WireSession.open(gateway.config());
    await session.ask([said.query('begin')]);
    const open = [
      said.parse('select id from db.s.t order by id', 'st'),
      said.bind({ statement: 'st', portal: 'one' }),
      said.bind({ statement: 'st', portal: 'two', results: [1] }),
    ];
    expect(typesOf(await session.ask([...open, said.execute('one', 2), said.execute('two', 1), said.sync]))).toBe(
      '122DDsDsZ',
    );
    const rest = [
      said.execute('one', 3),
      said.execute('one', 1),
      said.flush,
      said.execute('two', 0),
      said.close('P', 'two'),
    ];
    expect(typesOf(await session.ask([...rest, said.sync]))).toBe('DDDsCDDDDC3Z');
    expect(errorField(await session.ask([said.execute('two'), said.sync]), 'C')).toBe('34000');
  });

  test('Flush brings every answer so far, without the end', async () => {
    using session = await WireSession.open(gateway.config());
    session.send(said.parse('select id from db.s.one'), said.describe('S'), said.flush);
    await session.until('the description', (heard) => typesOf(heard) === '1tT');
    session.send(said.bind(), said.execute(), said.flush);
    await session.until('the row', (heard) => typesOf(heard) === '1tT2DC');
    expect(typesOf(await session.ask([said.sync]))).toBe('Z');
  });
});

describe('COPY', () => {
  test.each(['', " (format csv, header, quote '\"')", ' (format binary)'])(
    'brings out what it takes in%s',
    async (options) => {
      using session = await WireSession.open(gateway.config());
      const heard = await session.ask([said.query(`copy (select * from db.s.t order by id) to stdout${options}`)]);
      const data = heard
        .filter(({ type }) => type === 'd')
        .map(({ text }) => said.copyData(Buffer.from(text, 'latin1')));
      expect(data.length).toBeGreaterThan(4);
      await session.ask([said.query('create table db.s.copied (like db.s.t)')]);
      const simple = [said.query(`copy db.s.copied from stdin${options}`), ...data, said.copyDone];
      expect(typesOf(await session.ask(simple))).toBe('GCZ');
      const extended = [said.parse(`copy db.s.copied from stdin${options}`), said.bind(), said.execute(), said.flush];
      expect(typesOf(await session.ask([...extended, ...data, said.copyDone, said.sync]))).toBe('12GCZ');
      expect(await db.exec('select count(*)::int as n, count(distinct what)::int as w from s.copied')).toEqual([
        { n: 10, w: 5 },
      ]);
      await db.exec('drop table s.copied');
    },
  );

  test('that the client gives up or that is wrong leaves nothing, and what follows it works', async () => {
    using session = await WireSession.open(gateway.config());
    const start = said.query('copy db.s.t from stdin');
    const given = await session.ask([start, said.copyData('100\tx\n'), said.copyFail('no more')]);
    expect(errorField(given, 'M')).toBe('COPY from stdin failed: no more');
    const wrong = await session.ask([
      start,
      said.copyData('101\tx\nwrong\n'),
      said.copyData('102\tx\n'),
      said.copyDone,
    ]);
    expect(errorField(wrong, 'W')).toBe('COPY t, line 2, column id: "wrong"');
    expect(typesOf(await session.ask([said.query('select id from db.s.t where id > 99')]))).toBe('TCZ');
  });
});

describe('a session at home on a peer', () => {
  test('has the users and the settings of that peer, and our own statements beside them', async () => {
    using direct = await WireSession.open(addressOf(db));
    using through = await WireSession.open(gateway.config('db'));
    const before = gateway.said.length;
    const texts = [
      'show server_version',
      'show all',
      'show search_path',
      'show "users"',
      'show timezone',
      'create user of_the_peer',
      'alter user of_the_peer createdb',
      'drop user of_the_peer',
      'create user mapping for current_user server nowhere',
      'execute nobody',
      "execute nobody('x')",
    ];
    const askAll = async (session: WireSession) => {
      const heard: unknown[] = [];
      for (const text of texts) {
        // SHOW ALL says where a session comes from.
        heard.push(
          text,
          (await session.ask([said.query(text)])).filter(({ type }) => type !== 'D'),
        );
      }
      return heard;
    };
    const expected = await askAll(direct);
    expect(await askAll(through)).toEqual(expected);
    expect(gateway.said).toHaveLength(before);
    for (const text of [
      'show mirrors',
      'show peers',
      'show users',
      "execute db('select 1')",
      'execute db $$select 1$$',
    ])
      expect([text, errorField(await through.ask([said.query(text)]), 'M')]).toEqual([text, undefined]);
  });

  test("asks another peer by its name, and a transaction begun before it is that peer's", async () => {
    await using other = await testDatabase(18);
    await using two = await testGateway({ catalog, peers: { db, other } });
    await other.exec('create table public.o (id int)');
    using session = await WireSession.open(two.config('db'));
    expect(typesOf(await session.ask([said.query('begin; insert into other.public.o values (1); commit')]))).toBe(
      'CCCZ',
    );
    expect(await other.exec('select id from public.o')).toEqual([{ id: 1 }]);
    await session.ask([said.query('begin; select 1 from s.one')]);
    expect(errorField(await session.ask([said.query('table other.public.o')]), 'C')).toBe('0A000');
  });
});

test('every field of an error comes as the server sent it, but for the place of what was cut', async () => {
  using direct = await WireSession.open(addressOf(db));
  using through = await WireSession.open(gateway.config());
  const text = "insert into «db.»s.t values (1, 'again')";
  expect((await through.ask([said.query(asSaid(text))]))[0]).toEqual((await direct.ask([said.query(asSent(text))]))[0]);
  const wrong = "/* é */ select «db.»s.t.id, 'x'::int from «db.»s.t";
  const [expected] = await direct.ask([said.query(asSent(wrong))]);
  const [got] = await through.ask([said.query(asSaid(wrong))]);
  const at = (field: string | undefined) => Number(/\|P=(\d+)/.exec(field ?? '')?.[1]);
  expect(asSaid(wrong).slice(at(got?.text) - 1)).toMatch(/^'x'::int/);
  expect(got?.text.replace(/\|P=\d+/, '')).toBe(expected?.text.replace(/\|P=\d+/, ''));
});
