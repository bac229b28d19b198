-- What PostgreSQL 18 brought.
create table shop.computed (a int primary key, b int, sum int generated always as (a + b) virtual, kept int generated always as (a * b) stored, txt text);
insert into shop.computed (a, b) values (1, 2);
create table shop.nots (id int constraint "id; is there" not null, v text constraint v_there not null no inherit, w int, x int not null);
alter table shop.nots add constraint w_later not null w not valid;
create table shop.nots_child (y int) inherits (shop.nots);
create table shop.key_of (id int primary key);
create table shop.lenient (a int, constraint not_kept check (a > 100) not enforced, b int, constraint loose foreign key (b) references shop.key_of not enforced);
insert into shop.lenient values (1, 1);
create table shop.periods (id int4range, valid_at daterange, v text, primary key (id, valid_at without overlaps), constraint periods_u unique (valid_at, id without overlaps));
create table shop.of_periods (id int4range, valid_at daterange, foreign key (id, period valid_at) references shop.periods (id, period valid_at));
insert into shop.periods values ('[1,2)', '[2024-01-01,2025-01-01)', 'v');
create table shop.parted (a int, b int not null, c int) partition by list (b);
create table shop.parted_1 partition of shop.parted (constraint c_there not null c) for values in (1);
alter table shop.parted add constraint parted_fk foreign key (a) references shop.key_of not valid;
create index parted_skip on shop.parted (b, a);
create table shop.adopted_late (v text, x int, id int not null, more int, constraint one_ok check (id > 0));
alter table shop.adopted_late inherit shop.parent_one;
insert into shop.adopted_late values ('a', null, 5, 6);
