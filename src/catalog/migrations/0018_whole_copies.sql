-- What is copied is all there is: where the statistics promised more rows, the estimate gives way to what was found.
create or replace view sluice.parts as
  select m.name as mirror, p.source_table, p.part, p.what, p.state,
    case when p.state = 'copied' then p.rows_copied else greatest(p.rows_estimated, p.rows_copied) end as rows_estimated,
    p.rows_copied, p.bytes_copied, p.started_at, p.finished_at,
    case when p.state = 'copying' then p.rows_per_second end as rows_per_second,
    case when p.state = 'copying' then p.bytes_per_second end as bytes_per_second,
    case when p.state = 'copying' then p.seconds_left end as seconds_left
  from sluice_private.parts p join sluice_private.mirrors m on m.id = p.mirror_id where m.phase <> 'dropped';

-- Rows of a table's copy: those that are there, and those that are known or reckoned to be all.
create view sluice_private.copied as
  select g.mirror_id, g.source_table, coalesce(p.rows_copied, 0)::bigint as rows_copied,
    case g.state when 'waiting' then g.rows_estimated when 'copied' then coalesce(p.rows_copied, 0)
      else coalesce(p.rows_expected, g.rows_estimated) end::bigint as rows_estimated,
    coalesce(p.bytes_copied, 0)::bigint as bytes_copied,
    case g.state when 'copied' then coalesce(p.bytes_copied, 0)
      else greatest(g.bytes_estimated, p.bytes_copied) end::bigint as bytes_estimated,
    coalesce(p.parts, 0) as parts, coalesce(p.parts_copied, 0) as parts_copied
  from sluice_private.table_progress g
    left join lateral (select sum(p.rows_copied) as rows_copied, sum(p.bytes_copied) as bytes_copied,
        sum(case when p.state = 'copied' then p.rows_copied else greatest(p.rows_estimated, p.rows_copied) end)
          as rows_expected,
        count(*) as parts, count(*) filter (where p.state = 'copied') as parts_copied
      from sluice_private.parts p where p.mirror_id = g.mirror_id and p.source_table = g.source_table) p on true;

create or replace view sluice.tables as
  select m.name as mirror, t.source_table, t.target_table, g.state, p.rows_estimated, p.rows_copied,
    p.bytes_estimated, p.bytes_copied, p.parts, p.parts_copied,
    g.started_at, g.finished_at, g.inserts, g.updates, g.deletes, g.truncates, g.changed_at,
    case when g.state = 'copying' then g.rows_per_second end as rows_per_second,
    case when g.state = 'copying' then g.bytes_per_second end as bytes_per_second,
    case when g.state = 'copying' then g.seconds_left end as seconds_left
  from sluice_private.mirrors m
    join sluice_private.mirror_tables t on t.mirror_id = m.id
    join sluice_private.table_progress g on g.mirror_id = m.id and g.source_table = t.source_table
    join sluice_private.copied p on p.mirror_id = m.id and p.source_table = t.source_table
  where m.phase <> 'dropped';

create or replace view sluice.progress as
  select m.name as mirror, m.phase, c.began_at,
    sums.rows_copied, sums.rows_copied + sums.loading * c.rows_left as rows_total, c.rows_per_second,
    sums.bytes_copied, sums.bytes_copied + sums.loading * c.bytes_left as bytes_total, c.bytes_per_second,
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
    -- After the rows none is left, whatever was reckoned last.
    cross join lateral (select coalesce(sum(p.rows_copied), 0)::bigint as rows_copied,
        coalesce(sum(p.bytes_copied), 0)::bigint as bytes_copied,
        case when m.phase = 'finishing' then 0 else 1 end as loading
      from sluice_private.parts p where p.mirror_id = m.id) sums
    cross join lateral (select extract(epoch from c.estimated_at - c.began_at)::double precision as seconds) passed
  where m.phase in ('preparing', 'snapshotting', 'finishing');

-- The lag's seconds: where the source has not been looked at for some seconds, something may wait since then, and the seconds count.
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
    cross join lateral (select coalesce(sum(c.rows_estimated), 0)::bigint as rows_estimated,
        coalesce(sum(c.rows_copied), 0)::bigint as rows_copied, coalesce(sum(c.bytes_copied), 0)::bigint as bytes_copied
      from sluice_private.copied c where c.mirror_id = m.id) copied
  where m.phase <> 'dropped';

create or replace view peerdb_stats.qrep_partitions as
  select 'clone_' || m.name || '_' || p.source_table as flow_name, md5(m.id::text || p.source_table) as run_uuid,
    md5(m.id::text || p.source_table || '/' || p.part) as partition_uuid, p.what as partition_start,
    null::text as partition_end,
    case when p.state = 'copied' then p.rows_copied else greatest(p.rows_estimated, p.rows_copied) end as rows_in_partition,
    p.rows_copied as rows_synced,
    p.started_at at time zone 'UTC' as start_time, p.finished_at at time zone 'UTC' as pull_end_time,
    p.finished_at at time zone 'UTC' as end_time, 0 as restart_count, m.name as parent_mirror_name
  from sluice_private.parts p join sluice_private.mirrors m on m.id = p.mirror_id where m.phase <> 'dropped';
