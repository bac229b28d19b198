// How far a copy is, as SHOW MIRROR tells it: what it waits for, how long it will take, and the log that its slot holds back.
import { whyLost } from '../peers/slot.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { grouped, shownBytes, shownSeconds } from './words.ts';

export interface ProgressFacts {
  readonly rows_copied: number;
  readonly rows_total: number | null;
  readonly rows_per_second: number | null;
  readonly bytes_copied: number;
  readonly bytes_total: number | null;
  readonly bytes_per_second: number | null;
  readonly objects_made: number | null;
  readonly objects_total: number | null;
  readonly load_seconds_left: number | null;
  readonly finish_seconds_left: number | null;
  readonly percent: number | null;
  readonly ends_at: string | null;
  readonly phase: string;
}

export interface WalFacts {
  readonly slot: string;
  readonly wal_status: string | null;
  readonly invalidation_reason: string | null;
  readonly held_bytes: number;
  readonly bytes_per_second: number | null;
  readonly bytes_until_lost: number | null;
  readonly seconds_until_lost: number | null;
  readonly held_bytes_after_copy: number | null;
  readonly seconds_left: number | null;
  /** Seconds since it was looked at. */
  readonly age: number;
}

/**
 * Rows for SHOW MIRROR; none for what is not known or over.
 * @param stands whether the mirror is paused or failed: then nothing has a rate, and nobody knows when it ends
 */
export async function progressRows(db: Connection, mirror: string, stands: boolean): Promise<[string, string][]> {
  // As JSON, in which numbers are numbers.
  const [progress] = await db.query<{ facts: ProgressFacts }>(sql`select pg_catalog.to_json(f) as facts
    from (select *, to_char(ends_at, 'HH24:MI:SS TZH:TZM') as ends_at from sluice.progress where mirror = ${mirror}) f`);
  const [wal] = await db.query<{ facts: WalFacts }>(sql`select pg_catalog.to_json(f) as facts
    from (select w.*, p.seconds_left, extract(epoch from now() - w.observed_at) as age
      from sluice.wal w left join sluice.progress p on p.mirror = w.mirror where w.mirror = ${mirror}) f`);
  const parts = await db.query<{ facts: PartFacts }>(sql`select pg_catalog.to_json(f) as facts
    from (select * from sluice.parts where mirror = ${mirror} and state = 'copying'
      order by source_table, part limit ${mostParts}) f`);
  const waits = await db.query<{ line: string }>(
    sql`select waits_for as line from sluice.waits where mirror = ${mirror}`,
  );
  return [
    ...waits.map(({ line }): [string, string] => ['waits for', line]),
    ...(progress === undefined ? [] : progressLines(progress.facts, stands)),
    ...(wal === undefined ? [] : [['log held back', walLine(wal.facts, stands)] as [string, string]]),
    ...(stands ? [] : parts).map(({ facts }): [string, string] => [
      `part ${facts.part} of ${facts.source_table}`,
      partLine(facts),
    ]),
  ];
}

// As many as there can be workers with the usual settings, and some; the view has them all.
const mostParts = 32;

/** What is copied and made, and when that is over. Pure. */
export function progressLines(facts: ProgressFacts, stands = false): [string, string][] {
  const { load_seconds_left: load, finish_seconds_left: finish, objects_made: made, objects_total: total } = facts;
  if (load === null || finish === null || facts.phase === 'preparing') return [];
  const loading = facts.phase === 'snapshotting';
  const objects = (total ?? 0) === 0 ? null : `${made} of ${total} keys, indexes and constraints`;
  const copied = [
    `${shownBytes(facts.bytes_copied)} of ${shownBytes(facts.bytes_total ?? facts.bytes_copied)}`,
    `${grouped(String(facts.rows_copied))} of about ${grouped(String(facts.rows_total ?? facts.rows_copied))} rows`,
    ...(stands
      ? []
      : [
          `${shownBytes(facts.bytes_per_second ?? 0)}/s, ${grouped(String(Math.round(facts.rows_per_second ?? 0)))} rows/s`,
        ]),
  ].join(', ');
  const left = loading
    ? `${shownSeconds(load)} for rows, ${shownSeconds(finish)} for what is made after them`
    : `what is made after the rows`;
  const progress = `${facts.percent ?? 0} %: ${loading ? copied : `rows are copied, ${objects ?? 'nothing to make'}`}`;
  if (stands) return [['progress', progress]];
  return [
    ['progress', progress],
    ['time left', `${shownSeconds(load + finish)} (${left}), until ${facts.ends_at}`],
  ];
}

/** `1.2 GB, growing by 3.0 MB/s; lost in 45 min, …`, or why it is lost. Pure. */
export function walLine(facts: WalFacts, stands = false): string {
  const { wal_status: status, bytes_until_lost: room, seconds_until_lost: seconds, bytes_per_second: rate } = facts;
  if (status === 'lost') return `slot "${facts.slot}" is lost. ${whyLost({ invalidation: facts.invalidation_reason })}`;
  const parts = [
    `${shownBytes(facts.held_bytes)}${rate === null ? '' : `, growing by ${shownBytes(Math.max(0, rate))}/s`}`,
  ];
  if (!stands && facts.seconds_left !== null && facts.held_bytes_after_copy !== null) {
    const then = shownBytes(facts.held_bytes_after_copy);
    parts.push(`about ${then} when the copy ends in ${shownSeconds(facts.seconds_left)}`);
  }
  if (room === null) parts.push('max_slot_wal_keep_size sets no limit: the disk of the source does');
  else {
    const when = seconds === null ? '' : `, reached in ${shownSeconds(seconds)} at this rate`;
    parts.push(`${shownBytes(room)} more until max_slot_wal_keep_size${when}`);
    const early = !stands && seconds !== null && facts.seconds_left !== null && seconds < facts.seconds_left;
    if (early) parts.push('that is before the copy ends: raise it on the source, or the slot will be lost');
  }
  if (status === 'unreserved')
    parts.push('the next checkpoint may remove what it needs: raise max_slot_wal_keep_size now');
  return `${parts.join('; ')} (looked at ${facts.age.toFixed(0)} s ago)`;
}

export interface PartFacts {
  readonly source_table: string;
  readonly part: number;
  readonly what: string;
  readonly rows_estimated: number;
  readonly rows_copied: number;
  readonly rows_per_second: number | null;
  readonly seconds_left: number | null;
}

/** `pages 0 to 1233: 12,000 of about 250,000 rows, 90,000 rows/s, 3 s left`. Pure. */
export function partLine(part: PartFacts): string {
  const of = part.rows_estimated > part.rows_copied ? ` of about ${grouped(String(part.rows_estimated))}` : '';
  const words = [`${part.what}: ${grouped(String(part.rows_copied))}${of} rows`];
  if (part.rows_per_second !== null) words.push(`${grouped(String(Math.round(part.rows_per_second)))} rows/s`);
  if (part.seconds_left !== null) words.push(`${shownSeconds(part.seconds_left)} left`);
  return words.join(', ');
}
