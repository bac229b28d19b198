// What belongs to the tables and is made after the load: the same on both sides, or in the ledger with the reason.
import { describe, expect, test } from 'vitest';
import type { OptionValue } from '../../src/base/options.ts';
import type { ObjectLine } from '../../src/mirror/object.ts';
import type { MirroredTable } from '../../src/mirror/work.ts';
import { copyAll, mirrorWork, type Told, table } from '../support/copied.ts';
import { printObjects } from '../support/objects.ts';
import { type TestDatabase, type TestedMajor, testDatabase } from '../support/servers.ts';

interface World extends AsyncDisposable {
  readonly from: TestDatabase;
  readonly to: TestDatabase;
}

async function world(
  source: string,
  target = 'select 1',
  majors: readonly [TestedMajor, TestedMajor] = [18, 18],
): Promise<World> {
  const from = await testDatabase(majors[0]);
  const to = await testDatabase(majors[1]);
  await from.exec(source);
  await to.exec(target);
  return {
    from,
    to,
    async [Symbol.asyncDispose]() {
      await from[Symbol.asyncDispose]();
      await to[Symbol.asyncDispose]();
    },
  };
}

const copyOnly = { initial_copy_only: true };

async function mirror(w: World, tables: readonly MirroredTable[], options: Readonly<Record<string, OptionValue>> = {}) {
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
    await using w = await world(`${rich} ${parted} ${family}`, 'select 1', [source, target]);
    const told = await mirror(
      w,
      richTables.map((name) => table(name)),
    );
    expect(exceptions(told)).toEqual([]);
    const both = source === 18 && target === 18;
    expect(await printObjects(w.to, { notNull: both })).toEqual(await printObjects(w.from, { notNull: both }));
    expect(await w.to.exec('select array_agg(id order by id) as ids from mother')).toEqual([{ ids: [1, 2] }]);
    // Once more finds all of it, and makes nothing.
    expect(lines(told, 'index').every(({ state }) => state === 'created')).toBe(true);
  });
});
