// `npm run bench`: Sluice beside the tools that people use today, on this machine, in one run; prints tables.

import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchGateway, gatewayParts } from './gateway.ts';
import { benchReceivers } from './receivers.ts';
import { benchScale } from './scale.ts';
import { embedded, installedWith, startServers } from './servers.ts';
import { benchSnapshot } from './snapshot.ts';
import { benchStream } from './stream.ts';

const usage = `npm run bench [-- options]
  --quick         a tenth of the sizes, one run
  --runs N        runs of each contestant (default 3); the median counts
  --only WHAT     snapshot, stream, scale, receivers or gateway; of the last, gateway-bulk, -pgbench, -routing or -memory
  --case NAME     of the copies only: wide, wide-indexed, pgbench, small or many
                  of the stream only: tpcb, big, wide, single or latency; of scale: huge, thousand or ten
  --variants      of the stream: not others, but Sluice as it is, without a bound of its heap, and with row filters (text, --major 14)
  --options TEXT  options of our mirror in the stream, as they stand in WITH (…)
  --major 14|18   version of both servers (default 14, because pg_dump must not be older than its server; the stream's default is
                  the system's newest that has pglogical, if there is one)`;

const root = fileURLToPath(new URL('../..', import.meta.url));

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      runs: { type: 'string' },
      only: { type: 'string' },
      case: { type: 'string' },
      major: { type: 'string' },
      options: { type: 'string' },
      variants: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const scale = values.quick ? 0.1 : 1;
  const runs = Number(values.runs ?? (values.quick ? 1 : 3));
  const command = startCommand();
  const { only } = values;
  const processors = cpus();
  console.log('## Sluice beside others\n');
  console.log(
    `${processors.length} × ${processors[0]?.model.trim()}, Node ${process.versions.node}. Median of ${runs}.`,
  );
  if (only === undefined || only === 'stream') await stream(command, { ...values, scale, runs });
  if (only === 'stream') return;
  await using servers = await startServers(embedded(values.major ?? '14'));
  console.log(`\nPostgreSQL ${servers.version} on both sides:`);
  if (only === undefined || only === 'snapshot') {
    const sizes = {
      ...{ wideRows: 2_000_000 * scale, smallTables: 500 * scale, manyTables: 10_000 * scale },
      pgbenchScale: 50 * scale,
    };
    await benchSnapshot(servers, command, { sizes, runs, only: values.case });
  }
  if (only === undefined || only === 'scale') {
    const sizes = { rows: 10_000_000 * scale, tables: 1_000, rounds: 100 * scale, changes: 2_000_000 * scale };
    await benchScale(servers, command, {
      ...{ ...sizes, runs: Math.min(2, runs), only: values.case },
      binaries: embedded(values.major ?? '14'),
    });
  }
  if (only === undefined || only === 'receivers') {
    await benchReceivers(servers, { changes: 500_000 * scale, runs });
  }
  if (only === undefined || only.startsWith('gateway')) {
    await benchGateway(servers, command, {
      part: gatewayParts.find((part) => only === `gateway-${part}`),
      rows: 2_000_000 * scale,
      runs,
      seconds: values.quick ? 2 : 5,
      resultBytes: 2_000_000_000 * scale,
      idle: 2_000,
      idleOnPeer: 2_000,
    });
  }
}

interface StreamChoice {
  readonly quick?: boolean;
  readonly scale: number;
  readonly runs: number;
  readonly case?: string;
  readonly options?: string;
  readonly variants?: boolean;
  readonly major?: string;
}

// As `npm start` runs it, with the same environment and flags.
function startCommand(): readonly string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } };
  const [, variables = '', flags = ''] = /&& (.*)exec node (.*)dist\/main\.js/.exec(scripts.start) ?? [];
  const words = (text: string) => text.split(' ').filter(Boolean);
  return ['env', ...words(variables), process.execPath, ...words(flags), join(root, 'dist/main.js'), 'start'];
}

async function stream(command: readonly string[], { quick, scale, runs, major, ...values }: StreamChoice) {
  const installed = major === undefined ? installedWith('pglogical') : undefined;
  const preload = { shared_preload_libraries: 'pglogical' };
  await using servers = await startServers(
    installed ?? embedded(major ?? '14'),
    installed === undefined ? {} : preload,
  );
  console.log(`\nPostgreSQL ${servers.version} on both sides:`);
  await benchStream(servers, command, {
    sizes: {
      ...{ tpcbChanges: 2_000_000 * scale, bigRows: 1_000_000 * scale },
      ...{ wideRows: 300_000 * scale, singleRows: 1_000_000 * scale },
    },
    ...{
      runs,
      latencyMs: quick ? 3_000 : 10_000,
      only: values.case,
      options: values.options,
      variants: values.variants ?? false,
    },
    withoutPglogical:
      installed !== undefined ? undefined : major === undefined ? 'it is not installed' : 'not for these servers',
  });
}

await main();
