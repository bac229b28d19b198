// The mirrored tables of the source with their partitions, and errors that say what they happened to.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { TableTree } from '../peers/ddl-tree.ts';
import { inspectPartitions, inspectTables } from '../peers/inspect.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type Table } from '../pg/table.ts';

/** Reads all tables of the mirror. @throws `undefined_table`, all missing ones in its detail */
export async function readTrees(source: Connection, tables: readonly MirroredTable[]): Promise<readonly TableTree[]> {
  const roots = await inspectTables(
    source,
    tables.map((table) => table.from),
  );
  const byName = new Map(roots.map((root) => [showTable(root), root]));
  const missing = tables.map((table) => showTable(table.from)).filter((name) => !byName.has(name));
  if (missing.length > 0) {
    throw new SluiceError('undefined_table', `source table ${missing[0]} does not exist`, {
      detail: `Missing: ${missing.join(', ')}.`,
      hint: 'Make it again, or drop the mirror and create it without that table.',
    });
  }
  const rootOf = new Map<string, string>();
  const partitions = new Map<string, Table[]>();
  // Parents come before children, so the parent's root is known.
  for (const partition of await inspectPartitions(source, roots)) {
    if (partition.partitionOf === null) continue;
    const parent = showTable(partition.partitionOf.parent);
    const root = rootOf.get(parent) ?? parent;
    rootOf.set(showTable(partition), root);
    const list = partitions.get(root) ?? [];
    list.push(partition);
    partitions.set(root, list);
  }
  return tables.flatMap((mapping) => {
    const root = byName.get(showTable(mapping.from));
    return root === undefined ? [] : [{ mapping, root, partitions: partitions.get(showTable(root)) ?? [] }];
  });
}

/** The same error with words before it that say what was being done; a server's fields and its place (`where`) stay. */
export function during(what: string, error: unknown, hint?: string): SluiceError {
  const known = toSluiceError(error);
  if (known.kind === 'stopped' || known.kind === 'fenced') return known;
  const { detail, position, sqlstate, fields } = known;
  return new SluiceError(known.kind, `${what}: ${known.message}`, {
    detail: [detail, fields?.where].filter((part) => part !== undefined).join('\n') || undefined,
    hint: known.hint ?? hint,
    cause: error,
    ...{ position, sqlstate, fields },
  });
}
