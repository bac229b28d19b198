// Many changes applied set by set: net effect by key, COPY into staging, one DELETE, UPDATE and INSERT per table.
import { FrameWriter } from './apply-frames.ts';
import { writeChange } from './apply-order.ts';
import {
  copyToStaging,
  copyToTarget,
  deleteStaged,
  deleteStagedRows,
  insertStaged,
  mayLookDifferent,
  reviveStaged,
  stagedDelete,
  stagedGone,
  stagedInsert,
  stagedTwice,
  truncateStaging,
  truncateTables,
  updateStaged,
} from './apply-sql.ts';
import type { Statements } from './apply-statements.ts';
import type { AppliedColumn, AppliedTable } from './apply-table.ts';
import type { Piece, Step, TableCounts } from './apply-walk.ts';
import { cellEnd, cells } from './pgoutput.ts';
import { leadInsert, type NetEffect, netEffect, type RawChange, type TableEffect } from './staging.ts';
import { CopyRows, copyFrames } from './staging-copy.ts';

/** A command of a merge: how many rows it must touch, or null if any number is right. */
export interface Expected {
  readonly table: AppliedTable | null;
  readonly rows: number | null;
  /** It and the command before it must touch that many together. */
  readonly together?: true;
  /** It brings rows to a staging table. */
  readonly stages?: true;
}

/** Whether each command touched as many rows as it had to. */
export function asExpected(expected: readonly Expected[], counts: readonly number[]): boolean {
  return expected.every(({ rows, together }, i) => {
    const touched = (counts[i] ?? 0) + (together ? (counts[i - 1] ?? 0) : 0);
    return rows === null || rows === touched;
  });
}

export interface Merge {
  readonly statements: Statements;
  readonly expected: Expected[];
  /** Staging tables that hold rows of an earlier piece of this transaction. */
  readonly dirty: Set<AppliedTable>;
}

interface Effects {
  /** Null: it must be applied in order. */
  readonly effects: readonly (NetEffect | null)[] | null;
  readonly counts: Map<AppliedTable, TableCounts>;
}

const ready = new WeakMap<readonly Step[], Effects>();

/** Adds up steps before it is their turn, while the target works. */
export function prepareEffects(steps: readonly Step[]): void {
  if (!ready.has(steps)) ready.set(steps, effectsOf(steps));
}

/** The net effects of a piece's steps (null for a truncate), or null if it must be applied in order. */
export function pieceEffects(
  { steps }: Pick<Piece, 'steps'>,
  counts: Map<AppliedTable, TableCounts>,
): readonly (NetEffect | null)[] | null {
  const found = ready.get(steps) ?? effectsOf(steps);
  // Merging changes them.
  ready.delete(steps);
  for (const [table, count] of found.counts) counts.set(table, count);
  return found.effects;
}

function effectsOf(steps: readonly Step[]): Effects {
  const counts = new Map<AppliedTable, TableCounts>();
  const effects: (NetEffect | null)[] = [];
  for (const step of steps) {
    const effect = step.kind === 'changes' ? netEffect(step, counts) : null;
    if (effect?.inOrder) return { effects: null, counts };
    effects.push(effect);
  }
  return { effects, counts };
}

/** Frames that apply the effects; made as they are taken, so that rows are encoded while the server works. */
export function* mergeFrames(piece: Piece, effects: readonly (NetEffect | null)[], merge: Merge): Generator<Buffer> {
  for (const [i, step] of piece.steps.entries()) {
    if (step.kind === 'truncate') {
      const writer = new FrameWriter();
      for (const text of truncateTables(step)) {
        merge.statements.once(writer, text);
        merge.expected.push({ table: null, rows: null });
      }
      yield writer.take();
      continue;
    }
    for (const effect of effects[i]?.tables.values() ?? []) yield* tableFrames(effect, merge);
  }
}

// In the order of the source, as the keys of a few rows may depend on each other.
function* changeFrames(changes: readonly RawChange[], { statements, expected }: Merge): Generator<Buffer> {
  const writer = new FrameWriter();
  for (const each of changes) {
    const commands = writeChange(writer, statements, each);
    for (let i = 1; i <= commands; i++) expected.push({ table: each.table, rows: i === commands ? 1 : null });
  }
  if (writer.length > 0) yield writer.take();
}

function* tableFrames(effect: TableEffect, merge: Merge): Generator<Buffer> {
  const { table } = effect;
  if (effect.few !== null) {
    yield* changeFrames(effect.few, merge);
    return;
  }
  const plan = planOf(effect);
  const { statements, expected } = merge;
  const writer = new FrameWriter();
  const direct = isDirect(table, plan);
  const staged = direct ? [plan.staged] : [plan.staged, plan.inserts, plan.gone];
  const stagedRows = staged.reduce((sum, rows) => sum + rows.length, 0);
  const run = (key: string, text: () => string, rows: number | null) => {
    statements.run(writer, `${key}${table.id}`, text);
    expected.push({ table, rows });
  };
  if (stagedRows > 0) {
    if (merge.dirty.has(table)) run('truncate', () => truncateStaging(table), null);
    merge.dirty.add(table);
    statements.run(writer, `stage${table.id}`, () => copyToStaging(table));
    expected.push({ table, rows: stagedRows, stages: true });
    yield writer.take();
    yield* copyFrames(table, staged, true);
    writer.copyDone();
  }
  const { deleted } = table.marks;
  // Which of them was last is not staged, and where rows stay it matters.
  if (deleted !== null && stagedRows > 1 && table.identity === 'key' && mayLookDifferent(table)) {
    run('twice', () => stagedTwice(table), 0);
  }
  // Nested loops over the target's key do not depend on how large the target is; without such an index the planner decides.
  const planned = stagedRows > 0 && !(table.indexed && table.identity === 'key');
  if (planned) run('hash', () => `select set_config('enable_hashjoin', 'on', true)`, null);
  if (plan.deletes > 0) {
    const text = () => (table.identity === 'key' ? deleteStaged(table) : deleteStagedRows(table));
    run('delete', text, plan.deletes);
  }
  for (const update of plan.updates) {
    const key = `update${update.gone ? 'gone' : ''}${update.mask}:${update.what}:`;
    run(key, () => updateStaged(table, update.columns, update), update.rows);
  }
  for (const [what, times] of [
    // First what passed: the same key may have come back since, written differently (1.0 and 1.00).
    [stagedGone, plan.goneTimes],
    [stagedInsert, direct ? 0 : plan.insertTimes],
  ] as const) {
    if (times === 0) continue;
    const revives = deleted !== null && table.identity === 'key';
    if (revives) run(`revive${what}:`, () => reviveStaged(table, what), null);
    run(`insert${what}:`, () => insertStaged(table, what), revives ? null : times);
    if (revives) expected.push({ ...expected.pop(), table, rows: times, together: true });
  }
  if (planned) run('nested', () => `select set_config('enable_hashjoin', 'off', true)`, null);
  if (plan.inserts.length > 0 && direct) {
    run('copy', () => copyToTarget(table), plan.inserts.length);
    yield writer.take();
    yield* copyFrames(table, [plan.inserts], false);
    writer.copyDone();
  }
  if (writer.length > 0) yield writer.take();
}

// Rows straight into the table: each once, and nothing to be found or filled there.
function isDirect(table: AppliedTable, plan: Plan): boolean {
  const { deleted, synced, syncedByDefault } = table.marks;
  if (deleted !== null || (synced !== null && !syncedByDefault)) return false;
  return table.binary && table.columns.length > 0 && plan.insertTimes === plan.inserts.length;
}

interface UpdateGroup {
  readonly what: number;
  /** The rows are deleted by it, and stay. */
  readonly gone: boolean;
  readonly mask: string;
  readonly columns: readonly AppliedColumn[];
  rows: number;
}

interface Plan {
  /** Deletes and updates. */
  readonly staged: CopyRows;
  readonly inserts: CopyRows;
  insertTimes: number;
  /** Rows that came and went, where those stay. */
  readonly gone: CopyRows;
  goneTimes: number;
  deletes: number;
  readonly updates: readonly UpdateGroup[];
}

const leadGone = [stagedGone, 1];
const leadDelete = [stagedDelete, 1];

function emptyPlan(): Plan & { readonly updates: UpdateGroup[] } {
  const rows = { staged: new CopyRows(), inserts: new CopyRows(), gone: new CopyRows() };
  return { ...rows, insertTimes: 0, goneTimes: 0, deletes: 0, updates: [] };
}

function planOf(effect: TableEffect): Plan {
  const { table, inserted } = effect;
  if (inserted !== null) return { ...emptyPlan(), inserts: inserted, insertTimes: inserted.length };
  return table.identity === 'key' ? planKeys(effect) : planRows(effect);
}

function planKeys({ table, keys }: TableEffect): Plan {
  const plan = emptyPlan();
  const groups = new Map<string, { readonly group: UpdateGroup; readonly lead: readonly number[] }>();
  const update = (buffer: Buffer, row: number, gone: boolean) => {
    const mask = unchangedMask(buffer, row);
    const key = gone ? `gone${mask}` : mask;
    let found = groups.get(key);
    if (found === undefined) {
      found = { group: updateGroup(table, mask, { what: groups.size + 1, gone }), lead: [groups.size + 1, 1] };
      groups.set(key, found);
      plan.updates.push(found.group);
    }
    found.group.rows++;
    plan.staged.push(buffer, row, found.lead);
  };
  for (let entry = 0; entry < keys.size; entry++) {
    const before = keys.wasThere(entry);
    const buffer = keys.bufferAfter(entry);
    const last = buffer === null ? keys.bufferOfLast(entry) : null;
    if (buffer !== null && before) update(buffer, keys.rowAfter(entry), false);
    else if (buffer !== null) {
      plan.insertTimes++;
      plan.inserts.push(buffer, keys.rowAfter(entry), leadInsert);
    } else if (last !== null && !before) {
      plan.goneTimes++;
      plan.gone.push(last, keys.rowOfLast(entry), leadGone);
    } else if (last !== null) update(last, keys.rowOfLast(entry), true);
    else if (before) {
      plan.deletes++;
      plan.staged.push(keys.bufferOfKey(entry), keys.rowOfKey(entry), leadDelete);
    }
  }
  return plan;
}

function updateGroup(
  table: AppliedTable,
  mask: string,
  { what, gone }: Pick<UpdateGroup, 'what' | 'gone'>,
): UpdateGroup {
  const unchanged = new Set(
    mask
      .split(',')
      .filter((part) => part !== '')
      .map(Number),
  );
  return { what, gone, mask, columns: table.columns.filter((column) => !unchanged.has(column.index)), rows: 0 };
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

function planRows({ table, rows }: TableEffect): Plan {
  const plan = emptyPlan();
  for (const { delta, gone, buffer, row } of rows.values()) {
    // Of the rows that went, as many as the target had; the others came in this batch.
    const passed = table.marks.deleted === null ? 0 : gone - Math.max(0, -delta);
    if (passed > 0) {
      plan.goneTimes += passed;
      plan.gone.push(buffer, row, [stagedGone, passed]);
    }
    if (delta < 0) {
      plan.deletes -= delta;
      plan.staged.push(buffer, row, [stagedDelete, -delta]);
    } else if (delta > 0) {
      plan.insertTimes += delta;
      plan.inserts.push(buffer, row, [stagedInsert, delta]);
    }
  }
  return plan;
}
