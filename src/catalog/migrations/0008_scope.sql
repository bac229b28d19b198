-- What of the source beyond its tables goes along with a mirror, as it was said: tables, schemas with their pairs, or all.
alter table sluice_private.mirrors add column scope jsonb not null default '{"kind": "tables"}';
