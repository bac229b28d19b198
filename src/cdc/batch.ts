// Gathers the stream into whole source transactions. Pure: bytes and times in, pieces out.
import type { AppliedTable } from '../peers/apply-table.ts';
import { messageOffset, type Relations, type Step, type TruncateStep, walData } from '../peers/apply-walk.ts';
import {
  type LogicalMessage,
  type Origin,
  type Relation,
  readLength,
  readMessage,
  readMicroseconds,
  readTime,
  readUint64,
  type StreamCommit,
  type Truncate,
  tags,
} from '../peers/pgoutput.ts';
import { type Lsn, laterLsn } from '../pg/lsn.ts';
import { sameTable, type TableName } from '../pg/table.ts';
import { addItem, empty, type Gathered, merge, none, steps, wholeTables } from './gathered.ts';
import type { Batch, GathererOptions, Stop } from './stops.ts';

interface Ended {
  readonly tx: Gathered;
  readonly endLsn: Lsn;
  readonly committedAt: number;
  readonly receivedAt: number;
}

/** The open end of the stream: what was received and not yet taken. */
export class Gatherer {
  readonly #options: GathererOptions;
  #relations: Relations = new Map();
  #messages = new Map<number, string>();
  /** Described among rows that are left out, of which the target has more than that by now: met with the first row that counts. */
  readonly #later = new Map<number, Relation>();
  #done: Gathered = empty(new Map(), 0n);
  #peeked: { readonly of: Gathered; readonly size: string; readonly steps: readonly Step[] } | null = null;
  #tx: Gathered = empty(new Map(), 0n);
  /** Commit position of the open transaction. */
  #begin: Lsn | null = null;
  /** The open transaction came from our target. */
  #echo = false;
  /** Number of the open transaction, or of the last. */
  #xid = 0;
  /** What relations were before a transaction that may be abandoned. */
  #known: { readonly relations: Relations; readonly messages: Map<number, string> } | null = null;
  /** A piece of the open transaction was taken: the target's transaction waits for the rest. */
  #cut = false;
  #transactions = 0;
  #startLsn: Lsn | null = null;
  #endLsn: Lsn | null = null;
  #receivedAt: number | null = null;
  #committedAt: number | null = null;
  /** When the oldest that waits, or is open, was committed. */
  #oldest: number | null = null;
  /** When the open one was. */
  #beginTime = 0;
  /** An ended transaction that does not fit to those that wait: it is the next to wait. */
  #held: Ended | null = null;
  #begunAt = 0;
  #keepalive: Lsn | null = null;
  #reached: Lsn = 0n;
  #skippedTruncates = 0;

  constructor(options: GathererOptions) {
    this.#options = options;
  }

  /** How far the stream has come: the end of the last transaction, or what the server said. */
  get reached(): Lsn {
    return this.#reached;
  }

  /** Number of the open transaction, or of the last. */
  get xid(): number {
    return this.#xid;
  }

  /** Ended transactions that wait. */
  get transactions(): number {
    return this.#transactions;
  }

  /** Changes of ended transactions that wait. */
  get changes(): number {
    return this.#done.changes + this.#done.steps;
  }

  /** When the oldest ended transaction that waits was received, in ms; null: none does. */
  get waitingSince(): number | null {
    return this.#transactions > 0 ? this.#receivedAt : null;
  }

  /** When the oldest transaction that waits, or whose beginning has come, was committed on the source; null: none is here. */
  get oldestCommitAt(): Date | null {
    return this.#oldest === null ? null : readTime(this.#oldest);
  }

  /** Truncates that were left out since last asked. */
  takeSkippedTruncates(): number {
    const skipped = this.#skippedTruncates;
    this.#skippedTruncates = 0;
    return skipped;
  }

  /**
   * The position that is reached when nothing waits: the end of the last empty transaction, or the server's word that there is
   * nothing before it. Null while a transaction waits or is open.
   */
  get idleLsn(): Lsn | null {
    if (this.#begin !== null || this.#cut || this.changes > 0) return null;
    const end = this.#endLsn;
    if (end === null || this.#keepalive === null) return end ?? this.#keepalive;
    return laterLsn(end, this.#keepalive);
  }

  /** Reads frames from `start`; stops at the end of the bytes (null) or where the caller must act. */
  gather(chunk: Buffer, start: number, now: number): Stop | null {
    let spanStart = start;
    let next = start;
    while (next < chunk.length) {
      const frame = next;
      const at = frame + messageOffset;
      next += readLength(chunk, frame + 1) + 1;
      if (chunk[frame + 5] !== walData) {
        this.#keep(chunk, spanStart, frame);
        spanStart = next;
        this.#keepaliveAt(readUint64(chunk, frame + 6));
        continue;
      }
      switch (chunk[at]) {
        case tags.insert:
        case tags.update:
        case tags.delete: {
          if (this.#isSkipped()) break;
          const later = this.#takeLater(chunk, at);
          if (later !== null) {
            this.#keep(chunk, spanStart, frame);
            return this.#stopAt(later, frame);
          }
          this.#tx.changes++;
          if (
            this.#tx.changes >= this.#options.limits.piece ||
            this.#tx.bytes + next - spanStart > this.#options.limits.bytes
          ) {
            this.#keep(chunk, spanStart, next);
            return { kind: 'full', at: next };
          }
          break;
        }
        case tags.begin:
          this.#keep(chunk, spanStart, frame);
          spanStart = frame;
          this.#xid = chunk.readUInt32BE(at + 17);
          this.#beginTime = readMicroseconds(chunk, at + 9);
          this.#beginAt(readUint64(chunk, at + 1), now);
          break;
        case tags.commit: {
          this.#keep(chunk, spanStart, next);
          spanStart = next;
          if (this.#commitAt(readUint64(chunk, at + 10), readMicroseconds(chunk, at + 18)))
            return { kind: 'full', at: next };
          break;
        }
        case tags.relation: {
          const relation = readMessage(chunk, at, next) as Relation;
          if (this.#knows(relation)) break;
          if (this.#isSkipped()) {
            this.#later.set(relation.oid, relation);
            break;
          }
          this.#keep(chunk, spanStart, frame);
          return this.#stopAt(relation, next);
        }
        case tags.truncate: {
          this.#keep(chunk, spanStart, frame);
          spanStart = next;
          if (this.#isSkipped()) break;
          const truncate = readMessage(chunk, at, next) as Truncate;
          const later = truncate.relations.map((oid) => this.#later.get(oid)).find((each) => each !== undefined);
          if (later !== undefined) return this.#stopAt(later, frame);
          this.#truncate(truncate);
          break;
        }
        case tags.origin: {
          const origin = readMessage(chunk, at, next) as Origin;
          if (this.#options.isEcho(origin.name)) this.#echo = true;
          break;
        }
        case tags.message:
          // Not ours, and it may be large.
          this.#keep(chunk, spanStart, frame);
          spanStart = next;
          if (this.#begin !== null && !this.#isSkipped() && this.#options.ddlPrefix != null) {
            const message = readMessage(chunk, at, next) as LogicalMessage;
            const { prefix, transactional, content } = message;
            if (transactional && prefix === this.#options.ddlPrefix) {
              const place = { xid: this.#xid, finalLsn: this.#begin, at: next };
              return { kind: 'ddl', content: Buffer.from(content), ...place };
            }
          }
          // One outside of transactions comes after all that was committed before it.
          if (this.#begin === null && (chunk[at + 1]! & 1) === 0) this.#keepaliveAt(readUint64(chunk, at + 2));
          break;
        case tags.streamCommit:
          this.#keep(chunk, spanStart, frame);
          return { kind: 'streamed', commit: readMessage(chunk, at, next) as StreamCommit, at: next };
        default:
      }
    }
    this.#keep(chunk, spanStart, next);
    return null;
  }

  /**
   * From here on comes what a transaction does that is still open on the source, until `confirm` or `abandon`. `atLeast`: its commit
   * is behind that, and behind the snapshot of every table that it touches.
   */
  beginAhead(xid: number, atLeast: Lsn, now: number): void {
    this.#xid = xid;
    this.#begin = atLeast;
    this.#echo = false;
    this.#clear(atLeast);
    this.#begunAt = now;
    this.#known = { relations: this.#relations, messages: new Map(this.#messages) };
    // Others that wait may be of an earlier place.
    addItem(this.#tx, { relations: this.#relations, finalLsn: atLeast, truncate: null });
  }

  /** It was committed, and the rest of it comes as of any other. */
  confirm({ commitLsn, committedAt }: StreamCommit): void {
    this.#begin = commitLsn;
    this.#beginTime = Number(committedAt);
    this.#oldest ??= this.#beginTime;
    this.#receivedAt ??= this.#begunAt;
    this.#startLsn ??= commitLsn;
    this.#known = null;
  }

  /** Forgets what came of it, and what relations were to it. What was taken of it must be undone. */
  abandon(): void {
    this.#relations = this.#known?.relations ?? this.#relations;
    this.#messages = this.#known?.messages ?? this.#messages;
    this.#known = null;
    this.#clear(0n);
    this.#begin = null;
    this.#cut = false;
  }

  /** Says what a relation is to us: a table to apply to, or nothing. Holds for what is gathered after it. */
  know(relation: Relation, table: AppliedTable | null): void {
    if (table !== null && this.#relations.get(relation.oid) === table) return;
    const relations = new Map(this.#relations);
    relations.set(relation.oid, table);
    this.#relations = relations;
    this.#messages.set(relation.oid, JSON.stringify(relation));
    if (this.#tx.items.length === 0) this.#tx.relations = relations;
    else addItem(this.#tx, { relations, finalLsn: this.#begin ?? 0n, truncate: null });
  }

  /** Applies otherwise to a table from here on, by whatever relations it comes; null: as before. */
  replace(by: (table: AppliedTable) => AppliedTable | null): void {
    const relations = new Map(this.#relations);
    for (const [oid, table] of relations) if (table !== null) relations.set(oid, by(table) ?? table);
    this.#relations = relations;
    if (this.#tx.items.length === 0) this.#tx.relations = relations;
    else addItem(this.#tx, { relations, finalLsn: this.#begin ?? 0n, truncate: null });
  }

  /** What `relation` was to us before, if it was anything. */
  known(oid: number): AppliedTable | null | undefined {
    return this.#relations.get(oid);
  }

  /** The relations that are applied to this table of the source: itself, or partitions of it. */
  relationsOf(table: TableName): readonly Relation[] {
    return [...this.#relations].flatMap(([oid, known]) => {
      const message = known !== null && sameTable(known.from, table) ? this.#messages.get(oid) : undefined;
      return message === undefined ? [] : [JSON.parse(message) as Relation];
    });
  }

  /** Whether what was received of the table so far has columns of other types than these. */
  hasOtherTypes({ from, columns }: AppliedTable): boolean {
    const now = new Map(columns.map(({ name, type }) => [name, type]));
    const known = this.relationsOf(from).flatMap(({ oid }) => this.known(oid)?.columns ?? []);
    return known.some(({ name, type }) => (now.get(name) ?? type) !== type);
  }

  /** The steps of what is taken next, if nothing is gathered before: to be made ready meanwhile. */
  peek(): readonly Step[] {
    return this.#steps(this.changes > 0 ? this.#done : this.#tx);
  }

  // The same ones as long as nothing was added.
  #steps(of: Gathered): readonly Step[] {
    const size = [of.items.length, of.changes, of.bytes, of.steps].join();
    if (this.#peeked?.of !== of || this.#peeked.size !== size) this.#peeked = { of, size, steps: steps(of) };
    return this.#peeked.steps;
  }

  /** Takes the ended transactions; null if there are none. */
  take(): Batch | null {
    if (this.#endLsn === null || this.changes === 0) return null;
    const batch = this.#batch(this.#done, this.#endLsn);
    if (this.#held !== null) {
      this.#receivedAt = this.#held.receivedAt;
      this.#startLsn = this.#held.tx.finalLsn;
      this.#oldest = this.#held.committedAt;
      this.#end(this.#held);
      this.#held = null;
    }
    return batch;
  }

  /** Takes everything, also the beginning of a transaction whose end has not come: it must not be committed before that end is applied. */
  takeCut(): Batch {
    const all = this.changes > 0 ? this.#done : this.#tx;
    if (all !== this.#tx) merge(all, this.#tx);
    this.#tx = empty(this.#relations, this.#begin ?? 0n);
    this.#cut = true;
    return this.#batch(all, null);
  }

  /** Whether a transaction has begun whose end has not come. */
  get isInside(): boolean {
    return this.#begin !== null;
  }

  /** Whether a part of the open transaction was taken: the target's stands open until its end is applied. */
  get isCut(): boolean {
    return this.#cut;
  }

  /** Whether a batch must be applied in parts: the open transaction alone is over the limit. */
  get overflows(): boolean {
    const { limits } = this.#options;
    return this.#begin !== null && (this.#tx.changes >= limits.piece || this.#tx.bytes >= limits.bytes);
  }

  #batch(gathered: Gathered, endLsn: Lsn | null): Batch {
    const batch: Batch = {
      steps: this.#steps(gathered),
      changes: gathered.changes,
      endLsn,
      startLsn: this.#startLsn ?? 0n,
      transactions: this.#transactions,
      receivedAt: new Date(this.#receivedAt ?? 0),
      oldestCommitAt: this.oldestCommitAt,
      sourceCommittedAt: this.#committedAt === null ? null : readTime(this.#committedAt),
    };
    this.#done = empty(this.#relations, 0n);
    this.#peeked = null;
    if (endLsn !== null) {
      this.#transactions = 0;
      this.#startLsn = this.#begin;
      this.#endLsn = null;
      this.#receivedAt = this.#begin === null ? null : this.#receivedAt;
      this.#oldest = this.#begin === null ? null : this.#beginTime;
    }
    return batch;
  }

  #stopAt(relation: Relation, at: number): Stop {
    this.#later.delete(relation.oid);
    return { kind: 'relation', relation, xid: this.#xid, finalLsn: this.#begin ?? 0n, at };
  }

  // The relation of a row, if it was described among rows that are left out.
  #takeLater(chunk: Buffer, at: number): Relation | null {
    return this.#later.size === 0 ? null : (this.#later.get(chunk.readUInt32BE(at + 1)) ?? null);
  }

  #isSkipped(): boolean {
    // Commit records do not overlap: one that begins before the checkpoint ends there or before.
    return this.#begin === null || this.#echo || this.#begin < this.#options.checkpoint;
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    if (end <= start || this.#isSkipped()) return;
    addItem(this.#tx, { buffer, start, end });
    this.#tx.bytes += end - start;
  }

  #beginAt(finalLsn: Lsn, now: number): void {
    this.#begin = finalLsn;
    this.#echo = false;
    this.#clear(finalLsn);
    this.#begunAt = now;
    this.#receivedAt ??= now;
    this.#startLsn ??= finalLsn;
    this.#oldest ??= this.#beginTime;
  }

  // There are hundreds of thousands of small transactions: one object serves them all.
  #clear(finalLsn: Lsn): void {
    const tx = this.#tx;
    tx.items = none;
    tx.relations = this.#relations;
    tx.finalLsn = finalLsn;
    tx.changes = tx.bytes = tx.steps = 0;
    this.#peeked = null;
  }

  // True: what waits is a full batch.
  #commitAt(endLsn: Lsn, committedAt: number): boolean {
    // One that is left out is an empty one: the position moves over it.
    const skipped = !this.#echo && this.#isSkipped();
    if (this.#echo) this.#clear(0n);
    this.#echo = false;
    this.#begin = null;
    this.#reached = endLsn;
    if (skipped) {
      this.#clear(0n);
      this.#nothingWaits();
      return false;
    }
    const wasCut = this.#cut;
    this.#cut = false;
    const { limits } = this.#options;
    const size = this.#tx.changes + this.#tx.steps;
    if (size > 0 && this.changes > 0 && this.changes + size > limits.changes) {
      const tx = { ...this.#tx, items: this.#tx.items };
      this.#held = { tx, endLsn, committedAt, receivedAt: this.#begunAt };
      this.#clear(0n);
      return true;
    }
    this.#endLsn = endLsn;
    if (size > 0 || wasCut) {
      this.#end({ tx: this.#tx, endLsn, committedAt });
      if (wasCut) this.#done.steps++;
    } else this.#nothingWaits();
    this.#clear(0n);
    // The target's transaction stands open: end it at once.
    return wasCut || this.changes >= limits.changes || this.#done.bytes >= limits.bytes;
  }

  // An empty one leaves no trace, unless others wait.
  #nothingWaits(): void {
    if (this.#transactions > 0) return;
    this.#receivedAt = null;
    this.#startLsn = null;
    this.#oldest = null;
  }

  #end({ tx, endLsn, committedAt }: Omit<Ended, 'receivedAt'>): void {
    merge(this.#done, tx);
    this.#transactions++;
    this.#endLsn = endLsn;
    this.#committedAt = committedAt;
  }

  #truncate(message: Truncate): void {
    const begin = this.#begin;
    if (begin === null) return;
    const tables = message.relations.flatMap((oid) => this.#relations.get(oid) ?? []);
    const touched = tables.filter((table) => table.snapshotLsn === null || begin >= table.snapshotLsn);
    if (touched.length === 0) return;
    if (!this.#options.truncate) {
      this.#skippedTruncates++;
      return;
    }
    this.#tx.steps++;
    const truncate: TruncateStep = {
      kind: 'truncate',
      tables: wholeTables(touched),
      restartIdentity: message.restartIdentity,
      isPart: touched.length < tables.length,
      xid: this.#xid,
    };
    addItem(this.#tx, { relations: this.#relations, finalLsn: begin, truncate });
  }

  #keepaliveAt(lsn: Lsn): void {
    if (this.#begin !== null) return;
    this.#keepalive = lsn;
    this.#reached = laterLsn(lsn, this.#reached);
  }

  #knows(relation: Relation): boolean {
    // A table of ours may look the same and be another: a column dropped and added again, for instance.
    return this.#relations.get(relation.oid) === null && this.#messages.get(relation.oid) === JSON.stringify(relation);
  }
}
