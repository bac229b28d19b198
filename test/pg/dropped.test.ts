// Tables that leave the source after they were copied, before the mirror has finished: the others are finished, and the ledger says it.
import { expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { pause } from '../../src/base/retry.ts';
import { Scope } from '../../src/base/scope.ts';
import { trusted } from '../../src/pg/sql.ts';
import { asChange } from '../../src/snapshot/as-change.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { retryObjects } from '../../src/snapshot/retry.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, listening } from '../support/copied.ts';
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
