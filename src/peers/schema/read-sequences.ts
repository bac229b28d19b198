// Sequences that belong to no column, with all their settings; those of columns come with their tables.
import type { Connection } from '../../pg/client.ts';
import { ident, sql } from '../../pg/sql.ts';
import { alterSequence, createSequence } from '../ddl-types.ts';
import type { Sequence } from '../sequences.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';

export async function readFreeSequences(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_sequence')) return [];
  const rows = await db.query<Omit<Sequence, 'uses' | 'regclass'> & { readonly unlogged: boolean }>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name,
      pg_catalog.format_type(s.seqtypid, null) as type, s.seqstart::text as start, s.seqincrement::text as increment,
      s.seqmin::text as min, s.seqmax::text as max, s.seqcache::text as cache, s.seqcycle as cycle,
      c.relpersistence = 'u' as unlogged
    from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where ${isUsers(facts, 'pg_class', 'c', 'n')} and not exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i'))
    order by n.nspname, c.relname`);
  return rows.map(({ unlogged, ...sequence }) => {
    const { oid, schema, name } = sequence;
    const create = createSequence({ ...sequence, uses: [], regclass: '' }, { schema, name });
    const alter = alterSequence({ ...sequence, uses: [], regclass: '' }, { schema, name });
    const set = unlogged ? [sql`alter sequence ${ident(schema, name)} set unlogged`] : [];
    return entity({
      ...{ id: `pg_class:${oid}`, kind: 'sequence', schema, name, statements: [[create, ...set]] },
      alter: () => [alter],
      ...(unlogged ? { since: [150_000, 'it is unlogged'] as const } : {}),
    });
  });
}
