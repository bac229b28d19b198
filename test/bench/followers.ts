// Who follows the stream: Sluice, PostgreSQL's own apply worker (values as text and binary), pglogical; each can be stopped and go on.
import { ident, literal, sql, trusted } from '../../src/pg/sql.ts';
import { createPeer, type Gateway } from '../support/gateway.ts';
import { until } from '../support/wait.ts';
import { untilStatus, untilSynced } from './contestants.ts';
import { createMarks } from './marks.ts';
import { type BenchServers, type Database, freshDatabase } from './servers.ts';
import { createTables, workloadTables } from './workloads.ts';

/** There is no end for them but that of the servers. */
export interface Follower {
  readonly name: string;
  readonly target: Database;
  /** Name of its slot on the source. */
  readonly slot: string;
  /** Its own process, where it has one. */
  readonly pid: number | undefined;
  /** Stops it; its slot stays and keeps what happens. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

export interface FollowersOf {
  readonly servers: BenchServers;
  readonly source: Database;
  readonly gateway: Gateway;
  /** Options of the mirror, as ` with (…)`. */
  readonly options?: string;
}

export const followedTables = [...workloadTables, 'marks'];

/** Sluice, following the tables of all workloads. */
export async function ours(
  of: FollowersOf,
  { name, title, where }: { readonly name: string; readonly title: string; readonly where?: string } = {
    ...{ name: 'bench', title: 'Sluice' },
  },
): Promise<Follower> {
  const { gateway, source } = of;
  const target = await freshDatabase(of.servers.target, `${name}_sluice`);
  await gateway.query(createPeer(`${name}_from`, source.config));
  await gateway.query(createPeer(`${name}_to`, target.config));
  const before = await slotsOf(source);
  const filter = where === undefined ? '' : `, where: $$ ${where} $$`;
  const mapping = followedTables
    .map((table) => `{ from: public.${table}, to: public.${table}${table === 'marks' ? '' : filter} }`)
    .join(', ');
  await gateway.query(
    `create mirror ${name} from ${name}_from to ${name}_to with table mapping (${mapping}) ${of.options ?? ''}`,
  );
  await untilStatus(gateway, name, 'running');
  const slot = (await slotsOf(source)).find((each) => !before.includes(each));
  if (slot === undefined) throw new Error('the mirror has no slot');
  return {
    name: title,
    ...{ target, slot, pid: gateway.pid },
    async pause() {
      await gateway.query(`pause mirror ${name}`);
      await untilStatus(gateway, name, 'paused');
    },
    async resume() {
      await gateway.query(`resume mirror ${name}`);
    },
  };
}

async function slotsOf(source: Database): Promise<readonly string[]> {
  const rows = await source.connection.query<{ name: string }>(
    sql`select slot_name::text as name from pg_catalog.pg_replication_slots where not temporary`,
  );
  return rows.map((row) => row.name);
}

/** A subscription; `options` as they stand in WITH. */
export async function native(
  of: FollowersOf,
  how: { readonly id: string; readonly name: string; readonly options: string },
): Promise<Follower> {
  const { source } = of;
  const subscription = `bench_${how.id}`;
  const target = await emptyTarget(of.servers, subscription);
  const tables = trusted(followedTables.map((table) => `public.${table}`).join(', '));
  await source.connection.run(sql`create publication ${ident(subscription)} for table ${tables}`);
  await target.connection.run(sql`create subscription ${ident(subscription)} connection ${literal(dsn(source))}
    publication ${ident(subscription)} with (${trusted(how.options)})`);
  await untilSynced(target);
  const run = (state: string) =>
    target.connection.run(sql`alter subscription ${ident(subscription)} ${trusted(state)}`);
  return {
    name: how.name,
    ...{ target, slot: subscription, pid: undefined },
    async pause() {
      await run('disable');
      await untilIdle(source, subscription);
    },
    async resume() {
      await run('enable');
    },
  };
}

/** pglogical, where both servers have it. */
export async function pglogical(of: FollowersOf): Promise<Follower> {
  const { source } = of;
  const target = await emptyTarget(of.servers, 'bench_pglogical');
  for (const { connection } of [source, target]) await connection.run(trusted('create extension pglogical'));
  await source.connection.run(sql`select pglogical.create_node(node_name := 'bench_source', dsn := ${dsn(source)})`);
  await source.connection.run(sql`select pglogical.replication_set_add_all_tables('default', array['public'])`);
  await target.connection.run(sql`select pglogical.create_node(node_name := 'bench_target', dsn := ${dsn(target)})`);
  await target.connection.run(sql`select pglogical.create_subscription(subscription_name := 'bench_pglogical',
    provider_dsn := ${dsn(source)}, replication_sets := array['default'], synchronize_structure := false, synchronize_data := true)`);
  await until(
    'pglogical has copied its tables',
    async () => {
      const rows = await target.connection.query<{ status: string }>(
        sql`select status from pglogical.show_subscription_status('bench_pglogical')`,
      );
      const { left } = await target.connection.one<{ left: string }>(
        sql`select count(*) as left from pglogical.local_sync_status where sync_status not in ('r', 'y')`,
      );
      return rows[0]?.status === 'replicating' && left === '0';
    },
    600_000,
  );
  const { slot } = await target.connection.one<{ slot: string }>(
    sql`select slot_name::text as slot from pglogical.show_subscription_status('bench_pglogical')`,
  );
  return {
    name: 'pglogical',
    ...{ target, slot, pid: undefined },
    async pause() {
      await target.connection.run(sql`select pglogical.alter_subscription_disable('bench_pglogical', true)`);
      await untilIdle(source, slot);
    },
    async resume() {
      await target.connection.run(sql`select pglogical.alter_subscription_enable('bench_pglogical', true)`);
    },
  };
}

async function emptyTarget(servers: BenchServers, name: string): Promise<Database> {
  const target = await freshDatabase(servers.target, name);
  await createTables(target.connection);
  await createMarks(target.connection);
  return target;
}

function dsn({ config: { host, port, user, password, database } }: Database): string {
  return `host=${host} port=${port} user=${user} password=${password} dbname=${database}`;
}

async function untilIdle(source: Database, slot: string): Promise<void> {
  await until('nobody reads the slot', async () => {
    const rows = await source.connection.query(
      sql`select 1 from pg_catalog.pg_replication_slots where slot_name = ${slot} and active`,
    );
    return rows.length === 0;
  });
}
