// Lets tables begin their copy under a snapshot: emptied, without parts, and written down as of its LSN.
import type { MirroredTable } from '../mirror/work.ts';
import { advanceCheckpoint, beginCopiedTables, type CopiedTable, holdToken } from '../peers/checkpoint.ts';
import { tablesWithRows } from '../peers/inspect-target.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { showTable } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import { emptyTables } from './empty.ts';
import type { KeptTables } from './kept.ts';
import { refuseFilled } from './prepare.ts';
import type { HeldSnapshot } from './slot.ts';
import type { Storage } from './storage.ts';

export interface Sides {
  readonly source: Connection;
  readonly target: Connection;
}

export interface Begun {
  readonly held: HeldSnapshot;
  /** Where the source's tables lay before the snapshot was taken. */
  readonly storage: Storage;
  /** All that is left to copy. */
  readonly tables: readonly MirroredTable[];
  /** Those of them that have parts on the target already. */
  readonly kept: KeptTables;
  /** What is left to do when all of them are copied, on a connection that has the snapshot. */
  readonly bringAlong?: (source: Connection) => Promise<void>;
}

export interface Start {
  readonly sides: Sides;
  readonly held: HeldSnapshot;
  readonly tables: readonly MirroredTable[];
  readonly copied: ReadonlyMap<string, CopiedTable>;
  /** Whether the stream will begin at this snapshot. */
  readonly main: boolean;
}

const tablesPerTransaction = 500;

/**
 * The tables are empty, have no parts, and are as of the snapshot's LSN, each in one target transaction; then the stream's
 * place. A crash before that is no harm: without a checkpoint everything begins again.
 */
export async function startTables(deps: SnapshotDeps, start: Start): Promise<void> {
  const { work } = deps;
  const { target } = start.sides;
  const lsn: Lsn | null = start.held.lsn;
  try {
    // What an earlier try of ours left is ours to remove; other rows only if the mirror may replace them.
    const ours = start.tables.filter((table) => work.options.resync || start.copied.has(showTable(table.from)));
    await refuseFilled(
      target,
      start.tables.filter((table) => !ours.includes(table)).map((table) => table.to),
    );
    const filled = new Set(
      (
        await tablesWithRows(
          target,
          ours.map((table) => table.to),
        )
      ).map(showTable),
    );
    for (let at = 0; at < start.tables.length; at += tablesPerTransaction) {
      const some = start.tables.slice(at, at + tablesPerTransaction);
      await target.transaction(async () => {
        await holdToken(target, work);
        await emptyTables(
          target,
          some.map((table) => ({ ...table.to, filled: filled.has(showTable(table.to)) })),
        );
        await beginCopiedTables(target, work, { tables: some.map((table) => table.from), snapshotLsn: lsn });
      });
    }
    if (start.main && lsn !== null) await advanceCheckpoint(target, work, lsn);
  } catch (error) {
    await start.held[Symbol.asyncDispose]();
    throw error;
  }
}
