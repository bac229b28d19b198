// Views, materialised views and rules of a database arrive as they are, filled where they were, in whatever order they need each other.
import { describe, expect, test } from 'vitest';
import { exceptions, made, moveDatabase, sides } from '../support/database.ts';

const everyKind = `
  create schema "o'd";
  create table t (id int primary key, "va""l" text collate "C", n numeric(10, 2)); insert into t values (1, 'a', 1.5), (2, 'b', 2.5);
  create view "o'd"."v; drop table t; --" with (security_barrier, check_option = 'local') as select id, "va""l" from t where id > 0;
  alter view "o'd"."v; drop table t; --" alter column id set default 7;
  create view over_view as select v.id + 1 as "i""d", t.n from "o'd"."v; drop table t; --" v join t using (id);
  create view grouped as select id, "va""l", count(*) from t group by id;
  create recursive view counting (n) as values (1) union all select n + 1 from counting where n < 5;
  create materialized view m2 with (fillfactor = 70) as select sum(n) as s from t;
  create materialized view m1 as select s * 2 as s, 'x'::text as x from m2; create unique index on m1 (s); create index m1_x on m1 (upper(x)) where s > 0;
  alter materialized view m1 cluster on m1_s_idx; alter materialized view m1 alter column x set storage external;
  create materialized view unfilled as select * from t with no data; create index unfilled_i on unfilled (id);
  create view over_rows as select * from m1;
  create materialized view m0 as select * from over_rows; create statistics m0_st on s, x from m0;
  create rule "r""1" as on insert to over_view do instead insert into t values (new."i""d", 'rule', new.n) returning id, n;
  create rule quiet as on delete to over_view where old.n > 3 do instead nothing;
  create function of_view(over_view) returns int language sql as 'select ($1)."i""d"';
  create view uses_function as select of_view(v) as f from over_view v;
  create function reads_view() returns bigint begin atomic select count(*) from uses_function; end;`;

const printed = `select n.nspname || '.' || c.relname as name, c.relkind, pg_get_viewdef(c.oid) as text, c.reloptions, c.relispopulated,
    (select array_agg(pg_get_ruledef(w.oid) order by w.rulename) from pg_rewrite w where w.ev_class = c.oid) as rules,
    (select array_agg(pg_get_indexdef(x.indexrelid) || x.indisclustered order by x.indexrelid::regclass::text) from pg_index x where x.indrelid = c.oid) as indexes,
    (select array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attstorage::text || coalesce(pg_get_expr(d.adbin, 0), '') order by a.attnum)
      from pg_attribute a left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum where a.attrelid = c.oid and a.attnum > 0) as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('v', 'm') and n.nspname !~ '^(pg_|information)' order by 1`;

describe.each([
  [18, 18],
  [14, 18],
  [18, 14],
] as const)('from PostgreSQL %i to %i', (source, target) => {
  test('views of every kind arrive with their options, defaults, rules, rows and indexes', async () => {
    await using it = await sides(everyKind, 'select 1', [source, target]);
    const told = await moveDatabase(it);
    expect(exceptions(told)).toEqual([]);
    const texts = (rows: readonly unknown[]) =>
      source === target ? rows : rows.map((row) => ({ ...(row as object), text: '', rules: '' }));
    expect(texts(await it.to.exec(printed))).toEqual(texts(await it.from.exec(printed)));
    expect(await it.to.exec('select s from m0')).toEqual([{ s: '8.00' }]);
    expect(await it.to.exec(`select stxname::text as name from pg_statistic_ext`)).toEqual([{ name: 'm0_st' }]);
    expect(made(told, 'materialized rows', 'rule', 'view default')).toEqual([
      'materialized rows public.m0 of public.m0',
      'materialized rows public.m1 of public.m1',
      'materialized rows public.m2 of public.m2',
      'rule public.quiet of public.over_view',
      'rule public.r"1 of public.over_view',
      `view default o'd.id of "o'd"."v; drop table t; --"`,
    ]);
    expect(await it.to.exec('insert into over_view values (9, 4) returning 1 as one')).toEqual([{ one: 1 }]);
    expect(await it.to.exec('select reads_view()::int as n')).toEqual([{ n: 3 }]);
  });
});

test('views and functions that need each other in a circle are made, and a second call finds them', async () => {
  await using it = await sides(`create table t (id int); insert into t values (1);
    create view a as select 1 as id, 'x'::text collate "C" as "N"; create view b as select id, "N" from a;
    create or replace view a as select t.id, 'y'::text collate "C" as "N" from t where exists (select from b) or id > 0;
    create function f() returns int begin atomic select 1; end; create function g() returns int begin atomic select f() + 1; end;
    create or replace function f() returns int begin atomic select case when 1 > 2 then g() else 5 end; end;`);
  const told = await moveDatabase(it);
  expect(exceptions(told)).toEqual([]);
  expect(await it.to.exec(`select pg_get_viewdef('a') as a, f(), g()`)).toEqual(
    await it.from.exec(`select pg_get_viewdef('a') as a, f(), g()`),
  );
});
