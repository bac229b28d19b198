-- What belongs to a server or to who administers it.
create publication "pub; x" for table shop.a, v.base with (publish = 'insert, update');
create publication for_all for all tables;
create subscription "sub; x" connection 'host=127.0.0.1 password=do-not-show' publication nothing with (connect = false, slot_name = none);
create table shop.spaced (id int primary key using index tablespace elsewhere, v text) tablespace elsewhere;
create index spaced_v on shop.spaced (v) tablespace elsewhere;
insert into shop.spaced values (1, 'v');
grant select on shop.spaced to only_there;
create policy only_there on shop.spaced to only_there, reader using (true);
