// What people are told of a row that the target does not take. Pure.
import { type ErrorDetails, SluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import type { Versions } from '../pg/binary-form.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import type { AppliedTable } from './apply-table.ts';
import { shownName } from './schema/shown-name.ts';

/** What was done with a row. */
export const words = {
  insert: 'insert into',
  update: 'update of',
  delete: 'delete from',
  truncate: 'truncate of',
} as const;

/** The target's rows are not what the stream says. */
export class RowConflict extends SluiceError {
  /** The source's table, if it is partitioned and its rows come by the root: of a partition that was emptied the stream says nothing. */
  readonly root: TableName | null;

  constructor(message: string, of: ConflictTable & { readonly mirror: string }, details: ErrorDetails = {}) {
    super('conflict', message, { ...details, hint: conflictHint(of) });
    this.root = isRoot(of) ? of.from : null;
  }
}

function conflictHint({ mirror, ...of }: ConflictTable & { readonly mirror: string }): string {
  const { to } = of;
  const emptied = isRoot(of)
    ? ' Or a partition was truncated on the source, of which a stream that publishes by the root says nothing: then TRUNCATE it on the target as well, and RESUME MIRROR.'
    : '';
  return `Something else wrote to ${showTable(to)} on the target. Mend the row and RESUME MIRROR ${mirror}.${emptied} Where more is amiss: ${copyAgain(mirror)}`;
}

type ConflictTable = Pick<AppliedTable, 'from' | 'to' | 'kind' | 'partitions'>;

function isRoot({ kind, partitions }: ConflictTable): boolean {
  return kind === 'p' && partitions === null;
}

/** Where the target does not take a row. @param to the table that it is for */
export function refusedHint(error: SluiceError, versions: Versions, to: TableName): string {
  if (error.retry === 'backoff') return 'Nothing of the source transaction was applied. It is tried again by itself.';
  const nullable = error.sqlstate === '23502' ? letBeNull(error, to) : null;
  if (nullable !== null) return `Nothing of the source transaction was applied. ${nullable}`;
  const [newer, older] = versions.map((version) => Math.floor(version / 10_000)) as [number, number];
  // data_exception: what the target's type does not take.
  if (error.sqlstate.startsWith('22') && older < newer)
    return `PostgreSQL ${older} of the target may lack this value, which PostgreSQL ${newer} of the source has: then nothing on the target lets it in. Change it on the source, or leave its column out, and copy again (DROP MIRROR, CREATE MIRROR … WITH (resync = true)); or mirror to PostgreSQL ${newer}.`;
  return 'Nothing of the source transaction was applied. Mend the target, then RESUME MIRROR.';
}

// not_null_violation: the source has a row without a value there. Null: it is no column of a table.
function letBeNull({ fields }: SluiceError, to: TableName): string | null {
  if (fields?.column === undefined || fields.table === undefined) return null;
  const on = { schema: fields.schema ?? to.schema, name: fields.table };
  const column = shownName(fields.column);
  const run = `n the target run ALTER TABLE ${shownName(to.schema, to.name)} ALTER COLUMN ${column} DROP NOT NULL; then RESUME MIRROR.`;
  // A trigger may have written elsewhere.
  return sameTable(on, to)
    ? `O${run}`
    : `${column} of ${showTable(on)} may not be null on the target. If that is a partition: o${run}`;
}
