-- The ledger: every object of the source that a mirror has to make on the target, and what became of it.
create table sluice_private.objects (
  mirror_id uuid not null references sluice_private.mirrors (id) on delete cascade,
  kind text not null,
  -- As on the source; the schema is empty for what is in none, the table for what belongs to none.
  schema_name text not null,
  object_name text not null,
  source_table text not null,
  stage text not null,
  state text not null check (state in ('waiting', 'making', 'created', 'existed', 'left_out', 'failed')),
  -- Why it is left out, or the target's error.
  reason text,
  sqlstate text,
  -- What makes it on the target.
  statement text,
  bytes bigint,
  -- While an index is being built.
  doing text,
  percent integer,
  started_at timestamptz,
  finished_at timestamptz,
  changed_at timestamptz not null default now(),
  primary key (mirror_id, kind, schema_name, object_name, source_table));

alter table sluice_private.mirrors
  -- How often ALTER MIRROR … RETRY asked for what is missing; the runner says below how much of that it has done.
  add column objects_asked bigint not null default 0,
  add column objects_done bigint not null default 0;
create trigger announce_objects after update of objects_asked, objects_done on sluice_private.mirrors
  for each row execute function sluice_private.announce();

create view sluice.objects as
  select m.name as mirror, o.kind, o.schema_name as schema, o.object_name as name, nullif(o.source_table, '') as source_table,
    o.stage, o.state, o.reason, o.sqlstate, o.statement, o.bytes, o.doing, o.percent, o.started_at, o.finished_at
  from sluice_private.objects o join sluice_private.mirrors m on m.id = o.mirror_id where m.phase <> 'dropped';
