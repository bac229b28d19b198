// The gateway beside a direct connection and PgBouncer: bulk results, many small statements, its memory, its thinking time.
import { createPeer, type Gateway, isInstalled, runProgram, startGateway } from '../support/gateway.ts';
import { createWide, fillWide } from './data.ts';
import { benchMemory } from './gateway-memory.ts';
import { type Pooler, poolerMissing, startPooler } from './gateway-pooler.ts';
import { openReader, type Place } from './gateway-reader.ts';
import { benchRouting } from './gateway-routing.ts';
import { cpuSeconds, median, table } from './report.ts';
import { type BenchServers, freshDatabase } from './servers.ts';

export interface GatewaySizes {
  readonly rows: number;
  readonly runs: number;
  readonly seconds: number;
  readonly resultBytes: number;
  readonly idle: number;
  readonly idleOnPeer: number;
}

/** What of it: all if undefined. */
export type GatewayPart = 'bulk' | 'pgbench' | 'routing' | 'memory';
export const gatewayParts: readonly GatewayPart[] = ['bulk', 'pgbench', 'routing', 'memory'];

interface Way {
  readonly name: string;
  readonly place: Place;
}

export async function benchGateway(
  servers: BenchServers,
  command: readonly string[],
  options: GatewaySizes & { readonly part?: GatewayPart | undefined },
): Promise<void> {
  const wants = (part: GatewayPart) => options.part === undefined || options.part === part;
  if (wants('routing')) await benchRouting(2_000);
  if (options.part === 'routing') return;
  await using database = await freshDatabase(servers.source, 'bench_gateway');
  const fresh = async () => {
    const gateway = await startGateway({ command });
    await gateway.query(createPeer('bench', database.config));
    return gateway;
  };
  if (wants('bulk') || wants('pgbench')) {
    await using gateway = await fresh();
    await using pooler = poolerMissing === undefined ? await startPooler(servers.scratch, database.config) : undefined;
    if (pooler === undefined) console.log(`\nLeft out: ${poolerMissing}.`);
    const ways = waysOf(database.config, placeOf(gateway, 'bench'), pooler);
    if (wants('bulk')) {
      await createWide(database.connection);
      await fillWide(database.connection, options.rows);
      await benchBulk(ways, gateway, options);
    }
    if (wants('pgbench')) await benchSmall(ways, database.config, options);
  }
  if (wants('memory')) {
    const measured = async () => {
      const gateway = await fresh();
      return {
        pid: gateway.pid,
        catalog: placeOf(gateway, 'sluice'),
        peer: placeOf(gateway, 'bench'),
        [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
      };
    };
    await benchMemory({ ...options, fresh: measured });
  }
}

function placeOf(gateway: Gateway, database: string): Place {
  return { host: '127.0.0.1', port: gateway.port, user: 'bench', password: gateway.password, database };
}

function waysOf(direct: Place, through: Place, pooler: Pooler | undefined): readonly Way[] {
  return [
    { name: 'direct', place: direct },
    { name: 'Sluice', place: through },
    ...(pooler === undefined ? [] : [{ name: 'PgBouncer', place: pooler.place }]),
  ];
}

interface Result {
  /** Of each way, the median. */
  readonly speeds: readonly number[];
  /** Of each way but the first: the median of what each round's speed was to the first's. */
  readonly ratios: readonly string[];
}

/** Every way once in turn, `runs` times: what changes on the machine meanwhile changes for all. */
async function race(ways: readonly Way[], runs: number, run: (way: Way) => Promise<number>): Promise<Result> {
  const rounds: number[][] = [];
  for (let i = 0; i < runs; i++) {
    const round: number[] = [];
    for (const way of ways) round.push(await run(way));
    rounds.push(round);
  }
  const of = (value: (round: readonly number[]) => number) => median(rounds.map(value));
  return {
    speeds: ways.map((_, at) => of((round) => round[at]!)),
    ratios: ways.slice(1).map((_, at) => `${of((round) => round[at + 1]! / round[0]!).toFixed(2)} ×`),
  };
}

function headings(ways: readonly Way[]): readonly string[] {
  const names = ways.map(({ name }) => name);
  return [...names, ...names.slice(1).map((name) => `${name} ÷ ${names[0]}`)];
}

async function benchBulk(ways: readonly Way[], gateway: Gateway, { runs }: GatewaySizes): Promise<void> {
  const rows: string[][] = [];
  const query = 'select * from public.wide';
  const shown = ({ speeds, ratios }: Result) => [...speeds.map((speed) => `${speed.toFixed(0)} MB/s`), ...ratios];
  let cpu = 0;
  let bytes = 0;
  const raw = await race(ways, runs, async ({ name, place }) => {
    using reader = await openReader(place);
    const [began, cpuBefore] = [performance.now(), cpuSeconds(gateway.pid)];
    bytes = await reader.read(query);
    const took = performance.now() - began;
    if (name === 'Sluice') cpu = cpuSeconds(gateway.pid) - cpuBefore;
    return bytes / took / 1000;
  });
  rows.push(['SELECT, a reader that throws away', ...shown(raw)]);
  if (isInstalled('psql')) {
    for (const [what, text] of [
      ['SELECT, psql', query],
      ['COPY TO STDOUT, psql', `copy (${query}) to stdout`],
    ] as const) {
      const speeds = await race(ways, runs, async ({ place }) => {
        const began = performance.now();
        await say('psql', place, ['-XqAt', '-o', '/dev/null', '-c', text]);
        return bytes / (performance.now() - began) / 1000;
      });
      rows.push([what, ...shown(speeds)]);
    }
  }
  console.log(`\n### Bulk results (${(bytes / 1e6).toFixed(0)} MB)\n`);
  console.log(table(['', ...headings(ways)], rows));
  console.log(`\nSluice used ${((cpu / bytes) * 1e9).toFixed(2)} s of processor for each GB (the last run).`);
}

async function benchSmall(ways: readonly Way[], direct: Place, { runs, seconds }: GatewaySizes): Promise<void> {
  const rows: string[][] = [];
  if (!isInstalled('pgbench')) {
    console.log('\nLeft out: pgbench is not installed.');
    return;
  }
  await say('pgbench', direct, ['-i', '-q', '-s', '10']);
  for (const mode of ['prepared', 'extended', 'simple']) {
    for (const clients of ['4', '1']) {
      const args = ['-S', '-n', '-M', mode, '-c', clients, '-T', String(seconds)];
      const { speeds, ratios } = await race(ways, runs, async ({ place }) => {
        const told = await say('pgbench', place, args);
        return Number(/^tps = ([\d.]+)/m.exec(told)?.[1]);
      });
      rows.push([`-S -M ${mode} -c ${clients}`, ...speeds.map((speed) => speed.toFixed(0)), ...ratios]);
    }
  }
  console.log('\n### pgbench, transactions per second\n');
  console.log(table(['', ...headings(ways)], rows));
}

/** Runs a client program of PostgreSQL's and gives what it says. */
async function say(program: string, place: Place, args: readonly string[]): Promise<string> {
  const { host, port, user, password, database } = place;
  const env = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database };
  const done = await runProgram(program, { args, env });
  if (done.code !== 0) throw new Error(`${program} ended with ${done.code}: ${done.stderr.slice(-2000)}`);
  return done.stdout;
}
