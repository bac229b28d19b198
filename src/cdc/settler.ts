// What follows from changes of the schema once the rows around them are there: a look at the source, and the target brought to it.
import { toSluiceError } from '../base/errors.ts';
import { pause } from '../base/retry.ts';
import { applicationName, type MirroredTable } from '../mirror/work.ts';
import { compareToken } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { growTrees } from '../peers/ddl-input.ts';
import { inspectTables } from '../peers/inspect.ts';
import { forgetWish, readKnownObjects, wantLook } from '../peers/known-objects.ts';
import { findTables, type IdentityProblem, identityProblems, readRelations } from '../peers/preflight-tables.ts';
import { beginPartitions } from '../peers/standing-partitions.ts';
import { lookAtWhole, type SourceLook } from '../peers/whole-plan.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { showTable } from '../pg/table.ts';
import { joinTables } from './join-tables.ts';
import { endOfFlushedLog } from './look.ts';
import type { Session } from './session.ts';
import { rememberFirst, settleObjects } from './settle-objects.ts';
import { lookAtTables, settleTables, type TablesLook } from './settle-tables.ts';
import { lookAtUnlogged, tellUnlogged } from './settle-unlogged.ts';

/** What is to be done next; `wait`: the target has not come to where the look was taken. */
export type Next = 'nothing' | 'look' | 'wait' | 'settle';

// internal_error (a cache lookup failed, a relation cannot be opened), undefined_table, _object, _function, _column, schema.
const vanished: ReadonlySet<string> = new Set(['XX000', '42P01', '42704', '42883', '42703', '3F000']);
const mostTries = 20;
// After a look at what was changed meanwhile.
export const lookAgainMs = 50;

interface Looked {
  /** End of the source's log after it. */
  readonly lsn: Lsn;
  /** How many changes had been met before it. */
  readonly met: number;
  readonly tables: TablesLook;
  /** Null: tables come first. */
  readonly whole: SourceLook | null;
  /** What keeps the source from changing rows of tables that it publishes. */
  readonly problems: readonly IdentityProblem[];
  readonly unlogged: readonly MirroredTable[];
}

/**
 * What a change drops or loosens goes before the rows that follow; what it makes or tightens comes here, when the target has all
 * that the source had when it was looked at, and no other change was met since: then both mean the same.
 */
export class Settler {
  readonly #session: Session;
  /** Tables, by showTable of the target's names, that cannot get the names that they have on the source. */
  readonly #refused = new Set<string>();
  /** Where the first change lies that is not all made; null: there is none. */
  #since: Lsn | null;
  #met = 0;
  #looked: Looked | null = null;
  #tries = 0;
  /** Lines of the ledger of unlogged tables that came, by objectKey. */
  readonly #unlogged = new Set<string>();
  /** Of the last change that was met. */
  #lsn: Lsn;

  private constructor(session: Session, since: Lsn | null) {
    this.#session = session;
    this.#since = since;
    this.#lsn = session.checkpoint;
  }

  /** To be opened before anything is applied. Null: the mirror follows columns only, or nothing. */
  static async open(session: Session, signal: AbortSignal): Promise<Settler | null> {
    const { work, applier } = session;
    if (work.options.schema_changes !== 'full') return null;
    const known = await readKnownObjects(applier.connection, work);
    const { wanted, fresh } = known;
    const since = known.since ?? session.checkpoint;
    const settler = new Settler(session, wanted || fresh ? since : null);
    if (fresh) await settler.#begin(signal);
    const roots = work.tables.map(({ to }) => to);
    const target = applier.connection;
    await target.transaction(async () => {
      await compareToken(target, work);
      await beginPartitions(target, work, roots);
      if (wanted) await wantLook(target, work, since);
    });
    return settler;
  }

  async #begin(signal: AbortSignal): Promise<void> {
    while (this.#looked === null && !signal.aborted) {
      if (!(await this.look(signal))) await pause(lookAgainMs, signal).catch(() => undefined);
    }
    const { work, applier, report } = this.#session;
    const { whole } = this.#looked ?? { whole: null };
    this.#looked = null;
    if (whole !== null) await rememberFirst({ work, target: applier.connection, report, lsn: this.#lsn }, whole);
  }

  get lsn(): Lsn {
    return this.#lsn;
  }

  /** Where the first change lies that the target does not wholly have; null: it has all that were met. */
  get since(): Lsn | null {
    return this.#since;
  }

  /** A change was met at that place. */
  met(lsn: Lsn): void {
    this.#since ??= lsn;
    this.#met++;
    this.#lsn = lsn;
  }

  /** @param reached the target has all of the source's log up to there */
  next(reached: Lsn): Next {
    if (this.#since === null) return 'nothing';
    if (this.#looked === null || this.#looked.met !== this.#met) return 'look';
    return reached >= this.#looked.lsn ? 'settle' : 'wait';
  }

  /** Looks at the source as it is now. @returns false: it was changed under our eyes, and is to be looked at again a little later */
  async look(signal: AbortSignal): Promise<boolean> {
    return (await this.#whileItChanges(() => this.#look(signal))) !== null;
  }

  // What a server says of objects that went between two questions about them.
  async #whileItChanges<T>(work: () => Promise<T>): Promise<{ readonly done: T } | null> {
    try {
      const done = await work();
      this.#tries = 0;
      return { done };
    } catch (error) {
      const known = toSluiceError(error);
      if (known.kind !== 'upstream' || !vanished.has(known.sqlstate) || ++this.#tries > mostTries) throw known;
      this.#looked = null;
      return null;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { work, relations } = this.#session;
    const met = this.#met;
    await using source = await connectPeer(work.source, { application: applicationName('settle', work) }, signal);
    const tables = await lookAtTables(source, work, { shapes: relations.shapes, refused: this.#refused });
    const { whole, problems } = isOther(tables) ? { whole: null, problems: [] } : await this.#lookAtWhole(source);
    const unlogged = await lookAtUnlogged(source, work);
    const lsn = await endOfFlushedLog(source);
    this.#looked = { lsn, met, tables, whole, problems, unlogged };
  }

  async #lookAtWhole(source: Connection): Promise<Pick<Looked, 'whole' | 'problems'>> {
    const { work } = this.#session;
    const roots = await inspectTables(
      source,
      work.tables.map(({ from }) => from),
      { sizes: false },
    );
    const { version } = this.#session;
    const found = findTables(work, roots, await readRelations(source, roots));
    const problems = found.flatMap((each) => identityProblems(each, version));
    if (work.options.schema !== 'full') return { whole: null, problems };
    return { whole: await lookAtWhole(source, work, await growTrees(source, work.tables, roots)), problems };
  }

  /**
   * Brings the target to the look. Its session must have no open transaction, and nothing may be applied meanwhile.
   * @returns whether tables came or went: then nothing that was received may be applied before the mirror has begun again
   */
  async settle(signal: AbortSignal): Promise<'done' | 'again'> {
    return (await this.#whileItChanges(() => this.#settle(signal)))?.done ?? 'done';
  }

  async #settle(signal: AbortSignal): Promise<'done' | 'again'> {
    const looked = this.#looked;
    if (looked === null) return 'done';
    const { work, applier, report, relations } = this.#session;
    const target = applier.connection;
    const deps = { work, target, report, lsn: this.#lsn };
    const changed = await settleTables({ ...deps, shapes: relations.shapes }, looked.tables);
    if (changed.length > 0) return 'again';
    if (looked.tables.renamed.length > 0) {
      for (const { was } of looked.tables.renamed) this.#refused.add(showTable(was.to));
      this.#looked = null;
      return 'done';
    }
    if (looked.tables.come.length > 0) {
      await using source = await connectPeer(work.source, { application: applicationName('settle', work) }, signal);
      const joined = await joinTables({ work, source, target, report, signal }, looked.tables.come);
      if (joined.length > 0) return 'again';
    }
    for (const { table, why, mend } of looked.problems)
      await report.noteOnce(
        `the source refuses updates and deletes of ${table}, as it is published: ${why}. To mend it, on the source: ${mend}`,
      );
    await tellUnlogged(deps, looked.unlogged, this.#unlogged);
    if (looked.whole !== null) await settleObjects(deps, looked.whole);
    else await forgetWish(target, work);
    return this.#done();
  }

  #done(): 'done' {
    this.#since = null;
    this.#looked = null;
    return 'done';
  }
}

function isOther({ gone, attached, renamed }: TablesLook): boolean {
  return gone.length + attached.length + renamed.length > 0;
}
