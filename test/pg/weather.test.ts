// Weather between two servers: a full disk, a lock, a server that is away, a refused login, another certificate. What passes is
// waited for, ever longer; what a person must mend is said once; and all the while it is told how far the mirror is behind.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serverAccount } from '../../src/pg/binaries.ts';
import { Connection } from '../../src/pg/client.ts';
import { hasOpenssl, makeAuthority } from '../support/certificates.ts';
import { type RunningWorld, running } from '../support/running.ts';
import { databaseOn, ownServer } from '../support/servers.ts';
import { untilLate } from '../support/wait.ts';
import { wireCutter } from '../support/wire-cutter.ts';

interface Facts {
  readonly status: string;
  readonly sqlstate: string | null;
  readonly trouble: string | null;
  readonly hint: string | null;
  readonly retry_at: string | null;
  readonly lag_bytes: number;
  readonly lag_seconds: number;
  readonly held: number;
  readonly rate: number;
  readonly room: number;
  readonly until_lost: number;
  readonly age: number;
}

async function facts({ world }: RunningWorld): Promise<Facts> {
  const [row] = await world.database.exec<Facts>(`select m.status, m.sqlstate, m.trouble, m.hint, m.retry_at::text,
    m.lag_bytes::float8, m.lag_seconds::float8, w.held_bytes::float8 as held, w.bytes_per_second as rate,
    w.bytes_until_lost::float8 as room, w.seconds_until_lost::float8 as until_lost,
    extract(epoch from now() - w.observed_at)::float8 as age
    from sluice.mirrors m left join sluice.wal w on w.mirror = m.name`);
  if (row === undefined) throw new Error('no mirror');
  const { lag_bytes, lag_seconds, held, rate, room, until_lost, age } = row;
  // Of numbers with fractions pg gives the text.
  const numbers = Object.entries({ lag_bytes, lag_seconds, held, rate, room, until_lost, age }).map(([name, text]) => [
    name,
    Number(text),
  ]);
  return { ...row, ...Object.fromEntries(numbers) };
}

async function journal({ world }: RunningWorld, event: string): Promise<readonly string[]> {
  const rows = await world.database.exec<{ message: string }>(
    `select message from sluice.journal where event = '${event}' order by id`,
  );
  return rows.map(({ message }) => message);
}

/** A file system of that many megabytes which the server may write to; null: we may not mount one. */
function smallDisk(
  megabytes: number,
): ({ readonly folder: string; grow(megabytes: number): void } & Disposable) | null {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-disk-'));
  const { uid = process.getuid?.(), gid = process.getgid?.() } = serverAccount() ?? {};
  const mount = (options: string) => spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0;
  if (!mount(`size=${megabytes}m,uid=${uid},gid=${gid},mode=700`)) {
    rmSync(folder, { recursive: true });
    return null;
  }
  return {
    folder,
    grow: (more) => expect(mount(`remount,size=${more}m`)).toBe(true),
    [Symbol.dispose]: () => {
      spawnSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

test('a full disk, a lock and an absent server are waited for, ever longer, and the mirror goes on by itself when they are over', async ({
  skip,
}) => {
  using disk = smallDisk(6);
  if (disk === null) return skip('it takes the right to mount a file system');
  // Of a server of its own, so that a forecast of the log can be made.
  await using from = await ownServer({ settings: { max_slot_wal_keep_size: '2GB' } });
  const source = await databaseOn(from.server.config(), 18);
  await using own = await ownServer({});
  await using wire = await wireCutter(own.server.config());
  const target = await databaseOn(own.server.config(), 18);
  await source.exec('create table goods (id int primary key, t text); alter table goods alter t set storage external');
  await target.exec(`create tablespace small location '${disk.folder}'`);
  await target.exec(
    'create table goods (id int primary key, t text) tablespace small; alter table goods alter t set storage external',
  );
  await using run = await running(source, { ...target, host: wire.host, port: wire.port }, { slotLookSeconds: 0.5 });
  await run.world.say('create mirror weather from src to dst with table mapping (public.goods:public.goods)');
  await untilLate('it follows', async () => (await facts(run)).status === 'running');

  // A full disk.
  await source.exec("insert into goods select g, repeat('x', 5000) from generate_series(1, 4000) g");
  const tries = new Set<number>();
  await untilLate('it was tried again and again', async () => {
    const now = await facts(run);
    if (now.retry_at !== null) tries.add(Date.parse(now.retry_at));
    return tries.size >= 4;
  });
  const full = await facts(run);
  expect(full).toMatchObject({ sqlstate: '53100', trouble: expect.stringContaining('No space left') });
  // What is confirmed may stand in the middle of a transaction whose commit is to come; the log is held from its beginning on.
  expect(full.lag_bytes).toBeGreaterThan(0);
  expect(full.held).toBeGreaterThan(20_000_000);
  const times = [...tries].toSorted((a, b) => a - b);
  expect(times.at(-1)! - times.at(-2)!).toBeGreaterThan(1_000);
  expect(await journal(run, 'trouble')).toEqual([full.trouble]);
  expect(await journal(run, 'recovered')).toEqual([]);
  disk.grow(200);
  await untilLate(
    'the rows are there',
    async () => (await target.exec('select 1 from goods where id = 4000')).length === 1,
  );
  await untilLate('it works again', async () => (await journal(run, 'recovered')).length === 1);

  // A lock.
  const blocker = await target.connect();
  await blocker.client.query('begin; lock table goods in access exclusive mode');
  await source.exec("update goods set t = 'y' where id < 100");
  const waiting = await untilLate('it waits, and says how long', async () => {
    const now = await facts(run);
    return now.lag_seconds > 2 && now;
  });
  expect(waiting).toMatchObject({ status: 'running', sqlstate: null });
  await blocker.client.query('commit');
  await untilLate(
    'the change is there',
    async () => (await target.exec("select 1 from goods where t = 'y'")).length === 99,
  );

  // A server that is away.
  await own.server.stop('fast');
  const away = await untilLate('it is noticed', async () => {
    const now = await facts(run);
    return now.trouble !== null && now;
  });
  expect(away.retry_at).not.toBeNull();
  await source.exec("update goods set t = repeat('z', 3000)");
  const seen = await untilLate('lag, log and forecast are told all the same', async () => {
    const now = await facts(run);
    return now.lag_bytes > 10_000_000 && now.lag_seconds > 0.5 && now.held > 10_000_000 && now.rate > 0 && now;
  });
  expect(seen.age).toBeLessThan(30);
  await source.exec("update goods set t = repeat('z', 3001)");
  const later = await untilLate('they move on', async () => {
    const now = await facts(run);
    return now.held > seen.held + 10_000_000 && now.lag_bytes > seen.lag_bytes + 10_000_000 && now;
  });
  expect(later.trouble).not.toBeNull();
  expect(later.lag_seconds).toBeGreaterThan(seen.lag_seconds);
  expect(later.room).toBeLessThan(seen.room - 10_000_000);
  expect(later.until_lost).toBeGreaterThan(0);
  expect(later.until_lost).toBeLessThan(2 * 1024 ** 3);
  const shown = new Map((await run.world.show('show mirror weather')).map((row) => [row.property, row.value]));
  expect([...shown.keys()]).toEqual(expect.arrayContaining(['trouble', 'next try', 'lag', 'log held back']));
  expect(shown.get('log held back')).toMatch(/more until max_slot_wal_keep_size, reached in .* at this rate/);
  wire.lead((await own.restart()).port);
  await using back = await Connection.open(own.server.config(target.database));
  await untilLate('the rest comes', async () => {
    const { rows } = await back.client.query("select 1 from public.goods where t like 'z%'");
    return rows.length === 4000;
  });
}, 300_000);

test.skipIf(!hasOpenssl)(
  'a refused login is not tried again before a person has mended it, and another certificate is taken up when it comes (needs openssl)',
  async () => {
    using authority = makeAuthority();
    using stranger = makeAuthority('Somebody else');
    const first = authority.issue('db.example', 'DNS:db.example');
    await using own = await ownServer({
      settings: { ssl: 'on', ssl_cert_file: first.certificateFile, ssl_key_file: first.keyFile },
    });
    const source = await databaseOn(own.server.config(), 18);
    const target = await databaseOn(own.server.config(), 18);
    await source.exec(
      "create table goods (id int primary key); create role mover superuser replication login password 'old'",
    );
    const place = (
      database: string,
      password: string,
    ) => `host = '127.0.0.1', port = ${own.server.port}, user = 'mover', password = '${password}',
    database = '${database}', sslmode = 'verify-full', tls_host = 'db.example', root_ca = '${authority.certificate}'`;
    await using run = await running(source, target, { slotLookSeconds: 0.5 });
    const { world } = run;
    for (const [name, { database }] of [
      ['safe_src', source],
      ['safe_dst', target],
    ] as const) {
      await world.say(`create peer ${name} from postgres with (${place(database, 'old')})`);
    }
    await world.say('create mirror secured from safe_src to safe_dst with table mapping (public.goods:public.goods)');
    await untilLate('it follows', async () => (await facts(run)).status === 'running');
    const arrives = async (id: number) => {
      await source.exec(`insert into goods values (${id})`);
      await untilLate(
        `row ${id}`,
        async () => (await target.exec(`select 1 from goods where id = ${id}`)).length === 1,
      );
    };
    const endAll = () => source.exec("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mover'");
    const replace = async (by: { readonly certificateFile: string; readonly keyFile: string }) => {
      copyFileSync(by.certificateFile, first.certificateFile);
      copyFileSync(by.keyFile, first.keyFile);
      await source.exec('select pg_reload_conf()');
    };

    // Another certificate, on both sides, while it runs: what is open stays, what comes is checked.
    await arrives(1);
    await replace(stranger.issue('db.example', 'DNS:db.example'));
    await arrives(2);
    await endAll();
    const distrusted = await untilLate('it does not trust the stranger', async () => {
      const now = await facts(run);
      return now.hint?.includes('root_ca') && now;
    });
    expect(distrusted.retry_at).not.toBeNull();
    await replace(authority.issue('db.example.', 'DNS:db.example'));
    await arrives(3);

    // Another password: asked for once by each who asks, and then no more.
    await source.exec("alter role mover password 'new'");
    await endAll();
    await untilLate('it waits for a person', async () => {
      const now = await facts(run);
      return now.sqlstate === '28P01' && now.retry_at === null;
    });
    const refusals = () => readFileSync(own.server.logFile, 'utf8').split('password authentication failed').length - 1;
    const refused = refusals();
    expect(refused).toBeLessThanOrEqual(4);
    await source.exec('insert into goods values (4); select pg_sleep(3)');
    expect(refusals() - refused).toBeLessThanOrEqual(1);
    // ALTER PEER mends it, and the mirror goes on by itself.
    for (const name of ['safe_src', 'safe_dst']) await world.say(`alter peer ${name} set (password = 'new')`);
    await arrives(5);
    expect(await target.exec('select 1 from goods')).toHaveLength(5);
  },
  300_000,
);
