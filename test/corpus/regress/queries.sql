create schema q; set search_path = q; create table people (id int primary key, name text not null, boss int references people, pay numeric, joined date); create table jobs (person int, title text, since date)

insert into people values (1, 'Ann', null, 100, '2020-01-01'), (2, 'Bob', 1, 80, '2021-02-02'), (3, 'Cid', 1, 80.5, '2021-03-03'), (4, 'Dee', 2, null, '2022-04-04'), (5, 'Eve', 2, 60, '2023-05-05')

insert into jobs select id, unnest(array['dev', 'ops']), joined from people where id < 4

select * from people

select * from people order by pay desc nulls last, name limit 2 offset 1

select p.*, j.title from people p left join jobs j on j.person = p.id order by 1, j.title

select name, title from people join jobs on person = id order by 1, 2 fetch first 3 rows with ties

select * from people natural join (select 1 as id) x

select id from people union select person from jobs order by 1

select id from people except all select person from jobs intersect select 2 order by 1

select count(*), count(pay), sum(pay), avg(pay), min(name), max(joined), string_agg(name, ',' order by name desc), array_agg(pay order by id), stddev(pay)::numeric(10, 4), bool_and(pay > 50), percentile_cont(0.5) within group (order by pay), mode() within group (order by pay) from people

select boss, count(*) filter (where pay > 70) as rich, grouping(boss) from people group by rollup (boss) order by 1 nulls last

select boss, extract(year from joined) as y, sum(pay) from people group by cube (boss, y) having count(*) > 1 order by 1, 2, 3

select boss, joined, count(*) from people group by grouping sets ((boss), (joined), ()) order by 1, 2, 3

select name, pay, rank() over w, dense_rank() over w, row_number() over w, lag(name) over w, lead(pay, 1, -1) over w, first_value(name) over w, ntile(2) over w, sum(pay) over (order by id rows between 1 preceding and current row), percent_rank() over w from people window w as (order by pay desc nulls last, id) order by id

select id, avg(pay) over (partition by boss order by joined range between interval '1 year' preceding and current row exclude current row) from people order by id

select name from people where pay > (select avg(pay) from people) order by 1

select name from people p where exists (select from jobs where person = p.id) and id not in (select boss from people where boss is not null) order by 1

select (select name from people)

select name, (select array_agg(title order by title) from jobs where person = p.id) from people p order by id

select * from people p, lateral (select count(*) as n from jobs where person = p.id) l where n > 0 order by id

with recursive chain as (select id, name, 1 as depth, array[id] as path from people where boss is null union all select p.id, p.name, depth + 1, path || p.id from people p join chain on boss = chain.id) select * from chain order by path

with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) search depth first by n set o cycle n set is_cycle using way select n, is_cycle from t

with moved as (delete from jobs where title = 'ops' returning *), kept as materialized (select * from moved) select count(*) from kept

with x as (insert into jobs values (5, 'new', '2024-01-01') returning person) select * from x join people on id = person

with a as (select 1), a as (select 2) select 1

select distinct on (boss) boss, name from people order by boss, pay desc nulls last, id

select distinct pay from people order by 1

select * from generate_series(1, 10, 3) with ordinality as g(x, n), unnest(array['a', 'b']) u order by 1, 3

select * from rows from (generate_series(1, 2), unnest(array['a', 'b', 'c'])) as t(a, b)

values (1, 'x'), (2, 'y') order by 1 desc

table people order by id limit 1

select name from people tablesample system (100) repeatable (1) order by 1

select * from people for update of people skip locked limit 0

select nothing from people

select people.name from people p

select name, count(*) from people

select sum(count(*)) from people

select * from nowhere

select * from people where name = 1

select foo(1)

select count(distinct pay), sum(distinct pay) from people group by boss having boss is not null order by boss

selec 1

select 1 from

select * from people order by 9

select (1, 2) = (1, 2, 3)

select 1 union select 'x'

select 1, 2 union select 1

insert into people values (1, 'dup', null, 0, null)

insert into people (id, name, boss) values (9, 'Lost', 77)

insert into people (id) values (10)

insert into people (id, name) values (11, 'a', 'b')

insert into people values (1, 'Anna', null, 1, null) on conflict (id) do update set name = excluded.name, pay = people.pay + excluded.pay where people.pay < 1000 returning *

insert into people values (1, 'Other') on conflict do nothing returning *

insert into people values (20, 'x'), (20, 'y') on conflict (id) do update set name = excluded.name

insert into people values (1, 'x') on conflict (name) do nothing

insert into people (id, name) select g, 'gen ' || g from generate_series(100, 105) g returning id, name as n, id * 2

update people set pay = coalesce(pay, 0) + 1, name = upper(name) where id >= 100 returning id, name, pay

update people p set pay = j.n from (select person, count(*) as n from jobs group by 1) j where j.person = p.id returning p.id, p.pay

update people set (name, pay) = (select 'sub', 5) where id = 105 returning *

update people set nothing = 1

update people set id = 2 where id = 3

delete from people where id >= 100 returning id

delete from people using jobs where person = id and title = 'new' returning name, title

delete from people where id = 1

merge into people p using (values (1, 'Ann M'), (50, 'New')) v(id, name) on p.id = v.id when matched then update set name = v.name when not matched then insert (id, name) values (v.id, v.name)

merge into people p using (values (50)) v(id) on p.id = v.id when matched then delete

select id, name from people order by id

truncate jobs

truncate people

truncate people, jobs restart identity cascade

create table seqd (id serial, big bigserial, gen int generated always as identity, def int generated by default as identity (start 10 increment 5), twice int generated always as (id * 2) stored)

insert into seqd default values returning *

insert into seqd (gen) values (5)

insert into seqd (gen) overriding system value values (5) returning gen

insert into seqd (twice) values (1)

insert into seqd (def) values (99), (default) returning def

select nextval('seqd_id_seq'), currval('seqd_id_seq'), lastval(), setval('seqd_id_seq', 100, false), nextval('seqd_id_seq')

create sequence tiny maxvalue 2; select nextval('tiny'), nextval('tiny')

select nextval('tiny')

alter sequence tiny restart cycle; select nextval('tiny'); drop sequence tiny

select currval('tiny')

explain (costs off) select * from people where id = 3

explain (costs off, verbose) select p.name, count(*) from people p join jobs on person = p.id group by 1 order by 2

explain (costs off, format json) select 1

explain (costs off, format yaml) update people set name = name

explain (analyze, costs off, timing off, summary off, buffers off) select count(*) from people

explain (costs off) create table made as select 1

explain (nonsense) select 1

drop schema q cascade
