// The statements that apply changes to one target table: set by set from its staging table, and row by row.
import { ident, join, literal, names, type Sql, sql, trusted } from '../pg/sql.ts';
import { andGone, andLive, markSets, markValues } from './apply-marks.ts';
import type { AppliedColumn, AppliedTable } from './apply-table.ts';
import type { TruncateStep } from './apply-walk.ts';

/** What a staged row asks for, in its first column. Updates have the number of their set of columns, from 1. */
export const stagedDelete = 0;
export const stagedInsert = -1;
/** Where rows stay when they are deleted: one that came and went in the same batch. */
export const stagedGone = -2;

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
  const found = sql`s.what = ${literal(stagedDelete)} and ${stagedKey(table)}${andLive(table.marks, 't')}`;
  if (table.marks.deleted === null)
    return sql`delete from ${rowsOf(table)} t using ${staging(table)} s where ${found}`.text;
  return sql`update ${rowsOf(table)} t set ${join(markSets(table.marks, true))} from ${staging(table)} s where ${found}`
    .text;
}

/**
 * @param columns those that the staged rows of this number bring
 * @param update.gone the rows are deleted by it, where deleted rows stay
 */
export function updateStaged(
  table: AppliedTable,
  columns: readonly AppliedColumn[],
  update: { readonly what: number; readonly gone: boolean },
): string {
  const sets = [...stagedSets(table, setColumns(table, columns)), ...markSets(table.marks, update.gone ? true : null)];
  const fixed = andFixed(table, columns);
  const where = sql`where s.what = ${literal(update.what)} and ${stagedKey(table)}${fixed}${andLive(table.marks, 't')}`;
  if (sets.length === 0) return sql`select 1 from ${rowsOf(table)} t, ${staging(table)} s ${where}`.text;
  return sql`update ${rowsOf(table)} t set ${join(sets)} from ${staging(table)} s
    ${where}`.text;
}

// One that would change what cannot be set touches no row: it is then done in order.
function andFixed(table: AppliedTable, columns: readonly AppliedColumn[]): Sql {
  const fixed = columns
    .filter((column) => column.always && !table.key.includes(column))
    .map((column) => sql` and t.${ident(column.name)} is not distinct from ${stagedValue(table, column)}`);
  return join(fixed, '');
}

function stagedSets(table: AppliedTable, columns: readonly AppliedColumn[]): readonly Sql[] {
  return columns.map((column) => sql`${ident(column.name)} = ${stagedValue(table, column)}`);
}

// Equal keys may look different (1.0 and 1.00), but for integers.
function revivedColumns(table: AppliedTable): readonly AppliedColumn[] {
  const plain = /^(smallint|integer|bigint)$/;
  return table.columns.filter((column) => !column.always && (!table.key.includes(column) || !plain.test(column.type)));
}

// Types whose equal values have equal bytes.
const plainTypes = /^(smallint|integer|bigint|oid|boolean|uuid|text|character varying.*|bytea|date|timestamp.*)$/;

/** Whether keys that are equal to the server may differ in their bytes, by which we tell them apart. */
export function mayLookDifferent(table: AppliedTable): boolean {
  return !table.key.every((column) => plainTypes.test(column.type));
}

/** Finds keys that are staged twice, written differently; none should be. */
export function stagedTwice(table: AppliedTable): string {
  const key = join(table.key.map((column) => stagedValue(table, column)));
  return sql`select from ${staging(table)} s group by ${key} having count(*) > 1`.text;
}

/** A key that comes back finds its deleted row. @param what stagedInsert or stagedGone */
export function reviveStaged(table: AppliedTable, what: number): string {
  const sets = [...stagedSets(table, revivedColumns(table)), ...markSets(table.marks, what === stagedGone)];
  return sql`update ${rowsOf(table)} t set ${join(sets)} from ${staging(table)} s
    where s.what = ${literal(what)} and ${stagedKey(table)}${andFixed(table, table.columns)}${andGone(table.marks, 't')}`
    .text;
}

// The key stays as it is, but an update must set something, if it can.
function setColumns(table: AppliedTable, columns: readonly AppliedColumn[]): readonly AppliedColumn[] {
  const free = columns.filter((column) => !table.key.includes(column) && !column.always);
  return free.length > 0 ? free : table.key.filter((column) => !column.always);
}

/** @param what stagedInsert or stagedGone; where deleted rows stay and have a key, those that reviveStaged found are left out */
export function insertStaged(table: AppliedTable, what: number): string {
  const marks = markValues(table.marks, what === stagedGone);
  const values = join([
    ...table.columns.map((column) => stagedValue(table, column)),
    ...marks.map(({ value }) => value),
  ]);
  const there =
    table.marks.deleted === null || table.identity !== 'key'
      ? sql``
      : sql` and not exists (select from ${rowsOf(table)} t where ${stagedKey(table)})`;
  return sql`insert into ${target(table)}${insertList(table, marks)} select ${values} from ${staging(table)} s,
    pg_catalog.generate_series(1, s.times) where s.what = ${literal(what)}${there}`.text;
}

function insertList(table: AppliedTable, marks: readonly { readonly name: Sql }[]): Sql {
  const list = [...table.columns.map((column) => ident(column.name)), ...marks.map(({ name }) => name)];
  return list.length === 0 ? sql`` : sql` (${join(list)}) overriding system value`;
}

/**
 * Deletes exactly as many rows as are staged, of those that look the same. Rows are compared by their text, which every type
 * has; a ctid is unique only within one partition.
 */
export function deleteStagedRows(table: AppliedTable): string {
  const here = join(table.columns.map((column) => sql`x.${ident(column.name)}`));
  const there = join(table.columns.map((column) => stagedValue(table, column)));
  const [rows, live] = [rowsOf(table), andLive(table.marks, 'x')];
  const found = sql`(select x.tableoid as part, x.ctid as place, w.times, row_number() over (partition by w.image) as nth
      from ${rows} x
      join (select row(${there})::text as image, s.times from ${staging(table)} s where s.what = ${literal(stagedDelete)}) w
        on row(${here})::text = w.image${live}) found
    where found.nth <= found.times and t.tableoid = found.part and t.ctid = found.place`;
  if (table.marks.deleted === null) return sql`delete from ${rows} t using ${found}`.text;
  return sql`update ${rows} t set ${join(markSets(table.marks, true))} from ${found}`.text;
}

/** Parameters: the columns in order. A key that comes back finds its deleted row, where rows stay. Answers with one row, or counts one. */
export function insertOne(table: AppliedTable): string {
  const marks = markValues(table.marks, false);
  if (table.columns.length + marks.length === 0) return sql`insert into ${target(table)} default values`.text;
  const values = [...table.columns.map((column, i) => columnParameter(column, i)), ...marks.map(({ value }) => value)];
  const list = insertList(table, marks);
  if (table.marks.deleted === null || table.identity !== 'key') {
    // The columns themselves say what type a parameter has.
    const plain = [...table.columns.map((_, i) => trusted(`$${i + 1}`)), ...marks.map(({ value }) => value)];
    return sql`insert into ${target(table)}${list} values (${join(plain)})`.text;
  }
  const value = (column: AppliedColumn) => columnParameter(column, table.columns.indexOf(column));
  const { back, unless, counted } = revive(table, { value, key: value, from: sql`` });
  return sql`with ${back},
    fresh as (insert into ${target(table)}${list} select ${join(values)} where ${unless} returning 1)
    select from (table fresh${counted}) done`.text;
}

/**
 * A key that comes back: its deleted row has the new values. One with a column that can be given a value by an INSERT only goes
 * for good instead, and its key is inserted.
 * @param row.from ` from …` of what the values speak of
 */
function revive(
  table: AppliedTable,
  row: {
    readonly value: (column: AppliedColumn) => Sql;
    readonly key: (column: AppliedColumn, i: number) => Sql;
    readonly from: Sql;
  },
): { readonly back: Sql; readonly unless: Sql; readonly counted: Sql } {
  const found = sql`${keyIs(table, row.key)}${andGone(table.marks, 't')}`;
  if (table.columns.some((column) => column.always && !table.key.includes(column))) {
    const using = row.from.text === '' ? sql`` : sql` using old`;
    return {
      back: sql`back as (delete from ${rowsOf(table)} t${using} where ${found} returning 1)`,
      // Always true; and after the row has gone.
      unless: sql`(select count(*) from back) >= 0`,
      counted: sql``,
    };
  }
  const values = revivedColumns(table).map((column) => sql`${ident(column.name)} = ${row.value(column)}`);
  const sets = join([...values, ...markSets(table.marks, false)]);
  return {
    back: sql`back as (update ${rowsOf(table)} t set ${sets}${row.from} where ${found} returning 1)`,
    unless: sql`not exists (select from back)`,
    counted: sql` union all table back`,
  };
}

function columnParameter(column: AppliedColumn, i: number): Sql {
  return trusted(`$${i + 1}::${looseType(column.type)}`);
}

function keyIs(table: AppliedTable, value: (column: AppliedColumn, i: number) => Sql): Sql {
  return join(
    table.key.map((column, i) => sql`t.${ident(column.name)} = ${value(column, i)}`),
    ' and ',
  );
}

/** Parameters: the set columns, then the old key (or the whole old row). With none to set it only looks whether the row is there. */
export function updateOne(table: AppliedTable, columns: readonly AppliedColumn[]): string {
  const values = columns.map((column, i) => sql`${ident(column.name)} = ${trusted(`$${i + 1}`)}`);
  const sets = [...values, ...markSets(table.marks, null)];
  if (sets.length === 0) return sql`select 1 from ${rowsOf(table)} t where ${oneRow(table, 0)}`.text;
  return sql`update ${rowsOf(table)} t set ${join(sets)}
    where ${oneRow(table, columns.length)}`.text;
}

/**
 * An update that makes another row of it, where deleted rows stay: the old one is marked and the new one inserted, or found
 * among the deleted. Parameters as those of updateOne; what is not set has the old row's value. Answers with one row.
 */
export function moveOne(table: AppliedTable, columns: readonly AppliedColumn[]): string {
  const at = columns.length;
  const [rows, list] = [rowsOf(table), insertList(table, markValues(table.marks, false))];
  const value = (column: AppliedColumn) => {
    const i = columns.indexOf(column);
    return i < 0 ? sql`old.${ident(column.name)}` : columnParameter(column, i);
  };
  const fresh = [...table.columns.map(value), ...markValues(table.marks, false).map((mark) => mark.value)];
  const kept = join(table.columns.map((column) => sql`t.${ident(column.name)}`));
  const marked = join(markSets(table.marks, true));
  if (table.identity !== 'key') {
    return sql`with old as (update ${rows} t set ${marked} where ${oneRow(table, at)} returning ${kept}),
      fresh as (insert into ${target(table)}${list} select ${join(fresh)} from old returning 1)
      select from fresh`.text;
  }
  const settable = columns.filter((column) => !column.always);
  const sets = settable.map((column) => sql`${ident(column.name)} = ${value(column)}`);
  // A part of the key that is not set did not change.
  const newKey = (column: AppliedColumn, i: number) =>
    columns.includes(column) ? value(column) : columnParameter(column, at + i);
  // Keys of different bytes may be equal to the server: then it is one and the same row.
  const same = join(
    table.key.map((column, i) => sql`${newKey(column, i)} = ${columnParameter(column, at + i)}`),
    ' and ',
  );
  const { back, unless, counted } = revive(table, { value, key: newKey, from: sql` from old` });
  return sql`with kept as (update ${rows} t set ${join([...sets, ...markSets(table.marks, null)])}
      where ${oneRow(table, at)} and ${same} returning 1),
    old as (update ${rows} t set ${marked} where ${oneRow(table, at)} and not (${same}) returning ${kept}),
    ${back},
    fresh as (insert into ${target(table)}${list} select ${join(fresh)} from old where ${unless} returning 1)
    select from (table kept union all table fresh${counted}) done`.text;
}

/** Parameters: the key, or the whole row. */
export function deleteOne(table: AppliedTable): string {
  if (table.marks.deleted === null) return sql`delete from ${rowsOf(table)} t where ${oneRow(table, 0)}`.text;
  return sql`update ${rowsOf(table)} t set ${join(markSets(table.marks, true))} where ${oneRow(table, 0)}`.text;
}

/** Finds a row `t`; parameters, after so many others: the key, or the whole row. */
export function oneRow(table: AppliedTable, before: number): Sql {
  const parameter = (column: AppliedColumn, i: number) => columnParameter(column, before + i);
  if (table.identity === 'key') return sql`${keyIs(table, parameter)}${andLive(table.marks, 't')}`;
  const here = join(table.columns.map((column) => sql`x.${ident(column.name)}`));
  return sql`(t.tableoid, t.ctid) = (select x.tableoid, x.ctid from ${rowsOf(table)} x
    where row(${here})::text = row(${join(table.columns.map(parameter))})::text${andLive(table.marks, 'x')} limit 1)`;
}

/** Gives a key's values as text; parameters: the key. */
export function showKey(table: AppliedTable): string {
  return sql`select ${join(table.key.map((column, i) => trusted(`($${i + 1}::${looseType(column.type)})::text as v${i}`)))}`
    .text;
}

/**
 * One statement or more. The source has expanded CASCADE: exactly its tables are named, and no others are touched. Where deleted
 * rows stay, all are marked. TRUNCATE refuses tables that others refer to, so those of a part are emptied by DELETE (and the next
 * look at the sequences moves theirs).
 */
export function truncateTables(step: Pick<TruncateStep, 'tables' | 'restartIdentity' | 'isPart'>): readonly string[] {
  const soft = step.tables.filter((table) => table.marks.deleted !== null);
  const hard = step.tables.filter((table) => table.marks.deleted === null);
  const marked = soft.map(
    (table) =>
      sql`update ${rowsOf(table)} t set ${join(markSets(table.marks, true))} where true${andLive(table.marks, 't')}`,
  );
  if (step.isPart)
    return [...marked, ...hard.map((table) => sql`delete from ${rowsOf(table)}`)].map(({ text }) => text);
  const list = hard.map(rowsOf);
  const truncate = sql`truncate ${join(list)} ${trusted(step.restartIdentity ? 'restart identity' : 'continue identity')}`;
  return [...marked, ...(hard.length === 0 ? [] : [truncate])].map(({ text }) => text);
}
