// The source's standby is promoted: a mirror goes on there where it has everything, and stops where it has not.
import { expect, test } from 'vitest';
import { running } from '../support/running.ts';
import { databaseOn, type TestDatabase, testDatabase } from '../support/servers.ts';
import { databaseOnStandby, type StandbyPair, standbyPair } from '../support/standby.ts';
import { untilLate } from '../support/wait.ts';

const goods = `create table goods (id int primary key, n int); create table log (n int); alter table log replica identity full;
  insert into goods select g, 0 from generate_series(1, 100) g`;

const rows = async (db: TestDatabase) => ({
  goods: (await db.exec<{ t: string }>('select g::text as t from goods g order by id')).map(({ t }) => t),
  log: (await db.exec<{ n: number }>('select n from log order by n')).map(({ n }) => n),
});

// SLUICE_LONG_TESTS=1: 17 as well, and a standby that looks after the slots by itself.
const majors = process.env.SLUICE_LONG_TESTS ? ([17, 18] as const) : ([18] as const);
const syncsSlots = process.env.SLUICE_LONG_TESTS ? 'by itself' : 'asked';

interface World extends AsyncDisposable {
  readonly pair: StandbyPair;
  readonly primary: TestDatabase;
  readonly target: TestDatabase;
  readonly run: Awaited<ReturnType<typeof running>>;
  /** Waits until the standby's copy of the mirror's slot is there, as far as the primary is now. */
  slotInStep(standby: TestDatabase): Promise<void>;
}

async function world(major: 17 | 18, name: string): Promise<World> {
  const pair = await standbyPair({ major, syncsSlots });
  const primary = await databaseOn(pair.primary.config(), major);
  await primary.exec(goods);
  const target = await testDatabase(18);
  const run = await running(primary, target);
  await run.world.say(
    `create mirror ${name} from src to dst with table mapping (public.goods:public.goods, public.log:public.log)`,
  );
  await untilLate('it follows', async () => (await run.status()) === 'running');
  return {
    ...{ pair, primary, target, run },
    slotInStep: async (standby) => {
      await untilLate('the slot is on the standby', async () => {
        // The primary's slot has to move on to where the standby can take it over; it does so at such a mark.
        await primary.exec('select pg_log_standby_snapshot()');
        if (syncsSlots === 'asked') await standby.exec('select pg_sync_replication_slots()');
        const [slot] = await standby.exec<{
          ready: boolean;
        }>(`select synced and not temporary and invalidation_reason is null as ready
          from pg_replication_slots where slot_name = 'peerflow_slot_${name}'`);
        return slot?.ready === true;
      });
    },
    async [Symbol.asyncDispose]() {
      await run[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
      await pair[Symbol.asyncDispose]();
    },
  };
}

test.each(majors)(
  'a mirror goes on at the promoted standby of PostgreSQL %i once its peer leads there, and no row is lost or doubled',
  async (major) => {
    await using w = await world(major, 'follows_promoted');
    const { pair, primary, target, run } = w;
    await primary.exec('insert into log select 1 from generate_series(1, 3); update goods set n = 1 where id < 50');
    await pair.caughtUp();
    await using standby = await databaseOnStandby(primary, pair);
    await w.slotInStep(standby);
    // The standby's slot stays behind what the target has: it is brought along every few seconds only.
    await primary.exec('insert into log select 2 from generate_series(1, 3); update goods set n = 2 where id < 50');
    await untilLate('the target has it', async () => (await rows(target)).log.length === 6);
    await pair.caughtUp();
    await pair.primary.stop('immediate');
    await standby.exec('select pg_promote()');
    await standby.exec(
      'insert into log select 3 from generate_series(1, 3); update goods set n = n + 1 where id > 40; delete from goods where id = 7',
    );
    await run.world.peer('moved', standby);
    const { host, port, user, password, database } = standby;
    await run.world.say(
      `alter peer src set (host = '${host}', port = ${port}, user = '${user}', password = '${password}', database = '${database}')`,
    );
    await untilLate('what was written there comes', async () => (await rows(target)).log.length === 9);
    await untilLate(
      'it is the same',
      async () => JSON.stringify(await rows(target)) === JSON.stringify(await rows(standby)),
    );
    await run.world.say('drop mirror follows_promoted');
    expect(await standby.exec("select slot_name from pg_replication_slots where slot_type = 'logical'")).toEqual([]);
  },
  300_000,
);

test('a standby that was promoted before it had everything stops the mirror, however much it has written since', async () => {
  await using w = await world(18, 'ahead_of_promoted');
  const { pair, primary, target, run } = w;
  await pair.caughtUp();
  await using standby = await databaseOnStandby(primary, pair);
  await w.slotInStep(standby);
  // Where the primary waits for it, nothing comes before the standby has it.
  await primary.exec("alter system set synchronized_standby_slots = 'standby'");
  await primary.exec('select pg_reload_conf()');
  await untilLate('the server has read it', async () => {
    const [row] = await primary.exec<{ now: string }>(`select current_setting('synchronized_standby_slots') as now`);
    return row?.now === 'standby';
  });
  // Who reads the slot may learn of it later; a session that begins knows it.
  const readers = () =>
    primary.exec<{ pid: number }>(
      "select active_pid as pid from pg_replication_slots where slot_type = 'logical' and active_pid is not null",
    );
  const [before] = await readers();
  await primary.exec(`select pg_terminate_backend(${before?.pid})`);
  await untilLate('another reads', async () => {
    const [now] = await readers();
    return now !== undefined && now.pid !== before?.pid;
  });
  pair.wire.lead(1);
  pair.wire.cut();
  await primary.exec('insert into log values (1); update goods set n = 1');
  await untilLate('it is held back', async () => {
    const waiting = await primary.exec(
      "select 1 from pg_stat_activity where wait_event = 'WaitForStandbyConfirmation'",
    );
    return waiting.length > 0;
  });
  expect((await rows(target)).log).toEqual([]);
  await primary.exec('alter system reset synchronized_standby_slots');
  await primary.exec('select pg_reload_conf()');
  await untilLate('the target has what the standby has not', async () => (await rows(target)).log.length === 1);
  await pair.primary.stop('immediate');
  await standby.exec('select pg_promote()');
  // Past the place where the target stands, with other log.
  await standby.exec('insert into log select 7 from generate_series(1, 50000); update goods set n = 9');
  const { host, port, user, password, database } = standby;
  await run.world.say(
    `alter peer src set (host = '${host}', port = ${port}, user = '${user}', password = '${password}', database = '${database}')`,
  );
  const trouble = await untilLate('it stops', async () => {
    const facts = Object.fromEntries(
      (await run.world.show('show mirror ahead_of_promoted')).map((row) => [row.property, row.value]),
    );
    return facts['next try'] === 'when RESUME MIRROR says so' && facts;
  });
  expect(trouble.trouble).toContain('the source has lost changes that the target has');
  expect(trouble.hint).toContain('resync = true');
  expect((await rows(target)).log).toEqual([1]);
}, 300_000);
