// What the source's catalog showed of a table, and when: a relation of the stream lies between two of these. Pure.
import type { Lsn } from '../pg/lsn.ts';
import { type SeenAttribute, type SeenColumn, shows } from './look.ts';

/** What was seen of a relation. */
export interface Sighting {
  /** Of the table; of a partition's relation, those of its root. */
  readonly columns: readonly SeenColumn[];
  /** Every column that the relation itself has or had. */
  readonly own: readonly SeenAttribute[];
}

interface Kept extends Sighting {
  readonly text: string;
  /** End of the source's log when it was seen so first: what is behind that place has these columns, or later ones. */
  readonly lsn: Lsn;
  /** Transactions that it showed when it was seen so last. */
  snapshot: string;
}

/** What is known of a relation's columns at a place of the stream. */
export interface Around {
  /** They were so before it; null: nobody looked. */
  readonly before: Sighting | null;
  /** They were so behind it, or at it where the two are one. */
  readonly after: Sighting;
}

const most = 100;

/** What a session has seen, by the relation's OID. */
export class Sightings {
  readonly #kept = new Map<number, Kept[]>();

  /**
   * @param look.lsn end of the source's log, read after all that was seen
   * @param look.snapshot as txid_snapshot is written
   */
  saw(oid: number, { columns, own, lsn, snapshot }: Sighting & { readonly lsn: Lsn; readonly snapshot: string }): void {
    const list = this.#kept.get(oid) ?? [];
    this.#kept.set(oid, list);
    // Whatever changes a column leaves its transaction's mark, and whatever adds one leaves a number.
    const text = JSON.stringify([columns.map(({ attnum, name, type, mark }) => [attnum, name, type, mark]), own]);
    const last = list.at(-1);
    if (last?.text === text) last.snapshot = snapshot;
    else list.push({ columns, own, text, lsn, snapshot });
    if (list.length > most) list.shift();
  }

  /**
   * What was seen last before a transaction and first behind it; null: nothing that shows it. Places do not go back.
   * @param at.place where it was committed
   * @param at.known the target's own knowledge is of that place: what was seen before tells less
   */
  around(
    oid: number,
    at: { readonly xid: number; readonly place: Lsn; readonly known: Lsn | undefined },
  ): Around | null {
    const list = this.#kept.get(oid) ?? [];
    const after = list.find(({ snapshot }) => shows(snapshot, at.xid));
    if (after === undefined) return null;
    const first = list.findLastIndex(({ lsn }) => lsn <= at.place);
    if (first > 0) list.splice(0, first);
    const before = first < 0 ? undefined : list[0];
    const isLater = before !== undefined && (at.known === undefined || at.known < before.lsn || before === after);
    return { before: isLater ? before : null, after };
  }
}
