// What belongs to the tables and is made after the load: the same on both sides, or in the ledger with the reason.
import { describe, expect, test } from 'vitest';
import { toSluiceError } from '../../src/base/errors.ts';
import type { OptionValue } from '../../src/base/options.ts';
import type { ObjectLine } from '../../src/mirror/object.ts';
import { applicationName, type MirroredTable } from '../../src/mirror/work.ts';
import { sql } from '../../src/pg/sql.ts';
import type { TableName } from '../../src/pg/table.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, copyAll, listening, mirrorWork, type Told, table } from '../support/copied.ts';
import { ordinaryRole, type Sides, sides } from '../support/database.ts';
import { printObjects } from '../support/objects.ts';

const never = new AbortController().signal;
const copyOnly = { initial_copy_only: true };

async function mirror(w: Sides, tables: readonly MirroredTable[], options: Readonly<Record<string, OptionValue>> = {}) {
  return await copyAll(mirrorWork(w, tables, { ...copyOnly, ...options }));
}

/** The ledger's lines that are not simply made. */
function exceptions(told: Told): readonly string[] {
  return [...told.objects.values()]
    .filter(({ state }) => state !== 'created' && state !== 'existed')
    .map((line) => `${line.state} ${line.kind} ${line.name} of ${line.table}: ${line.reason}`)
    .toSorted();
}

function lines(told: Told, kind: ObjectLine['kind']): readonly ObjectLine[] {
  return [...told.objects.values()].filter((line) => line.kind === kind);
}

const rich = `
  create extension btree_gist; create extension pg_trgm;
  create collation german (provider = icu, locale = 'de');
  create table people (id int primary key, mail text not null, name text collate german, born date, tags text[], doc jsonb,
    spot point, height int, boss int, notes text, at timestamptz default '2024-01-01', constraint adult check (height > 0) not valid);
  create unique index people_mail on people (lower(mail));
  create index people_born on people (born desc nulls last, id) include (name) where born is not null;
  create index people_name on people using btree (name text_pattern_ops, (notes || name) collate "C") with (fillfactor = 70);
  create index people_trgm on people using gin (notes gin_trgm_ops) with (fastupdate = off);
  create index people_tags on people using gin (tags);
  create index people_doc on people using gin (doc jsonb_path_ops);
  create index people_spot on people using gist (spot);
  create index people_quad on people using spgist (spot);
  create index people_at on people using brin (at timestamptz_minmax_multi_ops(values_per_range = 16)) with (pages_per_range = 8);
  create index people_sig on people using gist (notes gist_trgm_ops(siglen = 32));
  create index people_hash on people using hash (mail);
  create index people_half on people ((height / 2));
  alter index people_half alter column 1 set statistics 500;
  alter table people add constraint people_height unique (height, id) include (name) with (fillfactor = 60) deferrable initially deferred;
  create unique index people_boss_u on people (boss, id);
  alter table people add constraint people_boss_u unique using index people_boss_u;
  alter table people add constraint later check (id > -1) no inherit;
  alter table people add constraint boss foreign key (boss) references people (id) on delete set null deferrable initially deferred;
  alter table people cluster on people_half;
  create statistics people_st (ndistinct, dependencies) on id, height from people;
  create statistics people_ex on (height * 2), lower(mail) from people;
  alter statistics people_st set statistics 77;
  create table rooms (room int, during tsrange, key int, primary key (room, during),
    constraint rooms_free exclude using gist (room with =, during with &&) where (room > 0) deferrable);
  create table a (id int primary key, b int, x int, y int); create table b (id int primary key, a int references a (id), unique (id, a));
  alter table a add constraint a_b foreign key (b) references b (id) on update cascade;
  alter table a add constraint a_xy foreign key (x, y) references b (id, a) match full not valid;
  comment on table people is 'it''s \\ people'; comment on column people.mail is E'two\\nlines'; comment on index people_born is 'born';
  comment on constraint adult on people is 'adults'; comment on constraint people_height on people is 'high';
  comment on statistics people_st is 'stats'; comment on constraint people_pkey on people is 'key';
  insert into people (id, mail, name, born, height, boss) values (1, 'A@x', 'Ä', '1990-01-01', 180, null), (2, 'b@x', 'B', null, 170, 1);
  insert into rooms values (1, '[2024-01-01,2024-01-02)', 1), (1, '[2024-01-02,2024-01-03)', 2);
  insert into a values (1, null, null, null); insert into b values (1, 1); update a set b = 1;`;

const parted = `
  create table log (id int not null, at date not null, who int not null, v text, primary key (id, at, who)) partition by range (at);
  create table log_1 partition of log for values from ('2024-01-01') to ('2025-01-01');
  create table log_2 partition of log for values from ('2025-01-01') to ('2026-01-01') partition by list (who);
  create table log_2a partition of log_2 for values in (1); create table log_2b partition of log_2 default;
  create index log_v on log (lower(v)) where v is not null;
  create index own_1 on log_1 (who);
  create index half on only log (v); create index half_1 on log_1 (v); alter index half attach partition half_1;
  alter table log add constraint log_u unique (at, id, who) with (fillfactor = 80);
  alter table log add constraint log_ok check (id > 0); alter table log_1 add constraint one_ok check (id > -5);
  create table who (id int primary key); insert into who values (1), (2);
  alter table log add constraint log_who foreign key (who) references who (id);
  create table refs (id int, at date, who int, foreign key (id, at, who) references log (id, at, who));
  create statistics log_st on id, who from log;
  comment on index log_v is 'v'; comment on table log_2a is 'part';
  insert into log values (1, '2024-05-05', 1, 'x'), (2, '2025-05-05', 1, 'y'), (3, '2025-05-05', 2, null);
  insert into refs values (1, '2024-05-05', 1);`;

const family = `
  create table mother (id int not null, v text, constraint m_ok check (id > 0)); create table child (more int) inherits (mother);
  create index mother_v on mother (v); create index child_v on child (v);
  insert into mother values (1, 'm'); insert into child values (2, 'c', 3);`;

const richTables = ['people', 'rooms', 'a', 'b', 'log', 'who', 'refs', 'mother', 'child'];

describe.each([
  [18, 18],
  [14, 18],
  [18, 14],
] as const)('from PostgreSQL %i to %i', (source, target) => {
  test('indexes, constraints, foreign keys, statistics, inheritance and comments of every kind arrive just so', async () => {
    await using w = await sides(`${rich} ${parted} ${family}`, 'select 1', [source, target]);
    const told = await mirror(
      w,
      richTables.map((name) => table(name)),
    );
    expect(exceptions(told)).toEqual([]);
    const both = source === 18 && target === 18;
    expect(await printObjects(w.to, { notNull: both })).toEqual(await printObjects(w.from, { notNull: both }));
    expect(await w.to.exec('select array_agg(id order by id) as ids from mother')).toEqual([{ ids: [1, 2] }]);
    expect(lines(told, 'index').every(({ state }) => state === 'created')).toBe(true);
  });
});

test('a second call makes what is missing and nothing else, wherever the first was killed', async () => {
  await using w = await sides(`${rich} ${parted} ${family}`);
  const work = mirrorWork(
    w,
    richTables.map((name) => table(name)),
    copyOnly,
  );
  await copyAll(work);
  const whole = await printObjects(w.to);
  // As after a kill: an index without its constraint, a foreign key that is not looked at, a part that is not attached, and so on.
  await w.to.exec(`alter table people drop constraint people_height; drop index people_trgm, log_v; drop statistics people_ex;
    create unique index people_height on people using btree (height, id) include (name) with (fillfactor = 60);
    alter table a drop constraint a_b; alter table a add constraint a_b foreign key (b) references b (id) on update cascade not valid;
    create index log_v on only log (lower(v)) where v is not null; alter table child no inherit mother;
    alter table rooms drop constraint rooms_free; comment on column people.mail is null; alter table people set without cluster`);
  const deps = listening(work);
  await finishSnapshot(deps, never);
  expect(await printObjects(w.to)).toEqual(whole);
  const made = [...deps.told.objects.values()].filter(({ state }) => state === 'created').map(({ name }) => name);
  expect(made.toSorted()).toEqual(
    [
      'a_b',
      'column mail',
      'constraint people_height',
      'log_1_lower_idx',
      'log_2_lower_idx',
      'log_2a_lower_idx',
      'log_2b_lower_idx',
      'log_v',
      'people_ex',
      'people_half',
      'people_height',
      'people_trgm',
      'public.mother',
      'rooms_free',
      'index log_v',
    ].toSorted(),
  );
  const again = listening(work);
  await finishSnapshot(again, never);
  expect([...again.told.objects.values()].filter(({ state }) => state !== 'existed')).toEqual([]);
});

test('a connection that breaks at any statement is trouble, and the next call goes on from there', async () => {
  await using w = await sides(`${rich} ${parted} ${family}`);
  const tables = richTables.map((name) => table(name));
  const work = mirrorWork(w, tables, { ...copyOnly, snapshot_num_tables_in_parallel: 2 });
  await claim(work);
  await prepareTarget(listening(work), never);
  await runSnapshot(listening(work), never);
  // Ends the session that makes the nth object, for one n after another.
  let kills = 0;
  for (let nth = 1; ; nth += 4) {
    let made = 0;
    const deps = listening(work);
    const killing = {
      ...deps,
      report: {
        ...deps.report,
        async objects(lines: readonly ObjectLine[]) {
          await deps.report.objects(lines);
          made += lines.filter(({ state }) => state === 'making').length;
          if (made < nth) return;
          made = Number.NEGATIVE_INFINITY;
          kills++;
          await w.to.exec(`select pg_terminate_backend(pid) from pg_stat_activity
            where application_name like 'sluice finish%' and datname = current_database()`);
        },
      },
    };
    const ended = await finishSnapshot(killing, never).then(
      () => null,
      (error: unknown) => toSluiceError(error),
    );
    if (ended === null) break;
    expect(ended.retry, ended.message).toBe('backoff');
  }
  expect(kills).toBeGreaterThan(3);
  expect(await printObjects(w.to, { notNull: true })).toEqual(await printObjects(w.from, { notNull: true }));
});

test('a build that goes on without its client does not stand in the way of the next call', async () => {
  await using w = await sides('create table t (id int, v text); create index t_v on t (v)');
  const work = mirrorWork(w, [table('t')], copyOnly);
  await claim(work);
  await prepareTarget(listening(work), never);
  await runSnapshot(listening(work), never);
  const left = await w.to.connect();
  await left.run(sql`select pg_catalog.set_config('application_name', ${applicationName('finish', work)}, false)`);
  await left.client.query('begin; create index t_v on t (v)');
  const deps = listening(work);
  await finishSnapshot(deps, never);
  expect(exceptions(deps.told)).toEqual([]);
  expect(left.lost.aborted).toBe(true);
});

test('an index of a table with hundreds of partitions takes all of theirs', async () => {
  await using w = await sides(
    `create table p (id int primary key, v text) partition by list (id);
     do $$ begin for i in 1..230 loop execute format('create table p_%s partition of p for values in (%s)', i, i); end loop; end $$;
     create index on p (v); insert into p values (7, 'x')`,
    'select 1',
    [18, 14],
  );
  const told = await mirror(w, [table('p')]);
  expect(exceptions(told)).toEqual([]);
  expect(await printObjects(w.to)).toEqual(await printObjects(w.from));
});

test('what the target refuses is told with its error and stops neither the rest nor the mirror', async () => {
  await using w = await sides(
    `create function positive(n int) returns bool language sql immutable as 'select n > 0';
     create table t (id int primary key, v int, constraint t_ok check (positive(v))); create index t_pos on t (positive(v)); create index t_v on t (v);
     comment on index t_pos is 'lost'; comment on index t_v is 'kept';
     create table p (a int) partition by list (a); create table p1 partition of p for values in (1); create index p_pos on p (positive(a));
     create table u (a int); insert into u values (1); create unique index u_a on u (a); insert into t values (1, 1)`,
    `create table u (a int, b int default 5); create table other (x int); create index u_a on other (x);
     create function positive(n int) returns bool language plpgsql immutable as $$ begin raise 'not yet'; end $$`,
  );
  const told = await mirror(
    w,
    ['t', 'p', 'u'].map((name) => table(name)),
  );
  expect(exceptions(told)).toEqual([
    'failed check constraint t_ok of public.t: not yet',
    'failed comment index t_pos of public.t: index t_pos is not there',
    expect.stringMatching(/^failed function positive\(integer\) of : the target has another one of that name: CREATE/),
    'failed index t_pos of public.t: not yet',
    'failed index u_a of public.u: relation "u_a" already exists',
  ]);
  const [failed] = lines(told, 'check constraint');
  expect(failed).toMatchObject({
    sqlstate: 'P0001',
    statement: expect.stringContaining('add constraint "t_ok" CHECK'),
  });
  expect(told.notes.filter((note) => note.includes('cannot make'))).toHaveLength(5);
  expect(told.notes.join('\n')).toContain('cannot make index t_pos of public.t on the target: not yet');
  expect(await w.to.exec(`select to_regclass('t_v') is not null as there`)).toEqual([{ there: true }]);
});

test('what stands under the same name and is another is told, never taken', async () => {
  await using w = await sides(
    `create table t (id int primary key, a int, b int, constraint c check (a > 0)); create index i on t (a); create unique index j on t (a);
     create table r (id int primary key); alter table t add constraint f foreign key (a) references r (id); create statistics s on a, b from t; comment on table t is 'ours'`,
    `create table t (id int primary key, a int, b int, constraint c check (a > 1)); create index i on t (b); create index j on t (a);
     create table r (id int primary key); alter table t add constraint f foreign key (b) references r (id); create statistics s on id, b from t; comment on table t is 'theirs'`,
  );
  const told = await mirror(
    w,
    ['t', 'r'].map((name) => table(name)),
  );
  expect(exceptions(told)).toEqual([
    'failed check constraint c of public.t: the target has one of that name: CHECK ((a > 1))',
    'failed foreign key f of public.t: the target has one of that name: FOREIGN KEY (b) REFERENCES public.r(id)',
    'failed index i of public.t: public.i stands on the target and is USING btree (b)',
    'failed index j of public.t: public.j stands on the target and is not unique',
    'failed statistics s of public.t: the target has one of that name: ON id, b',
    'left_out comment table of public.t: the target has another comment there',
  ]);
});

describe('a mapping', () => {
  test('takes along what belongs to tables that go to other names and schemas', async () => {
    await using w = await sides(
      `create schema a; create schema b; create table a.t (id int primary key, v int, w int); create index same on a.t (v); create unique index t_u on a.t (v, w);
       create table b.t (id int primary key, t int references a.t (id), v int constraint vee check (v > 0)); create index same on b.t (v);
       alter table b.t add constraint b_u unique (v); comment on index b.same is 'second'; comment on column b.t.v is 'vee';
       create statistics a.st on v, w from a.t; create table a.log (at int) partition by range (at); create table a.log_1 partition of a.log for values from (1) to (9);
       create index log_at on a.log (at); alter table a.t replica identity using index t_u`.replace(
        'v int, w int',
        'v int not null, w int not null',
      ),
    );
    const to = (name: string) => ({ to: { schema: 'c', name } });
    const told = await mirror(w, [table('a.t', to('one')), table('b.t', to('two')), table('a.log', to('journal'))]);
    expect(exceptions(told)).toEqual([]);
    expect(await printObjects(w.to)).toEqual([
      'indexes: CREATE INDEX log_1_at_idx ON c.journal_1 USING btree (at) PART OF c.log_at',
      'indexes: CREATE INDEX log_at ON ONLY c.journal USING btree (at)',
      'indexes: CREATE INDEX same ON c.one USING btree (v)',
      'indexes: CREATE INDEX same_1 ON c.two USING btree (v)',
      'indexes: CREATE UNIQUE INDEX b_u ON c.two USING btree (v)',
      'indexes: CREATE UNIQUE INDEX one_pkey ON c.one USING btree (id)',
      'indexes: CREATE UNIQUE INDEX t_u ON c.one USING btree (v, w) IDENTITY',
      'indexes: CREATE UNIQUE INDEX two_pkey ON c.two USING btree (id)',
      'constraints: c.one one_pkey PRIMARY KEY (id)',
      'constraints: c.two b_u UNIQUE (v)',
      'constraints: c.two t_t_fkey FOREIGN KEY (t) REFERENCES c.one(id)',
      'constraints: c.two two_pkey PRIMARY KEY (id)',
      'constraints: c.two vee CHECK ((v > 0))',
      'statistics: CREATE STATISTICS c.st ON v, w FROM c.one TARGET -1',
      'parents: c.journal_1 OF c.journal',
      'comments: column v of table c.two: vee',
      'comments: index c.same_1: second',
    ]);
  });

  test('leaves out what rests on columns and tables that it leaves out, and says so', async () => {
    await using w = await sides(
      `create table t (id int primary key, a int, b int unique, c int, constraint ck check (a > b), unique (c) include (b));
       create index t_ab on t (a, (b + 1)); create index t_where on t (a) where b > 0; create index t_a on t (a); create statistics st on a, b from t;
       create table gone (id int primary key); create table there (id int primary key); create table thin (id int primary key);
       alter table t add constraint f_gone foreign key (a) references gone (id); alter table t add constraint f_there foreign key (a) references there (id);
       alter table t add constraint f_thin foreign key (a) references thin (id); alter table t add constraint f_b foreign key (b) references t (id);
       create table r (b int references t (b)); create table heir () inherits (gone); comment on column t.b is 'b'; comment on index t_ab is 'i'`,
      'create table there (id int primary key); create table thin (other int primary key)',
    );
    const told = await mirror(w, [table('t', { exclude: ['b'] }), table('r'), table('heir')]);
    expect(exceptions(told)).toEqual([
      'left_out check constraint ck of public.t: its column b is excluded from the mirror',
      'left_out comment index t_ab of public.t: index t_ab is left out',
      'left_out foreign key f_b of public.t: its column b is excluded from the mirror',
      'left_out foreign key f_gone of public.t: it refers to public.gone, which is neither mirrored nor on the target',
      'left_out foreign key f_thin of public.t: it refers to public.thin, which is not mirrored and has no column id on the target',
      'left_out foreign key r_b_fkey of public.r: it refers to public.t (b), which is excluded from the mirror',
      'left_out index t_ab of public.t: its column b is excluded from the mirror',
      'left_out index t_where of public.t: its column b is excluded from the mirror',
      'left_out inheritance public.gone of public.heir: public.gone is neither mirrored nor on the target: the table stands alone',
      'left_out statistics st of public.t: its column b is excluded from the mirror',
      'left_out unique constraint t_b_key of public.t: its column b is excluded from the mirror',
      'left_out unique constraint t_c_b_key of public.t: its column b is excluded from the mirror',
    ]);
    expect(await printObjects(w.to)).toEqual([
      'indexes: CREATE INDEX t_a ON public.t USING btree (a)',
      'indexes: CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)',
      'indexes: CREATE UNIQUE INDEX there_pkey ON public.there USING btree (id)',
      'indexes: CREATE UNIQUE INDEX thin_pkey ON public.thin USING btree (other)',
      'constraints: public.t f_there FOREIGN KEY (a) REFERENCES public.there(id)',
      'constraints: public.t t_pkey PRIMARY KEY (id)',
      'constraints: public.there there_pkey PRIMARY KEY (id)',
      'constraints: public.thin thin_pkey PRIMARY KEY (other)',
    ]);
  });
});

test('what an older target cannot hold is left out with the version that could', async () => {
  await using w = await sides(
    `create extension btree_gist; create table t (id int primary key, a int, b int); create unique index t_nn on t (a) nulls not distinct;
     alter table t add constraint nn unique nulls not distinct (b); alter table t add constraint ne check (a > 0) not enforced;
     alter table t add constraint cols foreign key (a, b) references u on delete set null (a);
     create table w (id int, during daterange, unique (id, during without overlaps)); alter table t add constraint fe foreign key (a) references t (id) not enforced;
     create table p (a int references t (id)) partition by list (a); alter table p add constraint pn foreign key (a) references t (id) not valid;
     create table x (a int, b int, exclude using gist (a with =, b with =)) partition by list (a)`.replace(
      'create table t (',
      'create table u (a int, b int, primary key (a, b)); create table t (',
    ),
    'select 1',
    [18, 14],
  );
  const told = await mirror(
    w,
    ['t', 'u', 'w', 'p', 'x'].map((name) => table(name)),
  );
  expect(exceptions(told)).toEqual([
    'left_out check constraint ne of public.t: it is NOT ENFORCED: these need PostgreSQL 18 on the target',
    'left_out exclusion constraint x_a_b_excl of public.x: it is an exclusion constraint of a partitioned table: these need PostgreSQL 17 on the target',
    'left_out foreign key cols of public.t: it sets some of its columns ON DELETE: these need PostgreSQL 15 on the target',
    'left_out foreign key fe of public.t: it is NOT ENFORCED: these need PostgreSQL 18 on the target',
    'left_out foreign key pn of public.p: it is NOT VALID on a partitioned table: these need PostgreSQL 18 on the target',
    'left_out index t_nn of public.t: it is NULLS NOT DISTINCT: these need PostgreSQL 15 on the target',
    'left_out unique constraint nn of public.t: it is NULLS NOT DISTINCT: these need PostgreSQL 15 on the target',
    'left_out unique constraint w_id_during_key of public.w: it is WITHOUT OVERLAPS: these need PostgreSQL 18 on the target',
  ]);
});

test('what came with 18 arrives between two of that version', async () => {
  await using w = await sides(
    `create extension btree_gist; create table t (id int primary key, a int constraint "a is there" not null, b int, c int);
     create unique index t_nn on t (a) nulls not distinct; alter table t add constraint ne check (a > 0) not enforced;
     alter table t add constraint nv not null b not valid; alter table t add constraint ni not null c no inherit;
     alter table t add constraint fe foreign key (a) references t (id) not enforced;
     create table w (id int, during daterange, primary key (id, during without overlaps)); insert into w values (1, '[2024-01-01,2024-02-01)');
     create table r (id int, during daterange, foreign key (id, period during) references w (id, period during));
     create table p (a int) partition by list (a); create table p1 partition of p for values in (1); insert into t values (1, 1, 1, 1); insert into p values (1);
     alter table p add constraint pn foreign key (a) references t (id) not valid; comment on constraint nv on t is 'not yet';
     create table x (a int, b int, exclude using gist (a with =, b with =)) partition by list (a); create table x1 partition of x for values in (1)`,
  );
  const told = await mirror(
    w,
    ['t', 'w', 'r', 'p', 'x'].map((name) => table(name)),
  );
  expect(exceptions(told)).toEqual([]);
  expect(await printObjects(w.to, { notNull: true })).toEqual(await printObjects(w.from, { notNull: true }));
});

test('names of every kind of character hold in everything that is made', async () => {
  const evil = ['x"; drop table y; --', 'a.b\n%s', '$$ $1 🦑', `it's \\`, 'SELECT', 'é'.repeat(31)];
  const q = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const [schema = '', name = '', column = '', other = '', word = '', long = ''] = evil;
  const t = `${q(schema)}.${q(name)}`;
  const s = `${q(schema)}.${q(word)}`;
  await using w = await sides(`create schema ${q(schema)};
    create table ${t} (${q(column)} int, ${q(other)} text, ${q(word)} int, constraint ${q(`pk${other}`)} primary key (${q(column)}),
      constraint ${q(other)} check (${q(column)} > 0), constraint ${q(long)} unique (${q(other)}) deferrable);
    create index ${q(`i${other}`)} on ${t} (lower(${q(other)}), ${q(word)}) where ${q(word)} > 1; create statistics ${q(schema)}.${q(`s${name}`)} on ${q(column)}, ${q(word)} from ${t};
    alter table ${t} add constraint ${q(`f${name}`)} foreign key (${q(word)}) references ${t} (${q(column)});
    alter table ${t} cluster on ${q(`pk${other}`)}; comment on column ${t}.${q(column)} is 'x''; drop table y; --'; comment on constraint ${q(`f${name}`)} on ${t} is 'f';
    create table ${s} (${q(column)} int) partition by list (${q(column)}); create table ${q(schema)}.${q(`1${word}`)} partition of ${s} for values in (1);
    create index ${q(`p${word}`)} on ${s} (${q(column)}); comment on index ${q(schema)}.${q(`p${word}`)} is '$$';
    insert into ${t} values (1, 'a', null), (2, 'b', 1)`);
  const whole = (names: TableName): MirroredTable => ({ from: names, to: names, key: null, exclude: [], where: null });
  const told = await mirror(w, [whole({ schema, name }), whole({ schema, name: word })]);
  expect(exceptions(told)).toEqual([]);
  const printed = await printObjects(w.to, { notNull: true });
  expect(printed).toEqual(await printObjects(w.from, { notNull: true }));
  expect(printed.length).toBeGreaterThan(14);
});

test('what is made before the rows is in the ledger as well', async () => {
  await using w = await sides(
    `create schema s; create extension citext; create type s.mood as enum ('a'); create sequence s.shared; create collation s.de (provider = icu, locale = 'de');
     create table s.t (id serial, m s.mood, c citext, n int default nextval('s.shared'), d text collate s.de, i int generated always as identity);
     create table s.u (n int default nextval('s.shared')); create table stands (id int)`,
    'create table stands (id int, more int)',
  );
  const told = await mirror(
    w,
    ['s.t', 's.u', 'stands'].map((name) => table(name)),
  );
  const before = [...told.objects.values()].filter(({ stage }) => stage === 'before');
  expect(before.map(({ state, kind, schema, name }) => `${state} ${kind} ${schema}.${name}`).toSorted()).toEqual([
    'created collation s.de',
    'created extension .citext',
    'created schema .s',
    'created sequence s.shared',
    'created sequence s.t_id_seq',
    'created table s.t',
    'created table s.u',
    'created type s.mood',
    'existed table public.stands',
  ]);
});

test('schema = tables makes keys and no more, none makes nothing', async () => {
  const source = `create table t (id int primary key, a int check (a > 0)); create index t_a on t (a)`;
  await using w = await sides(source);
  await mirror(w, [table('t')], { schema: 'tables' });
  expect(await printObjects(w.to)).toEqual([
    'indexes: CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)',
    'constraints: public.t t_pkey PRIMARY KEY (id)',
  ]);
  await w.to.exec('drop table t; create table t (id int, a int)');
  await mirror(w, [table('t')], { schema: 'none' });
  expect(await printObjects(w.to)).toEqual([]);
});

test('an ordinary role makes all that an owner may, and what would write a second time while changes follow is left to the end', async () => {
  await using w = await sides(
    `create table r (id int primary key); create table t (id int primary key, r int references r (id) on delete cascade, up int references t (id));
     create index t_r on t (r); comment on table t is 'owned'; create statistics st on r, up from t; alter table t cluster on t_r;
     insert into r values (1); insert into t values (1, 1, null), (2, 1, 1)`,
  );
  await using to = await ordinaryRole(w.to);
  const both = { from: w.from, to };
  const tables = ['r', 't'].map((name) => table(name));
  const work = mirrorWork(both, tables);
  const told = await copyAll(work);
  const owned = ['owner of public.r', 'owner of public.t', 'statistics public.st of '];
  const owners = owned.map((name) => `left_out owner ${name}: our role is no member of "sluice"`);
  expect(exceptions(told)).toEqual([
    ...owners,
    'waiting foreign key t_r_fkey of public.t: it writes to other rows (CASCADE, SET …), as the source did already, and the target does not grant session_replication_role',
  ]);
  const [line] = lines(told, 'foreign key').filter(({ state }) => state === 'waiting');
  await w.to.exec(line?.statement ?? '');
  expect(await printObjects(w.to)).toEqual(await printObjects(w.from));
  await w.to.exec('drop table r, t');
  expect(exceptions(await copyAll(mirrorWork(both, tables, copyOnly)))).toEqual(owners);
  expect(await printObjects(w.to)).toEqual(await printObjects(w.from));
});

test('an heir of 18 keeps the NOT NULL that it says itself of a column of its parent, under its own name', async () => {
  await using w = await sides(`create table parent (id int primary key, v text not null);
    create table keyed (extra text, primary key (id)) inherits (parent);
    create table named (constraint "the value" not null v) inherits (parent);
    create table said (id int not null, extra text) inherits (parent);
    create table silent () inherits (parent);
    create table late () inherits (parent); alter table late add primary key (id);
    create table below (constraint "of its own" not null v) inherits (keyed)`);
  const told = await mirror(
    w,
    ['parent', 'keyed', 'named', 'said', 'silent', 'late', 'below'].map((name) => table(name)),
  );
  expect(exceptions(told)).toEqual([]);
  const constraints = (db: typeof w.to) =>
    db.exec(`select conrelid::regclass::text || ' ' || conname || ' ' || conislocal || ' ' || coninhcount as line
      from pg_constraint where contype = 'n' and conrelid > 16384 and connamespace = 'public'::regnamespace order by 1`);
  expect(await constraints(w.to)).toEqual(await constraints(w.from));
  expect(await printObjects(w.to, { notNull: true })).toEqual(await printObjects(w.from, { notNull: true }));
});
