create schema c; set search_path = c; create table t (id int primary key, what text, n numeric)

copy t from stdin
<<<
1	one	1.5
2	tab\there	\N
3	\\N	-0
\.

copy t to stdout

copy t (id, what) to stdout with (format csv, header, quote '''', delimiter ';', force_quote *)

copy (select id, repeat('x', id) as x from t order by id) to stdout (format csv, null 'NIL')

copy t from stdin with (format csv, header)
<<<
id,what,n
4,"quoted, ""really""",4
5,,5.25
6,"two
lines",

copy t from stdin csv
<<<
7,seven,notanumber

copy t from stdin csv
<<<
8,eight,8
1,duplicate,1

copy t from stdin
<<<
9	too few

copy t from stdin
<<<
10	ten	10	too many

select id, what, n from t order by id

copy t from stdin

copy t to stdout (format binary)

copy nowhere from stdin
<<<
1

copy t from stdin (format nothing)
<<<
1

copy t (nothing) to stdout

copy t (id, what) from stdin where id > 20
<<<
20	no
21	yes

insert into t values (30, 'before'); copy t (id) from stdin; insert into t values (32, 'after')
<<<
31

copy t (id) from stdin; select nothing; insert into t values (99, 'never')
<<<
40

select count(*) from t where id in (30, 31, 32, 40, 99)

begin; copy t (id) from stdin
<<<
50

select count(*) from t where id = 50

rollback

begin; copy t (id) from stdin
<<<
not a number

select 1

rollback

copy (select 1) to stdout; copy (values ('a'), ('b')) to stdout; select 'and more'

copy (select 1 / 0) to stdout

copy (select generate_series(1, 3000)) to stdout

create function noisy() returns trigger language plpgsql as $$ begin raise notice 'row %', new.id; return new; end $$; create trigger noisy before insert on t for each row execute function noisy()

copy t (id) from stdin
<<<
60
61

create view v as select * from t; copy v to stdout

create temp table tmp (i int, j jsonb, a int[], b bytea, d date)

copy tmp from stdin
<<<
1	{"a": "b\\tc"}	{1,NULL}	\\xdead	2024-01-01
\N	null	{}	\\x	infinity

copy tmp to stdout (format csv)

copy tmp to stdout; drop table tmp; copy tmp to stdout

copy t from '/nowhere/at/all'

copy t to program 'exit 3'

truncate t; copy t from stdin (freeze)
<<<
1	x	1

begin; truncate t; copy t from stdin (freeze)
<<<
1	x	1

commit

drop schema c cascade
