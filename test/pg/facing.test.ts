// Two mirrors that face each other: what is written on either side reaches the other, once, and does not come back.
import { describe, expect, test } from 'vitest';
import { type RunningWorld, running } from '../support/running.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const tables = `create table t (id bigint primary key, side text, n int); create table bag (side text, n int);
  alter table bag replica identity full; create sequence numbers; create table s (id bigint primary key default nextval('numbers'), v text)`;
const mapping = '(public.t:public.t, public.bag:public.bag, public.s:public.s)';

async function runs(it: RunningWorld, name: string): Promise<void> {
  await until(`${name} runs`, async () => {
    const mirror = (await it.world.show('show mirrors')).find((row) => row.name === name);
    if (mirror?.status === 'failed') throw new Error(`${name} failed: ${mirror.trouble}`);
    return mirror?.status === 'running';
  });
}

const rowsOf = async (db: TestDatabase, table: string) =>
  (await db.exec<{ row: string }>(`select x::text as row from ${table} x order by 1`)).map(({ row }) => row);

async function changesOf(it: RunningWorld, mirror: string): Promise<number> {
  const [row] = await it.world.database.exec<{ n: string }>(
    `select coalesce(sum(inserts + updates + deletes + truncates), 0)::text as n from sluice.tables where mirror = '${mirror}'`,
  );
  return Number(row?.n);
}

const digest = async (db: TestDatabase) =>
  (
    await db.exec<{ digest: string }>(`select md5(string_agg(row, ' ' order by row)) as digest
      from (select x::text as row from t x union all select x::text from bag x) rows`)
  )[0]?.digest;

const settled = (it: RunningWorld, left: TestDatabase, right: TestDatabase) =>
  until('both sides are the same', async () => {
    for (const mirror of await it.world.show('show mirrors')) {
      if (mirror.status === 'failed') throw new Error(`${mirror.name} failed: ${mirror.trouble}`);
    }
    return (await digest(left)) === (await digest(right));
  });

describe.each([
  [18, 18],
  [14, 18],
] as const)('PostgreSQL %i and %i', (one, other) => {
  test('writes on both sides meet, none is lost, none comes back, however the sessions are cut', async () => {
    await using left = await testDatabase(one);
    await using right = await testDatabase(other);
    await using it = await running(left, right);
    const [go, back] = [`go_${one}`, `back_${one}`];
    await left.exec(`${tables}; insert into t select g, 'both', 0 from generate_series(1, 100) g;
      insert into bag select 'both', g from generate_series(1, 20) g; select setval('numbers', 50)`);
    await it.world.say(`create mirror ${go} from src to dst with table mapping ${mapping}`);
    await runs(it, go);
    // Rows are on both sides now: a copy back is refused.
    const create = `create mirror ${back} from dst to src with table mapping ${mapping}`;
    await expect(it.world.say(create)).rejects.toMatchObject({
      message: expect.stringContaining('it must not be copied back'),
      hint: expect.stringContaining('do_initial_copy = false'),
    });
    const { notices } = await it.world.say(`${create} with (do_initial_copy = false)`);
    expect(notices.join()).not.toMatch(/mirror back|circles/);
    await runs(it, back);
    let written = 0;
    for (let round = 0; round < 4; round++) {
      const many = round % 2 === 0 ? 3 : 120;
      for (const [db, side, from] of [
        [left, 'left', 0],
        [right, 'right', 50],
      ] as const) {
        const base = (round + 1) * 10_000 + from * 10;
        await db.exec(`begin; insert into t select ${base} + g, '${side}', 0 from generate_series(1, ${many}) g;
          update t set n = n + 1, side = '${side}' where id between ${from + 1} and ${from + 20}; delete from t where id = ${base + 1};
          insert into bag values ('${side}', ${round}), ('${side}', ${round}); delete from bag where ctid = (select min(ctid) from bag where side = '${side}'); commit`);
        written += many + 20 + 1 + 3;
      }
      if (round === 1 || round === 2) {
        const [db, purpose] = round === 1 ? [left, 'apply'] : [right, 'stream'];
        await db.exec(`select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'sluice ${purpose}%'
          and application_name like '%_${one} %' and datname = current_database()`);
      }
    }
    await settled(it, left, right);
    // The last changes have gone over, and so would have an echo of those before them.
    await left.exec("insert into t values (-1, 'left', 0)");
    await right.exec("insert into t values (-2, 'right', 0)");
    await settled(it, left, right);
    await until('they are counted', async () => (await changesOf(it, go)) > 0 && (await changesOf(it, back)) > 0);
    // Each change was applied once, on the other side; what was cut off right after its commit may not be counted.
    expect((await changesOf(it, go)) + (await changesOf(it, back))).toBeLessThanOrEqual(written + 2);
    for (const db of [left, right]) {
      expect(
        await db.exec("select count(*)::int as n from pg_replication_origin where roname like 'sluice_%'"),
      ).not.toEqual([{ n: 0 }]);
    }
    // Both sides give out numbers: a pause, which brings sequences near otherwise, leaves the other side's alone.
    await left.exec("select setval('numbers', 5000)");
    await it.world.say(`pause mirror ${go}`);
    await until('it rests', async () => {
      return (await it.world.show('show mirrors')).find((row) => row.name === go)?.status === 'paused';
    });
    expect(await right.exec('select last_value::int as n from numbers')).toEqual([{ n: 50 }]);
    for (const mirror of [go, back]) await it.world.say(`drop mirror ${mirror}`);
    await until('both are gone', async () => (await it.world.show('show mirrors')).length === 0);
    const left_over = `select roname from pg_replication_origin o where exists (select from
      unnest(array['${(await it.world.database.exec<{ ids: string }>("select string_agg(id::text, ''',''') as ids from sluice_private.mirrors"))[0]?.ids}']) id where o.roname like 'sluice_' || id || '%')`;
    for (const db of [left, right]) expect(await db.exec(left_over)).toEqual([]);
  });
});

test('what another database brought to the source is followed: only the target’s own does not go back', async () => {
  await using first = await testDatabase(18);
  await using middle = await testDatabase(18);
  await using last = await testDatabase(14);
  await using it = await running(first, middle);
  await it.world.peer('last', last);
  await first.exec('create table t (id int primary key)');
  await it.world.say('create mirror chain_one from src to dst with table mapping (public.t:public.t)');
  await runs(it, 'chain_one');
  await it.world.say('create mirror chain_two from dst to last with table mapping (public.t:public.t)');
  await runs(it, 'chain_two');
  await first.exec('insert into t select generate_series(1, 100)');
  await until('all is at the end', async () => (await rowsOf(last, 't')).length === 100);
  await middle.exec('insert into t values (1000)');
  await until('the middle’s own too', async () => (await rowsOf(last, 't')).length === 101);
});

test('a target that lets nobody mark changes is told of: before a mirror is made, and once in the journal', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await using it = await running(source, target);
  const role = `unmarking_${target.database}`;
  await source.exec('create table t (id int primary key)');
  await target.exec(
    `create role ${role} login password 'secret'; grant create on database ${target.database} to ${role}; grant create on schema public to ${role}`,
  );
  await target.exec("select pg_create_logical_replication_slot('reads_' || current_database(), 'pgoutput')");
  try {
    await it.world.say(`create peer plain from postgres with (host = '${target.host}', port = ${target.port}, user = '${role}',
      password = 'secret', database = '${target.database}')`);
    const findings = await it.world.show(
      'explain create mirror unmarked from src to plain with table mapping (public.t:public.t)',
    );
    expect(findings.find((row) => row.check === 'mirror back')).toMatchObject({
      state: 'warning',
      hint: expect.stringMatching(/^GRANT EXECUTE ON FUNCTION pg_replication_origin_create\(text\), .* TO /),
    });
    await it.world.say('create mirror unmarked from src to plain with table mapping (public.t:public.t)');
    await runs(it, 'unmarked');
    await source.exec('insert into t values (1)');
    await until('it arrives', async () => (await rowsOf(target, 't')).length === 1);
    const notes = async () =>
      await it.world.database.exec(
        "select message from sluice.journal where message like '%not marked with a replication origin%'",
      );
    await until('it is said', async () => (await notes()).length > 0);
    await it.world.say('pause mirror unmarked');
    await until('paused', async () => (await it.status()) === 'paused');
    await it.world.say('resume mirror unmarked');
    await source.exec('insert into t values (2)');
    await until('the next arrives', async () => (await rowsOf(target, 't')).length === 2);
    expect(await notes()).toHaveLength(1);
    // A mirror back is warned of.
    const back = await it.world.show(
      'explain create mirror b from dst to src with table mapping (public.t:public.t) with (do_initial_copy = false)',
    );
    expect(back.find((row) => row.check === 'mirror back')).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining('public.t'),
    });
    await it.world.say('drop mirror unmarked');
    await until('gone', async () => (await it.world.show('show mirrors')).length === 0);
  } finally {
    await target.exec(`drop owned by ${role} cascade; drop role ${role}`);
  }
});
