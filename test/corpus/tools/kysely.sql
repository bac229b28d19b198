-- What kysely says, recorded against PostgreSQL 18. Made by record.ts; see the README beside.
-- >>> simple
select "nspname" from "pg_catalog"."pg_namespace"

-- >>> extended results=0
-- = "r"
-- = "v"
-- = "p"
-- = "^pg_"
-- = "information_schema"
-- = "crdb_internal"
-- = "0"
-- = "true"
-- = "kysely_migration"
-- = "kysely_migration_lock"
select "a"."attname" as "column", "a"."attnotnull" as "not_null", "a"."atthasdef" as "has_default", "c"."relname" as "table", "c"."relkind" as "table_type", "ns"."nspname" as "schema", "typ"."typname" as "type", "dtns"."nspname" as "type_schema", col_description(a.attrelid, a.attnum) as "column_description", pg_get_serial_sequence(quote_ident(ns.nspname) || '.' || quote_ident(c.relname), a.attname) as "auto_incrementing" from "pg_catalog"."pg_attribute" as "a" inner join "pg_catalog"."pg_class" as "c" on "a"."attrelid" = "c"."oid" inner join "pg_catalog"."pg_namespace" as "ns" on "c"."relnamespace" = "ns"."oid" inner join "pg_catalog"."pg_type" as "typ" on "a"."atttypid" = "typ"."oid" inner join "pg_catalog"."pg_namespace" as "dtns" on "typ"."typnamespace" = "dtns"."oid" where "c"."relkind" in ($1, $2, $3) and "ns"."nspname" !~ $4 and "ns"."nspname" != $5 and "ns"."nspname" != $6 and has_schema_privilege(ns.nspname, 'USAGE') and "a"."attnum" >= $7 and "a"."attisdropped" != $8 and "c"."relname" != $9 and "c"."relname" != $10 order by "ns"."nspname", "c"."relname", "a"."attnum"

-- >>> extended results=0
-- = "r"
-- = "v"
-- = "p"
-- = "^pg_"
-- = "information_schema"
-- = "crdb_internal"
-- = "0"
-- = "true"
select "a"."attname" as "column", "a"."attnotnull" as "not_null", "a"."atthasdef" as "has_default", "c"."relname" as "table", "c"."relkind" as "table_type", "ns"."nspname" as "schema", "typ"."typname" as "type", "dtns"."nspname" as "type_schema", col_description(a.attrelid, a.attnum) as "column_description", pg_get_serial_sequence(quote_ident(ns.nspname) || '.' || quote_ident(c.relname), a.attname) as "auto_incrementing" from "pg_catalog"."pg_attribute" as "a" inner join "pg_catalog"."pg_class" as "c" on "a"."attrelid" = "c"."oid" inner join "pg_catalog"."pg_namespace" as "ns" on "c"."relnamespace" = "ns"."oid" inner join "pg_catalog"."pg_type" as "typ" on "a"."atttypid" = "typ"."oid" inner join "pg_catalog"."pg_namespace" as "dtns" on "typ"."typnamespace" = "dtns"."oid" where "c"."relkind" in ($1, $2, $3) and "ns"."nspname" !~ $4 and "ns"."nspname" != $5 and "ns"."nspname" != $6 and has_schema_privilege(ns.nspname, 'USAGE') and "a"."attnum" >= $7 and "a"."attisdropped" != $8 order by "ns"."nspname", "c"."relname", "a"."attnum"

-- >>> extended results=0
-- = "4"
select "id", "name" from "shop"."customers" where "id" < $1 order by "id"

-- >>> extended results=0
-- = "5"
select "c"."name", sum("o"."total") as "t" from "shop"."orders" as "o" inner join "shop"."customers" as "c" on "c"."id" = "o"."customer" group by "c"."name" order by "c"."name" limit $1

-- >>> extended results=0
-- = "1"
-- = "{\"x\",\"y\"}"
select $1::int4 as a, $2::text[] as b

-- >>> simple
start transaction isolation level serializable

-- >>> extended results=0
-- = "y"
-- = "1"
update "shop"."customers" set "note" = $1 where "id" = $2 returning *

-- >>> simple
rollback
