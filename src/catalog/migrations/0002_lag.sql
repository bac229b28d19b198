-- The lag says when the source's end was looked at, and counts from when the target fell behind.
alter table sluice_private.positions
  -- When source_lsn was read on the source; older than a few seconds: the source cannot be asked.
  add column observed_at timestamptz,
  -- Since when something is not durable yet; null: all that was received is.
  add column behind_since timestamptz;

drop view sluice.mirrors;
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
      when at.behind_since is null then 0
      else greatest(0, extract(epoch from now() - greatest(at.behind_since, at.source_committed_at)))
      end::double precision as lag_seconds,
    at.observed_at as lag_observed_at,
    at.source_committed_at as last_commit_at, m.publication, m.slot, m.statement, m.created_by, m.created_at
  from sluice_private.mirrors m left join sluice_private.positions at on at.mirror_id = m.id
  where m.phase <> 'dropped';
