// Columns that only the target has and that we fill: which row is deleted on the source, and when a row was written.
import { SluiceError } from '../base/errors.ts';
import type { MirrorOptions } from '../mirror/options.ts';
import { ident, literal, type Sql, sql } from '../pg/sql.ts';
import { showTable, type Table } from '../pg/table.ts';

export interface Marks {
  /** The boolean column that says that a row is deleted; null: rows are deleted. */
  readonly deleted: string | null;
  /** The column for the time at which a row was written; null: none. */
  readonly synced: string | null;
  /** A row that says nothing of `synced` gets the same time by its default. */
  readonly syncedByDefault: boolean;
}

/** The columns that a mirror's options ask for. Pure. */
export function markNames(
  options: Pick<MirrorOptions, 'soft_delete' | 'soft_delete_col_name' | 'synced_at_col_name'>,
): Pick<Marks, 'deleted' | 'synced'> {
  const { soft_delete: soft, soft_delete_col_name: deleted, synced_at_col_name: synced } = options;
  return { deleted: soft ? deleted : null, synced: synced === undefined || synced === '' ? null : synced };
}

/**
 * The marks of one table of the target.
 * @param sent names of the columns that the source sends
 * @throws `wrong_state` if the target lacks one of them, or the source has a column of that name
 */
export function marksOf(names: Pick<Marks, 'deleted' | 'synced'>, target: Table, sent: readonly string[]): Marks {
  for (const [name, type] of [[names.deleted, 'boolean'] as const, [names.synced, 'timestamptz'] as const]) {
    if (name === null) continue;
    const column = ident(name).text;
    const table = showTable(target);
    if (sent.includes(name)) {
      throw new SluiceError('wrong_state', `the source has a column ${column}, which this mirror fills itself`, {
        detail: `It would be written to ${table} twice.`,
        hint: 'Exclude it from the mirror, or give the mirror another name for its own column.',
      });
    }
    if (target.columns.some((each) => each.name === name)) continue;
    throw new SluiceError('wrong_state', `${table} on the target lacks the column ${column} that this mirror fills`, {
      hint: `On the target run ALTER TABLE ${table} ADD COLUMN ${column} ${type}; then RESUME MIRROR.`,
    });
  }
  const { default: preset } = target.columns.find((each) => each.name === names.synced) ?? {};
  return { ...names, syncedByDefault: preset === 'now()' || preset === 'CURRENT_TIMESTAMP' };
}

/** For a SET list. @param gone whether the rows are deleted by it; null: that does not change */
export function markSets({ deleted, synced }: Marks, gone: boolean | null): readonly Sql[] {
  return [
    ...(deleted === null || gone === null ? [] : [sql`${ident(deleted)} = ${literal(gone)}`]),
    ...(synced === null ? [] : [sql`${ident(synced)} = pg_catalog.now()`]),
  ];
}

/** For an INSERT: names and values. */
export function markValues({ deleted, synced }: Marks, gone: boolean): readonly { readonly name: Sql; value: Sql }[] {
  return [
    ...(deleted === null ? [] : [{ name: ident(deleted), value: literal(gone) }]),
    ...(synced === null ? [] : [{ name: ident(synced), value: sql`pg_catalog.now()` }]),
  ];
}

/** ` and …`: only rows that the source has. A column that somebody else made may be null. */
export function andLive({ deleted }: Marks, alias: string): Sql {
  return deleted === null ? sql`` : sql` and ${ident(alias, deleted)} is not true`;
}

/** ` and …`: only rows that were deleted. */
export function andGone({ deleted }: Marks, alias: string): Sql {
  return deleted === null ? sql` and false` : sql` and ${ident(alias, deleted)}`;
}
