// What the stream tells on its way, for whoever keeps progress.
import type { Lsn } from '../pg/lsn.ts';

export interface TableChanges {
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly truncates: number;
}

/** One target transaction: whole source transactions. */
export interface AppliedBatch {
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
  readonly transactions: number;
  readonly changes: number;
  readonly receivedAt: Date;
  readonly committedAt: Date;
  readonly sourceCommittedAt: Date;
  /** By showTable(source). */
  readonly tables: ReadonlyMap<string, TableChanges>;
}

export interface CdcReport {
  /** After the target's commit. Not awaited. */
  batch(batch: AppliedBatch): Promise<void> | void;
  /** About once a second. */
  position(now: { readonly received: Lsn; readonly durable: Lsn; readonly sourceEnd: Lsn }): void;
  /** Once: the target has passed the snapshots of all tables. Awaited. */
  consistent(): Promise<void>;
  note(message: string): Promise<void>;
  /** As note, but not again while the journal has it: for what is the same at every beginning. */
  noteOnce(message: string): Promise<void>;
}
