// The main job on a machine with nothing but Node: a live database moves from one PostgreSQL to another, before your eyes.
import { createWriteStream } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SluiceError } from '../src/base/errors.ts';
import { createLog } from '../src/base/log.ts';
import { pause } from '../src/base/retry.ts';
import { Scope } from '../src/base/scope.ts';
import { readConfig } from '../src/config.ts';
import { Connection } from '../src/pg/client.ts';
import { type EmbeddedPostgres, startEmbedded } from '../src/pg/embedded.ts';
import { sql } from '../src/pg/sql.ts';
import { type RunningServer, startServer } from '../src/server.ts';
import { takeFolder } from './folder.ts';
import { compareSides, createPeer, GatewayClient, showChanges, watchCopy } from './migrate.ts';
import { Screen, shownCount, shownSeconds } from './screen.ts';
import { createShop } from './shop.ts';

const usage = `npm run demo [-- options]
  --once     end after the comparison; exit code 0 only if source and target are equal
  --rows N   size of the sample shop (default 400000)
  --port N   the gateway's port (default 9900, or a free one if that is taken)
  --dir PATH where its data goes until it ends (default .sluice/demo)`;

const mirror = 'shop_move';
const usualDir = fileURLToPath(new URL('../.sluice/demo', import.meta.url));

interface Arguments {
  readonly once: boolean;
  readonly rows: number;
  readonly port: number | undefined;
  readonly dir: string;
}

async function main(): Promise<void> {
  const wanted = readArguments();
  if (wanted === undefined) return;
  const screen = new Screen(process.stdout, process.env);
  const interrupted = stopSignal();
  try {
    await using scope = new Scope(interrupted);
    process.exitCode = (await runDemo({ scope, screen, wanted })) ? 0 : 1;
  } catch (error) {
    if (interrupted.aborted) process.exitCode = 130;
    else {
      process.exitCode = 1;
      screen.line(`\n${screen.bad('The demo failed:')} ${error instanceof Error ? error.message : String(error)}`);
      if (error instanceof SluiceError && error.hint !== undefined) screen.line(error.hint);
    }
  }
  if (interrupted.aborted) screen.line('\nStopped; no process is left.');
}

function readArguments(): Arguments | undefined {
  const options = {
    once: { type: 'boolean' },
    rows: { type: 'string' },
    port: { type: 'string' },
    dir: { type: 'string' },
  } as const;
  try {
    const { values } = parseArgs({ options });
    const number = (text: string | undefined, least: number, most: number) => {
      if (text === undefined) return undefined;
      const value = Number(text);
      if (!Number.isInteger(value) || value < least || value > most) throw new Error(`${text} is out of bounds`);
      return value;
    };
    const port = number(values.port, 1, 65535);
    return {
      once: values.once ?? false,
      rows: number(values.rows, 1000, 100_000_000) ?? 400_000,
      port,
      dir: values.dir ?? usualDir,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}\n`);
    process.exitCode = 2;
    return undefined;
  }
}

// npm and a terminal may each hand on the same Ctrl-C, a closed terminal says SIGHUP, a reader that went away is an error
// of the output, and a launcher that was killed tells us nothing: we get another parent.
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort(new SluiceError('stopped', 'interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  process.stdout.on('error', stop);
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop(), 500).unref();
  return controller.signal;
}

async function runDemo(deps: {
  readonly scope: Scope;
  readonly screen: Screen;
  readonly wanted: Arguments;
}): Promise<boolean> {
  const { scope, screen, wanted } = deps;
  const { signal } = scope;
  screen.heading('Starting a source, a target and the gateway, each a real PostgreSQL server');
  const { source, target, gateway } = await startServers(deps);
  const sides = {
    source: await connect(scope, source),
    target: await connect(scope, target),
    screen,
  };
  screen.line(
    `  source   127.0.0.1:${source.port}, target 127.0.0.1:${target.port}, gateway 127.0.0.1:${gateway.port}`,
  );

  screen.heading('Making a sample shop on the source');
  const began = performance.now();
  await createShop(sides.source, wanted.rows);
  screen.line(
    `  about ${shownCount(wanted.rows)} rows in six tables, in ${shownSeconds((performance.now() - began) / 1000)}`,
  );
  signal.throwIfAborted();

  screen.heading(`Moving it, through the gateway's port ${gateway.port}`);
  await using client = await GatewayClient.connect(gateway, screen);
  await createPeer(client, 'source', source.config('shop'));
  await createPeer(client, 'target', target.config('shop'));
  await client.say(`CREATE MIRROR ${mirror} FROM source TO target FOR ALL TABLES`);
  await watchCopy({ gateway: client, screen }, mirror, signal);

  screen.heading('The copy stands, and now it follows: changing rows on the source');
  await showChanges(sides, signal);

  screen.heading('Comparing both sides row by row');
  const equal = await compareSides(sides, signal);
  screen.line(
    equal
      ? screen.good('  Source and target are equal.')
      : screen.bad('  Source and target differ. This is a defect; please report it.'),
  );
  const [count] = await client.query<{ n: string }>(sql`select count(*)::text as n from target.shop.orders`);
  screen.line(`  select count(*) from target.shop.orders, through the gateway: ${shownCount(Number(count?.n))}`);
  if (!wanted.once) await stay({ screen, gateway, signal });
  return equal;
}

async function startServers(deps: {
  readonly scope: Scope;
  readonly screen: Screen;
  readonly wanted: Arguments;
}): Promise<{
  readonly source: EmbeddedPostgres;
  readonly target: EmbeddedPostgres;
  readonly gateway: { readonly port: number; readonly password: string };
}> {
  const { scope, screen, wanted } = deps;
  const folder = await takeFolder(wanted.dir);
  scope.defer(() => folder.release());
  const settings = { shared_buffers: '128MB', max_wal_size: '2GB' };
  const source = startEmbedded({
    dataDir: join(folder.path, 'source'),
    throwaway: true,
    settings: { ...settings, wal_level: 'logical' },
  });
  const target = startEmbedded({ dataDir: join(folder.path, 'target'), throwaway: true, settings });
  // Interrupted while they start: wait until they can be stopped.
  for (const server of [source, target]) {
    scope.defer(async () => (await server.catch(() => undefined))?.stop('immediate'));
  }
  const gateway = startGateway({ scope, screen, folder: folder.path, port: wanted.port });
  const servers = await Promise.all([source, target, gateway]);
  for (const server of servers.slice(0, 2) as EmbeddedPostgres[]) {
    await using admin = await Connection.open(server.config());
    await admin.run(sql`create database shop`);
  }
  scope.signal.throwIfAborted();
  return { source: servers[0], target: servers[1], gateway: servers[2] };
}

async function startGateway(deps: {
  readonly scope: Scope;
  readonly screen: Screen;
  readonly folder: string;
  readonly port: number | undefined;
}): Promise<{ readonly port: number; readonly password: string }> {
  const { scope, screen, folder } = deps;
  const usual = deps.port ?? 9900;
  const busy = await isTaken(usual);
  if (busy && deps.port !== undefined) {
    throw new SluiceError('limit', `port ${usual} is taken`, { hint: 'Give another --port, or none for a free one.' });
  }
  if (busy) screen.line(`  Port ${usual} is taken by another program: the gateway takes a free one.`);
  const dataDir = join(folder, 'gateway');
  const config = readConfig({
    SLUICE_PORT: busy ? '0' : String(usual),
    SLUICE_HTTP_PORT: '0',
    SLUICE_DATA_DIR: dataDir,
    SLUICE_LOG_FORMAT: 'text',
  });
  const logFile = createWriteStream(join(dataDir, 'gateway.log'), { flags: 'a' });
  scope.defer(() => new Promise((done) => logFile.end(done)));
  const log = createLog({ level: config.logLevel, format: config.logFormat, destination: logFile });
  const server: Promise<RunningServer> = startServer(config, log);
  scope.defer(async () => (await server.catch(() => undefined))?.[Symbol.asyncDispose]());
  return { port: (await server).port, password: config.password };
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function connect(scope: Scope, server: EmbeddedPostgres): Promise<Connection> {
  // Interrupted, it breaks off: a statement that runs for seconds must not hold us up.
  const connection = await Connection.open(server.config('shop'), scope.signal);
  scope.defer(() => connection.close());
  return connection;
}

async function stay(deps: {
  readonly screen: Screen;
  readonly gateway: { readonly port: number; readonly password: string };
  readonly signal: AbortSignal;
}): Promise<void> {
  const { screen, gateway, signal } = deps;
  const psql = (database: string) =>
    `psql "host=localhost port=${gateway.port} password=${gateway.password} dbname=${database}"`;
  screen.heading('Try next, in another terminal');
  screen.line(`  ${screen.strong(psql('sluice'))}`);
  screen.line('    show mirrors;');
  screen.line(`    show mirror ${mirror};`);
  screen.line('    select * from sluice.tables;');
  screen.line(`    pause mirror ${mirror};  resume mirror ${mirror};`);
  screen.line("    update source.shop.orders set note = 'hello' where id = 1;");
  screen.line('    select note from target.shop.orders where id = 1;');
  screen.line(`  ${screen.strong(psql('target'))}`);
  screen.line('    \\d shop.orders');
  screen.line();
  screen.line('The mirror keeps following. Ctrl-C stops everything and forgets the sample data.');
  while (!signal.aborted) await pause(3_600_000, signal).catch(() => {});
}

await main();
