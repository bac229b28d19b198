-- Whom a mirror waits for at this moment, a line each: its copy on the source, its changes on the target.
create view sluice.waits as
  select m.name as mirror, m.phase, l.line as waits_for, c.waits_seen_at as seen_at
  from sluice_private.mirrors m join sluice_private.copy_progress c on c.mirror_id = m.id
    cross join lateral jsonb_array_elements_text(c.waits_for) with ordinality as l (line, place)
  where m.phase <> 'dropped' and c.waits_seen_at > now() - interval '20 seconds'
  order by m.name, l.place;
