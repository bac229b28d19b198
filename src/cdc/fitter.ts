// What the target needs before rows fit: its tables changed, at the place of the change among the rows.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { AppliedTable } from '../peers/apply-table.ts';
import { followDdl } from '../peers/ddl-follow.ts';
import { isRefresh, readDdlMessage } from '../peers/ddl-message.ts';
import type { Relation } from '../peers/pgoutput.ts';
import type { Lsn } from '../pg/lsn.ts';
import { showTable, type TableName } from '../pg/table.ts';
import type { Gatherer } from './batch.ts';
import { isUnfit, type Place } from './relations.ts';
import { reshape, type TablePlan } from './reshape.ts';
import type { Session } from './session.ts';
import type { Settler } from './settler.ts';
import type { Stop } from './stops.ts';

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
    return done.recopied !== null;
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
      const done = await applier.change(
        (target) => followDdl({ work, target, mirroredBy, isAhead, place: finalLsn }, message),
        place,
      );
      this.changed = true;
      for (const mirrored of done.reread) {
        const plan = await relations.rereading(mirrored, xid, false);
        if (plan !== null) await this.change(plan, finalLsn);
      }
      if (done.reread.length > 0) gatherer.replace((table) => relations.reread(table));
      if (done.renamed.size > 0) gatherer.replace((table) => relations.withTypes(table, done.renamed));
      for (const note of done.notes) await report.note(note);
      if (!isRefresh(message)) settler?.met(finalLsn);
      // Before 15 a walsender takes rows of what was a partition for its table's as long as it lives.
      if (done.detached && session.version < 150_000) this.restartAt = finalLsn;
    } catch (error) {
      // As where a row does not fit.
      fail(error);
      throw error;
    }
  }
}
