// The primary key of a large table is built as an index, beside the others of that table, and made its key after that; that of a
// small one is made at once, with all else of its table.
import { expect, test } from 'vitest';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
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
