// Partitioned tables that are on the target before the mirror: what they lack of the source's partitions, and how else they are divided.
import { expect, test } from 'vitest';
import { objectKey } from '../../src/mirror/object.ts';
import type { MirrorWork } from '../../src/mirror/work.ts';
import { preflight } from '../../src/peers/preflight.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { expectEqualTables } from '../support/compare.ts';
import { claim, copyAll, listening, mirrorWork, pinned, table } from '../support/copied.ts';
import { databaseWork, exceptions, type Sides, sides } from '../support/database.ts';
import type { TestDatabase } from '../support/servers.ts';

const never = new AbortController().signal;

const root = 'create table p (id int, k int not null, v text, primary key (k, id)) partition by range (k)';
const two = `create table p1 partition of p for values from (0) to (10);
  create table p2 partition of p for values from (10) to (20)`;
// A default in a schema of its own, one that is divided again, and one with more of its own.
const rest = `create table p3 partition of p for values from (20) to (30); create index p3_v on p3 (v); alter table p3 add check (id > 0);
  create table p4 partition of p for values from (30) to (50) partition by hash (id);
  create table p4_a partition of p4 for values with (modulus 2, remainder 0); create table p4_b partition of p4 for values with (modulus 2, remainder 1);
  create table aside.p5 partition of p default`;
const rows = `insert into p select i, i % 60, 'v' || i from generate_series(1, 600) i`;
const whole = `create schema aside; ${root}; ${two}; ${rest}; ${rows}`;

async function warned(w: Sides, work: MirrorWork) {
  await using source = await pinned(w.from);
  await using target = await pinned(w.to);
  const { findings } = await preflight(source, target, work);
  return findings.filter(({ state }) => state === 'error' || state === 'warning');
}

/** Each table, what it is part of, how, and its rows. */
async function partitions({ exec }: TestDatabase) {
  return await exec(`select c.oid::regclass::text as name, i.inhparent::regclass::text as parent, pg_get_expr(relpartbound, c.oid) as bound,
      (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %s', c.oid::regclass), false, true, '')))[1]::text as rows,
      array(select indexrelid::regclass::text from pg_index where indrelid = c.oid order by 1) as indexes
    from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where relkind in ('r', 'p') and relnamespace in (select oid from pg_namespace where nspname in ('public', 'aside')) order by 1`);
}

test.each([
  [18, 18, two],
  [14, 18, 'select 1'],
  [18, 14, `${two}; create table p4 (v text, k int not null, id int not null) partition by hash (id)`],
] as const)('partitions that a table of the target lacks are made: %i to %i, with %s', async (from, to, stood) => {
  await using w = await sides(whole, `${root}; ${stood}`, [from, to]);
  const work = await databaseWork(w);
  expect(await warned(w, work)).toEqual([]);
  const told = await copyAll(work);
  expect(exceptions(told)).toEqual([]);
  expect(told.objects.get(objectKey({ kind: 'table', schema: 'public', name: 'p3', table: '' }))).toMatchObject({
    state: 'created',
  });
  const [ours, theirs] = [await partitions(w.to), await partitions(w.from)];
  expect(ours).toEqual(theirs);
});

test('they are made once, whenever the mirror is killed', async () => {
  await using w = await sides(whole, `${root}; create table p3 (like p); ${two}`);
  const work = await databaseWork(w);
  await claim(work);
  await prepareTarget(listening(work), never);
  await w.to.exec('alter table p detach partition p3; drop table p4');
  for (const step of [prepareTarget, runSnapshot, finishSnapshot]) await step(listening(work), never);
  expect(await partitions(w.to)).toEqual(await partitions(w.from));
});

test('what stands by itself and holds rows is not attached, and nothing is made where nothing may be', async () => {
  await using w = await sides(whole, `${root}; create table p3 (like p); insert into p3 values (1, 2, 'theirs')`);
  const before = await partitions(w.to);
  const work = await databaseWork(w);
  await claim(work);
  await expect(prepareTarget(listening(work), never)).rejects.toMatchObject({
    kind: 'wrong_state',
    message: 'target table public.p3 has rows',
  });
  await w.to.exec('drop table p3');
  const without = { ...work, options: { ...work.options, schema: 'none' as const } };
  const lacking = 'public.p has no partition DEFAULT on the target, as is aside.p5 on the source';
  expect(await warned(w, without)).toMatchObject([
    { check: 'schema of the target', detail: expect.stringContaining(lacking) },
  ]);
  await expect(prepareTarget(listening(without), never)).rejects.toMatchObject({
    kind: 'wrong_state',
    detail: expect.stringContaining('public.p has no partition FOR VALUES FROM (30) TO (50) on the target'),
  });
  expect(await partitions(w.to)).toEqual(before.filter(({ name }) => name !== 'p3'));
});

test.each([
  [
    'wider columns',
    'create table p (id bigint, k int not null, v text, primary key (k, id)) partition by range (k)',
    {},
  ],
  ['a column of its own', root.replace('v text', `v text, extra text default 'e'`), {}],
  ['a column that the mirror fills', root, { soft_delete: true, initial_copy_only: false, do_initial_copy: true }],
])('partitions have the columns of their table there: with %s', async (_, stood, options) => {
  await using w = await sides(whole, `${stood}; ${two}; create table p3 (like p including defaults)`);
  const work = await databaseWork(w, options);
  expect(await warned(w, work)).toEqual([]);
  await copyAll(work);
  const where = async (db: TestDatabase) =>
    (await partitions(db)).map(({ name, parent, bound, rows }) => ({ name, parent, bound, rows }));
  expect(await where(w.to)).toEqual(await where(w.from));
  await expectEqualTables(w.from.connection, w.to.connection, [table('p')]);
});

test('what a partition that takes the columns of its table says otherwise is said of it at once', async () => {
  await using w = await sides(
    `create table e (a int, b date, t text) partition by range (a, b);
     create table e1 partition of e for values from (minvalue, minvalue) to (10, '2020-01-01'); alter table e1 alter t set default 'own';
     alter table e1 replica identity full; create table e2 partition of e for values from (10, '2020-01-01') to (maxvalue, maxvalue);
     insert into e values (1, '2020-01-01', 'x'), (11, '2020-01-01', 'y')`,
    'create table e (a bigint, b date, t text) partition by range (a, b)',
  );
  expect(exceptions(await copyAll(await databaseWork(w)))).toEqual([]);
  const said = await w.to.exec(`select relreplident as identity, pg_get_expr(d.adbin, d.adrelid) as value
    from pg_class c join pg_attrdef d on d.adrelid = c.oid where relname = 'e1'`);
  expect(said).toEqual([{ identity: 'f', value: "'own'::text" }]);
});

test('a column of the target that only its identity fills is refused where partitions have none', async () => {
  const counted = root.replace('v text', 'v text, z int generated by default as identity');
  await using old = await sides(whole, `${counted}; ${two}`, [18, 14]);
  const problem = 'public.p.z is an identity, which partitions have from PostgreSQL 17 on, and not on the source';
  expect(await warned(old, await databaseWork(old))).toMatchObject([{ message: expect.stringContaining(problem) }]);
  await using late = await sides(whole, `${counted}; ${two}`);
  const work = await databaseWork(late);
  expect(await warned(late, work)).toEqual([]);
  await copyAll(work);
  await expectEqualTables(late.from.connection, late.to.connection, [table('p')]);
});

test('bounds are the same in whatever order and type their values are written', async () => {
  const kinds = 'create table l (id int, kind text) partition by list (kind)';
  await using w = await sides(
    `create table n (id int primary key) partition by range (id); create table n1 partition of n for values from (0) to (10);
     create table n2 partition of n for values from (-10) to (0); insert into n select generate_series(-5, 5);
     ${kinds}; create table l1 partition of l for values in ('a', 'b, c', '7', 'it''s'); create table l2 partition of l for values in (null, 'd');
     insert into l values (1, 'b, c'), (2, null), (3, 'it''s'), (4, '7')`,
    `create table n (id bigint primary key) partition by range (id); create table n1 partition of n for values from (0) to (10);
     ${kinds}; create table l1 partition of l for values in ('it''s', '7', 'b, c', 'a')`,
  );
  const work = await databaseWork(w);
  expect(await warned(w, work)).toEqual([]);
  await copyAll(work);
  await expectEqualTables(w.from.connection, w.to.connection, [table('n'), table('l'), table('n2'), table('l2')]);
});

test('resync makes anew what stands in the place of a partition', async () => {
  await using w = await sides(
    whole,
    `${root}; ${two}; create table p3 (like p); insert into p3 values (1, 2, 'theirs'); create table p4 (other int); insert into p4 values (1)`,
  );
  const work = await databaseWork(w, { resync: true });
  expect(await warned(w, work)).toEqual([]);
  await copyAll(work);
  expect(await partitions(w.to)).toEqual(await partitions(w.from));
});

test('resync drops nothing where something else cannot be made', async () => {
  await using w = await sides(
    `${whole}; create table q (id int primary key)`,
    `${root}; create table p1 (like p); insert into p1 values (1, 2, 'theirs'); create table q (other int);
     create table apart (like p) partition by range (k); create table p2 partition of apart for values from (10) to (20)`,
  );
  const before = await partitions(w.to);
  const work = await databaseWork(w, { resync: true });
  const problem = 'public.p2 is a partition of public.apart on the target';
  expect(await warned(w, work)).toMatchObject([
    { check: 'schema of the target', message: expect.stringContaining(problem) },
  ]);
  await claim(work);
  await expect(prepareTarget(listening(work), never)).rejects.toMatchObject({
    kind: 'wrong_state',
    message: expect.stringContaining(problem),
  });
  expect(await partitions(w.to)).toEqual(before);
});

test('a part of a partition that takes the columns of its table may stand by itself', async () => {
  const source = `${root}; create table p4 partition of p for values from (0) to (50) partition by hash (id);
    create table p4_a partition of p4 for values with (modulus 2, remainder 0); create table p4_b partition of p4 for values with (modulus 2, remainder 1);
    create view of_part as select p4_b from p4_b; insert into p select i, i, 'v' from generate_series(1, 40) i`;
  const wider = root.replace('v text', `v text, extra text default 'e'`);
  await using w = await sides(source, `${wider}; create table p4_a (like p including all)`);
  const work = await databaseWork(w);
  expect(await warned(w, work)).toEqual([]);
  expect(exceptions(await copyAll(work))).toEqual([]);
  const where = async (db: TestDatabase) =>
    (await partitions(db)).map(({ name, parent, bound, rows }) => ({ name, parent, bound, rows }));
  expect(await where(w.to)).toEqual(await where(w.from));
  await using without = await sides(source, `${wider}; create table p4_a (like p including all, more int)`);
  const problem = 'public.p4_a cannot be a partition of public.p4 on the target: it has a column more of its own';
  expect(await warned(without, await databaseWork(without))).toMatchObject([
    { message: expect.stringContaining(problem) },
  ]);
});

test.each([
  ['all partitions', two],
  ['one of them', 'create table p1 partition of p for values from (0) to (10)'],
])(
  'an index of the target that has those of the partitions is the one, whatever its name is: with %s',
  async (_, stood) => {
    await using w = await sides(
      `${root}; ${two}; create index p_v on p (v); create index p_id on p (id); alter table p add constraint p_u unique (v, k);
     comment on index p_v is 'by v';
     insert into p select i, i, 'v' || i from generate_series(1, 15) i`,
      `${root}; ${stood}; create index theirs on p (v); create index p_id on p (id); alter table p add constraint p1_v_k_key2 unique (v, k)`,
    );
    const told = await copyAll(await databaseWork(w));
    expect(exceptions(told)).toEqual([]);
    const line = (name: string) =>
      told.objects.get(objectKey({ kind: 'index', schema: 'public', name, table: 'public.p' }));
    expect(line('p_v')).toMatchObject({ state: 'existed', reason: 'as public.theirs' });
    expect(line('p_id')?.reason).toBeUndefined();
    expect(await w.to.exec(`select obj_description('theirs'::regclass) as says`)).toEqual([{ says: 'by v' }]);
    const parts = async (index: string) =>
      await w.to.exec(`select i.inhrelid::regclass::text as part, x.indrelid::regclass::text as of from pg_inherits i
      join pg_index x on x.indexrelid = i.inhrelid where i.inhparent = '${index}'::regclass order by 1`);
    expect(await parts('theirs')).toEqual([
      { part: 'p1_v_idx', of: 'p1' },
      { part: 'p2_v_idx', of: 'p2' },
    ]);
  },
);

test('what stands in the place of a partition and cannot be one is told of before anything is made', async () => {
  await using w = await sides(
    `${whole}; create table q (id int primary key); insert into q values (1)`,
    `${root}; create table p1 (id int, k int not null, v varchar, primary key (k, id)); create table p2 (like p, more int);
     create table p3 partition of p for values from (30) to (50); create table aside (id int primary key) partition by range (id);
     create table q partition of aside for values from (0) to (100)`,
  );
  const before = await partitions(w.to);
  const work = await databaseWork(w);
  const place = 'cannot be a partition of public.p on the target';
  const problems = [
    `public.p1 ${place}: v is character varying, not text`,
    `public.p2 ${place}: it has a column more of its own`,
    `public.p3 ${place}: it is FOR VALUES FROM (30) TO (50) there and FOR VALUES FROM (20) TO (30) on the source`,
  ];
  const told = (await warned(w, work)).map(({ message, detail }) => `${message}\n${detail}`).join('\n');
  for (const problem of problems) expect(told).toContain(problem);
  await claim(work);
  await expect(prepareTarget(listening(work), never)).rejects.toMatchObject({ kind: 'wrong_state' });
  expect(await partitions(w.to)).toEqual(before);
  // A partition of what is none of the mirror's is anybody's own affair.
  expect(told).not.toContain('public.q');
  await w.from.exec('create table aside (id int primary key)');
  const mixed = (await warned(w, await databaseWork(w))).map(({ detail }) => detail).join('\n');
  expect(mixed).toContain('public.q is a partition of public.aside on the target, which the mirror fills, too');
});

test('one that is divided otherwise is used as it is, and told of where a row may have no place', async () => {
  const tables =
    'create table p (id int primary key, k int) partition by range (id); create table q (like p) partition by hash (id)';
  await using w = await sides(
    `${tables}; create table p1 partition of p for values from (0) to (10); create table p2 partition of p for values from (10) to (20);
     create table q1 partition of q for values with (modulus 1, remainder 0);
     create table r (id int primary key); insert into p select i, i from generate_series(1, 19) i; insert into q select i, i from generate_series(1, 19) i`,
    `${tables}; create table early partition of p for values from (0) to (15);
     create table q_even partition of q for values with (modulus 2, remainder 0); create table q_odd partition of q for values with (modulus 2, remainder 1);
     create table r (id int primary key) partition by range (id)`,
  );
  const work = mirrorWork(w, [table('p'), table('q'), table('r')], { initial_copy_only: true });
  expect(await warned(w, work)).toMatchObject([
    {
      state: 'warning',
      check: 'partitions of target tables',
      detail:
        'public.p (RANGE (id), 1 partitions)\npublic.q (HASH (id), 2 partitions)\npublic.r (RANGE (id), 0 partitions)',
    },
  ]);
  await expect(copyAll(work)).rejects.toMatchObject({
    message: expect.stringContaining('no partition of relation "p" found for row'),
    detail: expect.stringContaining('(id) = (15)'),
  });
  await w.to.exec('create table late partition of p default; truncate p, q; drop schema _sluice cascade');
  expect((await warned(w, work)).map(({ detail }) => detail)).toEqual([
    'public.q (HASH (id), 2 partitions)\npublic.r (RANGE (id), 0 partitions)',
  ]);
  await copyAll(work);
  await expectEqualTables(w.from.connection, w.to.connection, [table('p'), table('q')]);
});
