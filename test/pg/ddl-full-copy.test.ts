// The schema changes in every way while the first copy runs: once the mirror has caught up, both sides are equal.
import { expect, test } from 'vitest';
import { everything } from '../support/ddl-full.ts';
import { type RunningWorld, running } from '../support/running.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

// Tables whose names begin with `e` are copied before `held`, those with `l` after it: larger ones come first.
const early = (columns: string, values: string) => ({ columns, values, rows: 450 });
const late = (columns: string, values: string) => ({ columns, values, rows: 5 });
const shapes = {
  dropped: ['id int primary key, v text', "g, g || repeat('w', 1600)"],
  named: ['id int primary key, v text', "g, g || repeat('w', 1600)"],
  swap1: ['id int primary key, v text', "g, g || repeat('1', 1600)"],
  swap2: ['id int primary key, w text', "g, g || repeat('2', 1600)"],
  add: ['id int primary key, v text', "g, g || repeat('w', 1600)"],
  drop: ['id int primary key, v text not null, w int', "g, g || repeat('w', 1600), g"],
  type: ['id int primary key, v int, w text', "g, g, g || repeat('w', 1600)"],
  col: ['id int primary key, a int, w text', "g, g, g || repeat('w', 1600)"],
  key: ['id int primary key, w text', "g, g || repeat('w', 1600)"],
  again: ['id int primary key, w text', "g, g || repeat('w', 1600)"],
  emptied: ['id int primary key, w text', "g, g || repeat('w', 1600)"],
} as const;

const tables = [
  ...Object.entries(shapes).map(([name, [columns, values]]) => ({ name: `e_${name}`, ...early(columns, values) })),
  ...Object.entries(shapes).map(([name, [columns, values]]) => ({ name: `l_${name}`, ...late(columns, values) })),
];

const before = `create type mood as enum ('sad', 'glad'); create type gone as enum ('a'); create schema s; create schema old_name;
  create domain share as int check (value < 100000); create type place as (a int, b text); create sequence free_seq;
  create function old_one(i int) returns int language sql as 'select i'; create function older(i int) returns int language sql as 'select i';
  create function old_name.f(m mood) returns mood language sql as 'select m';
  ${tables.map(({ name, columns, values, rows }) => `create table ${name} (${columns}); insert into ${name} select ${values} from generate_series(1, ${rows}) g;`).join('\n')}
  create table old_name.t (id int primary key, m mood); insert into old_name.t select g, 'sad' from generate_series(1, 50) g;
  create table e_mood (id int primary key, m mood, p place, s share, w text); insert into e_mood select g, 'sad', '(1,b)', 5, repeat('w', 1600) from generate_series(1, 450) g;
  create table l_mood (id int primary key, m mood, p place, s share); insert into l_mood select g, 'glad', '(1,b)', 5 from generate_series(1, 20) g;
  create table e_parted (id int, r int, w text, primary key (id, r)) partition by range (r);
  create table e_parted_1 partition of e_parted for values from (0) to (10); create table e_parted_2 partition of e_parted for values from (10) to (20);
  insert into e_parted select g, g % 20, repeat('w', 1600) from generate_series(1, 400) g;
  create table l_parted (id int, r int, primary key (id, r)) partition by range (r);
  create table l_parted_1 partition of l_parted for values from (0) to (10); create table l_parted_2 partition of l_parted for values from (10) to (20);
  insert into l_parted select g, g % 20 from generate_series(1, 100) g;
  create table held (id int primary key, v text); insert into held select g, repeat('x', 1600) from generate_series(1, 330) g;
  create index e_add_v on e_add (v); create index e_add_w on e_add (v, id); create index l_add_v on l_add (v); create index l_add_w on l_add (v, id);
  alter table e_col add constraint e_col_a check (a > 0); create view seen as select id, a from e_col; create view unseen as select id from l_col;
  create view renamed as select id from held; comment on table e_add is 'before'; comment on table l_add is 'before';
  create table child (id int primary key, e int references e_named, l int references l_named); insert into child values (1, 1, 1);`;

// Each statement is a transaction of its own; rows come between.
const change = `
  drop table e_dropped; drop table l_dropped;
  alter table child drop constraint child_e_fkey; alter table e_named rename to e_named_now; alter table l_named rename to l_named_now;
  insert into e_named_now values (-1, 'new'); insert into l_named_now values (-1, 'new');
  begin; alter table e_swap1 rename to aside; alter table e_swap2 rename to e_swap1; alter table aside rename to e_swap2; commit;
  begin; alter table l_swap1 rename to aside; alter table l_swap2 rename to l_swap1; alter table aside rename to l_swap2; commit;
  insert into e_swap1 values (-1, 'is two'); insert into l_swap1 values (-1, 'is two'); insert into e_swap2 values (-1, 'is one');
  insert into e_add values (-1, 'before'); alter table e_add add x int default 3; insert into e_add values (-2, 'after', 4); update e_add set v = 'u' where id < 9;
  insert into l_add values (-1, 'before'); alter table l_add add x int default 3; insert into l_add values (-2, 'after', 4); update l_add set v = 'u' where id < 9;
  insert into e_drop values (-1, 'before', 1); alter table e_drop drop v; insert into e_drop values (-2, 2); delete from e_drop where id < 9;
  insert into l_drop values (-1, 'before', 1); alter table l_drop drop v; insert into l_drop values (-2, 2); delete from l_drop where id < 9;
  insert into e_type values (-1, 1); alter table e_type alter v type text using 'n' || v; insert into e_type values (-2, 'a');
  insert into l_type values (-1, 1); alter table l_type alter v type text using 'n' || v; insert into l_type values (-2, 'a');
  insert into e_col values (-1, 1); alter table e_col rename a to b; insert into e_col values (-2, 2); update e_col set b = 77 where id < 9;
  insert into l_col values (-1, 1); alter table l_col rename a to b; insert into l_col values (-2, 2); update l_col set b = 77 where id < 9;
  alter table e_key rename id to ident; insert into e_key values (-2, 'x'); update e_key set w = 'u' where ident < 9;
  alter table l_key rename id to ident; insert into l_key values (-2, 'x'); update l_key set w = 'u' where ident < 9;
  drop table e_again; create table e_again (id int primary key, other int); insert into e_again values (1, 2);
  drop table l_again; create table l_again (id int primary key, other int); insert into l_again values (1, 2);
  truncate e_emptied; insert into e_emptied values (7, 'x'); truncate l_emptied; insert into l_emptied values (7, 'x');
  alter type mood rename to feeling; alter type feeling add value 'so so'; alter type feeling rename value 'sad' to 'blue'; drop type gone;
  insert into e_mood values (-1, 'so so'), (-2, 'blue'); insert into l_mood values (-1, 'so so'), (-2, 'blue');
  alter type place add attribute c int; insert into e_mood (id, p) values (-3, '(1,b,2)'); insert into l_mood (id, p) values (-3, '(1,b,2)');
  alter domain share drop constraint share_check; insert into e_mood (id, s) values (-4, 1000000);
  alter schema old_name rename to new_name; insert into new_name.t values (-1, 'so so');
  create table e_parted_3 partition of e_parted for values from (20) to (30); insert into e_parted values (1, 25, 'new'); drop table e_parted_1;
  create table l_parted_3 partition of l_parted for values from (20) to (30); insert into l_parted values (1, 25); drop table l_parted_1;
  alter table e_parted detach partition e_parted_2; insert into e_parted_2 values (-1, 15, 'alone');
  drop index e_add_v; drop index l_add_v; alter index e_add_w rename to e_add_z; alter index l_add_w rename to l_add_z;
  create index e_add_x on e_add (x); create index l_add_x on l_add (x); create unique index e_key_u on e_key (ident);
  alter table e_named_now add constraint named_check check (id > -5); alter table l_named_now alter v set default 'd';
  drop view unseen; alter view renamed rename to renamed_now; create view fresh as select id, b from l_col;
  drop function old_one(int); alter function older(int) rename to newer; create function brand_new(f feeling) returns feeling language sql as 'select f';
  comment on table e_add is 'after'; comment on table l_add is null; comment on column e_col.b is 'b'; alter sequence free_seq increment 5;
  create table fresh_one (id int primary key, f feeling, p place); insert into fresh_one values (1, 'so so', '(1,b,3)');
  create table fresh_two (id serial primary key, v text unique); insert into fresh_two (v) values ('a'), ('b')`;

// While the copy goes on after its sessions were ended.
const more = `alter table e_add add y int default 9; insert into e_add (id, y) values (-3, 1); drop table e_type;
  alter table e_named_now rename to e_named_last; insert into e_named_last values (-2, 'last'); alter table l_named_now rename to l_named_last;
  insert into l_named_last (id) values (-2); alter table l_add add y int default 9; insert into l_add (id, y) values (-3, 1);
  alter type feeling rename value 'so so' to 'fine'; insert into e_mood (id, m) values (-5, 'fine'); insert into l_mood (id, m) values (-5, 'fine');
  alter type place rename attribute c to d; insert into e_mood (id, p) values (-6, '(1,b,6)'); insert into l_mood (id, p) values (-6, '(1,b,6)');
  create index l_named_v on l_named_last (v); drop view fresh; alter table l_mood add z int default 1; update l_mood set z = 2 where id < 3;
  truncate l_swap1; insert into l_swap1 values (1, 'new'); alter table fresh_one rename to fresher; insert into fresher values (2, 'fine', null);
  update held set v = 'new' where id < 9; delete from held where id = 300`;

const holding = `create table held (id int primary key, v text); create function wait() returns trigger language plpgsql as $$ begin
    if new.id = 200 then perform pg_advisory_xact_lock_shared(7); end if; return new; end $$;
  create trigger wait before insert on held for each row execute function wait(); alter table held enable always trigger wait`;

/** A mirror of all tables whose copy is half way, and stays there until `release`. */
async function halfWay(name: string, source: TestDatabase, target: TestDatabase) {
  await source.exec(before);
  await target.exec(holding);
  await target.exec('select pg_advisory_lock(7)');
  const it = await running(source, target);
  await it.world.say(`create mirror ${name} from src to dst for all tables with (schema_changes = 'full',
    snapshot_num_tables_in_parallel = 1, snapshot_max_parallel_workers = 1)`);
  const waits = async () => {
    const [row] = await it.world.show('show mirrors');
    if (row?.status === 'failed') throw new Error(`the mirror failed: ${row.trouble}`);
    const rows = await target.exec(`select 1 from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())`);
    return rows.length > 0;
  };
  await until('the copy is half way', waits);
  const copied = await target.exec<{ copied: string }>(
    "select source_table as copied from _sluice.copied_tables where finished and source_table ~ 'e_|l_' order by 1",
  );
  return {
    it,
    copied: copied.map((row) => row.copied),
    waits,
    release: () => target.exec('select pg_advisory_unlock(7)'),
  };
}

async function say(source: TestDatabase, text: string): Promise<void> {
  // One statement after another; what stands between begin and commit is one transaction.
  for (const statement of text.split(';')) await source.exec(`set lock_timeout = '5s'; ${statement}`);
}

async function isQuiet({ world, target }: RunningWorld, source: TestDatabase): Promise<'quiet' | 'failed' | undefined> {
  const [row] = await world.show('show mirrors');
  if (row?.status === 'failed') return 'failed';
  if (row?.status !== 'running') return;
  const left = await target.exec(
    `select 1 from _sluice.known_objects where id = 'wanted' union all select 1 from _sluice.schema_changes`,
  );
  const [here] = await source.exec<{ n: number }>('select max(id) as n from held');
  const [there] = await target.exec<{ n: number }>('select max(id) as n from held');
  return left.length === 0 && here?.n === there?.n ? 'quiet' : undefined;
}

const ours = (lines: readonly string[]) => lines.filter((line) => !/wait\(\)|\bwait\b/.test(line));

async function expectEqual(it: RunningWorld, source: TestDatabase): Promise<void> {
  try {
    // Twice: the first may come before all that was changed was looked at.
    for (let n = 0; n < 2; n++) {
      await source.exec("insert into held select max(id) + 1, 'mark' from held");
      expect(await until('the mirror is quiet', () => isQuiet(it, source), 60_000)).toBe('quiet');
    }
    expect(ours(await everything(it.target))).toEqual(ours(await everything(source)));
  } catch (error) {
    const rows = await it.world.database.exec<{ line: string }>(
      "select concat_ws(' ', event, message, case when event = 'trouble' then details end) as line from sluice.journal order by id",
    );
    throw new Error(rows.map(({ line }) => line).join('\n'), { cause: error });
  }
}

test('a schema that changes while the first copy runs is equal once the mirror has caught up', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const { it, copied, release } = await halfWay('full_copy', source, target);
  await using _ = it;
  expect(copied).toContain('public.e_add');
  expect(copied).not.toContain('public.l_add');
  // What was copied is locked no more: nobody waits for the end of the copy.
  await say(source, change);
  await release();
  await expectEqual(it, source);
}, 120_000);

test('a schema that changes before and after the first copy is cut off is equal once the mirror has caught up', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const { it, waits, release } = await halfWay('full_copy_cut', source, target);
  await using _ = it;
  await say(source, change);
  const ended = `select pg_terminate_backend(pid) from pg_stat_activity
    where application_name like 'sluice %' and datname = current_database()`;
  // All at once, so that nobody is left who could give the snapshot to others.
  await Promise.all([source.exec(ended), target.exec(ended)]);
  await until('the sessions are gone', async () => !(await waits()));
  await until('the copy is half way again', waits, 60_000);
  await say(source, more);
  await release();
  await expectEqual(it, source);
}, 120_000);
