-- Functions and what is made of them, and what rests on them in turn, for every major since 14.
create schema fn;
create schema "f(n), ""x""";
comment on schema fn is 'it''s $$ the \ functions';
create type fn.pair as (a int, b text);
create type fn.shell_only;
create function fn.plus_one(int) returns int language sql immutable strict parallel safe as 'select $1 + 1';
create function fn.plus_one(bigint) returns bigint language sql immutable as 'select $1 + 1';
create function fn."q""uo.te; --"("a b" text default 'it''s', variadic "rest $1" text[] default '{}') returns text language plpgsql stable security definer cost 17
  set search_path = fn, "$user" set work_mem = '5MB' set "my.setting" = 'x y' as $body$ begin return $1 || ' $$ '; /* ' */ end $body$;
create function fn.many(in x int, out y int, out z text, inout w numeric default 1.5) language sql as $$ select x, 'z', w $$;
create function fn.tabled(n int) returns table (a int, "b b" text) language plpgsql rows 7 called on null input as $fn$ begin return query select n, 'x'::text; end $fn$;
create function fn.set_of() returns setof fn.pair language sql as 'select 1, ''a''::text';
create function fn.atomic(a int, b int default 2) returns int language sql immutable begin atomic; select a + b; end;
create function fn.returned(a int) returns int language sql return fn.plus_one(a);
create function fn.leak(int) returns boolean language sql leakproof immutable as 'select $1 > 0';
create function fn.windowed() returns bigint language internal window immutable as 'window_row_number';
create function fn.poly(anyelement, anyarray) returns anyelement language sql as 'select $1';
create function fn.supported(text) returns text language internal immutable strict support pg_catalog.textlike_support as 'upper';
create procedure fn.proc(in a int, inout b text default 'b') language plpgsql as $$ begin b := b || a; commit; end $$;
create procedure fn.atomic_proc() language sql begin atomic insert into shop.whos values (77) on conflict do nothing; delete from shop.whos where id = 77; end;
create function "f(n), ""x"""."(x)" ("," int) returns int language sql as 'select 1';

-- A base type out of the server's own functions.
create type fn.number;
create function fn.number_in(cstring) returns fn.number language internal immutable strict as 'int4in';
create function fn.number_out(fn.number) returns cstring language internal immutable strict as 'int4out';
create function fn.number_recv(internal) returns fn.number language internal immutable strict as 'int4recv';
create function fn.number_send(fn.number) returns bytea language internal immutable strict as 'int4send';
create type fn.number (input = fn.number_in, output = fn.number_out, receive = fn.number_recv, send = fn.number_send, internallength = 4, passedbyvalue, alignment = int4, category = 'N', default = '7', delimiter = ';');
create function fn.number_lt(fn.number, fn.number) returns boolean language internal immutable strict as 'int4lt';
create function fn.number_le(fn.number, fn.number) returns boolean language internal immutable strict as 'int4le';
create function fn.number_eq(fn.number, fn.number) returns boolean language internal immutable strict as 'int4eq';
create function fn.number_ne(fn.number, fn.number) returns boolean language internal immutable strict as 'int4ne';
create function fn.number_ge(fn.number, fn.number) returns boolean language internal immutable strict as 'int4ge';
create function fn.number_gt(fn.number, fn.number) returns boolean language internal immutable strict as 'int4gt';
create function fn.number_cmp(fn.number, fn.number) returns int language internal immutable strict as 'btint4cmp';
create function fn.number_hash(fn.number) returns int language internal immutable strict as 'hashint4';
create operator fn.< (leftarg = fn.number, rightarg = fn.number, function = fn.number_lt, commutator = operator(fn.>), negator = operator(fn.>=), restrict = scalarltsel, join = scalarltjoinsel);
create operator fn.> (leftarg = fn.number, rightarg = fn.number, function = fn.number_gt, commutator = operator(fn.<), negator = operator(fn.<=), restrict = scalargtsel, join = scalargtjoinsel);
create operator fn.<= (leftarg = fn.number, rightarg = fn.number, function = fn.number_le, commutator = operator(fn.>=), negator = operator(fn.>));
create operator fn.>= (leftarg = fn.number, rightarg = fn.number, function = fn.number_ge, commutator = operator(fn.<=), negator = operator(fn.<));
create operator fn.= (leftarg = fn.number, rightarg = fn.number, function = fn.number_eq, commutator = operator(fn.=), negator = operator(fn.<>), restrict = eqsel, join = eqjoinsel, hashes, merges);
create operator fn.<> (leftarg = fn.number, rightarg = fn.number, function = fn.number_ne, commutator = operator(fn.<>), negator = operator(fn.=), restrict = neqsel, join = neqjoinsel);
create operator class fn.number_ops default for type fn.number using btree as operator 1 fn.<, operator 2 fn.<=, operator 3 fn.=, operator 4 fn.>=, operator 5 fn.>, function 1 fn.number_cmp(fn.number, fn.number);
create operator class fn.number_hash_ops default for type fn.number using hash as operator 1 fn.=, function 1 fn.number_hash(fn.number);
create operator family fn."fam; ""ily""" using btree;
create operator class fn."cl.ass" for type int4 using btree family fn."fam; ""ily""" as operator 1 pg_catalog.<, operator 2 pg_catalog.<=, operator 3 pg_catalog.=, operator 4 pg_catalog.>=, operator 5 pg_catalog.>, function 1 pg_catalog.btint4cmp(int4, int4);
alter operator family fn."fam; ""ily""" using btree add operator 1 pg_catalog.< (int4, int8), function 1 (int4, int8) pg_catalog.btint48cmp(int4, int8);
create operator fn.!! (rightarg = fn.number, function = fn.number_out);
create function fn.number_to_int(fn.number) returns int language internal immutable strict as 'int4up';
create cast (fn.number as int) with function fn.number_to_int(fn.number) as assignment;
create cast (int as fn.number) without function as implicit;
create cast (fn.pair as text) with inout;
create function fn.mood_to_int(shop.mood) returns int language sql immutable as $$ select case $1 when 'sad' then 0 else 1 end $$;
create cast (shop.mood as int) with function fn.mood_to_int(shop.mood);

-- Aggregates of every kind.
create aggregate fn.summed(int) (sfunc = int4pl, stype = int, initcond = '0', combinefunc = int4pl, parallel = safe);
create function fn.agg_step(text, text, text) returns text language sql immutable as $$ select coalesce($1, '') || $2 || $3 $$;
create function fn.agg_final(text, text, text) returns text language sql immutable as $$ select $1 $$;
create aggregate fn."agg""; x"(a text, "b b" text) (sfunc = fn.agg_step, stype = text, finalfunc = fn.agg_final, finalfunc_extra, finalfunc_modify = read_write, initcond = 'it''s', sspace = 99);
create aggregate fn.moving(float8) (sfunc = float8_accum, stype = float8[], finalfunc = float8_avg, initcond = '{0,0,0}', msfunc = float8pl, minvfunc = float8mi, mstype = float8, minitcond = '0');
create function fn.smaller(fn.number, fn.number) returns fn.number language internal immutable strict as 'int4smaller';
create aggregate fn.least_number(fn.number) (sfunc = fn.smaller, stype = fn.number, sortop = operator(fn.<));
create aggregate fn.percentile(float8 order by anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra);
create aggregate fn.test_rank(variadic "any" order by variadic "any") (sfunc = ordered_set_transition_multi, stype = internal, finalfunc = rank_final, finalfunc_extra, hypothetical);

-- What tables have of them: before the load, and after it.
create domain fn.checked as int check (fn.plus_one(value) > 0) default fn.plus_one(41);
create function fn.code() returns text language sql volatile as $$ select 'code ' || 7 $$;
create table fn.uses (id int primary key default fn.plus_one(1), n fn.number default '5', g int generated always as (fn.plus_one(5)) stored, c text default fn.code(), d fn.checked, p fn.pair,
  constraint uses_ok check (fn.leak(id)), constraint uses_n check (n operator(fn.>) '-5'::fn.number));
create index uses_n on fn.uses (n);
create index uses_hash on fn.uses using hash (n fn.number_hash_ops);
create index uses_fam on fn.uses (id fn."cl.ass");
create index uses_fn on fn.uses (fn.plus_one(id)) where fn.leak(id);
create unique index uses_atomic on fn.uses (fn.plus_one(id::bigint));
create statistics fn.uses_st on fn.plus_one(id), c from fn.uses;
alter table fn.uses add constraint uses_ex exclude using btree (n with operator(fn.=));
insert into fn.uses (id, n, d) values (1, '1', 3), (2, '2', 4);
create table fn.parted (a int, b int) partition by list (fn.plus_one(a));
create table fn.parted_1 partition of fn.parted for values in (1, 2);
create table fn.parted_rest partition of fn.parted default;
insert into fn.parted values (0, 1), (7, 2);
create function fn.of_row(fn.uses) returns text language sql stable as $$ select $1.c || $1.id $$;
create function fn.of_rows(shop.columns[]) returns int language sql stable as $$ select cardinality($1) $$;
create function fn.gives_rows() returns setof fn.uses language sql stable as $$ select * from fn.uses $$;
create table fn.has_row (r fn.uses, rs fn.uses[], w int default fn.plus_one(10));
insert into fn.has_row select u, array[u] from fn.uses u;

-- Text search, conversion, transform, access method, language.
create text search template fn."temp.late" (init = dsimple_init, lexize = dsimple_lexize);
create text search dictionary fn."dict; ""x""" (template = fn."temp.late", stopwords = english);
create text search dictionary fn.stem (template = snowball, language = german, stopwords = german);
create text search parser fn.pars (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype, headline = prsd_headline);
create text search configuration fn."conf ig" (parser = fn.pars);
alter text search configuration fn."conf ig" add mapping for asciiword, word with fn."dict; ""x""", fn.stem;
create text search configuration fn.english_own (copy = pg_catalog.english);
alter text search configuration fn.english_own alter mapping for asciiword with pg_catalog.simple;
create table fn.texts (id int primary key, t text, v tsvector generated always as (to_tsvector('fn.english_own'::regconfig, t)) stored);
create index texts_v on fn.texts using gin (to_tsvector('fn."conf ig"'::regconfig, t));
insert into fn.texts (id, t) select n, 'the words of text ' || n from generate_series(1, 20) n;
create conversion fn."conv; x" for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create default conversion fn.conv_default for 'UTF8' to 'LATIN1' from utf8_to_iso8859_1;
create transform for int language sql (from sql with function prsd_lextype(internal), to sql with function int4recv(internal));
create access method "heap; two" type table handler heap_tableam_handler;
create table fn.other_method (a int primary key, b text) using "heap; two" ;
insert into fn.other_method values (1, 'b');
create trusted language "pl; own" handler plpgsql_call_handler inline plpgsql_inline_handler validator plpgsql_validator;
create function fn.in_own_language() returns int language "pl; own" as 'begin return 1; end';

-- Foreign data.
create foreign data wrapper "wrap; x" options (format 'it''s');
create server "serv er" type 'ty''pe' version '1.2' foreign data wrapper "wrap; x" options (host 'h', "dbname" 'v''');
create user mapping for public server "serv er" options ("user" 'u', password 'do not show');
create foreign table fn."foreign; t" (a int options (column_name 'd') not null, b text default 'x' collate "C") server "serv er" options (table_name 'y');
alter foreign table fn."foreign; t" add constraint ft_check check (a > 0);
