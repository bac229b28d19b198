// The session on the target that changes are applied in.
import { toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

/** Sets it up. @returns whether triggers and foreign keys are switched off */
export async function setUpSession(db: Connection, note: (message: string) => Promise<void>): Promise<boolean> {
  // Acknowledged must mean durable, whatever the role's setting; a synchronous standby is waited for where it is set up.
  await db.run(sql`select pg_catalog.set_config('synchronous_commit',
    case pg_catalog.current_setting('synchronous_commit') when 'off' then 'local'
      else pg_catalog.current_setting('synchronous_commit') end, false)`);
  // A merge looks each staged row up by the target's key; see apply-merge.
  for (const setting of ['enable_hashjoin', 'enable_mergejoin']) {
    await db.run(sql`select pg_catalog.set_config(${setting}, 'off', false)`);
  }
  try {
    await db.run(sql`set session_replication_role = replica`);
    return true;
  } catch (error) {
    if (toSluiceError(error).sqlstate !== '42501') throw error;
    await note(
      'the target does not grant session_replication_role: its triggers and foreign keys are at work while changes are applied',
    );
    return false;
  }
}

/**
 * Whether triggers and foreign keys may be switched off on the target. Tried, not guessed, by setting what is set: the session may be one
 * that applies changes, and stays as it is.
 * @throws `upstream`, `connection_lost`
 */
export async function maySwitchOff(db: Connection): Promise<boolean> {
  const name = 'session_replication_role';
  try {
    await db.run(sql`select pg_catalog.set_config(${name}, pg_catalog.current_setting(${name}), false)`);
    return true;
  } catch (error) {
    if (toSluiceError(error).sqlstate !== '42501') throw error;
    return false;
  }
}
