// The ledger as the catalog keeps it: one row for each object of the source, with what became of it.
import { type ObjectLine, type ObjectName, type ObjectState, objectKey } from '../mirror/object.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

/** A line with the time at which it was said, and when its object was begun and ended, as far as that is known. */
export interface TimedLine extends ObjectLine {
  readonly at: Date;
  readonly startedAt?: Date | undefined;
  readonly finishedAt?: Date | undefined;
}

// Found standing by a later look: then it is ours.
const ours: ReadonlySet<ObjectState> = new Set(['waiting', 'making', 'created']);

/** What a line says after an earlier one of the same object. Pure. */
export function afterLine(before: TimedLine | undefined, line: TimedLine): TimedLine {
  const found = line.state === 'existed' && before !== undefined && ours.has(before.state);
  const state = found ? 'created' : line.state;
  const begins = state === 'making' && before?.state !== 'making';
  const ends = (line.state === 'created' || line.state === 'failed') && line.finishedAt === undefined;
  return {
    ...line,
    state,
    statement: line.statement ?? before?.statement,
    place: line.place ?? before?.place,
    bytes: line.bytes ?? before?.bytes,
    startedAt: begins ? line.at : (line.startedAt ?? before?.startedAt),
    finishedAt: ends ? line.at : (line.finishedAt ?? (found ? before.finishedAt : undefined)),
  };
}

const linesPerTrip = 1_000;

/** Writes lines over those that are there; the rules of `afterLine` hold here too. */
export async function writeObjects(db: Connection, mirrorId: string, lines: readonly TimedLine[]): Promise<void> {
  for (let at = 0; at < lines.length; at += linesPerTrip) {
    const rows = lines.slice(at, at + linesPerTrip).map(({ reason, statement, bytes, ...line }) => ({
      ...line,
      reason: withoutNul(reason),
      statement: withoutNul(statement),
      bytes: bytes === undefined ? undefined : Math.round(bytes),
    }));
    await db.run(sql`insert into sluice_private.objects as o (mirror_id, kind, schema_name, object_name, source_table,
        stage, state, reason, sqlstate, statement, as_is, place, bytes, doing, percent, started_at, finished_at)
      select ${mirrorId}, v.kind, v.schema, v.name, v."table", v.stage, v.state, v.reason, v.sqlstate, v.statement,
        v."asIs", v.place, v.bytes, v.doing, v.percent, v."startedAt", v."finishedAt"
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as v (kind text, schema text, name text, "table" text,
        stage text, state text, reason text, sqlstate text, statement text, "asIs" boolean, place integer, bytes bigint, doing text,
        percent integer, "startedAt" timestamptz, "finishedAt" timestamptz)
      on conflict (mirror_id, kind, schema_name, object_name, source_table) do update set
        stage = excluded.stage,
        state = case when excluded.state = 'existed' and o.state in ('waiting', 'making', 'created') then 'created'
          else excluded.state end,
        reason = excluded.reason, sqlstate = excluded.sqlstate, doing = excluded.doing, percent = excluded.percent,
        statement = coalesce(excluded.statement, o.statement), as_is = excluded.as_is,
        place = coalesce(excluded.place, o.place), bytes = coalesce(excluded.bytes, o.bytes),
        started_at = case when o.state = 'making' and excluded.state = 'making' then o.started_at
          else coalesce(excluded.started_at, o.started_at) end,
        finished_at = coalesce(excluded.finished_at,
          case when excluded.state = 'existed' and o.state in ('waiting', 'making', 'created') then o.finished_at end),
        changed_at = now()`);
  }
}

function withoutNul(text: string | undefined): string | undefined {
  return text?.replaceAll('\0', '');
}

/** Everything in the ledger that is not on the target and may be tried again, by objectKey. */
export async function unmadeObjects(
  db: Connection,
  mirrorId: string,
): Promise<ReadonlyMap<string, Pick<ObjectLine, 'kind' | 'schema' | 'name' | 'table' | 'stage' | 'state'>>> {
  const rows = await db.query<Pick<ObjectLine, 'kind' | 'schema' | 'name' | 'table' | 'stage' | 'state'>>(
    sql`select kind, schema_name as schema, object_name as name, source_table as "table", stage, state from sluice_private.objects
      where mirror_id = ${mirrorId} and state not in ('created', 'existed')`,
  );
  return new Map(rows.map((row) => [objectKey(row), row]));
}

/** Keys of the lines that say of a table that the mirror made it. */
export async function readMadeTables(db: Connection, mirrorId: string): Promise<ReadonlySet<string>> {
  const rows =
    await db.query<ObjectName>(sql`select kind, schema_name as schema, object_name as name, source_table as "table"
    from sluice_private.objects where mirror_id = ${mirrorId} and kind = 'table' and state = 'created'`);
  return new Set(rows.map(objectKey));
}
