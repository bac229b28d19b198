// The ledger of a database's objects: what could not be made is told and made later, and nothing is missing without a line.
import { expect, test } from 'vitest';
import type { ObjectLine } from '../../src/mirror/object.ts';
import type { SnapshotDeps } from '../../src/snapshot/deps.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, listening, whenMaking } from '../support/copied.ts';
import { databaseWork, exceptions, moveDatabase, sides } from '../support/database.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const never = new AbortController().signal;

const source = `create type mood as enum ('a'); create table t (id int primary key, m mood); insert into t values (1, 'a');
  create function f(mood) returns int language sql immutable as 'select 7'; create index t_f on t (f(m));
  create view v as select id, f(m) as f from t; create view w as select f from v; create materialized view mv as select * from w;
  create index mv_f on mv (f); create view a as select 1 as x; create view b as select x from a;
  create or replace view a as select id as x from t where id > (select count(*) from b) - 5;
  create type base; create function base_in(cstring) returns base language internal immutable strict as 'textin';
  create function base_out(base) returns cstring language internal immutable strict as 'textout';
  create type base (input = base_in, output = base_out, like = text);
  create text search configuration conf (copy = simple); create sequence s; select nextval('s')`;
const rows = `select (select f from mv) as f, (select pg_get_viewdef('a') like '%FROM%t%' and pg_get_viewdef('b') like '%FROM%a%') as x, (select last_value from s)::int as s,
  (select count(*)::int from pg_indexes where indexname in ('t_f', 'mv_f')) as indexes, 'q'::base::text as base`;
const whole = [{ f: 7, x: true, s: 1, indexes: 2, base: 'q' }];

test('wherever it is killed, the next call finds what was made as its own and makes the rest', async () => {
  await using it = await sides(source);
  const work = await databaseWork(it);
  const lines = new Map<string, ObjectLine['state']>();
  let calls = 0;
  const steps = [prepareTarget, runSnapshot, finishSnapshot];
  let step = 0;
  // Each try gets a little further than the one before.
  for (let patience = 1; ; patience++) {
    const deps = listening(work);
    let left = patience;
    const report = {
      ...deps.report,
      async objects(all: readonly ObjectLine[]) {
        for (const { kind, name, state } of all) lines.set(`${kind} ${name}`, state);
        if (--left === 0) throw new Error('killed');
      },
    };
    calls++;
    try {
      await claim(work);
      for (let next = steps[step]; next !== undefined; next = steps[++step]) await next({ ...deps, report }, never);
      break;
    } catch (error) {
      if (!(error instanceof Error) || !error.message.endsWith('killed')) throw error;
    }
  }
  expect(calls).toBeGreaterThan(5);
  expect([...lines].filter(([, state]) => state !== 'created' && state !== 'existed')).toEqual([]);
  expect(await it.to.exec(rows)).toEqual(whole);
});

const ofRows = ({ kind }: ObjectLine) => kind === 'materialized rows';

async function allSteps(deps: SnapshotDeps): Promise<void> {
  await claim(deps.work);
  for (const step of [prepareTarget, runSnapshot, finishSnapshot]) await step(deps, never);
}

test('what comes to the source while the last objects are made gets a line and a note at the end', async () => {
  await using it = await sides(source);
  const work = await databaseWork(it);
  const deps = whenMaking(listening(work), ofRows, () =>
    it.from.exec(`create view late as select 1 as one; create index late_i on t (id); create table late_t (id int);
      create unlogged table late_u (id int); create table late_p (id int) partition by hash (id);
      create table late_p1 partition of late_p for values with (modulus 1, remainder 0)`),
  );
  await allSteps(deps);
  const late = 'it came to the source while the mirror was at work';
  expect(exceptions(deps.told)).toEqual(
    expect.arrayContaining([`failed index public.late_i of public.t: ${late}`, `failed view public.late: ${late}`]),
  );
  const tables = exceptions(deps.told).filter((line) => line.includes(' table '));
  const without = 'the mirror began without a table of that name: a new mirror copies it';
  expect(tables).toEqual(['late_p', 'late_t', 'late_u'].map((name) => `left_out table public.${name}: ${without}`));
  expect(deps.told.notes).toContain(`the catalogs differ: view late: ${late}`);
});

test('what somebody drops on the target meanwhile gets a line and a note at the end', async () => {
  await using it = await sides(source);
  const work = await databaseWork(it);
  // When the rows are about to be filled in, as another session would.
  const deps = whenMaking(listening(work), ofRows, () =>
    it.to.exec('drop view a cascade; drop index t_f; drop text search configuration conf'),
  );
  await allSteps(deps);
  const gone = 'it is not on the target any more as it was made, or was changed on the source since';
  // Whose owner was to be set at that moment is told of once more.
  expect(exceptions(deps.told).filter((line) => !line.includes(' owner '))).toEqual([
    `failed index public.t_f of public.t: ${gone}`,
    `failed text search configuration public.conf: ${gone}`,
    `failed view public.a: ${gone}`,
    `failed view public.b: ${gone}`,
  ]);
  expect(deps.told.notes).toContain(`the catalogs differ: view a: ${gone}`);
});

test('a table that is dropped on the target meanwhile is told of as well', async () => {
  await using it = await sides('create table t (id int); create table u (id int)');
  const work = await databaseWork(it);
  const deps = whenMaking(
    listening(work),
    ({ name }) => name === 'v',
    () => it.to.exec('drop table t'),
  );
  await claim(work);
  await prepareTarget(deps, never);
  await runSnapshot(deps, never);
  await it.from.exec('create view v as select * from u');
  await finishSnapshot(deps, never);
  expect(exceptions(deps.told)).toEqual(['failed table public.t: it is not on the target']);
});

test('what was at work when the target was lost waits, as nobody is at it any more', async () => {
  await using it = await sides(source);
  const work = await databaseWork(it);
  const deps = whenMaking(
    listening(work),
    ({ name }) => name === 't_f',
    () =>
      it.to.exec(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'sluice finish%'`),
  );
  await claim(work);
  await prepareTarget(deps, never);
  await runSnapshot(deps, never);
  // The server's last word, or that the connection is gone: whichever is heard first.
  await expect(finishSnapshot(deps, never)).rejects.toMatchObject({ retry: 'backoff' });
  const states = new Map([...deps.told.objects.values()].map(({ name, state }) => [name, state]));
  expect(states.get('t_f')).toBe('waiting');
  expect([...states.values()]).not.toContain('making');
});

test('what fails for want of something that a body in a string names is tried again at the end', async () => {
  await using it = await sides(`create table t (id int); insert into t values (4);
    create materialized view zz as select id as x from t;
    create function total() returns bigint language sql as 'select sum(x) from public.zz'; create materialized view aa as select total() as s`);
  const told = await moveDatabase(it, { initial_copy_only: true, snapshot_num_tables_in_parallel: 1 });
  expect(exceptions(told)).toEqual([]);
  expect(told.notes.join()).toContain('materialized view "zz" has not been populated');
  expect(await it.to.exec('select s::int from aa')).toEqual([{ s: 4 }]);
});

test('what another object stands in the way of is told, and RETRY makes it while the mirror follows', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await using it = await running(from, to);
  await from.exec(`${source}; create publication theirs`);
  await to.exec(`create view v as select 'mine' as id; create function f(text) returns int language sql as 'select 1'`);
  await it.world.say('create mirror whole_ledger from src to dst for all tables');
  await until('it streams', async () => (await it.status()) === 'running');
  const states = async () => {
    const found = await it.world.database.exec<{
      line: string;
    }>(`select concat_ws(' ', state, kind, name, reason) as line
      from sluice.objects where state not in ('created', 'existed') order by 1`);
    return found.map(({ line }) => line);
  };
  expect(await states()).toEqual([
    `failed index mv_f materialized view mv is not there`,
    'failed materialized rows mv materialized view mv is not there',
    'failed materialized view mv view w is not there',
    expect.stringMatching(
      /^failed view v the target has another one of that name: create or replace view "public"."v" as\s+SELECT 'mine'/,
    ),
    'failed view w column "f" does not exist',
    'left_out publication theirs publications are not moved',
  ]);
  await to.exec('drop view v');
  expect((await it.world.say('alter mirror whole_ledger retry')).notices).toEqual(['no object has failed']);
  expect(await states()).toEqual(['left_out publication theirs publications are not moved']);
  expect(await to.exec(rows)).toEqual(whole);
  await from.exec(`insert into t values (2, 'a'); select nextval('s'), nextval('s')`);
  await until('changes go on', async () => (await to.exec('select 1 from v where id = 2')).length === 1);
});
