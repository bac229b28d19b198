// Where a copy stands when its step begins, told from the target's checkpoint and the source's slot alone. Pure.
import type { CopiedTable } from '../peers/checkpoint.ts';
import type { Lsn } from '../pg/lsn.ts';

export type Situation =
  /** Every table is there. */
  | { readonly kind: 'done' }
  /** Nothing is there yet, or nothing that counts. A slot of ours without a checkpoint belongs to a try that died: it goes. */
  | { readonly kind: 'begin'; readonly dropSlot: boolean }
  /** The snapshot is lost. Finished tables stay; what is left of these is read under a new one with an LSN of its own. */
  | { readonly kind: 'again'; readonly tables: readonly string[]; readonly checkpoint: Lsn }
  /** Copy only, and the snapshot is lost: one point in time for all tables means all of them anew. */
  | { readonly kind: 'all_again' }
  /** The stream was to go on from the checkpoint, and the slot that keeps its changes is gone. */
  | { readonly kind: 'slot_lost' };

/** @param facts.tables all tables of the mirror, as showTable prints them */
export function snapshotSituation(facts: {
  readonly tables: readonly string[];
  readonly follows: boolean;
  readonly checkpoint: Lsn | null;
  readonly slotThere: boolean;
  readonly copied: ReadonlyMap<string, CopiedTable>;
}): Situation {
  const left = facts.tables.filter((table) => facts.copied.get(table)?.finished !== true);
  if (!facts.follows) {
    if (left.length === 0) return { kind: 'done' };
    return facts.copied.size === 0 ? { kind: 'begin', dropSlot: false } : { kind: 'all_again' };
  }
  if (facts.checkpoint === null) return { kind: 'begin', dropSlot: facts.slotThere };
  if (!facts.slotThere) return { kind: 'slot_lost' };
  return left.length === 0 ? { kind: 'done' } : { kind: 'again', tables: left, checkpoint: facts.checkpoint };
}
