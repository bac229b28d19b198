// The copy: each contestant moves the same source database into an empty target, in turns, several times.
import { startGateway } from '../support/gateway.ts';
import { type CopyCase, type CopySizes, copyCases, runAll } from './cases.ts';
import {
  type Contestant,
  dumpAndRestore,
  pgcopydb,
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
    for (let run = 0; run < bench.runs; run++) {
      for (const contestant of here) {
        await using target = await freshDatabase(servers.target, 'bench');
        const { indexes } = each;
        const createTables = () => each.createTables(target.connection);
        const createIndexes = () => runAll(target.connection, indexes);
        const race = { source, target, createTables, createIndexes, indexes, gateway, scratch: servers.scratch };
        await contestant.prepare?.(race);
        await settle(servers);
        times.get(contestant)?.push(await contestant.move(race));
      }
    }
    print(each, times, peakMemoryMb(gateway.pid));
  }
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
