-- Changes are followed by a key, or by the whole row where there is none.
do $$
declare t regclass;
begin
  for t in select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname !~ '^pg_|information_schema' and c.relreplident <> 'i'
      and (c.relreplident = 'n' or not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indimmediate))
  loop
    execute format('alter table %s replica identity full', t);
  end loop;
end $$;
