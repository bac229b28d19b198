// Labels of enums whose names went to other labels: what rows say since then depends on when they were written, which the log does not tell.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { allRenames, type Drift, type LabelStep } from '../peers/label-drift.ts';
import { readRemembered, writeMemories } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import { alterType } from './label-words.ts';
import { runOnTarget } from './mend.ts';

/** Columns of one table, by their numbers. */
export interface TableColumns {
  readonly mirrored: MirroredTable;
  /** Of the table on the source. */
  readonly oid: number;
  readonly columns: readonly number[];
}

/** The columns that have values of these types of the source, or of arrays, domains, composites and ranges of them. */
export async function columnsOfTypes(
  source: Connection,
  types: readonly number[],
  tables: ReadonlyMap<number, MirroredTable>,
): Promise<readonly TableColumns[]> {
  const rows = await source.query<{ oid: number; columns: readonly number[] }>(sql`
    with recursive uses(type) as (
      select t from pg_catalog.unnest(${[...types]}::oid[]) t
      union
      select t.oid from uses u join pg_catalog.pg_type t on t.typbasetype = u.type or (t.typelem = u.type and t.typlen = -1)
        -- Multiranges came with 14.
        or exists (select from pg_catalog.pg_range r where (r.rngtypid = t.oid and r.rngsubtype = u.type)
          or (r.rngtypid = u.type and (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid))
        or (t.typrelid <> 0 and exists (select from pg_catalog.pg_attribute a
          where a.attrelid = t.typrelid and a.atttypid = u.type and a.attnum > 0)))
    select a.attrelid::oid as oid, pg_catalog.json_agg(a.attnum order by a.attnum) as columns
    from pg_catalog.pg_attribute a join uses u on u.type = a.atttypid
    where a.attrelid = any(${[...tables.keys()]}::oid[]) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    group by a.attrelid`);
  return rows.flatMap(({ oid, columns }) => {
    const mirrored = tables.get(Number(oid));
    return mirrored === undefined ? [] : [{ mirrored, oid: Number(oid), columns }];
  });
}

/** Remembers on the target, inside the caller's transaction, that columns of these types are to be read again. */
export async function rememberToRead(
  sides: { readonly source: Connection; readonly target: Connection },
  work: MirrorWork,
  types: readonly number[],
): Promise<void> {
  const remembered = await readRemembered(sides.target, work);
  const tables = new Map(
    work.tables.flatMap((mirrored) => {
      const oid = remembered.get(showTable(mirrored.from))?.shape?.oid;
      return oid === undefined ? [] : [[oid, mirrored] as const];
    }),
  );
  const found = await columnsOfTypes(sides.source, types, tables);
  const memories = found.map(({ mirrored, columns }) => {
    const table = showTable(mirrored.from);
    return { table, unread: [...new Set([...(remembered.get(table)?.unread ?? []), ...columns])] };
  });
  await writeMemories(sides.target, work, memories);
}

/** Where changes are not followed, and the target has all that was written before the labels got their names. */
export function confusedTrouble(drifts: readonly Drift[]): SluiceError {
  const types = drifts.map(({ type }) => showTable(type)).join(', ');
  const steps = drifts.flatMap((drift) => stepsOf(drift).map((step) => alterType(drift.type, step)));
  return new SluiceError('wrong_state', `names of labels of ${types} are those of other labels on the source now`, {
    detail:
      'The log does not tell since when: what was written after that may show another label on the target, and is read again once the labels have their names.',
    hint: runOnTarget(steps),
  });
}

// Until the labels are those of the source.
function stepsOf(drift: Drift): readonly LabelStep[] {
  const { source } = drift.type;
  const renames = allRenames(drift).map(({ from, to }) => ({ kind: 'rename', from, to }) as const);
  const adds = source.flatMap(({ oid, label }, i): LabelStep[] => {
    if (drift.names.has(oid)) return [];
    const [before, after] = [source[i - 1], source.slice(i + 1).find((each) => drift.names.has(each.oid))];
    if (before !== undefined) return [{ kind: 'add', label, place: { side: 'after', of: before.label } }];
    return [{ kind: 'add', label, place: after === undefined ? null : { side: 'before', of: after.label } }];
  });
  return [...renames, ...adds];
}
