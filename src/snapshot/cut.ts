// Looks at both sides of the tables to copy and cuts them into parts: columns, formats, leaves and where each leaf's rows go.
import { SluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { Shared } from '../base/shared.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { writePlans } from '../peers/copied-parts.ts';
import { partitionTarget } from '../peers/ddl.ts';
import { type TableTree, targetNames } from '../peers/ddl-tree.ts';
import { inspectTables } from '../peers/inspect.ts';
import { readLaterObjects } from '../peers/later-objects.ts';
import { runAlone } from '../peers/run-alone.ts';
import { remember } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import { literal, sql } from '../pg/sql.ts';
import { type Leaf, sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { type CopiedColumns, copiedColumns } from './columns.ts';
import type { SnapshotDeps } from './deps.ts';
import { type CutPlan, cutPlan, type KeptTables, tablePrint } from './kept.ts';
import { maybePadded, mostlyPadded } from './padding.ts';
import { cutTable, type KeyCut, type KeyOrder, keyWishes, type Part, partsOf } from './plan.ts';
import { shapesNow } from './shapes.ts';
import type { HeldSnapshot } from './slot.ts';
import { checkPredicate, keyBounds, keyedRows } from './statements.ts';
import type { Storage } from './storage.ts';
import { during, readTrees } from './trees.ts';

export interface CutTables {
  /** The parts of each table. */
  readonly tables: readonly (readonly Part[])[];
  /** By showTable of the source's name. */
  readonly columns: ReadonlyMap<string, CopiedColumns>;
}

interface Cutting {
  readonly sides: { readonly source: Connection; readonly target: Connection };
  /** Bounds of keys are read in it; null: as they are now. */
  readonly held: HeldSnapshot | null;
  readonly tables: readonly MirroredTable[];
  /** Tables that were cut before. */
  readonly kept: KeptTables;
  readonly storage: Storage;
}

const tablesAtATime = 250;

/**
 * Inspects and cuts, some tables after others, of which no more is held than their parts and columns; where a mapping names a
 * key, its bounds are read inside the snapshot.
 */
export async function cutSource(deps: SnapshotDeps, copy: Cutting, signal: AbortSignal): Promise<CutTables> {
  const { source, target } = copy.sides;
  const versions = { source: source.version, target: target.version };
  const columns = new Map<string, CopiedColumns>();
  const tables: (readonly Part[])[] = [];
  const analyzed: number[] = [];
  const shared = new Shared();
  for (let at = 0; at < copy.tables.length; at += tablesAtATime) {
    throwIfStopped(signal);
    const some = { ...copy, tables: copy.tables.slice(at, at + tablesAtATime) };
    tables.push(...(await cutSome(deps, some, { versions, columns, analyzed, shared })));
  }
  return { tables, columns };
}

/** What grows with each of them. */
interface Cuts {
  readonly versions: { readonly source: number; readonly target: number };
  readonly columns: Map<string, CopiedColumns>;
  /** Bytes of each table. */
  readonly analyzed: number[];
  readonly shared: Shared;
}

async function cutSome(
  deps: SnapshotDeps,
  copy: Cutting,
  { versions, columns, analyzed, shared }: Cuts,
): Promise<readonly (readonly Part[])[]> {
  const { source, target } = copy.sides;
  const trees = await readTrees(source, copy.tables);
  const [standing, later] = await Promise.all([
    inspectTables(target, targetNames(trees), { sizes: false }),
    readLaterObjects(source, trees, deps.work),
  ]);
  const there = new Map(standing.map((table) => [showTable(table), table]));
  for (const { mapping, root } of trees) {
    const to = there.get(showTable(mapping.to));
    // Without columns, a table that was dropped on the target meanwhile is reported column by column.
    const table: Table = to ?? { ...root, ...mapping.to, columns: [] };
    const from = { table: root, version: versions.source };
    const copied = copiedColumns(mapping, from, { table, version: versions.target });
    const padded = await mostlyPadded(source, root, maybePadded(from, copied));
    columns.set(showTable(mapping.from), shared.of({ ...copied, padded }));
    if (mapping.where !== null) await checkWhere(source, mapping, mapping.where);
  }
  // The stream, which begins here, compares with what the tables were now.
  if (deps.work.slot !== null) await remember(target, deps.work, await shapesNow(source, trees, there, copy.storage));
  analyzed.push(...trees.map(({ root }) => root.leaves.reduce((sum, { bytes }) => sum + bytes, 0)));
  await deps.report.later(later, [...analyzed]);
  const fresh = trees.filter((tree) => !copy.kept.has(showTable(tree.mapping.from)));
  const cuts = await readCuts(deps, { source, held: copy.held, trees: fresh });
  const cut = (tree: TableTree) =>
    cutTable(
      {
        mapping: tree.mapping,
        source: tree.root,
        into: (leaf) => leafTarget(tree, leaf, there),
        cuts,
      },
      deps.work.options,
    );
  const plans = new Map<string, CutPlan>();
  const tables = trees.map((tree) => {
    const name = showTable(tree.mapping.from);
    const print = () => {
      const to = there.get(showTable(tree.mapping.to));
      return to === undefined ? '' : tablePrint(tree, to, copy.storage);
    };
    const kept = copy.kept.get(name);
    if (kept === undefined) {
      const parts = cut(tree);
      const plan = cutPlan(print, parts);
      if (plan !== null) plans.set(name, plan);
      return parts;
    }
    if (kept.print === print()) return kept.parts;
    throw new SluiceError('source_changed', `the definition of ${name} changed while its copy went on; it begins anew`);
  });
  // A copy that nothing follows cannot go on from its parts.
  if (deps.work.slot !== null) await writePlans(target, deps.work, plans);
  return tables;
}

async function checkWhere(source: Connection, mapping: MirroredTable, where: string): Promise<void> {
  try {
    await runAlone(source, checkPredicate(mapping, where));
  } catch (error) {
    throw during(`the "where" of ${showTable(mapping.from)}`, error, 'Names of functions and types need their schema.');
  }
}

/** By showTable of the relation that is cut by a key. */
async function readCuts(
  deps: SnapshotDeps,
  from: { readonly source: Connection; readonly held: HeldSnapshot | null; readonly trees: readonly TableTree[] },
): Promise<ReadonlyMap<string, KeyCut>> {
  const { source, held } = from;
  const { options } = deps.work;
  const cuts = new Map<string, KeyCut>();
  const wishes = from.trees.flatMap(({ mapping, root }) =>
    keyWishes(mapping, root, options).map((wish) => ({ mapping, wish })),
  );
  if (wishes.length === 0) return cuts;
  const inSnapshot = async () => {
    if (held !== null) await source.run(sql`set transaction snapshot ${literal(held.name)}`);
    for (const { mapping, wish } of wishes) {
      const { from: relation, only, key } = wish;
      const keyed = { mapping, from: relation, only, key };
      const parts = wish.parts ?? partsOf(Number((await source.one<{ n: string }>(keyedRows(keyed))).n), options);
      const rows = parts < 2 ? [] : await source.query<{ bound: string }>(keyBounds(keyed, parts));
      const order = await keyOrder(source, key.type.oid);
      cuts.set(showTable(relation), { key, order, bounds: [...new Set(rows.map((row) => row.bound))] });
    }
  };
  await source.transaction(inSnapshot, 'begin isolation level repeatable read read only');
  return cuts;
}

// Without a search_path, an operator of an extension's type is not found by its name, and one of a type that it looks like is.
async function keyOrder(source: Connection, type: number): Promise<KeyOrder | null> {
  const [order] = await source.query<KeyOrder>(sql`
    with recursive base(oid) as (
      select ${type}::oid union select t.typbasetype from base join pg_catalog.pg_type t on t.oid = base.oid and t.typtype = 'd'
    )
    select min(o.text) filter (where s.amopstrategy = 1) as less, min(o.text) filter (where s.amopstrategy = 4) as "atLeast"
    from base join pg_catalog.pg_opclass c on c.opcintype = base.oid and c.opcdefault
    join pg_catalog.pg_am a on a.oid = c.opcmethod and a.amname = 'btree'
    join pg_catalog.pg_amop s on s.amopfamily = c.opcfamily and s.amoplefttype = base.oid and s.amoprighttype = base.oid
    cross join lateral (select pg_catalog.format('operator(%I.%s)', n.nspname, p.oprname) as text
      from pg_catalog.pg_operator p join pg_catalog.pg_namespace n on n.oid = p.oprnamespace
      where p.oid = s.amopopr and n.nspname <> 'pg_catalog') o
    group by base.oid`);
  return order ?? null;
}

/**
 * A leaf's rows go straight into its counterpart if that holds the same rows: a partition by the same bound, at every level.
 * Else the target's root finds the place of each row.
 */
function leafTarget(tree: TableTree, leaf: Leaf, there: ReadonlyMap<string, Table>): TableName {
  const { mapping, root, partitions } = tree;
  let at = partitions.find((partition) => sameTable(partition, leaf));
  const target = partitionTarget(mapping, leaf);
  while (at !== undefined) {
    const counterpart = there.get(showTable(partitionTarget(mapping, at)));
    const { partitionOf } = at;
    const parent = partitionOf?.parent;
    const isRoot = parent !== undefined && sameTable(parent, root);
    const parentTarget = isRoot ? mapping.to : parent === undefined ? undefined : partitionTarget(mapping, parent);
    const same =
      parentTarget !== undefined &&
      counterpart?.partitionOf?.bound === partitionOf?.bound &&
      counterpart?.partitionOf != null &&
      sameTable(counterpart.partitionOf.parent, parentTarget);
    if (!same) return mapping.to;
    if (isRoot) return target;
    at = partitions.find((partition) => parent !== undefined && sameTable(partition, parent));
  }
  return mapping.to;
}
