// What the stream tells on its way, for whoever keeps progress.
import type { Conflict } from '../mirror/conflict.ts';
import type { ObjectLine } from '../mirror/object.ts';
import type { SchemaChange } from '../peers/schema-changes.ts';
import type { Lsn } from '../pg/lsn.ts';

export interface TableChanges {
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly truncates: number;
  /** Of the changes, as they came. */
  readonly bytes: number;
}

/** One target transaction: whole source transactions. */
export interface AppliedBatch {
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
  /** As of a position: not further than the first change of the schema that is not whole. */
  readonly durableLsn: Lsn;
  readonly transactions: number;
  readonly changes: number;
  readonly bytes: number;
  /** When its first transaction began to come in. */
  readonly receivedAt: Date;
  /** When all that goes through staging tables had come there; null: nothing did. */
  readonly stagedAt: Date | null;
  /** When the target's tables had it, before the commit. */
  readonly mergedAt: Date;
  readonly committedAt: Date;
  /** When the source was told that it may forget it. */
  readonly acknowledgedAt: Date;
  /** Of its last transaction, by the source's clock. */
  readonly sourceCommittedAt: Date;
  /** By showTable(source). */
  readonly tables: ReadonlyMap<string, TableChanges>;
}

export interface ReportedPosition {
  readonly received: Lsn;
  /** All before it is on the target, rows and schema. */
  readonly durable: Lsn;
  readonly sourceEnd: Lsn;
  /**
   * When the oldest transaction that is here and not durable was committed on the source, by our clock; null: none is here; undefined:
   * not all has come yet that waited when the session began.
   */
  readonly oldestCommitAt: Date | null | undefined;
}

export interface CdcReport {
  /** After the target's commit. Not awaited. */
  batch(batch: AppliedBatch): Promise<void> | void;
  /** A change did not fit; the error that says so follows. Awaited. */
  conflict(conflict: Conflict, message: string): Promise<void>;
  /** About once a second. */
  position(now: ReportedPosition): void;
  /** Once: the target has passed the snapshots of all tables. Awaited. */
  consistent(): Promise<void>;
  note(message: string): Promise<void>;
  /** Whom an apply waits for at this moment; nothing: it goes on. */
  waits(lines: readonly string[]): Promise<void>;
  /** As note, but not again while the journal has it: for what is the same at every beginning. */
  noteOnce(message: string): Promise<void>;
  /** A change of the schema that the target has. Awaited; may be called again with the same one. */
  changed(change: SchemaChange): Promise<void>;
  /** What became of objects of the source. */
  objects(lines: readonly ObjectLine[]): Promise<void>;
  /** Objects that are on neither side any more, by objectKey. */
  gone(keys: readonly string[]): Promise<void>;
}
