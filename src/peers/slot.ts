// Replication slots: made with a snapshot, looked at, taken from a dead owner's walsender, dropped; and who holds one up.
import { SluiceError } from '../base/errors.ts';
import { pause } from '../base/retry.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, sql } from '../pg/sql.ts';

/** A slot as pg_replication_slots shows it. https://www.postgresql.org/docs/18/view-pg-replication-slots.html */
export interface SlotState {
  readonly name: string;
  /** `pgoutput` for ours; null for a physical slot. */
  readonly plugin: string | null;
  readonly database: string | null;
  readonly temporary: boolean;
  readonly active: boolean;
  readonly activePid: number | null;
  readonly confirmedFlush: Lsn | null;
  readonly restartLsn: Lsn | null;
  /** `lost`: its log is gone, it can never be read again. `unreserved`: the next checkpoint may take it. */
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost' | null;
  /** Why it can never be read again, in the words of servers since 17; null: it can, or the server does not say. */
  readonly invalidation: string | null;
  /** Bytes that may still be written before the slot is in danger; null where there is no limit. */
  readonly safeWalSize: number | null;
  /** Bytes between what is confirmed and the end of the log. */
  readonly lagBytes: number;
}

/**
 * Makes a logical slot and exports the snapshot that fits it: what is committed before `lsn` is in the snapshot, what comes
 * after is in the stream. https://www.postgresql.org/docs/18/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT
 * Waits for the transactions that run now; slotBlockers names them.
 * @param repl a replication connection; the snapshot lives until it closes or runs its next command
 * @throws `duplicate_object`, `too_many`, `not_ready`, `forbidden`, `upstream`, `connection_lost`
 */
export async function createSlotWithSnapshot(
  repl: Connection,
  name: string,
  { temporary }: { readonly temporary: boolean },
): Promise<{ readonly lsn: Lsn; readonly snapshot: string }> {
  const { version } = repl;
  const { standby } = await repl.one<{ standby: boolean }>(sql`select pg_catalog.pg_is_in_recovery() as standby`);
  // Replication commands are read in upper case only. 14 knows only the older words for the snapshot.
  const kind = temporary ? sql` TEMPORARY` : sql``;
  // A standby that keeps slots in step (sync_replication_slots) takes this one along, and a mirror outlives its promotion.
  const failover = version >= 170_000 && !temporary && !standby ? sql`, FAILOVER true` : sql``;
  const snapshot = version < 150_000 ? sql`EXPORT_SNAPSHOT` : sql`(SNAPSHOT 'export'${failover})`;
  try {
    const row = await repl.one<{ consistent_point: string; snapshot_name: string }>(
      sql`CREATE_REPLICATION_SLOT ${ident(name)}${kind} LOGICAL pgoutput ${snapshot}`,
    );
    return { lsn: parseLsn(row.consistent_point), snapshot: row.snapshot_name };
  } catch (error) {
    throw slotError(error, name);
  }
}

function slotError(error: unknown, name: string): unknown {
  if (!(error instanceof SluiceError) || error.kind !== 'upstream') return error;
  const details = { detail: error.detail, cause: error };
  switch (error.sqlstate) {
    case '42710':
      return new SluiceError('duplicate_object', `replication slot "${name}" already exists on the source`, {
        ...details,
        hint: `If nobody needs it: select pg_drop_replication_slot('${name.replaceAll("'", "''")}').`,
      });
    case '53400':
      return new SluiceError('too_many', 'all replication slots of the source are in use', {
        ...details,
        hint: 'Drop one that nobody needs (pg_replication_slots), or raise max_replication_slots (it takes a restart).',
      });
    case '55000':
      // A standby decodes only what its primary has written for it.
      return new SluiceError('not_ready', `the source cannot make a logical slot: ${error.message}`, {
        ...details,
        hint: 'Set wal_level = logical (it takes a restart); where the source is a standby, on its primary as well.',
      });
    case '42501':
      return new SluiceError('forbidden', `the source does not let this role make a slot: ${error.message}`, {
        ...details,
        hint: 'ALTER ROLE … REPLICATION (on RDS: GRANT rds_replication TO …).',
      });
    default:
      return error;
  }
}

interface SlotRow {
  readonly plugin: string | null;
  readonly database: string | null;
  readonly temporary: boolean;
  readonly active: boolean;
  readonly active_pid: number | null;
  readonly confirmed: string | null;
  readonly restart: string | null;
  readonly wal_status: SlotState['walStatus'];
  readonly safe_wal_size: string | null;
  readonly invalidation: string | null;
  readonly lag: string | null;
}

/** Looks at a slot of any database of the server; null if there is none of that name. */
export async function readSlot(db: Connection, name: string): Promise<SlotState | null> {
  // A standby has no end of its own; what it has received and replayed is the end that its slots can see.
  const [row] = await db.query<SlotRow>(sql`
    select plugin::text, database::text, temporary, active, active_pid, confirmed_flush_lsn::text as confirmed,
      restart_lsn::text as restart, wal_status, safe_wal_size,
      -- Servers before 17 have no such column; 16 says only that it was a conflict on a standby.
      coalesce(pg_catalog.to_jsonb(s) ->> 'invalidation_reason',
        case when (pg_catalog.to_jsonb(s) ->> 'conflicting')::boolean then 'rows_removed' end) as invalidation,
      pg_catalog.pg_wal_lsn_diff(
        case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
          else pg_catalog.pg_current_wal_lsn() end,
        coalesce(confirmed_flush_lsn, restart_lsn)) as lag
    from pg_catalog.pg_replication_slots s where slot_name = ${name}`);
  if (row === undefined) return null;
  return {
    name,
    plugin: row.plugin,
    database: row.database,
    temporary: row.temporary,
    active: row.active,
    activePid: row.active_pid,
    confirmedFlush: row.confirmed === null ? null : parseLsn(row.confirmed),
    restartLsn: row.restart === null ? null : parseLsn(row.restart),
    walStatus: row.wal_status,
    invalidation: row.invalidation,
    safeWalSize: row.safe_wal_size === null ? null : Number(row.safe_wal_size),
    lagBytes: Math.max(0, Number(row.lag ?? 0)),
  };
}

/** Why a slot was lost, and what keeps the next one. https://www.postgresql.org/docs/18/view-pg-replication-slots.html */
export function whyLost({ invalidation }: Pick<SlotState, 'invalidation'>): string {
  switch (invalidation) {
    case 'rows_removed':
      return 'The source is a standby, and its primary has removed rows of the catalog that the slot needs. Set hot_standby_feedback = on there, with a physical slot of the primary.';
    case 'wal_level_insufficient':
      return 'wal_level of the primary was set below logical.';
    case 'idle_timeout':
      return 'Nobody read it for longer than idle_replication_slot_timeout of the source allows.';
    default:
      return 'It fell further behind than max_slot_wal_keep_size of the source allows.';
  }
}

const patienceMs = 30_000;

/**
 * Ends the walsender that holds the slot, if one does, and waits until it is gone. A dead owner's may sit in a TCP
 * time-out for minutes.
 * @throws `forbidden` if it is not ours to end, `wrong_state` if it does not go (or another takes the slot again and again)
 */
export async function endWalsender(db: Connection, name: string, signal?: AbortSignal): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const state = await readSlot(db, name);
    if (state === null || !state.active || state.activePid === null) return;
    if (Date.now() > deadline) throw stillActive(name, state.activePid);
    await terminate(db, state.activePid, name);
    await pause(50, signal);
  }
}

async function terminate(db: Connection, pid: number, slot: string): Promise<void> {
  try {
    await db.run(sql`select pg_catalog.pg_terminate_backend(${pid})`);
  } catch (error) {
    if (!(error instanceof SluiceError) || error.sqlstate !== '42501') throw error;
    throw new SluiceError('forbidden', `replication slot "${slot}" is in use by process ${pid}, which is not ours`, {
      hint: `End it on the source: select pg_terminate_backend(${pid}).`,
      cause: error,
    });
  }
}

function stillActive(name: string, pid: number): SluiceError {
  return new SluiceError('wrong_state', `replication slot "${name}" is in use by process ${pid}`, {
    sqlstate: '55006',
    hint: `See what it is in pg_stat_replication, and end it: select pg_terminate_backend(${pid}).`,
  });
}

/**
 * Drops a slot with the walsender on it.
 * @returns false if there was none
 * @throws as endWalsender
 */
export async function dropSlot(db: Connection, name: string, signal?: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    await endWalsender(db, name, signal);
    try {
      const { rowCount } = await db.run(sql`select pg_catalog.pg_drop_replication_slot(slot_name)
        from pg_catalog.pg_replication_slots where slot_name = ${name}`);
      return rowCount > 0;
    } catch (error) {
      const state = error instanceof SluiceError ? error.sqlstate : '';
      if (state === '42704') return false; // somebody was faster
      // 55006: a walsender took it between the two.
      if (state !== '55006' || Date.now() > deadline) throw error;
      await pause(50, signal);
    }
  }
}

/** A transaction that the making of a slot waits for. */
export interface SlotBlocker {
  /** Null for a prepared transaction, which belongs to no session. */
  readonly pid: number | null;
  /** Global identifier of a prepared transaction: COMMIT PREPARED or ROLLBACK PREPARED ends it. */
  readonly prepared: string | null;
  readonly user: string | null;
  readonly database: string | null;
  readonly application: string | null;
  readonly state: string | null;
  /** Seconds since its transaction began. */
  readonly seconds: number;
}

interface BlockerRow {
  readonly pid: number | null;
  readonly gid: string | null;
  readonly usename: string | null;
  readonly datname: string | null;
  readonly application_name: string | null;
  readonly state: string | null;
  readonly seconds: string | null;
}

/**
 * Who holds a new slot up: every transaction of the whole server that has written something, oldest first. Read from the
 * locks, which any role may see. https://www.postgresql.org/docs/18/view-pg-locks.html
 */
export async function slotBlockers(db: Connection): Promise<readonly SlotBlocker[]> {
  const rows = await db.query<BlockerRow>(sql`
    select l.pid, null::text as gid, a.usename::text, a.datname::text, a.application_name, a.state,
      extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) as seconds
    from (select distinct pid from pg_catalog.pg_locks
      where locktype = 'transactionid' and granted and mode = 'ExclusiveLock' and pid is not null) l
    left join pg_catalog.pg_stat_activity a on a.pid = l.pid
    where l.pid <> pg_catalog.pg_backend_pid()
    union all
    select null, p.gid, p.owner::text, p.database::text, null, 'prepared',
      extract(epoch from pg_catalog.clock_timestamp() - p.prepared)
    from pg_catalog.pg_prepared_xacts p
    order by seconds desc nulls last`);
  return rows.map((row) => ({
    pid: row.pid,
    prepared: row.gid,
    user: row.usename,
    database: row.datname,
    application: row.application_name,
    state: row.state,
    seconds: Math.max(0, Number(row.seconds ?? 0)),
  }));
}

/**
 * What a slot on a standby waits for. It cannot be made before the primary writes which transactions it runs, which an idle
 * one never does by itself; and those must end, of which the standby knows no more than their numbers.
 * @returns null on a primary
 */
export async function standbyBlocker(db: Connection): Promise<string | null> {
  const row = await db.one<{ standby: boolean; running: readonly string[] }>(sql`
    select pg_catalog.pg_is_in_recovery() as standby, coalesce((select pg_catalog.json_agg(x.xid::text order by x.xid)
      from pg_catalog.txid_snapshot_xip(pg_catalog.txid_current_snapshot()) as x(xid)), '[]') as running`);
  if (!row.standby) return null;
  const running = row.running.length === 0 ? '' : `; transactions open there: ${row.running.join(', ')}`;
  return `the primary to write which transactions it runs: ${logStandbySnapshot} on the primary makes it do so at once${running}`;
}

/** What an idle primary must be asked for (16 and later). */
export const logStandbySnapshot = 'select pg_log_standby_snapshot();';

/** One blocker in words: `process 4711 (user app, database shop, application worker, idle in transaction for 35 s)`. */
export function showBlocker(blocker: SlotBlocker): string {
  const facts = [
    blocker.user === null ? '' : `user ${blocker.user}`,
    blocker.database === null ? '' : `database ${blocker.database}`,
    blocker.application === null || blocker.application === '' ? '' : `application ${blocker.application}`,
    `${blocker.state ?? 'in a transaction'} for ${Math.round(blocker.seconds)} s`,
  ].filter((fact) => fact !== '');
  const what = blocker.pid === null ? `prepared transaction "${blocker.prepared}"` : `process ${blocker.pid}`;
  return `${what} (${facts.join(', ')})`;
}
