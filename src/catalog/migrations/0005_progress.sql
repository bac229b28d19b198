-- How far a copy is and how long it will take, what it waits for, and how much log its slot holds back on the source.
create table sluice_private.copy_progress (
  mirror_id uuid primary key references sluice_private.mirrors (id) on delete cascade,
  began_at timestamptz,
  -- When all that follows was reckoned.
  estimated_at timestamptz,
  rows_left bigint,
  bytes_left bigint,
  rows_per_second double precision,
  bytes_per_second double precision,
  load_seconds_left double precision,
  finish_seconds_left double precision,
  objects_made integer,
  objects_total integer,
  -- What the copy cannot begin before, a line each; seen again every few seconds while it waits.
  waits_for jsonb not null default '[]',
  waits_seen_at timestamptz) with (fillfactor = 50);

-- Of what is being copied, a few times a second.
alter table sluice_private.table_progress
  add column rows_per_second double precision,
  add column bytes_per_second double precision,
  add column seconds_left double precision;
alter table sluice_private.parts
  add column rows_per_second double precision,
  add column bytes_per_second double precision,
  add column seconds_left double precision;

-- ALTER MIRROR … SET takes hold while a step runs.
create trigger announce_options after update of options on sluice_private.mirrors
  for each row execute function sluice_private.announce();

create or replace view sluice.tables as
  select m.name as mirror, t.source_table, t.target_table, g.state,
    g.rows_estimated, coalesce(p.rows_copied, 0)::bigint as rows_copied,
    g.bytes_estimated, coalesce(p.bytes_copied, 0)::bigint as bytes_copied,
    coalesce(p.parts, 0) as parts, coalesce(p.parts_copied, 0) as parts_copied,
    g.started_at, g.finished_at, g.inserts, g.updates, g.deletes, g.truncates, g.changed_at,
    case when g.state = 'copying' then g.rows_per_second end as rows_per_second,
    case when g.state = 'copying' then g.bytes_per_second end as bytes_per_second,
    case when g.state = 'copying' then g.seconds_left end as seconds_left
  from sluice_private.mirrors m
    join sluice_private.mirror_tables t on t.mirror_id = m.id
    join sluice_private.table_progress g on g.mirror_id = m.id and g.source_table = t.source_table
    left join (select mirror_id, source_table, sum(rows_copied) as rows_copied, sum(bytes_copied) as bytes_copied,
        count(*) as parts, count(*) filter (where state = 'copied') as parts_copied
      from sluice_private.parts group by mirror_id, source_table) p
      on p.mirror_id = m.id and p.source_table = t.source_table
  where m.phase <> 'dropped';

create or replace view sluice.parts as
  select m.name as mirror, p.source_table, p.part, p.what, p.state, p.rows_estimated, p.rows_copied, p.bytes_copied,
    p.started_at, p.finished_at,
    case when p.state = 'copying' then p.rows_per_second end as rows_per_second,
    case when p.state = 'copying' then p.bytes_per_second end as bytes_per_second,
    case when p.state = 'copying' then p.seconds_left end as seconds_left
  from sluice_private.parts p join sluice_private.mirrors m on m.id = p.mirror_id where m.phase <> 'dropped';

-- The whole of a copy. Rows and bytes are as they travel; the time left includes keys, indexes and constraints.
create view sluice.progress as
  select m.name as mirror, m.phase, c.began_at,
    sums.rows_copied, sums.rows_copied + c.rows_left as rows_total, c.rows_per_second,
    sums.bytes_copied, sums.bytes_copied + c.bytes_left as bytes_total, c.bytes_per_second,
    c.objects_made, c.objects_total, c.load_seconds_left, c.finish_seconds_left,
    c.load_seconds_left + c.finish_seconds_left as seconds_left,
    round(100 * passed.seconds
      / nullif(passed.seconds + c.load_seconds_left + c.finish_seconds_left, 0))::integer as percent,
    c.estimated_at + make_interval(secs => c.load_seconds_left + c.finish_seconds_left) as ends_at, c.estimated_at,
    case when c.waits_seen_at > now() - interval '20 seconds' then
      (select array_agg(line order by place) from jsonb_array_elements_text(c.waits_for) with ordinality as l (line, place))
      end as waits_for
  from sluice_private.mirrors m
    left join sluice_private.copy_progress c on c.mirror_id = m.id
    cross join lateral (select coalesce(sum(p.rows_copied), 0)::bigint as rows_copied,
        coalesce(sum(p.bytes_copied), 0)::bigint as bytes_copied
      from sluice_private.parts p where p.mirror_id = m.id) sums
    cross join lateral (select extract(epoch from c.estimated_at - c.began_at)::double precision as seconds) passed
  where m.phase in ('preparing', 'snapshotting', 'finishing');

-- What each mirror's slot holds back on the source now, how fast that grows, and where it leads.
create view sluice.wal as
  select m.name as mirror, m.source_name as peer, s.slot, s.observed_at, s.wal_status,
    greatest(0, s.source_lsn - s.restart_lsn)::bigint as held_bytes,
    grown.bytes_per_second, s.safe_wal_bytes as bytes_until_lost,
    case when grown.bytes_per_second > 0 then s.safe_wal_bytes / grown.bytes_per_second end as seconds_until_lost,
    -- When the copy ends; until then the slot cannot move.
    (greatest(0, s.source_lsn - s.restart_lsn) + grown.bytes_per_second * c.seconds_left)::bigint as held_bytes_after_copy
  from sluice_private.mirrors m
    cross join lateral (select * from sluice_private.slots s where s.mirror_id = m.id order by observed_at desc limit 1) s
    left join sluice.progress c on c.mirror = m.name
    left join lateral (select (s.source_lsn - first.source_lsn)::double precision
          / extract(epoch from s.observed_at - first.observed_at)::double precision as bytes_per_second
      from (select source_lsn, observed_at from sluice_private.slots f
        where f.mirror_id = m.id and f.source_lsn is not null and f.slot = s.slot
          and f.observed_at between s.observed_at - interval '5 minutes' and s.observed_at - interval '1 second'
        order by f.observed_at limit 1) first) grown on true
  where m.phase <> 'dropped' and m.slot is not null and s.restart_lsn is not null;
