// The copy under loss: killed, cut off from its snapshot or paused at every stage under write load, it costs the parts in flight.
import { expect, test } from 'vitest';
import type { Connection } from '../../src/pg/client.ts';
import { sql } from '../../src/pg/sql.ts';
import { showTable } from '../../src/pg/table.ts';
import { expectEqualTables } from '../support/compare.ts';
import { buildGates, type Gates } from '../support/gates.ts';
import { createPeer, type Gateway, startGateway, tellingLastWords } from '../support/gateway.ts';
import { randomFrom } from '../support/random.ts';
import { keepsParts, makeRestless, restlessTables, writeRestlessly } from '../support/restless.ts';
import { databaseOn, ownServer, type SharedMajor, type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const stages = [10, 30, 50, 70, 90] as const;
const workers = 2;
const rounds = Number(process.env.SLUICE_KILL_COPY_ROUNDS ?? 1);

const mapped = restlessTables.map(({ from, to, key, exclude }) => {
  const more = `${key === null ? '' : `, key: ${key}`}${exclude.length === 0 ? '' : `, exclude: [${exclude.join(', ')}]`}`;
  return `{ from: ${showTable(from)}, to: ${showTable(to)}${more} }`;
});

interface World {
  readonly mirror: string;
  readonly source: TestDatabase;
  readonly target: TestDatabase;
  readonly gateway: Gateway;
  readonly gates: Gates;
  /** Parts into which the copy is cut. */
  total: number;
}

async function begin(world: World): Promise<void> {
  const { gateway, gates, mirror } = world;
  await gates.partAfter(0);
  await gates.close('part');
  await gateway.query(createPeer('src', world.source));
  await gateway.query(createPeer('dst', world.target));
  await gateway.query(`create mirror ${mirror} from src to dst with table mapping (${mapped.join(', ')}) with (
    snapshot_num_partitions_override = 12, snapshot_max_parallel_workers = ${workers}, snapshot_num_tables_in_parallel = ${workers})`);
  await gates.someoneWaitsAt('part');
  const [row] = await world.target.exec<{ n: number }>(
    `select sum(json_array_length(plan -> 'parts'))::int as n from _sluice.copied_tables`,
  );
  world.total = row?.n ?? 0;
}

/** Lets the copy go on until so much of it is there. */
async function reach({ gates, total }: World, percent: number): Promise<void> {
  await gates.partAfter(Math.floor((total * percent) / 100));
  await gates.open('part');
  await gates.close('part');
  await gates.someoneWaitsAt('part');
}

/** When each part was copied, of tables whose parts can stay. */
async function finishedParts({ target }: World): Promise<ReadonlyMap<string, string>> {
  const rows = await target.exec<{ table: string; part: number; at: string }>(
    'select source_table as "table", part, copied_at::text as at from _sluice.parts',
  );
  const kept = rows.filter(({ table }) => keepsParts.some((name) => table === `public.${name}`));
  return new Map(kept.map(({ table, part, at }) => [`${table} ${part}`, at]));
}

/** Sessions of ours that copy into the target now: each has one part in flight. */
async function partsInFlight({ target }: World): Promise<number> {
  const [row] = await target.exec<{ n: number }>(`select count(*)::int as n from pg_stat_activity
    where application_name like 'sluice copy%' and datname = current_database()`);
  return row?.n ?? 0;
}

async function waitForEnd(world: World, marker: Connection): Promise<void> {
  const { gateway, gates, mirror, target } = world;
  await gates.open('part');
  await until(
    'the mirror runs',
    async () => {
      const [row] = await gateway.query<{ phase: string; trouble: string | null }>(
        `select phase, trouble from sluice.mirrors where name = '${mirror}'`,
      );
      return row?.phase === 'streaming';
    },
    60_000,
  );
  await marker.run(sql`insert into public.plain (id, pad) values (-1, 'the last row')`);
  await until('the last row', async () => (await target.exec('select from plain where id = -1')).length === 1, 60_000);
}

interface Line {
  readonly at: string;
  readonly finished: number;
  readonly 'in flight': number;
  'finished, copied again': number;
  readonly 're-copied at most': string;
}

interface Story {
  readonly mirror: string;
  readonly from: SharedMajor;
  readonly seed: number;
  readonly source?: TestDatabase;
  readonly percents?: readonly number[];
  /** What befalls the copy; parts in flight are lost with it at most. */
  readonly loss: (world: World, percent: number) => Promise<void>;
  /** Whether the snapshot outlives it. */
  readonly snapshotLives?: boolean;
}

async function storyOfLosses(story: Story): Promise<void> {
  await using own = story.source === undefined ? await testDatabase(story.from) : undefined;
  const source = story.source ?? own;
  if (source === undefined) throw new Error('no source');
  await using target = await testDatabase(18);
  await makeRestless(await source.connect(), target.connection);
  await using gateway = await startGateway();
  const gates = await buildGates(await target.connect(), 'no rows are gated');
  const world: World = { mirror: story.mirror, source, target, gateway, gates, total: 0 };
  let writers = 0;
  const startWriter = async () =>
    writeRestlessly(await source.connect(), {
      random: randomFrom(story.seed + writers++),
      pauseMs: 5,
      // A table that is emptied while it is read is read again, under another snapshot.
      truncates: story.snapshotLives ? [] : ['emptied'],
    });
  let writer = await startWriter();
  const lines: Line[] = [];
  let inFlightAll = 0;
  const losses = async () => {
    await begin(world);
    let before: ReadonlyMap<string, string> = new Map();
    // What became of the parts that were finished at the last loss.
    const check = async () => {
      const now = await finishedParts(world);
      const line = lines.at(-1);
      if (line !== undefined)
        line['finished, copied again'] = [...before].filter(([part, at]) => now.get(part) !== at).length;
    };
    for (const percent of story.percents ?? stages) {
      await reach(world, percent);
      await check();
      const inFlight = await partsInFlight(world);
      inFlightAll += inFlight;
      // A server that goes down takes its clients along.
      if (story.source !== undefined) await writer.stop();
      await story.loss(world, percent);
      before = await finishedParts(world);
      if (story.source !== undefined) writer = await startWriter();
      lines.push({
        at: `${percent} %`,
        finished: before.size,
        'in flight': inFlight,
        'finished, copied again': -1,
        're-copied at most': `${((100 * inFlight) / world.total).toFixed(1)} %`,
      });
    }
    await gates.open('part');
    const allCopied = async () => {
      const rows = await target.exec('select from _sluice.copied_tables where not finished');
      return rows.length === 0;
    };
    await until('everything is copied', allCopied, 60_000);
    const tried = await gates.partsTried();
    await check();
    console.log(`${story.mirror}: ${world.total} parts in all, ${tried} tries`);
    console.table(lines);
    expect(lines.map((line) => line['finished, copied again'])).toEqual(lines.map(() => 0));
    expect(Math.max(...lines.map((line) => line['in flight']))).toBeLessThanOrEqual(workers);
    if (story.snapshotLives) {
      const lsns = await target.exec('select distinct snapshot_lsn from _sluice.parts');
      expect(lsns).toHaveLength(1);
      // Tables that were emptied and keyless ones would begin anew only under another snapshot.
      expect(tried).toBeLessThanOrEqual(world.total + inFlightAll);
    }
    await writer.stop();
    const last = await source.connect();
    await waitForEnd(world, last);
    await expectEqualTables(last, target.connection, restlessTables);
  };
  try {
    await tellingLastWords(gateway, losses);
  } finally {
    await writer[Symbol.asyncDispose]();
  }
}

async function killAndStart({ gateway, gates }: World): Promise<void> {
  await gateway.kill('SIGKILL');
  // What waited goes on, and finds that nobody listens.
  await gates.open('part');
  await gates.close('part');
  await gateway.start();
}

async function terminate(db: TestDatabase, application: string, most = 100): Promise<void> {
  await db.exec(`select pg_terminate_backend(pid, 10000) from (select pid from pg_stat_activity
    where application_name like 'sluice ${application}%' and datname = current_database() limit ${most}) s`);
}

const seeds = Array.from({ length: rounds }, (_, i) => i + 1);

test.each(seeds)(
  'kill -9 at 10, 30, 50, 70 and 90 per cent of a copy under write load costs the parts in flight (round %i)',
  async (seed) => {
    const from = seed % 2 === 1 ? 14 : 18;
    await storyOfLosses({ mirror: `killed_${seed}`, from, seed, loss: killAndStart });
  },
  300_000,
);

test.each(seeds)(
  'a worker that is cut off at every stage goes on under the same snapshot (round %i)',
  async (seed) => {
    await storyOfLosses({
      mirror: `cut_off_${seed}`,
      from: 18,
      seed: seed + 100,
      snapshotLives: true,
      async loss({ source, target, gates }, percent) {
        // The one that keeps the snapshot, then one that reads it, then one that writes.
        if (percent === 10 || percent === 50) await terminate(source, 'snapshot');
        if (percent === 30 || percent === 50) await terminate(source, 'copy', 1);
        if (percent !== 30) await terminate(target, 'copy', 1);
        await gates.someoneWaitsAt('part');
      },
    });
  },
  300_000,
);

test('a copy whose source crashes goes on from its finished parts', async () => {
  await using own = await ownServer({ major: 18 });
  const { host, user, password } = own.server.config();
  const address = {
    ...{ host, user, password },
    // It has another one after each start.
    get port() {
      return own.server.port;
    },
  };
  await using source = await databaseOn(address, 18);
  await storyOfLosses({
    mirror: 'crashed',
    from: 18,
    seed: 7,
    source,
    percents: [30, 70],
    async loss({ gateway, gates }) {
      await own.server.stop('immediate');
      await own.restart();
      await gateway.query(`alter peer src set (port = ${own.server.port})`);
      await gates.open('part');
      await gates.close('part');
    },
  });
}, 300_000);

test('PAUSE MIRROR during the copy lets the source go within seconds, and RESUME MIRROR copies what is missing', async () => {
  const waited: number[] = [];
  await storyOfLosses({
    mirror: 'rested',
    from: 18,
    seed: 8,
    percents: [20, 60],
    async loss({ source, gateway, gates }) {
      const asked = Date.now();
      await gateway.query('pause mirror rested');
      await until('it is paused', async () => {
        const [row] = await gateway.query<{ status: string }>(
          `select status from sluice.mirrors where name = 'rested'`,
        );
        return row?.status === 'paused';
      });
      waited.push(Date.now() - asked);
      // Nothing holds the source's vacuum back any more; the slot keeps what is written meanwhile.
      const held = () =>
        source.exec(`select application_name from pg_stat_activity
          where application_name like 'sluice %' and datname = current_database()`);
      await until('no session of ours is left on the source', async () => (await held()).length === 0, 5_000);
      const slots = await source.exec(`select slot_name from pg_replication_slots
        where database = current_database() and not temporary`);
      expect(slots).toHaveLength(1);
      await gates.open('part');
      await gates.close('part');
      await gateway.query('resume mirror rested');
    },
  });
  console.log(`paused after ${waited.join(' and ')} ms`);
  expect(Math.max(...waited)).toBeLessThan(10_000);
}, 300_000);
