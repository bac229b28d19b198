// How far a mirror's stream has come, and how it ended.
import type { Lsn } from '../pg/lsn.ts';

/** Where the stream is, for those who look on. */
export interface Positions {
  received: Lsn;
  durable: Lsn;
  /** End of the source's log when we last looked. */
  sourceEnd: Lsn;
  /** When the oldest transaction that is here and not durable was committed, by the source's clock; null: none is. */
  oldestCommitAt: () => Date | null;
  /** Where the first change of the schema lies of which the target lacks something; null: it has all that came; undefined: not known yet. */
  unsettled: () => Lsn | null | undefined;
}

/**
 * How following ended: it was told to stop, or must begin again: with values as text, with other tables, with no transaction before
 * its commit (`unstreamed`: sent, `ordered`: applied), from the stream (`caughtUp`).
 */
export type Followed = 'stopped' | 'text' | 'tables' | 'unstreamed' | 'ordered' | 'caughtUp';
