// Changes applied one by one, in the order of the source: for a few of them, and where only the order satisfies a constraint.
import { type CellAt, cellsAt, FrameWriter } from './apply-frames.ts';
import { deleteOne, insertOne, truncateTables, updateOne } from './apply-sql.ts';
import type { Statements } from './apply-statements.ts';
import type { AppliedTable } from './apply-table.ts';
import { eachChange, type Piece, type TableCounts } from './apply-walk.ts';
import { type Change, cells } from './pgoutput.ts';
import { count, keyOf } from './staging.ts';

/** What one command of a pipeline does, to name it if it fails. */
export interface Ordered {
  readonly table: AppliedTable;
  readonly change: Change | null;
  readonly buffer: Buffer | null;
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
      out.statements.once(writer, truncateTables(step));
      const [table] = step.tables;
      if (table !== undefined) out.ordered.push({ table, change: null, buffer: null });
      continue;
    }
    eachChange(step, (table, change, buffer) => {
      count(out.counts, table, change);
      out.ordered.push({ table, change, buffer });
      writeChange(writer, out.statements, { table, change, buffer });
      if (writer.length > frameBytes) frames.push(writer.take());
    });
  }
  if (writer.length > 0) frames.push(writer.take());
  return frames;
}

interface One {
  readonly table: AppliedTable;
  readonly change: Change;
  readonly buffer: Buffer;
}

function writeChange(writer: FrameWriter, statements: Statements, { table, change, buffer }: One): void {
  switch (change.kind) {
    case 'insert': {
      const name = statements.named(writer, `i${table.id}`, () => insertOne(table));
      writer.run(name, cellsAt(table.columns, buffer, change.row), table.binary);
      return;
    }
    case 'delete': {
      const name = statements.named(writer, `d${table.id}`, () => deleteOne(table));
      writer.run(name, identityCells(table, buffer, change.old), table.binary);
      return;
    }
    case 'update':
      writeUpdate(writer, statements, { table, change, buffer });
  }
}

function writeUpdate(
  writer: FrameWriter,
  statements: Statements,
  { table, change, buffer }: One & { readonly change: Change },
): void {
  if (change.kind !== 'update') return;
  const all = cellsAt(table.columns, buffer, change.row);
  const old = change.old < 0 ? change.row : change.old;
  const moves = table.identity === 'row' || (change.old >= 0 && !sameKey({ table, change, buffer }));
  const given = all.map((cell) => buffer[cell.at] !== cells.unchanged);
  let chosen = table.columns.filter((column, i) => given[i] && (moves || !table.key.includes(column)));
  // An update must set something; the key as it is changes nothing.
  if (chosen.length === 0) chosen = table.key.length > 0 ? [...table.key] : [...table.columns];
  const mask = chosen.length === table.columns.length ? 'all' : chosen.map((column) => column.index).join(',');
  const values: CellAt[] = [];
  for (const [i, column] of table.columns.entries()) {
    const cell = all[i];
    if (cell !== undefined && chosen.includes(column)) values.push(cell);
  }
  const name = statements.named(writer, `u${table.id}:${mask}`, () => updateOne(table, chosen));
  writer.run(name, [...values, ...identityCells(table, buffer, old)], table.binary);
}

function sameKey({ table, change, buffer }: One): boolean {
  return change.kind === 'update' && keyOf(table, buffer, change.old) === keyOf(table, buffer, change.row);
}

/** The cells that find a row on the target. */
export function identityCells(table: AppliedTable, buffer: Buffer, row: number): CellAt[] {
  return cellsAt(table.identity === 'key' ? table.key : table.columns, buffer, row);
}
