// What the steps of a snapshot are given, and what they tell on their way.
import type { Log } from '../base/log.ts';
import type { Throttle } from '../base/throttle.ts';
import type { FinishedTable } from '../mirror/copy-tally.ts';
import type { LaterObject } from '../mirror/finish-tally.ts';
import type { ObjectLine } from '../mirror/object.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import type { SchemaChange } from '../peers/schema-changes.ts';
import type { SessionShelf } from '../peers/shelf.ts';
import type { SourceMemory } from './known-source.ts';

export interface PlannedParts {
  /** Estimates. */
  readonly rows: number;
  readonly bytes: number;
  readonly parts: readonly {
    readonly part: number;
    readonly what: string;
    readonly rows: number;
    readonly bytes: number;
  }[];
}

export interface PartNow {
  readonly state: 'copying' | 'copied';
  readonly rows: number;
  readonly bytes: number;
}

export interface SnapshotReport {
  /** Called anew when a table begins anew. */
  planned(table: MirroredTable, plan: PlannedParts): Promise<void>;
  /** Tables that were finished before this copy went on, and what they have: it is not copied again. */
  before(tables: readonly FinishedTable[]): Promise<void>;
  /** When it begins, a few times a second while it is copied, when all its rows are through, and when they are committed. */
  part(table: MirroredTable, part: number, now: PartNow): Promise<void>;
  finished(table: MirroredTable): Promise<void>;
  /** How many workers copy from now on. */
  workers(atWork: number): Promise<void>;
  /** Lines of the ledger, each as it is now. */
  objects(lines: readonly ObjectLine[]): Promise<void>;
  /** What will be made after the load, so that its time can be told. */
  later(objects: readonly LaterObject[], analyzed: readonly number[]): Promise<void>;
  /** What keeps the copy from beginning, a line each; told again and again while it waits, and empty when it goes on. */
  waits(lines: readonly string[]): Promise<void>;
  /** A line for the journal: waiting for transactions, begun anew under a new snapshot. */
  note(message: string): Promise<void>;
  /** A change of the schema that the target knows of. Awaited; may be called again with the same one. */
  changed(change: SchemaChange): Promise<void>;
}

export interface SnapshotDeps {
  readonly work: MirrorWork;
  readonly report: SnapshotReport;
  readonly log: Log;
  /** What the copy may read of the source, all workers together; it may change meanwhile. None: as much as there is. */
  readonly throttle?: Throttle;
  /** Of the steps that this process does one after another. */
  readonly memory?: SourceMemory;
  /** Of the same: sessions that one step leaves to the next. */
  readonly sessions?: SessionShelf;
  /** Reads the keys of those lines of the ledger that say of a table that the mirror made it. */
  readonly made?: () => Promise<ReadonlySet<string>>;
}

/** Those; none where nobody can tell. */
export async function madeTables({ made }: SnapshotDeps): Promise<ReadonlySet<string>> {
  return (await made?.()) ?? new Set();
}
