// What finishing wants of the source is read while the target makes tables, and counts only while the source stays so.
import { expect, test } from 'vitest';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { SourceMemory } from '../../src/snapshot/known-source.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, listening, pinned } from '../support/copied.ts';
import { databaseWork, exceptions, sides } from '../support/database.ts';
import { printObjects } from '../support/objects.ts';
import { databaseOn, ownServer, testDatabase } from '../support/servers.ts';

const never = new AbortController().signal;

const source = `create table t (id int primary key, v text); insert into t select i, 'v' from generate_series(1, 20) i; create index t_v on t (v);
  create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (10);
  create view seen as select v from t; create function f() returns int language sql as 'select 1'`;

test.each([
  [14, 'copied', { initial_copy_only: true }],
  [18, 'followed', {}],
] as const)('the source of PostgreSQL %i is read once where it stays as it was, %s', async (major, _, options) => {
  // One of its own: databases that others make are in catalogs that all share.
  await using own = await ownServer({ major });
  await using from = await databaseOn(own.server.config(), major);
  await using to = await testDatabase(18);
  await from.exec(source);
  const work = await databaseWork({ from, to }, options);
  const memory = new SourceMemory();
  const deps = { ...listening(work), memory };
  await claim(work);
  await prepareTarget(deps, never);
  await runSnapshot(deps, never);
  await using reader = await pinned(from);
  const ahead = await memory.take(work, reader);
  expect(ahead?.known.slices.flatMap(({ trees }) => trees.map(({ mapping }) => mapping.from.name))).toEqual(['p', 't']);
  expect(await memory.take(work, reader)).toBeNull();
  if (ahead !== null) memory.keep(work, ahead);
  await finishSnapshot(deps, never);
  expect(exceptions(deps.told)).toEqual([]);
  expect(await printObjects(to)).toEqual(await printObjects(from));
});

test('what the source changed since is read anew', async () => {
  await using it = await sides(source);
  const work = await databaseWork(it);
  const memory = new SourceMemory();
  const deps = { ...listening(work), memory };
  await claim(work);
  await prepareTarget(deps, never);
  await it.from.exec(
    'drop index t_v; create index later on t (v desc); create or replace view seen as select v, id from t; drop function f()',
  );
  await runSnapshot(deps, never);
  await finishSnapshot(deps, never);
  const left = exceptions(deps.told).filter((line) => !line.startsWith('failed view public.seen'));
  expect(left).toEqual([]);
  const lines = (await printObjects(it.to)).filter((line) => line.includes('later') || line.includes('t_v'));
  expect(lines.join()).toMatch(/later/);
  expect(lines.join()).not.toMatch(/t_v/);
});

test('other tables, or other options, have not been read', async () => {
  await using it = await sides(source);
  const work = await databaseWork(it);
  const memory = new SourceMemory();
  await claim(work);
  await prepareTarget({ ...listening(work), memory }, never);
  await using reader = await pinned(it.from);
  expect(await memory.take({ ...work, tables: work.tables.slice(1) }, reader)).toBeNull();
});
