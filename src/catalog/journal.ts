// The journal: what was said and what happened, to whom, when, by whose word.
import type { TableChange } from '../mirror/table-change.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { writeTableChanges } from './table-changes.ts';

/** `statement`: said by a person. `phase`, `trouble`, `recovered`, `paused`, `resumed`: the runner's doings. `note`: an engine's remark. `schema`: a change of the schema that followed. */
export type JournalEvent = 'statement' | 'phase' | 'trouble' | 'recovered' | 'paused' | 'resumed' | 'note' | 'schema';

export interface JournalEntry {
  readonly event: JournalEvent;
  readonly message: string;
  readonly mirror?: { readonly id: string | null; readonly name: string };
  readonly details?: Readonly<Record<string, unknown>>;
  readonly by?: { readonly user: string; readonly remote: string };
  /** When it happened; now unless told. */
  readonly at?: Date;
  /** Left out if the mirror's journal has the same already. */
  readonly once?: boolean;
}

/** Writes entries in their order, on the caller's connection and so in its transaction. Texts must hold no secret. */
export async function writeJournal(db: Connection, entries: readonly JournalEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const rows = entries.map((entry) => ({
    at: entry.at?.toISOString() ?? null,
    mirror_id: entry.mirror?.id ?? null,
    mirror_name: entry.mirror?.name ?? null,
    event: entry.event,
    message: entry.message.replaceAll('\0', ''),
    details: entry.details ?? {},
    by_user: entry.by?.user ?? null,
    by_remote: entry.by?.remote ?? null,
    once: entry.once ?? false,
  }));
  await db.run(sql`insert into sluice_private.journal
      (at, mirror_id, mirror_name, event, message, details, by_user, by_remote)
    select coalesce(v.at, now()), v.mirror_id, v.mirror_name, v.event, v.message, v.details, v.by_user, v.by_remote
    from rows from (jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as (at timestamptz, mirror_id uuid,
      mirror_name text, event text, message text, details jsonb, by_user text, by_remote text, once boolean))
      with ordinality as v
    where not v.once or not exists (select from sluice_private.journal j
      where j.mirror_id = v.mirror_id and j.event = v.event and j.message = v.message)
    order by v.ordinality`);
}

/** A change of the schema that was made on a target. */
export interface JournalChange {
  /** UUID: it is written once, however often it is told. */
  readonly id: string;
  readonly table: string;
  readonly what: string;
  readonly lsn: string;
  readonly at: Date;
  readonly statements: readonly string[];
  readonly tables?: readonly TableChange[];
}

/** In the caller's transaction, with what the change makes of the mirror's tables. */
export async function writeSchemaEntry(
  db: Connection,
  mirror: { readonly id: string; readonly name: string },
  { id, table, what, lsn, at, statements, tables }: JournalChange,
): Promise<void> {
  const message = table === '' ? what : `${table}: ${what}`;
  const { rowCount } =
    await db.run(sql`insert into sluice_private.journal (at, mirror_id, mirror_name, event, message, details)
    values (${at.toISOString()}::timestamptz, ${mirror.id}, ${mirror.name}, 'schema', ${message.replaceAll('\0', '')},
      ${JSON.stringify({ change: id, table, lsn, statements })}::jsonb)
    on conflict ((details ->> 'change')) where event = 'schema' do nothing`);
  if (rowCount > 0 && tables !== undefined) await writeTableChanges(db, mirror.id, tables);
}
