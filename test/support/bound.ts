// What is bound to the objects of a database, one of each kind and under hostile names: triggers, rules, policies, rights, comments.

import type { TestDatabase } from './servers.ts';

/** Roles are of the whole server: give each test names of its own. */
export interface BoundRoles {
  readonly app: string;
  readonly reader: string;
  readonly absent: string;
}

export function createRoles({ app, reader }: BoundRoles): string {
  return `create role "${app}" login password 'x'; create role "${reader}"`;
}

export function dropRoles(roles: readonly string[]): string {
  return roles.map((role) => `drop owned by "${role}" cascade; drop role "${role}"`).join('; ');
}

/** Everything; with an absent role the source has one that the target lacks. */
export function boundObjects({ app, reader, absent }: BoundRoles, major: 14 | 18): string {
  return `
  create schema "we""ird.s"; create schema plain;
  create table plain.t (id int primary key, v text, n int, secret text);
  create table plain.audit (at int generated always as identity, what text, arg text);
  create table "we""ird.s"."order; --" ("a b" int primary key, "c""d" text);
  create table plain.log (id int, at int, primary key (id, at)) partition by range (at);
  create table plain.log_1 partition of plain.log for values from (0) to (10);
  create table plain.log_2 partition of plain.log for values from (10) to (20);
  create view plain.v as select id, v from plain.t;
  create sequence plain.s; create type plain.mood as enum ('a'); create domain plain.d as int check (value > 0);
  create type plain.pair as (a int, b text);
  create function plain.note() returns trigger language plpgsql as
    $f$ begin insert into plain.audit (what, arg) values (tg_name || ' ' || tg_op, tg_argv[0]); return null; end $f$;
  create function plain.before() returns trigger language plpgsql as $f$ begin new.n := coalesce(new.n, 0) + 1; return new; end $f$;
  create function plain.f(a int, b plain.mood) returns int language sql as 'select 1';
  create procedure plain.p(a int) language sql as 'select 1';
  create aggregate plain.agg (int) (sfunc = int4pl, stype = int);
  create function plain.ddl() returns event_trigger language plpgsql as $f$ begin null; end $f$;
  create trigger "t ""1""; --" after insert or delete or update of v on plain.t for each row when (pg_trigger_depth() < 5)
    execute function plain.note('a''b\\c
 d %', '', 'plain.t');
  create trigger bumps before insert or update on plain.t for each row when (new.n is null or new.n < 5) execute function plain.before();
  create trigger tables after update on plain.t referencing old table as olds new table as "new s" for each statement execute function plain.note();
  create constraint trigger late after insert on plain.t deferrable initially deferred for each row execute function plain.note('late');
  create trigger trunc after truncate on plain.t execute function plain.note();
  create trigger off after insert on plain.t execute function plain.note('off'); alter table plain.t disable trigger off;
  create trigger always after insert on plain.t for each row execute function plain.note('always'); alter table plain.t enable always trigger always;
  create trigger replica after insert on plain.t for each row execute function plain.note('replica'); alter table plain.t enable replica trigger replica;
  create trigger secretly after update of secret on plain.t for each row execute function plain.note();
  create trigger of_parts after insert on plain.log for each row execute function plain.note('parts');
  alter table plain.log_2 disable trigger of_parts;
  create trigger instead instead of insert on plain.v for each row execute function plain.note('view');
  create trigger "on" after insert on "we""ird.s"."order; --" for each row when (new."c""d" <> 'x') execute function plain.note('ON plain.t FOR');
  create event trigger "ev ""1""" on ddl_command_end when tag in ('CREATE TABLE', 'DROP TABLE') execute function plain.ddl();
  create event trigger ev_off on sql_drop execute function plain.ddl(); alter event trigger ev_off disable;
  create event trigger ev_always on ddl_command_start execute function plain.ddl(); alter event trigger ev_always enable always;
  create rule "r ""1""" as on insert to "we""ird.s"."order; --" where new."a b" > 100 do also insert into plain.audit (what) values (new."c""d");
  create rule up as on update to "we""ird.s"."order; --" do also insert into plain.audit (what) values (old."c""d" || new."c""d");
  create rule del_off as on delete to plain.v do instead delete from plain.t where t.id = old.id;
  create rule ins_off as on insert to plain.log_1 do also select 1; alter table plain.log_1 disable rule ins_off;
  alter table plain.t enable row level security; alter table "we""ird.s"."order; --" enable row level security, force row level security;
  create policy "p ""1""" on plain.t for select to "${reader}", "${app}" using (v <> 'hidden' and n in (select l.id from plain.log l));
  create policy everyone on plain.t using (true) with check (n > 0);
  create policy strict on plain.t as restrictive for update to current_user using (n > 1);
  create policy ins on plain.t for insert with check (v is not null); create policy del on plain.t for delete to public using (id > 1);
  create policy gone on plain.t for select to "${absent}" using (secret is null);
  grant select, insert on plain.t to "${app}"; grant update (v, n) on plain.t to "${reader}"; grant select on plain.t to public;
  grant select (secret) on plain.t to "${app}";
  grant all on plain.audit to "${app}" with grant option; grant usage on schema plain, "we""ird.s" to "${app}", "${reader}";
  set role "${app}"; grant select on plain.audit to "${reader}"; reset role;
  grant usage, select on sequence plain.s to "${app}"; grant update on sequence plain.audit_at_seq to "${reader}";
  revoke execute on function plain.f(int, plain.mood) from public; grant execute on function plain.f(int, plain.mood) to "${reader}";
  revoke all on procedure plain.p(int) from public; grant execute on function plain.agg(int) to "${app}" with grant option;
  revoke usage on type plain.mood from public; grant usage on type plain.mood to "${app}"; grant usage on type plain.d to "${reader}";
  revoke usage on language plpgsql from public; grant usage on language plpgsql to "${app}";
  grant select on plain.v to "${reader}"; grant select, trigger on plain.t to "${absent}"; revoke delete on plain.log from current_user;
  alter default privileges in schema plain grant select on tables to "${reader}";
  alter default privileges for role "${app}" revoke execute on functions from public;
  alter default privileges for role "${app}" grant all on sequences to "${reader}";
  alter default privileges for role "${app}" in schema plain grant usage on types to "${reader}" with grant option;
  alter default privileges grant insert on tables to "${absent}";
  ${major >= 18 ? `grant maintain on plain.t to "${app}"; alter default privileges for role "${app}" grant all on large objects to "${reader}";` : ''}
  grant create on schema plain to "${app}"; alter table plain.log_1 owner to "${app}"; alter function plain.ddl() owner to "${app}";
  alter type plain.mood owner to "${app}"; alter sequence plain.s owner to "${app}"; alter view plain.v owner to "${app}";
  alter procedure plain.p(int) owner to "${app}"; alter domain plain.d owner to "${absent}"; alter schema "we""ird.s" owner to "${app}";
  comment on schema plain is 'it''s \\ "plain"'; comment on type plain.mood is 'mood'; comment on domain plain.d is 'domain';
  comment on constraint d_check on domain plain.d is 'domain check'; comment on function plain.f(int, plain.mood) is 'f';
  comment on procedure plain.p(int) is 'p'; comment on aggregate plain.agg(int) is 'agg'; comment on view plain.v is 'view';
  comment on column plain.v.id is 'view column'; comment on column plain.pair.a is 'pair a'; comment on type plain.pair is 'pair';
  comment on trigger "t ""1""; --" on plain.t is 'trigger'; comment on rule "r ""1""" on "we""ird.s"."order; --" is 'rule';
  comment on policy "p ""1""" on plain.t is 'policy'; comment on sequence plain.s is 'sequence'; comment on sequence plain.audit_at_seq is 'own';
  comment on event trigger "ev ""1""" is 'event'; comment on language plpgsql is 'my pl'; comment on extension plpgsql is 'mine';
  create foreign data wrapper "w ""1"""; create server "s ""1""" foreign data wrapper "w ""1""";
  grant usage on foreign data wrapper "w ""1""" to "${reader}", "${app}"; grant usage on foreign server "s ""1""" to "${reader}" with grant option;
  alter server "s ""1""" owner to "${app}"; comment on foreign data wrapper "w ""1""" is 'wrapper'; comment on server "s ""1""" is 'server';
  create foreign table plain.far (id int) server "s ""1"""; grant select on plain.far to "${reader}"; alter foreign table plain.far owner to "${app}";
  create trigger "on far" before insert on plain.far for each row execute function plain.before();
  comment on foreign table plain.far is 'far'; comment on column plain.far.id is 'far id';
  create materialized view plain.mat as select id from plain.t; grant select on plain.mat to "${reader}"; alter materialized view plain.mat owner to "${app}";
  comment on materialized view plain.mat is 'mat'; comment on column plain.mat.id is 'mat id';
  create index mat_id on plain.mat (id); comment on index plain.mat_id is 'index of mat';
  create collation plain.c (locale = 'C', provider = libc); create text search dictionary plain.dict (template = simple);
  create text search configuration plain.cfg (copy = simple); create statistics plain.st on id, n from plain.t;
  create function plain.less(plain.pair, plain.pair) returns bool language sql immutable as 'select ($1).a < ($2).a';
  create operator plain.<< (leftarg = plain.pair, rightarg = plain.pair, function = plain.less);
  create operator family plain.fam using btree; create operator class plain.ops for type int4 using btree family plain.fam as operator 1 <;
  create function plain.to_mood(int) returns plain.mood language sql immutable as $f$ select 'a'::plain.mood $f$;
  create cast (int as plain.mood) with function plain.to_mood(int);
  alter collation plain.c owner to "${app}"; alter text search dictionary plain.dict owner to "${app}";
  alter text search configuration plain.cfg owner to "${app}"; alter statistics plain.st owner to "${app}";
  alter operator class plain.ops using btree owner to "${app}"; alter operator family plain.fam using btree owner to "${app}";
  alter operator plain.<< (plain.pair, plain.pair) owner to "${app}";
  comment on collation plain.c is 'c'; comment on text search dictionary plain.dict is 'dict'; comment on text search configuration plain.cfg is 'cfg';
  comment on operator plain.<< (plain.pair, plain.pair) is 'op'; comment on operator class plain.ops using btree is 'ops';
  comment on operator family plain.fam using btree is 'fam'; comment on cast (int as plain.mood) is 'cast'; comment on statistics plain.st is 'st';
  grant execute on function pg_catalog.pg_ls_waldir() to "${reader}"; revoke execute on function pg_catalog.pg_sleep(float8) from public;
  grant update (datname) on pg_catalog.pg_database to "${app}";
  comment on table plain.t is 'table'; comment on column plain.t.v is 'column'; comment on schema public is 'my public';
  `;
}

const users = (schema: string) =>
  `${schema}.nspname !~ '^pg_(toast|temp|catalog)' and ${schema}.nspname not in ('information_schema', '_sluice')`;
const acl = (
  list: string,
  letter: string,
  owner: string,
) => `(select string_agg(coalesce(g.rolname, 'PUBLIC') || '=' || x.privilege_type
    || case when x.is_grantable then '*' else '' end || '/' || b.rolname, ',' order by g.rolname, x.privilege_type, b.rolname)
  from aclexplode(coalesce(${list}, acldefault('${letter}', ${owner}))) x left join pg_roles g on g.oid = x.grantee
  left join pg_roles b on b.oid = x.grantor where x.privilege_type <> 'MAINTAIN')`;
const role = (oid: string) => `pg_get_userbyid(${oid})`;

const selects: Readonly<Record<string, string>> = {
  trigger: `select pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text as line from pg_trigger t join pg_class c on c.oid = t.tgrelid
    join pg_namespace n on n.oid = c.relnamespace where (not t.tgisinternal or t.tgparentid <> 0) and ${users('n')}`,
  'event trigger': `select concat_ws(' ', evtname, evtevent, evttags, evtfoid::regproc, evtenabled::text, ${role('evtowner')}) as line
    from pg_event_trigger`,
  rule: `select pg_get_ruledef(r.oid) || ' ' || r.ev_enabled::text as line from pg_rewrite r join pg_class c on c.oid = r.ev_class
    join pg_namespace n on n.oid = c.relnamespace where r.rulename <> '_RETURN' and ${users('n')}`,
  policy: `select concat_ws(' | ', schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check) as line from pg_policies`,
  'row security': `select c.oid::regclass || ' ' || c.relrowsecurity || ' ' || c.relforcerowsecurity as line from pg_class c
    join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and ${users('n')}`,
  relation: `select concat_ws(' | ', c.oid::regclass, ${role('c.relowner')},
      case when c.relkind = 'S' then ${acl('c.relacl', 's', 'c.relowner')} else ${acl('c.relacl', 'r', 'c.relowner')} end,
      (select string_agg(a.attname || ' ' || ${acl('a.attacl', 'c', 'c.relowner')}, '; ' order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attacl is not null)) as line
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${users('n')}`,
  routine: `select concat_ws(' | ', p.oid::regprocedure, ${role('p.proowner')}, ${acl('p.proacl', 'f', 'p.proowner')}) as line
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid >= 16384 and ${users('n')}`,
  type: `select concat_ws(' | ', t.oid::regtype, ${role('t.typowner')}, ${acl('t.typacl', 'T', 't.typowner')}) as line
    from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.typrelid = 0 and t.typelem = 0 and ${users('n')}`,
  schema: `select concat_ws(' | ', n.nspname, ${role('n.nspowner')}, ${acl('n.nspacl', 'n', 'n.nspowner')}) as line
    from pg_namespace n where n.nspname <> 'public' and ${users('n')}`,
  owner: `select i.type || ' ' || i.identity || ' ' || ${role('o.owner')} as line from (
      select 'pg_foreign_data_wrapper'::regclass as class, oid, fdwowner as owner from pg_foreign_data_wrapper
      union all select 'pg_foreign_server'::regclass, oid, srvowner from pg_foreign_server
      union all select 'pg_collation'::regclass, oid, collowner from pg_collation union all select 'pg_ts_dict'::regclass, oid, dictowner from pg_ts_dict
      union all select 'pg_ts_config'::regclass, oid, cfgowner from pg_ts_config union all select 'pg_opclass'::regclass, oid, opcowner from pg_opclass
      union all select 'pg_opfamily'::regclass, oid, opfowner from pg_opfamily union all select 'pg_operator'::regclass, oid, oprowner from pg_operator
      union all select 'pg_statistic_ext'::regclass, oid, stxowner from pg_statistic_ext) o, pg_identify_object(o.class, o.oid, 0) i where o.oid >= 16384`,
  foreign: `select concat_ws(' ', w.fdwname, s.srvname, ${acl('w.fdwacl', 'F', 'w.fdwowner')}, ${acl('s.srvacl', 'S', 's.srvowner')}) as line
    from pg_foreign_data_wrapper w join pg_foreign_server s on s.srvfdw = w.oid`,
  system: `select concat_ws(' ', p.oid::regprocedure, ${acl('p.proacl', 'f', 'p.proowner')}) as line from pg_proc p
      where p.oid < 16384 and p.proname in ('pg_sleep', 'pg_ls_waldir')
    union all select ${acl('a.attacl', 'c', '10::oid')} from pg_attribute a where a.attrelid = 'pg_catalog.pg_database'::regclass and a.attname = 'datname'`,
  language: `select concat_ws(' | ', l.lanname, ${acl('l.lanacl', 'l', 'l.lanowner')}) as line from pg_language l where l.lanpltrusted`,
  'default privileges': `select concat_ws(' | ', ${role('d.defaclrole')}, n.nspname, d.defaclobjtype::text, ${acl('d.defaclacl', 'r', 'd.defaclrole')}) as line
    from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace`,
  comment: `select i.type || ' ' || i.identity || ': ' || d.description as line from pg_description d,
    pg_identify_object(d.classoid, d.objoid, d.objsubid) i where d.objoid >= 16384 or d.objoid = 2200
      or d.classoid = 'pg_extension'::regclass`,
};

/** All of it as the server tells it, one line each, to compare two databases. */
export async function printBound(db: TestDatabase): Promise<readonly string[]> {
  const lines: string[] = [];
  await using connection = await db.connect();
  await connection.client.query(`set search_path = ''`);
  for (const [what, select] of Object.entries(selects)) {
    const { rows } = await connection.client.query<{ line: string }>(
      `select line from (${select.replaceAll(/\b(pg_(?:class|namespace|trigger|event_trigger|rewrite|policies|attribute|proc|type|language|default_acl|description|roles))\b(?!')/g, 'pg_catalog.$1')}) each order by line collate "C"`,
    );
    lines.push(...rows.map(({ line }) => `${what}: ${line}`));
  }
  return lines;
}
