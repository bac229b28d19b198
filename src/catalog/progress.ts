// Progress of a mirror on its way to the catalog: gathered in memory, written a few times a second, never in the stream's way.
import { toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { pause } from '../base/retry.ts';
import type { Conflict } from '../mirror/conflict.ts';
import { type CopyEstimate, type CopyLimits, CopyTally, type FinishedTable } from '../mirror/copy-tally.ts';
import type { LaterObject } from '../mirror/finish-tally.ts';
import { type ObjectLine, objectKey } from '../mirror/object.ts';
import type { Lsn } from '../pg/lsn.ts';
import type { JournalEntry } from './journal.ts';
import { afterLine, type TimedLine } from './objects.ts';
import type { Pool } from './pool.ts';
import { writeProgress } from './progress-write.ts';

export interface PlannedTable {
  readonly rows: number;
  readonly bytes: number;
  readonly parts: readonly {
    readonly part: number;
    readonly what: string;
    readonly rows: number;
    readonly bytes: number;
  }[];
}

export interface PartProgress {
  readonly state: 'copying' | 'copied';
  readonly rows: number;
  readonly bytes: number;
}

export interface ChangeCounts {
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly truncates: number;
  readonly bytes: number;
}

export interface BatchProgress {
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
  /** All before it is on the target, rows and schema. */
  readonly durableLsn: Lsn;
  readonly transactions: number;
  readonly changes: number;
  readonly bytes: number;
  readonly receivedAt: Date;
  readonly stagedAt: Date | null;
  readonly mergedAt: Date;
  readonly committedAt: Date;
  readonly acknowledgedAt: Date;
  readonly sourceCommittedAt: Date;
  /** By source table, as showTable prints it. */
  readonly tables: ReadonlyMap<string, ChangeCounts>;
}

export interface Position {
  readonly received: Lsn;
  readonly durable: Lsn;
  readonly sourceEnd: Lsn;
  /**
   * When the oldest transaction that was received and is not durable was committed: since then the target is behind, as log without a
   * commit is of nobody's concern. Null: none was; undefined: nothing was received yet that would tell, and it is behind since it was last seen not to be, at most.
   */
  readonly oldestCommitAt: Date | null | undefined;
}

/** With the times at which it was said, which are earlier than those at which it is written. */
export interface TimedPlan extends PlannedTable {
  readonly at: Date;
}
export interface TimedPart extends PartProgress {
  readonly startedAt: Date;
  readonly at: Date;
}

export interface TimedPosition extends Position {
  /** When the source was asked. */
  readonly at: Date;
}

/** What gathered since the last write. A table that is planned anew forgets what was gathered of it. */
export interface Gathered {
  readonly planned: Map<string, TimedPlan>;
  /** By table, then part. */
  readonly parts: Map<string, Map<number, TimedPart>>;
  /** When each was. */
  readonly finished: Map<string, Date>;
  readonly counts: Map<string, ChangeCounts>;
  readonly batches: Omit<BatchProgress, 'tables'>[];
  /** The ledger's lines, by objectKey. */
  readonly objects: Map<string, TimedLine>;
  readonly journal: JournalEntry[];
  readonly conflicts: { readonly conflict: Conflict; readonly message: string; readonly at: Date }[];
  /** Tables of which a first part began, and when. */
  readonly begun: Map<string, Date>;
  position: TimedPosition | undefined;
  estimate: TimedEstimate | undefined;
  /** What the copy waits for now. */
  waits: { readonly lines: readonly string[]; readonly at: Date } | undefined;
}

export interface TimedEstimate extends CopyEstimate {
  readonly at: Date;
}

// The history that is kept; older batches go.
const keptBatches = 10_000;
const writeEveryMs = 250;
// Reckoned from memory, written with all else: one row, and those of the parts that are being copied.
const estimateEveryMs = 1_000;

function nothing(): Gathered {
  return {
    planned: new Map(),
    parts: new Map(),
    finished: new Map(),
    counts: new Map(),
    batches: [],
    objects: new Map(),
    journal: [],
    conflicts: [],
    begun: new Map(),
    position: undefined,
    estimate: undefined,
    waits: undefined,
  };
}

function isEmpty(gathered: Gathered): boolean {
  const { planned, parts, finished, counts, batches, objects, journal, position, estimate, waits } = gathered;
  if (gathered.conflicts.length > 0) return false;
  const sizes = [planned, parts, finished, counts, objects].reduce((sum, each) => sum + each.size, 0);
  return sizes + batches.length + journal.length === 0 && !position && !estimate && !waits;
}

const anyLimits: CopyLimits = { workers: 1, partsPerTable: 1, builders: 1, throttle: null };

/** Takes progress in at any speed and writes it behind. While the catalog is away it gathers, in bounded memory. */
export class Progress {
  readonly #pool: Pool;
  readonly #mirror: { readonly id: string; readonly name: string };
  readonly #log: Log;
  /** When each part of a table that is being copied began. */
  readonly #started = new Map<string, Map<number, Date>>();
  #limits = anyLimits;
  #tally = new CopyTally(anyLimits);
  #estimatedAt = Number.NEGATIVE_INFINITY;
  #gathered: Gathered = nothing();
  #writing: Promise<void> = Promise.resolve();

  constructor(pool: Pool, mirror: { readonly id: string; readonly name: string }, log: Log) {
    this.#pool = pool;
    this.#mirror = mirror;
    this.#log = log;
  }

  planned(table: string, plan: PlannedTable): void {
    this.#gathered.parts.delete(table);
    this.#gathered.finished.delete(table);
    const at = new Date();
    this.#gathered.planned.set(table, { ...plan, at });
    this.#started.delete(table);
    this.#tally.planned(table, plan.parts, at.getTime());
  }

  /** How the copy may go about it, which its end depends on. */
  limits(limits: CopyLimits): void {
    this.#limits = limits;
    this.#tally.limit(limits);
  }

  /** How many of the workers that it may have are at work. */
  workers(atWork: number): void {
    this.#tally.workers(atWork);
  }

  /** Tables that were copied before this process took the copy up. */
  before(finished: readonly FinishedTable[]): void {
    this.#tally.before(finished, Date.now());
  }

  /** What will be made after the load, and bytes of the tables that will be analyzed. */
  later(objects: readonly LaterObject[], analyzed: readonly number[]): void {
    this.#tally.later(objects, analyzed);
  }

  /** What the copy waits for at this moment; nothing: it goes on. */
  waits(lines: readonly string[]): void {
    this.#gathered.waits = { lines, at: new Date() };
  }

  /** Everything is copied and made: there is nothing more to reckon. */
  copyEnds(): void {
    this.#tally = new CopyTally(this.#limits);
  }

  part(table: string, part: number, now: PartProgress): void {
    const at = new Date();
    this.#tally.part(table, part, { ...now, at: at.getTime() });
    const before = this.#started.get(table);
    const started = before ?? new Map<number, Date>();
    if (before === undefined) {
      this.#started.set(table, started);
      this.#gathered.begun.set(table, at);
    }
    const startedAt = started.get(part) ?? at;
    started.set(part, startedAt);
    const parts = this.#gathered.parts.get(table) ?? new Map<number, TimedPart>();
    this.#gathered.parts.set(table, parts.set(part, { ...now, startedAt, at }));
  }

  finished(table: string): void {
    this.#gathered.finished.set(table, new Date());
    this.#started.delete(table);
  }

  batch(batch: BatchProgress): void {
    const { tables, ...facts } = batch;
    this.#gathered.batches.push(facts);
    if (this.#gathered.batches.length > keptBatches) this.#gathered.batches.shift();
    for (const [table, counts] of tables) addCounts(this.#gathered.counts, table, counts);
  }

  position(position: Position): void {
    this.#gathered.position = { ...position, at: new Date() };
  }

  objects(lines: readonly ObjectLine[]): void {
    const at = new Date();
    const { objects } = this.#gathered;
    this.#tally.objects(lines, at.getTime());
    for (const line of lines) {
      const key = objectKey(line);
      objects.set(key, afterLine(objects.get(key), { ...line, at }));
    }
  }

  conflict(conflict: Conflict, message: string): void {
    this.#gathered.conflicts.push({ conflict, message, at: new Date() });
  }

  /** @param once not again while the journal has it */
  note(message: string, { once = false }: { readonly once?: boolean } = {}): void {
    this.#gathered.journal.push({ event: 'note', message, mirror: this.#mirror, at: new Date(), once });
    if (this.#gathered.journal.length > 1_000) this.#gathered.journal.shift();
  }

  /** Writes a few times a second until stopped; then once more. Never throws: progress is for people, the target knows the truth. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(writeEveryMs, signal).catch(() => undefined);
      this.#estimate();
      await this.flush();
    }
  }

  #estimate(): void {
    const at = new Date();
    if (!this.#tally.begun || at.getTime() - this.#estimatedAt < estimateEveryMs) return;
    this.#estimatedAt = at.getTime();
    const estimate = this.#tally.estimate(at.getTime());
    if (estimate !== null) this.#gathered.estimate = { ...estimate, at };
  }

  /** Writes what has gathered; keeps it for the next time if the catalog is away. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (isEmpty(this.#gathered)) return;
    const taken = this.#gathered;
    this.#gathered = nothing();
    try {
      await this.#pool.transaction((db) => writeProgress(db, this.#mirror.id, { taken, keptBatches }));
    } catch (error) {
      this.#gathered = together(taken, this.#gathered);
      this.#log.debug({ err: toSluiceError(error) }, 'progress could not be written yet');
    }
  }
}

function addCounts(all: Map<string, ChangeCounts>, table: string, more: ChangeCounts): void {
  const before = all.get(table) ?? { inserts: 0, updates: 0, deletes: 0, truncates: 0, bytes: 0 };
  all.set(table, {
    inserts: before.inserts + more.inserts,
    updates: before.updates + more.updates,
    deletes: before.deletes + more.deletes,
    truncates: before.truncates + more.truncates,
    bytes: before.bytes + more.bytes,
  });
}

function together(older: Gathered, newer: Gathered): Gathered {
  for (const table of newer.planned.keys()) {
    older.parts.delete(table);
    older.finished.delete(table);
  }
  const parts = new Map(older.parts);
  for (const [table, fresh] of newer.parts) parts.set(table, new Map([...(parts.get(table) ?? []), ...fresh]));
  const objects = new Map(older.objects);
  for (const [key, line] of newer.objects) objects.set(key, afterLine(objects.get(key), line));
  const counts = new Map(older.counts);
  for (const [table, more] of newer.counts) addCounts(counts, table, more);
  return {
    planned: new Map([...older.planned, ...newer.planned]),
    parts,
    finished: new Map([...older.finished, ...newer.finished]),
    counts,
    batches: [...older.batches, ...newer.batches].slice(-keptBatches),
    objects,
    journal: [...older.journal, ...newer.journal].slice(-1_000),
    conflicts: [...older.conflicts, ...newer.conflicts].slice(-1_000),
    begun: new Map([...older.begun, ...newer.begun]),
    position: newer.position ?? older.position,
    estimate: newer.estimate ?? older.estimate,
    waits: newer.waits ?? older.waits,
  };
}
