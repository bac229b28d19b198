-- Views, rules, triggers, policies, rights, comments and large objects, for every major since 14.
create schema v;
create table v.base (id int primary key, a text not null, n numeric, "b; b" int, at timestamptz default '2024-01-01 00:00+00');
insert into v.base select n, 'a' || n, n / 3.0, n % 5 from generate_series(1, 100) n;
create table v."lo""g" (id bigserial primary key, what text, at int);
create view v.simple as select id, a, "b; b" from v.base where n > 1;
create view v."of; ""view""" with (security_barrier = true) as select s.id as "i d", upper(s.a) as "u""a" from v.simple s where s."b; b" is not null with local check option;
create view v.checked with (check_option = cascaded) as select * from v.simple where id < 50;
create view v.grouped as select b.id, b.a, count(*) as n from v.base b join v.simple s using (id) group by b.id;
create recursive view v.counted (n) as select 1 union all select n + 1 from counted where n < 10;
create view v.complex as with c as materialized (select id, a, row_number() over w as rn from v.base window w as (partition by "b; b" order by id)) select c.*, x.ord, coalesce(l.what, 'none') as what,
  (select max(n) from v.base) as top, array(select id from v.simple limit 2) as some, case when c.rn > 1 then 'more' end as "case" from c left join lateral (select what from v."lo""g" limit 1) l on true
  cross join unnest(array[1, 2]) with ordinality as x(v, ord) where exists (select from v.base b where b.id = c.id) order by 1 desc nulls last limit 10;
create view v.uses_functions as select fn.plus_one(id) as p, fn.summed(id) over () as s, n operator(fn.<) '5'::fn.number as lt from fn.uses;
create view v.of_log as select * from shop.log where at > '2024-06-01';
create view v.whole_row as select b, b.* from v.base b;
create view v.empty as select;
alter view v.simple alter column a set default 'def''ault';
alter table v.base add column later int;
create materialized view v.filled with (fillfactor = 70) as select "b; b" as g, count(*) as n, array_agg(id order by id) as ids from v.base group by 1;
create unique index filled_g on v.filled (g);
create index "filled; n" on v.filled using btree (n desc) where n > 1;
alter materialized view v.filled alter column n set statistics 77;
alter materialized view v.filled cluster on filled_g;
create materialized view v.never as select * from v.filled with no data;
create materialized view v."on; filled" as select g, fn.plus_one(n) as m from v.filled;
create view v.on_matview as select f.g, o.m from v.filled f join v."on; filled" o using (g);
create function v.from_view() returns setof v.simple language sql stable as 'select * from v.simple';
create view v.from_function as select id from v.from_view();

-- Two views that need each other by way of a rule.
create view v.ring_one as select 1 as a;
create view v.ring_two as select a from v.ring_one;
create or replace view v.ring_one as select 2 as a;

-- Rules.
create rule "ru""le; x" as on insert to v.base where new.id > 1000 do also insert into v."lo""g" (what, at) values ('rule ' || new.a, new.id);
create rule nothing as on delete to v."lo""g" where old.id < 0 do instead nothing;
create rule upd as on update to v.grouped do instead (update v.base set a = new.a where id = old.id; insert into v."lo""g" (what) values ('two'));
create rule noted as on update to v."lo""g" do also notify "chan nel";
alter table v."lo""g" disable rule noted;
create rule replicated as on delete to v.base do also select 1;
alter table v.base enable replica rule replicated;

-- Triggers.
create function v.note() returns trigger language plpgsql as $$ begin insert into v."lo""g" (what) values (tg_name || ' ' || coalesce(tg_argv[0], '')); return coalesce(new, old); end $$;
create function v.noted() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger "tri""g; x" before insert or update of a, "b; b" on v.base for each row when (new.a is not null and new.id > 500) execute function v.note('ar''g', '\x', '$$');
create trigger after_all after insert or delete or truncate on v.base for each statement execute function v.noted();
create trigger transit after update on v.base referencing old table as "o;ld" new table as nu for each statement execute function v.noted();
create constraint trigger con_trig after insert on v.base from v."lo""g" deferrable initially deferred for each row when (new.id < 0) execute function v.noted();
create trigger off before delete on v.base for each row execute function v.note();
alter table v.base disable trigger off;
create trigger always_on after update on v.base for each row when (old.* is distinct from new.*) execute function v.noted();
alter table v.base enable always trigger always_on;
create trigger on_replica after update on v.base for each row execute function v.noted();
alter table v.base enable replica trigger on_replica;
create trigger instead instead of insert on v.grouped for each row execute function v.note();
create trigger on_log before insert on shop.log for each row execute function v.note('log');
create trigger on_part after insert on shop.log_2024 for each row execute function v.noted();
create function v.on_event() returns event_trigger language plpgsql as $$ begin null; end $$;
create event trigger "ev""ent; x" on ddl_command_end when tag in ('CREATE TABLE', 'DROP TABLE') execute function v.on_event();
create event trigger event_off on sql_drop execute function v.on_event();
alter event trigger event_off disable;

-- Row-level security.
create table v.secured (id int primary key, owner name default current_user, t text);
insert into v.secured select n, 'reader', 't' from generate_series(1, 10) n;
alter table v.secured enable row level security;
create policy "pol""icy; x" on v.secured for select to reader, "Röle; ""drop"" 🐘" using (owner = current_user or t = 'it''s');
create policy restricted on v.secured as restrictive for update using (id > 0) with check (id > 1 and exists (select from v.base));
create policy everybody on v.secured for insert with check (true);
create table v.forced (id int primary key);
alter table v.forced enable row level security, force row level security;
create policy all_of_it on v.forced;
create table v.not_enabled (id int);
create policy unused on v.not_enabled to reader using (id = 1);

-- Rights.
grant usage on schema v, fn to reader;
grant usage, create on schema "select" to "Röle; ""drop"" 🐘" with grant option;
grant select, insert on v.base to reader;
grant all on v.base to "Röle; ""drop"" 🐘" with grant option;
grant select (id, "b; b"), update (a) on v.base to public;
revoke insert on v."lo""g" from current_user;
grant select on all tables in schema shop to reader;
grant usage on sequence shop.unowned to reader;
grant select on v.simple, v.filled to public;
revoke execute on function fn.plus_one(int) from public;
grant execute on function fn.plus_one(int) to reader;
grant execute on procedure fn.proc(int, text) to reader;
revoke usage on type shop.mood from public;
grant usage on type shop.mood to reader;
grant usage on domain shop.price to reader;
grant usage on foreign server "serv er" to reader;
grant usage on foreign data wrapper "wrap; x" to reader;
revoke usage on language "pl; own" from public;
alter default privileges in schema v grant select on tables to reader;
alter default privileges in schema shop grant usage on sequences to "Röle; ""drop"" 🐘";
alter default privileges for role app_owner revoke execute on functions from public;
alter default privileges grant usage on schemas to reader;

-- Large objects.
select lo_from_bytea(4711, '\x00ff27'), lo_from_bytea(4712, decode(repeat('ab', 5000), 'hex')), lo_create(4713);
comment on large object 4711 is 'large; it''s';
grant select on large object 4711 to reader;
alter large object 4713 owner to app_owner;

-- Comments on what can have one.
comment on table v.base is E'ta''ble\n-- Name: not; Type: a; Schema: header; Owner: -\n$$';
comment on column v.base."b; b" is 'col''umn \ 🐘';
comment on view v.simple is 'view';
comment on column v.simple.a is 'column of a view';
comment on materialized view v.filled is 'matview';
comment on index v."filled; n" is 'index';
comment on sequence shop.unowned is 'sequence';
comment on type shop.mood is 'type';
comment on type fn.pair is 'composite'; comment on column fn.pair.b is 'attribute';
comment on domain shop.price is 'domain';
comment on constraint positive on domain shop.price is 'of a domain';
comment on constraint uses_ok on fn.uses is 'check';
comment on function fn.plus_one(int) is 'function';
comment on procedure fn.proc(int, text) is 'procedure';
comment on aggregate fn.summed(int) is 'aggregate';
comment on operator fn.< (fn.number, fn.number) is 'operator';
comment on operator class fn.number_ops using btree is 'class';
comment on operator family fn."fam; ""ily""" using btree is 'family';
comment on cast (fn.pair as text) is 'cast';
comment on collation shop.german is 'collation';
comment on conversion fn."conv; x" is 'conversion';
comment on text search configuration fn."conf ig" is 'configuration';
comment on text search dictionary fn.stem is 'dictionary';
comment on text search parser fn.pars is 'parser';
comment on text search template fn."temp.late" is 'template';
comment on trigger "tri""g; x" on v.base is 'trigger';
comment on rule "ru""le; x" on v.base is 'rule';
comment on policy everybody on v.secured is 'policy';
comment on event trigger event_off is 'event trigger';
comment on statistics shop.st is 'statistics';
comment on foreign table fn."foreign; t" is 'foreign table';
comment on server "serv er" is 'server';
comment on foreign data wrapper "wrap; x" is 'wrapper';
comment on access method "heap; two" is 'access method';
comment on language "pl; own" is 'language';
comment on transform for int language sql is 'transform';
comment on index shop.log_val is 'of a partitioned one';
comment on table shop.log_2024 is 'partition';
comment on constraint "a to b; --" on shop.a is 'foreign key';
