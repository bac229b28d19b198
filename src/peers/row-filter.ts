// Row filters of our own, where the source does not filter what it sends: PostgreSQL decides about each row, as it would in a publication.
import { SluiceError } from '../base/errors.ts';
import { rowPredicate } from '../mirror/selection.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable, type Table } from '../pg/table.ts';
import { cellsAt } from './apply-frames.ts';
import type { AppliedTable } from './apply-table.ts';
import { type ChangesStep, eachChange, type Judged, type Step, type Verdicts } from './apply-walk.ts';
import { type Change, cells, type Relation, type RowAt, readLength } from './pgoutput.ts';
import { shownName } from './schema/shown-name.ts';
import { fillUnchanged, wholeRow } from './staging.ts';

/** How the rows of a table are filtered on their way: by the source's publication, or by us. Null: not at all. */
export type RowFilter = { readonly by: 'source' } | OwnFilter | null;

export interface OwnFilter {
  readonly by: 'us';
  readonly mirrored: MirroredTable;
  /** Columns that the predicate needs, with their place in the relation's rows. */
  readonly columns: readonly { readonly index: number }[];
  /** Asks which rows match; parameters: a list of texts for each column. */
  readonly question: (values: readonly (readonly (string | null)[])[]) => Sql;
}

/** A predicate that we are to decide ourselves. */
export interface FilterWish {
  readonly where: string;
  /** Columns that it names; null: unknown, any. */
  readonly columns: readonly string[] | null;
}

/**
 * The filter of a relation of the stream.
 * @param types of the relation's columns, as format_type prints them
 * @throws `wrong_state` if the relation lacks a column of the predicate
 */
export function ownFilter(
  wish: FilterWish,
  of: {
    readonly mirrored: MirroredTable;
    readonly relation: Relation;
    readonly types: readonly string[];
    readonly source: Table;
  },
): OwnFilter {
  const { mirrored, relation, types, source } = of;
  const all = relation.columns.map(({ name }, index) => ({ name, index, type: types[index] ?? 'text' }));
  const lacking = (wish.columns ?? []).filter((name) => !all.some((column) => column.name === name));
  if (lacking.length > 0) {
    throw new SluiceError(
      'wrong_state',
      `the stream lacks columns that the filter of ${showTable(mirrored.from)} uses`,
      {
        detail: `Missing: ${lacking.join(', ')}.`,
        hint: lackingHint(lacking, source),
      },
    );
  }
  const columns = all.filter(({ name }) => wish.columns === null || wish.columns.includes(name));
  // A value that came out of a column goes back into its type as it is; its collation is the column's, as the table says.
  const row = columns.map(({ name, type }, i) => {
    const collation = source.columns.find((column) => column.name === name)?.collation ?? null;
    const collate = collation === null ? sql`` : sql` collate ${ident(collation.schema, collation.name)}`;
    return sql`${ident('sluice row', `c${i}`)}::${trusted(type)}${collate} as ${ident(name)}`;
  });
  // The predicate's columns are the inner ones, whatever the outer ones are called.
  const question = (values: readonly (readonly (string | null)[])[]) => {
    const lists = values.map((list) => sql`pg_catalog.unnest(${list}::text[])`);
    // A predicate without columns has a list all the same, of as many rows.
    const names = join([...values.map((_, i) => ident(`c${i}`)), ident('sluice place')]);
    return sql`select ${ident('sluice place')}::int as place from rows from (${join(lists)}) with ordinality as ${ident('sluice row')}(${names})
      where exists (select from (select ${join(row)}) as ${ident(mirrored.from.name)} where ${rowPredicate(wish.where)})`;
  };
  return { by: 'us', mirrored, columns, question };
}

function lackingHint(lacking: readonly string[], { columns }: Table): string {
  const generated = lacking.filter((name) => columns.some((each) => each.name === name && each.generated !== ''));
  if (generated.length === 0) {
    return 'Name them on the source as they were, or drop the mirror and create it anew; then RESUME MIRROR.';
  }
  const list = generated.map((name) => shownName(name)).join(', ');
  return `Drop the mirror and create it anew with a "where" without ${list}: the source generates it, and the stream does not bring it.`;
}

// So many rows are asked about at a time.
const rowsPerTrip = 5_000;

/**
 * Decides about the changes of filtered tables, as a publication's row filter does: an update that brings a row in is an
 * insert, one that takes it out is a delete. https://www.postgresql.org/docs/18/logical-replication-row-filter.html
 * @returns the steps with their verdicts
 * @throws `conflict` where a row that comes in lacks a value that the source did not send
 */
export async function judgeSteps(source: Connection, steps: readonly Step[]): Promise<readonly Step[]> {
  const judged: Step[] = [];
  for (const step of steps) {
    const filtered = step.kind === 'changes' && [...step.relations.values()].some((table) => table?.filter != null);
    judged.push(filtered ? { ...step, verdicts: await judgeStep(source, step) } : step);
  }
  return judged;
}

interface Asked {
  readonly change: Change;
  readonly buffer: Buffer;
  readonly at: number;
  /** Numbers among the table's questions; null: there is no such row. */
  readonly before: number | null;
  readonly after: number | null;
}

interface Questions {
  readonly filter: OwnFilter;
  readonly table: AppliedTable;
  readonly changes: Asked[];
  /** Values of each column. */
  readonly values: (string | null)[][];
  rows: number;
}

async function judgeStep(source: Connection, step: ChangesStep): Promise<Verdicts> {
  const questions = new Map<AppliedTable, Questions>();
  eachChange(step, ({ table, change, buffer, at }) => {
    const { filter } = table;
    if (filter === null) return;
    if (filter.by === 'source') {
      if (change.kind === 'insert') refuseUnchanged(table, { buffer, row: change.row });
      return;
    }
    let asked = questions.get(table);
    if (asked === undefined) {
      asked = { filter, table, changes: [], values: filter.columns.map(() => []), rows: 0 };
      questions.set(table, asked);
    }
    ask(asked, { ...change }, buffer, at);
  });
  const verdicts = new Map<Buffer, Map<number, Judged>>();
  for (const asked of questions.values()) {
    const matching = await match(source, asked);
    for (const each of asked.changes) {
      const judged = judge(asked.table, each, matching);
      if (judged === 'as it is') continue;
      const ofBuffer = verdicts.get(each.buffer) ?? new Map<number, Judged>();
      verdicts.set(each.buffer, ofBuffer);
      ofBuffer.set(each.at, judged);
    }
  }
  return verdicts;
}

function ask(asked: Questions, change: Change, buffer: Buffer, at: number): void {
  const put = (row: RowAt, earlier: RowAt): number => {
    const there = cellsAt(asked.filter.columns, buffer, row);
    const before = earlier < 0 ? [] : cellsAt(asked.filter.columns, buffer, earlier);
    for (const [i, { at: cell }] of there.entries()) {
      // What an update leaves out as unchanged stands in the old row, where it belongs to what identifies the row.
      const left = buffer[cell] === cells.unchanged ? before[i]?.at : cell;
      asked.values[i]?.push(left === undefined ? null : textAt(buffer, left));
    }
    return asked.rows++;
  };
  switch (change.kind) {
    case 'insert':
      asked.changes.push({ change, buffer, at, before: null, after: put(change.row, -1) });
      return;
    case 'delete':
      asked.changes.push({ change, buffer, at, before: put(change.old, -1), after: null });
      return;
    case 'update': {
      const after = put(change.row, change.old);
      // Not sent: what identifies the row, and so what the filter may use, is as it was.
      const before = change.old < 0 ? after : put(change.old, -1);
      asked.changes.push({ change, buffer, at, before, after });
      return;
    }
    default:
      change satisfies never;
  }
}

function textAt(buffer: Buffer, at: number): string | null {
  if (buffer[at] !== cells.text) return null;
  return buffer.toString('utf8', at + 5, at + 5 + readLength(buffer, at + 1));
}

async function match(source: Connection, asked: Questions): Promise<ReadonlySet<number>> {
  const matching = new Set<number>();
  for (let from = 0; from < asked.rows; from += rowsPerTrip) {
    const some = asked.values.map((list) => list.slice(from, from + rowsPerTrip));
    // A predicate without columns is about no row in particular.
    const lists =
      some.length > 0 ? some : [Array.from({ length: Math.min(rowsPerTrip, asked.rows - from) }, () => null)];
    try {
      const rows = await source.query<{ place: number }>(asked.filter.question(lists));
      for (const { place } of rows) matching.add(from + place - 1);
    } catch (error) {
      throw filterError(asked.filter.mirrored, error);
    }
  }
  return matching;
}

function filterError({ from }: MirroredTable, error: unknown): unknown {
  if (!(error instanceof SluiceError) || error.kind !== 'upstream') return error;
  const { detail, fields, sqlstate } = error;
  return new SluiceError('upstream', `the "where" of ${showTable(from)} cannot be decided: ${error.message}`, {
    detail,
    fields,
    sqlstate,
    cause: error,
    hint: 'Mend the source so that it can, or drop the mirror and create it with another "where"; then RESUME MIRROR.',
  });
}

function judge(table: AppliedTable, asked: Asked, matching: ReadonlySet<number>): Judged | 'as it is' {
  const { change, buffer } = asked;
  const before = asked.before !== null && matching.has(asked.before);
  const after = asked.after !== null && matching.has(asked.after);
  if (!before && !after) return null;
  if (change.kind !== 'update' || before === after) return 'as it is';
  const { relation } = change;
  if (before) return { change: { kind: 'delete', relation, old: change.old }, buffer };
  const row = { buffer, row: change.row };
  // An old row that is only its key has nothing else.
  const whole = buffer[change.old - 1] === wholeRow ? fillUnchanged(row, { buffer, row: change.old }) : row;
  refuseUnchanged(table, whole);
  return { change: { kind: 'insert', relation, row: whole.row }, buffer: whole.buffer };
}

// A large value that did not change is not in the log; of a row that the target has not yet, nobody has it then.
function refuseUnchanged(table: AppliedTable, row: { readonly buffer: Buffer; readonly row: RowAt }): void {
  // Columns that are left out need not be there.
  if (!cellsAt(table.columns, row.buffer, row.row).some(({ at }) => row.buffer[at] === cells.unchanged)) return;
  const name = ident(table.from.schema, table.from.name).text;
  throw new SluiceError(
    'conflict',
    `an update brought a row of ${showTable(table.from)} into the filter, and the source did not send all of it`,
    {
      detail: 'A large value that an update leaves as it is does not stand in the log, unless the old row does.',
      hint: `On the source: ALTER TABLE ${name} REPLICA IDENTITY FULL; then drop the mirror and create it anew.`,
    },
  );
}
