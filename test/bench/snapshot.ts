// The copy: each contestant moves the same source database into an empty target, in turns, several times.
import { startGateway } from '../support/gateway.ts';
import { type CopyCase, type CopySizes, copyCases, runAll } from './cases.ts';
import {
  type Contestant,
  dumpAndRestore,
  pgcopydb,
  plainDump,
  serverLimit,
  sluiceCopy,
  sluiceFollow,
  subscription,
} from './contestants.ts';
import { median, peakMemoryMb, seconds, table } from './report.ts';
import { type BenchServers, freshDatabase, settle } from './servers.ts';

export interface SnapshotBench {
  readonly sizes: CopySizes;
  readonly runs: number;
  /** Name of the only case; undefined: all. */
  readonly only: string | undefined;
}

const contestants: readonly Contestant[] = [
  sluiceCopy,
  sluiceFollow,
  dumpAndRestore,
  plainDump,
  pgcopydb,
  subscription,
  serverLimit,
];

/** Prints a table for each case. */
export async function benchSnapshot(
  servers: BenchServers,
  gatewayCommand: readonly string[],
  bench: SnapshotBench,
): Promise<void> {
  for (const each of copyCases(bench.sizes)) {
    if (bench.only !== undefined && bench.only !== each.name) continue;
    await using gateway = await startGateway({ command: gatewayCommand, env: { SLUICE_LOG_LEVEL: 'warn' } });
    await using source = await freshDatabase(servers.source, 'bench');
    await each.fill(source);
    const here = contestants.filter((contestant) => missing(contestant, each) === undefined);
    const times = new Map<Contestant, number[]>(here.map((contestant) => [contestant, []]));
    // Once untimed: whoever comes first makes files of the servers' logs and marks the source's rows as seen, once for all others.
    for (const [contestant, run] of turns(here, bench.runs)) {
      await using target = await freshDatabase(servers.target, 'bench', { keep: each.keepsTargets === true });
      const { indexes } = each;
      const createTables = () => each.createTables(target.connection);
      const createIndexes = () => runAll(target.connection, indexes);
      const race = { source, target, createTables, createIndexes, indexes, gateway, scratch: servers.scratch };
      await contestant.prepare?.(race);
      await settle(servers);
      const took = await contestant.move(race);
      if (run > 0) times.get(contestant)?.push(took);
    }
    print(each, times, peakMemoryMb(gateway.pid));
  }
}

// Run 0 is the one that counts for nobody.
function* turns(all: readonly Contestant[], runs: number): Generator<readonly [Contestant, number]> {
  const [first] = all;
  if (first !== undefined) yield [first, 0];
  for (let run = 1; run <= runs; run++) for (const each of all) yield [each, run];
}

function missing({ id, missing }: Contestant, { without }: CopyCase): string | undefined {
  return missing ?? without?.[id];
}

function print(each: CopyCase, times: ReadonlyMap<Contestant, readonly number[]>, peakMb: number): void {
  const ours = (rival: Contestant) => median(times.get(rival === subscription ? sluiceFollow : sluiceCopy) ?? []);
  const rows = [...times].map(([contestant, of]) => {
    const isOurs = contestant === sluiceCopy || contestant === sluiceFollow;
    const ratio = isOurs ? '' : `${(median(of) / ours(contestant)).toFixed(2)} ×`;
    return [contestant.name, seconds(median(of)), of.map(seconds).join(', '), ratio];
  });
  console.log(`\n### Copy: ${each.title}\n`);
  console.log(table(['', 'median', 'runs', 'of the time of Sluice'], rows));
  console.log(`\nPeak memory of the gateway's process: ${peakMb.toFixed(0)} MB.`);
  for (const contestant of contestants) {
    const why = missing(contestant, each);
    if (why !== undefined) console.log(`Left out: ${contestant.name}: ${why}.`);
  }
}
