create schema p; set search_path = p; create table log (n serial, what text)

create function loops(lim int) returns setof text language plpgsql as $$ declare i int := 0; r record; a int[] := array[10, 20]; x int; begin while i < lim loop i := i + 1; continue when i = 2; return next 'while ' || i; end loop; for i in reverse 3..1 loop return next 'for ' || i; end loop; for r in select * from (values (1, 'a'), (2, 'b')) v(k, l) loop return next r.k || r.l; end loop; foreach x in array a loop exit when x > 10; return next 'each ' || x; end loop; return query execute 'select $1::text' using lim; return; end $$

select * from loops(4)

create function trap(what text) returns text language plpgsql as $$ declare m text; d text; h text; s text; c text; begin begin execute what; return 'fine'; exception when unique_violation or not_null_violation then return 'constraint ' || sqlstate; when others then get stacked diagnostics m = message_text, d = pg_exception_detail, h = pg_exception_hint, s = returned_sqlstate; return format('%s|%s|%s|%s', s, m, d, h); end; end $$

select trap('select 1'), trap('select nothing'), trap('insert into nowhere values (1)'), trap('select 1/0'), trap('create table log (i int)'), trap('select ''x''::int'), trap('syntax')

create function deep(n int) returns int language plpgsql as $$ begin if n = 0 then raise exception 'the bottom'; end if; return deep(n - 1); end $$

select deep(3)

create function sqlf(a int) returns int language sql as 'select 10 / $1'; create function calls(a int) returns int language plpgsql as $$ begin return sqlf(a); end $$

select calls(2); select calls(0)

select deep(null)

create function endless(n int) returns int language plpgsql as $$ begin return endless(n + 1); end $$; set max_stack_depth = '100kB'

select split_part((select string_agg(x, '') from (select 'stack ok') v(x)), ' ', 1)

reset max_stack_depth

create function wrong() returns int language plpgsql as $$ begin selec 1; end $$

create function wrong() returns int language plpgsql as $$ begin return nothing; end

create function wrong() returns int language plpgsql as $$ declare x int begin return 1; end $$

create function noreturn() returns int language plpgsql as $$ begin null; end $$; select noreturn()

create function outs(a int, out b int, inout c text, variadic rest int[]) language plpgsql as $$ begin b := a + cardinality(rest); c := c || '!'; end $$

select * from outs(1, 'x', 5, 6); select outs(1, 'x', variadic array[]::int[]); select (outs(1, 'y', 1)).b

create function named(a int, b int default 5, c text default 'z') returns text language sql as $$ select concat_ws(',', a, b, c) $$; select named(1), named(c => 'q', a => 2), named(1, c := 'w')

select named(b => 1)

select named(1, 2, 'x', 4)

create function poly(anyelement, anyarray) returns anyelement language sql as 'select coalesce($2[1], $1)'; select poly(1, array[2]), poly('a'::text, '{}')

select poly(1, array['x'])

create function tab() returns table (a int, b text) language plpgsql as $$ begin a := 1; b := 'x'; return next; a := 2; return next; end $$; select t.b, sum(a) from tab() t group by 1

create function strictly(int) returns int language sql strict as 'select 1'; select strictly(null), strictly(2)

create procedure tx() language plpgsql as $$ begin for i in 1..3 loop insert into log (what) values ('tx ' || i); if i = 2 then rollback; else commit; end if; end loop; end $$

call tx()

select what from log order by n

do $$ declare r record; begin call tx(); get diagnostics r = row_count; end $$

do $$ declare n int; c cursor (k int) for select g from generate_series(1, k) g; v int; begin open c(3); fetch c into v; raise notice 'first %', v; move c; fetch c into v; raise notice 'third %, found %', v, found; fetch c into v; raise notice 'none %, found %', v, found; close c; update log set what = what; get diagnostics n = row_count; raise notice 'rows %', n > 0; perform 1 where false; raise notice 'found %', found; end $$

do $$ <<outer>> declare x int := 1; begin declare x int := 2; begin raise notice '% %', x, outer.x; end; end $$

do $$ begin raise notice using message = 'only using', detail = 'd', hint = 'h', errcode = '00777'; end $$

do $$ begin raise exception using errcode = 'unique_violation', constraint = 'made_up', table = 't', column = 'c', schema = 's', datatype = 'x', message = 'all of it', detail = E'two\nlines'; end $$

do $$ begin raise 'plain % and %', 1; end $$

do $$ begin raise; end $$

do $$ declare x int := 'abc'; begin end $$

do $$ declare x constant int := 1; begin x := 2; end $$

do $$ declare a int; b int; begin select 1, 2 into a, b; select 1 into strict a from generate_series(1, 2); end $$

do $$ begin execute 'select $1 + $2' using 1; end $$

do $$ begin case 5 when 1 then null; end case; end $$

do $$ begin perform pg_sleep(0); commit; raise notice 'committed'; end $$

begin; do $$ begin commit; end $$

rollback

create type shape as (w int, h int); create function area(s shape) returns int language sql immutable as 'select s.w * s.h'; select area(row(2, 3)), (row(2, 3)::shape).area

create domain pos as int check (value > 0); create function p(pos) returns pos language plpgsql as $$ begin return $1 - 5; end $$; select p(10)

select p(3)

create event trigger et on ddl_command_end execute function nothing()

create function et() returns event_trigger language plpgsql as $$ begin raise notice 'ddl: %', tg_tag; end $$; create event trigger sluice_regress_et on ddl_command_end when tag in ('CREATE VIEW') execute function et(); create view vv as select 1; drop event trigger sluice_regress_et

create table audit (op text, old jsonb, new jsonb); create table watched (id int primary key, v text); create function audit() returns trigger language plpgsql as $$ begin insert into audit select tg_op, null, to_jsonb(x) from newer x; return null; end $$; create trigger a after insert on watched referencing new table as newer for each statement execute function audit(); insert into watched values (1, 'a'), (2, 'b'); select * from audit

create function skip() returns trigger language plpgsql as $$ begin return null; end $$; create trigger s before insert on watched for each row when (new.id > 5) execute function skip(); insert into watched values (6, 'x'), (3, 'y') returning *

create function defer_check() returns trigger language plpgsql as $$ begin raise exception 'deferred complaint about %', new.id; end $$; create constraint trigger dc after insert on watched deferrable initially deferred for each row when (new.id = 4) execute function defer_check()

begin; insert into watched values (4, 'later'); select 'still fine'; commit

insert into watched values (4, 'now')

alter function area(shape) rename to area2; alter function area2(shape) volatile strict; drop function area2(shape); drop function area2(shape)

create or replace function named(a int, b int, c text) returns int language sql as 'select 1'

select pg_get_functiondef('named'::regproc)

select prosrc from pg_proc where proname = 'strictly' and pronamespace = 'p'::regnamespace

drop schema p cascade
