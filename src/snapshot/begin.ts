// Takes the snapshot that the situation calls for and writes down which tables are read under it, emptied.
import { SluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import type { CopiedTable } from '../peers/checkpoint.ts';
import { dropSlot } from '../peers/slot.ts';
import { showTable } from '../pg/table.ts';
import type { SnapshotDeps } from './deps.ts';
import { goOn } from './go-on.ts';
import { takeSnapshot } from './hold-still.ts';
import type { Situation } from './situation.ts';
import { holdPlainSnapshot, holdSlotSnapshot } from './slot.ts';
import { type Begun, type Sides, startTables } from './start.ts';
import type { Storage } from './storage.ts';

/** Takes the snapshot that the situation calls for and empties the tables that are read under it; null: nothing is left to do. */
export async function begin(
  deps: SnapshotDeps,
  look: {
    readonly sides: Sides;
    readonly situation: Situation;
    readonly copied: ReadonlyMap<string, CopiedTable>;
    readonly storage: Storage;
  },
  signal: AbortSignal,
): Promise<Begun | null> {
  const { work, report } = deps;
  const { sides, situation, copied, storage } = look;
  switch (situation.kind) {
    case 'done':
      return null;
    case 'slot_lost':
      throw new SluiceError('slot_lost', `replication slot "${work.slot?.name}" of the copy is gone from the source`, {
        detail:
          'It was dropped, lost its log, or was made anew under its name. Changes since the copy began are lost with it.',
        hint: copyAgain(work.name),
      });
    case 'begin': {
      const { slot } = work;
      if (slot?.made && situation.dropSlot) await dropSlot(sides.source, slot.name, signal);
      const held =
        slot === null ? await holdPlainSnapshot(deps, signal) : await holdSlotSnapshot(deps, sides.source, signal);
      await startTables(deps, { sides, held, copied, tables: work.tables, main: true });
      return { held, storage, tables: work.tables, kept: new Map() };
    }
    case 'again': {
      const tables = work.tables.filter((table) => situation.tables.includes(showTable(table.from)));
      return await goOn(deps, { sides, copied, tables, checkpoint: situation.checkpoint, storage }, signal);
    }
    case 'all_again': {
      await report.note(
        'the copy goes on under a new snapshot: all tables begin anew, so that they show one point in time',
      );
      const take = () => holdPlainSnapshot(deps, signal);
      const taken = await takeSnapshot(deps, { sides, copied, tables: work.tables, storage, take }, signal);
      const { held, left } = taken;
      await startTables(deps, { sides, held, copied, tables: left, main: false });
      return { held, storage: taken.storage, tables: left, kept: new Map() };
    }
    default:
      return situation satisfies never;
  }
}
