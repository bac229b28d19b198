-- A database with one of everything that a tool may ask about. Runs as one text on every major from 14.
set search_path = public;
create schema shop;
create schema "Odd Schema";
create schema empty;
comment on schema shop is 'Orders and those who make them';

create extension if not exists hstore schema shop;
create extension if not exists citext;
create extension if not exists pg_trgm;
create extension if not exists postgres_fdw;

create type shop.mood as enum ('sad', 'ok', 'happy', 'très heureux');
comment on type shop.mood is 'How a customer feels';
create type shop.address as (street text, city varchar(40), zip numeric(6, 0));
create type shop.price_range as range (subtype = numeric);
create domain shop.email as citext check (value ~ '^[^@]+@[^@]+$');
create domain shop.positive as int not null default 1 constraint is_positive check (value > 0);
comment on domain shop.email is 'An address with one @';
create collation shop.german (provider = libc, locale = 'C');

create sequence shop.ticket as int increment 5 minvalue 5 maxvalue 1000000 start 10 cache 3 cycle;
comment on sequence shop.ticket is 'Goes up in fives';
create sequence public.standalone;

create table shop.customers (
  id bigint generated always as identity primary key,
  name varchar(80) not null,
  mail shop.email unique,
  feels shop.mood default 'ok',
  home shop.address,
  tags text[] default '{}',
  born date check (born > '1900-01-01'),
  seen timestamptz(3) default '2024-01-01 00:00:00+00',
  note text collate "C",
  data jsonb default '{}'::jsonb,
  pairs shop.hstore,
  shout text generated always as (upper(name)) stored
);
comment on table shop.customers is 'People who buy; it''s "quoted" and has a
second line';
comment on column shop.customers.mail is 'Where to write to';
alter table shop.customers alter column note set storage external, alter column name set statistics 250;
alter table shop.customers alter column data set compression pglz;

create table shop.products (
  sku char(8) primary key,
  title text not null,
  price numeric(10, 2) not null constraint price_not_negative check (price >= 0),
  span shop.price_range,
  weight real,
  size double precision,
  photo bytea,
  uid uuid default '00000000-0000-0000-0000-000000000000',
  hours interval day to second(0),
  opens time(0) without time zone,
  closes timetz,
  flags bit(4),
  more varbit(16),
  net inet,
  block cidr,
  mac macaddr,
  place point,
  area box,
  search tsvector generated always as (to_tsvector('english', title)) stored,
  amount money,
  small smallint,
  ref regclass,
  doc json,
  docs xml,
  one "char",
  label name
);
create table shop.orders (
  id serial primary key,
  customer bigint not null references shop.customers (id) on delete cascade on update restrict,
  placed timestamp not null default '2024-01-01',
  total numeric not null default 0,
  quantity shop.positive,
  parent int references shop.orders (id) deferrable initially deferred,
  constraint total_fits check (total < 1000000) no inherit
);
create table shop.order_lines (
  "order" int,
  "Line No" smallint,
  sku char(8) references shop.products match full on update cascade on delete set null,
  count int not null default 1,
  primary key ("order", "Line No"),
  foreign key ("order") references shop.orders (id) on delete cascade
) with (fillfactor = 70, autovacuum_enabled = false);
create unlogged table shop.scratch (a int, b int, c int, unique (a, b));
alter table shop.scratch drop column b;

create index customers_name_lower on shop.customers (lower(name) text_pattern_ops, born desc nulls last) where born is not null;
create index customers_data on shop.customers using gin (data jsonb_path_ops);
create index products_title on shop.products using gist (title gist_trgm_ops);
create index products_search on shop.products using gin (search) with (fastupdate = off);
create index products_uid on shop.products using hash (uid);
create unique index products_covering on shop.products (title, price) include (weight);
create index orders_brin on shop.orders using brin (placed) with (pages_per_range = 16);
comment on index shop.customers_data is 'For @>';
cluster shop.customers using customers_pkey;
alter table shop.orders replica identity full;

create table shop.events (id bigint not null, at date not null, kind text, primary key (id, at)) partition by range (at);
create table shop.events_2023 partition of shop.events for values from ('2023-01-01') to ('2024-01-01');
create table shop.events_2024 partition of shop.events for values from ('2024-01-01') to ('2025-01-01') partition by list (id);
create table shop.events_2024_some partition of shop.events_2024 for values in (1, 300);
create table shop.events_2024_rest partition of shop.events_2024 default;
create index events_kind on shop.events (kind);
create table shop.hashed (id int, v text) partition by hash (id);
create table shop.hashed_0 partition of shop.hashed for values with (modulus 2, remainder 0);
create table shop.hashed_1 partition of shop.hashed for values with (modulus 2, remainder 1);

create table shop.animal (name text, legs int default 4, check (legs >= 0));
create table shop.dog (barks bool not null default true) inherits (shop.animal);
create table shop.typed of shop.address (street with options primary key, city default 'Ulm');
create table shop.bookings (room int, during tsrange, exclude using gist (during with &&));
alter table shop.bookings add constraint room_valid check (room > 0) not valid;

create table "Odd Schema"."Table with ""quotes""" ("Col 1" int primary key, "sel ect" text default 'it''s', "ünï" text, "a.b" int);
comment on column "Odd Schema"."Table with ""quotes"""."ünï" is 'ärger';
create table public.plain (id int primary key, what text);
create table public.no_columns ();
create table public."UPPER" ("ID" int);

create view shop.happy with (security_barrier) as select id, name, mail from shop.customers where feels = 'happy' with local check option;
comment on view shop.happy is 'Only the happy ones';
create view shop.totals as select c.id, c.name, sum(o.total) as total, count(*) filter (where o.quantity > 1) as many
  from shop.customers c left join shop.orders o on o.customer = c.id group by c.id, c.name;
create recursive view public.numbers (n) as values (1) union all select n + 1 from numbers where n < 5;
create materialized view shop.summary as select feels, count(*) as n from shop.customers group by feels with data;
create unique index summary_feels on shop.summary (feels);
create materialized view shop.not_filled as select 1 as one with no data;

create function shop.add(a int, b int default 2) returns int language sql immutable strict parallel safe cost 5 return a + b;
create function shop.find(what text, out id bigint, out name text) returns setof record language sql stable
  as $$ select id, name from shop.customers where name ilike what $$;
create function shop.many(variadic list numeric[]) returns table (n numeric, doubled numeric) language plpgsql as $body$
begin
  return query select x, x * 2 from unnest(list) x;
end
$body$;
create function shop.touch() returns trigger language plpgsql security definer set search_path = shop, pg_temp as $$
begin
  new.seen := '2024-06-01';
  raise notice 'touched %', new.name;
  return new;
end $$;
create function shop.on_ddl() returns event_trigger language plpgsql as 'begin null; end';
create procedure shop.pay(inout id int, amount numeric = 0) language plpgsql as $$ begin update shop.orders o set total = amount where o.id = pay.id; end $$;
create procedure shop.nothing() language sql begin atomic; select 1; select case when true then 2 end; end;
comment on function shop.add(int, int) is 'a + b';
create function shop.times(a shop.mood, b int) returns text language sql immutable as 'select repeat(a::text, b)';
create aggregate shop.concat_all(text) (sfunc = textcat, stype = text, initcond = '');
create function shop.keep_longest(a text, b text) returns text language sql immutable
  as 'select case when a is null or length(b) > length(a) then b else a end';
create aggregate shop.longest(text) (sfunc = shop.keep_longest, stype = text, parallel = safe);
create operator shop.* (leftarg = shop.mood, rightarg = int, function = shop.times);
comment on operator shop.* (shop.mood, int) is 'As often as you like';
create operator family shop.moods using btree;
create operator class shop.mood_class for type shop.mood using btree family shop.moods as
  operator 1 < (anyenum, anyenum), operator 2 <= (anyenum, anyenum), operator 3 = (anyenum, anyenum),
  operator 4 >= (anyenum, anyenum), operator 5 > (anyenum, anyenum), function 1 enum_cmp (anyenum, anyenum);
create function shop.to_int(shop.mood) returns int language sql immutable as $$ select array_position(enum_range(null::shop.mood), $1) $$;
create cast (shop.mood as int) with function shop.to_int (shop.mood) as assignment;
create conversion shop.latin for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create text search dictionary shop.plain_words (template = simple, stopwords = english);
create text search configuration shop.plain (copy = simple);
alter text search configuration shop.plain alter mapping for asciiword with shop.plain_words, simple;

create trigger touch before insert or update of name, mail on shop.customers for each row when (new.name <> '') execute function shop.touch();
create trigger no_truncate after truncate on shop.customers execute function shop.touch();
create constraint trigger later after insert on shop.orders deferrable initially deferred for each row execute function shop.touch();
create trigger with_tables after update on shop.orders referencing old table as was new table as is_now for each statement execute function shop.touch();
comment on trigger touch on shop.customers is 'Touches';
alter table shop.customers disable trigger no_truncate;
alter table shop.orders disable trigger later;
alter table shop.orders disable trigger with_tables;
create event trigger watch_ddl on ddl_command_end when tag in ('CREATE FOREIGN TABLE') execute function shop.on_ddl();
create rule log_scratch as on insert to shop.scratch where new.a > 100 do also insert into shop.animal values ('big');
create rule no_delete as on delete to shop.happy do instead nothing;
create statistics shop.order_stats (ndistinct, dependencies) on customer, total from shop.orders;
create statistics shop.expression_stats on (lower(name)), born from shop.customers;
alter table shop.customers enable row level security;
alter table shop.orders enable row level security, force row level security;
create policy see_all on shop.customers for select using (true);
create policy own on shop.orders as restrictive for update to current_user using (total > 0) with check (total >= 0);
comment on policy see_all on shop.customers is 'Everyone';

create publication all_tables for all tables with (publish = 'insert, update');
create publication some_tables for table shop.customers, shop.orders with (publish_via_partition_root = true);
create server elsewhere type 'pg' version '1' foreign data wrapper postgres_fdw options (host '127.0.0.1', dbname 'nowhere');
comment on server elsewhere is 'Not here';
create user mapping for current_user server elsewhere options (user 'x', password 'secret');
create user mapping for public server elsewhere;
create foreign table shop.far (id int options (column_name 'key') not null, what text) server elsewhere options (schema_name 's', table_name 't');

do $$ begin
  if not exists (select from pg_roles where rolname = 'sample_reader') then
    create role sample_reader nologin;
    create role sample_writer login connection limit 3 password null valid until '2030-01-01 00:00:00+00' in role sample_reader;
    comment on role sample_reader is 'Looks only';
    alter role sample_writer set work_mem = '8MB';
  end if;
end $$;
grant usage on schema shop to sample_reader;
grant select on all tables in schema shop to sample_reader;
grant select (id, name), update (name) on shop.customers to sample_writer with grant option;
grant execute on function shop.add(int, int) to sample_reader;
revoke execute on function shop.many(numeric[]) from public;
grant usage on sequence shop.ticket to sample_reader;
grant usage on type shop.mood to sample_reader;
alter default privileges in schema shop grant select on tables to sample_reader;
alter default privileges for role sample_writer revoke execute on functions from public;
alter table shop.animal owner to sample_reader;

insert into shop.customers (name, mail, feels, home, tags, born, data, pairs)
  select 'Customer ' || n, 'c' || n || '@example.com', (enum_range(null::shop.mood))[1 + n % 4], row('Street ' || n, 'Ulm', 89073)::shop.address,
    array['t' || n, null, 'a,"b'], date '1980-01-01' + n, jsonb_build_object('n', n, 'list', array[n, n + 1]), shop.hstore('k', n::text)
  from generate_series(1, 25) n;
insert into shop.products (sku, title, price, span, weight, size, photo, hours, opens, closes, flags, more, net, block, mac, place, area, amount, small, ref, doc, one, label)
  values ('A-1', 'A blue ball', 9.99, '[1,5)', 1.5, 1e300, '\xdeadbeef00', '1 day 02:03:04', '08:00', '18:00+02', '1010', '11', '10.0.0.1/8', '10.0.0.0/8',
    '08:00:2b:01:02:03', '(1,2)', '((0,0),(1,1))', 12.5, 7, 'pg_class', '{"a": [1, null]}', 'x', 'n'),
  ('B-2', 'Étoile "rouge"', 0, 'empty', 'NaN', '-Infinity', '', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
insert into shop.orders (customer, total, quantity) select 1 + n % 25, n * 1.10, 1 + n % 3 from generate_series(1, 60) n;
insert into shop.order_lines select 1 + n % 60, n / 60, 'A-1', n from generate_series(0, 119) n;
insert into shop.events select n, date '2023-06-01' + n, case when n % 3 = 0 then 'a' else 'b' end from generate_series(1, 300) n where n < 570;
insert into shop.hashed select n, 'v' || n from generate_series(1, 20) n;
insert into shop.dog values ('Rex', 4, true);
insert into "Odd Schema"."Table with ""quotes""" values (1, 'x', 'ö', 2), (2, E'tab\there\\n', null, null);
insert into public.plain select n, 'what ' || n from generate_series(1, 100) n;
refresh materialized view shop.summary;
analyze;
