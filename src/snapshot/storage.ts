// Whether a source table was rewritten or replaced while it was copied: an old snapshot reads such a table wrongly, without an error.
import { SluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { quoteName, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';

/** Where the rows of each relation lie: by showTable, OIDs and file nodes of it and of all below it. */
export type Storage = ReadonlyMap<string, string>;

/**
 * Reads where tables and everything below them lie, as it is now whatever snapshot the connection has: names and file nodes are
 * looked up in the server's caches, not in its rows. https://www.postgresql.org/docs/18/functions-admin.html#FUNCTIONS-ADMIN-DBLOCATION
 */
export async function readStorage(source: Connection, tables: readonly TableName[]): Promise<Storage> {
  const wanted = tables.map((table) => quoteName(table.schema, table.name));
  const rows = await source.query<{
    place: number;
    schema: string;
    name: string;
    oid: number;
    node: string | null;
  }>(sql`
    with recursive below (place, oid) as (
      select place, pg_catalog.to_regclass(wanted)::oid
      from pg_catalog.unnest(${wanted}::text[]) with ordinality as tables(wanted, place)
      union
      select below.place, i.inhrelid from below join pg_catalog.pg_inherits i on i.inhparent = below.oid
    )
    select below.place::int as place, n.nspname::text as schema, c.relname::text as name, below.oid,
      pg_catalog.pg_relation_filenode(below.oid)::text as node
    from below join pg_catalog.pg_class c on c.oid = below.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    order by below.place, below.oid`);
  const storage = new Map<string, string>();
  const below = tables.map((): string[] => []);
  for (const { place, schema, name, oid, node } of rows) {
    const at = `${oid}/${node}`;
    storage.set(showTable({ schema, name }), at);
    below[place - 1]?.push(at);
  }
  // A table with others below it is all of them.
  for (const [index, table] of tables.entries()) storage.set(showTable(table), below[index]?.join(' ') ?? '');
  return storage;
}

/** The file node of a relation that has rows of its own; null: it has none, or is none of these. */
export function nodeIn(storage: Storage, relation: TableName & { readonly oid: number }): string | null {
  const [oid, node] = storage.get(showTable(relation))?.split('/') ?? [];
  return oid !== String(relation.oid) || node === undefined || node === 'null' ? null : node;
}

/**
 * Compares after a part was read, while the reader's lock keeps the table from being rewritten any more. VACUUM FULL and CLUSTER
 * move rows out of their pages; TRUNCATE and ALTER TABLE leave nothing that an older snapshot sees.
 * @param before read before the snapshot was taken
 * @throws `source_changed`
 */
export async function refuseRewritten(
  source: Connection,
  tables: readonly TableName[],
  before: Storage,
): Promise<void> {
  const now = await readStorage(source, tables);
  for (const table of tables.map(showTable)) {
    if (now.get(table) === before.get(table)) continue;
    throw new SluiceError(
      'source_changed',
      `source table ${table} was rewritten while it was copied; its copy begins anew`,
      {
        detail: 'By VACUUM FULL, CLUSTER, TRUNCATE, or a change of its definition or of its partitions.',
      },
    );
  }
}
