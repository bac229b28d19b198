// A stretch of the stream as it lies in memory: spans of bytes, and what stands between them.

import { SluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import type { AppliedTable } from '../peers/apply-table.ts';
import type { Relations, Span, Step, TruncateStep } from '../peers/apply-walk.ts';
import type { Lsn } from '../pg/lsn.ts';
import { showTable } from '../pg/table.ts';

/** What stands between bytes: relations that hold from here on, or a truncate. `finalLsn`: of the transaction around it. */
interface Marker {
  readonly finalLsn: Lsn;
  readonly relations: Relations;
  readonly truncate: TruncateStep | null;
}
type OpenSpan = { -readonly [K in keyof Span]: Span[K] };
type Item = OpenSpan | Marker;

export interface Gathered {
  items: readonly Item[];
  /** Relations and commit position that hold at the first item. */
  relations: Relations;
  finalLsn: Lsn;
  changes: number;
  bytes: number;
  steps: number;
}

/**
 * The tables that a TRUNCATE names. A partition's is its root's only where all partitions are named: rows of a partition have
 * no place of their own here.
 * @throws `wrong_state`
 */
export function wholeTables(tables: readonly AppliedTable[]): readonly AppliedTable[] {
  const roots = new Map<string, AppliedTable[]>();
  for (const table of tables) roots.set(showTable(table.to), [...(roots.get(showTable(table.to)) ?? []), table]);
  return [...roots.values()].map((parts) => {
    const table = parts[0]!;
    if (table.partitions === null || parts.length >= table.partitions) return table;
    throw new SluiceError(
      'wrong_state',
      `a partition of ${showTable(table.from)} was truncated by itself on the source`,
      {
        hint: `Set publish_via_partition_root = true on the publication. ${copyAgain()}`,
      },
    );
  });
}

/** No items. */
export const none: readonly Item[] = [];

/** Most transactions have one item, and there are hundreds of thousands: a list of one takes a fraction of what a list that grows does. */
export function addItem(to: Gathered, item: Item): void {
  if (to.items.length === 0) to.items = [item];
  else (to.items as Item[]).push(item);
}

/** Nothing yet. */
export function empty(relations: Relations, finalLsn: Lsn): Gathered {
  return { items: none, relations, finalLsn, changes: 0, bytes: 0, steps: 0 };
}

/** Appends one transaction to the ended ones; bytes that follow each other become one span. */
export function merge(done: Gathered, tx: Gathered): void {
  if (done.items.length === 0) {
    done.relations = tx.relations;
    done.finalLsn = tx.finalLsn;
  }
  for (const item of tx.items) {
    const last = done.items.at(-1);
    if (
      last !== undefined &&
      'buffer' in last &&
      'buffer' in item &&
      last.buffer === item.buffer &&
      last.end === item.start
    ) {
      last.end = item.end;
    } else addItem(done, item);
  }
  done.changes += tx.changes;
  done.bytes += tx.bytes;
  done.steps += tx.steps;
}

/** The steps that apply it, in order. */
export function steps(gathered: Gathered): readonly Step[] {
  const found: Step[] = [];
  let { relations, finalLsn } = gathered;
  let spans: Span[] = [];
  const close = () => {
    if (spans.length > 0) found.push({ kind: 'changes', spans, relations, finalLsn });
    spans = [];
  };
  for (const item of gathered.items) {
    if ('buffer' in item) spans.push(item);
    else {
      close();
      relations = item.relations;
      finalLsn = item.finalLsn;
      if (item.truncate !== null) found.push(item.truncate);
    }
  }
  close();
  return found;
}
