// How changes of one source relation reach one target table: which columns, by which key; refused before a row that does not fit.

import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { meansTheSame, type Versions } from '../pg/binary-form.ts';
import type { Lsn } from '../pg/lsn.ts';
import { type Column, sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { type Marks, marksOf } from './apply-marks.ts';
import type { Relation, RelationColumn } from './pgoutput.ts';
import type { RowFilter } from './row-filter.ts';
import { shownName } from './schema/shown-name.ts';
import type { Shape } from './shape.ts';

export interface AppliedColumn {
  readonly name: string;
  /** Place in the relation's rows. */
  readonly index: number;
  /** The target's type, as format_type prints it. */
  readonly type: string;
  /** GENERATED ALWAYS AS IDENTITY on the target: no UPDATE may set it. */
  readonly always: boolean;
}

/** How a row is found: by its key, by all of it (a multiset of rows), or not at all. */
export type RowIdentity = 'key' | 'row' | 'none';

export interface AppliedTable {
  /** Number within a session; names its staging table and statements. */
  readonly id: number;
  readonly from: TableName;
  readonly to: TableName;
  /** Columns of the relation's rows, mirrored or not. */
  readonly width: number;
  /** Mirrored columns, in the relation's order. */
  readonly columns: readonly AppliedColumn[];
  /** Columns that find a row; empty unless identity is `key`. */
  readonly key: readonly AppliedColumn[];
  /** Columns of the target beside the mirrored ones, without those that it computes. */
  readonly others: readonly string[];
  readonly identity: RowIdentity;
  /** Bytes of the key that make a JavaScript number, if it is one integer column in binary form. */
  readonly integerKey: 2 | 4 | 8 | null;
  readonly binary: boolean;
  /** The target has its primary key (or the index of its replica identity) on our key, so that rows are found one by one. */
  readonly indexed: boolean;
  /** relkind of the target. */
  readonly kind: Table['kind'];
  /** Where the relation is one partition of `from`: how many there are. Null: the relation is the table itself. */
  readonly partitions: number | null;
  /** Commits before this one are in the copy. */
  readonly snapshotLsn: Lsn | null;
  /** What the two sides are now, to be remembered with the first rows; null: as it is remembered. */
  readonly agreed: Shape | null;
  readonly filter: RowFilter;
  readonly marks: Marks;
}

export interface Meeting {
  readonly id: number;
  readonly mirrored: MirroredTable;
  readonly relation: Relation;
  /** The source table (the root, where `relation` is a partition of it). */
  readonly source: Table;
  readonly target: Table;
  readonly binary: boolean;
  readonly snapshotLsn: Lsn | null;
  readonly agreed: Shape | null;
  /** The source's primary key, if it has been the same since the two sides agreed. */
  readonly steadyKey: readonly string[] | null;
  readonly filter: RowFilter;
  /** Names of the columns that the mirror fills itself. */
  readonly marks: Pick<Marks, 'deleted' | 'synced'>;
}

/**
 * Brings a relation of the stream and a table of the target together.
 * @throws `wrong_state` if the target lacks a column or cannot take it
 */
export function appliedTable(meeting: Meeting): AppliedTable {
  const { relation, mirrored, target, source } = meeting;
  const mirroredColumns = relation.columns
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => !mirrored.exclude.includes(column.name));
  checkColumns(
    meeting,
    mirroredColumns.map(({ column }) => column),
  );
  const columns = mirroredColumns.map(({ column, index }) => ({
    name: column.name,
    index,
    type: targetColumn(target, column.name)?.type.text ?? '',
    always: targetColumn(target, column.name)?.identity === 'a',
  }));
  const names = keyNames(relation, meeting.steadyKey);
  const key = columns.filter((column) => names.includes(column.name));
  const identity = key.length > 0 && key.length === names.length ? 'key' : relation.identity === 'f' ? 'row' : 'none';
  const unique = target.primaryKey?.columns ?? target.identityColumns ?? [];
  return {
    id: meeting.id,
    from: mirrored.from,
    to: mirrored.to,
    width: relation.columns.length,
    columns,
    key: identity === 'key' ? key : [],
    others: target.columns
      .filter(({ name, generated }) => generated === '' && !columns.some((column) => column.name === name))
      .map(({ name }) => name),
    identity,
    integerKey: meeting.binary && identity === 'key' ? integerKey(relation, key) : null,
    binary: meeting.binary,
    indexed: unique.length > 0 && unique.every((name) => names.includes(name)),
    kind: target.kind,
    partitions: sameTable(relation, mirrored.from) ? null : source.leaves.length,
    snapshotLsn: meeting.snapshotLsn,
    agreed: meeting.agreed,
    filter: meeting.filter,
    marks: marksOf(
      meeting.marks,
      target,
      columns.map(({ name }) => name),
    ),
  };
}

/** A relation of before the table's copy, which was made of a later one: none of its rows is written. */
export function pastTable(of: Pick<Meeting, 'id' | 'mirrored' | 'relation' | 'target' | 'snapshotLsn'>): AppliedTable {
  const { id, mirrored, relation, target, snapshotLsn } = of;
  return {
    ...{ id, from: mirrored.from, to: mirrored.to, width: relation.columns.length, columns: [], key: [] },
    ...{ identity: 'none', integerKey: null, binary: false, indexed: false, kind: target.kind },
    ...{ partitions: null, snapshotLsn, agreed: null, others: [], filter: null },
    marks: { deleted: null, synced: null, syncedByDefault: false },
  };
}

function keyNames(relation: Relation, steadyKey: readonly string[] | null): readonly string[] {
  if (relation.identity === 'n') return [];
  if (relation.identity !== 'f') return relation.columns.filter((column) => column.key).map((column) => column.name);
  // Old rows come whole, and a primary key is all of it that we need; older log may hold two rows of a younger key.
  const columns = steadyKey ?? [];
  return columns.every((name) => relation.columns.some((column) => column.name === name)) ? columns : [];
}

function integerKey(relation: Relation, key: readonly AppliedColumn[]): AppliedTable['integerKey'] {
  const [only, second] = key;
  if (only === undefined || second !== undefined) return null;
  // https://www.postgresql.org/docs/18/catalog-pg-type.html: int2 21, int4 23, int8 20
  const bytes: Readonly<Record<number, 2 | 4 | 8>> = { 21: 2, 23: 4, 20: 8 };
  return bytes[relation.columns[only.index]?.type ?? 0] ?? null;
}

function targetColumn(target: Table, name: string): Column | undefined {
  return target.columns.find((column) => column.name === name);
}

function checkColumns(meeting: Meeting, columns: readonly RelationColumn[]): void {
  const { mirrored, target, source } = meeting;
  const missing = columns.filter((column) => targetColumn(target, column.name) === undefined);
  if (missing.length > 0) {
    const adds = missing.map((column) => addColumn(column.name, source));
    throw new SluiceError('wrong_state', `${showTable(mirrored.to)} on the target lacks columns that the source has`, {
      detail: `Missing: ${missing.map((column) => column.name).join(', ')}. Every change before the first row that has them is applied.`,
      hint: `On the target run ALTER TABLE ${showTable(mirrored.to)} ${adds.join(', ')}; then RESUME MIRROR.`,
    });
  }
  const computed = columns.filter((column) => targetColumn(target, column.name)?.generated !== '');
  if (computed.length > 0) {
    throw new SluiceError(
      'wrong_state',
      `${showTable(mirrored.to)} on the target computes columns that the source sends`,
      {
        detail: `Generated on the target: ${computed.map((column) => column.name).join(', ')}.`,
        hint: `On the target run ALTER TABLE ${shownName(mirrored.to.schema, mirrored.to.name)} ${computed.map((column) => plainColumn(column.name, target)).join(', ')}; then RESUME MIRROR.`,
      },
    );
  }
}

// What is not stored has no values that it could keep.
function plainColumn(name: string, target: Table): string {
  const column = targetColumn(target, name);
  const shown = shownName(name);
  return column?.generated === 'v'
    ? `DROP COLUMN ${shown}, ADD COLUMN ${shown} ${column.type.text}`
    : `ALTER COLUMN ${shown} DROP EXPRESSION`;
}

/** `ADD COLUMN …` as the source has the column. */
export function addColumn(name: string, source: Table): string {
  const column = source.columns.find((each) => each.name === name);
  const parts = [`ADD COLUMN ${shownName(name)} ${column?.type.text ?? '…'}`];
  if (column?.default != null && column.generated === '') parts.push(`DEFAULT ${column.default}`);
  if (column?.default != null && column.generated !== '')
    parts.push(`GENERATED ALWAYS AS (${column.default}) ${column.generated === 's' ? 'STORED' : 'VIRTUAL'}`);
  if (column?.notNull) parts.push('NOT NULL');
  if (column !== undefined && column.identity !== '') {
    parts.push(`GENERATED ${column.identity === 'a' ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY`);
  }
  return parts.join(' ');
}

/** A column's name for people, quoted where it must be. */
export function showName(name: string): string {
  return showTable({ schema: name, name: 'x' }).slice(0, -2);
}

/** Whether every mirrored column of the relation has one binary form on both sides. */
export function binaryFits(
  relation: Relation,
  mirrored: MirroredTable,
  sides: { readonly source: Table; readonly target: Table; readonly versions: Versions },
): boolean {
  return relation.columns.every((column) => {
    if (mirrored.exclude.includes(column.name)) return true;
    const here = targetColumn(sides.target, column.name);
    const there = sides.source.columns.find((each) => each.name === column.name);
    if (here === undefined || !here.type.binarySafe || !meansTheSame(here.type, sides.versions)) return false;
    if (column.type === here.type.oid && here.type.builtin) return true;
    return there?.type.oid === column.type && there.type.binarySafe && there.type.text === here.type.text;
  });
}
