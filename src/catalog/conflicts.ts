// Changes that did not fit to the target, by row: how often and when, for people; none is ever passed over.
import type { Conflict } from '../mirror/conflict.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

// Of one mirror; those that were met longest ago go.
const mostConflicts = 1_000;
// A key may be of any length; so may the error that quotes it.
const mostText = 1_000;

/** Writes one down, or that it was met again. */
export async function writeConflict(
  db: Connection,
  mirrorId: string,
  met: { readonly conflict: Conflict; readonly message: string; readonly at: Date },
): Promise<void> {
  const { table, change, kind, key } = met.conflict;
  const cut = (text: string) => text.replaceAll('\0', '').slice(0, mostText);
  await db.run(sql`insert into sluice_private.conflicts as c
      (mirror_id, source_table, change, kind, row_key, message, first_at, last_at)
    values (${mirrorId}, ${table}, ${change}, ${kind}, ${cut(key ?? '')}, ${cut(met.message)}, ${met.at}, ${met.at})
    on conflict (mirror_id, source_table, change, kind, md5(row_key))
      do update set times = c.times + 1, last_at = excluded.last_at, message = excluded.message`);
  await db.run(sql`delete from sluice_private.conflicts where mirror_id = ${mirrorId} and last_at <
    (select last_at from sluice_private.conflicts where mirror_id = ${mirrorId} order by last_at desc
     offset ${mostConflicts - 1} limit 1)`);
}
