// Kills of every kind, again and again, under a load that never rests: nothing lost, nothing doubled, no half transaction seen.
// SLUICE_KILLS=200 plays that many of each kind and prints the table.
import { expect, test } from 'vitest';
import { pause } from '../../src/base/retry.ts';
import { Scope } from '../../src/base/scope.ts';
import { Connection } from '../../src/pg/client.ts';
import { sql } from '../../src/pg/sql.ts';
import { expectEqualTables } from '../support/compare.ts';
import { type Counted, countAll, countedSchema, countedTables, untilNext, writeCounted } from '../support/counted.ts';
import { createPeer, type Gateway, startGateway } from '../support/gateway.ts';
import { randomFrom } from '../support/random.ts';
import { databaseOn, type OwnServer, ownServer } from '../support/servers.ts';
import { untilLate } from '../support/wait.ts';
import { type Cutter, wireCutter } from '../support/wire-cutter.ts';

const asked = Number(process.env.SLUICE_KILLS ?? 0);
const kills = asked || 1;

interface Side extends AsyncDisposable {
  readonly own: OwnServer;
  readonly cutter: Cutter;
  connect(): Promise<Connection>;
}

interface World {
  readonly source: Side;
  readonly target: Side;
  readonly gateway: Gateway;
  readonly random: () => number;
  readonly torn: Set<string>;
}

async function side(major: 14 | 18): Promise<Side> {
  const own = await ownServer({ major });
  const cutter = await wireCutter({ host: '127.0.0.1', port: own.server.port });
  const database = await databaseOn(own.server.config(), major, 'kills');
  await database.connection.close();
  return {
    ...{ own, cutter },
    connect: () => Connection.open(own.server.config('kills')),
    async [Symbol.asyncDispose]() {
      await cutter[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
    },
  };
}

/** What is killed; returns when it may come back, or has. Recovery counts from there. */
const kinds = {
  'our process (kill -9)': async ({ gateway }: World) => {
    await gateway.kill('SIGKILL');
    return () => gateway.start();
  },
  'walsender of the source': ({ source }: World) =>
    ended(source, sql`select pg_terminate_backend(active_pid) from pg_replication_slots where active`),
  'sessions on the target': ({ target }: World) =>
    ended(
      target,
      sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like ${'sluice %'}`,
    ),
  'source server (immediate)': ({ source }: World) => crashed(source),
  'target server (immediate)': ({ target }: World) => crashed(target),
  'both connections cut': async ({ source, target }: World) => {
    source.cutter.cut();
    target.cutter.cut();
    return async () => undefined;
  },
} as const;
type Kind = keyof typeof kinds;

async function ended(of: Side, statement: ReturnType<typeof sql>) {
  await using db = await of.connect();
  await db.run(statement);
  return async () => undefined;
}

async function crashed(of: Side) {
  await of.own.server.stop('immediate');
  const { port } = await of.own.restart();
  of.cutter.lead(port);
  return async () => undefined;
}

interface Tally {
  readonly kind: Kind;
  kills: number;
  lost: number;
  doubled: number;
  readonly recoveryMs: number[];
}

async function strike(world: World, tally: Tally): Promise<void> {
  const { source, target, random } = world;
  await pause(random() * 300);
  const back = await kinds[tally.kind](world);
  const began = performance.now();
  const starting = back();
  await using db = await untilLate('the source answers', () => source.connect());
  await untilNext(db, () => target.connect());
  tally.recoveryMs.push(performance.now() - began);
  await starting;
  await using seen = await target.connect();
  const now = await countAll(seen);
  tally.kills++;
  tally.lost += now.lost;
  tally.doubled += now.doubled;
  for (const words of now.torn) world.torn.add(`after ${tally.kind}: ${words}`);
}

/** Reads the target all the time, whatever happens to it. */
async function watch(world: World, signal: AbortSignal): Promise<void> {
  const look = async () => {
    await using db = await world.target.connect();
    while (!signal.aborted) {
      const now: Counted = await countAll(db);
      for (const words of now.torn) world.torn.add(`in between: ${words}`);
      if (now.lost + now.doubled > 0) world.torn.add(`in between: ${now.lost} lost, ${now.doubled} doubled`);
      await pause(asked > 0 ? 500 : 50);
    }
  };
  while (!signal.aborted) {
    await look().catch(() => undefined);
    await pause(50);
  }
}

function table(tallies: readonly Tally[]): string {
  const at = (times: readonly number[], part: number) => {
    const sorted = times.toSorted((a, b) => a - b);
    return ((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) / 1_000).toFixed(2);
  };
  const lines = tallies.map(({ kind, kills: done, lost, doubled, recoveryMs }) =>
    [kind.padEnd(26), done, lost, doubled, `${at(recoveryMs, 0.5)} s`, `${at(recoveryMs, 0.99)} s`].join(' | '),
  );
  return ['kind | kills | lost | doubled | recovery p50 | p99', ...lines].join('\n');
}

async function waitForMirror(gateway: Gateway): Promise<void> {
  await untilLate('the mirror runs', async () => {
    const [row] = await gateway.query<{ status: string; trouble: string | null }>(
      'select status, trouble from sluice.mirrors',
    );
    return row?.status === 'running';
  });
}

test('kills of our process, of sessions, servers and connections lose nothing and double nothing', {
  timeout: 180_000 + asked * 6 * 20_000,
}, async () => {
  await using source = await side(18);
  await using target = await side(18);
  {
    await using db = await source.connect();
    await db.client.query(`set search_path = public; ${countedSchema}`);
  }
  await using gateway = await startGateway();
  const random = randomFrom(7);
  const world: World = { source, target, gateway, random, torn: new Set() };
  for (const [name, of] of [['src', source] as const, ['dst', target] as const]) {
    await gateway.query(createPeer(name, { ...of.own.server.config('kills'), port: of.cutter.port }));
  }
  const list = countedTables.map((name) => `public.${name}:public.${name}`).join(', ');
  await gateway.query(`create mirror kills from src to dst with table mapping (${list})`);
  await using writer = writeCounted({ connect: source.connect, pauseMs: 5, random });
  await waitForMirror(gateway);
  await using watching = new Scope();
  watching.run((signal) => watch(world, signal));

  const tallies = (Object.keys(kinds) as Kind[]).map(
    (kind): Tally => ({ kind, kills: 0, lost: 0, doubled: 0, recoveryMs: [] }),
  );
  for (let round = 1; round <= kills; round++) {
    for (const tally of tallies) await strike(world, tally);
    if (asked > 0 && round % 20 === 0) console.log(table(tallies));
  }
  const last = await writer.stop();
  await using there = await target.connect();
  await using here = await source.connect();
  await untilLate('the last transaction is there', async () => (await countAll(there)).last === last);
  watching.stop();
  await watching.join();
  console.log(table(tallies));
  expect([...world.torn]).toEqual([]);
  expect(tallies.map(({ lost, doubled }) => lost + doubled)).toEqual(tallies.map(() => 0));
  const names = countedTables.map((name) => ({ schema: 'public', name }));
  await expectEqualTables(here, there, names);
});
