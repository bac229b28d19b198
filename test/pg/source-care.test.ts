// A copy is careful with its source: sessions, bytes per second, the log that the slot holds back, and who holds the slot up.
import { describe, expect, test } from 'vitest';
import { Connection } from '../../src/pg/client.ts';
import { type RunningWorld, running } from '../support/running.ts';
import { databaseOn, ownServer, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const MB = 1024 ** 2;

/** A table of so many rows, half a kilobyte each. */
function fill(name: string, rows: number): string {
  return `create table ${name} (id int primary key, t text);
    insert into ${name} select n, repeat('x', 500) from generate_series(1, ${rows}) n; analyze ${name}`;
}

async function bytesCopied({ world }: RunningWorld): Promise<number> {
  const [row] = await world.database.exec<{ n: number }>(
    'select coalesce(sum(bytes_copied), 0)::int as n from sluice.parts',
  );
  return row?.n ?? 0;
}

async function shown({ world }: RunningWorld, mirror: string, property: string): Promise<readonly string[]> {
  const rows = await world.show(`show mirror ${mirror}`);
  return rows.filter((row) => row.property === property).map((row) => row.value ?? '');
}

test('a throttle holds all workers together to its rate, and another one takes hold while parts are copied', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await source.exec(`${fill('a', 60_000)}; ${fill('b', 60_000)}`);
  await using run = await running(source, target);
  await run.world.say(`create mirror throttled from src to dst with table mapping (public.a:public.a, public.b:public.b)
    with (initial_copy_only = true, snapshot_num_rows_per_partition = 20000, snapshot_throttle = '3 MB/s')`);
  await until('it copies', async () => (await bytesCopied(run)) > MB);
  const [from, began] = [await bytesCopied(run), performance.now()];
  const to = await until('more', async () => {
    const now = await bytesCopied(run);
    return now > from + 12 * MB && now;
  });
  const rate = (to - from) / ((performance.now() - began) / 1_000) / MB;
  expect(rate).toBeLessThan(3.6);
  expect(rate).toBeGreaterThan(1.5);
  // Between the end of one part and the beginning of the next, more or fewer may be told of than there are workers.
  await until('all workers at it, and parts that wait for them', async () => {
    const [parts] = await run.world.database.exec<{ copying: number; waiting: number }>(
      "select count(*) filter (where state = 'copying')::int as copying, count(*) filter (where state = 'waiting')::int as waiting from sluice.parts",
    );
    return parts?.copying === 3 && parts.waiting > 0;
  });
  const changed = performance.now();
  const { notices } = await run.world.say("alter mirror throttled set (snapshot_throttle = '0')");
  expect(notices).toEqual([]);
  await until('the rows are copied', async () => {
    const [row] = await run.world.database.exec<{ n: number }>('select tables_copied::int as n from sluice.mirrors');
    return row?.n === 2;
  });
  // At the old rate the rest would take some 15 seconds.
  expect((performance.now() - changed) / 1_000).toBeLessThan(12);
  await until('all is there', async () => (await run.status()) === 'completed');
  expect(await target.exec('select count(*)::int as n from a union all select count(*)::int from b')).toEqual([
    { n: 60_000 },
    { n: 60_000 },
  ]);
}, 60_000);

describe('the sessions that a copy opens on its source', () => {
  // Readers as configured, when it has gone on for a while: the greater of the two options, never their product. Beside them one
  // that looks after the copy, one that holds the snapshot until the readers have it, and now and then one that looks at the slot.
  test.each([
    { tables: 1, parts: 1, readers: 1 },
    { tables: 2, parts: 3, readers: 3 },
  ])(
    'are $readers that read, with $tables tables and $parts parts of one at a time',
    async ({ tables, parts, readers }) => {
      await using source = await testDatabase(18);
      await using target = await testDatabase(18);
      await source.exec(`${fill('a', 8_000)}; ${fill('b', 8_000)}; ${fill('c', 8_000)}; ${fill('d', 8_000)}`);
      await using run = await running(source, target, { slotLookSeconds: 0.5 });
      await using watcher = await source.connect();
      const seen: { readers: number; all: number }[] = [];
      const look = async () => {
        const { rows } = await watcher.client.query<{ readers: number; all: number }>(
          `select count(*) filter (where application_name like 'sluice copy%')::int as readers, count(*)::int as all
        from pg_stat_activity where application_name like 'sluice%' and datname = $1`,
          [source.database],
        );
        const [now] = rows;
        if (now !== undefined) seen.push(now);
        return (await run.status()) === 'running';
      };
      await run.world.say(`create mirror sessions_${readers} from src to dst for all tables with (snapshot_throttle = '2 MB/s',
      snapshot_num_tables_in_parallel = ${tables}, snapshot_max_parallel_workers = ${parts}, snapshot_num_rows_per_partition = 3000)`);
      await until('it is copied', look);
      const copying = seen.filter((each) => each.readers > 0);
      expect(copying.length).toBeGreaterThan(5);
      expect(Math.max(...copying.map((each) => each.readers))).toBe(readers);
      expect(Math.max(...copying.map((each) => each.all - each.readers))).toBeLessThanOrEqual(3);
    },
    60_000,
  );
});

test.each([
  { limit: 4, neighbour: true, workers: '2 workers' },
  { limit: 3, neighbour: false, workers: 'one worker' },
])(
  'a reader that the source does not let in is told of, and the copy goes on with $workers',
  async ({ limit, neighbour, workers }) => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(18);
    const role = `narrow_${source.database}`;
    // One that looks after the copy, one that holds the snapshot until those have it that read.
    await source.exec(`${fill('a', 18_000)}; ${fill('b', 18_000)}; create role ${role} login password 'x' connection limit ${limit};
      grant select on a, b to ${role}`);
    try {
      await using run = await running({ ...source, user: role, password: 'x' }, target);
      await run.world.say(`create mirror narrow from src to dst with table mapping (public.a:public.a, public.b:public.b) with
        (initial_copy_only = true, snapshot_throttle = '2 MB/s', snapshot_num_rows_per_partition = 2000)`);
      await until('it copies', async () => (await bytesCopied(run)) > MB / 2);
      const { host, port, database } = source;
      const one = () => Connection.open({ host, port, database, user: role, password: 'x' });
      await using _neighbour = neighbour ? await one() : null;
      await until('it is copied', async () => (await run.status()) === 'completed');
      const notes = await run.world.database.exec<{ message: string }>(
        "select message from sluice.journal where message like 'the copy goes on with%'",
      );
      expect(notes.map(({ message }) => message)).toEqual([
        expect.stringMatching(
          new RegExp(`^the copy goes on with ${workers}, as another could not begin: .*too many connections`),
        ),
      ]);
      expect(await target.exec('select count(*)::int as n from (table a union all table b) rows')).toEqual([
        { n: 36_000 },
      ]);
    } finally {
      for (const side of [target, source]) await side.exec(`drop owned by ${role}`);
      await source.exec(`drop role ${role}`);
    }
  },
  60_000,
);

test('the log that a slot holds back is told while rows are copied: how much, how fast it grows, and when it will be too much', async () => {
  await using own = await ownServer({ major: 18, settings: { max_slot_wal_keep_size: '512MB' } });
  await using source = await databaseOn(own.server.config(), 18);
  await using target = await testDatabase(18);
  await source.exec(`${fill('a', 40_000)}; create table other (t text)`);
  await using run = await running(source, target, { slotLookSeconds: 0.5 });
  await run.world.say(`create mirror held from src to dst with table mapping (public.a:public.a)
    with (snapshot_throttle = '2 MB/s')`);
  await until('it copies', async () => (await bytesCopied(run)) > MB / 2);
  const [slot] = await source.exec<{ held: number }>(
    'select (pg_current_wal_lsn() - restart_lsn)::float8 as held from pg_replication_slots',
  );
  await source.exec("insert into other select repeat('y', 1000) from generate_series(1, 20000)");
  const wal = await until('it is seen', async () => {
    const [row] = await run.world.database.exec<{
      held: number;
      rate: number;
      room: number;
      seconds: number;
      after: number;
    }>(
      `select held_bytes::int as held, bytes_per_second as rate, bytes_until_lost::int as room,
        seconds_until_lost as seconds, held_bytes_after_copy::int as after from sluice.wal`,
    );
    return row !== undefined && row.held > 20 * MB && row.after !== null && row;
  });
  const [now] = await source.exec<{ held: number; room: number }>(
    'select (pg_current_wal_lsn() - restart_lsn)::float8 as held, safe_wal_size::float8 as room from pg_replication_slots',
  );
  expect(wal.held).toBeGreaterThan(Number(slot?.held) + 20 * MB);
  expect(wal.held).toBeLessThanOrEqual(Number(now?.held));
  expect(Math.abs(wal.room - Number(now?.room))).toBeLessThan(20 * MB);
  expect(Number(wal.rate)).toBeGreaterThan(MB);
  expect(Number(wal.seconds)).toBeCloseTo(wal.room / Number(wal.rate), -1);
  expect(wal.after).toBeGreaterThan(wal.held);
  const [line] = await shown(run, 'held', 'log held back');
  expect(line).toMatch(
    /^\d+\.\d MB, growing by .*\/s; about .* when the copy ends in .* more until max_slot_wal_keep_size/,
  );
  await run.world.say("alter mirror held set (snapshot_throttle = '0')");
  await until('it follows', async () => (await run.status()) === 'running');
  expect(await shown(run, 'held', 'progress')).toEqual([]);
  expect((await shown(run, 'held', 'log held back')).join()).toContain('max_slot_wal_keep_size');
}, 60_000);

test.each([
  { settings: { max_slot_wal_keep_size: '16MB', max_wal_size: '64MB' }, reason: 'wal_removed' },
  { settings: { idle_replication_slot_timeout: '1s' }, reason: 'idle_timeout' },
])(
  'a slot that is lost while its mirror rests is told of as lost, and why: $reason',
  async ({ settings, reason }) => {
    await using own = await ownServer({ major: 18, settings });
    await using source = await databaseOn(own.server.config(), 18);
    await using target = await testDatabase(18);
    await source.exec('create table a (id int primary key)');
    await using run = await running(source, target, { slotLookSeconds: 0.5 });
    await run.world.say('create mirror rests from src to dst with table mapping (public.a:public.a)');
    await until('it follows', async () => (await run.status()) === 'running');
    await run.world.say('pause mirror rests');
    await until('it rests', async () => (await run.status()) === 'paused');
    await until('the slot is lost', async () => {
      await source.exec(
        "select pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) from generate_series(1, 20)",
      );
      await source.exec('checkpoint');
      const [slot] = await source.exec<{ status: string }>('select wal_status as status from pg_replication_slots');
      return slot?.status === 'lost';
    });
    await until('it is told', async () => {
      const [row] = await run.world.database.exec<{ status: string; room: number; reason: string }>(
        'select wal_status as status, bytes_until_lost::int as room, invalidation_reason as reason from sluice.wal',
      );
      return row?.status === 'lost' && row.room === 0 && row.reason === reason;
    });
    const [lag] = await shown(run, 'rests', 'lag');
    expect(lag).toContain('the source was looked at');
    expect(lag).not.toContain('keeps its log');
    const [setting] = Object.keys(settings);
    expect((await shown(run, 'rests', 'log held back')).join()).toContain(`is lost. `);
    expect((await shown(run, 'rests', 'log held back')).join()).toContain(setting);
  },
  60_000,
);

test('while the slot waits for old transactions SHOW MIRROR names them, without what they run', async () => {
  // Of a server of its own: a slot waits for the transactions of all databases.
  await using own = await ownServer({ major: 18 });
  await using source = await databaseOn(own.server.config(), 18);
  await using target = await testDatabase(18);
  await source.exec(
    "create table a (id int primary key); create role clerk login password 'x'; grant all on a to clerk",
  );
  await using run = await running(source, target);
  await using open = await source.connect();
  await open.client.query("set application_name = 'billing'; set role clerk");
  await open.client.query("begin; insert into a values (1); select 'a secret'");
  await source.exec("begin; insert into a values (2); prepare transaction 'half_a_payment'");
  await run.world.say('create mirror waiting from src to dst with table mapping (public.a:public.a)');
  const lines = await until('both are named', async () => {
    const found = await shown(run, 'waiting', 'waits for');
    return found.length === 2 && found;
  });
  const all = lines.join('\n');
  expect(all).toMatch(
    new RegExp(
      `process ${open.pid} \\(user sluice, database ${source.database}, application billing, idle in transaction for \\d+ s\\)`,
    ),
  );
  expect(all).toMatch(/prepared transaction "half_a_payment" \(user sluice, .*prepared for \d+ s\)/);
  expect(all).not.toContain('secret');
  await open.client.query('rollback');
  await until('one is left', async () => (await shown(run, 'waiting', 'waits for')).length === 1);
  await source.exec("rollback prepared 'half_a_payment'");
  await until('it follows', async () => (await run.status()) === 'running');
  expect(await shown(run, 'waiting', 'waits for')).toEqual([]);
}, 60_000);

test('ALTER MIRROR … SET changes how a mirror follows while it does, and says what will hold later only', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await source.exec('create table a (id int primary key)');
  await using run = await running(source, target);
  const { world } = run;
  await world.say('create mirror altered from src to dst with table mapping (public.a:public.a)');
  await until('it follows', async () => (await run.status()) === 'running');
  expect((await world.say('alter mirror altered set (sync_interval = 1)')).notices).toEqual([]);
  await until('changes are gathered', async () => {
    for (let n = 0; n < 10; n++) await source.exec('insert into a select coalesce(max(id), 0) + 1 from a');
    const [row] = await world.database.exec<{ most: number }>(
      'select max(transactions)::int as most from sluice.batches',
    );
    return (row?.most ?? 0) >= 5;
  });
  const { notices } = await world.say("alter mirror altered set (snapshot_throttle = '5 MB/s', max_batch_size = 10)");
  expect(notices.join()).toMatch(/tables are copied: "snapshot_throttle" will hold for a copy that is made anew/);
  await expect(world.say('alter mirror altered set (schema = none)')).rejects.toMatchObject({ sqlstate: '22023' });
  await expect(world.say("alter mirror altered set (snapshot_throttle = 'fast')")).rejects.toMatchObject({
    sqlstate: '22023',
    hint: expect.stringContaining('20 MB/s'),
  });
  await expect(world.say('alter mirror altered set (schema_changes = full)')).rejects.toMatchObject({
    sqlstate: '22023',
    hint: expect.stringContaining('sync_interval'),
  });
  await expect(world.say('alter mirror nobody set (sync_interval = 1)')).rejects.toMatchObject({ sqlstate: '42704' });
  const said = await world.database.exec<{ message: string }>(
    "select message from sluice.journal where message like 'ALTER MIRROR%'",
  );
  expect(said.map(({ message }) => message)).toEqual([
    'ALTER MIRROR altered SET (sync_interval = 1)',
    "ALTER MIRROR altered SET (snapshot_throttle = '5 MB/s', max_batch_size = 10)",
  ]);
}, 60_000);
