// The primary key of a large table is built as an index, beside the others of that table, and made its key after that; that of a
// small one is made at once, with all else of its table.
import { expect, test } from 'vitest';
import { objectKey } from '../../src/mirror/object.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { retryObjects } from '../../src/snapshot/retry.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, copyAll, listening, mirrorWork, table } from '../support/copied.ts';
import { printObjects } from '../support/objects.ts';
import { type SharedMajor, type TestDatabase, testDatabase } from '../support/servers.ts';

const never = new AbortController().signal;
const copyOnly = { initial_copy_only: true };

// About 10 MB.
const large = `create table t (id int not null, v text, w int, constraint "the key" primary key (id) include (w) with (fillfactor = 80) deferrable initially deferred);
  create index t_v on t (v); create unique index t_w on t (w);
  comment on constraint "the key" on t is 'tells rows apart'; comment on index "the key" is 'its index';
  insert into t select i, repeat('x', 400), i from generate_series(1, 24000) i; analyze t`;

const small = large.replace('24000', '100');

async function copied(from: TestDatabase, to: TestDatabase) {
  const work = mirrorWork({ from, to }, [table('t')], copyOnly);
  await claim(work);
  await prepareTarget(listening(work), never);
  await runSnapshot(listening(work), never);
  return listening(work);
}

test.for<[SharedMajor, SharedMajor]>([
  [18, 18],
  [14, 14],
])('the key of a large table stands with all its settings, from PostgreSQL %i to %i', async ([source, target]) => {
  await using from = await testDatabase(source);
  await using to = await testDatabase(target);
  await from.exec(large);
  const told = await copyAll(mirrorWork({ from, to }, [table('t')], copyOnly));
  const [key] = [...told.objects.values()].filter(({ kind }) => kind === 'primary key');
  expect(key).toMatchObject({ state: 'created', stage: 'indexes', name: 'the key' });
  expect(key?.statement).toContain('create unique index "the key"');
  expect(key?.statement).toContain('primary key using index "the key" deferrable initially deferred');
  expect(await printObjects(to)).toEqual(await printObjects(from));
});

test.for<[SharedMajor, SharedMajor]>([
  [18, 18],
  [14, 14],
])(
  'the key of a small table is one statement, with all its settings, from PostgreSQL %i to %i',
  async ([source, target]) => {
    await using from = await testDatabase(source);
    await using to = await testDatabase(target);
    await from.exec(small);
    const told = await copyAll(mirrorWork({ from, to }, [table('t')], copyOnly));
    const [key] = [...told.objects.values()].filter(({ kind }) => kind === 'primary key');
    expect(key).toMatchObject({ state: 'created', stage: 'indexes', name: 'the key' });
    expect(key?.statement).toMatch(
      /^alter table "public"."t" add constraint "the key" PRIMARY KEY \(id\) INCLUDE \(w\) with \(.*fillfactor.*\) DEFERRABLE INITIALLY DEFERRED$/,
    );
    expect(await printObjects(to)).toEqual(await printObjects(from));
  },
);

test('a key whose index stands already, of a try that ended in between, takes that index', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await from.exec(large);
  const deps = await copied(from, to);
  await to.exec(`create unique index "the key" on t (id) include (w) with (fillfactor = 80)`);
  const [before] = await to.exec(`select '"the key"'::regclass::oid::int8 as oid`);
  await finishSnapshot(deps, never);
  expect(await to.exec(`select '"the key"'::regclass::oid::int8 as oid`)).toEqual([before]);
  expect(await printObjects(to)).toEqual(await printObjects(from));
});

test.for([
  ['large', large],
  ['small', small],
] as const)('a %s table that cannot have its key keeps the step from ending, and says why', async ([, fill]) => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await from.exec(fill);
  const deps = await copied(from, to);
  await to.exec('insert into t values (7, null, -7)');
  await expect(finishSnapshot(deps, never)).rejects.toMatchObject({
    kind: 'upstream',
    sqlstate: '23505',
    message: expect.stringMatching(/^cannot add the keys of public\.t on the target: could not create unique index/),
  });
  await to.exec('delete from t where w = -7');
  await finishSnapshot(deps, never);
  expect(await printObjects(to)).toEqual(await printObjects(from));
});

test('an index of that name that is another is not taken for the key', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await from.exec(large);
  const deps = await copied(from, to);
  await to.exec(`create unique index "the key" on t (w)`);
  await expect(finishSnapshot(deps, never)).rejects.toThrow(
    'cannot add the keys of public.t on the target: public."the key" stands on the target and is USING btree (w)',
  );
});

test.for<[SharedMajor, SharedMajor]>([
  [14, 18],
  [18, 14],
])(
  'a replica identity by the key’s own index is one on the target too, from PostgreSQL %i to %i',
  async ([source, target]) => {
    await using from = await testDatabase(source);
    await using to = await testDatabase(target);
    const known = (name: string) => `alter table ${name} replica identity using index ${name}_pkey`;
    await from.exec(`create table small (id int primary key); insert into small values (1); ${known('small')};
    create table large (id int primary key, v text); ${known('large')};
    insert into large select i, repeat('x', 400) from generate_series(1, 24000) i;
    create table parted (id int primary key) partition by range (id); ${known('parted')};
    create table parted_1 partition of parted for values from (0) to (10); ${known('parted_1')};
    create table other (id int primary key, v int not null unique); alter table other replica identity using index other_v_key`);
    const tables = ['small', 'large', 'parted', 'other'].map((name) => table(name));
    const told = await copyAll(mirrorWork({ from, to }, tables, copyOnly));
    expect(await printObjects(to)).toEqual(await printObjects(from));
    const lines = [...told.objects.values()].filter(({ name }) => name.startsWith('replica identity'));
    expect(lines.map(({ name, state }) => `${name}: ${state}`).toSorted()).toEqual([
      'replica identity by large_pkey: created',
      'replica identity by parted_1_pkey: created',
      'replica identity by parted_pkey: created',
      'replica identity by small_pkey: created',
    ]);
  },
);

test('indexes and statistics that RETRY makes have their statistics', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await from.exec(`create table "Table" (id int primary key, v text, w int); insert into "Table" select i, i % 10, i % 7 from generate_series(1, 1000) i;
    create index expressed on "Table" (upper(v)); create statistics both_of (ndistinct) on v, w from "Table"`);
  const work = mirrorWork({ from, to }, [table('Table')], copyOnly);
  await copyAll(work);
  await to.exec('drop index expressed; drop statistics both_of');
  const unmade = [
    {
      kind: 'index',
      schema: 'public',
      name: 'expressed',
      table: 'public."Table"',
      stage: 'indexes',
      state: 'left_out',
    },
    {
      kind: 'statistics',
      schema: 'public',
      name: 'both_of',
      table: 'public."Table"',
      stage: 'statistics',
      state: 'left_out',
    },
  ] as const;
  await retryObjects(listening(work), new Map(unmade.map((each) => [objectKey(each), each])), never);
  expect(await to.exec("select attname from pg_stats where tablename = 'expressed'")).toEqual([{ attname: 'upper' }]);
  expect(await to.exec('select stxdndistinct is not null as there from pg_statistic_ext_data')).toEqual([
    { there: true },
  ]);
});
