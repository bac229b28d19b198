// The net effect of many changes: per table and key, what was there before and what is there after.
import { stagedInsert } from './apply-sql.ts';
import type { AppliedTable } from './apply-table.ts';
import { type ChangesStep, eachChange, noCounts, type TableCounts } from './apply-walk.ts';
import { type KeyEffects, keyEffects } from './key-effects.ts';
import { type Change, cellEnd, cells, type RowAt, rowEnd } from './pgoutput.ts';
import { CopyRows } from './staging-copy.ts';

/** Before a row that is inserted once. */
export const leadInsert: readonly number[] = [stagedInsert, 1];

/** How many more (or less) of one and the same row there are after. */
export interface RowEffect {
  delta: number;
  /** How many went on the way. */
  gone: number;
  readonly buffer: Buffer;
  readonly row: RowAt;
}

/** A change as it came. */
export interface RawChange {
  readonly table: AppliedTable;
  readonly change: Change;
  readonly buffer: Buffer;
}

export interface TableEffect {
  readonly table: AppliedTable;
  readonly counted: TableCounts;
  readonly keys: KeyEffects;
  readonly rows: Map<string, RowEffect>;
  /** The rows that came, as long as nothing but inserts did: then no two are the same, and none is looked for. Null: something else came. */
  inserted: CopyRows | null;
  /** All changes in their order, as long as they are few: then a COPY and a merge cost more than they save. */
  few: RawChange[] | null;
}

// By hand: staging takes about half a millisecond, and a change alone a fiftieth of that.
const fewRows = 40;
// Without an index each change reads the whole table, but a merge reads it once.
const fewScans = 2;

export interface NetEffect {
  /** In the order in which the source first touched them. */
  readonly tables: ReadonlyMap<AppliedTable, TableEffect>;
  /** There is a change that has no net effect by key: all of it must be applied in order. */
  readonly inOrder: boolean;
}

/** Adds up the changes of a step, and counts them. */
export function netEffect(step: ChangesStep, counts: Map<AppliedTable, TableCounts>): NetEffect {
  const tables = new Map<AppliedTable, TableEffect>();
  let inOrder = false;
  let last: TableEffect | undefined;
  eachChange(step, ({ table, change, buffer, bytes }) => {
    let effect = last?.table === table ? last : tables.get(table);
    if (effect === undefined) {
      effect = {
        table,
        counted: countsOf(counts, table),
        keys: keyEffects(),
        rows: new Map(),
        inserted: new CopyRows(),
        few: [],
      };
      tables.set(table, effect);
    }
    last = effect;
    if (effect.few !== null) {
      const few = effect.few.push({ table, change: { ...change }, buffer });
      if (few > (table.indexed ? fewRows : fewScans)) effect.few = null;
    }
    count(effect.counted, change, bytes);
    if (effect.inserted !== null && change.kind === 'insert') effect.inserted.push(buffer, change.row, leadInsert);
    else if (!(lookInto(effect) && add(effect, change, buffer))) inOrder = true;
  });
  return { tables, inOrder };
}

// From here on rows are looked for: those that came, too.
function lookInto(effect: TableEffect): boolean {
  const { inserted } = effect;
  if (inserted === null) return true;
  effect.inserted = null;
  return inserted.every((buffer, row) => add(effect, { kind: 'insert', relation: 0, row }, buffer));
}

/** What was counted of a table. */
export function countsOf(counts: Map<AppliedTable, TableCounts>, table: AppliedTable): TableCounts {
  let counted = counts.get(table);
  if (counted === undefined) {
    counted = noCounts();
    counts.set(table, counted);
  }
  return counted;
}

/** Counts a change. */
export function count(counted: TableCounts, change: Change, bytes: number): void {
  if (change.kind === 'insert') counted.inserts++;
  else if (change.kind === 'update') counted.updates++;
  else counted.deletes++;
  counted.bytes += bytes;
}

function add(effect: TableEffect, change: Change, buffer: Buffer): boolean {
  const { table } = effect;
  if (table.identity === 'row') return addRow(effect, change, buffer);
  switch (change.kind) {
    case 'insert':
      // Without a key nothing can be looked up later, and nothing will be.
      if (table.identity === 'none') return putRow(effect, { buffer, row: change.row, by: 1 });
      return insertKey(effect, { key: keyOf(table, buffer, change.row), buffer, row: change.row });
    case 'update':
      return table.identity === 'key' && updateKey(effect, change, buffer);
    case 'delete':
      return (
        table.identity === 'key' &&
        deleteKey(effect, { key: keyOf(table, buffer, change.old), buffer, row: change.old })
      );
  }
}

interface Keyed {
  readonly key: string | number;
  readonly buffer: Buffer;
  readonly row: RowAt;
}

function insertKey({ keys }: TableEffect, { key, buffer, row }: Keyed): boolean {
  const entry = keys.find(key);
  if (entry < 0) {
    keys.add(key, buffer, row, false);
    return true;
  }
  // A key that is there already: the source would not do this, so let the target say what is wrong.
  if (keys.bufferAfter(entry) !== null) return false;
  keys.set(entry, buffer, row);
  return true;
}

function deleteKey({ table, keys }: TableEffect, { key, buffer, row }: Keyed): boolean {
  const entry = keys.find(key);
  if (entry < 0) {
    keys.remove(keys.add(key, buffer, row, true), false);
    return true;
  }
  if (keys.bufferAfter(entry) === null) return false;
  keys.remove(entry, table.marks.deleted !== null);
  return true;
}

/** 'O' before an old row: all of it, not only its key. */
export const wholeRow = 0x4f;

function updateKey(effect: TableEffect, change: Change & { kind: 'update' }, buffer: Buffer): boolean {
  const { table, keys } = effect;
  const key = keyOf(table, buffer, change.row);
  const oldKey = change.old < 0 ? key : keyOf(table, buffer, change.old);
  // A long key may be left out as unchanged, too; the old row has it then.
  if (change.old >= 0 && keyLeftOut(table, buffer, change.row)) return false;
  const entry = keys.find(oldKey);
  const before = entry < 0 ? null : keys.bufferAfter(entry);
  if (entry >= 0 && before === null) return false;
  if (key === oldKey) {
    if (before === null) {
      keys.add(key, buffer, change.row, true);
      return true;
    }
    if (!hasUnchanged(buffer, change.row)) keys.set(entry, buffer, change.row);
    else {
      const filled = fillUnchanged({ buffer, row: change.row }, { buffer: before, row: keys.rowAfter(entry) });
      keys.set(entry, filled.buffer, filled.row);
    }
    return true;
  }
  let moved: Row = { buffer, row: change.row };
  // Under FULL the old row is whole and has them.
  if (buffer[change.old - 1] === wholeRow) moved = fillUnchanged(moved, { buffer, row: change.old });
  else if (before !== null) moved = fillUnchanged(moved, { buffer: before, row: keys.rowAfter(entry) });
  // Only the target knows the unchanged values, so the row has to move there.
  if (hasUnchanged(moved.buffer, moved.row)) return false;
  return deleteKey(effect, { key: oldKey, buffer, row: change.old }) && insertKey(effect, { key, ...moved });
}

function keyLeftOut(table: AppliedTable, buffer: Buffer, row: RowAt): boolean {
  let at = row + 2;
  let index = 0;
  for (const column of table.key) {
    for (; index < column.index; index++) at = cellEnd(buffer, at);
    if (buffer[at] === cells.unchanged) return true;
  }
  return false;
}

function addRow(effect: TableEffect, change: Change, buffer: Buffer): boolean {
  if (change.kind === 'insert') return putRow(effect, { buffer, row: change.row, by: 1 });
  if (change.old < 0) return false;
  putRow(effect, { buffer, row: change.old, by: -1 });
  if (change.kind === 'delete') return true;
  return putRow(effect, { ...fillUnchanged({ buffer, row: change.row }, { buffer, row: change.old }), by: 1 });
}

function putRow({ table, rows }: TableEffect, { buffer, row, by }: Row & { readonly by: number }): boolean {
  const image = table.identity === 'none' ? String(rows.size) : imageOf(table, buffer, row);
  const entry = rows.get(image);
  const gone = by < 0 ? 1 : 0;
  if (entry === undefined) rows.set(image, { delta: by, gone, buffer, row });
  else {
    entry.delta += by;
    entry.gone += gone;
  }
  return true;
}

/** The bytes of a row's key, as something that a Map can look up. Equal bytes are the same row: each change names its row by the bytes it has then. */
export function keyOf(table: AppliedTable, buffer: Buffer, row: RowAt): string | number {
  const only = table.key.length === 1 ? table.key[0] : undefined;
  if (only === undefined) return cellsOf(table.key, buffer, row);
  let at = row + 2;
  for (let i = only.index; i > 0; i--) at = cellEnd(buffer, at);
  if (table.integerKey === 4) return buffer.readInt32BE(at + 5);
  if (table.integerKey === 8) {
    const high = buffer.readInt32BE(at + 5);
    if (high > -0x10_0000 && high < 0x10_0000) return high * 0x1_0000_0000 + buffer.readUInt32BE(at + 9);
  }
  return buffer.toString('latin1', at + 5, cellEnd(buffer, at));
}

function imageOf(table: AppliedTable, buffer: Buffer, row: RowAt): string {
  if (table.columns.length === table.width) return buffer.toString('latin1', row, rowEnd(buffer, row));
  return cellsOf(table.columns, buffer, row);
}

// Each cell with its kind and length, so that no two lists of values look the same.
function cellsOf(columns: readonly { readonly index: number }[], buffer: Buffer, row: RowAt): string {
  let text = '';
  let at = row + 2;
  let index = 0;
  for (const column of columns) {
    for (; index < column.index; index++) at = cellEnd(buffer, at);
    const end = cellEnd(buffer, at);
    text += buffer.toString('latin1', at, end);
    at = end;
    index++;
  }
  return text;
}

export interface Row {
  readonly buffer: Buffer;
  readonly row: RowAt;
}

/** Whether the row leaves values out that did not change. */
export function hasUnchanged(buffer: Buffer, row: RowAt): boolean {
  let at = row + 2;
  for (let left = buffer.readUInt16BE(row); left > 0; left--) {
    if (buffer[at] === cells.unchanged) return true;
    at = cellEnd(buffer, at);
  }
  return false;
}

/** The row with each value that it leaves out taken from the earlier row (which may leave it out, too). */
export function fillUnchanged(later: Row, earlier: Row): Row {
  if (!hasUnchanged(later.buffer, later.row)) return later;
  const parts: Buffer[] = [later.buffer.subarray(later.row, later.row + 2)];
  let from = earlier.row + 2;
  let at = later.row + 2;
  for (let left = later.buffer.readUInt16BE(later.row); left > 0; left--) {
    const end = cellEnd(later.buffer, at);
    const fromEnd = cellEnd(earlier.buffer, from);
    const unchanged = later.buffer[at] === cells.unchanged;
    parts.push(unchanged ? earlier.buffer.subarray(from, fromEnd) : later.buffer.subarray(at, end));
    at = end;
    from = fromEnd;
  }
  return { buffer: Buffer.concat(parts), row: 0 };
}
