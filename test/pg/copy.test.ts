// COPY from a server into another over real sockets: rows, errors of either side, lost connections, stop, back-pressure.
import { expect, test } from 'vitest';
import { connectPeer } from '../../src/peers/connect.ts';
import type { Connection } from '../../src/pg/client.ts';
import { relayCopies, relayCopy } from '../../src/pg/copy.ts';
import { ident, sql } from '../../src/pg/sql.ts';
import { peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

interface World extends AsyncDisposable {
  readonly from: TestDatabase;
  readonly to: TestDatabase;
  readonly source: Connection;
  readonly target: Connection;
}

async function world(sourceSchema: string, targetSchema = sourceSchema): Promise<World> {
  const from = await testDatabase(14);
  const to = await testDatabase(18);
  await from.exec(sourceSchema);
  await to.exec(targetSchema);
  return {
    from,
    to,
    source: await from.connect(),
    target: await to.connect(),
    async [Symbol.asyncDispose]() {
      await from[Symbol.asyncDispose]();
      await to[Symbol.asyncDispose]();
    },
  };
}

const table = 'create table t (id int primary key, v text)';
const fill = (rows: number, width = 20) =>
  `insert into t select i, repeat('x', ${width}) || i from generate_series(1, ${rows}) i`;

test('rows arrive as they are, several times on the same connections, in text and in binary', async () => {
  await using w = await world(table);
  await w.from.exec(`${fill(5_000)}; insert into t values (0, E'tab\\t and\\nnewline \\\\. 🐘'), (-1, null)`);
  const copied = async (format: string) => {
    const { source, target } = w;
    return await relayCopy({
      source,
      sourceSql: sql`copy (select id, v from t order by id) to stdout ${format === 'binary' ? sql`(format binary)` : sql``}`,
      target,
      targetSql: sql`copy t (id, v) from stdin ${format === 'binary' ? sql`(format binary)` : sql``}`,
    });
  };
  const fingerprint = `select count(*)::text as n, md5(string_agg(id || coalesce(v, '<null>'), ',' order by id)) as h from t`;
  for (const format of ['text', 'binary']) {
    await w.to.exec('truncate t');
    const { rows, bytes } = await copied(format);
    expect(rows).toBe(5_002);
    expect(bytes).toBeGreaterThan(100_000);
    expect(await w.to.exec(fingerprint)).toEqual(await w.from.exec(fingerprint));
  }
  expect(await w.source.query(sql`select 1 as one`)).toEqual([{ one: 1 }]);
});

const three =
  'create table a (id int primary key, v text); create table b (like a including all); create table c (like a including all)';
const stepOf = (name: string) => ({
  sourceSql: sql`copy ${ident(name)} to stdout`,
  targetSql: sql`copy ${ident(name)} from stdin`,
});

test('several tables pass as one, each with its rows, an empty one among them', async () => {
  await using w = await world(three);
  await w.from.exec(
    `insert into a select i, repeat('x', 300) from generate_series(1, 20000) i; insert into c values (1, 'one')`,
  );
  const { source, target } = w;
  const told: number[] = [];
  const seen = [0, 0, 0];
  const copied = await relayCopies({
    ...{ source, target, steps: ['a', 'b', 'c'].map(stepOf) },
    onBytes: (step, bytes) => {
      seen[step] = (seen[step] ?? 0) + bytes;
    },
    onPassed: (step) => told.push(step),
  });
  expect(copied.map(({ rows }) => rows)).toEqual([20_000, 0, 1]);
  expect(copied.map(({ bytes }) => bytes)).toEqual(seen);
  expect(told).toEqual([0, 1, 2]);
  const sums = 'select (select count(*)::int from a) as a, (select count(*)::int from b) as b, (select v from c) as c';
  expect(await w.to.exec(sums)).toEqual([{ a: 20_000, b: 0, c: 'one' }]);
  expect(await source.query(sql`select 1 as one`)).toEqual([{ one: 1 }]);
});

test.each([
  { who: 'the source', spoil: (w: World) => w.from.exec('drop table b'), step: 1 },
  { who: 'the target, before its rows', spoil: (w: World) => w.to.exec('drop table b'), step: 1 },
  { who: 'the target, among its rows', spoil: (w: World) => w.to.exec("insert into c values (3, 'there')"), step: 2 },
  { who: 'a trigger that drops rows', spoil: (w: World) => w.to.exec(dropping('b')), step: 1 },
])('of several tables the one that $who refuses is named, and nothing of them stays', async ({ spoil, step }) => {
  await using w = await world(three);
  for (const name of ['a', 'b', 'c'])
    await w.from.exec(`insert into ${name} select i, 'x' from generate_series(1, 5) i`);
  await spoil(w);
  const failed: number[] = [];
  await w.target.run(sql`begin`);
  await w.source.run(sql`begin`);
  const { source, target } = w;
  const copying = relayCopies({
    source,
    target,
    steps: ['a', 'b', 'c'].map(stepOf),
    onFailure: (at) => failed.push(at),
  });
  await expect(copying).rejects.toThrow();
  expect(failed).toEqual([step]);
  expect([source.lost.aborted, target.lost.aborted]).toEqual([true, true]);
  expect(await w.to.exec('select count(*)::int as n from a')).toEqual([{ n: 0 }]);
});

function dropping(name: string): string {
  return `create function nothing() returns trigger language plpgsql as 'begin return null; end';
    create trigger drops before insert on ${name} for each row execute function nothing()`;
}

test('bytes that the source’s socket lends are not overwritten while a slow target has not taken them', async () => {
  await using w = await world('create table t (id int, v text)');
  await w.from.exec(fill(30_000, 1_000));
  await w.to.exec(`create function slow() returns trigger language plpgsql as $$
      begin if new.id % 500 = 0 then perform pg_catalog.pg_sleep(0.01); end if; return new; end $$;
    create trigger slow before insert on t for each row execute function slow()`);
  const source = await connectPeer(peerOf(w.from), { application: 'copy test', lends: true });
  await using _source = { [Symbol.asyncDispose]: () => source.close() };
  const fingerprint = `select count(*)::text as n, md5(string_agg(id || v, ',' order by id)) as h from t`;
  for (const format of [sql``, sql` (format binary)`]) {
    await w.to.exec('truncate t');
    const { rows } = await relayCopy({
      source,
      sourceSql: sql`copy public.t to stdout${format}`,
      target: w.target,
      targetSql: sql`copy t from stdin${format}`,
    });
    expect(rows).toBe(30_000);
    expect(await w.to.exec(fingerprint)).toEqual(await w.from.exec(fingerprint));
    // Both go on as they were.
    expect(await source.query(sql`select repeat('x', 100000) as x`)).toEqual([{ x: 'x'.repeat(100_000) }]);
  }
});

test('an empty table is no trouble', async () => {
  await using w = await world(table);
  const { source, target } = w;
  const result = await relayCopy({
    source,
    sourceSql: sql`copy t to stdout`,
    target,
    targetSql: sql`copy t from stdin`,
  });
  expect(result.rows).toBe(0);
});

test('a row that the target refuses ends the copy at once with the target’s own error and the row’s line', async () => {
  await using w = await world(table);
  const { source, target } = w;
  await w.from.exec(fill(10));
  const copying = relayCopy({
    source,
    // Endless, for all the target would notice: only prompt stopping lets this test end in time.
    sourceSql: sql`copy (select least(i, 7)::int, repeat('x', 100) from (select generate_series(1, 2000000000) i) s) to stdout`,
    target,
    targetSql: sql`copy t from stdin`,
  });
  await expect(copying).rejects.toMatchObject({
    kind: 'upstream',
    sqlstate: '23505',
    fields: { detail: 'Key (id)=(7) already exists.', table: 't', where: expect.stringContaining('COPY t, line 8') },
  });
  await until('the source has stopped', async () => {
    const rows = await w.from.exec(`select 1 from pg_stat_activity where pid = ${source.pid}`);
    return rows.length === 0;
  });
});

test('an error of the source in the middle of its rows is the one that is told, and nothing is on the target', async () => {
  await using w = await world(table);
  const { source, target } = w;
  const copying = relayCopy({
    source,
    sourceSql: sql`copy (select i, (1 / (50000 - i))::text from generate_series(1, 60000) i) to stdout`,
    target,
    targetSql: sql`copy t from stdin`,
  });
  await expect(copying).rejects.toMatchObject({ kind: 'upstream', sqlstate: '22012' });
  await until('nothing is left', async () => {
    const rows = await w.to.exec<{ n: string }>(`select count(*)::text as n from t
      where not exists (select from pg_stat_activity where pid = ${target.pid})`);
    return rows[0]?.n === '0';
  });
});

test('an error of the source before its first row is told as it is', async () => {
  await using w = await world(table);
  const { source, target } = w;
  const copying = relayCopy({
    source,
    sourceSql: sql`copy nowhere to stdout`,
    target,
    targetSql: sql`copy t from stdin`,
  });
  await expect(copying).rejects.toMatchObject({ sqlstate: '42P01' });
});

test.each(['source', 'target'] as const)('the copy ends when the connection to the %s is killed', async (side) => {
  await using w = await world(table);
  const { source, target } = w;
  let seen = () => {};
  const flowing = new Promise<void>((resolve) => {
    seen = resolve;
  });
  const copying = relayCopy({
    source,
    sourceSql: sql`copy (select i, repeat('x', 1000) from (select generate_series(1, 2000000000) i) s) to stdout`,
    target,
    targetSql: sql`copy t from stdin`,
    onBytes: () => seen(),
  });
  copying.catch(() => {});
  await flowing;
  const [db, pid] = side === 'source' ? [w.from, source.pid] : [w.to, target.pid];
  await db.exec(`select pg_terminate_backend(${pid})`);
  const error = await copying.then(
    () => undefined,
    (caught: { retry: string }) => caught,
  );
  expect(error?.retry).toBe('backoff');
  expect([source.lost.aborted, target.lost.aborted]).toEqual([true, true]);
});

test('a copy that waits for a lock on the target ends when it is told to stop', async () => {
  await using w = await world(table);
  const { source, target } = w;
  await w.from.exec(fill(100_000));
  await w.to.exec('begin; lock table t');
  const stop = new AbortController();
  const relay = { source, sourceSql: sql`copy t to stdout`, target, targetSql: sql`copy t from stdin` };
  const copying = relayCopy(relay, stop.signal);
  copying.catch(() => {});
  await until('it waits', async () => {
    const rows = await w.to.exec(`select 1 from pg_locks where pid = ${target.pid} and not granted`);
    return rows.length > 0;
  });
  stop.abort();
  await expect(copying).rejects.toMatchObject({ kind: 'stopped' });
  await w.to.exec('rollback');
});

test('a target that stops reading stops the source, in bounded memory', async () => {
  await using w = await world(table);
  const { source, target } = w;
  await w.to.exec(`create function slow() returns trigger language plpgsql as
    $$ begin if new.id = 100 then perform pg_advisory_lock(7); end if; return new; end $$;
    create trigger slow before insert on t for each row execute function slow(); select pg_advisory_lock(7)`);
  let passed = 0;
  const copying = relayCopy({
    source,
    sourceSql: sql`copy (select i, repeat('x', 1000) from generate_series(1, 60000) i) to stdout`,
    target,
    targetSql: sql`copy t from stdin`,
    onBytes: (bytes) => {
      passed += bytes;
    },
  });
  await until('the source waits for us', async () => {
    const rows = await w.from.exec(
      `select 1 from pg_stat_activity where pid = ${source.pid} and wait_event = 'ClientWrite'`,
    );
    return rows.length > 0;
  });
  // Sockets of both sides hold some megabytes; the 60 MB are not in here.
  expect(passed).toBeLessThan(20_000_000);
  await w.to.exec('select pg_advisory_unlock(7)');
  expect((await copying).rows).toBe(60_000);
});

test('rows that a trigger of the target drops are told, never passed over', async () => {
  await using w = await world(table);
  const { source, target } = w;
  await w.from.exec(fill(10));
  await w.to.exec(`create function drop_some() returns trigger language plpgsql as
    $$ begin if new.id = 5 then return null; end if; return new; end $$;
    create trigger drop_some before insert on t for each row execute function drop_some()`);
  const copying = relayCopy({ source, sourceSql: sql`copy t to stdout`, target, targetSql: sql`copy t from stdin` });
  await expect(copying).rejects.toMatchObject({ kind: 'conflict', message: expect.stringContaining('10 rows') });
});
