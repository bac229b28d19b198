// Functions, procedures and aggregates of a database arrive as they are, whatever they are called and whoever needs them.
import { describe, expect, test } from 'vitest';
import { exceptions, made, moveDatabase, sides } from '../support/database.ts';

const routines = `select n.nspname || '.' || p.proname as name, case when p.prokind = 'a' then '' else pg_get_functiondef(p.oid) end as text
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid >= 16384 and n.nspname !~ '^(pg_|information)' order by 1, 2`;

const everyKind = `
  create schema "od.d""s";
  create type "od.d""s"."mo'od" as enum ('a');
  create table t (id int primary key, v text);
  create function "od.d""s"."f""; drop table t; --"(a int, out b text, variadic c "od.d""s"."mo'od"[] default array[]::"od.d""s"."mo'od"[]) language sql stable
    as $q$ select 'x$$;\\' $q$;
  create function f(int) returns int language sql immutable strict parallel safe cost 7 as 'select $1 + 1';
  create function f(text) returns setof text language plpgsql rows 7 set search_path = public, "od.d""s" set datestyle to 'German'
    as $$ begin return query select v from t; end $$;
  create function takes(t) returns text language sql as 'select ($1).v';
  create function gives() returns table (id int, v text) language sql as 'select id, v from nowhere_yet';
  create procedure p(inout a int) language plpgsql security definer as $$ begin a := a + 1; commit; end $$;
  create function win() returns bigint language internal window as 'window_row_number';
  create function atomic(x int) returns int begin atomic select public.f(x); select count(*)::int + x from t; end;
  create aggregate total(int) (sfunc = int4pl, stype = int, initcond = '5', msfunc = int4pl, minvfunc = int4mi, mstype = int,
    minitcond = '0', combinefunc = int4pl, parallel = safe);
  create aggregate "per""c"(float8 order by anyelement) (sfunc = ordered_set_transition, stype = internal,
    finalfunc = percentile_disc_final, finalfunc_extra);
  create aggregate hypo(variadic "any" order by variadic "any") (sfunc = ordered_set_transition_multi, stype = internal,
    finalfunc = rank_final, finalfunc_extra, hypothetical);
  create aggregate least_of(int) (sfunc = int4smaller, stype = int, sortop = operator(pg_catalog.<));
  create aggregate pairs(variadic int[]) (sfunc = array_cat, stype = int[], sspace = 100, finalfunc_modify = read_write);
  create aggregate nothing(*) (sfunc = int8inc, stype = int8, initcond = '0');
  alter table t add column w int default f(1);`;

describe.each([
  [18, 18],
  [14, 18],
  [18, 14],
] as const)('from PostgreSQL %i to %i', (source, target) => {
  test('routines of every kind arrive with all their properties', async () => {
    await using it = await sides(everyKind, 'select 1', [source, target]);
    const told = await moveDatabase(it);
    expect(exceptions(told)).toEqual([]);
    expect(await it.to.exec(routines)).toEqual(await it.from.exec(routines));
    const aggregates = `select a.aggfnoid::regprocedure::text as name, to_jsonb(a) - 'aggfnoid' as facts
      from pg_aggregate a where a.aggfnoid::oid >= 16384 order by 1`;
    expect(await it.to.exec(aggregates)).toEqual(await it.from.exec(aggregates));
    expect(made(told, 'aggregate', 'procedure')).toEqual([
      'aggregate public.hypo("any")',
      'aggregate public.least_of(integer)',
      'aggregate public.nothing()',
      'aggregate public.pairs(integer[])',
      'aggregate public.per"c(double precision, anyelement)',
      'aggregate public.total(integer)',
      'procedure public.p(integer)',
    ]);
  });
});

test('a function that a default calls is made before its table, and one that takes a table after it', async () => {
  await using it = await sides(`create table needed (id int primary key); insert into needed values (4);
    create function of_row(needed) returns int language sql as 'select ($1).id';
    create function first_of() returns int begin atomic select id + 0 from needed; end;
    create table t (v int default first_of(), w int generated always as (3) stored, x int check (of_row(row(x)::needed) > 0));
    insert into t (x) values (1)`);
  const told = await moveDatabase(it);
  expect(exceptions(told)).toEqual([]);
  expect(await it.to.exec('insert into t (x) values (2) returning v')).toEqual([{ v: 4 }]);
});
