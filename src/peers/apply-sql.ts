// The statements that apply changes to one target table: set by set from its staging table, and row by row.
import { ident, join, literal, names, type Sql, sql, trusted } from '../pg/sql.ts';
import type { AppliedColumn, AppliedTable } from './apply-table.ts';
import type { TruncateStep } from './apply-walk.ts';

/** What a staged row asks for, in its first column. Updates have the number of their set of columns, from 1. */
export const stagedDelete = 0;
export const stagedInsert = -1;

/** The table's name. */
export const targetName = (table: AppliedTable) => ident(table.to.schema, table.to.name);
const target = targetName;
// A change is one table's own: rows of tables that inherit from it have their own changes, and may have the same key.
export const rowsOf = (table: AppliedTable) => (table.kind === 'p' ? target(table) : sql`only ${target(table)}`);
const staging = (table: AppliedTable) => ident('pg_temp', stagingName(table));
// Staging columns have names of their own: a table may have a column of any name.
const staged = (column: AppliedColumn) => ident(`c${column.index}`);
const columnNames = (columns: readonly AppliedColumn[]) => names(columns.map((column) => column.name));

/** Name of the temporary table that changes of this table pass through. */
export function stagingName(table: AppliedTable): string {
  return `sluice_${table.id}`;
}

/** Emptied at each commit. Values in their binary form have the target's types there; else all is text. */
export function createStaging(table: AppliedTable): string {
  const columns = table.columns.map(
    (column) => sql`, ${staged(column)} ${trusted(table.binary ? column.type : 'text')}`,
  );
  return sql`create temporary table ${ident(stagingName(table))} (what integer, times integer${join(columns, '')}) on commit delete rows`
    .text;
}

export function truncateStaging(table: AppliedTable): string {
  return sql`truncate ${staging(table)}`.text;
}

export function copyToStaging(table: AppliedTable): string {
  return sql`copy ${staging(table)} from stdin (format binary)`.text;
}

/** Rows straight into the table; only with values in binary form. */
export function copyToTarget(table: AppliedTable): string {
  return sql`copy ${target(table)} (${columnNames(table.columns)}) from stdin (format binary)`.text;
}

function stagedValue(table: AppliedTable, column: AppliedColumn): Sql {
  return table.binary ? sql`s.${staged(column)}` : sql`s.${staged(column)}::${trusted(looseType(column.type))}`;
}

/**
 * A type without its modifier: a cast to varchar(5) cuts off in silence, where assignment to such a column refuses. `bit` and
 * `character` alone mean a length of one, so they get the names that mean any. Pure.
 */
export function looseType(type: string): string {
  const loose = type.replaceAll(/"(?:[^"]|"")*"|\([^()"]*\)/g, (part) => (part.startsWith('"') ? part : ''));
  return loose
    .replace(/^bit(?! varying)(?=\b)/, 'bit varying')
    .replace(/^character(?! varying)(?=\b)/, 'pg_catalog.bpchar');
}

function stagedKey(table: AppliedTable): Sql {
  return join(
    table.key.map((column) => sql`t.${ident(column.name)} = ${stagedValue(table, column)}`),
    ' and ',
  );
}

export function deleteStaged(table: AppliedTable): string {
  return sql`delete from ${rowsOf(table)} t using ${staging(table)} s
    where s.what = ${literal(stagedDelete)} and ${stagedKey(table)}`.text;
}

/** @param columns those that the staged rows of this number bring */
export function updateStaged(table: AppliedTable, columns: readonly AppliedColumn[], what: number): string {
  const sets = setColumns(table, columns).map((column) => sql`${ident(column.name)} = ${stagedValue(table, column)}`);
  // One that would change what cannot be set touches no row: it is then done in order.
  const fixed = columns
    .filter((column) => column.always && !table.key.includes(column))
    .map((column) => sql` and t.${ident(column.name)} is not distinct from ${stagedValue(table, column)}`);
  const where = sql`where s.what = ${literal(what)} and ${stagedKey(table)}${join(fixed, '')}`;
  if (sets.length === 0) return sql`select 1 from ${rowsOf(table)} t, ${staging(table)} s ${where}`.text;
  return sql`update ${rowsOf(table)} t set ${join(sets)} from ${staging(table)} s
    ${where}`.text;
}

// The key stays as it is, but an update must set something, if it can.
function setColumns(table: AppliedTable, columns: readonly AppliedColumn[]): readonly AppliedColumn[] {
  const free = columns.filter((column) => !table.key.includes(column) && !column.always);
  return free.length > 0 ? free : table.key.filter((column) => !column.always);
}

export function insertStaged(table: AppliedTable): string {
  const list = table.columns.length === 0 ? sql`` : sql` (${columnNames(table.columns)}) overriding system value`;
  const values = join(table.columns.map((column) => stagedValue(table, column)));
  return sql`insert into ${target(table)}${list} select ${values} from ${staging(table)} s,
    pg_catalog.generate_series(1, s.times) where s.what = ${literal(stagedInsert)}`.text;
}

/**
 * Deletes exactly as many rows as are staged, of those that look the same. Rows are compared by their text, which every type
 * has; a ctid is unique only within one partition.
 */
export function deleteStagedRows(table: AppliedTable): string {
  const here = join(table.columns.map((column) => sql`x.${ident(column.name)}`));
  const there = join(table.columns.map((column) => stagedValue(table, column)));
  return sql`delete from ${rowsOf(table)} t using (
      select x.tableoid as part, x.ctid as place, w.times, row_number() over (partition by w.image) as nth
      from ${rowsOf(table)} x
      join (select row(${there})::text as image, s.times from ${staging(table)} s where s.what = ${literal(stagedDelete)}) w
        on row(${here})::text = w.image) found
    where found.nth <= found.times and t.tableoid = found.part and t.ctid = found.place`.text;
}

/** Parameters: the columns in order. */
export function insertOne(table: AppliedTable): string {
  if (table.columns.length === 0) return sql`insert into ${target(table)} default values`.text;
  const values = join(table.columns.map((_, i) => trusted(`$${i + 1}`)));
  return sql`insert into ${target(table)} (${columnNames(table.columns)}) overriding system value values (${values})`
    .text;
}

/** Parameters: the set columns, then the old key (or the whole old row). With none to set it only looks whether the row is there. */
export function updateOne(table: AppliedTable, columns: readonly AppliedColumn[]): string {
  if (columns.length === 0) return sql`select 1 from ${rowsOf(table)} t where ${oneRow(table, 0)}`.text;
  const sets = columns.map((column, i) => sql`${ident(column.name)} = ${trusted(`$${i + 1}`)}`);
  return sql`update ${rowsOf(table)} t set ${join(sets)} where ${oneRow(table, columns.length)}`.text;
}

/** Parameters: the key, or the whole row. */
export function deleteOne(table: AppliedTable): string {
  return sql`delete from ${rowsOf(table)} t where ${oneRow(table, 0)}`.text;
}

/** Finds a row `t`; parameters, after so many others: the key, or the whole row. */
export function oneRow(table: AppliedTable, before: number): Sql {
  const parameter = (column: AppliedColumn, i: number) => trusted(`$${before + i + 1}::${looseType(column.type)}`);
  if (table.identity === 'key') {
    return join(
      table.key.map((column, i) => sql`t.${ident(column.name)} = ${parameter(column, i)}`),
      ' and ',
    );
  }
  const here = join(table.columns.map((column) => sql`x.${ident(column.name)}`));
  return sql`(t.tableoid, t.ctid) = (select x.tableoid, x.ctid from ${rowsOf(table)} x
    where row(${here})::text = row(${join(table.columns.map(parameter))})::text limit 1)`;
}

/** Gives a key's values as text; parameters: the key. */
export function showKey(table: AppliedTable): string {
  return sql`select ${join(table.key.map((column, i) => trusted(`($${i + 1}::${looseType(column.type)})::text as v${i}`)))}`
    .text;
}

/** The source has expanded CASCADE: exactly its tables are named, and no others are touched. */
export function truncateTables(step: Pick<TruncateStep, 'tables' | 'restartIdentity'>): string {
  const list = step.tables.map(rowsOf);
  return sql`truncate ${join(list)} ${trusted(step.restartIdentity ? 'restart identity' : 'continue identity')}`.text;
}
