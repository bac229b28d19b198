// Partitions that hold rows in another file than before: whether the stream told why, or their table must be read again.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { partitionTarget } from '../peers/ddl.ts';
import { databaseIdentity } from '../peers/origin.ts';
import type { ShapeLeaf } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';

/** What lives longer than a session, by showTable. */
export interface Readings {
  /** When tables may be read again: one reading takes a sixth of the time at most. */
  readonly due: Map<string, number>;
  /** Transactions that emptied the whole table: the files that this left may be seen by the next session only. */
  readonly truncates: Map<string, Set<number>>;
}

/** Nothing was read or emptied yet. */
export const noReadings = (): Readings => ({ due: new Map(), truncates: new Map() });

const restsPerReading = 5;

export interface Written {
  readonly mirrored: MirroredTable;
  /** With the files that they have now. */
  readonly leaves: readonly ShapeLeaf[];
  /** Whether every partition of the table is among them. */
  readonly all: boolean;
  /** End of the source's log when they were seen so. */
  readonly lsn: Lsn;
}

/** What came to be of one table's: told in the stream or by its columns, to be read again, or a person must see to it. */
export type Verdict = { readonly kind: 'known' } | { readonly kind: 'stale' } | { readonly kind: 'trouble' };

const mostTruncates = 1_000;

export class WrittenPartitions {
  readonly #work: MirrorWork;
  readonly #readings: Readings;
  readonly #seen = new Map<string, Written>();
  readonly #stale = new Map<string, Written>();

  constructor(work: MirrorWork, readings: Readings) {
    this.#work = work;
    this.#readings = readings;
  }

  /** Those that the stream may still tell of. */
  get waiting(): readonly Written[] {
    return [...this.#seen.values()].filter((each) => !this.#stale.has(showTable(each.mirrored.from)));
  }

  has(oid: number): boolean {
    return [...this.#seen.values()].some(({ leaves }) => leaves.some((each) => each.oid === oid));
  }

  /** The stream emptied the table with that transaction. */
  truncated(table: string, xid: number): void {
    const { truncates } = this.#readings;
    const xids = truncates.get(table) ?? new Set();
    if (xids.size >= mostTruncates) xids.clear();
    truncates.set(table, xids.add(xid));
  }

  /** Partitions of a table as they are now, in place of what was seen of it before; none: all are known. */
  saw(now: Written): void {
    const table = showTable(now.mirrored.from);
    const before = this.#seen.get(table);
    if (now.leaves.length === 0) this.#seen.delete(table);
    // What is the same was seen earlier.
    else if (JSON.stringify(before?.leaves) !== JSON.stringify(now.leaves)) this.#seen.set(table, now);
  }

  /** Once the target has all that the source had then. */
  async judge(written: Written, db: { readonly source: Connection; readonly target: Connection }): Promise<Verdict> {
    const writers = await whoWrote(db.source, written.leaves);
    const known = this.#readings.truncates.get(showTable(written.mirrored.from));
    const byColumns = written.all && written.leaves.length > 1 && writers.every(({ columns }) => columns);
    if (byColumns || writers.every(({ xid }) => known?.has(xid))) return this.#forget(written, 'known');
    if (!(await mayReadAgain(this.#work, db))) return this.#forget(written, 'trouble');
    this.#stale.set(showTable(written.mirrored.from), written);
    return { kind: 'stale' };
  }

  /** Rows of the table do not fit, and these partitions are others than the target knows: it is read again before the stream goes on. */
  async suspect(written: Written, db: { readonly source: Connection; readonly target: Connection }): Promise<boolean> {
    if (!(await mayReadAgain(this.#work, db))) return false;
    const table = showTable(written.mirrored.from);
    this.#stale.set(table, written);
    this.#readings.due.delete(table);
    return true;
  }

  /** What was seen of a table's partitions that is not known yet. */
  of(mirrored: MirroredTable): Written | null {
    return this.#seen.get(showTable(mirrored.from)) ?? null;
  }

  #forget({ mirrored }: Written, kind: 'known' | 'trouble'): Verdict {
    this.#seen.delete(showTable(mirrored.from));
    return { kind };
  }

  /** A table that is to be read again now, if there is one. */
  next(now: number): Written | null {
    const due = [...this.#stale].find(([table]) => (this.#readings.due.get(table) ?? 0) <= now);
    return due?.[1] ?? null;
  }

  /** It was read, which took that long. */
  read({ mirrored }: Written, { from, to }: { readonly from: number; readonly to: number }): void {
    const table = showTable(mirrored.from);
    this.#stale.delete(table);
    this.#seen.delete(table);
    this.#readings.due.set(table, to + restsPerReading * (to - from));
  }
}

interface Writer {
  /** The transaction that last changed what the catalog says of the partition's file. */
  readonly xid: number;
  /** Whether it changed a column of it, too. */
  readonly columns: boolean;
}

async function whoWrote(source: Connection, leaves: readonly ShapeLeaf[]): Promise<readonly Writer[]> {
  const rows = await source.query<{ xid: string; columns: boolean }>(sql`select c.xmin::text as xid, exists (select
      from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and a.xmin = c.xmin) as columns
    from pg_catalog.pg_class c where c.oid = any(${leaves.map(({ oid }) => oid)}::oid[])`);
  return rows.map(({ xid, columns }) => ({ xid: Number(xid), columns }));
}

/**
 * Whether a table can be read whole again. A slot begins when every transaction of its server has ended, the one that waits for it
 * too; and with soft_delete the target has more rows than the source.
 */
export async function mayReadAgain(
  { options }: MirrorWork,
  { source, target }: { readonly source: Connection; readonly target: Connection },
): Promise<boolean> {
  if (options.soft_delete) return false;
  const [there, here] = [await databaseIdentity(source), await databaseIdentity(target)];
  return there === null || there.split('_')[0] !== here?.split('_')[0];
}

/** For the journal, before it is done. */
export function toBeRead({ mirrored, leaves }: Written): string {
  return `${showTable(mirrored.from)} is read whole again: ${list(leaves)} was emptied by TRUNCATE and filled again, or written anew`;
}

/** What a person must see to. */
export function unreadable({ options }: MirrorWork, { mirrored, leaves }: Written): SluiceError {
  const to = leaves.map((leaf) => showTable(partitionTarget(mirrored, leaf))).join(', ');
  const why = options.soft_delete
    ? 'with soft_delete the target has more rows than the source'
    : 'source and target are on one server';
  return new SluiceError(
    'wrong_state',
    `partition ${list(leaves)} was emptied by TRUNCATE and filled again on the source, or written anew`,
    {
      detail: `TRUNCATE of one partition is not in a stream that publishes by the root; VACUUM FULL and CLUSTER, which change no row, look the same. ${showTable(mirrored.from)} cannot be read again by itself: ${why}.`,
      hint: `If it was TRUNCATE, remove the rows from ${to} on the target that the source has not any more. Then, in either case, RESUME MIRROR.`,
    },
  );
}

const list = (leaves: readonly ShapeLeaf[]) => leaves.map(showTable).join(', ');
