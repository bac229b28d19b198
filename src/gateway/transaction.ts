// To which upstream a statement goes, given the transaction that the session is in. Pure.
import { SluiceError } from '../base/errors.ts';
import { type Act, controlKinds } from './act.ts';

/** The catalog's name among upstreams: no peer can have an empty name. */
export const catalogName = '';

export type Transaction =
  | { readonly at: 'none' }
  /** BEGIN was said and no upstream has heard it. `said`: SET and SAVEPOINT since. */
  | { readonly at: 'waiting'; readonly begin: Buffer; readonly said: Buffer[] }
  /** It failed before an upstream heard of it, or its upstream is gone. */
  | { readonly at: 'failed' }
  | { readonly at: 'owned'; readonly owner: string };

export const noTransaction: Transaction = { at: 'none' };

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
  switch (transaction.at) {
    case 'none':
      // On the catalog BEGIN waits for the upstream that a statement names; a session at a peer is that peer's.
      return act.kind === 'begin' && home === catalogName ? undefined : (named ?? home);
    case 'failed':
      if (act.kind === 'end') return undefined;
      throw transactionFailed();
    case 'waiting':
      // At a peer the server itself judges them; on the catalog the transaction may yet become any peer's.
      if (act.kind === 'begin' || act.kind === 'set' || act.kind === 'savepoint') {
        return home === catalogName ? undefined : home;
      }
      if (act.kind === 'end') return act.commit && transaction.said.length > 0 ? home : undefined;
      return named ?? home;
    case 'owned': {
      const { owner } = transaction;
      if (named !== undefined && named !== owner) throw belongsTo(owner);
      const stays = named === owner || owner === home || controlKinds.has(act.kind) || act.kind === 'cursor';
      if (stays || !plain.relations()) return owner;
      throw belongsTo(owner);
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
    return placed === undefined ? { at: 'waiting', begin: Buffer.alloc(0), said: [] } : { at: 'owned', owner: placed };
  }
  if (transaction.at === 'waiting' && placed !== undefined) return { at: 'owned', owner: placed };
  return transaction;
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

export function belongsTo(owner: string): SluiceError {
  return new SluiceError('unsupported', `this transaction belongs to ${showUpstream(owner)}`, {
    detail: 'A transaction belongs to the first upstream that one of its statements goes to.',
    hint: 'Finish it with COMMIT or ROLLBACK before you go to another.',
  });
}
