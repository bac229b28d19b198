// The promise under kill -9: at any moment of copy and stream, under load, nothing is lost, nothing doubled, no half transaction seen.
import { expect, test } from 'vitest';
import { pause } from '../../src/base/retry.ts';
import { Scope } from '../../src/base/scope.ts';
import { sql } from '../../src/pg/sql.ts';
import { type Bank, bankTables, bankTotal, openBank, startBank } from '../support/bank.ts';
import { expectEqualTables } from '../support/compare.ts';
import { buildGates, type Gate, type Gates } from '../support/gates.ts';
import { createPeer, type Gateway, startGateway, tellingLastWords } from '../support/gateway.ts';
import { printObjects } from '../support/objects.ts';
import { type SharedMajor, type TestDatabase, testDatabase } from '../support/servers.ts';
import { until, untilLate } from '../support/wait.ts';

interface World {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
  readonly gateway: Gateway;
  readonly gates: Gates;
  readonly bank: Bank;
  /** Every moment, or only those that differ by the version of the servers. */
  readonly thorough: boolean;
  kills: number;
}

/** Kills the gateway when a session of it waits at the gate, then starts it again; the gate opens before or after that. */
async function killAt(
  world: World,
  gate: Gate,
  opens: 'before the restart' | 'after the restart' = 'before the restart',
) {
  const { gateway, gates } = world;
  await gates.someoneWaitsAt(gate);
  await gateway.kill('SIGKILL');
  world.kills++;
  if (opens === 'before the restart') await gates.open(gate);
  await gateway.start();
  if (opens === 'after the restart') await gates.open(gate);
}

async function killAndStart(world: World): Promise<void> {
  await world.gateway.kill('SIGKILL');
  world.kills++;
  await world.gateway.start();
}

async function phase(world: World): Promise<string | undefined> {
  const [row] = await world.gateway.query<{ phase: string }>("select phase from sluice.mirrors where name = 'bank'");
  return row?.phase;
}

async function killsDuringTheCopy(world: World): Promise<void> {
  const { source, target, gateway, gates } = world;
  await gateway.query(createPeer('src', source));
  await gateway.query(createPeer('dst', target));
  if (world.thorough) await gates.close('createTable');
  await gateway.query(`create mirror bank from src to dst with schema mapping (bank:bank) with (
    snapshot_num_rows_per_partition = 500, snapshot_max_parallel_workers = 2, snapshot_num_tables_in_parallel = 2)`);
  if (world.thorough) await killAt(world, 'createTable');

  await gates.close('row');
  await until('the slot is there', async () => {
    const slots = await source.connection.query(sql`select 1 from pg_catalog.pg_replication_slots
      where slot_name = 'peerflow_slot_bank'`);
    return slots.length > 0;
  });
  await killAndStart(world);
  await killAt(world, 'row', 'after the restart'); // in the middle of a part

  await gates.close('part');
  await killAt(world, 'part'); // between parts
  if (world.thorough) {
    await gates.close('copiedTable');
    // Before that one opens, or everything might be through in between.
    await gates.close('alterTable');
    await gates.close('createIndex');
    await killAt(world, 'copiedTable', 'after the restart'); // between tables
    // After the load, at the index of an identity and at a key: the larger table's comes first.
    const first = await gates.someoneWaitsAtOneOf(['createIndex', 'alterTable']);
    await killAt(world, first);
    await killAt(world, first === 'createIndex' ? 'alterTable' : 'createIndex', 'after the restart');
  }
}

async function killsWhileCatchingUp(world: World): Promise<void> {
  const { gates } = world;
  await gates.close('checkpoint');
  await gates.someoneWaitsAt('checkpoint');
  expect(await phase(world)).toBe('catching_up');
  await killAt(world, 'checkpoint', 'after the restart');
  await until('the mirror runs', async () => (await phase(world)) === 'streaming');
}

async function killsWhileStreaming(world: World): Promise<void> {
  const { source, gates, gateway, bank } = world;
  for (const gate of ['row', 'checkpoint', 'commit'] as const) {
    await gates.close(gate);
    await killAt(world, gate, gate === 'row' ? 'after the restart' : 'before the restart');
  }
  if (!world.thorough) return;
  for (const more of [50, 150]) {
    const enough = bank.counters.committed + more;
    await until(`${more} transactions`, () => bank.counters.committed > enough);
    await killAndStart(world);
  }
  // Just when the stream begins anew.
  await until('the stream is connected', async () => {
    const slots = await source.connection.query(sql`select 1 from pg_catalog.pg_replication_slots
      where slot_name = 'peerflow_slot_bank' and active`);
    return slots.length > 0;
  });
  await killAndStart(world);
  await gateway.kill('SIGTERM'); // and an orderly end
  await gateway.start();
}

async function storyOfKills(from: SharedMajor, to: SharedMajor, atLeast: number): Promise<void> {
  await using source = await testDatabase(from);
  await using target = await testDatabase(to);
  await openBank(source.connection, 7_500);
  const total = await bankTotal(source.connection);
  await using bank = await startBank({ connect: source.connect, writers: 2, pauseMs: 8, seed: from });
  await using gateway = await startGateway();
  const gates = await buildGates(await target.connect(), 'bank');
  const world: World = { source, target, gateway, gates, bank, thorough: atLeast > 10, kills: 0 };
  await tellingLastWords(gateway, () => killsAndTheirEnd(world, { total, atLeast }));
}

async function killsAndTheirEnd(world: World, expected: { total: string; atLeast: number }): Promise<void> {
  const { source, target, gateway, bank } = world;
  const { total, atLeast } = expected;
  await killsDuringTheCopy(world);
  await killsWhileCatchingUp(world);
  await using reader = new Scope();
  const totals = new Map<string, number>();
  const reading = await target.connect();
  reader.run(async (signal) => {
    while (!signal.aborted) {
      const seen = await bankTotal(reading);
      totals.set(seen, (totals.get(seen) ?? 0) + 1);
      await pause(10);
    }
  });
  await killsWhileStreaming(world);

  const counters = await bank.stop('the last row');
  // Each restart has let the writers come further ahead.
  await untilLate('the last row is on the target', async () => {
    const rows = await target.connection.query(sql`select 1 from bank.ledger where what = 'the last row'`);
    return rows.length > 0;
  });
  reader.stop();
  await reader.join();
  expect([...totals.keys()], 'totals that were read').toEqual([total]);
  expect(totals.get(total)).toBeGreaterThan(50);
  expect(counters.failed).toBe(0);
  expect(world.kills).toBeGreaterThanOrEqual(atLeast);
  await expectEqualTables(source.connection, target.connection, bankTables);
  expect(await printObjects(target)).toEqual(await printObjects(source));
  const wanting = await gateway.query(
    `select name, reason from sluice.objects where state not in ('created', 'existed')`,
  );
  expect(wanting).toEqual([]);
  await gateway.query('drop mirror bank');
  await expectNothingLeft(source, target);
}

async function expectNothingLeft(source: TestDatabase, target: TestDatabase): Promise<void> {
  await until('slot, publication and checkpoint are gone', async () => {
    const left = await source.connection.query(sql`select slot_name::text from pg_catalog.pg_replication_slots
        where database = ${source.database} union all select pubname::text from pg_catalog.pg_publication`);
    const kept = await target.connection.query(sql`select 1 from pg_catalog.pg_namespace where nspname = '_sluice'`);
    return left.length + kept.length === 0;
  });
}

test('kill -9 at a dozen moments of copy and stream loses nothing and doubles nothing, from 14 to 18', async () => {
  await storyOfKills(14, 18, 13);
}, 300_000);

// Sessions and servers are killed from 18 to 18 by another file, and this one takes its time.
test.runIf(process.env.SLUICE_LONG_TESTS)(
  'kill -9 does no harm from 18 to 14 either',
  async () => {
    await storyOfKills(18, 14, 7);
  },
  300_000,
);
