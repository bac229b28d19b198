// Many changes applied set by set: net effect by key, COPY into staging, one DELETE, UPDATE and INSERT per table.
import { FrameWriter } from './apply-frames.ts';
import {
  copyToStaging,
  copyToTarget,
  deleteStaged,
  deleteStagedRows,
  insertStaged,
  stagedDelete,
  stagedInsert,
  truncateStaging,
  truncateTables,
  updateStaged,
} from './apply-sql.ts';
import type { Statements } from './apply-statements.ts';
import type { AppliedColumn, AppliedTable } from './apply-table.ts';
import type { Piece, TableCounts } from './apply-walk.ts';
import { cellEnd, cells } from './pgoutput.ts';
import { type NetEffect, netEffect, type TableEffect } from './staging.ts';
import { type CopyRow, copyFrames } from './staging-copy.ts';

/** A command of a merge: how many rows it must touch, or null if any number is right. */
export interface Expected {
  readonly table: AppliedTable | null;
  readonly rows: number | null;
}

export interface Merge {
  readonly statements: Statements;
  readonly expected: Expected[];
  /** Staging tables that hold rows of an earlier piece of this transaction. */
  readonly dirty: Set<AppliedTable>;
}

/** The net effects of a piece's steps (null for a truncate), or null if it must be applied in order. */
export function pieceEffects(
  piece: Piece,
  counts: Map<AppliedTable, TableCounts>,
): readonly (NetEffect | null)[] | null {
  const effects: (NetEffect | null)[] = [];
  for (const step of piece.steps) {
    const effect = step.kind === 'changes' ? netEffect(step, counts) : null;
    if (effect?.inOrder) return null;
    effects.push(effect);
  }
  return effects;
}

/** Frames that apply the effects; made as they are taken, so that rows are encoded while the server works. */
export function* mergeFrames(piece: Piece, effects: readonly (NetEffect | null)[], merge: Merge): Generator<Buffer> {
  for (const [i, step] of piece.steps.entries()) {
    if (step.kind === 'truncate') {
      const writer = new FrameWriter();
      merge.statements.once(writer, truncateTables(step));
      merge.expected.push({ table: null, rows: null });
      yield writer.take();
      continue;
    }
    for (const effect of effects[i]?.tables.values() ?? []) yield* tableFrames(effect, merge);
  }
}

function* tableFrames(effect: TableEffect, merge: Merge): Generator<Buffer> {
  const { table } = effect;
  const plan = table.identity === 'key' ? planKeys(effect) : planRows(effect);
  const { statements, expected } = merge;
  const writer = new FrameWriter();
  const direct = table.binary && table.columns.length > 0 && plan.insertTimes === plan.inserts.length;
  const stagedRows = direct ? plan.staged : [...plan.staged, ...plan.inserts];
  const run = (key: string, text: () => string, rows: number | null) => {
    statements.run(writer, `${key}${table.id}`, text);
    expected.push({ table, rows });
  };
  if (stagedRows.length > 0) {
    if (merge.dirty.has(table)) run('truncate', () => truncateStaging(table), null);
    merge.dirty.add(table);
    run('stage', () => copyToStaging(table), stagedRows.length);
    yield writer.take();
    yield* copyFrames(table, stagedRows);
    writer.copyDone();
  }
  // Nested loops over the target's key do not depend on how large the target is; without such an index the planner decides.
  const planned = stagedRows.length > 0 && !(table.indexed && table.identity === 'key');
  if (planned) run('hash', () => `select set_config('enable_hashjoin', 'on', true)`, null);
  if (plan.deletes > 0) {
    const text = () => (table.identity === 'key' ? deleteStaged(table) : deleteStagedRows(table));
    run('delete', text, plan.deletes);
  }
  for (const update of plan.updates) {
    run(`update${update.mask}:${update.what}:`, () => updateStaged(table, update.columns, update.what), update.rows);
  }
  if (planned) run('nested', () => `select set_config('enable_hashjoin', 'off', true)`, null);
  if (plan.inserts.length > 0 && !direct) run('insert', () => insertStaged(table), plan.insertTimes);
  if (plan.inserts.length > 0 && direct) {
    run('copy', () => copyToTarget(table), plan.inserts.length);
    yield writer.take();
    yield* copyFrames(
      table,
      plan.inserts.map((row) => ({ ...row, lead: [] })),
    );
    writer.copyDone();
  }
  if (writer.length > 0) yield writer.take();
}

interface UpdateGroup {
  readonly what: number;
  readonly mask: string;
  readonly columns: readonly AppliedColumn[];
  rows: number;
}

interface Plan {
  /** Deletes and updates. */
  readonly staged: CopyRow[];
  readonly inserts: CopyRow[];
  insertTimes: number;
  deletes: number;
  readonly updates: readonly UpdateGroup[];
}

const leadInsert = [stagedInsert, 1];
const leadDelete = [stagedDelete, 1];

function planKeys({ table, keys }: TableEffect): Plan {
  const plan: Plan & { updates: UpdateGroup[] } = { staged: [], inserts: [], insertTimes: 0, deletes: 0, updates: [] };
  const groups = new Map<string, { readonly group: UpdateGroup; readonly lead: readonly number[] }>();
  for (const entry of keys.values()) {
    if (entry.buffer === null) {
      if (!entry.before) continue;
      plan.deletes++;
      plan.staged.push({ buffer: entry.keyBuffer, row: entry.keyRow, lead: leadDelete });
    } else if (!entry.before) {
      plan.insertTimes++;
      plan.inserts.push({ buffer: entry.buffer, row: entry.row, lead: leadInsert });
    } else {
      const mask = unchangedMask(entry.buffer, entry.row);
      let found = groups.get(mask);
      if (found === undefined) {
        found = { group: updateGroup(table, mask, groups.size + 1), lead: [groups.size + 1, 1] };
        groups.set(mask, found);
        plan.updates.push(found.group);
      }
      found.group.rows++;
      plan.staged.push({ buffer: entry.buffer, row: entry.row, lead: found.lead });
    }
  }
  return plan;
}

function updateGroup(table: AppliedTable, mask: string, what: number): UpdateGroup {
  const unchanged = new Set(
    mask
      .split(',')
      .filter((part) => part !== '')
      .map(Number),
  );
  return { what, mask, columns: table.columns.filter((column) => !unchanged.has(column.index)), rows: 0 };
}

// Places of the columns that the row leaves out as unchanged; '' for most rows.
function unchangedMask(buffer: Buffer, row: number): string {
  let mask = '';
  let at = row + 2;
  const count = buffer.readUInt16BE(row);
  for (let i = 0; i < count; i++) {
    if (buffer[at] === cells.unchanged) mask += `${i},`;
    at = cellEnd(buffer, at);
  }
  return mask;
}

function planRows({ rows }: TableEffect): Plan {
  const plan: Plan = { staged: [], inserts: [], insertTimes: 0, deletes: 0, updates: [] };
  for (const { delta, buffer, row } of rows.values()) {
    if (delta < 0) {
      plan.deletes -= delta;
      plan.staged.push({ buffer, row, lead: [stagedDelete, -delta] });
    } else if (delta > 0) {
      plan.insertTimes += delta;
      plan.inserts.push({ buffer, row, lead: [stagedInsert, delta] });
    }
  }
  return plan;
}
