// What belongs to the tables of a database, as its server prints it, to compare two of them.
import type { Connection } from '../../src/pg/client.ts';
import type { TestDatabase } from './servers.ts';

// Temporary tables of a stream that still runs have schemas of their own.
const ours = `n.nspname !~ '^pg_' and n.nspname not in ('information_schema', '_sluice')`;

const selects: Readonly<Record<string, string>> = {
  indexes: `select pg_get_indexdef(x.indexrelid) || case when x.indisclustered then ' CLUSTERED' else '' end
      || case when x.indisreplident then ' IDENTITY' else '' end || case when x.indisvalid then '' else ' INVALID' end
      || coalesce(' PART OF ' || (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = x.indexrelid), '')
      || coalesce((select ' STATISTICS ' || string_agg(a.attnum || '=' || a.attstattarget, ',' order by a.attnum)
        from pg_attribute a where a.attrelid = x.indexrelid and a.attstattarget >= 0), '')
    as line from pg_index x join pg_class c on c.oid = x.indexrelid join pg_namespace n on n.oid = c.relnamespace where true`,
  constraints: `select k.conrelid::regclass || ' ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid)
      || case when k.conparentid <> 0 then ' OF PARENT' else '' end as line
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where (k.contype <> 'f' or k.conparentid = 0)`,
  statistics: `select pg_get_statisticsobjdef(s.oid) || ' TARGET ' || coalesce(s.stxstattarget, -1) as line
    from pg_statistic_ext s join pg_class c on c.oid = s.stxrelid join pg_namespace n on n.oid = c.relnamespace where true`,
  parents: `select i.inhrelid::regclass || ' OF ' || i.inhparent::regclass as line
    from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p')`,
  comments: `select coalesce(pg_describe_object(d.classoid, d.objoid, d.objsubid), '?') || ': ' || d.description as line
    from pg_description d join pg_class c on c.oid = coalesce(
      (select k.conrelid from pg_constraint k where d.classoid = 'pg_constraint'::regclass and k.oid = d.objoid),
      (select s.stxrelid from pg_statistic_ext s where d.classoid = 'pg_statistic_ext'::regclass and s.oid = d.objoid),
      case when d.classoid = 'pg_class'::regclass then d.objoid end)
    join pg_namespace n on n.oid = c.relnamespace where true`,
};

// A comparison is often one of many: a session of its own for each would have to learn the catalogs anew.
const onlookers = new WeakMap<TestDatabase, Connection>();

/** A session for nothing but looking at the catalogs, with an empty search_path, so that all names are whole; it ends with the database. */
export async function onlooker(db: TestDatabase): Promise<Connection> {
  const kept = onlookers.get(db);
  if (kept !== undefined && !kept.lost.aborted) return kept;
  const connection = await db.connect();
  await connection.client.query(`set search_path = ''`);
  onlookers.set(db, connection);
  return connection;
}

/** Everything, one line each, in one order. NOT NULL constraints only if asked for: servers before 18 have none. */
export async function printObjects(
  db: TestDatabase,
  options: { readonly notNull?: boolean } = {},
): Promise<readonly string[]> {
  const lines: string[] = [];
  const connection = await onlooker(db);
  for (const [what, select] of Object.entries(selects)) {
    const { rows } = await connection.client.query<{ line: string }>(
      `select line from (${select} and ${ours}) each order by line collate "C"`,
    );
    lines.push(...rows.map(({ line }) => `${what}: ${line}`));
  }
  return options.notNull ? lines : lines.filter((line) => !/^constraints: .* NOT NULL [^ ]+$/.test(line));
}
