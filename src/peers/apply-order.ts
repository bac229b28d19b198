// Changes applied one by one, in the order of the source: for a few of them, and where only the order satisfies a constraint.
import { needsNewRow, replaceOne, settable } from './apply-always.ts';
import { type CellAt, cellsAt, FrameWriter } from './apply-frames.ts';
import { deleteOne, insertOne, moveOne, truncateTables, updateOne } from './apply-sql.ts';
import type { Statements } from './apply-statements.ts';
import type { AppliedColumn, AppliedTable } from './apply-table.ts';
import { eachChange, type Piece, type TableCounts } from './apply-walk.ts';
import { type Change, cells } from './pgoutput.ts';
import { count, countsOf, fillUnchanged, keyOf, type RawChange } from './staging.ts';

/** What one command of a pipeline does, to name it if it fails. */
export interface Ordered {
  readonly table: AppliedTable;
  readonly change: Change | null;
  readonly buffer: Buffer | null;
  /** Whether it must touch exactly one row. */
  readonly counted: boolean;
}

const frameBytes = 64 * 1024;

/** Frames for all changes of a piece in order; `ordered` gets one entry for each command. */
export function orderedFrames(
  piece: Piece,
  out: {
    readonly statements: Statements;
    readonly counts: Map<AppliedTable, TableCounts>;
    readonly ordered: Ordered[];
  },
): Buffer[] {
  const writer = new FrameWriter();
  const frames: Buffer[] = [];
  for (const step of piece.steps) {
    if (step.kind === 'truncate') {
      const [table] = step.tables;
      for (const text of truncateTables(step)) {
        out.statements.once(writer, text);
        if (table !== undefined) out.ordered.push({ table, change: null, buffer: null, counted: false });
      }
      continue;
    }
    eachChange(step, ({ table, change: visited, buffer, bytes }) => {
      const change = { ...visited };
      count(countsOf(out.counts, table), change, bytes);
      const commands = writeChange(writer, out.statements, { table, change, buffer });
      // What comes before the last is at work in rare cases only.
      for (let i = 1; i <= commands; i++) out.ordered.push({ table, change, buffer, counted: i === commands });
      if (writer.length > frameBytes) frames.push(writer.take());
    });
  }
  if (writer.length > 0) frames.push(writer.take());
  return frames;
}

/** Writes a change by itself. @returns how many commands it takes; the last one must touch one row */
export function writeChange(writer: FrameWriter, statements: Statements, { table, change, buffer }: RawChange): number {
  switch (change.kind) {
    case 'insert': {
      const name = statements.named(writer, `i${table.id}`, () => insertOne(table));
      writer.run(name, cellsAt(table.columns, buffer, change.row), table.binary);
      return 1;
    }
    case 'delete': {
      const name = statements.named(writer, `d${table.id}`, () => deleteOne(table));
      writer.run(name, identityCells(table, buffer, change.old), table.binary);
      return 1;
    }
    case 'update':
      return writeUpdate(writer, statements, { table, change, buffer });
  }
}

function writeUpdate(
  writer: FrameWriter,
  statements: Statements,
  { table, change, buffer }: RawChange & { readonly change: Change & { readonly kind: 'update' } },
): number {
  const soft = table.marks.deleted !== null;
  // Under FULL the old row has what the new one leaves out; only another row needs it.
  const row =
    soft && table.identity === 'row' && change.old >= 0
      ? fillUnchanged({ buffer, row: change.row }, { buffer, row: change.old })
      : { buffer, row: change.row };
  const all = cellsAt(table.columns, row.buffer, row.row);
  const old = change.old < 0 ? change.row : change.old;
  const moves = table.identity === 'row' || (change.old >= 0 && !sameKey({ table, change, buffer }));
  const given = all.map((cell) => cell.buffer[cell.at] !== cells.unchanged);
  const brought = table.columns.filter((column, i) => given[i] && (moves || !table.key.includes(column)));
  const run = (kind: string, columns: readonly AppliedColumn[], text: () => string) => {
    const mask = columns.length === table.columns.length ? 'all' : columns.map((column) => column.index).join(',');
    const values = table.columns.flatMap((column, i) => {
      const cell = all[i];
      return cell !== undefined && columns.includes(column) ? [cell] : [];
    });
    const name = statements.named(writer, `${kind}${table.id}:${mask}`, text);
    writer.run(name, [...values, ...identityCells(table, buffer, old)], table.binary);
  };
  if (soft && moves) {
    run('m', brought, () => moveOne(table, brought));
    return 1;
  }
  if (needsNewRow(table, moves)) {
    run('r', brought, () => replaceOne(table, brought, false));
    return 1;
  }
  let chosen = settable(brought);
  const fixed = chosen.length < brought.length;
  if (fixed) run('c', brought, () => replaceOne(table, brought, true));
  // An update must set something, if it can; the key as it is changes nothing.
  if (chosen.length === 0) chosen = settable(table.key.length > 0 ? table.key : table.columns);
  run('u', chosen, () => updateOne(table, chosen));
  return fixed ? 2 : 1;
}

function sameKey({ table, change, buffer }: RawChange): boolean {
  return change.kind === 'update' && keyOf(table, buffer, change.old) === keyOf(table, buffer, change.row);
}

/** The cells that find a row on the target. */
export function identityCells(table: AppliedTable, buffer: Buffer, row: number): CellAt[] {
  return cellsAt(table.identity === 'key' ? table.key : table.columns, buffer, row);
}
