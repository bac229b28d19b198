// What a person is told to do, where several engines say the same.
import { quoteName } from '../pg/sql.ts';

/** Where changes are gone for good. */
export function copyAgain(mirror?: string): string {
  const quoted = mirror === undefined ? '…' : quoteName(mirror);
  return `Only a new copy helps: DROP MIRROR ${quoted}; then CREATE MIRROR ${mirror === undefined ? '' : `${quoted} `}… WITH (resync = true), which empties the tables on the target first.`;
}
