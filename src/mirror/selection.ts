// What of a source table belongs to its mirror, as SQL: which rows and which columns. Copy, stream and comparison all take it from here. Pure.
import { ident, join, type Sql, sql, trusted } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';
import type { MirroredTable } from './work.ts';

/** The part of a mapping that says what is left out. */
export type Selection = Pick<MirroredTable, 'from' | 'exclude' | 'where'>;

/** Which relation is read: the mapped table, or one of its partitions. */
export interface ReadRelation {
  readonly from: TableName;
  /** Whether it alone is read, not what inherits from it. */
  readonly only: boolean;
}

/** The mirror's predicate as a condition. A person's SQL: the line break ends a comment that it may end with. */
export function rowPredicate(where: string): Sql {
  return sql`(${trusted(where)}\n)`;
}

/**
 * What stands after FROM to read the mirrored rows of a relation; under the mapped table's own name, so that a predicate may
 * call columns by it whichever partition is read.
 * @param more one more condition, or null
 */
export function mirroredRows(mapping: Selection, relation: ReadRelation, more: Sql | null = null): Sql {
  const only = relation.only ? sql`only ` : sql``;
  const table = sql`${only}${ident(relation.from.schema, relation.from.name)} as ${ident(mapping.from.name)}`;
  const filter = mapping.where === null ? null : rowPredicate(mapping.where);
  const conditions = [more, filter].filter((each) => each !== null);
  return conditions.length === 0 ? table : sql`${table} where ${join(conditions, ' and ')}`;
}

/** The columns that the mapping does not exclude. */
export function mirroredColumns<Column extends { readonly name: string }>(
  mapping: Pick<Selection, 'exclude'>,
  columns: readonly Column[],
): readonly Column[] {
  return columns.filter((column) => !mapping.exclude.includes(column.name));
}
