// The mirrored tables of the source with their partitions, and errors that say what they happened to.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { growTrees } from '../peers/ddl-input.ts';
import type { TableTree } from '../peers/ddl-tree.ts';
import { type InspectOptions, inspectTables } from '../peers/inspect.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type TableName } from '../pg/table.ts';

/** Reads all tables of the mirror. @throws `undefined_table`, all missing ones in its detail */
export async function readTrees(
  source: Connection,
  tables: readonly MirroredTable[],
  options: InspectOptions = {},
): Promise<readonly TableTree[]> {
  const names = tables.map((table) => table.from);
  const roots = await inspectTables(source, names, options);
  refuseMissing(tables, roots);
  return await growTrees(source, tables, roots);
}

/** @throws `undefined_table`, all missing ones in its detail */
export function refuseMissing(tables: readonly MirroredTable[], roots: readonly TableName[]): void {
  const there = new Set(roots.map(showTable));
  const missing = tables.map((table) => showTable(table.from)).filter((name) => !there.has(name));
  if (missing.length === 0) return;
  throw new SluiceError('undefined_table', `source table ${missing[0]} does not exist`, {
    detail: `Missing: ${missing.join(', ')}.`,
    hint: 'Make it again, or drop the mirror and create it without that table.',
  });
}

/**
 * The same error with words before it that say what was being done; a server's fields and its place (`where`) stay. `hint`: where it has
 * none; `better`: than its own.
 */
export function during(what: string, error: unknown, hint?: string, better?: string): SluiceError {
  const known = toSluiceError(error);
  if (known.kind === 'stopped' || known.kind === 'fenced') return known;
  const { detail, position, sqlstate, fields } = known;
  return new SluiceError(known.kind, `${what}: ${known.message}`, {
    detail: [detail, fields?.where].filter((part) => part !== undefined).join('\n') || undefined,
    hint: better ?? known.hint ?? hint,
    cause: error,
    ...{ position, sqlstate, fields },
  });
}
