// What schema_changes = full must leave behind: the same objects, columns and rows on both sides.
import { sql } from '../../src/pg/sql.ts';
import { columnsOf, rowsByName } from './ddl.ts';
import type { Following, Running } from './following.ts';
import { onlooker, printObjects } from './objects.ts';
import type { TestDatabase } from './servers.ts';
import { until } from './wait.ts';

const users = `n.nspname !~ '^pg_' and n.nspname not in ('information_schema', '_sluice')`;

/** Everything that a person sees of a database, as lines in one order; rows too. */
export async function everything(db: TestDatabase): Promise<readonly string[]> {
  // Constraints for NOT NULL come with 18.
  const lines = (await printObjects(db, { notNull: true })).filter(
    (line) => !/^constraints: [\s\S]* NOT NULL \S+$/.test(line),
  );
  const connection = await onlooker(db);
  const add = async (what: string, text: string) => {
    const { rows } = await connection.client.query<{ line: string }>(text);
    lines.push(...rows.map(({ line }) => `${what}: ${line}`).toSorted());
  };
  await add('schema', `select n.nspname as line from pg_namespace n where ${users}`);
  await add(
    'relation',
    `select c.relkind::text || ' ' || c.oid::regclass || coalesce(' ' || pg_get_expr(c.relpartbound, c.oid), '') as line
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'S') and ${users}`,
  );
  await add(
    'view',
    `select c.oid::regclass || ' ' || regexp_replace(regexp_replace(pg_get_viewdef(c.oid), '\\s+', ' ', 'g'), '("([^"]|"")*"|\\m\\w+)\\.', '', 'g') as line
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm') and ${users}`,
  );
  await add(
    'routine',
    `select p.oid::regprocedure || ' ' || p.prosrc as line from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where ${users} and not exists (select from pg_depend d where d.objid = p.oid and d.deptype in ('e', 'i'))`,
  );
  await add(
    'trigger',
    `select pg_get_triggerdef(t.oid) as line from pg_trigger t join pg_class c on c.oid = t.tgrelid
     join pg_namespace n on n.oid = c.relnamespace where not t.tgisinternal and ${users}`,
  );
  await add(
    'policy',
    `select p.polname || ' of ' || p.polrelid::regclass as line from pg_policy p join pg_class c on c.oid = p.polrelid
     join pg_namespace n on n.oid = c.relnamespace where ${users}`,
  );
  await add(
    'type',
    `select t.oid::regtype || ' ' || t.typtype::text || ' ' || coalesce((select string_agg(e.enumlabel, ',' order by e.enumsortorder)
       from pg_enum e where e.enumtypid = t.oid), '') || coalesce((select string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
         from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), '')
       || case when t.typtype = 'd' then concat_ws(' ', format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault, (
         select string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ', ' order by k.conname)
         from pg_constraint k where k.contypid = t.oid and k.contype = 'c')) else '' end as line from pg_type t join pg_namespace n on n.oid = t.typnamespace
     left join pg_class c on c.oid = t.typrelid where t.typtype in ('e', 'd', 'c', 'r') and coalesce(c.relkind, 'c') = 'c' and ${users}`,
  );
  await add(
    'sequence',
    `select concat_ws(' ', c.oid::regclass, format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
       as line from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace where ${users}`,
  );
  await add(
    'comment',
    `select pg_describe_object(d.classoid, d.objoid, d.objsubid) || ': ' || d.description as line from pg_description d
     where d.objoid >= 16384 and d.classoid not in ('pg_publication'::regclass, 'pg_event_trigger'::regclass)
       and pg_describe_object(d.classoid, d.objoid, d.objsubid) not like '%_sluice.%'`,
  );
  await add(
    'acl',
    `select c.oid::regclass || ' ' || x::text as line from pg_class c join pg_namespace n on n.oid = c.relnamespace,
     unnest(c.relacl) x where ${users} and x::text not like 'postgres=%'`,
  );
  for (const table of await tablesOf(db)) {
    lines.push(...(await columnsOf(db, table)).map((line) => `column of ${table}: ${line}`));
    lines.push(...(await rowsByName(db, table)).map((line) => `row of ${table}: ${line}`));
  }
  return lines;
}

/** Names of all tables that are no partitions, as SQL. */
export async function tablesOf(db: TestDatabase): Promise<readonly string[]> {
  const rows = await db.exec<{ name: string }>(`select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'mark' and ${users} order by 1`);
  return rows.map(({ name }) => name);
}

/** Waits until every row and change of the schema has come, and all that follows from them is made. */
export async function quiet(f: Following, running: Running): Promise<void> {
  await Promise.race([f.settle(), running.done]);
  const reached = async () => {
    const rows = await f.target.connection.query(
      sql`select 1 as wanted from _sluice.known_objects where mirror_id = ${f.work.id} and id = 'wanted'`,
    );
    const told = await f.target.connection.query(
      sql`select 1 as untold from _sluice.schema_changes where mirror_id = ${f.work.id}`,
    );
    const known = await f.target.connection.query(
      sql`select 1 as known from _sluice.known_objects where mirror_id = ${f.work.id} limit 1`,
    );
    return rows.length + told.length === 0 && known.length > 0;
  };
  await Promise.race([until('that nothing is left to be made', reached, 30_000), running.done]);
  await Promise.race([f.settle(), running.done]);
}

/** Runs the mirror until then, and stops it. */
export async function quieted(f: Following): Promise<void> {
  const running = f.start();
  await quiet(f, running);
  await running.stop();
}
