// Large objects: copied with the rows that refer to them, under the same OIDs, whoever owns them, wherever the copy was killed.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { OptionValue } from '../../src/base/options.ts';
import type { MirrorWork } from '../../src/mirror/work.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, copyAll, listening, mirrorWork, type Told, table } from '../support/copied.ts';
import { running } from '../support/running.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

const never = new AbortController().signal;

function workOf(
  from: TestDatabase,
  to: TestDatabase,
  options: Readonly<Record<string, OptionValue>> = { initial_copy_only: true },
): MirrorWork {
  return { ...mirrorWork({ from, to }, [table('doc')], options), scope: { kind: 'all' } };
}

/** All of them: OID, length and a sum of the bytes. */
async function contents(db: TestDatabase) {
  return await db.exec<{ oid: number; size: number; sum: string }>(
    `select oid, length(lo_get(oid)) as size, md5(lo_get(oid)) as sum from pg_largeobject_metadata order by oid`,
  );
}

function lines(told: Told) {
  return [...told.objects.values()]
    .filter(({ kind }) => kind === 'large object')
    .map(({ name, state, reason, statement }) => ({ name, state, reason, statement }));
}

const some = `create table doc (id int primary key, body oid);
  insert into doc values (1, lo_from_bytea(70001, 'one')), (2, lo_from_bytea(70002, '')), (3, lo_from_bytea(4200000000, '\\x00ff5c'));
  select lo_put(70002, 300000, 'after a gap');`;

test.each([
  [18, 18],
  [14, 18],
  [18, 14],
] as const)(
  'large objects keep their OIDs and bytes from PostgreSQL %i to %i, many small ones and a large one',
  async (source, target) => {
    await using from = await testDatabase(source);
    await using to = await testDatabase(target);
    await from.exec(`${some} select count(lo_from_bytea(0, convert_to(repeat(i::text, i % 300), 'UTF8'))) from generate_series(1, 10000) i;
    select lo_from_bytea(99, ''); select lo_put(99, (i - 1) * 1000000, decode(repeat(md5(i::text), 31250), 'hex') || decode(repeat(md5(i::text), 31250), 'hex'))
      from generate_series(1, 24) i`);
    const told = await copyAll(workOf(from, to));
    expect(await contents(to)).toEqual(await contents(from));
    expect(lines(told)).toEqual([
      { name: 'all', state: 'created', reason: '10004 large objects were copied', statement: undefined },
    ]);
    expect(await to.exec(`select convert_from(lo_get(body), 'UTF8') as body from doc where id = 1`)).toEqual([
      { body: 'one' },
    ]);
    const left = `select relname from pg_class where relname like 'large_object_bytes%'`;
    expect(await to.exec(left)).toEqual([]);
  },
);

test('OIDs that are taken on the target are refused with their list, and replaced where the mirror may replace', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await from.exec(some);
  await to.exec(`select lo_from_bytea(70001, 'theirs'), lo_from_bytea(70002, 'theirs'), lo_from_bytea(5, 'other')`);
  await expect(copyAll(workOf(from, to))).rejects.toMatchObject({
    kind: 'wrong_state',
    detail: expect.stringContaining('70001, 70002'),
  });
  await copyAll(workOf(from, to, { initial_copy_only: true, resync: true }));
  const [other, ...rest] = await contents(to);
  expect(other?.oid).toBe(5);
  expect(rest).toEqual(await contents(from));
});

test('large objects that our role may not read are told with the statement that lets it, the others arrive', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  const role = `lo_${randomBytes(4).toString('hex')}`;
  await from.exec(`${some} create role ${role} login replication password 'x'; grant select on doc to ${role};
    alter large object 70001 owner to ${role}; grant select on large object 70002 to public`);
  try {
    const work = workOf(from, to);
    const told = await copyAll({ ...work, source: { ...work.source, user: role, password: 'x' } });
    expect((await contents(to)).map(({ oid }) => oid)).toEqual([70001, 70002]);
    expect(lines(told)).toContainEqual({
      ...{ name: 'unreadable', state: 'left_out' },
      reason: '1 large objects cannot be read by our role on the source: 4200000000',
      statement: `grant select on large object 4200000000 to "${role}"`,
    });
  } finally {
    for (const db of [from, to]) await db.exec(`drop owned by ${role}`);
    await from.exec(`drop role ${role}`);
  }
});

test.each([
  ['follows', {}],
  ['only copies', { initial_copy_only: true }],
])(
  'a copy of large objects that was ended in the middle is right at the end of the next, if the mirror %s',
  async (_, options) => {
    await using from = await testDatabase(18);
    await using to = await testDatabase(18);
    await from.exec(
      `${some} select count(lo_from_bytea(100000 + i, convert_to(i::text, 'UTF8'))) from generate_series(1, 5000) i`,
    );
    const work = workOf(from, to, { ...options, snapshot_num_tables_in_parallel: 1 });
    const deps = listening(work);
    await claim(work);
    await prepareTarget(deps, never);
    const stop = new AbortController();
    const objects = deps.report.objects.bind(deps.report);
    let told = 0;
    await to.exec(`create schema if not exists _sluice; create table public.seen (n bigint)`);
    const report = {
      ...deps.report,
      async objects(all: Parameters<typeof objects>[0]) {
        await objects(all);
        if (all.some(({ kind, state }) => kind === 'large object' && state === 'making')) told++;
        // As soon as the first thousand are there.
        const watch = async () => {
          for (;;) {
            const [row] = await to.exec<{ n: number }>('select count(*)::int as n from pg_largeobject_metadata');
            if ((row?.n ?? 0) > 0) return stop.abort();
          }
        };
        if (told === 1) void watch();
      },
    };
    await runSnapshot({ ...deps, report }, stop.signal).catch(() => {});
    const [between] = await to.exec<{ n: number }>('select count(*)::int as n from pg_largeobject_metadata');
    expect(between?.n).toBeGreaterThan(0);
    await from.exec(`select lo_unlink(100001); select lo_unlink(104999); select lo_from_bytea(200000, 'new')`);
    await runSnapshot(deps, never);
    expect(await contents(to)).toEqual(await contents(from));
    const [line] = lines(deps.told);
    expect(line).toMatchObject({ name: 'all', state: 'created' });
    if (work.slot !== null) {
      expect(line?.reason).toMatch(
        /^5002 large objects were copied as of [0-9A-F]+\/[0-9A-F]+; changes of large objects/,
      );
      await from.exec(`select pg_drop_replication_slot('${work.slot.name}')`);
    }
  },
);

test('EXPLAIN says before anything is made that changes of large objects do not follow, and which OIDs are taken', async () => {
  await using from = await testDatabase(18);
  await using to = await testDatabase(18);
  await using it = await running(from, to);
  await from.exec(some);
  const found = async (rest: string) => {
    const rows = await it.world.show(`explain create mirror lo_found from src to dst ${rest}`);
    return rows.filter(({ check }) => check === 'large objects').map(({ state, message }) => `${state}: ${message}`);
  };
  expect(await found('for all tables')).toEqual([
    'ok: their OIDs are free on the target',
    'warning: large objects are copied once: no stream holds their changes',
  ]);
  expect(await found('with table mapping (public.doc:public.doc)')).toEqual([
    'warning: the source has large objects, which this mirror leaves out',
  ]);
  await to.exec(`select lo_from_bytea(70001, 'theirs')`);
  const taken = await it.world.say('create mirror lo_found from src to dst for all tables').catch((error) => error);
  expect(taken).toMatchObject({ sqlstate: '55000', detail: expect.stringContaining('these are taken: 70001.') });
  expect(await found('for all tables with (resync = true, initial_copy_only = true)')).toEqual([
    'ok: 1 of the target are to be replaced',
  ]);
});
