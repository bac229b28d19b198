set client_min_messages = notice; create schema d; set search_path = d

create table t (a int primary key, b text default 'x' not null, c numeric(6, 2) check (c > 0), unique (b, c))

create table t (a int)

create table if not exists t (a int)

create table bad (a int, a int)

create table bad (a nothing)

create table bad (a int references nowhere)

create table bad (a int primary key, primary key (a))

create table like_t (like t including all, extra int); create table as_t as select a, b from t with no data

select * into selected from t; create temp table tmp (x int) on commit delete rows

alter table t add column d date, add column e int default 5, alter column b drop not null, alter column b set default 'y'

insert into t (a, b, c, d) values (1, null, 1.5, '2024-01-01'), (2, 'z', 2, null) returning *

alter table t add column e int

alter table t add column if not exists e int

alter table t drop column nothing

alter table t drop column if exists nothing

alter table t alter column b type varchar(10) using b || '!', alter column a type bigint

alter table t alter column b type int

alter table t add constraint positive check (a > 0) not valid; alter table t validate constraint positive

alter table t add constraint huge check (a > 1000)

alter table t rename column d to day; alter table t rename to renamed; alter table renamed rename constraint positive to above_zero

insert into renamed (a) values (-1)

alter table renamed set (fillfactor = 50); alter table renamed reset (fillfactor); alter table renamed set schema public; drop table public.renamed

drop table nowhere

drop table if exists nowhere, also_nowhere

create table parent (id int primary key, kind text); create table child (extra int) inherits (parent); create table ref (p int references parent on delete cascade)

insert into parent values (1, 'p'); insert into child values (2, 'c', 3); select tableoid::regclass::text, * from parent order by id; select * from only parent

insert into ref values (2)

drop table parent

alter table child no inherit parent; drop table parent cascade

create table parts (id int, at date) partition by range (at); create table parts_1 partition of parts for values from ('2024-01-01') to ('2024-02-01'); create table parts_d partition of parts default

insert into parts values (1, '2024-01-15'), (2, '2024-03-01') returning tableoid::regclass::text, *

update parts set at = '2024-01-20' where id = 2 returning tableoid::regclass::text, *

create table parts_2 partition of parts for values from ('2024-01-15') to ('2024-03-01')

alter table parts detach partition parts_1; insert into parts_1 values (3, '2025-01-01'); alter table parts attach partition parts_1 for values from ('2024-01-01') to ('2024-02-01')

create table nodefault (i int) partition by list (i); create table nodefault_1 partition of nodefault for values in (1)

insert into nodefault values (2)

create index on parts (at); create unique index on child (id) where id > 0; create index lower_kind on child (lower(kind) collate "C" desc nulls first) include (extra)

create index lower_kind on child (id)

create index if not exists lower_kind on child (id)

create index concurrently later on child (id)

begin; create index concurrently in_tx on child (id)

rollback

reindex table child; drop index lower_kind; drop index lower_kind

create view v as select id, kind from child where id > 0 with check option; insert into v values (5, 'v') returning *

insert into v values (-5, 'bad')

create view v as select 1

create or replace view v as select id from child

create view agg as select count(*) from child; insert into agg values (1)

create materialized view mv as select * from child; refresh materialized view mv; select count(*) from mv; insert into mv values (1)

comment on table child is 'commented'; comment on column child.id is null; select obj_description('child'::regclass)

comment on column child.nothing is 'x'

create rule instead as on update to child do instead nothing; update child set extra = 1; drop rule instead on child

create rule also as on delete to child do also insert into ref select 99 where false; delete from child where id = 77; drop rule also on child

create function trg() returns trigger language plpgsql as $$ begin raise notice '% % % %', tg_name, tg_when, tg_op, coalesce(new.id, old.id); if tg_op = 'DELETE' then return old; end if; if new.id = 666 then raise exception 'beast % found', new.id using errcode = 'P6666', detail = 'the detail', hint = 'the hint', column = 'id', table = 'child', schema = 'd', constraint = 'c', datatype = 'int'; end if; return new; end $$

create trigger trg before insert or update or delete on child for each row execute function trg()

insert into child values (10, 'ten'), (11, 'eleven'); update child set extra = 1 where id = 10; delete from child where id = 11

insert into child values (666, 'x')

alter table child disable trigger trg; insert into child values (666, 'x'); alter table child enable trigger trg; drop trigger trg on child

create table deferred (id int primary key, other int references deferred deferrable initially deferred)

begin; insert into deferred values (1, 2); insert into deferred values (2, 1); commit

begin; insert into deferred values (3, 4); commit

begin; set constraints all immediate; insert into deferred values (5, 6)

rollback

create table excl (r int4range, exclude using gist (r with &&)); insert into excl values ('[1,5)'); insert into excl values ('[4,6)')

create role sluice_regress_one; create user sluice_regress_two in role sluice_regress_one password null; alter user sluice_regress_two connection limit 2

create user sluice_regress_two

grant select, insert on child to sluice_regress_one with grant option; grant usage on schema d to public; revoke insert on child from sluice_regress_one cascade

set role sluice_regress_two; select current_user, session_user; select count(*) from child; insert into child values (1)

delete from child

reset role; create policy p on child using (id > 5); alter table child enable row level security; set role sluice_regress_two; select count(*) < 100 from child; reset role

set session authorization sluice_regress_two; show is_superuser; create table d.mine (i int)

reset session authorization; drop owned by sluice_regress_one, sluice_regress_two; drop user sluice_regress_two; drop role sluice_regress_one

drop user sluice_regress_two

drop user if exists sluice_regress_two

grant select on nowhere to public

lock table child in share mode

begin; lock table child in access exclusive mode nowait; commit

analyze child; vacuum child; vacuum (verbose off, analyze) child

begin; vacuum child

rollback

create statistics st (dependencies) on id, extra from child; drop statistics st; create collation c2 from "C"; drop collation c2

create cast (d.nothing as int) without function

create aggregate mysum (int) (sfunc = int4pl, stype = int, initcond = '0'); select mysum(id) from child; drop aggregate mysum (int)

create operator ### (leftarg = int, rightarg = int, function = int4pl); select 1 operator(d.###) 2, 3 ### 4; drop operator ### (int, int)

do $$ begin execute 'create table dyn (i int)'; raise notice 'made'; end $$; drop table dyn

create table "Odd ""name"; with 'x'" ("select" int, "ü" text); insert into "Odd ""name"; with 'x'" values (1, 'y') returning "select", "ü"; drop table "Odd ""name"; with 'x'"

create publication pub for table child; alter publication pub set (publish = 'insert'); drop publication pub

create subscription sub connection 'x' publication y

create extension nothing_like_it

alter system set work_mem = 'nonsense'

security label on table child is 'x'

create procedure proc(inout x int, in y int default 2) language plpgsql as $$ begin x := x + y; commit; end $$; call proc(5)

call proc(5, 6)

begin; call proc(1)

rollback

call nothing(1)

create function atomic(a int) returns int begin atomic select a + 1; select case when a > 0 then a * 2 else 0 end; end; select atomic(4)

create function broken() returns int language sql as 'select nothing'

create function twice(int) returns int language sql as 'select $1 * 2'; create function twice(text) returns text language sql as 'select $1 || $1'; select twice(2), twice('x'); drop function twice

drop function twice(int), twice(text)

drop schema d

drop schema d cascade
