// Who may say which statement: the owner all, a user all but what is about users, a read-only one what changes nothing.
import { SluiceError } from '../base/errors.ts';
import { changesNothing, commandTag, type Statement } from '../sql/statement.ts';
import type { CommandContext } from './result.ts';

/** @throws `forbidden` (42501) */
export function checkPermission(statement: Statement, { user, access }: CommandContext): void {
  if (access === 'owner' || changesNothing(statement)) return;
  const ownPassword =
    statement.kind === 'alter_user' && statement.name === user && statement.access === undefined
      ? statement
      : undefined;
  if (ownPassword !== undefined) return;
  const tag = commandTag(statement);
  if (access === 'read_only') {
    throw new SluiceError('forbidden', `permission denied for ${tag}`, {
      detail: `User "${user}" is READ ONLY: it may look and change nothing.`,
      hint: 'The owner may change that with ALTER USER … READ WRITE.',
    });
  }
  if (statement.kind !== 'create_user' && statement.kind !== 'alter_user' && statement.kind !== 'drop_user') return;
  throw new SluiceError('forbidden', `permission denied for ${tag}`, {
    detail: 'Users are managed by the owner, who logs in with the password of the gateway itself.',
    hint: statement.kind === 'alter_user' ? 'A user may change its own password.' : undefined,
  });
}
