-- Why a slot was lost, in the server's own words; null: it is not, or it fell behind max_slot_wal_keep_size and the server does not say so.
alter table sluice_private.slots add column invalidation_reason text;

create or replace view sluice.slots as
  select m.name as mirror, m.source_name as peer, s.observed_at, s.slot, s.active, s.wal_status, s.safe_wal_bytes,
    s.lag_bytes, s.restart_lsn, s.confirmed_lsn, s.source_lsn, s.invalidation_reason
  from sluice_private.slots s join sluice_private.mirrors m on m.id = s.mirror_id where m.phase <> 'dropped';

create or replace view sluice.wal as
  select m.name as mirror, m.source_name as peer, s.slot, s.observed_at, s.wal_status,
    greatest(0, s.source_lsn - s.restart_lsn)::bigint as held_bytes,
    grown.bytes_per_second, case when s.wal_status = 'lost' then 0 else s.safe_wal_bytes end as bytes_until_lost,
    case when grown.bytes_per_second > 0 then s.safe_wal_bytes / grown.bytes_per_second end as seconds_until_lost,
    -- When the copy ends; until then the slot cannot move.
    (greatest(0, s.source_lsn - s.restart_lsn) + grown.bytes_per_second * c.seconds_left)::bigint as held_bytes_after_copy,
    s.invalidation_reason
  from sluice_private.mirrors m
    cross join lateral (select * from sluice_private.slots s where s.mirror_id = m.id order by observed_at desc limit 1) s
    left join sluice.progress c on c.mirror = m.name
    left join lateral (select (s.source_lsn - first.source_lsn)::double precision
          / extract(epoch from s.observed_at - first.observed_at)::double precision as bytes_per_second
      from (select source_lsn, observed_at from sluice_private.slots f
        where f.mirror_id = m.id and f.source_lsn is not null and f.slot = s.slot
          and f.observed_at between s.observed_at - interval '5 minutes' and s.observed_at - interval '1 second'
        order by f.observed_at limit 1) first) grown on true
  where m.phase <> 'dropped' and m.slot is not null and (s.restart_lsn is not null or s.wal_status = 'lost');
