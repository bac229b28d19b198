// What gathering is told, what it gives, and why it stops.
import type { Piece } from '../peers/apply-walk.ts';
import type { Relation, StreamCommit } from '../peers/pgoutput.ts';
import type { Lsn } from '../pg/lsn.ts';

export interface BatchLimits {
  /** In one target transaction at most, unless one source transaction is larger. */
  readonly changes: number;
  /** In one piece of such a transaction. */
  readonly piece: number;
  /** In memory, for either. */
  readonly bytes: number;
}

/** Whole transactions that were gathered, or the next piece of one that is too large for memory. */
export interface Batch extends Piece {
  readonly startLsn: Lsn;
  /** Ended transactions. */
  readonly transactions: number;
  readonly receivedAt: Date;
  /** Of the first and of the last transaction, by the source's clock. */
  readonly oldestCommitAt: Date | null;
  readonly sourceCommittedAt: Date | null;
}

/** Why gathering stopped before the end of the bytes. */
export type Stop =
  /** A relation that we have not met, or that changed: tell with `know`, then go on. */
  | {
      readonly kind: 'relation';
      readonly relation: Relation;
      readonly xid: number;
      /** Commit position of the transaction around it. */
      readonly finalLsn: Lsn;
      readonly at: number;
    }
  /** A change of the schema, in the words of the source's event trigger. */
  | {
      readonly kind: 'ddl';
      readonly content: Buffer;
      readonly xid: number;
      /** Commit position of the transaction around it. */
      readonly finalLsn: Lsn;
      readonly at: number;
    }
  /** A transaction that came before its commit: what was kept of it comes here, as if it came only now. */
  | { readonly kind: 'streamed'; readonly commit: StreamCommit; readonly at: number }
  /** A batch is full: take it, then go on. */
  | { readonly kind: 'full'; readonly at: number };

/** What `gather` needs to know beside the bytes. */
export interface GathererOptions {
  readonly limits: BatchLimits;
  /** The target's checkpoint: transactions that end there or before are on it already. */
  readonly checkpoint: Lsn;
  /** Whether TRUNCATE follows. */
  readonly truncate: boolean;
  /** Whether a transaction that was brought to the source by that origin is left out: it came from our target. */
  readonly isEcho: (origin: string) => boolean;
  /** Prefix of the messages that tell of changes of the schema; null: none do. */
  readonly ddlPrefix?: string | null;
}
