// Hears changes of the schema on the source: event triggers whose function writes each into the log, at its place among the rows.
import { createHash } from 'node:crypto';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, literal, quoteLiteral, quoteName, type Sql, sql, trusted } from '../pg/sql.ts';

type Owner = Pick<MirrorWork, 'id'> & { readonly source: { readonly metadataSchema: string } };

/** Prefix of the messages of one mirror. */
export function ddlPrefix(mirrorId: string): string {
  return `sluice ddl ${mirrorId}`;
}

interface Names {
  readonly schema: string;
  readonly function: string;
  readonly onEnd: string;
  readonly onDrop: string;
}

function namesOf({ id, source }: Owner): Names {
  const short = id.replaceAll('-', '').slice(0, 16);
  return {
    schema: source.metadataSchema,
    function: `ddl_${short}`,
    onEnd: `sluice_ddl_${short}`,
    onDrop: `sluice_drop_${short}`,
  };
}

// What says nothing of the schema, or is of us.
const silentTags = ['REINDEX', 'CLUSTER', 'VACUUM', 'ANALYZE'];

/**
 * The function's body. Whatever it fails with, the statement that fired it goes on; then the message only says that there was one,
 * and the catalogs tell the rest. It reads catalogs and nothing else. What is temporary, a publication's or ours is not told.
 *
 * A message of a subtransaction counts as of its end in the log, so that one which a row follows at once may come after that row:
 * an empty one keeps them apart.
 * https://www.postgresql.org/docs/18/functions-event-triggers.html
 */
function body(prefix: string, ours: string): string {
  const tags = silentTags.map(quoteLiteral).join(', ');
  return `
declare
  told json;
  more json := '{}';
begin
  begin
    if tg_event = 'sql_drop' then
      select json_agg(json_build_object('id', d.classid::regclass::text || ':' || d.objid, 'type', d.object_type,
        'column', case when d.objsubid > 0 then d.objsubid end, 'original', d.original)) into told
      from pg_event_trigger_dropped_objects() d
      where not d.is_temporary and d.schema_name is distinct from 'pg_toast' and d.schema_name is distinct from ${quoteLiteral(ours)}
        and d.object_type not like 'publication%' and d.object_type not like 'subscription%';
    else
      select json_agg(json_build_object('id', c.classid::regclass::text || ':' || c.objid, 'tag', c.command_tag,
        'type', c.object_type, 'identity', c.object_identity, 'schema', c.schema_name,
        'name', (select k.relname from pg_class k where c.classid = 'pg_class'::regclass and k.oid = c.objid),
        'filled', case when tg_tag = 'REFRESH MATERIALIZED VIEW' then (select k.relispopulated from pg_class k where k.oid = c.objid) end
        )) into told
      from pg_event_trigger_ddl_commands() c
      where c.schema_name is distinct from 'pg_temp' and c.schema_name is distinct from ${quoteLiteral(ours)}
        and c.object_type is distinct from 'event trigger' and c.command_tag not like '%PUBLICATION%'
        and c.command_tag not like '%SUBSCRIPTION%' and c.command_tag not in (${tags});
      select json_build_object(
        'trees', (select json_agg(json_build_object('root', r.root::bigint, 'partitions', (
            select coalesce(json_agg(json_build_object('oid', p.relid::oid::bigint, 'parent', p.parentrelid::oid::bigint,
              'schema', n.nspname, 'name', l.relname, 'bound', pg_get_expr(l.relpartbound, l.oid),
              'key', case when l.relkind = 'p' then pg_get_partkeydef(l.oid) end) order by p.level, l.oid), '[]')
            from pg_partition_tree(r.root) p join pg_class l on l.oid = p.relid join pg_namespace n on n.oid = l.relnamespace
            where p.level > 0)))
          from (select distinct pg_partition_root(c.objid::regclass)::oid as root from pg_event_trigger_ddl_commands() c
            join pg_class k on k.oid = c.objid and (k.relkind = 'p' or k.relispartition and k.relkind in ('r', 'f'))
              and k.relpersistence <> 't'
            where c.classid = 'pg_class'::regclass and c.command_tag in ('CREATE TABLE', 'ALTER TABLE', 'CREATE FOREIGN TABLE')) r),
        'enums', (select json_agg(json_build_object('oid', t.oid::bigint, 'schema', n.nspname, 'name', t.typname, 'labels', (
            select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid)))
          from pg_event_trigger_ddl_commands() c join pg_type t on t.oid = c.objid and t.typtype = 'e'
          join pg_namespace n on n.oid = t.typnamespace
          where c.classid = 'pg_type'::regclass and c.command_tag = 'ALTER TYPE'),
        'types', case when tg_tag in ('ALTER TYPE', 'ALTER DOMAIN', 'ALTER SCHEMA') then (
          select json_agg(json_build_object('oid', t.oid::bigint, 'schema', n.nspname, 'name', t.typname,
            'attributes', case when t.typtype = 'c' then (select coalesce(json_agg(json_build_object('number', a.attnum,
                'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'collation', (
                  select json_build_object('schema', cn.nspname, 'name', co.collname) from pg_type b, pg_collation co
                  join pg_namespace cn on cn.oid = co.collnamespace
                  where b.oid = a.atttypid and b.typcollation <> a.attcollation and co.oid = a.attcollation))
                order by a.attnum), '[]')
              from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) end,
            'domain', case when t.typtype = 'd' then json_build_object('notNull', t.typnotnull, 'checks', (
              select coalesce(json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid))), '[]')
              from pg_constraint k where k.contypid = t.oid and k.contype = 'c')) end))
          from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_class l on l.oid = t.typrelid
          where (t.typtype in ('d', 'e', 'r') or l.relkind = 'c') and t.oid in (
            select c.objid from pg_event_trigger_ddl_commands() c where c.classid = 'pg_type'::regclass
            union all select k.reltype from pg_event_trigger_ddl_commands() c join pg_class k on k.oid = c.objid
              where c.classid = 'pg_class'::regclass
            union all select k.oid from pg_event_trigger_ddl_commands() c join pg_type k on k.typnamespace = c.objid
              where c.classid = 'pg_namespace'::regclass
            union all select k.contypid from pg_event_trigger_ddl_commands() c join pg_constraint k on k.oid = c.objid
              where c.classid = 'pg_constraint'::regclass)) end) into more;
    end if;
    if told is not null then
      perform pg_logical_emit_message(true, ${quoteLiteral(prefix)}, convert_to(json_build_object('event', tg_event,
        'tag', tg_tag, 'objects', told, 'trees', more->'trees', 'enums', more->'enums', 'types', more->'types')::text, 'UTF8'));
      perform pg_logical_emit_message(true, 'sluice', '');
    end if;
  exception when others then
    begin
      perform pg_logical_emit_message(true, ${quoteLiteral(prefix)}, convert_to(json_build_object('event', tg_event,
        'tag', tg_tag, 'failed', sqlstate)::text, 'UTF8'));
      perform pg_logical_emit_message(true, 'sluice', '');
    exception when others then null;
    end;
  end;
end`;
}

// The name of the function's string says which version of it is there.
function statements(owner: Owner): { readonly mark: string; readonly list: readonly Sql[] } {
  const names = namesOf(owner);
  const text = body(ddlPrefix(owner.id), names.schema);
  const mark = `Made by Sluice; dropped with its mirror. ${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  const routine = ident(names.schema, names.function);
  const on = (name: string, event: string) => [
    sql`drop event trigger if exists ${ident(name)}`,
    sql`create event trigger ${ident(name)} on ${trusted(event)} execute function ${routine}()`,
    // Also of sessions that apply what another server did.
    sql`alter event trigger ${ident(name)} enable always`,
  ];
  return {
    mark,
    list: [
      sql`create schema if not exists ${ident(names.schema)}`,
      // The role that changes the schema need not be granted the writing of messages.
      sql`create or replace function ${routine}() returns event_trigger language plpgsql security definer
        set search_path = pg_catalog, pg_temp as ${literal(text)}`,
      sql`comment on function ${routine}() is ${literal(mark)}`,
      ...on(names.onDrop, 'sql_drop'),
      ...on(names.onEnd, 'ddl_command_end'),
    ],
  };
}

async function run(source: Connection, list: readonly Sql[]): Promise<void> {
  for (const statement of list) await source.run(statement);
}

/** Makes them, or makes right what an earlier version of ours has made. @throws `forbidden`, `not_ready` (a standby), `upstream` */
export async function ensureDdlCapture(source: Connection, owner: Owner): Promise<void> {
  const names = namesOf(owner);
  const { mark, list } = statements(owner);
  const [found] = await source.query<{ count: number; mark: string | null }>(sql`
    select count(*)::int as count, min(pg_catalog.obj_description(e.evtfoid, 'pg_proc')) as mark
    from pg_catalog.pg_event_trigger e
    where e.evtname = any(${[names.onEnd, names.onDrop]}::name[]) and e.evtenabled = 'A'`);
  if (found?.count === 2 && found.mark === mark) return;
  try {
    await source.transaction(() => run(source, list));
  } catch (error) {
    throw captureError(error);
  }
}

/** Makes them and takes it back, to see whether it would go well. @throws as ensureDdlCapture */
export async function rehearseDdlCapture(source: Connection, metadataSchema: string): Promise<void> {
  const done = new Error('taken back');
  const owner = { id: '00000000-0000-0000-0000-000000000000', source: { metadataSchema } };
  try {
    await source.transaction(async () => {
      await run(source, statements(owner).list);
      throw done;
    });
  } catch (error) {
    if (error !== done) throw captureError(error);
  }
}

function captureError(error: unknown): unknown {
  const known = toSluiceError(error);
  const hint =
    "Use schema_changes = 'columns', which needs no right of its own; or connect to the source as a role that may.";
  if (known.sqlstate === '42501') {
    return new SluiceError('forbidden', `the source does not let this role make event triggers: ${known.message}`, {
      detail:
        'schema_changes = full hears of changes by event triggers: that takes a superuser, or a role to which the provider grants it.',
      hint,
      cause: error,
    });
  }
  if (known.sqlstate === '25006') {
    return new SluiceError('not_ready', 'the source is a standby, on which no event trigger can be made', {
      hint: "Use schema_changes = 'columns', or follow the primary.",
      cause: error,
    });
  }
  return error;
}

/** What removes them, for a person. */
export function dropDdlCaptureStatement(owner: Owner): string {
  const names = namesOf(owner);
  return [
    `drop event trigger if exists ${quoteName(names.onEnd)};`,
    `drop event trigger if exists ${quoteName(names.onDrop)};`,
    `drop function if exists ${quoteName(names.schema, names.function)}();`,
  ].join(' ');
}

/** Removes them; the schema goes if nothing else is in it. @returns whether there was anything */
export async function dropDdlCapture(source: Connection, owner: Owner): Promise<boolean> {
  const names = namesOf(owner);
  const [found] = await source.query(sql`
    select 1 as there from pg_catalog.pg_event_trigger where evtname = any(${[names.onEnd, names.onDrop]}::name[])
    union all select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = ${names.schema} and p.proname = ${names.function}`);
  if (found === undefined) return false;
  // Without its function a trigger would make every change of the schema fail.
  await source.transaction(async () => {
    await source.run(sql`drop event trigger if exists ${ident(names.onEnd)}`);
    await source.run(sql`drop event trigger if exists ${ident(names.onDrop)}`);
    await source.run(sql`drop function if exists ${ident(names.schema, names.function)}()`);
    const rest = await source.query(sql`
      select 1 as rest from pg_catalog.pg_namespace n where n.nspname = ${names.schema} and (
        exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid)
        or exists (select from pg_catalog.pg_proc p where p.pronamespace = n.oid)
        or exists (select from pg_catalog.pg_type t where t.typnamespace = n.oid))`);
    if (rest.length === 0) await source.run(sql`drop schema if exists ${ident(names.schema)}`);
  });
  return true;
}
