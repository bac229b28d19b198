// Sequences that no column uses: they have no table to be found by, so their names pair them.
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import { nextSetting, type Refused, readSequenceValues, setSequences } from './sequences.ts';

interface FreeSequence extends TableName {
  readonly increment: string;
  readonly cycle: boolean;
}

// Only those that the role may read, and set: one that nobody of ours uses is no reason to stop.
async function readFree(db: Connection, right: 'select' | 'update', ours: string): Promise<readonly FreeSequence[]> {
  return await db.query<FreeSequence>(sql`
    select n.nspname::text as schema, c.relname::text as name, s.seqincrement::text as increment, s.seqcycle as cycle
    from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid >= 16384 and n.nspname <> ${ours} and n.nspname !~ '^pg_(toast|temp)'
      and pg_catalog.has_schema_privilege(n.oid, 'usage') 
      and case when c.relkind = 'S' then pg_catalog.has_sequence_privilege(c.oid, ${right}) end
      and not exists (select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e')
          and d.refclassid in ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass))
    order by n.nspname, c.relname`);
}

/**
 * Sets the sequences of the mirror's schemas that belong to no column to where the source's stand now, as far as the target has
 * them. A mirror of single tables has none.
 * @returns those that the target refuses to set
 */
export async function moveFreeSequences(
  sides: { readonly source: Connection; readonly target: Connection },
  { scope, target: { metadataSchema } }: Pick<MirrorWork, 'scope' | 'target'>,
): Promise<readonly Refused[]> {
  if (scope.kind === 'tables') return [];
  const schemas = scope.kind === 'all' ? null : new Map(scope.pairs.map(({ from, to }) => [from, to]));
  const there = await readFree(sides.target, 'update', metadataSchema);
  const pairs = (await readFree(sides.source, 'select', metadataSchema)).flatMap((source) => {
    const schema = schemas === null ? source.schema : schemas.get(source.schema);
    if (schema === undefined) return [];
    const target = there.find((each) => sameTable(each, { schema, name: source.name }));
    return target === undefined ? [] : [{ source, target }];
  });
  if (pairs.length === 0) return [];
  const now = await readSequenceValues(
    sides.source,
    pairs.map(({ source }) => source),
  );
  const before = await readSequenceValues(
    sides.target,
    pairs.map(({ target }) => target),
  );
  const settings = pairs.flatMap(({ source, target }) => {
    const [from, at] = [now.get(showTable(source)), before.get(showTable(target))];
    if (from === undefined || at === undefined) return [];
    const value = nextSetting(from, at, { increment: BigInt(target.increment), cycle: target.cycle });
    return value === null ? [] : [{ sequence: target, value }];
  });
  return await setSequences(sides.target, settings);
}
