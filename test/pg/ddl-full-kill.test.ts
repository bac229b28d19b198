// Wherever the target's session ends while tables join, leave and change, and objects are made: at the end both sides are equal, and each change is told once.
import { expect, test } from 'vitest';
import { endedAtEachStep } from '../support/ddl.ts';
import { everything, quieted } from '../support/ddl-full.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';

// Ends its own session at the nth call: commands that change the schema, and statements that write to our own tables.
const killer = `
  create sequence kill_calls; create table kill_at (n int); insert into kill_at values (0);
  create function kill_now() returns void language plpgsql set search_path = public as $$
    begin if nextval('kill_calls') = (select n from kill_at) then perform pg_terminate_backend(pg_backend_pid()); end if; end $$;
  create function kill_on_ddl() returns event_trigger language plpgsql set search_path = public as $$
    begin perform public.kill_now(); end $$;
  create function kill_on_rows() returns trigger language plpgsql set search_path = public as $$
    begin perform public.kill_now(); return null; end $$;
  create event trigger kill_ddl on ddl_command_end execute function kill_on_ddl();
  alter event trigger kill_ddl enable always;
  ${['schema_changes', 'checkpoints', 'copied_tables', 'known_objects']
    .map(
      (
        table,
      ) => `create trigger kill after insert or update or delete on _sluice.${table} execute function kill_on_rows();
    alter table _sluice.${table} enable always trigger kill;`,
    )
    .join('\n')}`;

const change = `begin; create table n (id int primary key, v text); insert into n values (1, 'a'); alter table n add w int default 7;
  insert into n values (2, 'b', 8); alter table n drop v; create index n_w on n (w); alter table x rename a to c;
  alter table x add d float8 default random(); create view seen as select id, w from n; drop index x_a; insert into x values (30, 1, 1);
  alter table y rename to z; insert into z values (9); drop table gone; create table p1 partition of p for values in (1);
  insert into p values (1, 1); comment on table x is 'x'; drop function old(int); create function new(i int) returns int language sql as 'select i';
  alter type mood add value 'so so'; alter type mood rename value 'sad' to 'blue'; commit`;

test('wherever the target’s session ends, changes of the schema are made once, and both sides are equal at the end', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    ...{ source, target },
    tables: `create table x (id int primary key, a int); create unique index x_a on x (a); insert into x select g, g from generate_series(1, 20) g;
      create table y (id int primary key); create table gone (id int primary key); insert into gone values (1);
      create table p (id int, r int, primary key (id, r)) partition by list (r); create type mood as enum ('glad', 'sad');
      create function old(i int) returns int language sql as 'select i'`,
    mirrored: ['x', 'y', 'gone', 'p'],
    options: { schema_changes: 'full' },
    scope: { kind: 'all' },
  });
  await quieted(f);
  await target.exec(killer);
  await source.exec(change);
  const isDone = async () =>
    (await target.exec("select from _sluice.known_objects where id = 'wanted'")).length === 0 &&
    (await target.exec("select to_regclass('n') is not null as there"))[0]?.there === true;
  const kills = await endedAtEachStep(f, isDone, { next: (n) => n + (n < 5 ? 2 : 8) });
  await quieted(f);
  const ours = (await everything(target)).filter((line) => !line.includes('kill'));
  expect(ours).toEqual(await everything(source));
  expect(kills).toBeGreaterThan(5);
  const told = f.changes.map(({ table, what, statements }) => `${table} ${what} ${statements.join()}`);
  expect(new Set(told).size).toBe(told.length);
  expect(await target.exec('select * from _sluice.schema_changes')).toEqual([]);
}, 240_000);
