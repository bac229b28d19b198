-- What database browsers ask, in our own words: DBeaver, DataGrip and pgAdmin by what their trees and editors show.
-- >>> simple
SET extra_float_digits = 3
-- >>> simple
SET application_name = 'DBeaver 24 - Main <sample>'
-- >>> extended
SELECT current_schema(), session_user
-- >>> extended
SELECT version()
-- >>> extended
select * from pg_catalog.pg_settings where name = 'standard_conforming_strings'
-- >>> extended
SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass
ORDER BY nspname
-- >>> extended
SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description
FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c')
-- >>> extended types=20
-- = "{{schema shop}}"
SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key
FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = $1 AND c.relkind not in ('i', 'I', 'c')
-- >>> extended types=20
-- = "{{class shop.customers}}"
SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value, dsc.description, dep.objid
FROM pg_catalog.pg_attribute a
INNER JOIN pg_catalog.pg_class c ON a.attrelid = c.oid
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
LEFT OUTER JOIN pg_catalog.pg_description dsc ON c.oid = dsc.objoid AND a.attnum = dsc.objsubid
LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.relkind not in ('i', 'I', 'c') AND c.oid = $1
ORDER BY a.attnum
-- >>> extended types=20
-- = "{{schema shop}}"
SELECT c.oid, c.*, t.relname as tabrelname, rt.relnamespace as refnamespace, d.description,
  null as consrc_copy, pg_catalog.pg_get_constraintdef(c.oid, true) as definition
FROM pg_catalog.pg_constraint c
INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass
WHERE t.relnamespace = $1 ORDER BY c.oid
-- >>> extended types=20
-- = "{{class shop.customers}}"
SELECT i.*, i.indkey as keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname as tabrelname, dsc.description,
  pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,
  pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size, pg_catalog.pg_get_indexdef(i.indexrelid, 1, true) as first
FROM pg_catalog.pg_index i
INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid
LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid
WHERE i.indrelid = $1 ORDER BY c.relname
-- >>> extended types=20
-- = "{{schema shop}}"
SELECT p.oid as poid, p.*, pg_catalog.pg_get_expr(p.proargdefaults, 0) as arg_defaults, d.description
FROM pg_catalog.pg_proc p
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass AND d.objsubid = 0
WHERE p.pronamespace = $1 ORDER BY p.proname, p.oid
-- >>> extended types=20
-- = "{{routine shop.add(a integer, b integer)}}"
SELECT pg_get_functiondef($1)
-- >>> extended types=20
-- = "{{class shop.totals}}"
SELECT pg_get_viewdef($1, true)
-- >>> extended types=20
-- = "{{class shop.customers}}"
SELECT x.oid, x.*, p.pronamespace as func_schema_id, d.description, pg_get_triggerdef(x.oid, true) as definition
FROM pg_catalog.pg_trigger x
LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = x.tgfoid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = x.oid AND d.objsubid = 0
WHERE x.tgrelid = $1 AND NOT x.tgisinternal ORDER BY x.tgname
-- >>> extended types=1043,1043
-- = "shop"
-- = "customers"
SELECT * FROM pg_catalog.pg_policies WHERE schemaname = $1 AND tablename = $2
-- >>> extended types=1043,1043
-- = "shop"
-- = "customers"
SELECT * FROM information_schema.table_privileges WHERE table_schema = $1 AND table_name = $2 ORDER BY grantee, privilege_type
-- >>> extended types=20
-- = "{{class shop.customers}}"
SELECT relacl FROM pg_catalog.pg_class WHERE oid = $1
-- >>> extended
SELECT e.oid, e.*, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY e.oid
-- >>> extended
SELECT name, default_version, installed_version, comment FROM pg_available_extensions ORDER BY name
-- >>> extended
SELECT a.oid, a.*, pg_catalog.shobj_description(a.oid, 'pg_authid') AS comment FROM pg_catalog.pg_roles a ORDER BY a.rolname
-- >>> extended
SELECT oid, rolname FROM pg_authid WHERE rolsuper ORDER BY 1
-- >>> extended
SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate ORDER BY db.datname
-- >>> extended
SELECT t.oid, t.*, pg_tablespace_location(t.oid) loc FROM pg_catalog.pg_tablespace t ORDER BY t.oid
-- >>> extended types=20
-- = "{{class shop.customers_id_seq}}"
SELECT s.*, pg_sequence_last_value(s.seqrelid) FROM pg_sequence s WHERE seqrelid = $1
-- >>> extended
SELECT * FROM pg_catalog.pg_sequences WHERE schemaname = 'shop' ORDER BY sequencename
-- >>> extended
SELECT x.* FROM shop.customers x ORDER BY id LIMIT 200
-- >>> extended
SELECT count(*) FROM (SELECT * FROM shop.products) dbvrcnt
-- >>> extended types=1043
-- = "shop"
SELECT DISTINCT dep.classid, dep.objid, cl.relkind, att.attname, COALESCE(coc.relname, clrw.relname) AS owner
FROM pg_depend dep
LEFT JOIN pg_class cl ON dep.objid = cl.oid
LEFT JOIN pg_attribute att ON dep.objid = att.attrelid AND dep.objsubid = att.attnum
LEFT JOIN pg_constraint co ON dep.objid = co.oid
LEFT JOIN pg_class coc ON co.conrelid = coc.oid
LEFT JOIN pg_rewrite rw ON dep.objid = rw.oid
LEFT JOIN pg_class clrw ON clrw.oid = rw.ev_class
JOIN pg_namespace n ON n.oid = cl.relnamespace AND n.nspname = $1
ORDER BY 1, 2, 3, 4, 5
-- >>> extended
SET search_path = shop,public,"$user"
-- >>> extended
SHOW search_path
-- >>> extended
EXPLAIN (FORMAT JSON, COSTS OFF) SELECT * FROM shop.customers WHERE id = 4
-- >>> extended
EXPLAIN (FORMAT XML, COSTS OFF, VERBOSE) SELECT * FROM shop.totals
-- >>> simple
SHOW TRANSACTION ISOLATION LEVEL
-- >>> simple
select round(extract(epoch from pg_postmaster_start_time() at time zone 'UTC')) as startup_time
-- >>> simple
select D.oid::bigint as id, D.datname as name, D.datistemplate as is_template, D.datallowconn as allow_connections
from pg_catalog.pg_database D where D.datname = 'sample'
-- >>> simple
select N.oid::bigint as id, N.xmin as state_number, nspname as name, D.description, pg_catalog.pg_get_userbyid(N.nspowner) as "owner"
from pg_catalog.pg_namespace N left join pg_catalog.pg_description D on N.oid = D.objoid order by case when nspname = pg_catalog.current_schema() then -1::bigint else N.oid::bigint end
-- >>> simple
select T.oid as object_id, T.relname, T.relkind as kind, (select array_agg(unnest order by unnest) from unnest(T.reloptions)) as options,
  (select array_agg(inhparent::regclass order by inhseqno) from pg_catalog.pg_inherits where inhrelid = T.oid) as ancestors
from pg_catalog.pg_class T where relnamespace = 'shop'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') order by relname
-- >>> simple
with T as (select oid as id from pg_catalog.pg_class where relnamespace = 'shop'::regnamespace and relkind in ('r', 'm', 'v', 'f', 'p'))
select T.id::regclass, C.attnum, C.attname, C.atttypid::regtype, C.atttypmod, C.attnotnull, C.attidentity, C.attgenerated,
  pg_catalog.pg_get_expr(D.adbin, D.adrelid) as default_expression
from T join pg_catalog.pg_attribute C on T.id = C.attrelid left join pg_catalog.pg_attrdef D on (C.attrelid, C.attnum) = (D.adrelid, D.adnum)
where attnum > 0 order by T.id::regclass::text, attnum
-- >>> simple
select R.ev_class::regclass, R.rulename, translate(ev_type, '1234', 'SUID') as event, ev_enabled, is_instead, pg_get_ruledef(R.oid, true)
from pg_catalog.pg_rewrite R where R.ev_class >= 16384 and rulename != '_RETURN' order by 1, 2
-- >>> simple
select O.oid, oprname, oprkind, oprleft::regtype, oprright::regtype, oprresult::regtype, oprcode::regproc from pg_operator O where oprnamespace = 'shop'::regnamespace
-- >>> simple
select aggfnoid::regprocedure, aggtransfn, aggfinalfn, aggtranstype::regtype, agginitval from pg_aggregate where aggfnoid >= 16384 order by 1
-- >>> simple
select typname, enumlabel, enumsortorder from pg_enum e join pg_type t on t.oid = e.enumtypid order by 1, 3
-- >>> simple
select rngtypid::regtype, rngsubtype::regtype, rngcollation, rngsubopc, rngcanonical, rngsubdiff, rngmultitypid::regtype from pg_range order by rngtypid
-- >>> simple
SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false) FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='UTF8';
-- >>> simple
SELECT version()
-- >>> simple
SELECT db.oid as did, db.datname, db.datallowconn, pg_encoding_to_char(db.encoding) AS serverencoding,
  has_database_privilege(db.oid, 'CREATE') as cancreate, datistemplate FROM pg_catalog.pg_database db WHERE db.datname = current_database()
-- >>> simple
SELECT roles.oid as id, roles.rolname as name, roles.rolsuper as is_superuser,
  CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreaterole END as can_create_role,
  pg_catalog.pg_has_role(session_user, roles.oid, 'MEMBER') as member FROM pg_catalog.pg_roles as roles WHERE rolname = current_user
-- >>> simple
SELECT 'sample' IN (SELECT datname FROM pg_database), gss_authenticated FROM pg_stat_gssapi WHERE pid = pg_backend_pid()
-- >>> simple
SELECT nsp.nspname as schema_name, (nsp.nspname = 'pg_catalog' AND EXISTS (SELECT 1 FROM pg_class WHERE relname = 'pg_class' AND relnamespace = nsp.oid LIMIT 1)) AS is_catalog
FROM pg_catalog.pg_namespace nsp WHERE nsp.oid = {{schema shop}}::oid
-- >>> simple
SELECT rel.oid, rel.relname AS name, (SELECT count(*) FROM pg_trigger WHERE tgrelid = rel.oid AND tgisinternal = FALSE) AS triggercount,
  (SELECT count(*) FROM pg_inherits i JOIN pg_class c ON i.inhparent = c.oid AND c.relkind = 'p' WHERE i.inhrelid = rel.oid) AS is_partition
FROM pg_class rel WHERE rel.relkind IN ('r', 's', 't', 'p') AND rel.relnamespace = {{schema shop}}::oid AND NOT rel.relispartition ORDER BY rel.relname
-- >>> simple
SELECT att.attname as name, att.*, format_type(ty.oid, NULL) AS typname, pg_catalog.format_type(ty.oid, att.atttypmod) AS cltype,
  (SELECT count(1) > 1 FROM pg_type t2 WHERE t2.typname = ty.typname) AS isdup,
  CASE WHEN length(coll.collname::text) > 0 AND length(nspc.nspname::text) > 0 THEN concat(quote_ident(nspc.nspname), '.', quote_ident(coll.collname)) ELSE '' END AS collspcname
FROM pg_attribute att JOIN pg_type ty ON ty.oid = atttypid LEFT JOIN pg_collation coll ON att.attcollation = coll.oid
LEFT JOIN pg_namespace nspc ON coll.collnamespace = nspc.oid
WHERE att.attrelid = {{class shop.products}}::oid AND att.attnum > 0 AND att.attisdropped IS FALSE ORDER BY att.attnum
-- >>> simple
BEGIN;
SELECT * FROM shop.customers ORDER BY id LIMIT 5;
-- >>> simple
ROLLBACK;
-- >>> simple
DO $pgadmin$ BEGIN PERFORM 1; RAISE NOTICE 'from pgAgent: %', 2; END $pgadmin$;
-- >>> simple
SELECT pid, datname, usename, application_name, client_addr, state FROM pg_stat_activity WHERE datname = current_database() ORDER BY pid
-- >>> simple
SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) AS chart_data FROM (SELECT count(*) AS "Total" FROM pg_stat_activity) t
-- >>> simple
SELECT oid, collname, collprovider, collencoding, pg_encoding_to_char(collencoding) FROM pg_collation WHERE collnamespace = 'shop'::regnamespace ORDER BY 2
-- >>> simple
SELECT pg_get_userbyid(srvowner), srvname, srvtype, srvversion, srvoptions, fdwname FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
-- >>> simple
SELECT umid::text > '0', srvname, umuser, usename, umoptions FROM pg_user_mappings ORDER BY usename
-- >>> simple
SELECT c.cfgname, d.dictname, p.prsname FROM pg_ts_config c JOIN pg_ts_parser p ON p.oid = cfgparser, pg_ts_dict d WHERE cfgnamespace = 'shop'::regnamespace ORDER BY 1, 2
-- >>> simple
SELECT pubname, pubowner::regrole, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot FROM pg_publication ORDER BY 1
-- >>> simple
SELECT stxname, stxkeys, stxkind, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext ORDER BY 1
-- >>> simple
SELECT evtname, evtevent, evtenabled, evttags, evtfoid::regproc FROM pg_event_trigger ORDER BY 1
-- >>> simple
SELECT defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl FROM pg_default_acl ORDER BY 1, 2, 3
-- >>> simple
SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod FROM pg_cast WHERE oid >= 16384
-- >>> simple
SELECT partrelid::regclass, partstrat, partnatts, partattrs, pg_get_partkeydef(partrelid) FROM pg_partitioned_table ORDER BY 1
-- >>> simple
SELECT * FROM pg_partition_tree('shop.events') ORDER BY 1
-- >>> simple
RESET search_path; RESET extra_float_digits; RESET application_name; SET client_min_messages TO DEFAULT
