// Schemas and extensions: what all other objects are in or come with.
import type { Connection } from '../../pg/client.ts';
import { ident, sql } from '../../pg/sql.ts';
import { createExtension, createSchema } from '../ddl-types.ts';
import { type Entity, entity } from './entity.ts';
import { notTheirs, type ServerFacts } from './facts.ts';

export async function readSchemas(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  const rows = await db.query<{ id: string; name: string }>(sql`
    select 'pg_namespace:' || n.oid as id, n.nspname::text as name from pg_catalog.pg_namespace n
    where (n.oid >= 16384 or n.nspname = 'public') and ${notTheirs(facts, 'n')}
      and not exists (select from pg_catalog.pg_depend member
        where member.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and member.objid = n.oid and member.deptype = 'e')
    order by n.nspname`);
  return rows.map(({ id, name }) =>
    entity({ id, kind: 'schema', name, definition: '', statements: [[createSchema(name)]] }),
  );
}

interface ExtensionRow {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly schema: string;
  readonly schemaId: string;
  readonly relocatable: boolean;
  /** Tables whose rows a dump would take along. */
  readonly tables: readonly string[] | null;
}

/**
 * Members are never moved one by one. The version is the target's own default where it lacks the source's: an extension that is
 * newer there is what a dump makes as well.
 */
export async function readExtensions(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_extension')) return [];
  const rows = await db.query<ExtensionRow>(sql`
    select 'pg_extension:' || e.oid as id, e.extname::text as name, e.extversion as version, n.nspname::text as schema,
      'pg_namespace:' || n.oid as "schemaId", e.extrelocatable as relocatable,
      (select pg_catalog.array_agg(c.relname::text order by c.relname) from pg_catalog.pg_class c
        where c.oid = any(e.extconfig) and c.relkind in ('r', 'p')) as tables
    from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
    where e.oid >= 16384 order by e.extname`);
  return rows.map(({ id, name, version, schema, schemaId }) =>
    entity({
      ...{ id, name, kind: 'extension', definition: JSON.stringify([schema, version]), shape: schema },
      needs: [schemaId],
      statements: [[createExtension({ name, schema })]],
      verdict: ({ target }) =>
        target.available.has(name) ? null : { leaveOut: 'it is not available on the target server' },
      mend: (there) =>
        there.shape === schema ? [] : [[sql`alter extension ${ident(name)} set schema ${ident(schema)}`]],
    }),
  );
}
