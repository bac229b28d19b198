// What real tools say is answered through Sluice as by the server itself, byte for byte.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { type Catalog, openCatalog } from '../../src/catalog/open.ts';
import type { ClientConfig } from '../../src/pg/client.ts';
import { Conversation, type Said, say, show } from '../support/conversation.ts';
import { type TestGateway, testGateway } from '../support/relay.ts';
import { databaseOn, type OwnServer, ownServer, type SharedMajor, type TestDatabase } from '../support/servers.ts';
import { sampleSettings, sampleTexts } from './sample.ts';
import { corpusOf, corpusTools, type OwnObject, oidsFor, ownObjects, type Statement } from './statements.ts';

/** A server of our own, where nobody else makes databases and roles while they are listed. */
interface World extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly direct: ClientConfig;
  readonly through: ClientConfig;
  /** Names in the corpus to this database's oids. */
  readonly oids: (text: string) => string;
}

const worlds = {} as Record<SharedMajor, World>;
let reader: Omit<World, 'oids'>;

async function makeWorld(major: SharedMajor): Promise<World> {
  const own = await ownServer({ major, settings: sampleSettings });
  // Some tools say its name.
  const db = await databaseOn(own.server.config(), major, 'sample');
  for (const text of sampleTexts(major)) await db.exec(text);
  const objects = await db.exec<OwnObject>(ownObjects);
  // Named as a schema is: a column `shop.orders.id` is none of the peer's names.
  const gateway = await testGateway({ catalog: db, peers: { shop: db } });
  if (major === 18) reader = await makeReader(own, db);
  return {
    gateway,
    direct: address(db),
    through: gateway.config('shop') as ClientConfig,
    oids: oidsFor(objects),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      if (major === 18) await reader[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
    },
  };
}

/** The catalog as its reader sees it, directly and in a session that is no peer's. */
async function makeReader(own: OwnServer, peer: TestDatabase): Promise<Omit<World, 'oids'>> {
  const database = await databaseOn(own.server.config(), 18);
  const catalog: Catalog = await openCatalog(
    { place: { kind: 'url', url: database.url }, secretKey: 'the key of these tests', log: silentLog },
    new AbortController().signal,
  );
  const { application_name: _, ...direct } = catalog.readerConfig();
  const { user = '', password } = direct;
  const asReader = { ...database, user, password: String(password) };
  const gateway = await testGateway({ catalog: asReader, peers: { shop: peer } });
  return {
    gateway,
    direct,
    through: gateway.config('sluice') as ClientConfig,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await catalog[Symbol.asyncDispose]();
    },
  };
}

function address({ host, port, user, password, database }: TestDatabase): ClientConfig {
  return { host, port, user, password, database };
}

beforeAll(async () => {
  [worlds[14], worlds[18]] = await Promise.all([makeWorld(14), makeWorld(18)]);
});
afterAll(async () => {
  await Promise.all(Object.values(worlds).map((world) => world[Symbol.asyncDispose]()));
});

// Two looks at these see two things, whoever looks: who is connected, what is locked, what time it is, what was counted.
const volatile =
  /pg_(stat_|statio_|locks|backend_pid|prepared_statements|cursors|(current|last)_(wal|xlog)|wal_|export_snapshot|postmaster|conf_load|database_size|total_relation_size|current_xact|current_snapshot|my_temp_schema|backend_memory|show_all_file)|txid_|\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random|inet_client_port|inet_server_port|gen_random_uuid)\s*\(|current_timestamp|localtime|system_user|\bxmin\b|server_process_id|dattablespace.*age\(|\bage\(/i;

/** A message with what must differ left out: values and number of rows of what is volatile. */
function comparable(said: readonly Said[], text: string): readonly Said[] {
  if (!volatile.test(text)) return said;
  return said
    .filter(({ type }) => type !== 'D')
    .map((each) =>
      each.type === 'C' ? { ...each, body: Buffer.from(each.body.toString().replace(/\d+/, 'n')) } : each,
    );
}

/** The other way is an extended query whose results are binary (text, if the tool asked for binary ones). */
type Mode = 'as recorded' | 'the other way';

/** The same statement in messages. */
function messagesOf(statement: Statement, mode: Mode, oids: (text: string) => string): Buffer {
  const text = oids(statement.text);
  const parameters = statement.parameters.map((parameter) =>
    parameter.kind === 'null' ? null : parameter.kind === 'binary' ? parameter.bytes : oids(parameter.text),
  );
  if (mode === 'as recorded' && statement.protocol === 'simple') return say.query(text);
  const binary = [statement.resultFormats.includes(1) ? 0 : 1];
  const resultFormats = mode === 'as recorded' ? statement.resultFormats : binary;
  return Buffer.concat([
    say.parse('', text, statement.types),
    say.describe('S', ''),
    say.bind('', '', { parameters, resultFormats }),
    say.describe('P', ''),
    say.execute(''),
    say.sync,
  ]);
}

interface Answer {
  readonly text: string;
  readonly mode: Mode;
  readonly said: readonly Said[];
}

// A session of the catalog begins in UTF8, as nearly every client asks for.
const utf8 = new Map([['client_encoding', 'UTF8']]);

interface Side {
  readonly config: ClientConfig;
  readonly oids: (text: string) => string;
  readonly startup?: ReadonlyMap<string, string>;
  readonly modes: readonly Mode[];
}

async function play({ config, oids, startup, modes }: Side, tool: string): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const mode of modes) {
    await using conversation = await Conversation.open(config, startup);
    for (const statement of corpusOf(tool)) {
      const said = await conversation.ask(messagesOf(statement, mode, oids));
      const { text } = statement;
      answers.push({ text, mode, said: comparable(said, text) });
      // What comes next is worth more than "current transaction is aborted".
      if (mode === 'the other way' && conversation.status === 'E') await conversation.query('rollback');
    }
  }
  return answers;
}

function differences(direct: readonly Answer[], through: readonly Answer[]): readonly unknown[] {
  return direct.flatMap((expected, i) => {
    const got = through[i]!;
    const same =
      expected.said.length === got.said.length &&
      expected.said.every(({ type, body }, at) => type === got.said[at]!.type && body.equals(got.said[at]!.body));
    if (same) return [];
    const at = expected.said.findIndex(
      ({ type, body }, j) => type !== got.said[j]?.type || !body.equals(got.said[j].body),
    );
    const around = (said: readonly Said[]) => said.slice(Math.max(0, at), at + 3).map(show);
    return [{ mode: got.mode, text: got.text.slice(0, 500), direct: around(expected.said), through: around(got.said) }];
  });
}

test('the corpus holds more than 1,200 distinct statements', () => {
  const texts = new Set(corpusTools().flatMap((tool) => corpusOf(tool).map(({ text }) => text)));
  expect(texts.size).toBeGreaterThan(1200);
});

/** What differs at one server. Everything is said there first and then through Sluice, so that locks and roles do not meet. */
async function compare(
  world: Pick<World, 'direct' | 'through'>,
  side: Omit<Side, 'config'>,
  tool: string,
): Promise<readonly unknown[]> {
  const expected = await play({ ...side, config: world.direct }, tool);
  return differences(expected, await play({ ...side, config: world.through }, tool));
}

const bothWays = ['as recorded', 'the other way'] as const;

test.each(corpusTools())('what %s says is answered through Sluice as by the server itself', async (tool) => {
  const newer = async () => {
    const { oids } = worlds[18];
    const peer = await compare(worlds[18], { oids, modes: bothWays }, tool);
    return { peer, catalog: await compare(reader, { oids, modes: ['as recorded'], startup: utf8 }, tool) };
  };
  const [on14, { peer, catalog }] = await Promise.all([
    compare(worlds[14], { oids: worlds[14].oids, modes: bothWays }, tool),
    newer(),
  ]);
  expect({ 'PostgreSQL 14': on14, 'PostgreSQL 18': peer, 'the catalog': catalog }).toEqual({
    'PostgreSQL 14': [],
    'PostgreSQL 18': [],
    'the catalog': [],
  });
});

test.each([14, 18] as const)(
  'a session begins with the settings that the server itself reports (%i)',
  async (major) => {
    const { direct, through } = worlds[major];
    const german = new Map([
      ['DateStyle', 'german'],
      ['options', '-c timezone=Asia/Tokyo'],
    ]);
    for (const startup of [new Map<string, string>(), german]) {
      await using first = await Conversation.open(direct, startup);
      await using second = await Conversation.open(through, startup);
      // The name that the client gave at our door.
      const known = (name: string) => (name === 'session_authorization' ? 'whoever' : first.parameters.get(name));
      const expected = new Map([...first.parameters.keys()].map((name) => [name, known(name)]));
      expect(new Map([...second.parameters].sort())).toEqual(new Map([...expected].sort()));
    }
  },
);
