// Replication origins: what a mirror writes on its target is marked with where it came from, so that it is not sent back there.
import { toSluiceError } from '../base/errors.ts';
import { pause } from '../base/retry.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

// https://www.postgresql.org/docs/18/replication-origins.html

/** What tells a database from every other, also after a failover to a standby; null: our role may not ask. */
export async function databaseIdentity(db: Connection): Promise<string | null> {
  const { may, database } = await db.one<{ may: boolean; database: number }>(sql`select
    pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute') as may,
    (select oid::bigint from pg_catalog.pg_database where datname = pg_catalog.current_database()) as database`);
  if (!may) return null;
  const { system } = await db.one<{ system: string }>(
    sql`select system_identifier::text as system from pg_catalog.pg_control_system()`,
  );
  return `${system}_${database}`;
}

/** The name of a mirror's origin on its target. */
export function originName(mirrorId: string, source: string): string {
  return `${originPrefix(mirrorId)}${source}`;
}

/** Whether an origin is that mirror's. */
export function originOf(origin: string, mirrorId: string): boolean {
  return origin.startsWith(originPrefix(mirrorId));
}

function originPrefix(mirrorId: string): string {
  return `sluice_${mirrorId}_`;
}

/** Whether what is marked with that origin came from the database of that identity, by a mirror. */
export function cameFrom(origin: string, identity: string): boolean {
  return origin.startsWith('sluice_') && origin.endsWith(`_${identity}`);
}

const patienceMs = 10_000;

/**
 * From now on all that the session writes is marked with the origin, which is made if need be.
 * @returns null, or why the server does not let us
 * @throws `upstream` 55006 if another session holds it and does not let go
 */
export async function setUpOrigin(db: Connection, name: string): Promise<string | null> {
  for (const deadline = Date.now() + patienceMs; ; ) {
    try {
      const [known] = await db.query(
        sql`select 1 as known from pg_catalog.pg_replication_origin where roname = ${name}`,
      );
      if (known === undefined) await db.run(sql`select pg_catalog.pg_replication_origin_create(${name})`);
      await db.run(sql`select pg_catalog.pg_replication_origin_session_setup(${name})`);
      return null;
    } catch (error) {
      const known = toSluiceError(error);
      if (db.lost.aborted) throw known;
      // No right to it; none free (max_active_replication_origins, before 18 max_replication_slots); set to none.
      if (['42501', '53400', '55000'].includes(known.sqlstate)) return known.message;
      // 55006: an owner before us that was ended is not gone yet. 23505: another has just made it.
      if (!['55006', '23505'].includes(known.sqlstate) || Date.now() > deadline) throw known;
      await pause(50);
    }
  }
}

/** The statement that removes a mirror's origins from its target. */
export function dropOriginsStatement(mirrorId: string): string {
  return `select pg_replication_origin_drop(roname) from pg_replication_origin where starts_with(roname, '${originPrefix(mirrorId)}');`;
}

/** Removes a mirror's origins from its target. @throws `upstream` */
export async function dropOrigins(db: Connection, mirrorId: string): Promise<void> {
  const rows = await db.query<{ name: string }>(sql`select roname as name from pg_catalog.pg_replication_origin
    where pg_catalog.starts_with(roname, ${originPrefix(mirrorId)})`);
  for (const { name } of rows) {
    for (const deadline = Date.now() + patienceMs; ; await pause(50)) {
      try {
        await db.run(sql`select pg_catalog.pg_replication_origin_drop(roname) from pg_catalog.pg_replication_origin
          where roname = ${name}`);
        break;
      } catch (error) {
        // A session of ours that was ended is not gone yet.
        if (toSluiceError(error).sqlstate !== '55006' || Date.now() > deadline) throw error;
      }
    }
  }
}

/** Whether a mirror writes to this database what comes from the database of that identity. */
export async function isBroughtFrom(db: Connection, identity: string | null): Promise<boolean> {
  if (identity === null) return false;
  const rows = await db.query<{ name: string }>(
    sql`select roname as name from pg_catalog.pg_replication_origin where pg_catalog.starts_with(roname, 'sluice_')`,
  );
  return rows.some(({ name }) => cameFrom(name, identity));
}
