-- Further logins to the gateway, and word to every gateway of names that came, changed or went.
create table sluice_private.users (
  name text primary key,
  access text not null check (access in ('read_write', 'read_only')),
  -- SCRAM verifiers as JSON under the secret key, bound to the name; never a password.
  sealed bytea not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now());

create view sluice.users as
  select name, access, created_by, created_at, changed_at from sluice_private.users;

create function sluice_private.announce_names() returns trigger language plpgsql as $$
begin
  perform pg_catalog.pg_notify('sluice_names', '');
  return null;
end $$;
create trigger announce_names after insert or update or delete on sluice_private.peers
  for each statement execute function sluice_private.announce_names();
create trigger announce_names after insert or update or delete on sluice_private.users
  for each statement execute function sluice_private.announce_names();
