// What tables and their columns say themselves: where the target's says less at the end, a line says so, and RETRY mends it.
import { expect, test } from 'vitest';
import { type ObjectLine, objectKey } from '../../src/mirror/object.ts';
import type { MirrorWork } from '../../src/mirror/work.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { retryObjects } from '../../src/snapshot/retry.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, copyAll, listening, type Told, whenMaking } from '../support/copied.ts';
import { databaseWork, exceptions, sides } from '../support/database.ts';
import { columnsOf } from '../support/ddl.ts';
import { printObjects } from '../support/objects.ts';
import type { TestDatabase } from '../support/servers.ts';

const never = new AbortController().signal;

const source = `create table t (id int generated always as identity primary key, a text default 'x' || 'y', b int not null default 7,
    c text, g int generated always as (b + 1) stored, s varchar(20)) with (fillfactor = 70);
  alter table t alter c set statistics 77, alter c set storage external, alter c set (n_distinct = 5); alter table t replica identity full;
  insert into t (c) select 'c' || i from generate_series(1, 30) i; create index t_up on t (upper(c)); alter index t_up alter 1 set statistics 55;
  create table u (id int primary key); insert into u values (1); create unlogged table w (id int primary key);
  create table p (id int, k int not null, primary key (id, k)) partition by range (k);
  create table p1 partition of p for values from (0) to (10); create table "P 2" partition of p default;
  create index p_id on p (id); insert into p select i, i from generate_series(1, 20) i; create view v as select * from t`;

// The last is another's to say: an older server has no such parameter.
const late = 'alter table u set (autovacuum_vacuum_max_threshold = 5)';

const byHand = `alter table t alter a drop default, alter b drop not null, alter b set default 8, alter g drop expression,
    alter id drop identity, alter c set statistics -1, alter c set storage plain, alter c reset (n_distinct), reset (fillfactor),
    replica identity default; alter index t_up alter 1 set statistics -1;
  alter table u drop constraint u_pkey; alter table w set logged; alter table p detach partition "P 2"`;

async function changedWhileFinishing(work: MirrorWork, to: TestDatabase, change: string): Promise<Told> {
  const isView = ({ name, kind }: ObjectLine) => name === 'v' && kind === 'view';
  const deps = whenMaking(withLedger(work), isView, () => to.exec(change));
  await claim(work);
  for (const step of [prepareTarget, runSnapshot, finishSnapshot]) await step(deps, never);
  expect(deps.acted()).toBe(true);
  return deps.told;
}

// As a runner, which knows what the mirror made.
function withLedger(work: MirrorWork, told?: Told) {
  const deps = listening(work);
  for (const line of told?.objects.values() ?? []) deps.told.objects.set(objectKey(line), line);
  const made = async () => {
    const lines = [...deps.told.objects].filter(([, { kind, state }]) => kind === 'table' && state === 'created');
    return new Set(lines.map(([key]) => key));
  };
  return { ...deps, made };
}

async function retried(work: MirrorWork, told: Told): Promise<Told> {
  const unmade = [...told.objects.values()].filter(({ state }) => state !== 'created' && state !== 'existed');
  const deps = withLedger(work, told);
  await claim(work);
  await retryObjects(deps, new Map(unmade.map((line) => [objectKey(line), line])), never);
  return deps.told;
}

const lost = 'it is not on the target any more as it was made, or was changed on the source since';
const apart = 'it is no partition of public.p on the target';

test.each([
  [18, 18, true],
  [14, 18, false],
  [18, 14, true],
] as const)(
  'what a hand changes of tables while the mirror finishes has a line, and RETRY mends it: %i to %i, copy only: %s',
  async (from, to, alone) => {
    await using it = await sides(from === 18 ? `${source}; ${late}` : source, 'select 1', [from, to]);
    const work = await databaseWork(it, { initial_copy_only: alone });
    const told = await changedWhileFinishing(work, it.to, byHand);
    // No statement brings these back as they were: they stay failed.
    const lasting = [
      'property public.generated column g of public.t: it is a plain column on the target',
      'property public.identity of id of public.t: the target has none',
    ];
    const unknown =
      from === 18 && to === 14
        ? [
            'left_out property public.storage parameter autovacuum_vacuum_max_threshold of public.u: it needs PostgreSQL 18 on the target',
          ]
        : [];
    expect(exceptions(told)).toEqual(
      [
        ...unknown,
        ...lasting.map((line) => `failed ${line}`),
        'failed property public.default of a of public.t: the target has none',
        'failed property public.default of b of public.t: it is 8 on the target',
        'failed property public.NOT NULL of b of public.t: the target’s column may be NULL',
        'failed property public.option n_distinct of c of public.t: the target has none',
        'failed property public.replica identity of public.t: it is default on the target and full on the source',
        'failed property public.statistics target of c of public.t: it is the default on the target',
        'failed property public.storage of c of public.t: it is plain on the target',
        'failed property public.storage parameter fillfactor of public.t: the target has none',
        'failed property public.unlogged of public.w: the table of the target is logged',
        `failed index public.t_up of public.t: ${lost}`,
        `failed primary key public.u_pkey of public.u: ${lost}`,
        `failed table public.P 2: ${apart}`,
        `failed index public.P 2_id_idx of public."P 2": table public."P 2": ${apart}`,
        `failed primary key public.P 2_pkey of public."P 2": table public."P 2": ${apart}`,
      ].toSorted(),
    );
    // The first brings the partition back, the second finds what it has.
    const again = await retried(work, await retried(work, told));
    expect(exceptions(again)).toEqual([...lasting.map((line) => `failed ${line}`), ...unknown]);
    await it.to.exec('alter table t alter id add generated always as identity');
    const side = async (db: TestDatabase) => (await printObjects(db)).filter((line) => !line.includes('_seq'));
    const [ours, theirs] = [await side(it.to), await side(it.from)];
    if (from === to) expect(ours).toEqual(theirs);
    const plain = (lines: readonly string[]) => lines.filter((line) => !line.startsWith('g '));
    expect(plain(await columnsOf(it.to, 't'))).toEqual(plain(await columnsOf(it.from, 't')));
  },
);

test('a table that stood before is told of where it says less, and stays so', async () => {
  const stood = `create table t (id int primary key, a text, b int default 8, c text, g int, s varchar(20));
    create table u (id int)`;
  await using it = await sides(source, stood);
  const work = await databaseWork(it);
  const told = await copyAll(work);
  const differences = [
    'property public.default of a of public.t: the target has none',
    'property public.default of b of public.t: it is 8 on the target',
    'property public.generated column g of public.t: it is a plain column on the target',
    'property public.identity of id of public.t: the target has none',
    'property public.NOT NULL of b of public.t: the target’s column may be NULL',
    'property public.option n_distinct of c of public.t: the target has none',
    'property public.replica identity of public.t: it is default on the target and full on the source',
    'property public.statistics target of c of public.t: it is the default on the target',
    'property public.storage of c of public.t: it is default on the target',
    'property public.storage parameter fillfactor of public.t: the target has none',
  ];
  expect(exceptions(told)).toEqual(differences.map((line) => `left_out ${line}`).toSorted());
  expect(told.notes.filter((note) => note.includes('differ'))).toEqual([]);
  const { statement } = told.objects.get(
    objectKey({ kind: 'property', schema: 'public', name: 'NOT NULL of b', table: 'public.t' }),
  ) ?? { statement: '' };
  const before = await columnsOf(it.to, 't');
  expect(exceptions(await retried(work, told))).toEqual(exceptions(told));
  expect(await columnsOf(it.to, 't')).toEqual(before);
  // What the line says mends it, and RETRY sees that.
  await it.to.exec(statement ?? '');
  expect(exceptions(await retried(work, told))).toEqual(exceptions(told).filter((line) => !line.includes('NOT NULL')));
});

const more = `create table x (id int primary key, t text) with (toast.autovacuum_enabled = off); alter table x drop t;
  create table lg (id int primary key, d text default 'a b', e int default (1 - (2 - 3)), g int generated always as (id + 1) stored);
  create table ru (x int not null, y int); create unique index ru_i on ru (x); alter table ru replica identity using index ru_i;
  create table rv (x int not null, y int); create unique index rv_i on rv (x); alter table rv replica identity using index rv_i;
  create table q (id int primary key) partition by range (id); create table q1 partition of q for values from (0) to (10);
  create view v as select * from lg`;

test.each([
  [18, 18],
  [14, 18],
  [18, 14],
] as const)(
  'bounds, logging, what stands in quotes and identities by an index are looked at as well: %i to %i',
  async (from, to) => {
    await using it = await sides(more, 'select 1', [from, to]);
    const work = await databaseWork(it);
    const told = await changedWhileFinishing(
      work,
      it.to,
      `alter table lg set unlogged; alter table lg alter d set default 'ab', drop g; alter table lg add g int generated always as (id + 2) stored;
      ${from === to ? 'alter table lg alter e set default ((1 - 2) - 3);' : ''} drop index ru_i; alter table rv replica identity nothing;
      alter table q detach partition q1; alter table q attach partition q1 for values from (0) to (9)`,
    );
    const lasting = [
      'failed property public.bounds of public.q1: they are FOR VALUES FROM (0) TO (9) on the target and FOR VALUES FROM (0) TO (10) on the source',
      'failed property public.generated column g of public.lg: it is (id + 2) on the target',
    ];
    expect(exceptions(told)).toEqual(
      [
        ...lasting,
        "failed property public.default of d of public.lg: it is 'ab'::text on the target",
        ...(from === to ? ['failed property public.default of e of public.lg: it is ((1 - 2) - 3) on the target'] : []),
        'failed property public.logged of public.lg: the table of the target is unlogged',
        `failed property public.replica identity by ru_i of public.ru: ${lost}`,
        `failed property public.replica identity by rv_i of public.rv: ${lost}`,
        `failed index public.ru_i of public.ru: ${lost}`,
      ].toSorted(),
    );
    expect(exceptions(await retried(work, told))).toEqual(lasting);
    const identity = `select relname::text as name from pg_index i join pg_class c on c.oid = i.indexrelid where indisreplident order by 1`;
    expect(await it.to.exec(identity)).toEqual([{ name: 'ru_i' }, { name: 'rv_i' }]);
  },
);

test('a table of ours that lacks something when finishing begins has lost it, and RETRY brings it back', async () => {
  await using it = await sides(more);
  const work = await databaseWork(it);
  const deps = withLedger(work);
  await claim(work);
  await prepareTarget(deps, never);
  await it.to.exec('alter table lg alter d drop default; alter table ru alter y set default 1');
  await runSnapshot(deps, never);
  await finishSnapshot(deps, never);
  expect(exceptions(deps.told)).toEqual(['failed property public.default of d of public.lg: the target has none']);
  expect(exceptions(await retried(work, deps.told))).toEqual([]);
});
