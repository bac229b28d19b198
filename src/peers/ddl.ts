// Statements that make a mirrored table on the target: as on the source, under its new name, without what is excluded. Pure.
import type { MirroredTable } from '../mirror/work.ts';
import { ident, join, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import type { Column, PartitionOf, Table, TableName } from '../pg/table.ts';
import { collate, columnList, sequenceOptions } from './ddl-types.ts';
import type { Sequence } from './sequences.ts';

/** A column that the target has and the source has not. */
export interface AddedColumn {
  readonly name: string;
  readonly type: 'boolean' | 'timestamp with time zone';
}

/** One table to make: the source's, its name on the target, and what its columns refer to there. */
export interface TableToMake {
  readonly source: Table;
  readonly to: TableName;
  readonly exclude: readonly string[];
  readonly added: readonly AddedColumn[];
  /** The sequence behind an identity column, by column, and its name on the target; null lets the server choose one. */
  readonly identity: ReadonlyMap<string, { readonly sequence: Sequence; readonly to: TableName | null }>;
  /** `'old'::regclass` in the source's defaults, and what stands there on the target. */
  readonly renamed: ReadonlyMap<string, string>;
  /** Parents that it is made as the heir of, under their names on the target, with their columns by name. */
  readonly parents?: { readonly names: readonly TableName[]; readonly columns: ReadonlyMap<string, readonly Column[]> };
  /** Whether it may be made of the type that the source's is of. */
  readonly typed?: boolean;
  /** Storage parameters that the target knows. */
  readonly options?: readonly string[];
  /** Null: the default. */
  readonly accessMethod?: string | null;
  /** Columns that stay without their NOT NULL, which the target could not keep from heirs. */
  readonly nullable?: ReadonlySet<string>;
  /** Whether the target knows NOT NULL … NO INHERIT. */
  readonly saysNoInherit?: boolean;
  /** TOAST compression methods that the target's server was not built with. */
  readonly lacksCompression?: ReadonlySet<string>;
}

/**
 * Creates the table with its columns; no key (that comes after the load), no partitions (they are attached). An unlogged
 * table stays one.
 */
export function createTable(table: TableToMake): readonly Sql[] {
  const { source, to } = table;
  const columns = source.columns.filter((column) => !table.exclude.includes(column.name));
  const parents = table.parents?.names ?? [];
  const said = columns.filter((column) => column.local || parents.length === 0);
  const lines = [
    ...said.map((column) => columnLine(table, column)),
    ...table.added.map(addedLine),
    ...columns.flatMap((column) => ownNotNull(table, column)),
  ];
  // A partitioned table has no rows that could be logged; older servers take the word and let it be.
  const unlogged = source.persistence === 'u' && source.partitioning === null ? sql` unlogged` : sql``;
  const inherits = parents.length === 0 ? sql`` : sql` inherits (${join(parents.map(name))})`;
  const partitioned = source.partitioning === null ? sql`` : sql` partition by ${trusted(source.partitioning.key)}`;
  const method = table.accessMethod == null ? sql`` : sql` using ${ident(table.accessMethod)}`;
  const options = table.options ?? source.options;
  const stored = options.length === 0 ? sql`` : sql` with (${storageOptions(options)})`;
  const identity = source.replicaIdentity === 'f' ? sql`full` : source.replicaIdentity === 'n' ? sql`nothing` : null;
  return [
    sql`create${unlogged} table ${name(to)} (${join(lines)})${inherits}${partitioned}${method}${stored}`,
    ...(table.typed && source.ofType !== null ? [sql`alter table ${name(to)} of ${name(source.ofType)}`] : []),
    ...(parents.length === 0 ? [] : columns.filter((column) => !column.local)).flatMap((each) => changed(table, each)),
    ...columns.flatMap((column) => columnSettings(to, column)),
    // So that it can itself be followed, on the way back.
    ...(identity === null ? [] : [sql`alter table ${name(to)} replica identity ${identity}`]),
  ];
}

// What a column that comes from the parents has been given of its own.
function changed(table: TableToMake, column: Column): readonly Sql[] {
  const theirs = table.parents?.columns.get(column.name) ?? [];
  const alter = sql`alter table only ${name(table.to)} alter column ${ident(column.name)}`;
  const statements: Sql[] = [];
  if (column.generated === '' && theirs.every((each) => each.default !== column.default)) {
    const expression = column.default === null ? null : trusted(renamed(column.default, table.renamed));
    statements.push(expression === null ? sql`${alter} drop default` : sql`${alter} set default ${expression}`);
  }
  if (saysNotNull(column, theirs) && !theirs.some((each) => each.notNull)) {
    const { notNullName } = column;
    const named = notNullName !== null && column.notNullLocal !== null;
    statements.push(
      named
        ? sql`alter table only ${name(table.to)} add constraint ${ident(notNullName)} not null ${ident(column.name)}`
        : sql`${alter} set not null`,
    );
  }
  return statements;
}

// A column of the parents that is NOT NULL there, which the table says once more under a name of its own: that can only be said with
// the table itself.
function ownNotNull(table: TableToMake, { name: column, local, notNullLocal, notNullName }: Column): readonly Sql[] {
  const theirs = table.parents?.columns.get(column) ?? [];
  const isOwn = !local && notNullLocal === true && notNullName !== null && table.saysNoInherit === true;
  if (!isOwn || table.nullable?.has(column) || !theirs.some((each) => each.notNull)) return [];
  return [sql`constraint ${ident(notNullName)} not null ${ident(column)}`];
}

// A server before 18 does not tell who says it: then it is the parents, if one of them does.
function saysNotNull(column: Column, theirs: readonly Column[]): boolean {
  return column.notNull && (column.notNullLocal ?? !theirs.some((each) => each.notNull));
}

/** A column as CREATE TABLE and ADD COLUMN say it. https://www.postgresql.org/docs/18/sql-createtable.html */
export function columnLine(table: TableToMake, column: Column): Sql {
  const method = { l: 'lz4', p: 'pglz', '': '' }[column.compression];
  const compression =
    method === '' || table.lacksCompression?.has(method) ? sql`` : sql` compression ${trusted(method)}`;
  // A server before 18 takes the name and forgets it.
  const named = column.notNullName === null ? sql`` : sql` constraint ${ident(column.notNullName)}`;
  const theirs = table.parents?.names.length ? (table.parents.columns.get(column.name) ?? []) : [];
  // Of a foreign table it is a promise that nobody keeps; a partition must have what its parent has.
  const kept = table.source.kind !== 'f' || table.source.partitionOf !== null;
  const said = kept && (theirs.length === 0 ? column.notNull : saysNotNull(column, theirs));
  const notNull = said && !table.nullable?.has(column.name) ? sql`${named} not null` : sql``;
  const noInherit = said && column.notNullNoInherit && table.saysNoInherit ? sql` no inherit` : sql``;
  const type = trusted(column.type.text);
  return sql`${ident(column.name)} ${type}${compression}${collate(column.collation)}${columnValue(table, column)}${notNull}${noInherit}`;
}

function columnValue(table: TableToMake, column: Column): Sql {
  const identity = table.identity.get(column.name);
  // A partition has its identity from its parent (17), or none of its own (before).
  if (column.identity !== '' && table.source.partitionOf === null) {
    const kind = column.identity === 'a' ? sql`always` : sql`by default`;
    if (identity === undefined) return sql` generated ${kind} as identity`;
    const named = identity.to === null ? sql`` : sql`sequence name ${name(identity.to)} `;
    return sql` generated ${kind} as identity (${named}${sequenceOptions(identity.sequence)})`;
  }
  if (column.default === null) {
    // Said aloud where it would else come from a parent.
    const theirs = table.parents?.names.length ? (table.parents.columns.get(column.name) ?? []) : [];
    return theirs.some((each) => each.default !== null && each.generated === '') ? sql` default null` : sql``;
  }
  const expression = trusted(renamed(column.default, table.renamed));
  if (column.generated === '') return sql` default ${expression}`;
  return sql` generated always as (${expression}) ${column.generated === 's' ? sql`stored` : sql`virtual`}`;
}

/** The server prints a sequence in a default as a literal of its own, so the whole literal is what is looked for. */
export function renamed(expression: string, names: ReadonlyMap<string, string>): string {
  let text = expression;
  for (const [from, to] of names) text = text.replaceAll(from, () => to);
  return text;
}

function addedLine(column: AddedColumn): Sql {
  const value = column.type === 'boolean' ? sql`default false not null` : sql`default pg_catalog.now() not null`;
  return sql`${ident(column.name)} ${trusted(column.type)} ${value}`;
}

/** What a column has beside its line. */
export function columnSettings(table: TableName, column: Column): readonly Sql[] {
  const alter = sql`alter table ${name(table)} alter column ${ident(column.name)}`;
  const storage = { p: 'plain', e: 'external', m: 'main', x: 'extended', '': '' }[column.storage];
  return [
    ...(storage === '' ? [] : [sql`${alter} set storage ${trusted(storage)}`]),
    ...(column.statisticsTarget < 0 ? [] : [sql`${alter} set statistics ${trusted(String(column.statisticsTarget))}`]),
    ...(column.options.length === 0 ? [] : [sql`${alter} set (${storageOptions(column.options)})`]),
  ];
}

/** Adds a column of ours to a table that was there before. */
export function addColumn(table: TableName, column: AddedColumn): Sql {
  return sql`alter table ${name(table)} add column ${addedLine(column)}`;
}

/** Makes a table a partition of its parent (both under their names on the target). */
export function attachPartition(parent: TableName, partition: TableName, of: Pick<PartitionOf, 'bound'>): Sql {
  return sql`alter table ${name(parent)} attach partition ${name(partition)} ${trusted(of.bound)}`;
}

/**
 * The primary key as the source has it, or null if a column of it is excluded. Keeps the constraint's name unless the table's
 * was changed: then it may be taken in that schema.
 * @param options storage parameters of its index, as stored (`name=value`)
 */
export function addPrimaryKey(
  source: Table,
  to: TableName,
  exclude: readonly string[],
  options: readonly string[] = [],
): Sql | null {
  const key = source.primaryKey;
  if (key === null || key.columns.some((column) => exclude.includes(column))) return null;
  const include = key.include.filter((column) => !exclude.includes(column));
  const constraint = source.name === to.name ? sql` constraint ${ident(key.constraint)}` : sql``;
  const definition =
    include.length === key.include.length
      ? withStorage(key.definition, options)
      : sql`primary key ${columnList(key.columns)}${include.length === 0 ? sql`` : sql` include ${columnList(include)}`}`;
  return sql`alter table ${name(to)} add${constraint} ${definition}`;
}

/**
 * The definition of a primary key or unique constraint with the storage parameters of its index, which pg_get_constraintdef
 * leaves out; they stand before what it says of deferring.
 */
export function withStorage(definition: string, options: readonly string[]): Sql {
  if (options.length === 0) return trusted(definition);
  const deferring = [' DEFERRABLE INITIALLY DEFERRED', ' DEFERRABLE'].find((each) => definition.endsWith(each)) ?? '';
  const clause = definition.slice(0, definition.length - deferring.length);
  return sql`${trusted(clause)} with (${storageOptions(options)})${trusted(deferring)}`;
}

/** `name = 'value', …` from what is stored (`name=value`). */
export function storageOptions(options: readonly string[]): Sql {
  const list = options.map((option) => {
    const at = option.indexOf('=');
    return sql`${ident(...option.slice(0, at).split('.'))} = ${literal(option.slice(at + 1))}`;
  });
  return join(list);
}

/**
 * Where a partition goes: in the root's schema if it was in the root's, else where the mirror sends its schema, or where it was;
 * a name that begins with the root's name begins with the root's new one.
 */
export function partitionTarget(
  { from, to, schemas }: Pick<MirroredTable, 'from' | 'to' | 'schemas'>,
  partition: TableName,
): TableName {
  const elsewhere = schemas?.find((pair) => pair.from === partition.schema);
  return {
    schema: partition.schema === from.schema ? to.schema : (elsewhere?.to ?? partition.schema),
    name:
      from.name !== to.name && partition.name.startsWith(from.name)
        ? to.name + partition.name.slice(from.name.length)
        : partition.name,
  };
}

function name(table: TableName): Sql {
  return ident(table.schema, table.name);
}
