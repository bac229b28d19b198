// What statements that have just run leave behind in the session: settings, names of statements and cursors.
import type { PlainPiece } from './classify.ts';
import type { SessionNames } from './session-names.ts';
import type { Switchboard } from './switchboard.ts';
import type { ClientText } from './text.ts';
import type { Upstream } from './upstream.ts';

export interface Done {
  readonly client: ClientText;
  readonly upstream: Upstream;
  readonly board: Switchboard;
  readonly names: SessionNames;
  readonly group: readonly PlainPiece[];
  /** The command tags, one for each statement that was completed. */
  readonly tags: readonly string[];
  /** A statement behind those has failed. */
  readonly failed?: boolean;
  /** Whether the group began inside a transaction. */
  readonly inTransaction: boolean;
}

/** Notes what later statements and other upstreams must know. */
export function remember(done: Done): void {
  const { client, upstream, board, names } = done;
  const { settings } = board;
  let { inTransaction } = done;
  // Statements of one text that are in no transaction are in one of their own.
  let said: { key: string; text: Buffer }[] = [];
  const hold = () => {
    for (const { key, text } of said) settings.hold(key, text);
    said = [];
  };
  for (const [i, { act, piece }] of done.group.slice(0, done.tags.length).entries()) {
    switch (act.kind) {
      case 'begin':
        inTransaction = true;
        break;
      case 'end':
        if (!inTransaction && done.tags[i] !== 'ROLLBACK') hold();
        said = [];
        settings.end(done.tags[i] !== 'ROLLBACK');
        names.forgetPortals(done.tags[i] !== 'ROLLBACK');
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
        else said.push({ key: act.key, text: client.encode(piece.text) });
        break;
      case 'set_config':
        if (inTransaction) settings.holdIfCommitted(act.key, client.encode(piece.text));
        else said.push({ key: act.key, text: client.encode(piece.text) });
        break;
      case 'discard_all':
        settings.clear();
        names.forgetAll();
        board.forgetOthers();
        break;
      case 'deallocate':
        if (act.name === undefined) {
          said.push({ key: 'deallocate all', text: Buffer.from('deallocate all') });
          names.forgetStatements();
        } else names.forget(act.name);
        break;
      case 'prepare':
        names.prepared(act.name, upstream);
        break;
      case 'declare':
        names.declared(act.name, upstream, act.hold);
        break;
      case 'prepare_transaction':
        if (done.tags[i] === 'PREPARE TRANSACTION') board.prepared.set(act.id, upstream.name);
        break;
      case 'end_prepared':
        board.prepared.delete(act.id);
        break;
      case 'close':
        names.cursorClosed(act.name);
        if (act.name === undefined) said.push({ key: 'close all', text: Buffer.from('close all') });
        break;
      default:
        break;
    }
  }
  if (done.failed !== true) hold();
  upstream.heard = settings.last;
}
