// The statements of a part: COPY out of the source, COPY into the target, and the count for rows without columns. Pure.
import { mirroredRows, rowPredicate } from '../mirror/selection.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { ident, join, names, type Sql, sql } from '../pg/sql.ts';
import type { Column, TableName } from '../pg/table.ts';
import type { CopiedColumns } from './columns.ts';
import { keyIsNull, type Part, rangeCondition } from './plan.ts';

function options(format: CopiedColumns['format']): Sql {
  return format === 'binary' ? sql` (format binary)` : sql``;
}

/** Columns are always named: one that is added meanwhile is not in it, and the order is ours. */
export function copyOut(part: Part, columns: CopiedColumns): Sql {
  const table = ident(part.from.schema, part.from.name);
  const whole = part.range.kind === 'whole' && part.mapping.where === null;
  // Without a query the server need not plan and project.
  if (whole && part.only && !columns.computed && columns.padded.length === 0) {
    return sql`copy ${table} (${names(columns.names)}) to stdout${options(columns.format)}`;
  }
  return sql`copy (select ${values(columns)} from ${rowsOf(part)}) to stdout${options(columns.format)}`;
}

/**
 * The rows of a mirrored table that a condition names, wherever in it they lie.
 * @param condition over the table's columns
 */
export function copyOutSome(
  table: { readonly mapping: MirroredTable; readonly only: boolean; readonly condition: Sql },
  columns: CopiedColumns,
): Sql {
  const { mapping, only, condition } = table;
  const rows = mirroredRows(mapping, { from: mapping.from, only }, condition);
  return sql`copy (select ${values(columns)} from ${rows}) to stdout${options(columns.format)}`;
}

// As bytes, which in binary form are those of the text.
function values({ names: all, padded }: CopiedColumns): Sql {
  if (padded.length === 0) return names(all);
  const trimmed = (name: string) =>
    sql`pg_catalog.rtrim(pg_catalog.bpcharsend(${ident(name)}), pg_catalog.decode('20', 'hex'))`;
  return join(all.map((name) => (padded.includes(name) ? trimmed(name) : ident(name))));
}

export function copyIn(part: Pick<Part, 'into'>, columns: CopiedColumns): Sql {
  return sql`copy ${ident(part.into.schema, part.into.name)} (${names(columns.names)}) from stdin${options(columns.format)}`;
}

/** For rows without columns, which COPY cannot name: how many there are. */
export function countOut(part: Part): Sql {
  return sql`select count(*) as n from ${rowsOf(part)}`;
}

/** That many rows of defaults. */
export function fillIn(part: Part, count: number): Sql {
  return sql`insert into ${ident(part.into.schema, part.into.name)} select from pg_catalog.generate_series(1, ${count}::bigint)`;
}

function rowsOf(part: Part): Sql {
  return mirroredRows(part.mapping, part, rangeCondition(part.range));
}

/** Fails if the predicate is more than one expression; to be run where a second statement cannot hide in it. */
export function checkPredicate(mapping: MirroredTable, where: string): Sql {
  const { schema, name } = mapping.from;
  return sql`select from ${ident(schema, name)} as ${ident(name)} where ${rowPredicate(where)} limit 0`;
}

/** A relation that is cut by a key. */
export interface KeyedRelation {
  readonly mapping: MirroredTable;
  readonly from: TableName;
  readonly only: boolean;
  readonly key: Column;
}

/** How many rows have a key. */
export function keyedRows(relation: KeyedRelation): Sql {
  return sql`select count(*) as n from ${rowsWithKey(relation)}`;
}

/** The values that begin parts 2 to `parts`, in order. */
export function keyBounds(relation: KeyedRelation, parts: number): Sql {
  const key = ident(relation.key.name);
  return sql`select bound from (
    select distinct on (tile) tile, (key)::text as bound from (
      select ${key} as key, pg_catalog.ntile(${parts}::int) over (order by ${key}) as tile from ${rowsWithKey(relation)}) rows
    order by tile, key) bounds
  where tile > 1 order by tile`;
}

function rowsWithKey(relation: KeyedRelation): Sql {
  return mirroredRows(relation.mapping, relation, sql`not (${keyIsNull(relation.key)})`);
}
