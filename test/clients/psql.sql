-- What psql.sh runs: the scenario in psql's own words.
\set VERBOSITY verbose
\set SHOW_CONTEXT always
\pset null NULL
\echo == login
\echo :SERVER_VERSION_NUM :ENCODING
\echo == settings
set timezone to 'UTC';
show timezone;
\echo == ddl
\set QUIET off
create table :schema.extra (id int);
drop table :schema.extra;
\set QUIET on
\echo == parameters
select :'schema' = 'x' as other, 41 + 1 as n, E'O\'Reilly \\ ü€' as t, 1.5::float8 as f, true as b \gx
\gdesc
\echo == nulls
select null::text is null, null::text;
\echo == numeric
select 12345678901234567890.123456789::numeric, -0.00001::numeric, 'NaN'::numeric;
\echo == timestamptz
select '2024-02-29 12:34:56.789012+02'::timestamptz;
\echo == json
select '{"a": [1, 2.50, null], "b": "ü"}'::json, '{"a": [1, 2.50, null], "b": "ü"}'::jsonb;
\echo == bytea
select '\x000100ff5c27'::bytea;
\echo == arrays
select '{1,NULL,3}'::int[], '{a,"b,c",NULL,"d\"e",""}'::text[];
\echo == uuid
select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid;
\echo == enum
insert into :things (id, name, mood) values (1, 'one', 'happy') returning mood \gset
\echo :mood
\echo == types
select id, name, amount, at, doc, raw, list, words, uid from :things \gdesc
\pset format unaligned
select * from :things;
\pset format csv
select * from :things;
\pset format aligned
\echo == prepared
prepare twice (int) as select $1 * $1 as square;
execute twice (1);
execute twice (2);
execute twice (3);
deallocate twice;
select 'execute nothing_prepared' \gexec
\echo == counts
\set QUIET off
insert into :things (id, name) values (2, 'two'), (3, 'three'), (4, 'four');
update :things set amount = id * 1.5 where id in (2, 3);
delete from :things where id = 4;
\echo :ROW_COUNT
\echo == transaction
begin;
insert into :things (id, name) values (100, 'x');
rollback;
select count(*) from :things where id = 100;
start transaction isolation level serializable, read write;
insert into :things (id, name) values (101, 'x');
savepoint s;
insert into :things (id, name) values (101, 'x');
\echo :SQLSTATE
select 1;
rollback to s;
release s;
commit and chain;
rollback;
select count(*) from :things where id = 101;
\set AUTOCOMMIT off
insert into :things (id, name) values (102, 'x');
rollback;
select count(*) from :things where id = 102;
commit;
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK on
begin;
select 1/0;
select 'goes on';
commit;
\set ON_ERROR_ROLLBACK off
\echo == error
select 1/0;
\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE
insert into :things (id) values (5);
selec 1;
select 'a long line', 'before the mistake',
  nope, 'and after it' from :things;
\errverbose
select 1;
\echo == multi
select 1 \; insert into :things (id, name) values (200, 'x') \; select 'last';
insert into :things (id, name) values (201, 'x') \; select 1 / (id - id) from :things \; select 2;
select count(*) from :things where id in (200, 201);
\echo == chunks
\set FETCH_COUNT 1000
\pset format unaligned
\pset tuples_only on
select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i
\g | awk -F'|' '{ rows++; sum += $1; hash = (hash * 31 + $2) % 1000000007; len += length($3) } END { printf "%.0f|%.0f|%.0f|%.0f\n", rows, sum, hash, len }'
\unset FETCH_COUNT
\pset tuples_only off
\echo == copy in
\pset format aligned
set search_path = :schema, public;
\copy things (id, name, words) from stdin
301	a,b	{x}
302	q"q	\N
\.
select array_agg(name order by id), count(words) from things where id > 300;
\echo == copy out
copy (select id, name, words from things where id > 300 order by id) to stdout;
\copy things to '/dev/stdout' csv header
\echo == copy error
copy things (id, name) from stdin;
303	x
many	y
\.
select count(*) from things where id = 303;
\echo == notice
do $$ begin raise notice 'hello %', 1; end $$;
\echo == notify
set client_min_messages = warning;
\set QUIET off
listen clients;
notify clients, 'payload';
\echo == browse
\d things
\dt
\dT+
\dn c_ps*
\df abs
select 1 as a, 'x' as b, 2 as c \crosstabview
