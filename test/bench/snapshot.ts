// The copy: each contestant moves the same source database into an empty target, in turns, several times.
import { startGateway } from '../support/gateway.ts';
import { type Contestant, dumpAndRestore, pgcopydb, sluiceCopy, sluiceFollow, subscription } from './contestants.ts';
import { createSmall, createWide, fillWide, indexWide } from './data.ts';
import { median, peakMemoryMb, seconds, table } from './report.ts';
import { type BenchServers, type Database, freshDatabase, settle } from './servers.ts';

export interface SnapshotSizes {
  readonly wideRows: number;
  readonly smallTables: number;
  readonly runs: number;
}

const contestants: readonly Contestant[] = [sluiceCopy, sluiceFollow, dumpAndRestore, pgcopydb, subscription];

interface Case {
  readonly title: string;
  readonly fill: (source: Database) => Promise<void>;
  readonly createTables: (target: Database) => Promise<void>;
}

export async function benchSnapshot(
  servers: BenchServers,
  gatewayCommand: readonly string[],
  sizes: SnapshotSizes,
): Promise<void> {
  const cases: readonly Case[] = [
    {
      title: `one wide table, ${sizes.wideRows} rows, 6 indexes, a check`,
      fill: async ({ connection }) => {
        await createWide(connection);
        await fillWide(connection, sizes.wideRows);
        await indexWide(connection);
      },
      createTables: async ({ connection }) => {
        await createWide(connection);
        await indexWide(connection);
      },
    },
    {
      title: `${sizes.smallTables} small tables, 3 indexes each, ${sizes.smallTables / 2} foreign keys`,
      fill: ({ connection }) => createSmall(connection, sizes.smallTables, 100),
      createTables: ({ connection }) => createSmall(connection, sizes.smallTables, 0),
    },
  ];
  for (const each of cases) {
    await using gateway = await startGateway({ command: gatewayCommand, env: { SLUICE_LOG_LEVEL: 'warn' } });
    await using source = await freshDatabase(servers.source, 'bench');
    await each.fill(source);
    const here = contestants.filter((contestant) => contestant.missing === undefined);
    const times = new Map<Contestant, number[]>(here.map((contestant) => [contestant, []]));
    for (let run = 0; run < sizes.runs; run++) {
      for (const contestant of here) {
        await using target = await freshDatabase(servers.target, 'bench');
        await settle(servers);
        const createTables = () => each.createTables(target);
        const race = { source, target, createTables, gateway, scratch: servers.scratch };
        times.get(contestant)?.push(await contestant.move(race));
      }
    }
    print({ title: each.title, times, peakMb: peakMemoryMb(gateway.pid) });
  }
}

function print(result: {
  readonly title: string;
  readonly times: ReadonlyMap<Contestant, readonly number[]>;
  readonly peakMb: number;
}): void {
  const ours = (rival: Contestant) =>
    median(result.times.get(rival === subscription ? sluiceFollow : sluiceCopy) ?? []);
  const rows = [...result.times].map(([contestant, times]) => {
    const isOurs = contestant === sluiceCopy || contestant === sluiceFollow;
    const ratio = isOurs ? '' : `${(median(times) / ours(contestant)).toFixed(2)} ×`;
    return [contestant.name, seconds(median(times)), times.map(seconds).join(', '), ratio];
  });
  console.log(`\n### Copy: ${result.title}\n`);
  console.log(table(['', 'median', 'runs', 'slower than Sluice'], rows));
  console.log(`\nPeak memory of the gateway's process: ${result.peakMb.toFixed(0)} MB.`);
  for (const { name, missing } of contestants) if (missing !== undefined) console.log(`Left out: ${name}: ${missing}.`);
}
