// A statement as the journal keeps it: its text without secrets, who said it and from where.
import type { JournalEntry } from '../catalog/journal.ts';
import { peerOptions } from '../mirror/peer.ts';
import { printRedacted } from '../sql/print.ts';
import type { Statement } from '../sql/statement.ts';
import type { CommandContext } from './result.ts';

/** To be written in the transaction that makes the change, so that neither is there without the other. */
export function said(statement: Statement, { user, remote }: CommandContext): JournalEntry {
  return { event: 'statement', message: printRedacted(statement, peerOptions), by: { user, remote } };
}
