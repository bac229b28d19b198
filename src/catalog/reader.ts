// The role in which the gateway's clients read the catalog: it sees the views and nothing else.
import { createHash } from 'node:crypto';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { ident, literal, sql } from '../pg/sql.ts';
import type { Seal } from './seal.ts';

/** How to log in as the reader, or why there is none. */
export type Reader =
  | { readonly kind: 'role'; readonly user: string; readonly password: string }
  | { readonly kind: 'none'; readonly error: SluiceError };

/**
 * Makes the role, or finds it, and grants it the views. Roles belong to the whole server, so its name carries the
 * catalog's id; its password follows from the secret key, so that several processes agree on it. Call it under the lock.
 */
export async function prepareReader(db: Connection, seal: Seal): Promise<Reader> {
  const { value: catalogId } = await db.one<{ value: string }>(
    sql`select value from sluice_private.facts where name = 'catalog_id'`,
  );
  const user = `sluice_reader_${catalogId.slice(0, 8)}`;
  const password = seal.derivedPassword(`reader ${catalogId}`);
  try {
    await db.transaction(() => makeRole(db, user, password));
    await hideStatements(db, user);
    return { kind: 'role', user, password };
  } catch (error) {
    const known = toSluiceError(error);
    if (known.sqlstate !== '42501') throw error;
    const hint = `The catalog's user may not make roles: give it CREATEROLE, or a catalog database of its own.`;
    const reason = new SluiceError('forbidden', `the catalog has no role "${user}" to read it with`, {
      hint,
      cause: error,
    });
    return { kind: 'none', error: reason };
  }
}

async function makeRole(db: Connection, user: string, password: string): Promise<void> {
  const hash = createHash('sha256').update(password).digest('hex');
  const [known] = await db.query<{ value: string; there: boolean }>(
    sql`select value, exists (select from pg_roles where rolname = ${user}) as there
      from sluice_private.facts where name = 'reader_password'`,
  );
  if (known?.there !== true || known.value !== hash) {
    const [found] = await db.query(sql`select 1 as found from pg_roles where rolname = ${user}`);
    if (found === undefined) await db.run(sql`create role ${ident(user)} noinherit`);
    await db.run(sql`alter role ${ident(user)} login password ${literal(password)}`);
    // Comfort, not protection: what it may not do is what it was not granted.
    await db.run(sql`alter role ${ident(user)} set default_transaction_read_only = on`);
    await db.run(sql`alter role ${ident(user)} set search_path = sluice, public`);
    await db.run(sql`insert into sluice_private.facts (name, value) values ('reader_password', ${hash})
      on conflict (name) do update set value = excluded.value`);
  }
  await db.run(sql`grant usage on schema sluice, peerdb_stats to ${ident(user)}`);
  await db.run(sql`grant select on all tables in schema sluice, peerdb_stats to ${ident(user)}`);
}

// All clients are this one role to the server: none of them shall read in pg_stat_activity what another says. Only a superuser may
// set that; where the catalog's user is none, it stays as it is.
async function hideStatements(db: Connection, user: string): Promise<void> {
  try {
    await db.run(sql`alter role ${ident(user)} set track_activities = off`);
  } catch (error) {
    if (toSluiceError(error).sqlstate !== '42501') throw error;
  }
}
