// The composition root: builds everything in order, stops it in reverse.
import { join } from 'node:path';
import { healthRoutes, startHttp } from './api/health.ts';
import { addMetrics } from './api/metrics.ts';
import type { Log } from './base/log.ts';
import { Scope } from './base/scope.ts';
import { Spill } from './base/spill.ts';
import { readMetrics } from './catalog/metrics.ts';
import { keepNames, Names } from './catalog/names.ts';
import { type Catalog, openCatalog } from './catalog/open.ts';
import { PeerTable } from './catalog/peers.ts';
import { UserTable } from './catalog/users.ts';
import { runStatement } from './commands/dispatch.ts';
import type { CommandContext } from './commands/result.ts';
import type { Config } from './config.ts';
import { runGateway } from './gateway/gateway.ts';
import { peerClientConfig } from './peers/connect.ts';
import { LeftSessions } from './peers/shelf.ts';
import { sql } from './pg/sql.ts';
import { runStep } from './runner/steps.ts';
import { runSupervisor } from './runner/supervisor.ts';
import type { Statement } from './sql/statement.ts';

/** A server that takes connections. Disposing stops it; an embedded catalog that nobody else uses stops with it. */
export interface RunningServer extends AsyncDisposable {
  /** For PostgreSQL clients. */
  readonly port: number;
  /** Undefined: no HTTP. */
  readonly httpPort: number | undefined;
  /** Resolves when the server was stopped; rejects when a part of it failed. */
  readonly ended: Promise<void>;
}

/**
 * Starts catalog, mirrors, HTTP and gateway, and returns when clients can connect.
 * @throws what keeps one of them from starting; then everything that had started is stopped again
 */
export async function startServer(config: Config, log: Log): Promise<RunningServer> {
  const parts = new Scope();
  try {
    return await start(config, log, parts);
  } catch (error) {
    await parts[Symbol.asyncDispose]();
    throw error;
  }
}

async function start(config: Config, log: Log, parts: Scope): Promise<RunningServer> {
  const catalog = await openCatalog(
    {
      place:
        config.catalogUrl === undefined
          ? { kind: 'embedded', dataDir: join(config.dataDir, 'catalog') }
          : { kind: 'url', url: config.catalogUrl },
      secretKey: config.secretKey,
      log,
    },
    parts.signal,
  );
  parts.defer(() => catalog[Symbol.asyncDispose]());
  const failures: Promise<void>[] = [];
  // Each part has a scope of its own, so that one stops before the next does; a part that fails ends the server.
  const run = (part: (signal: AbortSignal) => Promise<void>) => {
    const scope = new Scope();
    scope.run(part);
    parts.defer(() => scope[Symbol.asyncDispose]());
    const ended = scope.join();
    ended.catch(() => undefined);
    failures.push(ended);
    return ended;
  };
  const spill = new Spill(join(config.dataDir, 'spill'));
  const left = new LeftSessions();
  parts.defer(() => left.end());
  const mirrors = { catalog, log, runStep, spill, left, catchUpBytes: config.catchUpBytes };
  run((signal) => runSupervisor(mirrors, signal));
  const names = new Names(catalog);
  run((signal) => keepNames({ catalog, names, log }, signal));
  const ready = async () => {
    await catalog.pool.use((db) => db.run(sql`select 1`));
  };
  let httpPort: number | undefined;
  if (config.httpPort !== 0) {
    const app = healthRoutes({ ready });
    const most = config.metricsTables;
    const read = () => catalog.pool.use((db) => readMetrics(db, { mirrors: most, tables: most }));
    if (most > 0) addMetrics(app, { read });
    const http = await startHttp(app, { host: config.host, port: config.httpPort });
    parts.defer(() => http[Symbol.asyncDispose]());
    httpPort = http.port;
  }
  const port = await new Promise<number>((resolve, reject) => {
    const gateway = {
      ...gatewayDeps({ config, log, catalog, names, left, ready }),
      onListening: (at: { port: number }) => resolve(at.port),
    };
    run((signal) => runGateway(gateway, signal)).catch(reject);
  });
  log.info({ port, httpPort }, 'ready');
  const ended = Promise.all(failures).then(() => undefined);
  ended.catch(() => undefined);
  return { port, httpPort, ended, [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose]() };
}

function gatewayDeps(given: {
  readonly config: Config;
  readonly log: Log;
  readonly catalog: Catalog;
  readonly names: Names;
  readonly left: LeftSessions;
  readonly ready: () => Promise<void>;
}) {
  const { config, log, catalog, names, left } = given;
  const peers = new PeerTable(catalog);
  const users = new UserTable(catalog);
  const { host, port, tls, password, limits } = config;
  return {
    config: { host, port, tls, password, limits },
    log,
    run: async (statement: Statement, context: CommandContext) => {
      try {
        return await runStatement({ catalog, left }, statement, context);
      } finally {
        // Whoever said it finds the new names at once.
        if (changesNames(statement)) names.forget();
      }
    },
    peerExists: (name: string) => names.isPeer(name),
    user: (name: string) => users.login(name),
    peerVersion: (name: string) => names.peerVersion(name),
    onNames: (listener: Parameters<Names['onChange']>[0]) => names.onChange(listener),
    catalog: async () => {
      await given.ready(); // an embedded catalog that died is started again, on another port
      return catalog.readerConfig();
    },
    peer: async (name: string) => {
      const peer = await peers.find(name);
      if (peer === undefined) return undefined;
      const config = await peerClientConfig(peer.config, { application: 'sluice gateway', lends: true });
      return { config, version: { id: peer.id, changed: peer.changedAt } };
    },
  };
}

function changesNames({ kind }: Statement): boolean {
  return /^(create|alter|drop)_(peer|user)$/.test(kind);
}
