-- What drivers and generators ask about types and schemas, in our own words: Npgsql, Prisma, PHP PDO and Doctrine, ODBC, pgx, sqlc.
-- >>> simple
SELECT version();

SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind, elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
    CASE WHEN elemproc.proname = 'array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype
  FROM (SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
      CASE WHEN proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
      CASE WHEN proc.proname = 'array_recv' THEN typ.typelem WHEN typ.typtype = 'r' THEN rngsubtype
        WHEN typ.typtype = 'm' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) WHEN typ.typtype = 'd' THEN typ.typbasetype END AS elemtypoid
    FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)) AS typ
  LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid) LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind = 'c') OR (typtype = 'p' AND typname IN ('record', 'void', 'unknown'))
  OR (typtype = 'a' AND (elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR (elemtyptype = 'p' AND elemtypname IN ('record', 'void')) OR (elemtyptype = 'c' AND elemrelkind = 'c')))
ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 WHEN typtype = 'c' THEN 1 WHEN typtype = 'r' THEN 2 WHEN typtype = 'm' THEN 3 WHEN typtype = 'd' AND elemtyptype <> 'a' THEN 4 WHEN typtype = 'a' THEN 5 ELSE 6 END, t.oid;

SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace) JOIN pg_class AS cls ON (cls.oid = typ.typrelid) JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid)
WHERE (typ.typtype = 'c' AND cls.relkind = 'c') AND attnum > 0 AND NOT attisdropped ORDER BY typ.oid, att.attnum;

SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid ORDER BY oid, enumsortorder;
-- >>> extended
SELECT version(), current_setting('server_version_num')::integer as numeric_version
-- >>> extended types=25
-- = "shop"
SELECT EXISTS(SELECT 1 FROM pg_namespace WHERE nspname = $1), version(), current_setting('server_version_num')::integer as numeric_version
-- >>> extended types=1009
-- = "{shop,public}"
SELECT tbl.relname AS table_name, namespace.nspname as namespace, (tbl.relhassubclass and tbl.relkind = 'p') as is_partition, (tbl.relhassubclass and tbl.relkind = 'r') as has_subclass, tbl.relrowsecurity as has_row_level_security, reloptions, obj_description(tbl.oid, 'pg_class') as description
FROM pg_class AS tbl INNER JOIN pg_namespace AS namespace ON namespace.oid = tbl.relnamespace
WHERE ((tbl.relkind = 'r' AND tbl.relispartition = 't') OR tbl.relkind = 'p' OR tbl.relkind = 'r') AND namespace.nspname = ANY ($1) ORDER BY namespace, table_name
-- >>> extended types=1009
-- = "{shop,public}"
SELECT oid.namespace, info.table_name, info.column_name, format_type(att.atttypid, att.atttypmod) as formatted_type, info.numeric_precision, info.numeric_scale, info.numeric_precision_radix, info.datetime_precision, info.data_type, info.udt_schema as type_schema_name, info.udt_name as full_data_type, pg_get_expr(attdef.adbin, attdef.adrelid) AS column_default, info.is_nullable, info.is_identity, info.character_maximum_length
FROM information_schema.columns info
JOIN pg_attribute att ON att.attname = info.column_name
JOIN (SELECT pg_class.oid, relname, pg_namespace.nspname as namespace FROM pg_class JOIN pg_namespace on pg_namespace.oid = pg_class.relnamespace AND pg_namespace.nspname = ANY ($1) WHERE reltype > 0) as oid on oid.oid = att.attrelid AND relname = info.table_name AND namespace = info.table_schema
LEFT OUTER JOIN pg_attrdef attdef ON attdef.adrelid = att.attrelid AND attdef.adnum = att.attnum AND table_schema = namespace
WHERE table_schema = ANY ($1) ORDER BY namespace, table_name, ordinal_position
-- >>> extended types=1009
-- = "{shop,public}"
WITH rawindex AS (SELECT indrelid, indexrelid, indisunique, indisprimary, unnest(indkey) AS indkeyid, generate_subscripts(indkey, 1) AS indkeyidx, unnest(indclass) AS indclass, unnest(indoption) AS indoption
  FROM pg_index WHERE NOT indisexclusion AND array_position(indkey::int2[], 0::int2) IS NULL)
SELECT schemainfo.nspname AS namespace, indexinfo.relname AS index_name, tableinfo.relname AS table_name, columninfo.attname AS column_name, rawindex.indisunique, rawindex.indisprimary, rawindex.indkeyidx,
  indexaccess.amname, opclass.opcname, rawindex.indoption & 1 = 1 AS descending
FROM rawindex JOIN pg_class tableinfo ON tableinfo.oid = rawindex.indrelid JOIN pg_class indexinfo ON indexinfo.oid = rawindex.indexrelid JOIN pg_namespace schemainfo ON schemainfo.oid = tableinfo.relnamespace
LEFT JOIN pg_attribute columninfo ON columninfo.attrelid = tableinfo.oid AND columninfo.attnum = rawindex.indkeyid JOIN pg_am indexaccess ON indexaccess.oid = indexinfo.relam LEFT JOIN pg_opclass opclass ON opclass.oid = rawindex.indclass
WHERE schemainfo.nspname = ANY ($1) ORDER BY namespace, table_name, index_name, rawindex.indkeyidx
-- >>> extended types=1009
-- = "{shop,public}"
SELECT con.oid::text > '' as ok, att2.attname AS child_column, cl.relname AS parent_table, con.conname, con.confdeltype, con.confupdtype, con.condeferrable, con.condeferred
FROM (SELECT unnest(c.conkey) AS parent, unnest(c.confkey) AS child, c.* FROM pg_constraint c WHERE c.contype = 'f') con
JOIN pg_class cl ON cl.oid = con.confrelid JOIN pg_attribute att2 ON att2.attrelid = con.conrelid AND att2.attnum = con.parent JOIN pg_namespace ns ON ns.oid = con.connamespace
WHERE ns.nspname = ANY ($1) ORDER BY con.conname, con.parent
-- >>> extended types=1009
-- = "{shop}"
SELECT t.typname as name, e.enumlabel as value, n.nspname as namespace, obj_description(t.oid, 'pg_type') as description FROM pg_type t JOIN pg_enum e ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = ANY ($1) ORDER BY e.enumsortorder
-- >>> extended types=1009
-- = "{shop}"
SELECT p.proname AS name, n.nspname as namespace, CASE WHEN l.lanname = 'internal' THEN p.prosrc ELSE pg_get_functiondef(p.oid) END as definition FROM pg_proc p LEFT JOIN pg_namespace n ON p.pronamespace = n.oid LEFT JOIN pg_language l ON p.prolang = l.oid WHERE n.nspname = ANY ($1) AND p.prokind NOT IN ('a', 'w') ORDER BY 1
-- >>> extended
SELECT sequence_name, sequence_schema AS namespace, start_value::text, minimum_value::text, maximum_value::text, increment::text, cycle_option FROM information_schema.sequences ORDER BY 1
-- >>> extended types=20,25 results=1
-- = \x0000000000000003
-- = "Customer 3"
SELECT "shop"."customers"."id", "shop"."customers"."name", "shop"."customers"."born" FROM "shop"."customers" WHERE ("shop"."customers"."id" = $1 AND "shop"."customers"."name" = $2) LIMIT 1 OFFSET 0
-- >>> extended types=0,0 results=1
-- = "1"
-- = null
SELECT $1::int8 AS a, $2::timestamptz AS b, $1 + 1 AS c
-- >>> extended
SELECT pg_advisory_lock(72707369)
-- >>> extended
SELECT pg_advisory_unlock(72707369)
-- >>> simple
DEALLOCATE ALL
-- >>> simple
DISCARD ALL
-- >>> simple
SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP
-- >>> simple
DEALLOCATE pdo_stmt_00000001
-- >>> extended
SELECT quote_ident(table_name) AS table_name, table_schema AS schema_name FROM information_schema.tables WHERE table_schema NOT LIKE 'pg\_%' AND table_schema != 'information_schema' AND table_name != 'geometry_columns' AND table_type != 'VIEW' ORDER BY 1, 2
-- >>> extended
SELECT quote_ident(n.nspname) AS schema_name, quote_ident(a.attname) AS field, t.typname AS type, format_type(a.atttypid, a.atttypmod) AS complete_type, a.attnotnull AS isnotnull, a.attidentity,
  (SELECT 't' FROM pg_index WHERE c.oid = pg_index.indrelid AND pg_index.indkey[0] = a.attnum AND pg_index.indisprimary = 't') AS pri, pg_get_expr(adbin, adrelid) AS default
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
WHERE a.attnum > 0 AND c.relkind = 'r' AND n.nspname = 'shop' ORDER BY c.relname, a.attnum
-- >>> simple
SET DateStyle = 'ISO';SET extra_float_digits = 2;show transaction_isolation
-- >>> simple
select oid, typbasetype from pg_type where typname = 'lo'
-- >>> simple
select n.nspname, c.relname, a.attname, a.atttypid, t.typname, a.attnum, a.attlen, a.atttypmod, a.attnotnull, c.relhasrules, c.relkind, c.oid, pg_get_expr(d.adbin, d.adrelid), case t.typtype when 'd' then t.typbasetype else 0 end, t.typtypmod
from (((pg_catalog.pg_class c inner join pg_catalog.pg_namespace n on n.oid = c.relnamespace and c.relname like E'customers' and n.nspname like E'shop')
inner join pg_catalog.pg_attribute a on (not a.attisdropped) and a.attnum > 0 and a.attrelid = c.oid) inner join pg_catalog.pg_type t on t.oid = a.atttypid)
left outer join pg_attrdef d on a.atthasdef and d.adrelid = a.attrelid and d.adnum = a.attnum order by n.nspname, c.relname, attnum
-- >>> simple
BEGIN;declare "SQL_CUR0x5581" cursor with hold for select * from shop.orders order by id;fetch 100 in "SQL_CUR0x5581"
-- >>> simple
close "SQL_CUR0x5581"
-- >>> simple
COMMIT
-- >>> simple
SAVEPOINT _EXEC_SVP_0x1
-- >>> extended types=26
-- = "{{type shop.mood}}"
select typname, typtype, typelem, typrelid from pg_type where oid = $1
-- >>> extended
select null::shop.mood, 'ok'::shop.mood, array['ok', 'sad']::shop.mood[], row('a', 'b', 1)::shop.address, '[1,2)'::shop.price_range, 'a@b'::shop.email, 3::shop.positive, '"a"=>"1"'::shop.hstore
-- >>> extended
select 1::int2, 2::int4, 3::int8, 1.5::float4, 1e10::float8, 12345.6789::numeric, 'NaN'::numeric, true, 'x'::"char", 'n'::name, 'b'::bytea, 'c'::char(5), 'v'::varchar(3), '{"a":1}'::json, '{"a":1}'::jsonb, '<a/>'::xml, '10:00'::time, '10:00+02'::timetz, '2024-01-01'::date, '2024-01-01'::timestamp, '2024-01-01Z'::timestamptz, '1 day'::interval, '10.0.0.1'::inet, '10.0.0.0/8'::cidr, '08:00:2b:01:02:03'::macaddr, '08:00:2b:01:02:03:04:05'::macaddr8, B'101'::bit(3), B'1'::varbit, '(1,2)'::point, '{1,2,3}'::line, '[(0,0),(1,1)]'::lseg, '(1,1),(0,0)'::box, '((0,0),(1,1))'::path, '((0,0),(1,1))'::polygon, '<(0,0),1>'::circle, 'a:1'::tsvector, 'a & b'::tsquery, '00000000-0000-0000-0000-000000000001'::uuid, '0/16B3748'::pg_lsn, '1.5'::money, '[1,5)'::int4range, '{[1,2),[5,6)}'::int4multirange, '{1,null,3}'::int[], '{{a,b},{c,d}}'::text[], 'pg_class'::regclass, 'int4'::regtype, '1'::oid, '$.a'::jsonpath, '1:2:'::pg_snapshot, '(0,1)'::tid, '5'::xid, '7'::xid8
-- >>> extended types=1043,16,1184,1700,2950,17
-- = "text"
-- = "t"
-- = "2024-01-01 00:00:00+00"
-- = "12.50"
-- = "00000000-0000-0000-0000-000000000009"
-- = \x00ff10
select $1, $2, $3, $4, $5, $6
-- >>> extended types=23
-- = \x0000
select $1
-- >>> extended types=23
-- = "not a number"
select $1
-- >>> extended types=4294967295
select 1
