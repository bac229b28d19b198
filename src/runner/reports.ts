// What engines say on their way, handed to the catalog's progress; every word is also a sign of life.
import { type JournalChange, writeSchemaEntry } from '../catalog/journal.ts';
import type { Pool } from '../catalog/pool.ts';
import type { BatchProgress, PartProgress, PlannedTable, Position, Progress } from '../catalog/progress.ts';
import { forgetObjects } from '../catalog/table-changes.ts';
import type { Conflict } from '../mirror/conflict.ts';
import type { FinishedTable } from '../mirror/copy-tally.ts';
import type { LaterObject } from '../mirror/finish-tally.ts';
import type { ObjectLine } from '../mirror/object.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { showTable } from '../pg/table.ts';

export interface ReportDeps {
  readonly progress: Progress;
  /** Called when something came about that could not be before: whatever was in the way is not any more. */
  readonly alive: () => void;
}

/**
 * For `prepareTarget`, `runSnapshot` and `finishSnapshot`. Each call returns at once. A plan or a note is no sign of life: what
 * begins may fail at the same place again, and the waits must grow then.
 */
export function snapshotReport({
  progress,
  alive,
  pool,
  work,
}: ReportDeps & { readonly pool: Pool; readonly work: Pick<MirrorWork, 'id' | 'name'> }) {
  return {
    async changed(change: JournalChange): Promise<void> {
      alive();
      // What is still to be written of a table goes by the name that it had.
      await progress.flush();
      await pool.transaction((db) => writeSchemaEntry(db, work, change));
    },
    async planned(table: MirroredTable, plan: PlannedTable): Promise<void> {
      progress.planned(showTable(table.from), plan);
    },
    async before(tables: readonly FinishedTable[]): Promise<void> {
      progress.before(tables);
    },
    async part(table: MirroredTable, part: number, now: PartProgress): Promise<void> {
      if (now.state === 'copied') alive();
      progress.part(showTable(table.from), part, now);
    },
    async finished(table: MirroredTable): Promise<void> {
      alive();
      progress.finished(showTable(table.from));
    },
    async workers(atWork: number): Promise<void> {
      progress.workers(atWork);
    },
    async objects(lines: readonly ObjectLine[]): Promise<void> {
      if (lines.some(({ state }) => state === 'created')) alive();
      progress.objects(lines);
    },
    async later(objects: readonly LaterObject[], analyzed: readonly number[]): Promise<void> {
      progress.later(objects, analyzed);
    },
    async waits(lines: readonly string[]): Promise<void> {
      progress.waits(lines);
    },
    async note(message: string): Promise<void> {
      progress.note(message);
    },
  };
}

// When nothing of ours has waited for the target for this long, it takes what we write.
const quietMs = 10_000;

/** For `runCdc`. `consistent` and `changed` are awaited by the engine; all else returns at once. */
export function cdcReport(
  {
    progress,
    alive,
    connected,
    pool,
    work,
  }: ReportDeps & {
    /** Called while there are sessions with both servers. */
    readonly connected: () => void;
    readonly pool: Pool;
    readonly work: Pick<MirrorWork, 'id' | 'name'>;
  },
  consistent: () => Promise<void>,
) {
  const began = Date.now();
  return {
    batch(batch: BatchProgress): void {
      alive();
      progress.batch(batch);
    },
    position(position: Position): void {
      connected();
      // To look does not mean to be able to write. Beside a busy neighbour the end of the log is never reached.
      const quiet = position.oldestCommitAt === null && Date.now() - began > quietMs;
      if (position.durable >= position.sourceEnd || quiet) alive();
      progress.position(position);
    },
    consistent,
    async conflict(conflict: Conflict, message: string): Promise<void> {
      progress.conflict(conflict, message);
    },
    async changed(change: JournalChange): Promise<void> {
      alive();
      await pool.transaction((db) => writeSchemaEntry(db, work, change));
    },
    async objects(lines: readonly ObjectLine[]): Promise<void> {
      alive();
      progress.objects(lines);
    },
    async gone(keys: readonly string[]): Promise<void> {
      if (keys.length === 0) return;
      // What is still to be written of them must not come after.
      await progress.flush();
      await pool.use((db) => forgetObjects(db, work.id, keys));
    },
    async note(message: string): Promise<void> {
      progress.note(message);
    },
    async waits(lines: readonly string[]): Promise<void> {
      progress.waits(lines);
    },
    async noteOnce(message: string): Promise<void> {
      progress.note(message, { once: true });
    },
  };
}
