// Looks at both sides for tables that can go on from what the target has of them.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { CopiedTable } from '../peers/checkpoint.ts';
import { readBegunTables } from '../peers/copied-parts.ts';
import { type TableTree, targetNames } from '../peers/ddl-tree.ts';
import { inspectTables } from '../peers/inspect.ts';
import { type Publication, readPublication } from '../peers/publication.ts';
import { readRemembered } from '../peers/shape.ts';
import type { Lsn } from '../pg/lsn.ts';
import { showTable, type Table } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import { finishedTable, type KeptTable, type KeptTables, keptTable } from './kept.ts';
import type { Sides } from './start.ts';
import type { Storage } from './storage.ts';
import { readTrees } from './trees.ts';

export interface KeptLook {
  readonly sides: Sides;
  readonly copied: ReadonlyMap<string, CopiedTable>;
  /** The unfinished tables. */
  readonly tables: readonly MirroredTable[];
  /** Where the slot's stream begins. */
  readonly checkpoint: Lsn;
  /** Where the source's tables lie, read before the new snapshot is taken. */
  readonly storage: Storage;
}

interface Seen {
  readonly trees: readonly TableTree[];
  /** Of the target, by showTable. */
  readonly there: ReadonlyMap<string, Table>;
  readonly publication: Publication | null;
}

async function see({ work }: SnapshotDeps, sides: Sides, tables: readonly MirroredTable[]): Promise<Seen> {
  const trees = await readTrees(sides.source, tables);
  const there = await inspectTables(sides.target, targetNames(trees), { sizes: false });
  const publication = await readPublication(sides.source, work.publication.name);
  return { trees, there: new Map(there.map((table) => [showTable(table), table])), publication };
}

/** Unfinished tables of which the target has parts: those whose parts stay, and why the others' do not. */
export async function findKept(
  deps: SnapshotDeps,
  look: KeptLook,
): Promise<{ readonly kept: KeptTables; readonly reasons: ReadonlyMap<string, string> }> {
  const kept = new Map<string, KeptTable>();
  const reasons = new Map<string, string>();
  const begun = await readBegunTables(look.sides.target, deps.work);
  const tables = look.tables.filter((table) => begun.has(showTable(table.from)));
  if (tables.length === 0) return { kept, reasons };
  const { trees, there, publication } = await see(deps, look.sides, tables);
  for (const tree of trees) {
    const name = showTable(tree.mapping.from);
    const state = begun.get(name);
    if (state === undefined) continue;
    const { storage, checkpoint } = look;
    const to = there.get(showTable(tree.mapping.to));
    const table = keptTable({ tree, to, begun: state, storage, publication, checkpoint });
    if (typeof table === 'string') reasons.set(name, table);
    else kept.set(name, table);
  }
  return { kept, reasons };
}

/** Finished tables that can be brought forward. */
export async function findFinished(deps: SnapshotDeps, look: KeptLook): Promise<KeptTables> {
  const unfinished = new Set(look.tables.map((table) => showTable(table.from)));
  const tables = deps.work.tables.filter((table) => !unfinished.has(showTable(table.from)));
  if (tables.length === 0) return new Map();
  const remembered = await readRemembered(look.sides.target, deps.work);
  const found = new Map<string, KeptTable>();
  const seen = await see(deps, look.sides, tables).catch((error: unknown) => {
    // A table that is gone from the source is told when changes are followed; it keeps no other from being copied.
    if (error instanceof SluiceError && error.kind === 'undefined_table') return null;
    throw error;
  });
  if (seen === null) return found;
  const { trees, there, publication } = seen;
  for (const tree of trees) {
    const name = showTable(tree.mapping.from);
    const table = finishedTable({
      tree,
      to: there.get(showTable(tree.mapping.to)),
      snapshotLsn: look.copied.get(name)?.snapshotLsn ?? null,
      remembered: remembered.get(name),
      publication,
      checkpoint: look.checkpoint,
    });
    if (table !== null) found.set(name, table);
  }
  return found;
}
