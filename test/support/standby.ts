// A primary and a hot standby of it, made by copying the primary's folder while it is stopped: no more programs are needed.
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { chown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findBinaries } from '../../src/pg/binaries.ts';
import { Connection } from '../../src/pg/client.ts';
import { type EmbeddedPostgres, removeEmbedded, startEmbedded } from '../../src/pg/embedded.ts';
import { sql } from '../../src/pg/sql.ts';
import { giveCluster } from './clusters.ts';
import { serverFolder } from './folder.ts';
import { guardProcess } from './guard.ts';
import { serverPackages, serverSettings, type TestDatabase, type TestedMajor } from './servers.ts';
import { until } from './wait.ts';
import { type Cutter, wireCutter } from './wire-cutter.ts';

export interface StandbyPair extends AsyncDisposable {
  readonly primary: EmbeddedPostgres;
  readonly standby: EmbeddedPostgres;
  /** Between the two. */
  readonly wire: Cutter;
  /** Waits until the standby shows all that the primary has. */
  caughtUp(): Promise<void>;
}

/** Starts both; `prepare` runs on the primary before the standby is made of it. */
export async function standbyPair(options: {
  readonly major?: TestedMajor;
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly standbySettings?: Readonly<Record<string, string | number>>;
  /**
   * What failover slots need to be on the standby (17 and later); it has a physical slot, "standby". `by itself`: a worker keeps
   * them in step, once it has woken up, which may take half a minute; else the standby is to be asked (pg_sync_replication_slots).
   */
  readonly syncsSlots?: 'by itself' | 'asked';
}): Promise<StandbyPair> {
  const home = serverFolder('standby');
  const binaries = findBinaries(serverPackages[options.major ?? 18]);
  if (binaries.account !== undefined) await chown(home, binaries.account.uid, binaries.account.gid);
  const dirs = { primary: join(home, 'primary'), standby: join(home, 'standby') };
  const settings = { ...serverSettings, shared_buffers: '32MB', wal_keep_size: '256MB', ...options.settings };
  const start = async (dataDir: string, more: Readonly<Record<string, string | number>> = {}) => {
    const server = await startEmbedded({ dataDir, binaries, throwaway: true, settings: { ...settings, ...more } });
    guardProcess(server.pid, 'QUIT');
    return server;
  };
  const running: EmbeddedPostgres[] = [];
  let wire: Cutter | undefined;
  const end = async () => {
    await wire?.[Symbol.asyncDispose]();
    for (const server of running.reverse()) await server.stop('immediate');
    for (const dir of Object.values(dirs)) removeEmbedded(dir);
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await giveCluster(dirs.primary, { binaries, quickLogins: false });
    cpSync(dirs.primary, dirs.standby, { recursive: true, preserveTimestamps: true });
    const signal = join(dirs.standby, 'cluster', 'standby.signal');
    writeFileSync(signal, '');
    await own(dirs.standby, binaries.account);
    const primary = await start(dirs.primary);
    running.push(primary);
    const { user, password } = primary.config();
    const way = await wireCutter(primary.config());
    wire = way;
    if (options.syncsSlots) {
      await using db = await Connection.open(primary.config());
      await db.run(sql`select pg_create_physical_replication_slot('standby', true)`);
    }
    const standby = await start(dirs.standby, {
      primary_conninfo: `host=${way.host} port=${way.port} user=${user} password=${password} dbname=postgres`,
      ...(options.syncsSlots === undefined ? {} : { primary_slot_name: 'standby' }),
      ...(options.syncsSlots === 'by itself' ? { sync_replication_slots: 'on' } : {}),
      hot_standby_feedback: 'on',
      wal_retrieve_retry_interval: '200ms',
      ...options.standbySettings,
    });
    running.push(standby);
    return {
      primary,
      standby,
      wire: way,
      caughtUp: () => caughtUp(primary, standby),
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function own(dir: string, account: { readonly uid: number; readonly gid: number } | undefined): Promise<void> {
  if (account === undefined) return;
  await chown(dir, account.uid, account.gid);
  for (const entry of await readdir(dir, { recursive: true })) await chown(join(dir, entry), account.uid, account.gid);
}

async function caughtUp(primary: EmbeddedPostgres, standby: EmbeddedPostgres): Promise<void> {
  await using ahead = await Connection.open(primary.config());
  await using behind = await Connection.open(standby.config());
  const { lsn } = await ahead.one<{ lsn: string }>(sql`select pg_current_wal_insert_lsn()::text as lsn`);
  await until('the standby has replayed all', async () => {
    const row = await behind.one<{ there: boolean | null }>(
      sql`select pg_last_wal_replay_lsn() >= ${lsn}::pg_lsn as there`,
    );
    return row.there === true;
  });
}

/** The same database as the standby shows it; its connections are closed with it, the database stays. */
export async function databaseOnStandby(db: TestDatabase, { standby }: StandbyPair): Promise<TestDatabase> {
  const { host, port, user, password } = standby.config();
  const place = { host, port, user, password };
  const open: Connection[] = [];
  const connect = async () => {
    const connection = await Connection.open({ ...place, database: db.database });
    await connection.run(sql`set search_path = public`);
    open.push(connection);
    return connection;
  };
  const connection = await connect();
  return {
    ...{ ...db, ...place, connection, connect },
    url: `postgres://${user}:${password}@${host}:${port}/${db.database}`,
    exec: async <Row>(text: string) => (await connection.client.query(text)).rows as Row[],
    async [Symbol.asyncDispose]() {
      await Promise.all(open.map((each) => each.close()));
    },
  };
}
