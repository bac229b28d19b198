-- What changes do to each table and how fast, the stages of each batch, and changes that did not fit.
alter table sluice_private.table_progress
  add column change_bytes bigint not null default 0,
  -- Changes and bytes per second as of change_rate_at, over the last ten seconds or so; they fade from there on.
  add column change_rate double precision not null default 0,
  add column change_byte_rate double precision not null default 0,
  add column change_rate_at timestamptz;

-- A rate that was seen at a time, as it is now if nothing came since. Far back it is nothing.
create function sluice_private.faded(rate double precision, at timestamptz) returns double precision language sql stable as $$
  select case when at is null or now() - at > interval '5 minutes' then 0
    else rate * exp(-greatest(0, extract(epoch from now() - at)::double precision) / 10) end
$$;

alter table sluice_private.batches
  add column bytes bigint,
  -- All that goes through staging tables was there; null: it went change by change.
  add column staged_at timestamptz,
  -- The target's tables had it, before the commit.
  add column merged_at timestamptz,
  -- The source was told that it may forget it.
  add column acknowledged_at timestamptz;

create table sluice_private.conflicts (
  mirror_id uuid not null references sluice_private.mirrors (id) on delete cascade,
  source_table text not null,
  change text not null check (change in ('insert', 'update', 'delete')),
  kind text not null check (kind in ('missing', 'exists', 'several')),
  -- Empty: the table has none.
  row_key text not null,
  message text not null,
  times bigint not null default 1,
  first_at timestamptz not null,
  last_at timestamptz not null);
create unique index conflicts_row on sluice_private.conflicts (mirror_id, source_table, change, kind, md5(row_key));
create index conflicts_last on sluice_private.conflicts (mirror_id, last_at);

create or replace view sluice.batches as
  select b.id, m.name as mirror, b.start_lsn, b.end_lsn, b.transactions, b.changes, b.source_committed_at, b.received_at,
    b.committed_at, b.bytes, b.staged_at, b.merged_at, b.acknowledged_at,
    -- By the clocks of two machines: the source's and ours.
    extract(epoch from b.committed_at - b.source_committed_at)::double precision as latency_seconds
  from sluice_private.batches b join sluice_private.mirrors m on m.id = b.mirror_id where m.phase <> 'dropped';

-- Per mirror and table: what came by the stream.
create view sluice.changes as
  select m.name as mirror, t.source_table, t.target_table, g.inserts, g.updates, g.deletes, g.truncates,
    g.change_bytes as bytes,
    sluice_private.faded(g.change_rate, g.change_rate_at) as rows_per_second,
    sluice_private.faded(g.change_byte_rate, g.change_rate_at) as bytes_per_second,
    coalesce(c.conflicts, 0)::bigint as conflicts, g.change_rate_at as last_change_at
  from sluice_private.mirrors m
    join sluice_private.mirror_tables t on t.mirror_id = m.id
    join sluice_private.table_progress g on g.mirror_id = m.id and g.source_table = t.source_table
    left join (select mirror_id, source_table, sum(times) as conflicts from sluice_private.conflicts group by 1, 2) c
      on c.mirror_id = m.id and c.source_table = t.source_table
  where m.phase <> 'dropped' and m.kind = 'cdc';

-- Changes that did not fit to the target: no such row for an update or delete, a row there already for an insert.
create view sluice.conflicts as
  select m.name as mirror, c.source_table, c.change, c.kind, nullif(c.row_key, '') as row_key, c.times, c.first_at,
    c.last_at, c.message
  from sluice_private.conflicts c join sluice_private.mirrors m on m.id = c.mirror_id where m.phase <> 'dropped';
