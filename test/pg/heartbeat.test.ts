// A mirror's slot moves on while its own database is idle, however much the server's other databases write.
import { describe, expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { Progress } from '../../src/catalog/progress.ts';
import { Heartbeat, isDue } from '../../src/cdc/heartbeat.ts';
import { Connection } from '../../src/pg/client.ts';
import { sql } from '../../src/pg/sql.ts';
import { testCatalog } from '../support/catalog.ts';
import { type FollowingOptions, following } from '../support/following.ts';
import { databaseOn, ownServer, type TestDatabase, testDatabase } from '../support/servers.ts';
import { standbyPair } from '../support/standby.ts';
import { until } from '../support/wait.ts';

const table: Pick<FollowingOptions, 'tables' | 'mirrored'> = {
  tables: 'create table quiet (id int primary key)',
  mirrored: ['quiet'],
};
const megabyte = 1024 * 1024;

// As one big transaction of many; nothing of it is decoded for the neighbour.
const busy = (db: TestDatabase, megabytes: number) =>
  db.exec(`create table if not exists load (t text); alter table load alter t set storage external;
    insert into load select repeat('x', ${megabyte}) from generate_series(1, ${megabytes}); truncate load`);

async function slotOf(source: TestDatabase, name: string) {
  const [slot] = await source.exec<{ held: string; confirmed: boolean }>(
    `select pg_current_wal_lsn() - restart_lsn as held from pg_replication_slots where slot_name = '${name}'`,
  );
  return Number(slot?.held);
}

const endOf = async (db: TestDatabase) =>
  (await db.exec<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn'))[0]?.lsn;

// Heartbeats in the log since the slot `peek` was made.
async function beats(source: TestDatabase, publication: string): Promise<number> {
  const rows =
    await source.exec(`select from pg_logical_slot_peek_binary_changes('peek_' || current_database(), null, null,
      'proto_version', '1', 'publication_names', '${publication}', 'messages', 'true')
    where get_byte(data, 0) = ascii('M') and position('sluice'::bytea in data) > 0`);
  return rows.length;
}

describe.each(process.env.SLUICE_LONG_TESTS === '1' ? ([14, 18] as const) : ([14] as const))(
  'PostgreSQL %i',
  (major) => {
    test('an idle database is followed to the end of the log, and little of it is kept while a neighbour writes much', async () => {
      await using own = await ownServer({ major });
      const address = own.server.config();
      await using source = await databaseOn(address, major);
      await using neighbour = await databaseOn(address, major);
      await using target = await testDatabase(18);
      const f = await following({ source, target, ...table, options: { heartbeat_interval: 1 } });
      await source.exec("select pg_create_logical_replication_slot('peek_' || current_database(), 'pgoutput')");
      const running = f.start();
      await busy(neighbour, 40);
      await until('a mark is in the log', async () => {
        await busy(neighbour, 1);
        return (await beats(source, f.work.publication.name)) > 0;
      });
      const end = await endOf(source);
      await until(
        'the target is past it',
        async () => (await target.exec(`select from _sluice.checkpoints where lsn >= '${end}'`)).length === 1,
      );
      // What a checkpoint writes of running transactions is where the slot may begin anew.
      await until('the log is let go', async () => {
        await source.exec('checkpoint');
        return (await slotOf(source, f.work.name)) < 16 * megabyte;
      });
      await running.stop();
    });
  },
);

test('heartbeat_interval = 0 writes none, and neither does a server at rest get any', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, ...table, options: { heartbeat_interval: 0 } });
  await source.exec("select pg_create_logical_replication_slot('peek_' || current_database(), 'pgoutput')");
  const running = f.start();
  await busy(source, 1);
  await f.settle();
  const seen: bigint[] = [];
  await running.stop();
  const again = f.start({ position: ({ sourceEnd }) => void seen.push(sourceEnd) });
  await until('it was looked at twice', () => seen.length > 2);
  expect(await beats(source, f.work.publication.name)).toBe(0);
  await again.stop();
  const pulse = { intervalMs: 1_000, now: 10_000, lastAt: 5_000, lastLsn: 1_000_000n, sourceEnd: 2_000_000n };
  expect(isDue(pulse)).toBe(true);
  expect(isDue({ ...pulse, intervalMs: 0 })).toBe(false);
  expect(isDue({ ...pulse, lastAt: 9_500 })).toBe(false);
  // A checkpoint and the list of running transactions that our own mark brought about.
  expect(isDue({ ...pulse, sourceEnd: 1_000_500n })).toBe(false);
});

test('a source that does not grant it is followed without, and the journal says so once', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const f = await following({ source, target, ...table, options: { heartbeat_interval: 1 } });
  const role = `r_${f.work.name}`;
  await source.exec(`create role ${role} login replication password 'secret'; grant select on quiet, mark to ${role};
    revoke execute on function pg_logical_emit_message(boolean, text, text, boolean) from public`);
  try {
    Object.assign(f, { work: { ...f.work, source: { ...f.work.source, user: role, password: 'secret' } } });
    const running = f.start();
    const said = () => f.notes.filter((note) => note.includes('heartbeat'));
    await until('it is said', async () => {
      await busy(source, 1);
      return said().length > 0;
    });
    expect(said()[0]).toMatch(/no heartbeat is written .* permission denied for function pg_logical_emit_message/);
    await source.exec('insert into quiet values (1)');
    await f.settle();
    expect(await target.exec('select id from quiet')).toEqual([{ id: 1 }]);
    expect(said()).toHaveLength(1);
    await running.stop();
  } finally {
    await source.exec(`drop owned by ${role}; drop role ${role}`);
  }
});

test('a standby as the source gets none, which is said once', async () => {
  await using pair = await standbyPair({});
  await using standby = await Connection.open(pair.standby.config());
  const notes: string[] = [];
  const heartbeat = new Heartbeat(standby, 0.001, async (message) => void notes.push(message));
  for (let n = 1; n <= 3; n++) {
    await standby.run(sql`select pg_sleep(0.01)`);
    await heartbeat.beat(BigInt(n) * 1_000_000n);
  }
  expect(notes).toEqual([expect.stringMatching(/no heartbeat is written .* the source is a standby/)]);
});

test('what is the same at every beginning stands in the journal once', async () => {
  await using world = await testCatalog();
  const mirror = { id: '6f1d4ff0-5f0f-4b6e-9d53-0a2c0e3f4a11', name: 'm' };
  for (let run = 0; run < 2; run++) {
    const progress = new Progress(world.catalog.pool, mirror, silentLog);
    progress.note('the same', { once: true });
    progress.note('each time');
    await progress.flush();
  }
  const notes = await world.database.exec('select message from sluice.journal order by id');
  expect(notes).toEqual([{ message: 'the same' }, { message: 'each time' }, { message: 'each time' }]);
});
