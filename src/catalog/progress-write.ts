// Gathered progress to rows: few statements whatever the number of tables, parts and batches.
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn } from '../pg/lsn.ts';
import { type Sql, sql } from '../pg/sql.ts';
import { writeConflict } from './conflicts.ts';
import { writeJournal } from './journal.ts';
import { writeObjects } from './objects.ts';
import type { Gathered, TimedEstimate } from './progress.ts';

/** Writes what gathered, in the caller's transaction, and lets batches go that are more than `keptBatches` old. */
export async function writeProgress(
  db: Connection,
  mirrorId: string,
  what: { readonly taken: Gathered; readonly keptBatches: number },
): Promise<void> {
  const { taken } = what;
  if (taken.planned.size > 0) await writePlans(db, mirrorId, taken.planned);
  if (taken.begun.size > 0) await writeBegun(db, mirrorId, taken.begun);
  if (taken.parts.size > 0) await writeParts(db, mirrorId, taken.parts);
  if (taken.finished.size > 0) await writeFinished(db, mirrorId, taken.finished);
  const latestBatch = taken.batches.length > 0 ? await writeBatches(db, mirrorId, what) : '0';
  if (taken.counts.size > 0) await writeCounts(db, mirrorId, { counts: taken.counts, latestBatch });
  if (taken.position !== undefined || taken.batches.length > 0) await writePosition(db, mirrorId, taken);
  if (taken.objects.size > 0) await writeObjects(db, mirrorId, [...taken.objects.values()]);
  if (taken.waits !== undefined) await writeWaits(db, mirrorId, taken.waits);
  if (taken.estimate !== undefined) await writeEstimate(db, mirrorId, taken.estimate);
  for (const met of taken.conflicts) await writeConflict(db, mirrorId, met);
  await writeJournal(db, taken.journal);
}

// The row of each, by its key and locked: before there are statistics the planner takes a mirror's rows for a few, and would go
// through all of them for each that is written.
function tableFound(mirrorId: string): Sql {
  return sql`cross join lateral (select t.ctid from sluice_private.table_progress t
    where t.mirror_id = ${mirrorId} and t.source_table = v."table" offset 0 for no key update) found`;
}

function partFound(mirrorId: string): Sql {
  return sql`cross join lateral (select t.ctid from sluice_private.parts t
    where t.mirror_id = ${mirrorId} and t.source_table = v."table" and t.part = v.part offset 0 for no key update) found`;
}

async function writeWaits(db: Connection, mirrorId: string, waits: NonNullable<Gathered['waits']>): Promise<void> {
  const [lines, at] = [JSON.stringify(waits.lines).replaceAll('\\u0000', ''), waits.at.toISOString()];
  await db.run(sql`insert into sluice_private.copy_progress (mirror_id, waits_for, waits_seen_at)
    values (${mirrorId}, ${lines}, ${at})
    on conflict (mirror_id) do update set waits_for = excluded.waits_for, waits_seen_at = excluded.waits_seen_at`);
}

async function writeEstimate(db: Connection, mirrorId: string, now: TimedEstimate): Promise<void> {
  const whole = {
    // As if it had not been interrupted: how far it is, it is of the whole.
    began: new Date(now.at.getTime() - (now.seconds + now.secondsKept) * 1_000).toISOString(),
    at: now.at.toISOString(),
    rows_left: now.rowsTotal - now.rows,
    bytes_left: now.bytesTotal - now.bytes,
    rows_per_second: now.rowsPerSecond,
    bytes_per_second: now.bytesPerSecond,
    load: now.loadSecondsLeft,
    finish: now.finishSecondsLeft,
    made: now.objectsMade,
    total: now.objectsTotal,
  };
  await db.run(sql`insert into sluice_private.copy_progress as c (mirror_id, began_at, estimated_at, rows_left, bytes_left,
      rows_per_second, bytes_per_second, load_seconds_left, finish_seconds_left, objects_made, objects_total)
    select ${mirrorId}, v.* from jsonb_to_record(${JSON.stringify(whole)}::jsonb) as v (began timestamptz, at timestamptz,
      rows_left bigint, bytes_left bigint, rows_per_second float8, bytes_per_second float8, load float8, finish float8,
      made integer, total integer)
    on conflict (mirror_id) do update set began_at = excluded.began_at, estimated_at = excluded.estimated_at,
      rows_left = excluded.rows_left, bytes_left = excluded.bytes_left, rows_per_second = excluded.rows_per_second,
      bytes_per_second = excluded.bytes_per_second, load_seconds_left = excluded.load_seconds_left,
      finish_seconds_left = excluded.finish_seconds_left, objects_made = excluded.objects_made,
      objects_total = excluded.objects_total`);
  if (now.tables.size === 0) return;
  const tables = [...now.tables].map(([table, pace]) => ({ table, ...pace }));
  const parts = [...now.parts].flatMap(([table, of]) => [...of].map(([part, pace]) => ({ table, part, ...pace })));
  await db.run(sql`update sluice_private.table_progress g set rows_per_second = v."rowsPerSecond",
      bytes_per_second = v."bytesPerSecond", seconds_left = v."secondsLeft"
    from jsonb_to_recordset(${JSON.stringify(tables)}::jsonb)
      as v ("table" text, "rowsPerSecond" float8, "bytesPerSecond" float8, "secondsLeft" float8)
    ${tableFound(mirrorId)} where g.ctid = found.ctid`);
  await db.run(sql`update sluice_private.parts p set rows_per_second = v."rowsPerSecond",
      bytes_per_second = v."bytesPerSecond", seconds_left = v."secondsLeft"
    from jsonb_to_recordset(${JSON.stringify(parts)}::jsonb)
      as v ("table" text, part integer, "rowsPerSecond" float8, "bytesPerSecond" float8, "secondsLeft" float8)
    ${partFound(mirrorId)} where p.ctid = found.ctid`);
}

// A planned table waits until its first part begins.
async function writeBegun(db: Connection, mirrorId: string, begun: Gathered['begun']): Promise<void> {
  const rows = [...begun].map(([table, at]) => ({ table, at }));
  await db.run(sql`update sluice_private.table_progress g set state = 'copying', started_at = v.at, changed_at = now()
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as v ("table" text, at timestamptz)
    ${tableFound(mirrorId)} where g.ctid = found.ctid and g.state = 'waiting'`);
}

async function writePlans(db: Connection, mirrorId: string, planned: Gathered['planned']): Promise<void> {
  const tables = [...planned].map(([table, { rows, bytes }]) => ({ table, rows: Math.round(rows), bytes }));
  const parts = [...planned].flatMap(([table, plan]) =>
    plan.parts.map(({ part, what, rows }) => ({ table, part, what, rows: Math.round(rows) })),
  );
  await db.run(sql`delete from sluice_private.parts
    where mirror_id = ${mirrorId} and source_table = any(${[...planned.keys()]}::text[])`);
  await db.run(sql`insert into sluice_private.parts (mirror_id, source_table, part, what, rows_estimated)
    select ${mirrorId}, v."table", v.part, v.what, v.rows
    from jsonb_to_recordset(${JSON.stringify(parts)}::jsonb) as v ("table" text, part integer, what text, rows bigint)`);
  await db.run(sql`update sluice_private.table_progress g set state = 'waiting', rows_estimated = v.rows,
      bytes_estimated = v.bytes, started_at = null, finished_at = null, changed_at = now()
    from jsonb_to_recordset(${JSON.stringify(tables)}::jsonb) as v ("table" text, rows bigint, bytes bigint)
    ${tableFound(mirrorId)} where g.ctid = found.ctid`);
}

async function writeParts(db: Connection, mirrorId: string, parts: Gathered['parts']): Promise<void> {
  const rows = [...parts].flatMap(([table, ofTable]) => [...ofTable].map(([part, now]) => ({ table, part, ...now })));
  await db.run(sql`update sluice_private.parts p set state = v.state, rows_copied = v.rows, bytes_copied = v.bytes,
      started_at = v."startedAt", finished_at = case when v.state = 'copied' then v.at end
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as v ("table" text, part integer, state text, rows bigint,
      bytes bigint, "startedAt" timestamptz, at timestamptz)
    ${partFound(mirrorId)} where p.ctid = found.ctid`);
}

async function writeFinished(db: Connection, mirrorId: string, finished: Gathered['finished']): Promise<void> {
  const rows = [...finished].map(([table, at]) => ({ table, at }));
  await db.run(sql`update sluice_private.table_progress g set state = 'copied', changed_at = now(),
      started_at = coalesce(g.started_at, v.at), finished_at = v.at
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as v ("table" text, at timestamptz)
    ${tableFound(mirrorId)} where g.ctid = found.ctid`);
}

async function writeBatches(
  db: Connection,
  mirrorId: string,
  what: { readonly taken: Gathered; readonly keptBatches: number },
): Promise<string> {
  const rows = what.taken.batches.map((batch) => ({
    start_lsn: formatLsn(batch.startLsn),
    end_lsn: formatLsn(batch.endLsn),
    transactions: batch.transactions,
    changes: batch.changes,
    bytes: batch.bytes,
    staged_at: batch.stagedAt?.toISOString() ?? null,
    merged_at: batch.mergedAt.toISOString(),
    acknowledged_at: batch.acknowledgedAt.toISOString(),
    source_committed_at: batch.sourceCommittedAt.toISOString(),
    received_at: batch.receivedAt.toISOString(),
    committed_at: batch.committedAt.toISOString(),
  }));
  const written = await db.query<{ id: string }>(sql`insert into sluice_private.batches (mirror_id, start_lsn, end_lsn,
      transactions, changes, source_committed_at, received_at, committed_at, bytes, staged_at, merged_at, acknowledged_at)
    select ${mirrorId}, v.* from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as v (start_lsn pg_lsn, end_lsn pg_lsn,
      transactions bigint, changes bigint, source_committed_at timestamptz, received_at timestamptz,
      committed_at timestamptz, bytes bigint, staged_at timestamptz, merged_at timestamptz, acknowledged_at timestamptz)
    returning id`);
  const latest = written.at(-1)?.id ?? '0';
  // Every hundredth id or so, so that the history is cut rarely and is never far too long.
  if (written.some(({ id }) => BigInt(id) % 100n === 0n)) {
    await db.run(sql`delete from sluice_private.batches where mirror_id = ${mirrorId} and id <=
      (select id from sluice_private.batches where mirror_id = ${mirrorId} order by id desc
       offset ${what.keptBatches} limit 1)`);
  }
  return latest;
}

async function writeCounts(
  db: Connection,
  mirrorId: string,
  what: { readonly counts: Gathered['counts']; readonly latestBatch: string },
): Promise<void> {
  const rows = [...what.counts].map(([table, counts]) => ({ table, ...counts }));
  await db.run(sql`update sluice_private.table_progress g set inserts = g.inserts + v.inserts,
      updates = g.updates + v.updates, deletes = g.deletes + v.deletes, truncates = g.truncates + v.truncates,
      latest_batch = greatest(g.latest_batch, ${what.latestBatch}::bigint), changed_at = now(),
      change_bytes = g.change_bytes + v.bytes, change_rate_at = now(),
      change_rate = sluice_private.faded(g.change_rate, g.change_rate_at)
        + (v.inserts + v.updates + v.deletes) / 10::double precision,
      change_byte_rate = sluice_private.faded(g.change_byte_rate, g.change_rate_at) + v.bytes / 10::double precision
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as v ("table" text, inserts bigint, updates bigint, deletes bigint, truncates bigint, bytes bigint)
    ${tableFound(mirrorId)} where g.ctid = found.ctid`);
}

async function writePosition(db: Connection, mirrorId: string, taken: Gathered): Promise<void> {
  const { position } = taken;
  const lastBatch = taken.batches.at(-1);
  const [received, durable, sourceEnd] = position
    ? [position.received, position.durable, position.sourceEnd].map(formatLsn)
    : [null, null, null];
  // What a batch brought is durable; a position that was asked for before it is older.
  const applied = lastBatch === undefined ? null : formatLsn(lastBatch.endLsn);
  const whole = lastBatch === undefined ? null : formatLsn(lastBatch.durableLsn);
  const at = position?.at.toISOString() ?? null;
  const behindSince = position?.oldestCommitAt?.toISOString() ?? null;
  const isKnown = position !== undefined && position.oldestCommitAt !== undefined;
  await db.run(sql`insert into sluice_private.positions as p
      (mirror_id, received_lsn, durable_lsn, source_lsn, source_committed_at, observed_at, behind_since)
    values (${mirrorId}, greatest(${received}::pg_lsn, ${applied}), greatest(${durable}::pg_lsn, ${whole}),
      greatest(${sourceEnd}::pg_lsn, ${applied}), ${lastBatch?.sourceCommittedAt.toISOString() ?? null},
      ${at}, ${behindSince})
    on conflict (mirror_id) do update set received_lsn = greatest(excluded.received_lsn, p.received_lsn),
      durable_lsn = greatest(excluded.durable_lsn, p.durable_lsn),
      source_lsn = greatest(excluded.source_lsn, p.source_lsn),
      source_committed_at = coalesce(excluded.source_committed_at, p.source_committed_at),
      observed_at = coalesce(excluded.observed_at, p.observed_at),
      behind_since = case when ${isKnown} then excluded.behind_since
        when excluded.observed_at is null then p.behind_since else coalesce(p.behind_since, p.observed_at) end,
      changed_at = now()`);
}

/** Parts of which the catalog does not know that they are copied. */
export async function readUncopied(
  db: Connection,
  mirrorId: string,
): Promise<readonly { readonly table: string; readonly part: number }[]> {
  return await db.query<{ table: string; part: number }>(sql`select source_table as "table", part
    from sluice_private.parts where mirror_id = ${mirrorId} and state <> 'copied'`);
}

/** What the target has of parts, in place of what was told on the way. @param parts their rows, and bytes as they came */
export async function writeCopiedParts(
  db: Connection,
  mirrorId: string,
  parts: readonly {
    readonly table: string;
    readonly part: number;
    readonly rows: number;
    readonly bytes: number;
  }[],
): Promise<void> {
  await db.run(sql`update sluice_private.parts p set state = 'copied', rows_copied = v.rows, bytes_copied = v.bytes,
      finished_at = coalesce(p.finished_at, now())
    from jsonb_to_recordset(${JSON.stringify(parts)}::jsonb) as v ("table" text, part integer, rows bigint, bytes bigint)
    ${partFound(mirrorId)} where p.ctid = found.ctid`);
}

/** Says that every table's copy is there, whatever progress was lost on the way. */
export async function writeAllCopied(db: Connection, mirrorId: string): Promise<void> {
  await db.run(sql`update sluice_private.parts set state = 'copied', finished_at = coalesce(finished_at, now())
    where mirror_id = ${mirrorId} and state <> 'copied'`);
  await db.run(sql`update sluice_private.table_progress set state = 'copied', changed_at = now(),
      finished_at = coalesce(finished_at, now()) where mirror_id = ${mirrorId} and state <> 'copied'`);
}

export interface ObservedSlot {
  readonly slot: string;
  readonly active: boolean;
  readonly walStatus: string | null;
  /** Why it is lost, as the server calls it. */
  readonly invalidation: string | null;
  readonly safeWalBytes: number | null;
  readonly lagBytes: number | null;
  readonly restartLsn: Lsn | null;
  readonly confirmedLsn: Lsn | null;
}

/** One look at a slot, which is also a look at the source's end; looks older than a week go. */
export async function writeObservedSlot(db: Connection, mirrorId: string, slot: ObservedSlot): Promise<void> {
  const lsn = (value: Lsn | null) => (value === null ? null : formatLsn(value));
  // While a slot is being made it holds the log back already, and nothing is confirmed.
  const from = slot.confirmedLsn ?? slot.restartLsn;
  const sourceLsn = from === null || slot.lagBytes === null ? null : from + BigInt(slot.lagBytes);
  await db.run(sql`insert into sluice_private.slots
      (mirror_id, slot, active, wal_status, invalidation_reason, safe_wal_bytes, lag_bytes, restart_lsn, confirmed_lsn,
        source_lsn)
    values (${mirrorId}, ${slot.slot}, ${slot.active}, ${slot.walStatus}, ${slot.invalidation}, ${slot.safeWalBytes}, ${slot.lagBytes},
      ${lsn(slot.restartLsn)}, ${lsn(slot.confirmedLsn)}, ${lsn(sourceLsn)}) on conflict do nothing`);
  if (sourceLsn !== null) {
    // Nothing is received for a mirror that rests or is in trouble: it is behind since the look that found the source no further, at
    // most, and where this one does it may be from now on.
    await db.run(sql`update sluice_private.positions p set source_lsn = greatest(p.source_lsn, ${lsn(sourceLsn)}),
        observed_at = now(), behind_since = case when m.working and m.trouble is null then p.behind_since
          when greatest(p.source_lsn, ${lsn(sourceLsn)}) > p.durable_lsn
            then coalesce(p.behind_since, p.observed_at, now())
          else now() end
      from sluice_private.mirrors m where m.id = p.mirror_id and p.mirror_id = ${mirrorId} and p.durable_lsn is not null`);
  }
  await db.run(sql`delete from sluice_private.slots
    where mirror_id = ${mirrorId} and observed_at < now() - interval '7 days'`);
}

/** A mirror whose slot nobody has looked at for a while. */
export interface UnwatchedSlot {
  readonly id: string;
  readonly name: string;
  readonly token: bigint;
  readonly slot: string;
  readonly sourceId: string;
}

/** Those that nobody has looked at in the last `seconds`, whether the mirror runs, rests or failed. */
export async function unwatchedSlots(db: Connection, seconds: number): Promise<readonly UnwatchedSlot[]> {
  // A refused login is never tried again by itself.
  const rows = await db.query<Omit<UnwatchedSlot, 'token'> & { token: string }>(sql`
    select m.id, m.name, m.token, m.slot, m.source_id as "sourceId" from sluice_private.mirrors m
    where m.slot is not null and m.source_id is not null and m.wanted <> 'drop'
      and m.phase in ('snapshotting', 'finishing', 'catching_up', 'streaming')
      and m.trouble ->> 'kind' is distinct from 'login_refused'
      and not exists (select from sluice_private.slots s
        where s.mirror_id = m.id and s.observed_at > now() - make_interval(secs => ${seconds}))`);
  return rows.map((row) => ({ ...row, token: BigInt(row.token) }));
}
