// What the steps of a snapshot are given, and what they tell on their way.
import type { Log } from '../base/log.ts';
import type { ObjectLine } from '../mirror/object.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';

export interface PlannedParts {
  /** Estimates. */
  readonly rows: number;
  readonly bytes: number;
  readonly parts: readonly { readonly part: number; readonly what: string; readonly rows: number }[];
}

export interface PartNow {
  readonly state: 'copying' | 'copied';
  readonly rows: number;
  readonly bytes: number;
}

export interface SnapshotReport {
  /** Called anew when a table begins anew. */
  planned(table: MirroredTable, plan: PlannedParts): Promise<void>;
  /** A few times a second while it is copied, and when it is. */
  part(table: MirroredTable, part: number, now: PartNow): Promise<void>;
  finished(table: MirroredTable): Promise<void>;
  /** Lines of the ledger, each as it is now. */
  objects(lines: readonly ObjectLine[]): Promise<void>;
  /** A line for the journal: waiting for transactions, begun anew under a new snapshot. */
  note(message: string): Promise<void>;
}

export interface SnapshotDeps {
  readonly work: MirrorWork;
  readonly report: SnapshotReport;
  readonly log: Log;
}
