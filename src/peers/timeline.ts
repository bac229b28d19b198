// Which server, and which of its lives: a source that was restored, or is a promoted standby, may lack log that the target has.
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, literal, sql } from '../pg/sql.ts';

// https://www.postgresql.org/docs/18/continuous-archiving.html#BACKUP-TIMELINES

/** Where the source's log is now. */
export interface SourceLog {
  /** The same on a server and its standbys, whichever is the primary. */
  readonly system: string;
  /** Counts up with every promotion and recovery to a point in time. */
  readonly timeline: bigint;
  readonly end: Lsn;
}

/** What the target remembers of the log that its rows came from; null: nothing was written down. */
export type RememberedLog = Pick<SourceLog, 'system' | 'timeline'> | null;

/** @param repl a replication connection */
export async function readSourceLog(repl: Connection): Promise<SourceLog> {
  // Replication commands are read in upper case only.
  const row = await repl.one<{ systemid: string; timeline: string; xlogpos: string }>(sql`IDENTIFY_SYSTEM`);
  return { system: row.systemid, timeline: BigInt(row.timeline), end: parseLsn(row.xlogpos) };
}

/**
 * Where the log left an earlier timeline on its way to the present one.
 * @returns null if it never was on that one
 */
export async function leftTimelineAt(repl: Connection, now: bigint, before: bigint): Promise<Lsn | null> {
  const history = await repl.one<{ content: string }>(sql`TIMELINE_HISTORY ${literal(now)}`);
  return switchPoint(history.content, before);
}

/** The line of that timeline in a history file: its number, where it was left, why. Pure. */
export function switchPoint(history: string, timeline: bigint): Lsn | null {
  for (const line of history.split('\n')) {
    const [number, lsn] = line.trim().split(/\s+/);
    if (number !== undefined && lsn !== undefined && /^\d+$/.test(number) && BigInt(number) === timeline) {
      return parseLsn(lsn);
    }
  }
  return null;
}

export type MissingLog =
  | { readonly kind: 'other_system' }
  | { readonly kind: 'other_branch' }
  | { readonly kind: 'ends'; readonly at: Lsn };

/** Why the target's checkpoint is not in that log; null: it is. Pure, but for `leftAt`, asked if the timeline is another. */
export async function missingLog(
  of: { readonly remembered: RememberedLog; readonly now: SourceLog; readonly checkpoint: Lsn },
  leftAt: () => Promise<Lsn | null>,
): Promise<MissingLog | null> {
  const { remembered, now, checkpoint } = of;
  if (remembered !== null && remembered.system !== now.system) return { kind: 'other_system' };
  if (remembered !== null && remembered.timeline !== now.timeline) {
    if (remembered.timeline > now.timeline) return { kind: 'other_branch' };
    const left = await leftAt();
    if (left === null) return { kind: 'other_branch' };
    if (left < checkpoint) return { kind: 'ends', at: left };
  }
  return now.end < checkpoint ? { kind: 'ends', at: now.end } : null;
}

type Place = Pick<MirrorWork, 'id' | 'token'> & { readonly target: { readonly metadataSchema: string } };

/** What the target remembers. */
export async function readRememberedLog(target: Connection, work: Place): Promise<RememberedLog> {
  const s = ident(work.target.metadataSchema);
  const [row] = await target.query<{ system: string | null; timeline: string | null }>(
    sql`select source_system as system, source_timeline as timeline from ${s}.checkpoints where mirror_id = ${work.id}`,
  );
  if (row?.system == null || row.timeline === null) return null;
  return { system: row.system, timeline: BigInt(row.timeline) };
}

/** Makes the target remember it. */
export async function rememberLog(target: Connection, work: Place, log: SourceLog): Promise<void> {
  const s = ident(work.target.metadataSchema);
  await target.run(sql`update ${s}.checkpoints set source_system = ${log.system}, source_timeline = ${log.timeline}
    where mirror_id = ${work.id} and token = ${work.token}`);
}
