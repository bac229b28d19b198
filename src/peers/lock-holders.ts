// Who holds the locks that a session of ours waits for.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

/** A session that another waits for. What it runs is its own affair. */
export interface LockHolder {
  /** 0 for a prepared transaction, which belongs to no session. */
  readonly pid: number;
  readonly user: string | null;
  readonly application: string | null;
  readonly state: string | null;
  /** Seconds since its transaction began; null: our role may not see that. */
  readonly seconds: number | null;
}

/** https://www.postgresql.org/docs/18/functions-info.html: every role may ask it. */
export async function lockHolders(db: Connection, pid: number): Promise<readonly LockHolder[]> {
  return await db.query<LockHolder>(sql`
    select distinct b.pid, a.usename::text as user, nullif(a.application_name, '') as application, a.state,
      extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::int as seconds
    from pg_catalog.unnest(pg_catalog.pg_blocking_pids(${pid}::int)) as b(pid)
    left join pg_catalog.pg_stat_activity a on a.pid = b.pid order by b.pid`);
}

/** `process 4711 (user app, application worker, idle in transaction for 35 s) on the target`. Pure. */
export function showHolder({ pid, user, application, state, seconds }: LockHolder): string {
  const facts = [
    user === null ? '' : `user ${user}`,
    application === null ? '' : `application ${application}`,
    seconds === null ? '' : `${state ?? 'in a transaction'} for ${seconds} s`,
  ].filter((fact) => fact !== '');
  const what = pid === 0 ? 'a prepared transaction' : `process ${pid}`;
  return `${what}${facts.length === 0 ? '' : ` (${facts.join(', ')})`} on the target, which holds a lock`;
}
