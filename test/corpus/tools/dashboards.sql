-- What dashboards, exporters and API servers ask, in our own words: Grafana, Metabase, postgres_exporter, Hasura.
-- >>> extended
SELECT current_setting('server_version_num')::int/100 as version
-- >>> extended
SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'
-- >>> extended
SELECT CASE WHEN quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
  FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1), array_upper(string_to_array(current_setting('search_path'), ','), 1)) as i,
  string_to_array(current_setting('search_path'), ',') s) THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache') ORDER BY 1
-- >>> extended
SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
WHERE quote_ident(table_schema) || '.' || quote_ident(table_name) = 'shop.orders' ORDER BY ordinal_position
-- >>> extended
SELECT floor(extract(epoch from placed)/3600)*3600 AS "time", avg(total) AS "total" FROM shop.orders
WHERE placed BETWEEN '2023-12-01T00:00:00Z' AND '2024-02-01T00:00:00Z' GROUP BY 1 ORDER BY 1
-- >>> extended
SELECT date_trunc('day', at) AS time, kind AS metric, count(*) AS value FROM shop.events
WHERE extract(epoch from at) >= 1672531200 AND extract(epoch from at) <= 1735689600 GROUP BY 1, 2 ORDER BY 1, 2
-- >>> extended
SELECT feels AS __text, feels AS __value FROM shop.customers GROUP BY 1, 2 ORDER BY 1
-- >>> extended
SELECT * FROM shop.orders WHERE placed > now() - interval '100 years' AND placed < 'infinity' ORDER BY id LIMIT 10
-- >>> extended
-- /* Grafana: ${__user.login} */
select 1 as "time", 'a.b.c' as "x.y.z"
-- >>> simple
SHOW timezone
-- >>> extended
SELECT CAST("shop"."orders"."placed" AS date) AS "placed", COUNT(*) AS "count" FROM "shop"."orders" GROUP BY CAST("shop"."orders"."placed" AS date) ORDER BY CAST("shop"."orders"."placed" AS date) ASC
-- >>> extended
SELECT "source"."name" AS "name", SUM("source"."total") AS "sum" FROM (SELECT "shop"."totals"."name" AS "name", "shop"."totals"."total" AS "total" FROM "shop"."totals") "source" GROUP BY "source"."name" ORDER BY "source"."name" ASC LIMIT 2000
-- >>> extended
-- Metabase:: userID: 1 queryType: native queryHash: 0123
SELECT "shop"."customers"."id" AS "id", SUBSTRING("shop"."customers"."note", 1, 1234) AS "substring1" FROM "shop"."customers" ORDER BY 1 LIMIT 10000
-- >>> extended types=1043,1043
-- = "shop"
-- = "customers"
SELECT c.column_name AS name, CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN format('%s', c.udt_name) ELSE format('"%s"."%s"', c.udt_schema, c.udt_name) END AS "database-type",
  c.ordinal_position - 1 AS "database-position", c.table_schema AS "table-schema", c.table_name AS "table-name", pk.column_name IS NOT NULL AS "pk?",
  col_description(cast(cast(format('%I.%I', cast(c.table_schema as text), cast(c.table_name as text)) as regclass) as oid), c.ordinal_position) AS "field-comment",
  (column_default IS NULL OR lower(column_default) = 'null') AND is_nullable = 'NO' AND NOT (is_identity <> 'NO') AS "database-required"
FROM information_schema.columns AS c
LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc
  INNER JOIN information_schema.key_column_usage AS kc ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name
  WHERE tc.constraint_type = 'PRIMARY KEY') AS pk ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND c.column_name = pk.column_name
WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema IN ($1) AND c.table_name IN ($2) ORDER BY "table-schema", "table-name", "database-position"
-- >>> extended types=1043
-- = "shop"
SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name", fk_column.attname AS "fk-column-name", pk_ns.nspname AS "pk-table-schema", pk_table.relname AS "pk-table-name", pk_column.attname AS "pk-column-name"
FROM pg_constraint AS c INNER JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid INNER JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
INNER JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid INNER JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
INNER JOIN pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid INNER JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char AND fk_column.attnum = ANY(c.conkey) AND pk_column.attnum = ANY(c.confkey) AND fk_ns.nspname IN ($1)
ORDER BY 1, 2, 3, 4, 5, 6
-- >>> extended
with table_privileges as (select NULL as role, t.schemaname as schema, t.objectname as table,
    pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"."' || replace(t.objectname, '"', '""') || '"', 'update') as update,
    pg_catalog.has_table_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"."' || replace(t.objectname, '"', '""') || '"', 'delete') as delete
  from (select schemaname, tablename as objectname from pg_catalog.pg_tables union select schemaname, viewname from pg_views union select schemaname, matviewname from pg_matviews) t
  where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema' and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
select t.* from table_privileges t order by 2, 3
-- >>> extended
SELECT datname, pg_database_size(datname) FROM pg_database WHERE datallowconn ORDER BY 1
-- >>> extended
SELECT pg_is_in_recovery() as in_recovery, CASE WHEN NOT pg_is_in_recovery() THEN 0 ELSE GREATEST(0, EXTRACT(EPOCH FROM (now() - pg_last_xact_replay_timestamp()))) END AS lag
-- >>> extended
SELECT * FROM pg_stat_bgwriter
-- >>> extended
SELECT *, (case pg_is_in_recovery() when 't' then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end) AS pg_current_wal_lsn FROM pg_stat_replication
-- >>> extended
SELECT slot_name, database, active, (case pg_is_in_recovery() when 't' then pg_wal_lsn_diff(pg_last_wal_receive_lsn(), restart_lsn) else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) end) as diff FROM pg_replication_slots
-- >>> extended
SELECT archived_count, failed_count, extract(epoch from now() - last_archived_time) AS last_archive_age FROM pg_stat_archiver
-- >>> extended
SELECT pg_database.datname, tmp.mode, COALESCE(count, 0) as count FROM (VALUES ('accesssharelock'), ('rowsharelock'), ('exclusivelock')) AS tmp(mode) CROSS JOIN pg_database
LEFT JOIN (SELECT database, lower(mode) AS mode, count(*) AS count FROM pg_locks WHERE database IS NOT NULL GROUP BY database, lower(mode)) AS tmp2
ON tmp.mode = tmp2.mode and pg_database.oid = tmp2.database ORDER BY 1
-- >>> extended
SELECT name, setting, COALESCE(unit, ''), short_desc, vartype FROM pg_settings WHERE vartype IN ('bool', 'integer', 'real') AND name != 'sync_commit_cancel_wait' ORDER BY name
-- >>> extended
SELECT current_database() datname, schemaname, relname, seq_scan, idx_scan, n_live_tup, n_dead_tup, COALESCE(last_vacuum, '1970-01-01Z') as last_vacuum FROM pg_stat_user_tables
-- >>> extended
SELECT pg_database.datname, tmp.state, COALESCE(count, 0) as count FROM (VALUES ('active'), ('idle'), ('disabled')) AS tmp(state) CROSS JOIN pg_database
LEFT JOIN (SELECT datname, state, count(*) AS count FROM pg_stat_activity GROUP BY datname, state) AS tmp2 ON tmp.state = tmp2.state AND pg_database.datname = tmp2.datname
-- >>> extended
SELECT mode, count(*) FROM pg_locks GROUP BY mode
-- >>> extended
SELECT rolname, rolconnlimit FROM pg_roles ORDER BY 1
-- >>> extended
SELECT coalesce(json_agg(row_to_json(info) order by info.table_schema, info.table_name), '[]'::json) AS tables FROM (
  SELECT n.nspname AS table_schema, c.relname AS table_name, jsonb_build_object('description', d.description, 'columns', coalesce(cols.info, '[]')) AS info
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0
  LEFT JOIN LATERAL (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'position', a.attnum, 'type', coalesce(base.typname, ty.typname), 'is_nullable', NOT a.attnotnull) ORDER BY a.attnum) AS info
    FROM pg_attribute a LEFT JOIN pg_type ty ON ty.oid = a.atttypid LEFT JOIN pg_type base ON ty.typtype = 'd' AND base.oid = ty.typbasetype
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) cols ON true
  WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname = 'shop') info
-- >>> simple
SELECT coalesce(json_agg("root" ORDER BY "root.pg.id" ASC NULLS LAST), '[]') AS "root" FROM (
  SELECT row_to_json((SELECT "_1_e" FROM (SELECT "_0_root.base"."id" AS "id", "_0_root.base"."name" AS "name") AS "_1_e")) AS "root", "_0_root.base"."id" AS "root.pg.id"
  FROM (SELECT * FROM "shop"."customers" WHERE (("shop"."customers"."name") LIKE (('%1%')::text)) ORDER BY "id" ASC NULLS LAST LIMIT 3) AS "_0_root.base" ORDER BY "root.pg.id" ASC NULLS LAST) AS "_2_root"
-- >>> extended types=114,25
-- = "{\"x-hasura-role\": \"admin\"}"
-- = "Customer 3"
SELECT json_build_object('customers', (SELECT json_agg(json_build_object('id', c.id, 'orders', (SELECT count(*) FROM shop.orders o WHERE o.customer = c.id))) FROM shop.customers c WHERE c.name = $2)) AS r, $1::json ->> 'x-hasura-role' AS role
-- >>> simple
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
-- >>> simple
SELECT set_config('hasura.user', '{"x-hasura-role":"admin"}', true)
-- >>> simple
SELECT current_setting('hasura.user'::text)
-- >>> simple
COMMIT
-- >>> simple
LISTEN schema_changes
-- >>> simple
UNLISTEN *
