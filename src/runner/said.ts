// A server's own words as trouble of a mirror: which side said them, of which table, and what can be done. Pure.
import { SluiceError } from '../base/errors.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { serverName } from '../peers/connect.ts';
import { showTable } from '../pg/table.ts';

/** What was said in our words is left as it is. */
export function withSide(error: SluiceError, work: Pick<MirrorWork, 'source' | 'target'> | null): SluiceError {
  const { server, fields } = error;
  if (error.kind !== 'upstream' || server === undefined || fields === undefined) return error;
  const side = work === null ? null : sideOf(server, work);
  const who = side === null ? server : `the ${side} (${server})`;
  const table =
    fields.table === undefined ? null : showTable({ schema: fields.schema ?? 'public', name: fields.table });
  const detail = [error.detail, table === null ? undefined : `Table: ${table}.`].filter((each) => each !== undefined);
  return new SluiceError('upstream', `${who} says: ${error.message}`, {
    fields,
    detail: detail.length === 0 ? undefined : detail.join(' '),
    hint: error.hint ?? hintOf(error, side ?? 'server', table),
    cause: error,
  });
}

function sideOf(server: string, { source, target }: Pick<MirrorWork, 'source' | 'target'>): 'source' | 'target' | null {
  if (server === serverName(source)) return 'source';
  return server === serverName(target) ? 'target' : null;
}

function hintOf(error: SluiceError, side: string, table: string | null): string {
  // admin_shutdown
  if (error.sqlstate === '57P01')
    return `Somebody ended the mirror's session on the ${side} (pg_terminate_backend), or the server stops. It is tried again by itself.`;
  if (error.retry === 'backoff') return `It is tried again by itself. If it stays, look at the ${side}.`;
  // A check_violation of no constraint is a row without a partition.
  if (error.sqlstate === '23514' && error.fields?.constraint === undefined && table !== null)
    return `On the ${side} make a partition of ${table} that takes the row, as the other side has it; then RESUME MIRROR.`;
  return `Mend it on the ${side}, then RESUME MIRROR.`;
}
