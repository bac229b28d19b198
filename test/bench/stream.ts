// The stream: everybody catches up with the same backlog, in turns; then the latency of single changes.
import { parseLsn } from '../../src/pg/lsn.ts';
import { ident, sql, trusted } from '../../src/pg/sql.ts';
import { startGateway } from '../support/gateway.ts';
import { type Follower, type FollowersOf, followedTables, native, ours, pglogical } from './followers.ts';
import { benchLatency } from './latency.ts';
import { createMarks, Marks } from './marks.ts';
import { type Nowhere, paced, recvlogical } from './nowhere.ts';
import { median, seconds, table } from './report.ts';
import { type BenchServers, type Database, freshDatabase, settle } from './servers.ts';
import { type Cost, watchCost } from './watch.ts';
import { fillTables, streamWorkloads, type Workload, type WorkloadSizes } from './workloads.ts';

export interface StreamBench {
  readonly sizes: WorkloadSizes;
  readonly runs: number;
  /** How long latency is measured, at each rate. */
  readonly latencyMs: number;
  /** A workload's name, or `latency`; undefined: all. */
  readonly only: string | undefined;
  /** Why pglogical does not take part; undefined: it does. */
  readonly withoutPglogical: string | undefined;
  /** Instead of others: Sluice as it is, without the bound of its heap's growth, and with row filters of its own (text). */
  readonly variants: boolean;
  /** Options of our mirror, as they stand in WITH. */
  readonly options: string | undefined;
}

interface Run {
  readonly ms: number;
  readonly cost: Cost;
}

interface Racer {
  readonly name: string;
  readonly runs: Run[];
  /** Goes through the backlog up to the mark, and stops there. */
  race(to: { readonly mark: number; readonly end: bigint }): Promise<Run>;
}

interface Deps {
  readonly servers: BenchServers;
  readonly source: Database;
  readonly marks: Marks;
  readonly followers: readonly Follower[];
}

const publication = 'bench_nowhere';

/** Prints a table for each workload, and one for latency. */
export async function benchStream(
  servers: BenchServers,
  gatewayCommand: readonly string[],
  bench: StreamBench,
): Promise<void> {
  await using gateway = await startGateway({ command: gatewayCommand, env: { SLUICE_LOG_LEVEL: 'warn' } });
  // It goes with its server: there is more in it than a database can be dropped with.
  const source = await freshDatabase(servers.source, 'bench');
  await fillTables(source.connection, bench.sizes);
  await createMarks(source.connection);
  await source.connection.run(
    sql`create publication ${ident(publication)} for table ${trusted(followedTables.map((name) => `public.${name}`).join(', '))}`,
  );
  const followers: Follower[] = [];
  const of = { servers, source, gateway, options: bench.options === undefined ? '' : `with (${bench.options})` };
  await using unbound = bench.variants ? await startGateway({ command: withoutFlags(gatewayCommand) }) : undefined;
  if (unbound === undefined) for (const make of contestants(servers, bench)) followers.push(await make(of));
  else {
    followers.push(await ours(of));
    followers.push(
      await ours({ ...of, gateway: unbound }, { name: 'bench_unbound', title: 'Sluice, heap as V8 lets it grow' }),
    );
    // Before 15 the source does not filter, so it is done here, and values are text.
    if (Number(servers.version.split('.')[0]) < 15) {
      const filtered = { name: 'bench_filtered', title: 'Sluice, all tables with a filter', where: 'true' };
      followers.push(await ours(of, filtered));
    }
  }
  const deps = { servers, source, followers, marks: new Marks(source.connection) };
  for (const workload of streamWorkloads(bench.sizes)) {
    if (bench.only === undefined || bench.only === workload.name) await benchCatchUp(deps, workload, bench);
  }
  if (bench.only !== undefined && bench.only !== 'latency') return;
  await benchLatency({ ...deps, followers: followers.slice(0, 2), durationMs: bench.latencyMs, rates: [100, 1_000] });
}

/** The same program, in which flags of V8 that it sets itself have no effect. */
function withoutFlags([node = '', ...rest]: readonly string[]): readonly string[] {
  const text = `import v8 from 'node:v8'; import { syncBuiltinESMExports } from 'node:module';
    v8.setFlagsFromString = () => {}; syncBuiltinESMExports();`;
  return [node, '--import', `data:text/javascript,${encodeURIComponent(text)}`, ...rest];
}

function contestants(servers: BenchServers, bench: StreamBench): readonly ((of: FollowersOf) => Promise<Follower>)[] {
  const major = Number(servers.version.split('.')[0]);
  const streaming = major >= 16 ? 'parallel' : 'on';
  const text = { id: 'text', name: 'apply worker, text', options: 'streaming = off' };
  const binary = {
    id: 'binary',
    name: `apply worker, binary, streaming = ${streaming}`,
    options: `binary = true, streaming = ${streaming}`,
  };
  return [
    (of) => ours(of),
    (of) => native(of, text),
    (of) => native(of, binary),
    ...(bench.withoutPglogical === undefined ? [pglogical] : []),
  ];
}

async function benchCatchUp(
  deps: Deps,
  workload: Workload,
  { runs, withoutPglogical, variants }: StreamBench,
): Promise<void> {
  const { source, marks, followers } = deps;
  const readers = variants ? [] : [recvlogical, paced].filter((reader) => reader.missing === undefined);
  const racers = [
    ...followers.map((follower) => followerRacer(deps, follower)),
    ...readers.map((reader) => readerRacer(deps, reader)),
  ];
  for (let run = 0; run < runs; run++) {
    for (const follower of followers) await follower.pause();
    for (const reader of readers) await createSlot(source, slotOf(reader));
    await workload.make(source.connection);
    const mark = await marks.set();
    const { lsn } = await source.connection.one<{ lsn: string }>(
      sql`select pg_catalog.pg_current_wal_insert_lsn()::text as lsn`,
    );
    // Something to come after the mark, so that a reader which waits for its end finds it.
    await marks.set();
    // Who goes first changes, so that nobody always finds the log in memory.
    for (let i = 0; i < racers.length; i++) {
      const racer = racers[(i + run) % racers.length]!;
      await settle(deps.servers);
      const raced = await racer.race({ mark, end: parseLsn(lsn) });
      racer.runs.push(raced);
      console.error(`${workload.name}, run ${run + 1} of ${runs}: ${racer.name}, ${seconds(raced.ms)}`);
    }
    for (const follower of followers) await follower.resume();
    const last = await marks.set();
    for (const follower of followers) await marks.arrival(follower.target, last);
  }
  print(workload, racers);
  if (variants) return;
  for (const { name, missing } of [recvlogical, paced]) {
    if (missing !== undefined) console.log(`Left out: ${name}: ${missing}.`);
  }
  if (withoutPglogical !== undefined) console.log(`Left out: pglogical: ${withoutPglogical}.`);
}

function followerRacer({ source, marks }: Deps, follower: Follower): Racer {
  const { name, slot, pid, target } = follower;
  return {
    name,
    runs: [],
    async race({ mark }) {
      const watch = await watchCost({ source: source.config, slot, target: target.config, pid });
      const began = performance.now();
      await follower.resume();
      await marks.arrival(target, mark);
      const ms = performance.now() - began;
      const cost = await watch.end();
      await follower.pause();
      return { ms, cost };
    },
  };
}

function slotOf(reader: Nowhere): string {
  return reader === paced ? 'bench_paced' : 'bench_recvlogical';
}

function readerRacer({ source }: Deps, reader: Nowhere): Racer {
  const slot = slotOf(reader);
  return {
    name: reader.name,
    runs: [],
    async race({ end }) {
      const watch = await watchCost({ source: source.config, slot, target: undefined, pid: undefined });
      const began = performance.now();
      await reader.read({ source, slot, publication, end });
      const ms = performance.now() - began;
      const cost = await watch.end();
      await dropSlot(source, slot);
      return { ms, cost };
    },
  };
}

async function createSlot({ connection }: Database, slot: string): Promise<void> {
  await connection.run(sql`select pg_catalog.pg_create_logical_replication_slot(${slot}, 'pgoutput')`);
}

async function dropSlot({ connection }: Database, slot: string): Promise<void> {
  await connection.run(sql`select pg_catalog.pg_terminate_backend(active_pid, 10000) from pg_catalog.pg_replication_slots
    where slot_name = ${slot} and active_pid is not null`);
  await connection.run(sql`select pg_catalog.pg_drop_replication_slot(${slot})`);
}

function print(workload: Workload, racers: readonly Racer[]): void {
  const [first] = racers;
  const middle = ({ runs }: Racer) => median(runs.map(({ ms }) => ms));
  const ourMs = first === undefined ? Number.NaN : middle(first);
  const number = (racer: Racer, of: keyof Cost, digits: number) => {
    const value = median(racer.runs.map(({ cost }) => cost[of]));
    return Number.isNaN(value) ? '' : value.toFixed(digits);
  };
  const rows = racers.map((racer) => [
    racer.name,
    seconds(middle(racer)),
    `${Math.round(workload.changes / (middle(racer) / 1000))}`,
    racer === first ? '' : `${(middle(racer) / ourMs).toFixed(2)} ×`,
    racer.runs.map(({ ms }) => (ms / 1000).toFixed(1)).join(' '),
    ...(['process', 'walsender', 'target'] as const).map((of) => number(racer, of, 1)),
    ...(['processMb', 'walsenderMb', 'targetMb'] as const).map((of) => number(racer, of, 0)),
  ]);
  console.log(`\n### Catch-up: ${workload.title} (bar: ${workload.bar} × the apply worker)\n`);
  const costs = ['CPU s', 'source', 'target', 'RSS MB', 'source', 'target'];
  console.log(table(['', 'median', 'changes/s', 'of our time', 'runs, s', ...costs], rows));
}
