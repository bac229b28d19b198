// A large transaction that is still open on the source is applied as it comes, where nothing else comes: its commit then has little
// left to do. All of it is kept as well, so that what was done too early can be undone and done again.
import type { AppliedTable } from '../peers/apply-table.ts';
import type { Relation } from '../peers/pgoutput.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, laterLsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';
import type { Gatherer } from './batch.ts';
import type { Intake } from './intake.ts';
import { isUnfit } from './relations.ts';
import type { Session } from './session.ts';

// Nothing came of it for so long: the target must not be kept waiting in the middle of a transaction.
const mostIdleMs = 5_000;
// After one that could not be finished so: what others commit meanwhile is likely to go on.
const leastRestMs = 250;
const mostRestMs = 60_000;

export interface AheadDeps {
  readonly session: Session;
  readonly gatherer: Gatherer;
  readonly intake: Intake;
  /** Not before (ms). */
  readonly notBefore: number;
}

/** What goes to the target before its commit is known, one transaction at a time. */
export class Ahead {
  readonly #deps: AheadDeps;
  #notBefore: number;
  #restMs = 0;
  #atLeast: Lsn = 0n;
  #xid = 0;
  readonly #described = new Map<number, Relation>();
  #forget = () => {};
  #readAt = 0;

  constructor(deps: AheadDeps) {
    this.#deps = deps;
    this.#notBefore = deps.notBefore;
  }

  /** Whether there is one. */
  get isOn(): boolean {
    return this.#deps.intake.isAhead;
  }

  /** How long it may go on without news (ms); null: there is none. */
  leftMs(now: number): number | null {
    return this.isOn ? Math.max(0, this.#readAt + mostIdleMs - now) : null;
  }

  /** Something of it was read. */
  read(now: number): void {
    this.#readAt = now;
  }

  /** Begins where a transaction may be read ahead. */
  begin(now: number): boolean {
    const { intake, gatherer, session } = this.#deps;
    // The end of what came after its commit may be on its way.
    if (now < this.#notBefore || gatherer.isInside) return false;
    const xid = intake.beginAhead();
    if (xid === null) return false;
    this.#xid = xid;
    this.#atLeast = laterLsn(gatherer.reached, session.checkpoint);
    this.#described.clear();
    this.#forget = session.relations.save();
    this.#readAt = now;
    gatherer.beginAhead(xid, this.#atLeast, now);
    return true;
  }

  /**
   * A relation of it, as RelationBook.meet gives it; null: its rows must wait for the commit. What the transaction did to its tables
   * nobody else sees before that. `ready`: the target's session can be asked.
   */
  async meet(relation: Relation, ready: () => Promise<void>): Promise<AppliedTable | null> {
    const { relations, source } = this.#deps.session;
    const xid = this.#xid;
    this.#described.set(relation.oid, relation);
    // It would wait for the transaction's locks as well.
    if (await changesTables(source, xid)) return null;
    let met = await relations.same(relation, { xid, open: true });
    if (met === null) {
      await ready();
      const place = { xid, finalLsn: this.#atLeast, reshaped: false, settled: false, open: true };
      const found = await relations.meet(relation, place).catch(() => null);
      if (found === null || found === 'text' || isUnfit(found)) return null;
      met = found;
    }
    // Whether its rows are in the copy only the commit tells.
    return met.snapshotLsn !== null && met.snapshotLsn > this.#atLeast ? null : met;
  }

  /** It was committed. False: it must be undone, as its tables are others now that all can see what it did. */
  async confirm(): Promise<boolean> {
    const { gatherer, intake, session } = this.#deps;
    for (const relation of this.#described.values()) {
      if ((await session.relations.same(relation, { xid: this.#xid })) === null) return false;
    }
    gatherer.confirm(intake.confirm());
    this.#restMs = 0;
    return true;
  }

  /** It waits for its commit from here on, and what was learned of its tables is forgotten. */
  abandon(now: number): void {
    const { gatherer, intake } = this.#deps;
    gatherer.abandon();
    intake.abandon();
    this.#restMs = Math.min(mostRestMs, Math.max(leastRestMs, this.#restMs * 2));
    this.#notBefore = now + this.#restMs;
    this.#forget();
  }
}

// Whether it holds a lock that a change of a table takes. Of a standby's source nobody can say.
async function changesTables(source: Connection, xid: number): Promise<boolean> {
  const { locks } = await source.one<{ locks: boolean }>(sql`select pg_catalog.pg_is_in_recovery() or exists (
      select from pg_catalog.pg_locks own join pg_catalog.pg_locks held
        on held.pid = own.pid and held.locktype = 'relation' and held.mode = 'AccessExclusiveLock' and held.granted
      where own.locktype = 'transactionid' and own.transactionid = ${String(xid)}::xid and own.mode = 'ExclusiveLock'
    ) as locks`);
  return locks;
}
