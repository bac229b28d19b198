-- What PostgreSQL 15 brought.
create unlogged sequence shop.fleeting_sequence start 3 increment 2;
select nextval('shop.fleeting_sequence');
create unlogged table shop.fleeting_serial (id serial, n int generated always as identity);
insert into shop.fleeting_serial default values;
create table shop.nulls (a int unique nulls not distinct, b int, c int);
create unique index nulls_bc on shop.nulls (b, c) nulls not distinct where b > 0;
create table shop.nulls_child (x int, y int, foreign key (x) references shop.nulls (a), constraint some_columns foreign key (x) references shop.nulls (a) on delete set null (x));
create table shop.pair_target (a int, b int, primary key (a, b));
create table shop.pair_source (a int, b int, foreign key (a, b) references shop.pair_target on delete set default (b));
create table shop.scaled (n numeric(3, 5), m numeric(2, -3));
