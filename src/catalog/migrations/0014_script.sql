-- What the mirror leaves to a person, in the order in which it can be made; and which of several mirrors of a name an entry is of.
alter table sluice_private.objects
  -- Its turn among those of its stage.
  add column place integer,
  -- Whether its statement does it, as it stands; null: as a rule, unless it is left out.
  add column as_is boolean;

create view sluice.script as
  with left_over as (
    select m.name as mirror, o.kind, o.schema_name as schema, o.object_name as name, nullif(o.source_table, '') as source_table,
      o.reason, o.statement, coalesce(o.as_is, o.state <> 'left_out') as as_is,
      case o.state when 'waiting' then 'change_over' else 'now' end as due,
      row_number() over (partition by m.id order by o.state = 'waiting', array_position(array['before', 'needs', 'indexes',
        'constraints', 'inheritance', 'statistics', 'foreign keys', 'settings', 'views', 'filling', 'rules', 'triggers',
        'policies', 'comments', 'rights', 'owners', 'event triggers'], o.stage),
        o.place, o.kind, o.schema_name, o.object_name, o.source_table)::integer as step
    from sluice_private.objects o join sluice_private.mirrors m on m.id = o.mirror_id
    where m.phase <> 'dropped' and o.statement <> ''
      and (o.state in ('failed', 'left_out') or o.state = 'waiting' and o.reason is not null)),
  -- A comment ends with its line, and names may have several.
  told as (
    select *, regexp_replace(concat_ws(' ', kind, name, 'of ' || source_table) || ': ' || reason, '[\n\r]+', ' ', 'g') as what
    from left_over)
  select mirror, step, due, kind, schema, name, source_table, reason,
    case when not as_is then '-- ' || what || E'\n--   ' || regexp_replace(statement, '\r\n|\n|\r', E'\n--   ', 'g') || ';'
      when statement like 'set local %' then 'begin; ' || statement || '; commit;'
      else statement || ';' end as text
  from told
  union all
  select mirror, 0, 'now', null, null, null, null, null,
    'set search_path = ''''; set check_function_bodies = off; set client_encoding = ''UTF8'';'
  from left_over group by mirror;

create or replace view sluice.journal as
  select j.id, j.at, j.mirror_name as mirror, j.event, j.message, j.details, j.by_user, j.by_remote, j.mirror_id,
    m.created_at as mirror_created_at, m.phase = 'dropped' as mirror_dropped
  from sluice_private.journal j left join sluice_private.mirrors m on m.id = j.mirror_id;

create or replace view sluice.errors as
  select id, at, mirror_name as mirror, message, details ->> 'kind' as kind, details ->> 'sqlstate' as sqlstate,
    details ->> 'detail' as detail, details ->> 'hint' as hint, mirror_id
  from sluice_private.journal where event = 'trouble';

create or replace view sluice.schema_changes as
  select id, at, mirror_name as mirror, details ->> 'table' as source_table, message as change,
    (details ->> 'lsn')::pg_lsn as lsn,
    array(select jsonb_array_elements_text(details -> 'statements')) as statements, mirror_id
  from sluice_private.journal where event = 'schema';
