// What a database has and a mirror does not move: told of, each with the reason.
import type { Connection } from '../../pg/client.ts';
import { ident, sql, trusted } from '../../pg/sql.ts';
import { type Entity, entity } from './entity.ts';
import type { ServerFacts } from './facts.ts';

type Named = Pick<Entity, 'id' | 'kind' | 'name'>;

function unmoved(given: Named, reason: string, statement?: string): Entity {
  const leaveOut = statement === undefined ? { leaveOut: reason } : { leaveOut: reason, statement };
  return entity({ ...given, stage: 'event triggers', statements: [], definition: '', verdict: () => leaveOut });
}

export async function readUnmoved(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  const publications = await db.query<{ oid: number; name: string }>(
    sql`select oid, pubname::text as name from pg_catalog.pg_publication order by pubname`,
  );
  const subscriptions = await db.query<{ oid: number; name: string }>(sql`
    select s.oid, s.subname::text as name from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid
    where d.datname = pg_catalog.current_database() order by s.subname`);
  return [
    ...publications.map(({ oid, name }) =>
      unmoved({ id: `pg_publication:${oid}`, kind: 'publication', name }, 'publications are not moved'),
    ),
    ...subscriptions.map(({ oid, name }) =>
      unmoved(
        { id: `pg_subscription:${oid}`, kind: 'subscription', name },
        'subscriptions are not moved: the source receives these changes, and the mirror brings them on',
      ),
    ),
    ...(await readExtensionRows(db, facts)),
  ];
}

interface ConfigurationTable {
  readonly extension: string;
  readonly schema: string;
  readonly name: string;
  readonly condition: string;
}

// Rows that users put into tables of an extension, which a dump would take along.
async function readExtensionRows(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_extension')) return [];
  const tables = await db.query<ConfigurationTable>(sql`
    select e.extname::text as extension, n.nspname::text as schema, c.relname::text as name,
      coalesce(e.extcondition[configured.place], '') as condition
    from pg_catalog.pg_extension e
      cross join lateral pg_catalog.unnest(e.extconfig) with ordinality as configured(oid, place)
      join pg_catalog.pg_class c on c.oid = configured.oid and c.relkind in ('r', 'p')
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where pg_catalog.has_table_privilege(c.oid, 'select') order by 1, 2, 3`);
  const found: Entity[] = [];
  for (const { extension, schema, name, condition } of tables) {
    const table = ident(schema, name);
    // The extension's own condition, which tells its own rows from those of users.
    const { filled } = await db.one<{ filled: boolean }>(
      sql`select exists (select from ${table} ${trusted(condition)}) as filled`,
    );
    if (!filled) continue;
    const given = {
      id: `rows:${extension}:${name}`,
      kind: 'extension',
      name: `${extension}, rows of ${name}`,
    } as const;
    found.push(unmoved(given, `rows that were put into a table of an extension are not copied: ${table.text}`));
  }
  return found;
}
