// Takes the snapshot that the situation calls for and writes down which tables are read under it, emptied.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { advanceCheckpoint, beginCopiedTables, type CopiedTable, holdToken } from '../peers/checkpoint.ts';
import { tablesWithRows } from '../peers/inspect-target.ts';
import { dropSlot } from '../peers/slot.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';

import { showTable } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import { emptyTables } from './empty.ts';
import { refuseFilled } from './prepare.ts';
import type { Situation } from './situation.ts';
import { type HeldSnapshot, holdPlainSnapshot, holdSlotSnapshot, holdTemporarySnapshot } from './slot.ts';

// A line of the journal names that many tables.
const namesShown = 10;

export interface Sides {
  readonly source: Connection;
  readonly target: Connection;
}

export interface Begun {
  readonly held: HeldSnapshot;
  readonly tables: readonly MirroredTable[];
}

/** Takes the snapshot that the situation calls for and empties the tables that are read under it; null: nothing is left to do. */
export async function begin(
  deps: SnapshotDeps,
  look: { readonly sides: Sides; readonly situation: Situation; readonly copied: ReadonlyMap<string, CopiedTable> },
  signal: AbortSignal,
): Promise<Begun | null> {
  const { work, report } = deps;
  const { sides, situation, copied } = look;
  switch (situation.kind) {
    case 'done':
      return null;
    case 'slot_lost':
      throw new SluiceError('slot_lost', `replication slot "${work.slot?.name}" is gone from the source`, {
        detail: 'Changes since the copy began are lost with it.',
        hint: 'RESYNC MIRROR begins anew.',
      });
    case 'begin': {
      const { slot } = work;
      if (slot?.made && situation.dropSlot) await dropSlot(sides.source, slot.name, signal);
      const held =
        slot === null ? await holdPlainSnapshot(deps, signal) : await holdSlotSnapshot(deps, sides.source, signal);
      return await startTables(deps, { sides, held, copied, tables: work.tables, main: true });
    }
    case 'again': {
      const tables = work.tables.filter((table) => situation.tables.includes(showTable(table.from)));
      await report.note(
        `the copy goes on under a new snapshot: ${tables.length} of ${work.tables.length} tables begin anew (${firstNames(situation.tables)})`,
      );
      const held = await holdTemporarySnapshot(deps, sides.source, signal);
      return await startTables(deps, { sides, held, copied, tables, main: false });
    }
    case 'all_again': {
      await report.note(
        'the copy goes on under a new snapshot: all tables begin anew, so that they show one point in time',
      );
      const held = await holdPlainSnapshot(deps, signal);
      return await startTables(deps, { sides, held, copied, tables: work.tables, main: false });
    }
    default:
      return situation satisfies never;
  }
}

function firstNames(names: readonly string[]): string {
  const more = names.length > namesShown ? `, and ${names.length - namesShown} more` : '';
  return `${names.slice(0, namesShown).join(', ')}${more}`;
}

interface Start {
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
async function startTables(deps: SnapshotDeps, start: Start): Promise<Begun> {
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
    return { held: start.held, tables: start.tables };
  } catch (error) {
    await start.held[Symbol.asyncDispose]();
    throw error;
  }
}
