-- Who asks for a mirror's status alone does not pay for sums over all of its tables: a left join of which no column is asked for
-- is left out. And they are made in one pass, not with a look at the parts of each table.
create or replace view sluice.mirrors as
  select m.id, m.name, m.source_name as source, m.target_name as target, m.kind,
    sluice_private.status_word(m.phase, m.wanted, m.working, m.trouble) as status,
    m.phase, m.phase_since, m.wanted, m.working,
    m.trouble ->> 'message' as trouble, m.trouble ->> 'detail' as trouble_detail, m.trouble ->> 'hint' as hint,
    m.trouble ->> 'sqlstate' as sqlstate, (m.trouble ->> 'since')::timestamptz as trouble_since,
    (m.trouble ->> 'retryAt')::timestamptz as retry_at,
    (select count(*) from sluice_private.mirror_tables t where t.mirror_id = m.id) as tables,
    (select count(*) from sluice_private.table_progress t where t.mirror_id = m.id and t.state = 'copied') as tables_copied,
    copied.rows_estimated, copied.rows_copied, copied.bytes_copied,
    at.source_lsn, at.received_lsn, at.durable_lsn,
    case when at.durable_lsn is not null then greatest(0, at.source_lsn - at.durable_lsn)::bigint end as lag_bytes,
    case when at.durable_lsn is null or lag.since is null then null
      when at.behind_since is null and at.observed_at > now() - interval '5 seconds' then 0
      else greatest(0, extract(epoch from now() - greatest(lag.since, at.source_committed_at)))
      end::double precision as lag_seconds,
    at.observed_at as lag_observed_at,
    at.source_committed_at as last_commit_at, m.publication, m.slot, m.statement, m.created_by, m.created_at
  from sluice_private.mirrors m left join sluice_private.positions at on at.mirror_id = m.id
    cross join lateral (select coalesce(at.behind_since, at.observed_at) as since) lag
    left join lateral (select (coalesce(sum(case when g.state = 'waiting' then 0
            when g.state = 'copied' or p.state = 'copied' then p.rows_copied
            when p.state is null then g.rows_estimated else greatest(p.rows_estimated, p.rows_copied) end), 0)
          + (select coalesce(sum(w.rows_estimated), 0) from sluice_private.table_progress w
            where w.mirror_id = m.id and w.state = 'waiting'))::bigint as rows_estimated,
        coalesce(sum(p.rows_copied), 0)::bigint as rows_copied, coalesce(sum(p.bytes_copied), 0)::bigint as bytes_copied
      from sluice_private.table_progress g left join sluice_private.parts p
        on p.mirror_id = m.id and p.source_table = g.source_table
      where g.mirror_id = m.id) copied on true
  where m.phase <> 'dropped';
