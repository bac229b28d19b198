// What the target needs before rows fit: its tables changed, at the place of the change among the rows.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { AppliedTable } from '../peers/apply-table.ts';
import { followDdl } from '../peers/ddl-follow.ts';
import { isRefresh, readDdlMessage } from '../peers/ddl-message.ts';
import type { Relation } from '../peers/pgoutput.ts';
import { type Memory, writeMemories } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { showTable, type TableName } from '../pg/table.ts';
import type { Gatherer } from './batch.ts';
import { settleLabels } from './labels.ts';
import type { Listed } from './listed.ts';
import { isUnfit, type Place } from './relations.ts';
import { reshape, type TablePlan } from './reshape.ts';
import type { Session } from './session.ts';
import { lookAgainMs, type Settler } from './settler.ts';
import type { Stop } from './stops.ts';
import { toBeRead, type Written } from './written.ts';

// Changes of one table before one row of it.
const mostReshapes = 8;

export interface FitterDeps {
  readonly session: Session;
  readonly gatherer: Gatherer;
  /** Of `schema_changes = 'full'`. */
  readonly settler: Settler | null;
  /** Brings all that was gathered to the target. */
  readonly bringBefore: () => Promise<void>;
  /** What another relation of the same table is by now. */
  readonly know: (relation: Relation, met: AppliedTable | 'text' | null) => void;
  /** The target's transaction stands open with half of a source transaction: nothing more may be applied. */
  readonly fail: (error: unknown) => void;
}

export class Fitter {
  readonly #deps: FitterDeps;
  /** The schema was changed in the target's transaction, or in one before, and the journal does not know. */
  changed = false;
  /** Behind the transaction that ends there the stream must begin again. */
  restartAt: Lsn | null = null;

  constructor(deps: FitterDeps) {
    this.#deps = deps;
  }

  /**
   * Changes the target by `change` until it takes rows of the relation.
   * @returns as RelationBook.meet
   * @throws whatever keeps the target from being changed; `fail` is told
   */
  async fit(
    relation: Relation,
    at: Pick<Place, 'xid' | 'finalLsn' | 'exact'>,
    change: (plan: TablePlan) => Promise<boolean>,
  ): Promise<AppliedTable | null | 'text'> {
    const { relations } = this.#deps.session;
    let met = await relations.meet(relation, { ...at, reshaped: false, settled: false });
    let before = '';
    let recopied: TableName | null = null;
    for (let tries = 1; isUnfit(met); tries++) {
      try {
        if (await change(met.plan)) recopied = met.plan.mirrored.from;
        // The source may have gone on meanwhile; but what could not be done once is not tried for ever.
        const asked = JSON.stringify(met.plan.changes);
        const settled = (asked === before && !met.plan.unclear) || tries === mostReshapes;
        before = asked;
        met = await relations.meet(relation, { ...at, reshaped: true, settled });
      } catch (error) {
        // The target's transaction stands open with half of a source transaction: nothing more may be applied.
        this.#deps.fail(error);
        throw error;
      }
    }
    // The copy is of a later moment than what other partitions, each a relation of its own, were met for.
    for (const other of recopied === null ? [] : this.#deps.gatherer.relationsOf(recopied)) {
      if (other.oid === relation.oid) continue;
      const again = await relations.meet(other, { ...at, exact: false, reshaped: true, settled: true });
      if (isUnfit(again))
        throw new SluiceError('internal', 'a table that was copied anew does not fit what is before it');
      this.#deps.know(other, again);
    }
    return met;
  }

  /** Changes a table of the target behind all that was gathered. True: it was read whole again. */
  async reshape(plan: TablePlan, lsn: Lsn): Promise<boolean> {
    await this.#deps.bringBefore();
    return await this.change(plan, lsn);
  }

  /** Changes a table of the target where it stands. True: it was read whole again. */
  async change(plan: TablePlan, lsn: Lsn): Promise<boolean> {
    const { session, gatherer, settler } = this.#deps;
    const { work, source, applier, relations } = session;
    const mirroredBy = settler === null ? undefined : (oid: number) => relations.mirroredBy(oid);
    const done = await applier.change((target) => reshape({ work, source, target, mirroredBy }, plan), {
      table: showTable(plan.mirrored.from),
      lsn,
    });
    this.changed = true;
    if (done.recopied !== null) {
      relations.recopied(plan.mirrored, done.recopied);
      // Rows of what is a partition by then are in the copy.
      if (done.recopied.attached.length > 0) gatherer.replace((table) => relations.reread(table));
    }
    for (const note of done.notes) await session.report.note(note);
    this.#leave(done.left, lsn);
    await this.#reread(done.reread, { xid: plan.xid, lsn });
    return done.recopied !== null;
  }

  /**
   * Brings a table of the target to what its relation is on the source now. The target's session must have no open transaction.
   * @param at `lsn`: what the change is told of
   * @returns why the stream must begin again; null: it need not
   */
  async bring(
    relation: Relation,
    { finalLsn, lsn }: { readonly finalLsn: Lsn; readonly lsn: Lsn },
  ): Promise<'text' | 'tables' | null> {
    const { session, gatherer } = this.#deps;
    const { applier, relations } = session;
    const at = { xid: gatherer.xid, finalLsn, exact: true };
    const met = await this.fit(relation, at, (plan) => this.change(plan, lsn));
    if (met === null || met === 'text') return met;
    const name = showTable(met.from);
    const shape = relations.shapes.get(name);
    await this.#remember(name, lsn, shape === undefined ? {} : { shape });
    await applier.settled();
    // A type that only got another name is no news to the stream: rows that follow, and some are here, go on as before.
    return gatherer.hasOtherTypes(met) ? 'tables' : null;
  }

  /** Reads what columns had before the publication got them, and makes those that are not there. @returns as `bring` */
  async readListed(listed: Listed, reached: Lsn): Promise<'text' | 'tables' | null> {
    const { session, gatherer } = this.#deps;
    const { applier, relations, watcher, source } = session;
    if (!(await watcher.listed.isAsSeen(source, listed))) return null;
    await settleLabels({ source, target: applier.connection }, session.work, listed);
    const name = showTable(listed.mirrored.from);
    // A copy that was made later has them.
    const isCopied = relations.isAhead(listed.mirrored, listed.seen?.lsn ?? reached);
    const outdated = isCopied ? [] : (await relations.outdated()).filter(({ oid }) => oid === listed.oid);
    const there = new Set(relations.shapes.get(name)?.columns.map(({ attnum }) => attnum));
    let restart: 'text' | 'tables' | null = null;
    // What is made anew is read with that.
    for (const relation of outdated) restart = await this.bring(relation, { finalLsn: reached, lsn: reached });
    // It may not have been made yet: the session that comes does that, and reads it.
    if (restart === 'text') return restart;
    const known = isCopied ? [] : listed.columns.filter((attnum) => there.has(attnum));
    const plan = known.length === 0 ? null : await relations.fetching(listed.mirrored, known, gatherer.xid);
    // What was received meanwhile may be in a table that was read whole.
    if (plan !== null && (await this.change(plan, reached))) restart ??= 'tables';
    await this.#remember(name, reached, { unread: watcher.listed.read(listed) });
    await applier.settled();
    return restart;
  }

  /** Reads a table whole again, of which a partition has rows that no stream told. @returns false: it is to be looked at a little later */
  async readAgain(written: Written, lsn: Lsn): Promise<boolean> {
    const { session, gatherer } = this.#deps;
    const { watcher, relations, applier, report } = session;
    const from = Date.now();
    const plan = await relations.rereading(written.mirrored, gatherer.xid, 'later');
    if (plan !== null) {
      await report.note(toBeRead(written));
      await this.change(plan, lsn);
      await applier.settled();
    }
    watcher.written.read(written, { from, to: plan === null ? from + lookAgainMs : Date.now() });
    return plan !== null;
  }

  async #remember(table: string, lsn: Lsn, memory: Omit<Memory, 'table'>): Promise<void> {
    const { applier, work } = this.#deps.session;
    const write = async (target: Connection) => {
      await writeMemories(target, work, [{ table, ...memory }]);
      return { what: '', statements: [] };
    };
    await applier.change(write, { table, lsn });
  }

  // Their rows come with all others of theirs, when they join anew.
  #leave(tables: readonly MirroredTable[], lsn: Lsn): void {
    const { session, gatherer } = this.#deps;
    for (const { from } of tables) {
      for (const relation of gatherer.relationsOf(from)) gatherer.know(relation, null);
      session.relations.leave(from);
      this.restartAt = lsn;
    }
  }

  // What was read as of a later place than that has all that it is read for.
  async #reread(tables: readonly MirroredTable[], { xid, lsn }: { xid: number; lsn: Lsn }): Promise<void> {
    const { relations } = this.#deps.session;
    for (const mirrored of tables) {
      const plan = relations.isAhead(mirrored, lsn) ? null : await relations.rereading(mirrored, xid, 'now');
      if (plan !== null) await this.change(plan, lsn);
    }
  }

  /** A change of the schema, in the words of the source's event trigger. @throws as `fit` */
  async ddl({ content, finalLsn, xid }: Extract<Stop, { readonly kind: 'ddl' }>): Promise<void> {
    const { session, gatherer, settler, bringBefore, fail } = this.#deps;
    const { work, applier, relations, report } = session;
    try {
      await bringBefore();
      const message = readDdlMessage(content);
      const mirroredBy = (oid: number) => relations.mirroredBy(oid);
      const isAhead = (mirrored: MirroredTable) => relations.isAhead(mirrored, finalLsn);
      const place = { table: '', lsn: finalLsn };
      const isSettled = (mirrored: MirroredTable) => relations.isSettled(mirrored, { xid, finalLsn });
      const done = await applier.change(
        (target) => followDdl({ work, target, mirroredBy, isAhead, isSettled, place: finalLsn }, message),
        place,
      );
      this.changed = true;
      this.#leave(done.left, finalLsn);
      await this.#reread(done.reread, { xid, lsn: finalLsn });
      if (done.reread.length > 0) gatherer.replace((table) => relations.reread(table));
      if (done.renamed.size > 0) gatherer.replace((table) => relations.withTypes(table, done.renamed));
      for (const note of done.notes) await report.note(note);
      if (!isRefresh(message)) settler?.met(finalLsn);
      // Before 15 a walsender keeps to what a table was when its first row came, as long as it lives: rows of what was a partition
      // are its table's, and those of what was none and is not published are not told.
      if (done.moved && session.version < 150_000) this.restartAt = finalLsn;
    } catch (error) {
      // As where a row does not fit.
      fail(error);
      throw error;
    }
  }
}
