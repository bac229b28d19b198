// SHOW MIRROR's lines about what follows the copy: how much came and how fast, the last batch stage by stage, what did not fit.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { grouped, shownBytes } from './words.ts';

export interface ChangesFacts {
  readonly changes: number;
  readonly bytes: number;
  readonly rows_per_second: number;
  readonly bytes_per_second: number;
}

/** Times are in seconds since it began to come in. */
export interface BatchFacts {
  readonly transactions: number;
  readonly changes: number;
  readonly bytes: number | null;
  readonly end_lsn: string;
  readonly staged: number | null;
  readonly merged: number | null;
  readonly committed: number;
  readonly acknowledged: number | null;
  readonly latency_seconds: number;
}

export interface ConflictFacts {
  readonly source_table: string;
  readonly change: 'insert' | 'update' | 'delete';
  readonly kind: 'missing' | 'exists' | 'several';
  readonly row_key: string | null;
  readonly times: number;
  readonly last_at: string;
}

// The newest; the view has them all.
const mostConflicts = 10;

/** Rows for SHOW MIRROR; none for a mirror that has not followed yet. */
export async function changesRows(db: Connection, mirror: string): Promise<[string, string][]> {
  // As JSON, in which numbers are numbers.
  const [changes] = await db.query<{ facts: ChangesFacts }>(sql`select pg_catalog.to_json(f) as facts from (
    select sum(inserts + updates + deletes + truncates) as changes, sum(bytes) as bytes,
      sum(rows_per_second) as rows_per_second, sum(bytes_per_second) as bytes_per_second
    from sluice.changes where mirror = ${mirror} having count(last_change_at) > 0) f`);
  const [batch] = await db.query<{ facts: BatchFacts }>(sql`select pg_catalog.to_json(f) as facts from (
    select transactions, changes, bytes, end_lsn, extract(epoch from staged_at - received_at) as staged,
      extract(epoch from merged_at - received_at) as merged, extract(epoch from committed_at - received_at) as committed,
      extract(epoch from acknowledged_at - received_at) as acknowledged, latency_seconds
    from sluice.batches where mirror = ${mirror} order by id desc limit 1) f`);
  const conflicts = await db.query<{ facts: ConflictFacts }>(sql`select pg_catalog.to_json(f) as facts from (
    select source_table, change, kind, row_key, times, last_at::text from sluice.conflicts where mirror = ${mirror}
    order by sluice.conflicts.last_at desc limit ${mostConflicts}) f`);
  return [
    ...(changes === undefined ? [] : [['changes', changesLine(changes.facts)] as [string, string]]),
    ...(batch === undefined ? [] : [['last batch', batchLine(batch.facts)] as [string, string]]),
    ...conflicts.map(({ facts }): [string, string] => [`conflict in ${facts.source_table}`, conflictLine(facts)]),
  ];
}

/** `1,234,567 (1.2 GB); now 1,200 rows/s, 3.4 MB/s`. Pure. */
export function changesLine(facts: ChangesFacts): string {
  return `${grouped(String(facts.changes))} (${shownBytes(facts.bytes)}); now ${rate(facts)}`;
}

function rate(facts: Pick<ChangesFacts, 'rows_per_second' | 'bytes_per_second'>): string {
  return `${grouped(String(Math.round(facts.rows_per_second)))} rows/s, ${shownBytes(facts.bytes_per_second)}/s`;
}

/** `2 transactions, 120 changes (10.2 kB) up to 0/1A2B3C8: staged after 3 ms, …`. Pure. */
export function batchLine(facts: BatchFacts): string {
  const size = facts.bytes === null ? '' : ` (${shownBytes(facts.bytes)})`;
  const stages = [
    ['staged', facts.staged],
    ['merged', facts.merged],
    ['committed', facts.committed],
    ['acknowledged', facts.acknowledged],
  ] as const;
  const times = stages.flatMap(([word, seconds]) => (seconds === null ? [] : [`${word} after ${ms(seconds)}`]));
  return `${grouped(String(facts.transactions))} transactions, ${grouped(String(facts.changes))} changes${size} up to ${facts.end_lsn}: ${times.join(', ')}; there ${ms(facts.latency_seconds)} after the source's commit`;
}

function ms(seconds: number): string {
  return seconds < 10 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

const whatMet = {
  missing: 'no such row on the target',
  exists: 'a row there already on the target',
  several: 'several such rows on the target',
} as const;

/** `update of (id) = (5): no such row on the target; met 3 times, last at …`. Pure. */
export function conflictLine(facts: ConflictFacts): string {
  const times = facts.times === 1 ? 'once' : `${grouped(String(facts.times))} times`;
  return `${facts.change} of ${facts.row_key ?? 'a row without a key'}: ${whatMet[facts.kind]}; met ${times}, last at ${facts.last_at}`;
}
