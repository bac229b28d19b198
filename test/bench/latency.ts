// From a commit on the source until a reader of the target sees it, at a steady number of transactions per second.
import { setTimeout as rest } from 'node:timers/promises';
import { Connection } from '../../src/pg/client.ts';
import { sql } from '../../src/pg/sql.ts';
import type { Follower } from './followers.ts';
import type { Marks } from './marks.ts';
import { percentile, table } from './report.ts';
import type { Database } from './servers.ts';

// More than one commit waits for the disk at a time.
const perWriter = 125;

export interface LatencyBench {
  readonly source: Database;
  readonly marks: Marks;
  readonly followers: readonly Follower[];
  readonly durationMs: number;
  readonly rates: readonly number[];
}

/** Prints one table. */
export async function benchLatency(bench: LatencyBench): Promise<void> {
  const rows: string[][] = [];
  for (const rate of bench.rates) {
    for (const follower of bench.followers) {
      for (const other of bench.followers) if (other !== follower) await other.pause();
      const { latencies, perSecond } = await measure(bench, { follower, rate });
      const at = (share: number) => `${percentile(latencies, share).toFixed(1)} ms`;
      rows.push([`${rate}/s`, follower.name, at(0.5), at(0.99), at(1), perSecond.toFixed(0)]);
      for (const other of bench.followers) if (other !== follower) await other.resume();
      const last = await bench.marks.set();
      for (const each of bench.followers) await bench.marks.arrival(each.target, last);
    }
  }
  console.log('\n### Latency: commit on the source until visible on the target, transactions of one insert\n');
  console.log(table(['wanted', '', 'p50', 'p99', 'most', 'transactions/s'], rows));
}

async function measure(
  { source, marks, durationMs }: LatencyBench,
  { follower, rate }: { readonly follower: Follower; readonly rate: number },
): Promise<{ readonly latencies: readonly number[]; readonly perSecond: number }> {
  const committed = new Map<number, number>();
  const seen = new Map<number, number>();
  const first = marks.next() + 1;
  let writing = true;
  const writers = Math.max(1, Math.round(rate / perWriter));
  const began = performance.now();
  const write = async (number: number) => {
    await using db = await Connection.open(source.config);
    const everyMs = (1000 * writers) / rate;
    for (let due = performance.now() + (everyMs * number) / writers; performance.now() - began < durationMs; ) {
      const wait = due - performance.now();
      if (wait > 0) await rest(wait);
      due += everyMs;
      const mark = await marks.set(db);
      committed.set(mark, performance.now());
    }
  };
  const reading = (async () => {
    await using db = await Connection.open(follower.target.config);
    let below = first;
    while (writing || seen.size < committed.size) {
      const rows = await db.query<{ id: string }>(sql`select id from public.marks where id >= ${below}`);
      const now = performance.now();
      for (const { id } of rows) if (!seen.has(Number(id))) seen.set(Number(id), now);
      while (seen.has(below)) below++;
      await rest(1);
    }
  })();
  await Promise.all(Array.from({ length: writers }, (_, number) => write(number)));
  const perSecond = committed.size / ((performance.now() - began) / 1000);
  writing = false;
  await reading;
  // It may be seen before its writer hears of its commit.
  const latencies = [...committed].map(([mark, at]) => Math.max(0, (seen.get(mark) ?? Number.NaN) - at));
  return { latencies, perSecond };
}
