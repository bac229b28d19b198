// Two processes that both believe they own a mirror: one of them writes, the other finds that out and stops.
import { expect, test } from 'vitest';
import { ident, sql } from '../../src/pg/sql.ts';
import { buildGates } from '../support/gates.ts';
import { createPeer, type Gateway, startGateway } from '../support/gateway.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { untilLate } from '../support/wait.ts';

const onCatalog = (url: string) =>
  startGateway({ env: { SLUICE_CATALOG_URL: url, SLUICE_SECRET_KEY: 'the same for both of them' } });

// Without a key what comes twice stays twice.
const tables = `create schema shop; create table shop.log (n int); alter table shop.log replica identity full;
  create table shop.stock (id int primary key, n int); insert into shop.stock values (1, 0)`;

async function createMirror(gateway: Gateway, source: TestDatabase, target: TestDatabase, name: string) {
  await gateway.query(createPeer('src', source));
  await gateway.query(createPeer('dst', target));
  await gateway.query(`create mirror ${name} from src to dst with schema mapping (shop:shop)`);
  await untilLate('it runs', async () => (await state(gateway)).status === 'running');
}

interface State {
  readonly status: string;
  readonly sqlstate: string | null;
  readonly hint: string | null;
}

async function state(gateway: Gateway): Promise<State> {
  const [row] = await gateway.query<State>('select status, sqlstate, hint from sluice.mirrors');
  if (row === undefined) throw new Error('no mirror');
  return row;
}

let next = 0;

/** Writes, and waits until it is on the target, once. */
async function passes(source: TestDatabase, target: TestDatabase): Promise<void> {
  next++;
  await source.exec(`insert into shop.log values (${next}); update shop.stock set n = ${next}`);
  await untilLate(`change ${next}`, async () => (await numbers(target)).includes(next));
  expect(await numbers(target)).toEqual(await numbers(source));
}

async function numbers(db: TestDatabase): Promise<readonly number[]> {
  return (await db.exec<{ n: number }>('select n from shop.log order by n')).map(({ n }) => n);
}

test('of two processes with copies of one catalog one writes; the other stops, says why, and takes over when told to', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  await using catalog = await testDatabase(18);
  await source.exec(tables);
  const copy = `${catalog.database}_copy`;
  const admin = await source.connect();
  try {
    await using first = await onCatalog(catalog.url);
    await createMirror(first, source, target, 'copied_catalog');
    await passes(source, target);
    await first.kill('SIGTERM');
    await catalog.connection.close();
    await admin.run(sql`create database ${ident(copy)} template ${ident(catalog.database)}`);
    await first.start();
    await passes(source, target);
    await using second = await onCatalog(catalog.url.replace(catalog.database, copy));
    const gateways = { first, second };
    // Both count on from the same number; whoever drew the greater one has it.
    const loser = await untilLate('one of them stops', async () => {
      for (const name of ['first', 'second'] as const) {
        if ((await state(gateways[name])).status === 'failed') return name;
      }
      return undefined;
    });
    const winner = loser === 'first' ? 'second' : 'first';
    expect(await state(gateways[loser])).toMatchObject({
      sqlstate: '55006',
      hint: expect.stringContaining('RESUME MIRROR "copied_catalog"'),
    });
    await passes(source, target);
    await untilLate('the other one runs', async () => (await state(gateways[winner])).sqlstate === null);

    // The other way round, because a person says so; and it stays so.
    await gateways[loser].query('resume mirror copied_catalog');
    await untilLate('the other one stops', async () => (await state(gateways[winner])).status === 'failed');
    await untilLate('it took over', async () => (await state(gateways[loser])).sqlstate === null);
    await passes(source, target);
    if (process.env.SLUICE_LONG_TESTS) {
      await gateways[winner].kill('SIGKILL');
      await gateways[winner].start();
      await passes(source, target);
    }
    expect((await state(gateways[winner])).status).toBe('failed');
    expect(await state(gateways[loser])).toMatchObject({ status: 'running', sqlstate: null });
    await gateways[loser].query('drop mirror copied_catalog');
  } finally {
    await admin.run(sql`drop database if exists ${ident(copy)} with (force)`);
  }
}, 300_000);

test('a process that sleeps in the middle of a transaction, and wakes when another has taken over, writes nothing more', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await using catalog = await testDatabase(18);
  await source.exec(tables);
  const gates = await buildGates(await target.connect(), 'shop');
  await using sleeper = await onCatalog(catalog.url);
  await createMirror(sleeper, source, target, 'slept');
  await passes(source, target);
  await gates.close('checkpoint');
  await source.exec('insert into shop.log values (1001)');
  await gates.someoneWaitsAt('checkpoint');
  process.kill(sleeper.pid, 'SIGSTOP');
  try {
    await using other = await onCatalog(catalog.url);
    // As a network that loses it: its lock in the catalog goes with its connection.
    await catalog.exec(`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
      and database = (select oid from pg_database where datname = current_database())`);
    await gates.open('checkpoint');
    await untilLate('the other one has brought it', async () => (await numbers(target)).includes(1001));
    process.kill(sleeper.pid, 'SIGCONT');
    await untilLate('it says so', () =>
      /runner ended|is owned by another process|is not ours any more|the catalog is away/.test(sleeper.output),
    );
    next = 2000;
    await passes(source, target);
    await passes(source, target);
    await other.query('drop mirror slept');
  } finally {
    process.kill(sleeper.pid, 'SIGCONT');
  }
}, 300_000);
