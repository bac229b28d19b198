// The stream under weight: one very large transaction, a thousand tables in rotation, ten mirrors at once, ten that have nothing to do.
import { setTimeout as rest } from 'node:timers/promises';
import type { Binaries } from '../../src/pg/binaries.ts';
import type { Connection } from '../../src/pg/client.ts';
import { startEmbedded } from '../../src/pg/embedded.ts';
import { ident, sql, trusted } from '../../src/pg/sql.ts';
import { createPeer, type Gateway, startGateway } from '../support/gateway.ts';
import { untilStatus } from './contestants.ts';
import { createTpcb, runBigTransaction, runTpcb } from './data.ts';
import { createMarks, Marks } from './marks.ts';
import { cpuSeconds, peakMemoryMb, resetPeakMemory, seconds, table } from './report.ts';
import { type BenchServers, type Database, freshDatabase, settle } from './servers.ts';
import { watchCost } from './watch.ts';

export interface ScaleBench {
  readonly binaries: Binaries;
  /** Of the large transaction. */
  readonly rows: number;
  readonly tables: number;
  /** To each of those tables. */
  readonly rounds: number;
  /** Of all mirrors together. */
  readonly changes: number;
  readonly runs: number;
  readonly only: string | undefined;
}

/** Prints a table for each. */
export async function benchScale(
  servers: BenchServers,
  gatewayCommand: readonly string[],
  bench: ScaleBench,
): Promise<void> {
  const parts = { huge: benchHuge, thousand: benchThousand, ten: benchTen };
  for (const [name, run] of Object.entries(parts)) {
    if (bench.only !== undefined && bench.only !== name) continue;
    await using gateway = await startGateway({ command: gatewayCommand, env: { SLUICE_LOG_LEVEL: 'warn' } });
    await run({ servers, gateway, bench });
  }
}

interface Deps {
  readonly servers: BenchServers;
  readonly gateway: Gateway;
  readonly bench: ScaleBench;
}

interface Pair {
  readonly name: string;
  readonly source: Database;
  readonly target: Database;
  readonly marks: Marks;
}

/** A mirror of a whole database, running. */
async function mirror(gateway: Gateway, pair: Omit<Pair, 'marks'>): Promise<Pair> {
  const { name, source, target } = pair;
  await createMarks(source.connection);
  await gateway.query(createPeer(`${name}_from`, source.config));
  await gateway.query(createPeer(`${name}_to`, target.config));
  await gateway.query(`create mirror ${name} from ${name}_from to ${name}_to for all tables`);
  await untilStatus(gateway, name, 'running');
  return { ...pair, marks: new Marks(source.connection) };
}

async function slotOf({ source }: Pair): Promise<string> {
  const { slot } = await source.connection.one<{ slot: string }>(
    sql`select slot_name::text as slot from pg_catalog.pg_replication_slots where database = current_database()`,
  );
  return slot;
}

/** Throws where the two sides differ. */
async function compare({ source, target }: Pick<Pair, 'source' | 'target'>): Promise<void> {
  const tables = await source.connection.query<{ name: string }>(
    sql`select relname::text as name from pg_catalog.pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
  );
  for (const { name } of tables) {
    const [here, there] = await Promise.all([source, target].map(({ connection }) => digest(connection, name)));
    if (here !== there) throw new Error(`${name} differs: ${here} rows and sum on the source, ${there} on the target`);
  }
}

async function digest(db: Connection, name: string): Promise<string> {
  const { text } = await db.one<{ text: string }>(sql`select pg_catalog.count(*) || ' ' ||
    coalesce(pg_catalog.sum(pg_catalog.hashtextextended(t::text, 0)), 0) as text from ${ident('public', name)} t`);
  return text;
}

async function benchHuge({ servers, gateway, bench: { rows } }: Deps): Promise<void> {
  await using source = await freshDatabase(servers.source, 'bench_huge');
  await using target = await freshDatabase(servers.target, 'bench_huge');
  await createTpcb(source.connection, 0);
  const pair = await mirror(gateway, { name: 'bench', source, target });
  const slot = await slotOf(pair);
  const watch = await watchCost({ source: source.config, slot, target: target.config, pid: gateway.pid });
  const began = performance.now();
  await runBigTransaction(source.connection, rows);
  const committed = performance.now();
  await pair.marks.arrival(target, await pair.marks.set());
  const arrived = performance.now();
  const cost = await watch.end();
  await compare(pair);
  console.log(`\n### One transaction of ${rows} rows, while the mirror follows\n`);
  const cells = [
    ...[
      seconds(committed - began),
      seconds(arrived - committed),
      `${Math.round(rows / ((arrived - committed) / 1000))}`,
    ],
    ...[cost.processMb, cost.walsenderMb, cost.targetMb].map((mb) => mb.toFixed(0)),
    ...[cost.process, cost.walsender, cost.target].map((used) => used.toFixed(1)),
  ];
  const head = ['source took', 'then until visible', 'rows/s', 'RSS MB', 'walsender', 'target'];
  console.log(table([...head, 'CPU s', 'walsender', 'target'], [cells]));
}

async function benchThousand({ servers, gateway, bench: { tables, rounds } }: Deps): Promise<void> {
  await using source = await freshDatabase(servers.source, 'bench_thousand');
  await using target = await freshDatabase(servers.target, 'bench_thousand');
  await source.connection.run(
    trusted(`do $$ begin
      for t in 1..${tables} loop
        execute pg_catalog.format('create table public.t%s (id integer primary key, n integer, what text)', t);
        execute pg_catalog.format('insert into public.t%s select g, 0, ''row '' || g from generate_series(1, 100) g', t);
        if t % 100 = 0 then commit; end if;
      end loop;
    end $$`),
  );
  const pair = await mirror(gateway, { name: 'bench', source, target });
  const idleMb = peakMemoryMb(gateway.pid);
  const slot = await slotOf(pair);
  const watch = await watchCost({ source: source.config, slot, target: target.config, pid: gateway.pid });
  const began = performance.now();
  await source.connection.run(trusted('set synchronous_commit = off'));
  for (let round = 1; round <= rounds; round++) {
    await source.connection.run(
      trusted(`do $$ begin
        for t in 1..${tables} loop
          execute pg_catalog.format('insert into public.t%s values (%s, 1, ''new'')', t, ${100 + round});
          execute pg_catalog.format('update public.t%s set n = n + 1 where id = %s', t, ${1 + (round % 50)});
          execute pg_catalog.format('delete from public.t%s where id = %s', t, ${50 + (round % 50)});
          commit;
        end loop;
      end $$`),
    );
  }
  await source.connection.run(trusted('reset synchronous_commit'));
  await pair.marks.arrival(target, await pair.marks.set());
  const ms = performance.now() - began;
  const cost = await watch.end();
  await compare(pair);
  console.log(
    `\n### ${tables} tables, ${rounds} rounds of a transaction of about 3 changes to each in turn, as they come\n`,
  );
  const cells = [
    ...[seconds(ms), `${Math.round((tables * rounds * 3) / (ms / 1000))}`, idleMb.toFixed(0)],
    ...[cost.processMb, cost.walsenderMb, cost.targetMb].map((mb) => mb.toFixed(0)),
    ...[cost.process, cost.walsender, cost.target].map((used) => used.toFixed(1)),
  ];
  const head = ['time', 'changes/s', 'RSS MB after the copy', 'RSS MB', 'walsender', 'target'];
  console.log(table([...head, 'CPU s', 'walsender', 'target'], [cells]));
}

const mirrors = 10;

// Each mirror has a source server of its own: a walsender reads the log of its whole server, and here it is not what is measured.
async function benchTen({ servers, gateway, bench }: Deps): Promise<void> {
  const sources = await Promise.all(
    Array.from({ length: mirrors }, (_, i) =>
      startEmbedded({
        dataDir: `${servers.scratch}/source-${i}`,
        binaries: bench.binaries,
        settings: { wal_level: 'logical', shared_buffers: '64MB', max_wal_size: '4GB', autovacuum: 'off' },
      }),
    ),
  );
  try {
    const idle = [await idleCpu(gateway)];
    const pairs: Pair[] = [];
    for (const [i, server] of sources.entries()) {
      const source = await freshDatabase(server, 'bench');
      const target = await freshDatabase(servers.target, `bench_${i}`);
      await createTpcb(source.connection, 100_000);
      pairs.push(await mirror(gateway, { name: `bench_${i}`, source, target }));
      if (i === 0 || i === mirrors - 1) idle.push(await idleCpu(gateway));
    }
    resetPeakMemory(gateway.pid);
    const times: { one: number[]; ten: number[] } = { one: [], ten: [] };
    for (let run = 0; run < bench.runs; run++) {
      times.one.push(await catchUp({ servers, gateway }, pairs.slice(0, 1), bench.changes));
      times.ten.push(await catchUp({ servers, gateway }, pairs, bench.changes));
    }
    const best = { one: Math.min(...times.one), ten: Math.min(...times.ten) };
    for (const pair of pairs) await compare(pair);
    console.log(
      `\n### ${mirrors} mirrors in one process: ${bench.changes} changes of small transactions, all together\n`,
    );
    const row = (name: string, ms: number, all: readonly number[]) => {
      const rate = `${Math.round(bench.changes / (ms / 1000))}`;
      return [name, seconds(ms), rate, `${(best.one / ms).toFixed(2)} ×`, all.map(seconds).join(', ')];
    };
    const rows = [row('one mirror', best.one, times.one), row('ten at once', best.ten, times.ten)];
    console.log(table(['', 'best', 'changes/s', 'of one', 'runs'], rows));
    const cost = (of: number | undefined) => `${((of ?? Number.NaN) * 1000).toFixed(1)} ms`;
    console.log(
      `\nThe gateway's process: peak memory ${peakMemoryMb(gateway.pid).toFixed(0)} MB. Processor time a second when idle:`,
    );
    console.log(`no mirror ${cost(idle[0])}, one ${cost(idle[1])}, ten ${cost(idle[2])}.`);
  } finally {
    for (const server of sources) await server.stop('immediate');
  }
}

/** Processor seconds in a second in which nothing happens. */
async function idleCpu(gateway: Gateway): Promise<number> {
  const ms = 15_000;
  await rest(2_000);
  const before = cpuSeconds(gateway.pid);
  await rest(ms);
  return (cpuSeconds(gateway.pid) - before) / (ms / 1000);
}

async function catchUp(
  { servers, gateway }: Pick<Deps, 'servers' | 'gateway'>,
  pairs: readonly Pair[],
  changes: number,
): Promise<number> {
  for (const { name } of pairs) await gateway.query(`pause mirror ${name}`);
  for (const { name } of pairs) await untilStatus(gateway, name, 'paused');
  const marks: number[] = [];
  for (const pair of pairs) {
    await runTpcb(pair.source.connection, Math.round(changes / 4 / pairs.length));
    marks.push(await pair.marks.set());
    await pair.source.connection.run(trusted('checkpoint'));
  }
  await settle(servers);
  const began = performance.now();
  for (const { name } of pairs) await gateway.query(`resume mirror ${name}`);
  await Promise.all(pairs.map((pair, i) => pair.marks.arrival(pair.target, marks[i]!)));
  return performance.now() - began;
}
