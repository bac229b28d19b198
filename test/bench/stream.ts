// The stream: the same backlog is caught up by Sluice and by PostgreSQL's own apply worker; then the latency of single changes.
import { pause } from '../../src/base/retry.ts';
import type { Connection } from '../../src/pg/client.ts';
import { ident, sql } from '../../src/pg/sql.ts';
import { createPeer, type Gateway, startGateway } from '../support/gateway.ts';
import { until } from '../support/wait.ts';
import { createSubscription, dropMirror, dropSubscription, untilStatus, untilSynced } from './contestants.ts';
import { createTpcb, runBigTransaction, runTpcb } from './data.ts';
import { cpuSeconds, median, peakMemoryMb, percentile, seconds, table } from './report.ts';
import { type BenchServers, type Database, freshDatabase, settle } from './servers.ts';

export interface StreamSizes {
  readonly changes: number;
  readonly runs: number;
  /** How long latency is measured. */
  readonly latencyMs: number;
}

interface Follower {
  readonly name: string;
  readonly target: Database;
  pause(): Promise<void>;
  resume(): Promise<void>;
}

interface Workload {
  readonly title: string;
  readonly changes: number;
  make(db: Connection): Promise<void>;
}

export async function benchStream(
  servers: BenchServers,
  gatewayCommand: readonly string[],
  sizes: StreamSizes,
): Promise<void> {
  await using gateway = await startGateway({ command: gatewayCommand, env: { SLUICE_LOG_LEVEL: 'warn' } });
  await using source = await freshDatabase(servers.source, 'bench');
  await using ourTarget = await freshDatabase(servers.target, 'bench_sluice');
  await using theirTarget = await freshDatabase(servers.target, 'bench_native');
  await createTpcb(source.connection, 100_000);
  await createTpcb(theirTarget.connection, 0);
  await source.connection.run(sql`create table public.marks (id bigint primary key)`);
  await theirTarget.connection.run(sql`create table public.marks (id bigint primary key)`);

  await gateway.query(createPeer('bench_from', source.config));
  await gateway.query(createPeer('bench_to', ourTarget.config));
  await gateway.query('create mirror bench from bench_from to bench_to for all tables');
  await createSubscription({ source, target: theirTarget }, 'bench_native');
  await untilStatus(gateway, 'bench', 'running');
  await untilSynced(theirTarget);

  const followers = [ours(gateway, ourTarget), native(theirTarget)];
  const transactions = Math.round(sizes.changes / 4);
  const workloads: readonly Workload[] = [
    {
      title: `small transactions (TPC-B), ${transactions * 4} changes`,
      changes: transactions * 4,
      make: (db) => runTpcb(db, transactions),
    },
    {
      title: `one transaction of ${sizes.changes} inserts`,
      changes: sizes.changes,
      make: (db) => runBigTransaction(db, sizes.changes),
    },
  ];
  const marks = new Marks(source.connection);
  for (const workload of workloads)
    await benchCatchUp({ servers, source, gateway, followers, marks }, workload, sizes.runs);
  await benchLatency({ source, followers, marks }, sizes.latencyMs);

  await dropMirror(gateway, 'bench');
  await dropSubscription({ source, target: theirTarget }, 'bench_native');
}

function ours(gateway: Gateway, target: Database): Follower {
  return {
    name: 'Sluice',
    target,
    pause: async () => {
      await gateway.query('pause mirror bench');
      await untilStatus(gateway, 'bench', 'paused');
    },
    resume: async () => {
      await gateway.query('resume mirror bench');
    },
  };
}

function native(target: Database): Follower {
  const switchTo = async (state: 'enable' | 'disable') => {
    await target.connection.run(
      state === 'enable'
        ? sql`alter subscription ${ident('bench_native')} enable`
        : sql`alter subscription ${ident('bench_native')} disable`,
    );
  };
  return {
    name: 'PostgreSQL apply worker',
    target,
    pause: async () => {
      await switchTo('disable');
      await until('the apply worker ended', async () => {
        const rows = await target.connection.query(sql`select 1 from pg_catalog.pg_stat_subscription
          where subname = 'bench_native' and pid is not null`);
        return rows.length === 0;
      });
    },
    resume: () => switchTo('enable'),
  };
}

/** Rows whose arrival shows that everything before them has arrived. */
class Marks {
  readonly #source: Connection;
  #last = 0;

  constructor(source: Connection) {
    this.#source = source;
  }

  async set(): Promise<number> {
    this.#last++;
    await this.#source.run(sql`insert into public.marks values (${this.#last})`);
    return this.#last;
  }

  async arrival(target: Database, mark: number): Promise<void> {
    await until(
      `mark ${mark}`,
      async () => {
        const rows = await target.connection.query(sql`select 1 from public.marks where id = ${mark}`);
        return rows.length > 0;
      },
      600_000,
    );
  }
}

async function benchCatchUp(
  deps: {
    readonly servers: BenchServers;
    readonly source: Database;
    readonly gateway: Gateway;
    readonly followers: readonly Follower[];
    readonly marks: Marks;
  },
  workload: Workload,
  runs: number,
): Promise<void> {
  const { servers, source, gateway, followers, marks } = deps;
  const times = new Map<Follower, number[]>(followers.map((follower) => [follower, []]));
  let cpu = 0;
  for (let run = 0; run < runs; run++) {
    for (const follower of followers) await follower.pause();
    await workload.make(source.connection);
    const mark = await marks.set();
    // Who goes first changes, so that neither always finds the log in memory.
    for (const follower of run % 2 === 0 ? followers : [...followers].reverse()) {
      await settle(servers);
      const before = cpuSeconds(gateway.pid);
      const began = performance.now();
      await follower.resume();
      await marks.arrival(follower.target, mark);
      times.get(follower)?.push(performance.now() - began);
      if (follower === followers[0]) cpu += (cpuSeconds(gateway.pid) - before) / runs;
      await follower.pause();
    }
    for (const follower of followers) await follower.resume();
    const last = await marks.set();
    for (const follower of followers) await marks.arrival(follower.target, last);
  }
  const ourMedian = median(times.get(followers[0]!) ?? []);
  const rows = [...times].map(([follower, each], i) => [
    follower.name,
    seconds(median(each)),
    `${Math.round(workload.changes / (median(each) / 1000))}`,
    each.map(seconds).join(', '),
    i === 0 ? '' : `${(median(each) / ourMedian).toFixed(2)} ×`,
  ]);
  console.log(`\n### Catch-up: ${workload.title}\n`);
  console.log(table(['', 'median', 'changes/s', 'runs', 'slower than Sluice'], rows));
  const memory = `peak memory ${peakMemoryMb(gateway.pid).toFixed(0)} MB`;
  console.log(`\nThe gateway's process: ${memory}, ${cpu.toFixed(1)} s of processor time a run.`);
}

async function benchLatency(
  deps: { readonly source: Database; readonly followers: readonly Follower[]; readonly marks: Marks },
  durationMs: number,
): Promise<void> {
  const { source, followers, marks } = deps;
  const rows: string[][] = [];
  for (const follower of followers) {
    for (const other of followers) if (other !== follower) await other.pause();
    const latencies = await measureLatency({ marks, target: follower.target }, durationMs);
    rows.push([
      follower.name,
      `${percentile(latencies, 0.5).toFixed(1)} ms`,
      `${percentile(latencies, 0.99).toFixed(1)} ms`,
      `${Math.max(...latencies).toFixed(1)} ms`,
      String(latencies.length),
    ]);
    for (const other of followers) if (other !== follower) await other.resume();
    const last = await marks.set();
    for (const each of followers) await marks.arrival(each.target, last);
  }
  await source.connection.run(sql`select 1`);
  console.log('\n### Latency: commit on the source until visible on the target, 100 transactions/s\n');
  console.log(table(['', 'p50', 'p99', 'most', 'changes'], rows));
}

async function measureLatency(
  deps: { readonly marks: Marks; readonly target: Database },
  durationMs: number,
): Promise<readonly number[]> {
  const { marks, target } = deps;
  const committed = new Map<number, number>();
  const latencies: number[] = [];
  let writing = true;
  const reading = (async () => {
    while (writing || committed.size > 0) {
      const { last } = await target.connection.one<{ last: string | null }>(
        sql`select max(id) as last from public.marks`,
      );
      const now = performance.now();
      for (const [mark, at] of committed) {
        if (mark > Number(last)) continue;
        latencies.push(now - at);
        committed.delete(mark);
      }
      await pause(1);
    }
  })();
  const end = performance.now() + durationMs;
  while (performance.now() < end) {
    const began = performance.now();
    committed.set(await marks.set(), performance.now());
    await pause(Math.max(0, 10 - (performance.now() - began)));
  }
  writing = false;
  await reading;
  return latencies;
}
