// Tables that leave the source after they were copied, before the mirror has finished: the others are finished, and the ledger says it.
import { expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { pause } from '../../src/base/retry.ts';
import { Scope } from '../../src/base/scope.ts';
import { trusted } from '../../src/pg/sql.ts';
import type { TableName } from '../../src/pg/table.ts';
import { asChange } from '../../src/snapshot/as-change.ts';
import type { SnapshotDeps } from '../../src/snapshot/deps.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { retryObjects } from '../../src/snapshot/retry.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { readStorage } from '../../src/snapshot/storage.ts';
import { claim, listening, pinned } from '../support/copied.ts';
import { databaseWork, exceptions, sides } from '../support/database.ts';
import { createPeer, startGateway } from '../support/gateway.ts';
import { until } from '../support/wait.ts';

const never = new AbortController().signal;
const source = `create schema s2; create table stays (id int primary key, v text); create index stays_v on stays (v);
  create table gone (id serial primary key); create table "re named" (id int primary key, v text unique);
  create table moved (id int primary key references stays); create table p (id int primary key) partition by range (id);
  create table p1 partition of p for values from (0) to (10); create view over_all as select s.id from stays s;
  insert into stays values (1, 'a'); insert into gone values (1), (2); insert into "re named" values (3, 'x'); insert into p values (4)`;
const leave = `drop table gone; alter table "re named" rename to other; alter table moved set schema s2; drop table p`;
const gone =
  'it was dropped or renamed on the source after it was copied: it has its rows, and nothing that was to be made after them';
const late = 'the mirror began without a table of that name: a new mirror copies it';

test.each([
  ['nothing follows', { initial_copy_only: true }],
  ['changes of rows and columns follow', { schema_changes: 'columns' }],
])('tables that were copied and left are no reason not to finish the others, where %s', async (_, options) => {
  await using it = await sides(source, undefined, [14, 18]);
  const work = await databaseWork(it, options);
  if (work.slot !== null) await it.from.exec('alter table moved replica identity full');
  const deps = listening(work);
  await claim(work);
  await prepareTarget(deps, never);
  await runSnapshot(deps, never);
  await it.from.exec(leave);
  await finishSnapshot(deps, never);
  const expected = [
    ...['gone', 'moved', 'p', 're named'].map((name) => `left_out table public.${name}: ${gone}`),
    `left_out table public.other: ${late}`,
    `left_out table s2.moved: ${late}`,
  ];
  const lines = () => exceptions(deps.told).filter((line) => line.includes(' table '));
  expect(lines().toSorted()).toEqual(expected.toSorted());
  expect(
    await it.to.exec('select id from "re named" union all select id from gone union all select id from p order by 1'),
  ).toEqual([1, 2, 3, 4].map((id) => ({ id })));
  const made = await it.to.exec(
    `select indexrelid::regclass::text as name from pg_index where indrelid = 'stays'::regclass order by 1`,
  );
  expect(made).toEqual([{ name: 'stays_pkey' }, { name: 'stays_v' }]);
  // And RETRY, which looks at everything anew, has no other opinion.
  const unmade = [...deps.told.objects].filter(([, { state }]) => state === 'left_out' || state === 'failed');
  await retryObjects(deps, new Map(unmade), never);
  expect(lines().toSorted()).toEqual(expected.toSorted());
});

test('what a server says of a relation that has just gone is a change of the source, which is looked at anew', async () => {
  await using it = await sides('create table t (id int primary key)');
  const deps = listening(await databaseWork(it));
  const error = (message: string) => new SluiceError('upstream', message, { sqlstate: 'XX000', server: 'the source' });
  const all = [
    'could not open relation with OID 17',
    'cache lookup failed for type 18',
    'could not map filenumber "base/1/2" to relation OID',
  ];
  for (const words of all) {
    const seen = await asChange(deps, error(words), { tables: [], now: new Map() }, never);
    expect(seen).toMatchObject({ kind: 'source_changed', retry: 'backoff', message: expect.stringContaining(words) });
  }
  const other = error('invalid page in block 7');
  expect(await asChange(deps, other, { tables: [], now: new Map() }, never)).toBe(other);
});

test('where no changes of the schema follow, a table that was swapped is looked at anew, and one that is gone is told of', async () => {
  await using it = await sides('create table t (id serial primary key); create table gone (id int primary key)');
  const deps = listening(await databaseWork(it));
  const error = new SluiceError('upstream', 'relation "public.t_id_seq" does not exist', { sqlstate: '42P01' });
  const [t, gone] = ['t', 'gone'].map((name) => ({ schema: 'public', name }));
  if (t === undefined || gone === undefined) throw new Error('unreachable');
  await using source = await pinned(it.from);
  const before = await readStorage(source, [t, gone]);
  const seen = async (tables: readonly TableName[], storage = before) =>
    await asChange(deps, error, { tables, now: new Map(), before: storage }, never);
  expect(await seen([t, gone])).toBe(error);
  await it.from.exec('drop table t; create table t (id serial primary key); drop table gone');
  expect(await seen([t])).toMatchObject({ kind: 'source_changed', retry: 'backoff', detail: error.message });
  expect(await seen([gone])).toMatchObject({ kind: 'source_changed' });
  const now = await readStorage(source, [t, gone]);
  expect(await seen([t, gone], now)).toBe(error);
});

test('a copy of tables that are swapped meanwhile comes to its end by itself once they are left alone', async () => {
  const swapped = `create table swapped (id serial primary key, v text check (v <> 'q')); create index on swapped (v);
    create table parted (a int, b int, primary key (a, b)) partition by list (a); create table parted_1 partition of parted for values in (1)`;
  await using it = await sides(`create table stays (id int primary key); insert into stays values (1); ${swapped}`);
  const deps = listening(await databaseWork(it));
  await using writing = new Scope();
  const writer = await it.from.connect();
  let times = 0;
  writing.run(async (signal) => {
    for (; !signal.aborted && times < 20; times++) {
      await writer.run(trusted(`begin; drop table swapped; drop table parted; ${swapped}; commit`));
      await pause(60);
    }
  });
  const failures: unknown[] = [];
  for (const step of [claimed, prepareTarget, runSnapshot, finishSnapshot]) {
    for (let done = false; !done; ) {
      try {
        await step(deps, never);
        done = true;
      } catch (error) {
        failures.push(error);
        if (!(error instanceof SluiceError) || error.retry !== 'backoff' || failures.length > 100) throw error;
        await pause(50);
      }
    }
  }
  await until('all swaps are done', () => times === 20);
  expect(await it.to.exec('select id from stays')).toEqual([{ id: 1 }]);
  expect(exceptions(deps.told).filter((line) => line.includes('stays'))).toEqual([]);
});

async function claimed({ work }: SnapshotDeps): Promise<void> {
  await claim(work);
}

test('a mirror of a schema can be created while tables of it are dropped and made all the time', async () => {
  await using it = await sides('create table stays (id int primary key); create table swapped (id int primary key)');
  await using gateway = await startGateway();
  await using writing = new Scope();
  const writer = await it.from.connect();
  let times = 0;
  writing.run(async (signal) => {
    for (; !signal.aborted; times++) {
      await writer.run(
        trusted('begin; drop table public.swapped; create table public.swapped (id int primary key); commit'),
      );
      await pause(100);
    }
  });
  await until('it is swapped', () => times > 1);
  await gateway.query(`${createPeer('a', it.from)} ${createPeer('b', it.to)}`);
  const answers: unknown[] = [];
  for (let n = 0; n < 6; n++) {
    const rows = await gateway.query<{ check: string; state: string; message: string }>(
      'explain create mirror m from a to b with schema mapping (public:public) with (initial_copy_only = true)',
    );
    answers.push(...rows.filter(({ check, state }) => check === 'source tables' && state !== 'ok'));
  }
  expect(answers).toEqual([]);
});
