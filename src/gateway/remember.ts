// What statements that have just succeeded leave behind in the session: settings, names of statements and cursors.
import type { PlainPiece } from './classify.ts';
import type { ExtendedQuery } from './extended.ts';
import type { Switchboard } from './switchboard.ts';
import type { ClientText } from './text.ts';
import type { Upstream } from './upstream.ts';

export interface Succeeded {
  readonly client: ClientText;
  readonly upstream: Upstream;
  readonly board: Switchboard;
  readonly names: ExtendedQuery;
  readonly group: readonly PlainPiece[];
  /** The command tags, one for each statement. */
  readonly tags: readonly string[];
  /** Whether the group began inside a transaction. */
  readonly inTransaction: boolean;
}

/** Notes what later statements and other upstreams must know. */
export function remember(done: Succeeded): void {
  const { client, upstream, board, names } = done;
  const { settings } = board;
  let { inTransaction } = done;
  for (const [i, { act, piece }] of done.group.entries()) {
    switch (act.kind) {
      case 'begin':
        inTransaction = true;
        break;
      case 'end':
        settings.end(done.tags[i] !== 'ROLLBACK');
        inTransaction = act.chain;
        break;
      case 'savepoint':
        settings.savepoint(act.name);
        break;
      case 'savepoint_end':
        if (act.rollback) settings.rollbackTo(act.name);
        break;
      case 'set':
        if (act.local) break;
        if (inTransaction) settings.holdIfCommitted(act.key, client.encode(piece.text));
        else settings.hold(act.key, client.encode(piece.text));
        break;
      case 'discard_all':
        settings.clear();
        names.forgetAll();
        board.forgetOthers();
        break;
      case 'deallocate':
        if (act.name === undefined) {
          settings.hold('deallocate all', Buffer.from('deallocate all'));
          names.forgetStatements();
        } else names.forget(act.name);
        break;
      case 'prepare':
        names.prepared(act.name, upstream);
        break;
      case 'declare':
        names.declared(act.name, upstream, act.hold);
        break;
      default:
        break;
    }
  }
  upstream.heard = settings.last;
}
