// Keeps a table of the source as it was seen, while rows of it are read outside the stream.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { inspectTables } from '../peers/inspect.ts';
import type { Connection } from '../pg/client.ts';
import { ident, names, onlyOf, sql } from '../pg/sql.ts';
import { showTable, type Table } from '../pg/table.ts';

// undefined_table, undefined_column, invalid_schema_name.
const gone: ReadonlySet<string> = new Set(['42P01', '42703', '3F000']);

/**
 * Until the open transaction ends, whatever alters or empties the table waits. What was altered before is for the caller to see.
 * Needs no right but that to read the columns.
 * @throws `source_changed`: it, or one of its columns, is not there under its name any more
 */
export async function holdTable(source: Connection, table: Table, columns: readonly string[]): Promise<void> {
  try {
    // A query that reads nothing locks its table, and partitions, as one that reads does.
    await source.run(sql`select ${names(columns)} from ${onlyOf(table)}${ident(table.schema, table.name)} limit 0`);
  } catch (error) {
    const known = toSluiceError(error);
    if (known.kind === 'upstream' && gone.has(known.sqlstate)) throw altered(table, known);
    throw known;
  }
}

/**
 * As holdTable; all columns are what they were, too. Begins the transaction.
 * @throws `source_changed`
 */
export async function holdAsSeen(source: Connection, table: Table, columns: readonly string[]): Promise<void> {
  await source.run(sql`begin read only`);
  await holdTable(source, table, columns);
  const [now] = await inspectTables(source, [table], { sizes: false });
  const is = new Map(now?.columns.map((each) => [each.attnum, each]));
  const isSame = table.columns.every(({ attnum, name, type }) => {
    const present = is.get(attnum);
    return present?.name === name && present.type.text === type.text;
  });
  if (now?.oid !== table.oid || !isSame) throw altered(table);
}

/** The table was altered between two questions about it: asking again helps. */
export function altered(table: Table, cause?: unknown): SluiceError {
  const message = `source table ${showTable(table)} was altered while it was to be read again`;
  return new SluiceError('source_changed', message, { cause });
}
