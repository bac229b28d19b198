// Updates of columns that the target always generates (GENERATED ALWAYS AS IDENTITY): PostgreSQL lets an INSERT bring a value, an UPDATE never.
import { ident, join, type Sql, sql, trusted } from '../pg/sql.ts';
import { looseType, oneRow, rowsOf, targetName } from './apply-sql.ts';
import type { AppliedColumn, AppliedTable } from './apply-table.ts';

/** Columns of these that an UPDATE may set. */
export function settable(columns: readonly AppliedColumn[]): readonly AppliedColumn[] {
  return columns.filter((column) => !column.always);
}

/** Whether an update can only be made by a new row: it finds, or changes, what may not be set. */
export function needsNewRow(table: AppliedTable, moves: boolean): boolean {
  if (table.identity === 'row') return table.columns.some((column) => column.always);
  return moves && table.key.some((column) => column.always);
}

/**
 * Takes a row away and puts a new one in its place, with the values that the update brings and all others as they are.
 * Parameters: those columns, then the old key (or the whole old row).
 * @param onlyIfChanged leaves a row alone whose always generated columns have the update's values already
 */
export function replaceOne(table: AppliedTable, columns: readonly AppliedColumn[], onlyIfChanged: boolean): string {
  const parameter = (i: number, column: AppliedColumn) => trusted(`$${i + 1}::${looseType(column.type)}`);
  const changed = columns.flatMap((column, i): Sql[] =>
    column.always ? [sql`t.${ident(column.name)} is distinct from ${parameter(i, column)}`] : [],
  );
  const found = oneRow(table, columns.length);
  const where = onlyIfChanged ? sql`${found} and (${join(changed, ' or ')})` : found;
  const rest = [...table.columns.map(({ name }) => name), ...table.others].filter(
    (name) => !columns.some((column) => column.name === name),
  );
  const names = join([...columns.map(({ name }) => ident(name)), ...rest.map((name) => ident(name))]);
  const values = join([
    ...columns.map((column, i) => parameter(i, column)),
    ...rest.map((name) => (name === table.marks.synced ? sql`pg_catalog.now()` : sql`gone.${ident(name)}`)),
  ]);
  return sql`with gone as (delete from ${rowsOf(table)} t where ${where} returning t.*)
    insert into ${targetName(table)} (${names}) overriding system value select ${values} from gone`.text;
}
