// Who takes part: Sluice itself, and the programs people use today, each moving one source database into an empty target.
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '../../src/pg/client.ts';
import { ident, join as joined, literal, type Sql, sql, trusted } from '../../src/pg/sql.ts';
import { createPeer, type Gateway, isInstalled, runProgram } from '../support/gateway.ts';
import { until } from '../support/wait.ts';
import type { Database } from './servers.ts';

export interface Race {
  readonly source: Database;
  readonly target: Database;
  /** Makes the empty tables on the target, without keys, for those who do not do it themselves. */
  readonly createTables: () => Promise<void>;
  /** Makes keys, indexes and constraints, one after another. */
  readonly createIndexes: () => Promise<void>;
  /** The same as statements: lists that may run side by side. */
  readonly indexes: readonly (readonly string[])[];
  readonly gateway: Gateway;
  readonly scratch: string;
}

export interface Contestant {
  readonly id: string;
  readonly name: string;
  /** Why it cannot take part here; undefined if it can. */
  readonly missing: string | undefined;
  /** What is done before, untimed. */
  prepare?(race: Race): Promise<void>;
  /** Moves everything and gives the milliseconds that it took. */
  move(race: Race): Promise<number>;
}

const minutes = 60_000;
// Often enough to be exact; more often, who looks takes a twentieth of the machine from who works.
const lookMs = 50;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function runOrFail(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const done = await runProgram(program, { args, env });
  if (done.code !== 0) throw new Error(`${program} ended with ${done.code}: ${done.stderr.slice(-2000)}`);
}

/** Says CREATE PEER for both sides, CREATE MIRROR, and waits until it has that status; drops all of it afterwards, untimed. */
async function sluice(race: Race, options: string, status: string): Promise<number> {
  const { gateway, source, target } = race;
  await gateway.query(createPeer('bench_from', source.config));
  await gateway.query(createPeer('bench_to', target.config));
  const took = await timed(async () => {
    await gateway.query(`create mirror bench from bench_from to bench_to for all tables ${options}`);
    await untilStatus(gateway, 'bench', status);
  });
  const wanting = await gateway.query<{ name: string; reason: string }>(
    `select name, reason from sluice.objects where mirror = 'bench' and state not in ('created', 'existed')`,
  );
  if (wanting.length > 0) throw new Error(`not all is there: ${JSON.stringify(wanting.slice(0, 5))}`);
  await dropMirror(gateway, 'bench');
  await gateway.query('drop peer bench_from; drop peer bench_to');
  return took;
}

/** Waits for a mirror's status; a mirror that failed ends the benchmark. */
export async function untilStatus(gateway: Gateway, mirror: string, status: string): Promise<void> {
  await until(
    `mirror ${mirror} is ${status}`,
    async () => {
      const [row] = await gateway.query<{ status: string; trouble: string | null }>(
        `select status, trouble from sluice.mirrors where name = '${mirror}'`,
      );
      if (row?.status === 'failed') throw new Error(`the mirror failed: ${row.trouble}`);
      return row?.status === status;
    },
    30 * minutes,
    lookMs,
  );
}

export async function dropMirror(gateway: Gateway, mirror: string): Promise<void> {
  await gateway.query(`drop mirror ${mirror}`);
  await until('the mirror is gone', async () => {
    const rows = await gateway.query(`select 1 from sluice.mirrors where name = '${mirror}'`);
    return rows.length === 0;
  });
}

/** What PostgreSQL's own logical replication is told on the target. */
export async function createSubscription(race: Pick<Race, 'source' | 'target'>, name: string): Promise<void> {
  const { source, target } = race;
  const { host, port, user, password, database } = source.config;
  const connection = `host=${host} port=${port} user=${user} password=${password} dbname=${database}`;
  await source.connection.run(sql`create publication ${ident(name)} for all tables`);
  await target.connection.run(
    sql`create subscription ${ident(name)} connection ${literal(connection)} publication ${ident(name)}`,
  );
}

export async function untilSynced(target: Database): Promise<void> {
  await until(
    'every table of the subscription is ready',
    async () => {
      const { synced } = await target.connection.one<{ synced: boolean }>(
        sql`select coalesce(bool_and(srsubstate = 'r'), false) as synced from pg_catalog.pg_subscription_rel`,
      );
      return synced;
    },
    30 * minutes,
    lookMs,
  );
}

export async function dropSubscription(race: Pick<Race, 'source' | 'target'>, name: string): Promise<void> {
  await race.target.connection.run(sql`drop subscription ${ident(name)}`);
  await race.source.connection.run(sql`drop publication ${ident(name)}`);
}

export const sluiceCopy: Contestant = {
  id: 'copy',
  name: 'Sluice, copy only',
  missing: undefined,
  move: (race) => sluice(race, 'with (initial_copy_only = true)', 'completed'),
};

export const sluiceFollow: Contestant = {
  id: 'follow',
  name: 'Sluice, copy and follow',
  missing: undefined,
  move: (race) => sluice(race, '', 'running'),
};

/** @param more options of pg_dump */
function dumping(id: string, name: string, more: readonly string[]): Contestant {
  return {
    ...{ id, name },
    missing: isInstalled('pg_dump') && isInstalled('pg_restore') ? undefined : 'pg_dump or pg_restore is not installed',
    move: (race) => {
      const folder = join(race.scratch, 'dump');
      rmSync(folder, { recursive: true, force: true });
      return timed(async () => {
        await runOrFail('pg_dump', ['-Fd', '-j2', ...more, '-f', folder, '-d', race.source.url]);
        await runOrFail('pg_restore', ['-j2', '-d', race.target.url, folder]);
      });
    },
  };
}

/** As people type it; its files are compressed. */
export const dumpAndRestore = dumping('dump', 'pg_dump -Fd -j2 + pg_restore -j2', []);

/** As who knows that the files are read again at once. */
export const plainDump = dumping('plain-dump', 'pg_dump -Fd -j2 -Z0 + pg_restore -j2', ['-Z0']);

export const pgcopydb: Contestant = {
  id: 'pgcopydb',
  name: 'pgcopydb clone (2 table jobs, 2 index jobs)',
  missing: isInstalled('pgcopydb') ? undefined : 'pgcopydb is not installed',
  move: (race) => {
    const folder = join(race.scratch, 'pgcopydb');
    rmSync(folder, { recursive: true, force: true });
    const jobs = ['--table-jobs', '2', '--index-jobs', '2'];
    const sides = ['--source', race.source.url, '--target', race.target.url];
    return timed(() => runOrFail('pgcopydb', ['clone', ...sides, ...jobs, '--dir', folder]));
  },
};

export const subscription: Contestant = {
  id: 'subscription',
  name: 'CREATE SUBSCRIPTION (tables made before)',
  missing: undefined,
  async prepare(race) {
    await race.createTables();
    await race.createIndexes();
  },
  async move(race) {
    const took = await timed(async () => {
      await createSubscription(race, 'bench');
      await untilSynced(race.target);
    });
    await dropSubscription(race, 'bench');
    return took;
  },
};

const sideBySide = 2;

/** What no program can beat on this machine: the server reads its own files, two at a time, then builds the indexes, two at a time. */
export const serverLimit: Contestant = {
  id: 'limit',
  name: 'the limit: COPY FROM files of the server, then indexes',
  missing: undefined,
  async prepare(race) {
    await race.createTables();
    rmSync(filesOf(race), { recursive: true, force: true });
    mkdirSync(filesOf(race));
    // The server runs as another user where we are root.
    chmodSync(race.scratch, 0o711);
    chmodSync(filesOf(race), 0o777);
    for (const { name } of await tablesOf(race.source)) {
      const target = literal(join(filesOf(race), name));
      await race.source.connection.run(sql`copy ${ident('public', name)} to ${target} (format binary)`);
    }
  },
  async move(race) {
    const tables = await tablesOf(race.source);
    const load = tables.map(
      ({ name }) => sql`copy ${ident('public', name)} from ${literal(join(filesOf(race), name))} (format binary)`,
    );
    const took = await timed(async () => {
      await onTwo(
        race.target,
        load.map((statement) => [statement]),
      );
      await onTwo(
        race.target,
        race.indexes.map((list) => list.map(trusted)),
      );
      await race.target.connection.run(trusted('analyze'));
    });
    rmSync(filesOf(race), { recursive: true, force: true });
    return took;
  },
};

function filesOf(race: Race): string {
  return join(race.scratch, 'files');
}

async function tablesOf(source: Database): Promise<readonly { readonly name: string }[]> {
  return await source.connection.query<{ name: string }>(sql`
    select relname::text as name from pg_catalog.pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
    order by pg_catalog.pg_relation_size(oid) desc, oid`);
}

async function onTwo(target: Database, lists: readonly (readonly Sql[])[]): Promise<void> {
  const left = [...lists];
  const run = async () => {
    await using connection = await Connection.open(target.config);
    await connection.run(trusted('set synchronous_commit = off'));
    for (let list = left.shift(); list !== undefined; list = left.shift()) await connection.run(joined(list, '; '));
  };
  await Promise.all(Array.from({ length: sideBySide }, run));
}
