// Values that a change of the schema wrote anew are not in the log: whether a table may have some, and until when.
import type { Files } from '../peers/files.ts';
import type { Shape } from '../peers/shape.ts';
import type { Lsn } from '../pg/lsn.ts';
import type { Seen } from './look.ts';
import { isExcluded, type MetSides } from './met.ts';

/**
 * Whether rows may show other values of a column than those that the two sides agreed on: they lie in other files, and the
 * column was changed, too, or is new. Pure.
 */
export function isRewritten({ stored, now }: { readonly stored: Shape; readonly now: Seen }, attnum: number): boolean {
  if (stored.node == null || stored.node === now.node) return false;
  const present = now.columns.find((each) => each.attnum === attnum);
  if (present === undefined || present.generated) return false;
  const before = stored.columns.find((each) => each.attnum === attnum);
  return before?.mark !== present.mark;
}

/** Whether any column of the mirror may be such. Pure. */
export function hasRewritten(
  sides: Pick<MetSides, 'mirrored'> & { readonly stored: Shape; readonly now: Seen },
): boolean {
  const { now } = sides;
  return now.columns.some(({ attnum, name }) => !isExcluded(sides, attnum, name) && isRewritten(sides, attnum));
}

/** What the catalog shows of a table's files. Pure. */
export function seenFiles({ node, columns }: Seen): Files {
  return { node, marks: Object.fromEntries(columns.map(({ attnum, mark }) => [attnum, mark])) };
}

interface Look {
  readonly files: Files;
  /** End of the log when they were seen first: whatever brought them comes before it. */
  readonly lsn: Lsn;
  /** Of the tables that rows come with since they were read. */
  readonly ids: Set<number>;
}

/**
 * The catalog shows a table as it is now, and not as of a place of the stream: what wrote it anew may come after that place, and
 * values that are read then are overwritten by rows that come before. So they are read each time the stream describes the
 * table, until a row of it comes from behind that look and without another description: every change brings one.
 */
export class Looks {
  readonly #open = new Map<string, Look>();

  /** Whether values of the table may have to be read again. */
  isOpen(table: string): boolean {
    return this.#open.has(table);
  }

  /** A table that has such values was seen at `lsn`. @returns whether the stream, at `place`, is behind what wrote them */
  isPast(table: string, { now, lsn, place }: { readonly now: Seen; readonly lsn: Lsn; readonly place: Lsn }): boolean {
    const files = seenFiles(now);
    const known = this.#open.get(table);
    if (JSON.stringify(known?.files) === JSON.stringify(files)) return place >= (known?.lsn ?? lsn);
    this.#open.set(table, { files, lsn, ids: new Set() });
    return false;
  }

  /** They were read, for rows of that number. */
  read(table: string, id: number): void {
    this.#open.get(table)?.ids.add(id);
  }

  /** Rows of that number came from `place`. @returns what files the two sides have agreed on by that; null: nobody knows yet */
  agreed(table: string, { id, place }: { readonly id: number; readonly place: Lsn }): Files | null {
    const known = this.#open.get(table);
    return known?.ids.has(id) && place >= known.lsn ? known.files : null;
  }

  /** The two sides agree. */
  close(table: string): void {
    this.#open.delete(table);
  }
}
