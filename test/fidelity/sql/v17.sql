-- What PostgreSQL 17 brought.
create table shop.numbered (id int generated always as identity (start 10), at date not null, unique (id, at)) partition by range (at);
create table shop.numbered_1 partition of shop.numbered for values from ('2024-01-01') to ('2025-01-01');
insert into shop.numbered (at) values ('2024-05-05');
create table shop.apart (id int4range not null, c circle, constraint apart_ex exclude using gist (id with =, c with &&)) partition by range (id);
create table shop.apart_1 partition of shop.apart for values from (minvalue) to ('[100,200)');
insert into shop.apart values ('[1,2)', '<(0,0),1>');
create collation shop.built_in (provider = builtin, locale = 'C.UTF-8');
create table shop.built_in_words (word text collate shop.built_in);
