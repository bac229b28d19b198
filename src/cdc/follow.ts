// The loop: takes what the stream brings, applies it in whole transactions, and only then lets the source forget it.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { pause } from '../base/retry.ts';
import type { Applied } from '../peers/apply.ts';
import { prepareEffects } from '../peers/apply-merge.ts';
import type { AppliedTable } from '../peers/apply-table.ts';
import type { TableCounts } from '../peers/apply-walk.ts';
import { CaughtUp } from '../peers/catch-up.ts';
import { ddlPrefix } from '../peers/ddl-capture.ts';
import type { Relation } from '../peers/pgoutput.ts';
import { judgeSteps } from '../peers/row-filter.ts';
import { remember } from '../peers/shape.ts';
import { tellSchemaChanges } from '../peers/told-changes.ts';
import { earlierLsn, type Lsn, laterLsn } from '../pg/lsn.ts';
import { showTable } from '../pg/table.ts';
import { Ahead } from './ahead.ts';
import { Gatherer } from './batch.ts';
import { decide, least } from './decide.ts';
import { Fitter } from './fitter.ts';
import { Intake } from './intake.ts';
import type { Listed } from './listed.ts';
import { Patience } from './patience.ts';
import type { Followed, Positions } from './positions.ts';
import type { Session } from './session.ts';
import { lookAgainMs, Settler } from './settler.ts';
import type { Batch, Stop } from './stops.ts';
import { addCounts, appliedBatch, type Times } from './tally.ts';
import type { Wake } from './wake.ts';

// Larger batches do not save more, and their bytes wait in memory.
const mostChanges = 20_000;
const leastPiece = 1_000;
const mostBytes = 4 * 1024 * 1024;
// Log between us and the source's end that is more than a few transactions on their way.
const backlogBytes = 256n * 1024n;
// An idle source's position is written down that often; more often while others fill the log that is kept for us.
const idleEveryMs = 10_000;
const fillingEveryMs = 1_000;
// Between a look at the source and the moment when the target has come to it.
const settleEveryMs = 20;
const fillingBytes = 1024n * 1024n;
// What is on its way to the target, where others wait for it to be undone.
const mostUndoneMs = 2_000;

export interface FollowDeps {
  readonly session: Session;
  readonly wake: Wake;
  readonly positions: Positions;
  /** Each source transaction by itself. */
  readonly careful: boolean;
  /** Nothing is applied before its commit until then (ms). */
  readonly aheadAfter: number;
}

/** Follows until the signal is aborted. @throws whatever ends the stream or the target; all that came whole before is applied first */
export async function follow(deps: FollowDeps, signal: AbortSignal): Promise<Followed> {
  const follower = new Follower(deps, await Settler.open(deps.session, signal), signal);
  const ring = () => deps.wake.ring();
  const { lost } = deps.session.applier;
  for (const each of [signal, lost]) each.addEventListener('abort', ring, { once: true });
  using patience = new Patience(signal, () => deps.session.applier.destroy());
  try {
    await follower.reportConsistent();
    return await follower.run(signal);
  } finally {
    for (const each of [signal, lost]) each.removeEventListener('abort', ring);
    await patience.with(follower.applying);
  }
}

class Follower {
  readonly #deps: FollowDeps;
  readonly #gatherer: Gatherer;
  readonly #intake: Intake;
  readonly #ahead: Ahead;
  readonly #fitter: Fitter;
  readonly #counts = new Map<AppliedTable, TableCounts>();
  #applying: Promise<void> | null = null;
  #failure: { readonly error: unknown } | undefined;
  /** What was applied before its commit would not end. */
  #cutOff = false;
  /** Why nothing more is read. */
  #ended: { readonly error: unknown } | { readonly restart: 'text' | 'tables' | 'ordered' } | undefined;
  #full = false;
  #consistent = false;
  #advancedAt = 0;
  /** Of the batch on its way. */
  #oldestApplied: Date | null = null;
  /** Of the batch on its way, whose earlier pieces may have gone there. */
  #stagedAt: number | null = null;
  readonly #settler: Settler | null;
  readonly #signal: AbortSignal;

  constructor(deps: FollowDeps, settler: Settler | null, signal: AbortSignal) {
    this.#deps = deps;
    this.#settler = settler;
    this.#signal = signal;
    deps.positions.oldestCommitAt = () => this.#oldestApplied ?? this.#gatherer.oldestCommitAt;
    deps.positions.unsettled = () => settler?.since ?? null;
    const { work, checkpoint, stream, streamed } = deps.session;
    this.#intake = new Intake(stream, streamed);
    const { max_batch_size: most, truncate } = work.options;
    const changes = deps.careful ? 1 : Math.min(mostChanges, most);
    const limits = { changes, piece: Math.max(leastPiece, changes), bytes: mostBytes };
    const ddl = settler === null ? null : ddlPrefix(work.id);
    this.#gatherer = new Gatherer({ limits, checkpoint, truncate, isEcho: deps.session.isEcho, ddlPrefix: ddl });
    const notBefore = deps.careful ? Number.POSITIVE_INFINITY : deps.aheadAfter;
    const parts = { session: deps.session, gatherer: this.#gatherer };
    this.#ahead = new Ahead({ ...parts, intake: this.#intake, notBefore });
    this.#fitter = new Fitter({
      ...{ ...parts, settler },
      bringBefore: () => this.#bringBefore(),
      know: (relation, met) => this.#know(relation, met),
      fail: (error) => {
        this.#failure = { error };
      },
    });
  }

  async run(signal: AbortSignal): Promise<Followed> {
    const { stream, work } = this.#deps.session;
    // An idle server tells how far it is when asked.
    stream.ask();
    this.#readAgain();
    await this.#applying;
    while (!signal.aborted) {
      this.#throwFailure();
      await this.#read();
      this.#throwFailure();
      // What was received since may be of tables that were none of ours: it comes again.
      const other = this.#isOther();
      if (other !== null) return other;
      const ended = this.#ended !== undefined;
      const behind = this.#isBehind();
      stream.busy = this.#applying !== null || behind;
      const decision = decide({
        applying: this.#applying !== null,
        changes: this.#gatherer.changes,
        waitingSince: this.#gatherer.waitingSince,
        full: this.#full,
        flowing: !ended && (stream.flowing || behind),
        now: Date.now(),
        syncIntervalMs: ended ? 0 : work.options.sync_interval * 1000,
      });
      if (decision.kind === 'apply') {
        this.#apply();
        continue;
      }
      if (ended && this.#applying === null) return this.#end();
      this.#readAgain();
      // While the target works, what comes next is made ready for it.
      if (this.#full && this.#applying !== null && !this.#deps.session.filtered) prepareEffects(this.#gatherer.peek());
      const left = this.#applying === null ? this.#ahead.leftMs(Date.now()) : null;
      if (left === 0) await this.#abandon();
      else await this.#deps.wake.wait(least(least(this.#settle(), left), this.#idle() ?? decision.ms));
    }
    return 'stopped';
  }

  /** What is on its way to the target; null: nothing is. */
  get applying(): Promise<void> | null {
    return this.#applying;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      // It may never be committed, or be told of others that are: then it is done in its turn, or fails there.
      if (this.#isTooEarly() && (this.#cutOff || toSluiceError(error).kind !== 'connection_lost')) {
        this.#ended = { restart: 'ordered' };
        return;
      }
      // Rows of what was detached a moment ago may have come under a wrong name; to a new walsender they are what they are.
      const stale = this.#fitter.restartAt !== null && this.#deps.positions.durable > this.#deps.session.checkpoint;
      if (!stale) throw error;
      this.#ended = { restart: 'tables' };
      return;
    }
    // A target that goes while there is nothing to apply is missed at once, not with the next change.
    if (this.#applying !== null || !this.#deps.session.applier.lost.aborted) return;
    throw new SluiceError('connection_lost', 'the connection to the target was lost');
  }

  #end(): Followed {
    const ended = this.#ended;
    if (ended === undefined || !('error' in ended)) return ended?.restart ?? 'text';
    if (ended.error instanceof CaughtUp) return 'caughtUp';
    const why = this.#deps.session.streamed?.failure ?? null;
    if (why === null || ended.error !== why) throw ended.error;
    return 'unstreamed';
  }

  // What is applied is not known to be committed.
  #isTooEarly(): boolean {
    return this.#ahead.isOn && this.#gatherer.isCut;
  }

  // Why what was received is of no use; null: it is.
  #isOther(): 'tables' | 'ordered' | null {
    const why = this.#ended !== undefined && 'restart' in this.#ended ? this.#ended.restart : null;
    return why === 'text' ? null : why;
  }

  // There was more a while ago than has come by now: a backlog, even if it comes slowly.
  #isBehind(): boolean {
    return this.#gatherer.reached + backlogBytes < this.#deps.positions.sourceEnd;
  }

  // Takes what is there, until a batch is full.
  async #read(): Promise<void> {
    try {
      while (this.#ended === undefined && this.#failure === undefined) {
        // Others do not wait until the target has taken what is too early.
        if (this.#full && this.#intake.lookBehind() !== 'disturbed') return;
        if (this.#full) await this.#abandon();
        const reading = await this.#intake.next();
        if (reading === undefined) {
          if (!this.#ahead.begin(Date.now())) return;
          continue;
        }
        if (reading === 'disturbed' || (reading === 'committed' && !(await this.#ahead.confirm())))
          await this.#abandon();
        if (typeof reading === 'string') continue;
        this.#ahead.read(Date.now());
        const stop = this.#gatherer.gather(reading.chunk, reading.at, Date.now());
        if (stop === null) {
          this.#intake.done();
          continue;
        }
        reading.at = stop.at;
        if (stop.kind === 'full') this.#full = true;
        else if (stop.kind === 'streamed') this.#intake.insert(stop.commit);
        else if (this.#ahead.isOn) await this.#meetAhead(stop);
        else if (stop.kind === 'ddl') await this.#ddl(stop);
        else await this.#meet(stop);
      }
    } catch (error) {
      this.#ended = { error };
    }
  }

  async #meetAhead(stop: Extract<Stop, { readonly kind: 'relation' | 'ddl' }>): Promise<void> {
    const ready = async () => void (await this.#applying);
    const met = stop.kind === 'relation' ? await this.#ahead.meet(stop.relation, ready) : null;
    if (met === null) await this.#abandon();
    else if (stop.kind === 'relation') this.#gatherer.know(stop.relation, met);
  }

  // What was applied before its commit is undone; it waits for that from here on.
  async #abandon(): Promise<void> {
    if (this.#gatherer.isCut) {
      await this.#undone();
      if (this.#failure !== undefined) return;
      await this.#deps.session.applier.undo();
      this.#counts.clear();
      this.#stagedAt = null;
    }
    this.#full = false;
    this.#ahead.abandon(Date.now());
  }

  // Its piece that is on its way may wait for somebody on the target; others must not wait for it.
  async #undone(): Promise<void> {
    if (this.#applying === null) return;
    const patience = new AbortController();
    const over = pause(mostUndoneMs, patience.signal)
      .then(() => true)
      .catch(() => false);
    this.#cutOff = await Promise.race([this.#applying.then(() => false), over]);
    patience.abort();
    if (this.#cutOff) this.#deps.session.applier.destroy();
    await this.#applying;
  }

  async #meet(stop: Extract<Stop, { readonly kind: 'relation' }>): Promise<void> {
    const same = this.#applying === null ? null : await this.#deps.session.relations.same(stop.relation, stop);
    if (same !== null) return this.#know(stop.relation, same);
    // The look at the target goes over the session that applies.
    await this.#applying;
    this.#throwFailure();
    if (this.#isOther() !== null) return;
    const met = await this.#fitter.fit(stop.relation, stop, (plan) => this.#fitter.reshape(plan, stop.finalLsn));
    this.#know(stop.relation, met);
  }

  #know(relation: Relation, met: AppliedTable | 'text' | null): void {
    if (met === 'text') this.#ended = { restart: 'text' };
    else this.#gatherer.know(relation, met);
  }

  // All that is before a change goes to the target first: whole transactions by themselves, so that they stay if it fails.
  async #bringBefore(): Promise<void> {
    const whole = this.#gatherer.take();
    if (whole !== null) await this.#applyBatch(whole);
    await this.#applyBatch(this.#gatherer.takeCut());
  }

  // A change of the schema at its place among the rows.
  async #ddl(stop: Extract<Stop, { readonly kind: 'ddl' }>): Promise<void> {
    await this.#applying;
    this.#throwFailure();
    if (this.#isOther() === null) await this.#fitter.ddl(stop);
  }

  // Nothing is on its way to the target, and no transaction stands open there, or may have to be undone.
  #isBetween(): boolean {
    return this.#applying === null && this.#ended === undefined && !this.#gatherer.isCut && !this.#ahead.isOn;
  }

  // What follows from changes of the schema when their rows are there; gives the time until it should be looked at again.
  #settle(): number | null {
    const settler = this.#settler;
    const listed = this.#readListed();
    if (settler === null || !this.#isBetween()) return listed;
    const { positions, session } = this.#deps;
    const next = settler.next(laterLsn(positions.durable, this.#gatherer.idleLsn ?? 0n));
    if (next === 'nothing') return listed;
    if (next === 'wait') {
      session.stream.ask();
      return settleEveryMs;
    }
    if (next === 'look') {
      this.#work(async () => {
        if (!(await settler.look(this.#signal))) await pause(lookAgainMs, this.#signal).catch(() => undefined);
      });
    }
    if (next === 'settle') this.#work(() => this.#bringTo(settler));
    return null;
  }

  async #bringTo(settler: Settler): Promise<void> {
    const place = { finalLsn: laterLsn(this.#deps.positions.durable, settler.lsn), lsn: settler.lsn };
    for (const relation of await this.#deps.session.relations.outdated()) {
      const restart = await this.#fitter.bring(relation, place);
      if (restart !== null) this.#ended = { restart };
    }
    if (this.#ended !== undefined) return;
    if ((await settler.settle(this.#signal)) === 'again') this.#ended = { restart: 'tables' };
    else await this.#tellChanges();
  }

  // Values of columns that the publication did not have yet; gives the time until it should be looked at again.
  #readListed(): number | null {
    const { watcher, stream } = this.#deps.session;
    if (!this.#isBetween()) return null;
    const lsn = laterLsn(this.#deps.positions.durable, this.#gatherer.idleLsn ?? 0n);
    const listed = watcher.listed.next(lsn);
    if (listed === null) return null;
    if (listed === 'wait') stream.ask();
    else this.#work(() => this.#bringListed(listed, lsn));
    return settleEveryMs;
  }

  async #bringListed(listed: Listed, lsn: Lsn): Promise<void> {
    const restart = await this.#fitter.readListed(listed, lsn);
    if (restart !== null) this.#ended = { restart };
    await this.#tellChanges();
  }

  // Rows of a partition that was emptied by itself, which no stream tells.
  #readAgain(): void {
    if (!this.#isBetween()) return;
    const written = this.#deps.session.watcher.written.next(Date.now());
    if (written === null) return;
    this.#work(async () => {
      if (!(await this.#fitter.readAgain(written, this.#deps.positions.durable))) return;
      await this.#tellChanges();
      // What was received meanwhile may be in what was read: it comes again, and is known as such.
      this.#ended ??= { restart: 'tables' };
    });
  }

  #apply(): void {
    const gatherer = this.#gatherer;
    // Whole transactions go before one that is too large, which then has a target transaction of its own.
    const cut = gatherer.overflows && gatherer.changes === 0;
    const batch = cut ? gatherer.takeCut() : gatherer.take();
    this.#full = gatherer.overflows && !cut;
    if (batch !== null) this.#work(() => this.#applyBatch(batch));
  }

  // One thing at a time goes to the target; reading goes on meanwhile.
  #work(task: () => Promise<void>): void {
    const { stream } = this.#deps.session;
    stream.busy = true;
    this.#applying = task()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#applying = null;
        stream.busy = false;
        this.#deps.wake.ring();
      });
  }

  async #applyBatch(batch: Batch): Promise<void> {
    const { applier, source, filtered } = this.#deps.session;
    this.#oldestApplied ??= batch.oldestCommitAt;
    const judged = filtered ? { ...batch, steps: await judgeSteps(source, batch.steps) } : batch;
    const applied = await this.#met(applier.apply(judged)); // 1. the target has it, crash or no crash
    const committedAt = new Date();
    addCounts(this.#counts, applied.tables);
    for (const step of batch.steps) if (step.kind === 'truncate') this.#deps.session.watcher.truncated(step);
    if (applied.stagedAt !== null) this.#stagedAt = applied.stagedAt;
    if (batch.endLsn === null) return;
    this.#oldestApplied = null;
    await this.#reached(batch.endLsn); // 2. only now may the source forget
    // A session that begins is told of tables that have left.
    if (this.#fitter.changed && this.#fitter.restartAt === null) await this.#tellChanges();
    if (this.#fitter.restartAt !== null && batch.endLsn > this.#fitter.restartAt) this.#ended ??= { restart: 'tables' };
    await this.#agree(batch.startLsn);
    const stagedAt = this.#stagedAt === null ? null : new Date(this.#stagedAt);
    const times = { stagedAt, mergedAt: new Date(applied.mergedAt), committedAt, acknowledgedAt: new Date() };
    this.#stagedAt = null;
    this.#report(batch, batch.endLsn, times);
  }

  // Rows that came from there on may say that a table agrees with what was seen of it.
  async #agree(startLsn: Lsn): Promise<void> {
    const { relations, applier, work } = this.#deps.session;
    const memories = [...this.#counts.keys()].flatMap((table) => {
      const shape = relations.came(table, startLsn);
      return shape === null ? [] : [{ table: showTable(table.from), shape }];
    });
    await remember(applier.connection, work, memories);
  }

  // What did not fit is told before the error ends all this.
  async #met(applying: Promise<Applied>): Promise<Applied> {
    try {
      return await applying;
    } catch (error) {
      const { applier, report } = this.#deps.session;
      if (applier.conflict !== null && !this.#isTooEarly())
        await report.conflict(applier.conflict, toSluiceError(error).message);
      throw error;
    }
  }

  // The journal is elsewhere: what it was not told before we were killed, it is told when the next session begins.
  async #tellChanges(): Promise<void> {
    const { applier, work, report } = this.#deps.session;
    await tellSchemaChanges(applier.connection, work, report);
    this.#fitter.changed = false;
  }

  async #reached(lsn: Lsn): Promise<void> {
    this.#deps.positions.durable = lsn;
    this.#advancedAt = Date.now();
    this.#deps.session.stream.acknowledge(lsn);
    await this.reportConsistent();
  }

  /** Says once that every table's snapshot is behind us. */
  async reportConsistent(): Promise<void> {
    const { consistentAt, report } = this.#deps.session;
    if (this.#consistent || this.#deps.positions.durable < consistentAt) return;
    this.#consistent = true;
    await report.consistent();
  }

  // Moves the checkpoint over log that held nothing for us; gives the time until it should be looked at again.
  #idle(): number | null {
    const lsn = this.#gatherer.idleLsn;
    const { positions } = this.#deps;
    if (this.#applying !== null || lsn === null || lsn <= positions.durable || this.#ended !== undefined) return null;
    const everyMs = lsn - positions.durable > fillingBytes ? fillingEveryMs : idleEveryMs;
    const wait = this.#consistent ? this.#advancedAt + everyMs - Date.now() : 0;
    if (wait > 0) return wait;
    this.#work(async () => {
      await this.#deps.session.applier.advance(lsn);
      await this.#reached(lsn);
    });
    return null;
  }

  #report(batch: Batch, endLsn: Lsn, times: Times): void {
    const { report } = this.#deps.session;
    const durableLsn = earlierLsn(endLsn, this.#settler?.since ?? endLsn);
    const told = appliedBatch(this.#counts, { ...batch, endLsn, durableLsn }, times);
    this.#counts.clear();
    void Promise.resolve(report.batch(told)).catch((error: unknown) => this.#fail(error));
    const skipped = this.#gatherer.takeSkippedTruncates();
    if (skipped === 0) return;
    const note = `${skipped} TRUNCATE of the source left out (option truncate = false)`;
    void report.note(note).catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#failure ??= { error: new SluiceError('internal', 'progress could not be reported', { cause: error }) };
    this.#deps.wake.ring();
  }
}
