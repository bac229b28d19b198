-- Changes of the schema that followed the source: journal entries of their own, and a view over them.
alter table sluice_private.journal drop constraint journal_event_check;
alter table sluice_private.journal add constraint journal_event_check
  check (event in ('statement', 'phase', 'trouble', 'recovered', 'paused', 'resumed', 'note', 'schema'));
-- The target hands a change on at least once.
create unique index journal_change on sluice_private.journal ((details ->> 'change')) where event = 'schema';

create view sluice.schema_changes as
  select id, at, mirror_name as mirror, details ->> 'table' as source_table, message as change,
    (details ->> 'lsn')::pg_lsn as lsn,
    array(select jsonb_array_elements_text(details -> 'statements')) as statements
  from sluice_private.journal where event = 'schema';
