-- What we remember: peers, mirrors, their progress and their journal. Private tables, and views over them that hold no secret.
create schema sluice_private;
create schema sluice;
create schema peerdb_stats;

-- Single values: the catalog's own id, the proof that a secret key is the right one.
create table sluice_private.facts (
  name text primary key,
  value text not null);
insert into sluice_private.facts (name, value) values ('catalog_id', replace(gen_random_uuid()::text, '-', ''));

create table sluice_private.peers (
  id uuid primary key default gen_random_uuid(),
  name text not null unique,
  -- The options as they were given, secrets among them, as JSON under the secret key; bound to the name.
  sealed bytea not null,
  -- The same options with secrets as ********, for people.
  shown jsonb not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now());

-- Columns stand in groups with one writer each: CREATE MIRROR, later commands, the runner.
create table sluice_private.mirrors (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  -- A dropped mirror lets its peers go; the names stay as history.
  source_id uuid references sluice_private.peers (id),
  target_id uuid references sluice_private.peers (id),
  source_name text not null,
  target_name text not null,
  kind text not null check (kind in ('cdc', 'copy')),
  statement text not null,
  options jsonb not null,
  publication text not null,
  publication_made boolean not null,
  slot text,
  slot_made boolean not null default false,
  created_by text not null,
  created_from text not null,
  created_at timestamptz not null default now(),

  wanted text not null default 'run' check (wanted in ('run', 'pause', 'drop')),
  wanted_at timestamptz not null default now(),
  -- How often RESUME MIRROR asked to try again; the runner says below how much of that it has seen.
  retries_asked bigint not null default 0,
  keep_slot boolean not null default false,

  phase text not null default 'new',
  phase_since timestamptz not null default now(),
  token bigint not null default 0,
  working boolean not null default false,
  trouble jsonb,
  retries_seen bigint not null default 0,
  -- After a drop: what could not be removed, on which server, and the statement that removes it.
  leftovers jsonb not null default '[]');
create unique index mirrors_live_name on sluice_private.mirrors (name) where phase <> 'dropped';
create index mirrors_source on sluice_private.mirrors (source_id);
create index mirrors_target on sluice_private.mirrors (target_id);

create table sluice_private.mirror_tables (
  mirror_id uuid not null references sluice_private.mirrors (id) on delete cascade,
  ordinal integer not null,
  -- schema.name as people read it; the key of all progress.
  source_table text not null,
  target_table text not null,
  source_schema text not null,
  source_relation text not null,
  target_schema text not null,
  target_relation text not null,
  key_column text,
  excluded jsonb not null default '[]',
  predicate text,
  primary key (mirror_id, source_table));

create table sluice_private.table_progress (
  mirror_id uuid not null references sluice_private.mirrors (id) on delete cascade,
  source_table text not null,
  state text not null default 'waiting' check (state in ('waiting', 'copying', 'copied')),
  rows_estimated bigint,
  bytes_estimated bigint,
  started_at timestamptz,
  finished_at timestamptz,
  inserts bigint not null default 0,
  updates bigint not null default 0,
  deletes bigint not null default 0,
  truncates bigint not null default 0,
  latest_batch bigint not null default 0,
  changed_at timestamptz not null default now(),
  primary key (mirror_id, source_table));

create table sluice_private.parts (
  mirror_id uuid not null references sluice_private.mirrors (id) on delete cascade,
  source_table text not null,
  part integer not null,
  what text not null,
  state text not null default 'waiting' check (state in ('waiting', 'copying', 'copied')),
  rows_estimated bigint not null,
  rows_copied bigint not null default 0,
  bytes_copied bigint not null default 0,
  started_at timestamptz,
  finished_at timestamptz,
  primary key (mirror_id, source_table, part));

create table sluice_private.positions (
  mirror_id uuid primary key references sluice_private.mirrors (id) on delete cascade,
  received_lsn pg_lsn,
  durable_lsn pg_lsn,
  source_lsn pg_lsn,
  source_committed_at timestamptz,
  changed_at timestamptz not null default now()) with (fillfactor = 50);

create table sluice_private.batches (
  id bigint generated always as identity primary key,
  mirror_id uuid not null references sluice_private.mirrors (id) on delete cascade,
  start_lsn pg_lsn not null,
  end_lsn pg_lsn not null,
  transactions bigint not null,
  changes bigint not null,
  source_committed_at timestamptz not null,
  received_at timestamptz not null,
  committed_at timestamptz not null);
create index batches_mirror on sluice_private.batches (mirror_id, id);

create table sluice_private.slots (
  mirror_id uuid not null references sluice_private.mirrors (id) on delete cascade,
  observed_at timestamptz not null default now(),
  slot text not null,
  active boolean not null,
  wal_status text,
  safe_wal_bytes bigint,
  lag_bytes bigint,
  restart_lsn pg_lsn,
  confirmed_lsn pg_lsn,
  source_lsn pg_lsn,
  primary key (mirror_id, observed_at));

create table sluice_private.journal (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  mirror_id uuid,
  mirror_name text,
  -- statement: said by a person; phase: a move; trouble, recovered; note: what an engine has to say
  event text not null check (event in ('statement', 'phase', 'trouble', 'recovered', 'paused', 'resumed', 'note')),
  message text not null,
  details jsonb not null default '{}',
  by_user text,
  by_remote text);
create index journal_mirror on sluice_private.journal (mirror_id, id);

-- Wakes the runner for a wish, and whoever waits for an outcome.
create function sluice_private.announce() returns trigger language plpgsql as $$
begin
  perform pg_catalog.pg_notify('sluice_mirrors', new.id::text);
  return null;
end $$;
create trigger announce_new after insert on sluice_private.mirrors
  for each row execute function sluice_private.announce();
create trigger announce_change after update of wanted, retries_asked, phase, working, trouble on sluice_private.mirrors
  for each row execute function sluice_private.announce();

-- The word that people read; the same as statusWord in src/mirror/phase.ts, and a test compares the two.
create function sluice_private.status_word(phase text, wanted text, working boolean, trouble jsonb)
returns text language sql immutable as $$
  select case
    when phase = 'dropped' then 'terminated'
    when wanted = 'drop' or phase = 'dropping' then 'terminating'
    when phase = 'completed' then 'completed'
    when wanted = 'pause' then case when working then 'pausing' else 'paused' end
    when trouble is not null and trouble ->> 'retryAt' is null then 'failed'
    when phase in ('new', 'preparing') then 'setup'
    when phase = 'streaming' then 'running'
    else 'snapshot'
  end
$$;

create view sluice.peers as
  select p.id, p.name, 'POSTGRES' as type, p.shown ->> 'host' as host, (p.shown ->> 'port')::integer as port,
    p.shown ->> 'user' as "user", p.shown ->> 'database' as database, p.shown ->> 'sslmode' as sslmode,
    p.shown as options, p.created_by, p.created_at, p.changed_at,
    (select count(*) from sluice_private.mirrors m where p.id in (m.source_id, m.target_id)) as mirrors
  from sluice_private.peers p;

create view sluice.mirrors as
  select m.id, m.name, m.source_name as source, m.target_name as target, m.kind,
    sluice_private.status_word(m.phase, m.wanted, m.working, m.trouble) as status,
    m.phase, m.phase_since, m.wanted, m.working,
    m.trouble ->> 'message' as trouble, m.trouble ->> 'detail' as trouble_detail, m.trouble ->> 'hint' as hint,
    m.trouble ->> 'sqlstate' as sqlstate, (m.trouble ->> 'since')::timestamptz as trouble_since,
    (m.trouble ->> 'retryAt')::timestamptz as retry_at,
    (select count(*) from sluice_private.mirror_tables t where t.mirror_id = m.id) as tables,
    (select count(*) from sluice_private.table_progress t where t.mirror_id = m.id and t.state = 'copied') as tables_copied,
    coalesce((select sum(t.rows_estimated) from sluice_private.table_progress t where t.mirror_id = m.id), 0)::bigint
      as rows_estimated,
    coalesce((select sum(p.rows_copied) from sluice_private.parts p where p.mirror_id = m.id), 0)::bigint as rows_copied,
    coalesce((select sum(p.bytes_copied) from sluice_private.parts p where p.mirror_id = m.id), 0)::bigint as bytes_copied,
    at.source_lsn, at.received_lsn, at.durable_lsn,
    case when at.durable_lsn is not null then greatest(0, at.source_lsn - at.durable_lsn)::bigint end as lag_bytes,
    case when at.durable_lsn is null then null
      when at.received_lsn <= at.durable_lsn then 0
      else extract(epoch from now() - at.source_committed_at) end::double precision as lag_seconds,
    at.source_committed_at as last_commit_at, m.publication, m.slot, m.statement, m.created_by, m.created_at
  from sluice_private.mirrors m left join sluice_private.positions at on at.mirror_id = m.id
  where m.phase <> 'dropped';

create view sluice.tables as
  select m.name as mirror, t.source_table, t.target_table, g.state,
    g.rows_estimated, coalesce(p.rows_copied, 0)::bigint as rows_copied,
    g.bytes_estimated, coalesce(p.bytes_copied, 0)::bigint as bytes_copied,
    coalesce(p.parts, 0) as parts, coalesce(p.parts_copied, 0) as parts_copied,
    g.started_at, g.finished_at, g.inserts, g.updates, g.deletes, g.truncates, g.changed_at
  from sluice_private.mirrors m
    join sluice_private.mirror_tables t on t.mirror_id = m.id
    join sluice_private.table_progress g on g.mirror_id = m.id and g.source_table = t.source_table
    left join (select mirror_id, source_table, sum(rows_copied) as rows_copied, sum(bytes_copied) as bytes_copied,
        count(*) as parts, count(*) filter (where state = 'copied') as parts_copied
      from sluice_private.parts group by mirror_id, source_table) p
      on p.mirror_id = m.id and p.source_table = t.source_table
  where m.phase <> 'dropped';

create view sluice.parts as
  select m.name as mirror, p.source_table, p.part, p.what, p.state, p.rows_estimated, p.rows_copied, p.bytes_copied,
    p.started_at, p.finished_at
  from sluice_private.parts p join sluice_private.mirrors m on m.id = p.mirror_id where m.phase <> 'dropped';

create view sluice.batches as
  select b.id, m.name as mirror, b.start_lsn, b.end_lsn, b.transactions, b.changes, b.source_committed_at, b.received_at,
    b.committed_at
  from sluice_private.batches b join sluice_private.mirrors m on m.id = b.mirror_id where m.phase <> 'dropped';

create view sluice.slots as
  select m.name as mirror, m.source_name as peer, s.observed_at, s.slot, s.active, s.wal_status, s.safe_wal_bytes,
    s.lag_bytes, s.restart_lsn, s.confirmed_lsn, s.source_lsn
  from sluice_private.slots s join sluice_private.mirrors m on m.id = s.mirror_id where m.phase <> 'dropped';

create view sluice.journal as
  select id, at, mirror_name as mirror, event, message, details, by_user, by_remote from sluice_private.journal;

create view sluice.errors as
  select id, at, mirror_name as mirror, message, details ->> 'kind' as kind, details ->> 'sqlstate' as sqlstate,
    details ->> 'detail' as detail, details ->> 'hint' as hint
  from sluice_private.journal where event = 'trouble';

-- PeerDB's names over the same data, for dashboards that exist.
create view peerdb_stats.cdc_flows as
  select m.name as flow_name, (at.source_lsn - '0/0'::pg_lsn) as latest_lsn_at_source,
    (at.durable_lsn - '0/0'::pg_lsn) as latest_lsn_at_target
  from sluice_private.mirrors m left join sluice_private.positions at on at.mirror_id = m.id
  where m.phase <> 'dropped' and m.kind = 'cdc';

create view peerdb_stats.cdc_batches as
  select b.id, m.name as flow_name, b.id as batch_id, b.changes as rows_in_batch,
    (b.start_lsn - '0/0'::pg_lsn) as batch_start_lsn, (b.end_lsn - '0/0'::pg_lsn) as batch_end_lsn,
    b.received_at at time zone 'UTC' as start_time, b.committed_at at time zone 'UTC' as end_time
  from sluice_private.batches b join sluice_private.mirrors m on m.id = b.mirror_id where m.phase <> 'dropped';

create view peerdb_stats.cdc_table_aggregate_counts as
  select m.name as flow_name, t.target_table as destination_table_name, g.inserts as inserts_count,
    g.updates as updates_count, g.deletes as deletes_count, g.inserts + g.updates + g.deletes as total_count,
    g.latest_batch as latest_batch_id, g.changed_at at time zone 'UTC' as last_updated_at
  from sluice_private.mirrors m
    join sluice_private.mirror_tables t on t.mirror_id = m.id
    join sluice_private.table_progress g on g.mirror_id = m.id and g.source_table = t.source_table
  where m.phase <> 'dropped' and m.kind = 'cdc';

create view peerdb_stats.qrep_runs as
  select 'clone_' || m.name || '_' || t.source_table as flow_name, md5(m.id::text || t.source_table) as run_uuid,
    g.started_at at time zone 'UTC' as start_time, g.finished_at at time zone 'UTC' as end_time,
    g.state = 'copied' as fetch_complete, g.state = 'copied' as consolidate_complete, t.source_table,
    t.target_table as destination_table, m.name as parent_mirror_name
  from sluice_private.mirrors m
    join sluice_private.mirror_tables t on t.mirror_id = m.id
    join sluice_private.table_progress g on g.mirror_id = m.id and g.source_table = t.source_table
  where m.phase <> 'dropped' and g.state <> 'waiting';

create view peerdb_stats.qrep_partitions as
  select 'clone_' || m.name || '_' || p.source_table as flow_name, md5(m.id::text || p.source_table) as run_uuid,
    md5(m.id::text || p.source_table || '/' || p.part) as partition_uuid, p.what as partition_start,
    null::text as partition_end, p.rows_estimated as rows_in_partition, p.rows_copied as rows_synced,
    p.started_at at time zone 'UTC' as start_time, p.finished_at at time zone 'UTC' as pull_end_time,
    p.finished_at at time zone 'UTC' as end_time, 0 as restart_count, m.name as parent_mirror_name
  from sluice_private.parts p join sluice_private.mirrors m on m.id = p.mirror_id where m.phase <> 'dropped';

create view peerdb_stats.peer_slot_size as
  select s.slot as slot_name, m.source_name as peer_name, s.source_lsn::text as redo_lsn, s.restart_lsn::text as restart_lsn,
    s.confirmed_lsn::text as confirmed_flush_lsn, s.lag_bytes / 1048576 as slot_size,
    s.observed_at at time zone 'UTC' as updated_at, s.wal_status
  from sluice_private.slots s join sluice_private.mirrors m on m.id = s.mirror_id where m.phase <> 'dropped';

create view peerdb_stats.flow_errors as
  select id, mirror_name as flow_name, message as error_message,
    case when event = 'trouble' then 'error' else 'info' end as error_type, at at time zone 'UTC' as error_timestamp,
    false as ack
  from sluice_private.journal where mirror_name is not null;
