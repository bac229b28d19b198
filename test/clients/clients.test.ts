// One scenario, run by every client library that is here: what it sees through Sluice is what it sees on PostgreSQL itself.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Authority, hasOpenssl, makeAuthority } from '../support/certificates.ts';
import { createPeer, type Gateway, isInstalled, runProgram, startGateway } from '../support/gateway.ts';
import { databaseOn, type OwnServer, ownServer, type TestDatabase } from '../support/servers.ts';
import { type ClientKind, cache, clients } from './installed.ts';
import { readTranscript, type Step, steps, type Transcript, verbs, verbTags } from './scenario.ts';

// Two clients at a time, as the machine has cores.
vi.setConfig({ maxConcurrency: 2, testTimeout: 180_000 });

let server: OwnServer;
let gateway: Gateway;
let authority: Authority | undefined;
beforeAll(async () => {
  authority = hasOpenssl ? makeAuthority() : undefined;
  const certificate = authority?.issue('localhost', 'DNS:localhost,IP:127.0.0.1');
  const env =
    certificate === undefined
      ? {}
      : { SLUICE_TLS_CERT: certificate.certificateFile, SLUICE_TLS_KEY: certificate.keyFile };
  server = await ownServer({ quickLogins: false });
  gateway = await startGateway({ env });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  authority?.[Symbol.dispose]();
});

interface Way {
  readonly through: 'postgres' | 'sluice';
  /** A session of the catalog, in which the peer's name stands before the schema's. */
  readonly byName?: true;
  readonly sslmode?: 'require';
}

/** A database of the client's own, which is a peer of the gateway: nobody else's NOTIFY is heard in it. */
interface Place {
  readonly db: TestDatabase;
  /** The client's name, as it may stand in names of ours. */
  readonly name: string;
  readonly peer: string;
}

/** Runs the client in a schema that is new each time. */
async function run(client: ClientKind, { db, name, peer }: Place, way: Way): Promise<Transcript> {
  const schema = `c_${name}`;
  await db.exec(`drop schema if exists ${schema} cascade; create schema ${schema};
    create type ${schema}.mood as enum ('sad', 'ok', 'happy');
    create table ${schema}.things (id int primary key, name text not null, mood ${schema}.mood, amount numeric(20, 4),
      at timestamptz, doc jsonb, raw bytea, list int[], words text[], uid uuid)`);
  const home = way.byName ? 'sluice' : peer;
  const at = way.through === 'sluice' ? gateway : db;
  const options = { host: db.host, port: db.port, user: db.user, password: db.password, database: db.database };
  const done = await runProgram(client.command[0]!, {
    args: client.command.slice(1),
    timeoutMs: 60_000,
    env: {
      PGHOST: '127.0.0.1',
      PGPORT: String(at.port),
      PGUSER: db.user,
      PGPASSWORD: at.password,
      PGDATABASE: way.through === 'sluice' ? home : db.database,
      PGSSLMODE: way.sslmode ?? 'disable',
      SCHEMA: way.byName ? `${peer}.${schema}` : schema,
      TZ: 'UTC',
      PYTHONDONTWRITEBYTECODE: '1',
      SLUICE_CLIENTS_CACHE: cache,
      ...(way.through === 'sluice'
        ? { VERBS_PEER: `p_${name}`, VERBS_OPTIONS: createPeer('x', options).replace(/^.*?with \((.*)\);$/s, '$1') }
        : {}),
    },
  });
  expect(done.code, `${client.name} through ${way.through}: ${done.stderr}\n${done.stdout}`).toBe(0);
  return readTranscript(done.stdout);
}

/** The steps that this client's transcript must have. */
function expected(client: ClientKind): readonly Step[] {
  return (Object.keys(steps) as Step[]).filter((step) => client.without?.[step] === undefined);
}

/** Every step is there, did its work, and gave what it gave on PostgreSQL. */
function compare(client: ClientKind, direct: Transcript, through: Transcript, but: readonly string[] = []): void {
  for (const step of expected(client)) expect(direct.results.get(step), `${client.name}: ${step}`).toMatch(steps[step]);
  const said = through.results.get('verbs');
  expect(said, `${client.name}: verbs`).toMatch(verbs);
  if (client.without?.tags === undefined) expect(said, `${client.name}: tags`).toMatch(verbTags);
  const compared = ({ results }: Transcript) => {
    const rest = [...results].filter(([step]) => step !== 'verbs' && !but.includes(step));
    return Object.fromEntries(rest);
  };
  expect(compared(through)).toEqual(compared(direct));
}

async function scenario(client: ClientKind): Promise<void> {
  const name = client.name.replaceAll(/[^a-z0-9]+/gi, '_').toLowerCase();
  await using db = await databaseOn(server.server.config(), 18);
  const place = { db, name, peer: `shop_${name}` };
  await gateway.query(createPeer(place.peer, db));
  const through = 'sluice';
  const direct = await run(client, place, { through: 'postgres' });
  compare(client, direct, await run(client, place, { through }));
  if (client.byName !== undefined) {
    compare(client, direct, await run(client, place, { through, byName: true }), client.byName);
  }
  if (client.tls && hasOpenssl) compare(client, direct, await run(client, place, { through, sslmode: 'require' }));
  await gateway.query(`drop peer ${place.peer}`);
}

for (const client of clients) {
  const lack = client.lacks === undefined ? '' : ` (skipped, not here: ${client.lacks})`;
  const title = `${client.name} sees through Sluice what it sees on PostgreSQL itself${lack}`;
  test.skipIf(client.lacks !== undefined).concurrent(title, () => scenario(client));
}

// Elsewhere nobody has installed them.
const installs = process.env.CI !== undefined && process.getuid?.() === 0 && isInstalled('apt-get');

test.skipIf(!installs)('at least twelve clients are here, where they can be installed', () => {
  expect(clients.filter(({ lacks }) => lacks === undefined).length).toBeGreaterThanOrEqual(12);
});
