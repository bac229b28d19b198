// To which upstream a statement goes, given the transaction that the session is in. Pure.
import { SluiceError } from '../base/errors.ts';
import { type Act, controlKinds } from './act.ts';

/** The catalog's name among upstreams: no peer can have an empty name. */
export const catalogName = '';

export type Transaction =
  | { readonly at: 'none' }
  /** BEGIN was said and no upstream has heard it. `said`: SET and SAVEPOINT since; `savepoints`: those that are open. */
  | {
      readonly at: 'waiting';
      readonly begin: Buffer;
      readonly said: readonly Buffer[];
      readonly savepoints: readonly string[];
      /** What keeping all that costs. */
      readonly keptBytes: number;
    }
  /** It failed before an upstream heard of it, or its upstream is gone. */
  | { readonly at: 'failed' }
  /**
   * `failed`: the owner has said so. `fresh`: the BEGIN, while the owner has heard nothing else: as it names nobody, the
   * transaction may still become another's.
   */
  | {
      readonly at: 'owned';
      readonly owner: string;
      readonly failed?: boolean;
      readonly fresh?: Buffer | undefined;
    };

export const noTransaction: Transaction = { at: 'none' };

type Waiting = Extract<Transaction, { readonly at: 'waiting' }>;

// More is not kept for an owner who may never come: the transaction becomes the catalog's.
const mostKeptBytes = 1_000_000;
const keepingCost = 100;

/** BEGIN was said, as that text. */
export function waitingSince(begin: Buffer): Waiting {
  return { at: 'waiting', begin, said: [], savepoints: [], keptBytes: begin.length };
}

/** Its owner will hear that as well. */
export function keeping(transaction: Waiting, text: Buffer): Waiting {
  const { said, keptBytes } = transaction;
  // One list goes through all the states: each has what those before it had.
  (said as Buffer[]).push(text);
  return { ...transaction, keptBytes: keptBytes + text.length + keepingCost };
}

/** What must be known of a plain statement. */
export interface Plain {
  readonly act: Act;
  /** The upstream that it names: by a peer's name, or by a prepared statement or cursor that lives there. */
  readonly named: string | undefined;
  /** Whether it names relations; asked only where it matters. */
  readonly relations: () => boolean;
}

/**
 * The upstream that the statement goes to, or undefined where the gateway answers and the upstream hears of it later.
 * @param home where statements go that name none
 * @throws `unsupported` (0A000) if the transaction belongs to another upstream, `wrong_state` (25P02) if it has failed
 */
export function place(plain: Plain, transaction: Transaction, home: string): string | undefined {
  const { act, named } = plain;
  // In a peer's session it is the peer who knows whether a setting is right; the catalog may never hear of the transaction.
  const isHeavy = transaction.at === 'waiting' && transaction.keptBytes > mostKeptBytes;
  const waits = home === catalogName && !isHeavy ? undefined : home;
  switch (transaction.at) {
    case 'none':
      return act.kind === 'begin' ? (named ?? waits) : (named ?? home);
    case 'failed':
      if (act.kind === 'end') return undefined;
      throw transactionFailed();
    case 'waiting':
      if (act.kind === 'begin' || act.kind === 'set' || act.kind === 'savepoint') return waits;
      if (act.kind === 'savepoint_end') return transaction.savepoints.includes(act.name) ? waits : home;
      if (act.kind === 'end') return act.commit && transaction.said.length > 0 ? home : undefined;
      return named ?? home;
    case 'owned': {
      const { owner } = transaction;
      if (named !== undefined && named !== owner) {
        if (transaction.fresh !== undefined) return named;
        throw refusal(transaction);
      }
      const stays =
        named === owner || owner === home || controlKinds.has(act.kind) || act.kind === 'fetch' || act.kind === 'close';
      if (stays || !plain.relations()) return owner;
      throw refusal(transaction);
    }
    default:
      return transaction satisfies never;
  }
}

/** What the transaction will be after the statement, if it succeeds; for planning a batch. */
export function after(plain: Plain, transaction: Transaction, placed: string | undefined): Transaction {
  const { act } = plain;
  if (act.kind === 'end') return act.chain ? transaction : noTransaction;
  if (act.kind === 'begin' && transaction.at === 'none') {
    return placed === undefined ? waitingSince(Buffer.alloc(0)) : { at: 'owned', owner: placed };
  }
  if (placed !== undefined && (transaction.at === 'waiting' || transaction.at === 'owned')) {
    return { at: 'owned', owner: placed };
  }
  if (transaction.at === 'waiting') return { ...transaction, savepoints: savepointsAfter(act, transaction.savepoints) };
  return transaction;
}

/** The open savepoints of a transaction that waits, innermost last. */
export function savepointsAfter(act: Act, open: readonly string[]): readonly string[] {
  if (act.kind === 'savepoint') return [...open, act.name];
  if (act.kind !== 'savepoint_end') return open;
  return open.slice(0, open.lastIndexOf(act.name) + (act.rollback ? 1 : 0));
}

export function transactionFailed(): SluiceError {
  return new SluiceError(
    'wrong_state',
    'current transaction is aborted, commands ignored until end of transaction block',
    {
      sqlstate: '25P02',
    },
  );
}

/** "peer "x"" or "the catalog". */
export function showUpstream(name: string): string {
  return name === catalogName ? 'the catalog' : `peer "${name}"`;
}

/** Why a transaction does not go to another upstream. */
export function refusal({ owner, failed }: Extract<Transaction, { readonly at: 'owned' }>): SluiceError {
  return failed === true ? transactionFailed() : belongsTo(owner);
}

function belongsTo(owner: string): SluiceError {
  return new SluiceError('unsupported', `this transaction belongs to ${showUpstream(owner)}`, {
    detail: 'A transaction belongs to the first upstream that one of its statements goes to.',
    hint: 'Finish it with COMMIT or ROLLBACK before you go to another.',
  });
}
