// Reads what a schema plan works on: the mirrored tables with their partitions, what they stand on, and what the target has of it.
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { showTable, type Table } from '../pg/table.ts';
import type { AddedColumn } from './ddl.ts';
import { type PlanInput, type TableTree, targetNames } from './ddl-tree.ts';
import { inspectPartitions } from './inspect.ts';
import { inspectSchema } from './inspect-schema.ts';
import { inspectTarget, type TargetFacts } from './inspect-target.ts';
import { followTrees } from './schema/follow-tables.ts';
import type { DatabasePlan } from './schema/plan.ts';
import { readSequences } from './sequences.ts';
import { findRefusals, readOwnFunctions, trialsOfTable, trialsOfType } from './trials.ts';

/** The source's side of a plan. */
export interface SourceSchema extends Pick<PlanInput, 'trees' | 'needs' | 'sequences'> {
  /** server_version_num */
  readonly version: number;
  /** See trialsOfTable. */
  readonly ownFunctions: ReadonlySet<string>;
}

/** Puts the partitions below the tables that were inspected. @returns in the order of `tables`; missing ones are left out */
export async function growTrees(
  source: Connection,
  tables: readonly MirroredTable[],
  roots: readonly Table[],
): Promise<readonly TableTree[]> {
  const byName = new Map(roots.map((root) => [showTable(root), root]));
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

export async function readSourceSchema(source: Connection, trees: readonly TableTree[]): Promise<SourceSchema> {
  const members = trees.flatMap((tree) => [tree.root, ...tree.partitions].map((table) => ({ table, tree })));
  const excluded = new Map(members.map(({ table, tree }) => [table.oid, new Set(tree.mapping.exclude)]));
  const tables = members.map(({ table }) => table);
  const needs = await inspectSchema(source, tables, (table, column) => excluded.get(table.oid)?.has(column) ?? false);
  const sequences = await readSequences(source, tables);
  return { trees, needs, sequences, version: source.version, ownFunctions: await readOwnFunctions(source) };
}

export async function readTargetFacts(target: Connection, { trees, needs }: SourceSchema): Promise<TargetFacts> {
  return await inspectTarget(target, {
    tables: targetNames(trees),
    types: needs.types,
    functions: needs.functions.map((use) => use.signature),
  });
}

/**
 * The same, and what of the source's expressions an older target does not know. Not inside a transaction.
 * @throws `upstream`
 */
export async function readFactsAndRefusals(target: Connection, schema: SourceSchema): Promise<TargetFacts> {
  const facts = await readTargetFacts(target, schema);
  const { trees, needs, version, ownFunctions } = schema;
  if (Math.floor(version / 10_000) <= Math.floor(target.version / 10_000)) return facts;
  const tables = trees.flatMap((tree) => [tree.root, ...tree.partitions]);
  const trials = [
    ...needs.types.flatMap((type) => trialsOfType(type, ownFunctions)),
    ...tables.flatMap((table) => trialsOfTable(table, ownFunctions)),
  ];
  return { ...facts, refusals: await findRefusals(target, trials) };
}

type Wishes = Pick<
  MirrorWork['options'],
  'schema' | 'resync' | 'soft_delete' | 'soft_delete_col_name' | 'synced_at_col_name'
>;

/** Everything for `planSchema`. Pure. */
export function planInput(
  schema: Pick<SourceSchema, 'trees' | 'needs' | 'sequences'>,
  target: TargetFacts,
  { options, slot }: { readonly options: Wishes; readonly slot: MirrorWork['slot'] },
  database: Pick<DatabasePlan, 'provided' | 'renames'>,
): PlanInput {
  const { trees, needs, sequences } = schema;
  return {
    ...{ needs, sequences },
    trees: followTrees(trees, database.renames),
    ...{ target, provided: database.provided },
    added: addedColumns(options),
    create: options.schema !== 'none',
    replace: options.resync,
    follows: slot !== null,
  };
}

/** The columns of PeerDB that the options ask for. */
export function addedColumns(options: Wishes): readonly AddedColumn[] {
  const { soft_delete: soft, soft_delete_col_name: deleted, synced_at_col_name: synced } = options;
  return [
    ...(soft ? [{ name: deleted, type: 'boolean' } as const] : []),
    ...(synced === undefined || synced === '' ? [] : [{ name: synced, type: 'timestamp with time zone' } as const]),
  ];
}
