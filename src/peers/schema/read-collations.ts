// Collations and conversions between encodings.
import type { Connection } from '../../pg/client.ts';
import { ident, literal, sql, trusted } from '../../pg/sql.ts';
import { createCollation } from '../ddl-types.ts';
import { selectCollations } from '../inspect-schema.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';

/** https://www.postgresql.org/docs/18/catalog-pg-collation.html; those that a server finds in its operating system are its own. */
export async function readCollations(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_collation')) return [];
  const all = await selectCollations(
    db,
    sql`n.nspname <> 'pg_catalog' and ${isUsers(facts, 'pg_collation', 'co', 'n')}`,
  );
  return all.map((each) => {
    const builtin = each.provider === 'b';
    return entity({
      ...{ id: `pg_collation:${each.oid}`, kind: 'collation', schema: each.schema, name: each.name },
      statements: [[createCollation(each)]],
      ...(builtin ? { since: [170_000, 'its provider is builtin'] as const } : {}),
      ...(each.rules === null ? {} : { since: [160_000, 'it has rules of its own'] as const }),
    });
  });
}

interface ConversionRow {
  readonly id: string;
  readonly schema: string;
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly function: string;
  readonly default: boolean;
}

/** https://www.postgresql.org/docs/18/catalog-pg-conversion.html */
export async function readConversions(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_conversion')) return [];
  const rows = await db.query<ConversionRow>(sql`
    select 'pg_conversion:' || c.oid as id, n.nspname::text as schema, c.conname::text as name,
      pg_catalog.pg_encoding_to_char(c.conforencoding)::text as from,
      pg_catalog.pg_encoding_to_char(c.contoencoding)::text as to,
      pg_catalog.quote_ident(fn.nspname) || '.' || pg_catalog.quote_ident(f.proname) as function, c.condefault as default
    from pg_catalog.pg_conversion c join pg_catalog.pg_namespace n on n.oid = c.connamespace
      join pg_catalog.pg_proc f on f.oid = c.conproc join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
    where ${isUsers(facts, 'pg_conversion', 'c', 'n')} order by n.nspname, c.conname`);
  return rows.map(({ id, schema, name, from, to, function: by, default: isDefault }) => {
    const kind = isDefault ? sql`default conversion` : sql`conversion`;
    const statement = sql`create ${kind} ${ident(schema, name)} for ${literal(from)} to ${literal(to)} from ${trusted(by)}`;
    return entity({ ...{ id, schema, name }, kind: 'conversion', statements: [[statement]] });
  });
}
