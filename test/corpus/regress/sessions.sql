create schema s; set search_path = s; create table t (id int primary key, v text)

begin; insert into t values (1, 'one'); savepoint a; insert into t values (1, 'dup')

select 1

rollback to a; select count(*) from t; savepoint b; insert into t values (2, 'two'); release b; commit; select * from t order by id

begin

begin

commit

commit

rollback

savepoint outside

release savepoint nothing

begin; savepoint x; savepoint x; rollback to x; release x; release x; release x

select 1

commit

begin isolation level serializable read only deferrable; show transaction_isolation; show transaction_read_only; insert into t values (9)

rollback

start transaction isolation level repeatable read; select count(*) from t; set transaction isolation level serializable

rollback and no chain

begin read only; commit and chain; show transaction_read_only; rollback

commit and chain

set transaction read only

begin; set local work_mem = '2MB'; show work_mem; rollback; show work_mem

begin; set work_mem = '3MB'; savepoint z; set work_mem = '5MB'; rollback to z; show work_mem; commit; show work_mem; reset work_mem

begin; set work_mem = 'nonsense'

rollback

begin; set timezone = 'Asia/Tokyo'; select 1; rollback; show timezone

set application_name = 'regress'; show application_name; select current_setting('application_name'), set_config('application_name', 'other', false); reset application_name

set nothing.custom = 'x'; show nothing.custom; select current_setting('nothing.unknown', true), current_setting('nothing.custom')

show nothing_at_all

set nothing_at_all = 1

set work_mem to default; set search_path to s, public; set names 'UTF8'; set client_min_messages = warning; do $$ begin raise notice 'hidden'; raise warning 'shown'; end $$; reset client_min_messages

do $$ begin raise debug 'no'; raise log 'no'; raise info 'an info'; raise notice 'a notice % %%', 7; raise warning 'a warning' using errcode = '01123'; end $$

set client_min_messages = debug1; select 1; reset client_min_messages

do $$ begin raise exception sqlstate '22012' using message = 'my own'; end $$

do $$ begin perform 1 / 0; exception when division_by_zero then raise notice 'caught %', sqlerrm; end $$

do $$ declare x int; begin select 1 into strict x where false; end $$

do $$ begin assert false, 'asserted'; end $$

do language nothing 'x'

do $$ begin syntax error here; end $$

select 1; select 2; select 'three'

select 1; select nothing; select 3

insert into t values (10, 'ten'); insert into t values (10, 'dup'); insert into t values (11, 'never')

select id from t order by id

begin; insert into t values (12, 'x'); commit; insert into t values (12, 'dup')

select count(*) from t where id = 12

insert into t values (13, 'x'); rollback

select count(*) from t where id = 13

;

-- only a comment

/* nested /* comment */ still */ select 'after'

select 1 /* ; */ ; -- ; end

select ';', $$;$$, E'\';' as ";"

prepare p (int, text) as select $1 + 1, $2 || '!'; execute p (1, 'a'); execute p ('2', 3)

execute p (1)

execute p ('x', 'y')

prepare p as select 1

deallocate p; execute p (1, 'a')

deallocate nothing

prepare ins as insert into t values ($1, $2) returning *; execute ins (20, 'twenty'); deallocate prepare ins; deallocate all

prepare bad as select $1

prepare bad as select nothing

prepare show_me as select 'x'; execute show_me; explain (costs off) execute show_me; create table made as execute show_me; drop table made; deallocate show_me

declare c cursor for select * from t

begin; declare c scroll cursor for select g from generate_series(1, 10) g; fetch 2 from c; fetch backward 1 from c; move forward 3 in c; fetch absolute 5 c; fetch relative -2 c; fetch all c; fetch prior from c; close c; fetch c

rollback

begin; declare nb no scroll cursor for select g from generate_series(1, 3) g; fetch all from nb; fetch backward all from nb

rollback

begin; declare h cursor with hold for select g from generate_series(1, 3) g; commit; fetch 2 from h; fetch all from h; close h

begin; declare u cursor for select * from t order by id for update; fetch 1 from u; update t set v = 'by cursor' where current of u returning *; close u; commit

begin; declare b binary cursor for select 1::int4, 'x'::text; fetch all from b; commit

close nothing

create function open_one() returns refcursor language plpgsql as $$ declare r refcursor := 'mine'; begin open r for select g * 10 as tens from generate_series(1, 3) g; return r; end $$

begin; select open_one(); fetch all in mine; commit

create temp table tt (i int) on commit drop

begin; create temp table td (i int) on commit drop; insert into td values (1); select * from td; commit; select * from td

create temp table tmp as select 1 as i; select * from tmp; discard temp; select * from tmp

create temp sequence ts; select nextval('ts'); discard sequences; discard plans; select currval('ts')

listen regress_a; notify regress_a, 'to myself'; select 1

begin; notify regress_a, 'once'; notify regress_a, 'once'; notify regress_a, 'twice'; commit

begin; notify regress_a, 'never'; rollback

select pg_notify('regress_a', 'by function')

unlisten regress_a; notify regress_a; unlisten *

notify regress_a, 'nobody hears'

select pg_try_advisory_lock(42), pg_advisory_unlock(42), pg_advisory_unlock(42)

begin; select pg_advisory_xact_lock(43); commit

select lo_create(77001), lo_from_bytea(77002, '\x010203'), lo_get(77002), lo_put(77002, 1, '\xff'); select lo_get(77002); select lo_unlink(77001), lo_unlink(77002)

begin; select lo_open(77003, 131072)

rollback

prepare transaction 'sluice_regress_none'

begin; insert into t values (30, 'two phase'); prepare transaction 'sluice_regress_two'

select count(*) from t where id = 30

commit prepared 'sluice_regress_two'

select count(*) from t where id = 30

rollback prepared 'sluice_regress_none'

begin; commit prepared 'sluice_regress_none'

rollback

set statement_timeout = '20ms'; select pg_sleep(5)

reset statement_timeout; select 'awake'

begin; set local lock_timeout = '10ms'; set local idle_in_transaction_session_timeout = '10s'; select 1; end

set session characteristics as transaction read only; insert into t values (40, 'x')

set session characteristics as transaction read write; insert into t values (40, 'x') returning *

set role none; set session authorization default; select pg_catalog.set_config('search_path', 's', false), current_schema()

set standard_conforming_strings = off; select 'a\tb;\'', 'c'; set standard_conforming_strings = on

set escape_string_warning = on; set standard_conforming_strings = off; select 'x\\y'; reset standard_conforming_strings; reset escape_string_warning

set client_encoding = 'LATIN1'; show client_encoding; select chr(233), chr(8364)

select 'x'; reset client_encoding; show client_encoding

set client_encoding = 'KLINGON'

reset all; set search_path = s

discard all

select current_setting('search_path')

abort; end; start transaction; end work; begin work; abort work

load 'nothing_like_it'

checkpoint

execute nothing_prepared ('x')

execute nothing_prepared

show all_of_it

show server_version_num; show time zone; show transaction isolation level; show session authorization

show peer_like_setting

explain create mirror_like

create mirrored table x (i int)

alter peers set schema x

drop peers

create users

pause mirrors

validate nothing

select pg_terminate_backend(null), pg_cancel_backend(null), pg_backend_pid() > 0

drop schema s cascade
