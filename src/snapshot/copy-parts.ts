// Copies parts over a pair of connections, telling how far they are and what is in their way.
import { SluiceError } from '../base/errors.ts';
import { feedbackRemedy } from '../peers/checks.ts';
import type { Connection } from '../pg/client.ts';
import { type Copied, relayCopies } from '../pg/copy.ts';
import type { Lsn } from '../pg/lsn.ts';
import { ident } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import type { CopiedColumns } from './columns.ts';
import type { SnapshotDeps } from './deps.ts';
import { type Part, showPart } from './plan.ts';
import { copyIn, copyOut, countOut, fillIn } from './statements.ts';
import type { Storage } from './storage.ts';
import { during } from './trees.ts';

/** How far the copy of the mirror's tables is, shared by its workers. */
export interface CopyState {
  /** By showTable of the source's name. */
  readonly columns: ReadonlyMap<string, CopiedColumns>;
  /** Parts that are not committed yet, by table. */
  readonly outstanding: Map<string, number>;
  /** Where the source's tables lay before the snapshot was taken. */
  readonly storage: Storage;
  /** Tables that were rewritten since the snapshot, with what was found out. */
  readonly rewritten: Map<string, unknown>;
  /** Of the snapshot. */
  readonly snapshotLsn: Lsn | null;
  /** Told of bytes that come through. */
  readonly passed: (bytes: number) => void;
}

export interface WorkerPair extends AsyncDisposable {
  readonly source: Connection;
  readonly target: Connection;
}

export interface DonePart {
  readonly part: Part;
  readonly rows: number;
  readonly bytes: number;
}

const reportEveryMs = 250;

/**
 * Copies parts one after another, in one go; those that are rows without columns after the others.
 * @throws what the servers say, with table and part; both connections are broken off then, as by `relayCopies`
 */
export async function copyParts(
  deps: SnapshotDeps,
  pair: WorkerPair,
  run: { readonly parts: readonly Part[]; readonly state: CopyState; readonly signal: AbortSignal },
): Promise<readonly DonePart[]> {
  const { state, signal } = run;
  const parts = run.parts.filter((part) => columnsOf(state, part).names.length > 0);
  const telling = new Telling(deps, parts);
  let failed = 0;
  let copied: readonly Copied[];
  telling.begin(0);
  try {
    copied = await relayCopies(
      {
        source: pair.source,
        target: pair.target,
        steps: parts.map((part) => {
          const columns = columnsOf(state, part);
          return { sourceSql: copyOut(part, columns), targetSql: copyIn(part, columns) };
        }),
        onBytes: (step, bytes, messages) => {
          state.passed(bytes);
          telling.passed(step, { rows: messages, bytes });
        },
        onPassed: (step) => telling.end(step),
        onFailure: (step) => {
          failed = step;
        },
        pace: (passed) => deps.throttle?.pass(passed, signal),
      },
      signal,
    );
  } catch (error) {
    const part = parts[failed];
    throw part === undefined ? error : duringPart(part, state, error);
  } finally {
    await telling.told();
  }
  const done = parts.map((part, step): DonePart => ({ part, ...(copied[step] ?? { rows: 0, bytes: 0 }) }));
  for (const part of run.parts.filter((each) => !parts.includes(each)))
    done.push({ part, ...(await copyRowsWithoutColumns(pair, part, state)) });
  return done;
}

function duringPart(part: Part, state: CopyState, error: unknown): SluiceError {
  const what = `table ${showTable(part.mapping.from)}, part ${part.number} (${showPart(part)})`;
  const columns = state.columns.get(showTable(part.mapping.from));
  const hint = newLabelHint(columns, error) ?? nameHint(columns, error);
  // Where it ends the session, the server's own hint is that one may connect again.
  return during(what, error, hint, recoveryHint(error));
}

function columnsOf(state: CopyState, part: Part): CopiedColumns {
  const columns = state.columns.get(showTable(part.mapping.from));
  if (columns === undefined) throw new SluiceError('internal', 'a part of an unknown table');
  return columns;
}

/** Tells of parts as their rows pass, in order, and of each not more often than somebody reads it. */
class Telling {
  readonly #deps: SnapshotDeps;
  readonly #parts: readonly Part[];
  #now = { rows: 0, bytes: 0 };
  #toldAt = 0;
  #busy = false;
  #last: Promise<void> = Promise.resolve();

  constructor(deps: SnapshotDeps, parts: readonly Part[]) {
    this.#deps = deps;
    this.#parts = parts;
  }

  begin(step: number): void {
    this.#now = { rows: 0, bytes: 0 };
    this.#tell(step);
  }

  passed(step: number, more: { readonly rows: number; readonly bytes: number }): void {
    this.#now = { rows: this.#now.rows + more.rows, bytes: this.#now.bytes + more.bytes };
    if (!this.#busy && Date.now() - this.#toldAt >= reportEveryMs) this.#tell(step);
  }

  end(step: number): void {
    this.#tell(step);
    this.begin(step + 1);
  }

  /** When all that was told has been heard. */
  async told(): Promise<void> {
    await this.#last;
  }

  #tell(step: number): void {
    const part = this.#parts[step];
    if (part === undefined) return;
    const now = { state: 'copying', ...this.#now } as const;
    this.#toldAt = Date.now();
    this.#busy = true;
    const telling = this.#last
      .then(() => this.#deps.report.part(part.mapping, part.number, now))
      .catch((error: unknown) => this.#deps.log.warn({ err: error }, 'progress was not taken'))
      .finally(() => {
        if (this.#last === telling) this.#busy = false;
      });
    this.#last = telling;
  }
}

async function copyRowsWithoutColumns(pair: WorkerPair, part: Part, state: CopyState): Promise<Copied> {
  try {
    const { n } = await pair.source.one<{ n: string }>(countOut(part));
    const rows = Number(n);
    if (rows > 0) await pair.target.run(fillIn(part, rows));
    return { rows, bytes: 0 };
  } catch (error) {
    throw duringPart(part, state, error);
  }
}

// Who only reads is refused as a serialization failure by a standby alone, whose replay would take away rows that it reads.
function recoveryHint(error: unknown): string | undefined {
  if (!(error instanceof SluiceError) || error.kind !== 'upstream' || error.sqlstate !== '40001') return undefined;
  return `The source is a standby, and its primary has removed rows that the copy still reads: it begins again by itself. ${feedbackRemedy}`;
}

// An enum of the source may have been given a label after the target's was made or looked at.
function newLabelHint(columns: CopiedColumns | undefined, error: unknown): string | undefined {
  const invalidText = error instanceof SluiceError && error.sqlstate === '22P02';
  if (!invalidText || columns === undefined || columns.enums.length === 0) return undefined;
  const statements = columns.enums.map((type) => `ALTER TYPE ${type} ADD VALUE …;`).join(' ');
  return `A label that is new on the source must be on the target as well: ${statements} then RESUME MIRROR.`;
}

// A function, an operator, a relation, another object, a schema.
const notThere: ReadonlySet<string> = new Set(['42883', '42P01', '42704', '3F000']);

// The value of a regclass is a name, which the target must know by then.
function nameHint(columns: CopiedColumns | undefined, error: unknown): string | undefined {
  const unknown = error instanceof SluiceError && notThere.has(error.sqlstate);
  if (!unknown || columns === undefined || columns.naming.length === 0) return undefined;
  const which = columns.naming.map((name) => ident(name).text).join(', ');
  return `Values of ${which} name objects: make on the target what this one names, under that very name, and RESUME MIRROR; or create the mirror anew and exclude the column.`;
}
