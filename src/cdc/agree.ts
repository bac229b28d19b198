// Whether rows of a relation still mean the same on the target: each column is followed by its number, never by its name alone. Pure.
import { SluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { addColumn, showName } from '../peers/apply-table.ts';
import { withFiles } from '../peers/files.ts';
import type { Relation } from '../peers/pgoutput.ts';
import { shownName } from '../peers/schema/shown-name.ts';
import { type Shape, type ShapeColumn, shapeComputed } from '../peers/shape.ts';
import { type Column, showTable, type Table } from '../pg/table.ts';
import { holds } from '../pg/wider.ts';
import type { SeenColumn } from './look.ts';
import {
  type Addition,
  addColumns,
  addition,
  alterTable,
  decapitalized,
  type MadeFirst,
  ownColumns,
  putAside,
  renameColumns,
  runOnTarget,
} from './mend.ts';
import { isExcluded, type Met, type MetSides, type Placed, partitionsGone, place } from './met.ts';
import type { Rename } from './renames.ts';
import { hasRewritten, isRewritten, seenFiles } from './rewritten.ts';

export interface Sides extends MetSides {
  readonly mirrored: MirroredTable;
  readonly source: Table;
  readonly target: Table;
  /** The mirror's name. */
  readonly mirror: string;
  /** The relation as the same transaction has described it before; null, left out: it has not. */
  readonly earlier?: Relation | null;
  /** For what a person is told to run; left out: the target lacks nothing. */
  readonly makes?: MadeFirst;
}

export interface Agreement {
  readonly shape: Shape;
  /** The relation with the names that its columns have on the target. */
  readonly relation: Relation;
  /** Columns of that relation that are not written. */
  readonly exclude: readonly string[];
  readonly notes: readonly string[];
  /** Whether the relation has the columns that the source has now. */
  readonly isNow: boolean;
}

/**
 * Brings what is remembered up to date with a relation of the stream, the source's catalog and the target.
 * @throws `wrong_state` with what to run, if a row of the relation would not mean the same on the target
 */
export function agree(given: Sides): Agreement {
  const sides = { ...given, stored: repaired(given.stored, given.target) };
  const { relation, stored, now, target } = sides;
  const placed = place(sides);
  const { met, left, isNow } = placed;
  const pairs = new Map<number, ShapeColumn>();
  for (const column of met) pairs.set(column.index, pair(sides, column, placed));
  const paired = new Set([...pairs.values()].map((column) => column.attnum));
  const notes: string[] = [];
  const others = stored.columns.filter((column) => !paired.has(column.attnum));
  const rest = others.flatMap((column): ShapeColumn[] => {
    const there = target.columns.find((each) => each.attnum === column.target);
    if (there === undefined) return [];
    const gone = isNow && !now.columns.some((each) => each.attnum === column.attnum);
    if (!gone || column.dropped) return [column];
    notes.push(refuseNeeded(sides, column, there));
    return [{ ...column, dropped: true }];
  });
  const columns = [...pairs.values(), ...rest].toSorted((a, b) => a.attnum - b.attnum);
  const gone = partitionsGone(sides, placed);
  const same = {
    ...{ ...stored, targetOid: target.oid, columns, ...remembered(sides, placed) },
    ...(gone === undefined ? {} : { gone }),
  };
  // Where changes are not followed, telling is all that can be done.
  const told = given.follows || !isNow ? [] : rewrittenNames(sides);
  if (told.length > 0) notes.push(mayDiffer(sides, told));
  if (isNow) notes.push(...newComputed(sides));
  const isAgreed = isNow && (sides.past || !given.follows || !hasRewritten(sides));
  const shape = isAgreed ? withFiles(same, seenFiles(now)) : same;
  const exclude = left.map((index) => `\0${index}`);
  const renamed = relation.columns.map((column, index) => {
    if (left.includes(index)) return { ...column, name: `\0${index}` };
    const there = target.columns.find((each) => each.attnum === pairs.get(index)?.target);
    return there === undefined ? column : { ...column, name: there.name };
  });
  return { shape, relation: { ...relation, columns: renamed }, exclude, notes, isNow };
}

// Of columns that the two sides agreed on before, and whose type is the same.
function rewrittenNames(sides: Sides): readonly string[] {
  const { stored, now } = sides;
  return now.columns.flatMap(({ attnum, name, type }) => {
    const before = stored.columns.find((each) => each.attnum === attnum);
    return before?.type === type && isRewritten(sides, attnum) ? [showName(name)] : [];
  });
}

function mayDiffer({ mirrored }: Sides, columns: readonly string[]): string {
  const [from, to] = [showTable(mirrored.from), showTable(mirrored.to)];
  return `${from} was written anew on the source with a change of ${columns.join(', ')}; if that computed new values, ${to} does not have them: make the same change there`;
}

// No row brings a generated column, so that nothing fails without it. An older version has not remembered which there were.
function newComputed({ stored, mirrored, source, target, follows, makes }: Sides): readonly string[] {
  const { computed } = stored;
  if (computed === undefined) return [];
  const [from, to] = [showTable(mirrored.from), showTable(mirrored.to)];
  return source.columns.flatMap(({ attnum, name, type, generated, default: expression }) => {
    const isNew = generated !== '' && !isExcluded({ stored, mirrored }, attnum, name);
    if (!isNew || computed.some((each) => each.attnum === attnum)) return [];
    const there = target.columns.find((each) => each.name === name);
    const isSame = there !== undefined && there.generated !== '' && there.default === expression;
    if (isSame || (there === undefined && follows)) return [];
    const has = `${from} on the source has a new generated column ${showName(name)}`;
    const before = (makes?.get(type.oid) ?? []).map((each) => `${each}; `).join('');
    const alter = `on the target run ${before}ALTER TABLE ${to}`;
    const add = addColumn(name, source);
    if (there === undefined)
      return `${has}, which does not follow with schema_changes = off; to have it, ${alter} ${add};`;
    const own =
      there.generated === ''
        ? `${to} has one of its own with that name, which gets no values`
        : `${to} computes the one of that name otherwise, as ${there.default}`;
    return `${has}; ${own}; to have its values, ${alter} DROP COLUMN ${shownName(name)}, ${add};`;
  });
}

// What goes with a table's columns: names of its key, what both sides compute, what is left out.
function remembered(
  { stored, now, target, source, mirrored }: Sides,
  placed: Placed,
): Pick<Shape, 'key' | 'computed' | 'excluded' | 'passing'> {
  const renamed = (name: string) => {
    const attnum = stored.columns.find((each) => each.name === name)?.attnum;
    return placed.met.find((each) => each.attnum === attnum)?.name ?? name;
  };
  const key = stored.key?.map(renamed) ?? null;
  const byName = now.columns.filter((each) => isExcluded({ stored, mirrored }, each.attnum, each.name));
  const numbers = new Set([...(stored.excluded ?? []), ...placed.excluded, ...byName.map((each) => each.attnum)]);
  const excluded = [...numbers].toSorted((a, b) => a - b);
  if (placed.isNow) return { key, computed: shapeComputed(source, target), excluded, passing: [] };
  const { computed } = stored;
  return { key, ...(computed === undefined ? {} : { computed }), excluded, passing: placed.passing };
}

// A target table that was made anew has other numbers: only names are left to go by.
function repaired(stored: Shape, target: Table): Shape {
  if (stored.targetOid === target.oid) return stored;
  const columns = stored.columns.flatMap((column) => {
    const there = target.columns.find((each) => each.name === column.name);
    return there === undefined ? [] : [{ ...column, target: there.attnum }];
  });
  return { ...stored, targetOid: target.oid, columns };
}

type Others = Pick<Placed, 'met' | 'isNow'>;

interface Numbered {
  readonly attnum: number | null;
  /** As it was when the two sides agreed; undefined: it is new. */
  readonly before: ShapeColumn | undefined;
  readonly byName: Column | undefined;
}

function numbered({ stored, target }: Sides, column: Met, { met }: Others): Numbered {
  const byName = target.columns.find((each) => each.name === column.name);
  // A column that came and went: the target's name says which it was.
  const guessed = stored.columns.find(
    (each) => each.target === byName?.attnum && !met.some((one) => one.attnum === each.attnum),
  );
  const attnum = column.attnum ?? guessed?.attnum ?? null;
  return { attnum, before: stored.columns.find((each) => each.attnum === attnum), byName };
}

function pair(sides: Sides, column: Met, others: Others): ShapeColumn {
  const { stored, target, now } = sides;
  const { attnum, before, byName } = numbered(sides, column, others);
  let there: Column | undefined;
  if (before === undefined) {
    there = newColumn(sides, column, { byName, others });
  } else {
    there = target.columns.find((each) => each.attnum === before.target) ?? unpaired(stored, byName);
    if (there === undefined) throw goneTrouble(sides, column, byName);
    if (newName(sides, column, { before, there, isNow: others.isNow }) !== null) {
      throw renamedTrouble(sides, { column, before, there }, others);
    }
  }
  checkType(sides, { column, before, there, isNow: others.isNow });
  const { name, type } = column;
  const known = {
    ...bothNotNull({ before, there, present: now.columns.find((each) => each.attnum === attnum) }),
    ...(before?.mark === undefined ? {} : { mark: before.mark }),
  };
  // A number that we never learn cannot be confused with another.
  const types = { type, typeOid: sides.relation.columns[column.index]?.type ?? 0, targetType: there.type.text };
  return { attnum: attnum ?? -there.attnum, name, ...types, target: there.attnum, ...known };
}

// Where its name is another's by now, what is known of the two would be taken for one.
function goneTrouble(sides: Sides, column: Met, byName: Column | undefined): SluiceError {
  const { mirrored, mirror } = sides;
  const add = runOnTarget(addColumns(mirrored.to, [adding(sides, column)]));
  const isLost = byName !== undefined || column.type.includes('???');
  return trouble(sides, `column ${showName(column.name)} of ${showTable(mirrored.to)} is gone from the target`, {
    hint: isLost
      ? copyAgain(mirror)
      : `${add} Rows that were there need the values that they have on the source: set them, too. If nobody knows them: ${copyAgain(mirror)}`,
  });
}

// The name that the target's column must get; null: it has a name that fits.
function newName(
  { now }: Sides,
  column: Met,
  { before, there, isNow }: { readonly before: ShapeColumn; readonly there: Column; readonly isNow: boolean },
): string | null {
  const name = now.columns.find((each) => each.attnum === before.attnum)?.name;
  const follows = there.name === column.name || (!isNow && there.name === name);
  return follows ? null : column.name;
}

interface Misnamed {
  readonly column: Met;
  readonly before: ShapeColumn;
  readonly there: Column;
}

// All that have other names at once: they may stand in each other's way.
function renamedTrouble(sides: Sides, { column, before, there }: Misnamed, others: Others): SluiceError {
  const { stored, target, now, mirrored } = sides;
  const renames = others.met.flatMap((each): Rename[] => {
    const found = numbered(sides, each, others).before;
    const on = target.columns.find((one) => one.attnum === found?.target);
    if (found === undefined || on === undefined) return [];
    const to = newName(sides, each, { before: found, there: on, isNow: others.isNow });
    return to === null ? [] : [{ kind: 'rename', from: on.name, to }];
  });
  const inTheWay = target.columns.filter(
    ({ name }) => renames.some((each) => each.to === name) && !renames.some((each) => each.from === name),
  );
  // Of what the source has dropped nothing comes any more; the target's own is a person's.
  const isDropped = ({ attnum }: Column) =>
    stored.columns.some((each) => each.target === attnum && !now.columns.some((one) => one.attnum === each.attnum));
  const first = inTheWay.map((each) =>
    isDropped(each)
      ? alterTable(mirrored.to, [`DROP COLUMN ${shownName(each.name)}`])
      : putAside(mirrored.to, each.name, target),
  );
  const own = inTheWay.filter((each) => !isDropped(each)).map(({ name }) => name);
  const isBoth = inTheWay.some(
    (each) => isDropped(each) && sides.earlier?.columns.some(({ name }) => name === each.name),
  );
  const way = own.length === 0 ? '' : `${ownColumns(own, mirrored.to)} `;
  const run = runOnTarget([...first, ...renameColumns(mirrored.to, renames, target)]);
  const hint = own.length === inTheWay.length ? run : unlessWritten(sides, run);
  return trouble(
    sides,
    `column ${showName(before.name)} of ${showTable(mirrored.from)} is called ${showName(column.name)} on the source now`,
    {
      detail: `On the target the column that it was paired with is called ${showName(there.name)}.`,
      hint: isBoth ? copyAgain(sides.mirror) : `${way}${hint}`,
    },
  );
}

// Rows that still have a column which the source has dropped have no place where another has taken its name.
function unlessWritten({ mirrored, mirror }: Sides, run: string): string {
  return `If nothing wrote to ${showTable(mirrored.from)} after the last change that is applied and before that one: ${decapitalized(run)} Otherwise, as rows of the old column would go to the new one: ${copyAgain(mirror)}`;
}

// How the target gets a column of the relation.
function adding(sides: Sides, column: Met): Addition {
  const { source, now, stored } = sides;
  const { name, type, attnum } = column;
  const seen = now.columns.find((each) => each.attnum === attnum);
  const rewritten = attnum !== null && (stored.node == null || isRewritten({ stored, now }, attnum));
  const { missing = null, below = false } = seen ?? {};
  const own = source.columns.find((each) => each.attnum === attnum);
  return addition({ name, type, source: own, missing, below, rewritten, before: making(sides, column) });
}

function making({ makes, relation }: Sides, { index }: Met): readonly string[] {
  return makes?.get(relation.columns[index]?.type ?? 0) ?? [];
}

// What the target could not be told yet is told again later.
function bothNotNull(of: {
  readonly before: ShapeColumn | undefined;
  readonly there: Column;
  readonly present: SeenColumn | undefined;
}): Pick<ShapeColumn, 'notNull'> {
  const { before, there, present } = of;
  if (present === undefined) return before?.notNull === undefined ? {} : { notNull: before.notNull };
  return { notNull: present.notNull && (there.notNull || before?.notNull === true) };
}

function unpaired(stored: Shape, column: Column | undefined): Column | undefined {
  return stored.columns.some((each) => each.target === column?.attnum) ? undefined : column;
}

function newColumn(
  sides: Sides,
  column: Met,
  { byName, others }: { readonly byName: Column | undefined; readonly others: Others },
): Column {
  const { stored } = sides;
  if (byName === undefined) throw lackingColumns(sides, column, others);
  const old = stored.columns.find((each) => each.target === byName.attnum);
  if (old === undefined) return byName;
  throw newUnderOldName(sides, column, old);
}

function lackingColumns(sides: Sides, column: Met, others: Others): SluiceError {
  const { mirrored } = sides;
  const lacking = others.met.filter((each) => {
    if (each === column) return true;
    const { before, byName } = numbered(sides, each, others);
    return before === undefined && byName === undefined;
  });
  const unknown = lacking.filter(({ type }) => type.includes('???')).map(({ name }) => name);
  const additions = lacking.map((each) => adding(sides, each));
  const notes = additions.flatMap((each) => each.notes).map((note) => ` ${note}`);
  return trouble(sides, `${showTable(mirrored.to)} on the target lacks columns that the source has`, {
    detail: `Missing: ${lacking.map(({ name }) => name).join(', ')}. Every change before the first row that has ${lacking.length === 1 ? 'it' : 'them'} is applied.`,
    hint:
      unknown.length > 0
        ? `The source has dropped the type of ${unknown.join(', ')}. ${copyAgain(sides.mirror)}`
        : `${runOnTarget(addColumns(mirrored.to, additions))}${notes.join('')}`,
  });
}

// The target still has the column that had the name before.
function newUnderOldName(sides: Sides, column: Met, old: ShapeColumn): SluiceError {
  const { mirrored, mirror, earlier, now, target } = sides;
  const [from, name] = [showTable(mirrored.from), showName(column.name)];
  const added = adding(sides, column);
  const notes = added.notes.map((note) => ` ${note}`).join('');
  const message =
    old.name === column.name
      ? `column ${name} of ${from} was dropped on the source and added again`
      : `column ${name} of ${from} is a new one on the source`;
  const present = now.columns.find((each) => each.attnum === old.attnum);
  if (
    present !== undefined &&
    present.name !== column.name &&
    !target.columns.some((each) => each.name === present.name)
  ) {
    const rename = alterTable(mirrored.to, [`RENAME COLUMN ${shownName(column.name)} TO ${shownName(present.name)}`]);
    return trouble(sides, message, {
      detail: `On the target that name is the column that was ${showName(old.name)} on the source.`,
      hint: `${runOnTarget([rename, ...addColumns(mirrored.to, [added])])}${notes}`,
    });
  }
  // Rows of both columns come in one transaction, which the target takes as a whole.
  if (earlier?.columns.some((each) => each.name === column.name)) {
    return trouble(sides, message, {
      detail: `The same transaction wrote rows of the old column ${name} and of the new one, and no column of the target can stand for both.`,
      hint: copyAgain(mirror),
    });
  }
  const run = runOnTarget(addColumns(mirrored.to, [added], [column.name]));
  return trouble(sides, message, {
    detail: 'The target still has the old column with its values.',
    hint: unlessWritten(sides, `${run}${notes}`),
  });
}

interface Typed {
  readonly column: Met;
  readonly before: ShapeColumn | undefined;
  readonly there: Column;
  readonly isNow: boolean;
}

function checkType(sides: Sides, { column, before, there, isNow }: Typed): void {
  const { mirrored, now } = sides;
  const type = there.type.text;
  if (sameType(column.type, type) || isRenamedType(before, sides.relation.columns[column.index]?.type)) return;
  // Not where the source has changed it: that may have changed the values that are there.
  if (before === undefined && holds(type, column.type)) return;
  // Sides that differed when they began were found fit then.
  if (before !== undefined && before.type === column.type && before.targetType === type) return;
  // The target is ahead of this row, in step with the source.
  const present = now.columns.find((each) => each.attnum === column.attnum);
  if (!isNow && present !== undefined && sameType(present.type, type)) return;
  const message = `column ${showName(column.name)} of ${showTable(mirrored.from)} is ${column.type} on the source and ${type} on the target`;
  if (before === undefined) {
    // What makes way is added by the mirror itself, where changes follow.
    const added = sides.follows ? [] : addColumns(mirrored.to, [adding(sides, column)]);
    const run = runOnTarget([putAside(mirrored.to, there.name, sides.target), ...added]);
    throw trouble(sides, message, { hint: `${ownColumns([there.name], mirrored.to)} ${run}` });
  }
  if (present === undefined && there.attnum !== before.target) {
    throw trouble(sides, message, {
      detail: 'The source has dropped it since, and the column that has its name on the target is another.',
      hint: copyAgain(sides.mirror),
    });
  }
  const run = runOnTarget(changeType(sides, column, there));
  throw trouble(sides, message, {
    detail: `They were ${before.type} and ${before.targetType} when they last agreed.`,
    hint: `If the source changed it without USING: ${decapitalized(run)} With USING, the same expression has to be in that statement, or rows that were there get other values; if nobody knows it: ${copyAgain(sides.mirror)}`,
  });
}

// A default may have no cast to the new type: the source's takes its place.
function changeType(sides: Sides, met: Met, there: Column): readonly string[] {
  const { source, mirrored } = sides;
  const { to } = mirrored;
  const { attnum, type } = met;
  const before = making(sides, met);
  const alter = `ALTER COLUMN ${shownName(there.name)}`;
  const column = source.columns.find((each) => each.attnum === attnum && each.type.text === type);
  const isRenewed = column !== undefined && column.generated === '' && there.default !== null && there.generated === '';
  if (!isRenewed) return [...before, alterTable(to, [`${alter} TYPE ${type}`])];
  const set = column.default === null ? [] : [alterTable(to, [`${alter} SET DEFAULT ${column.default}`])];
  return [...before, alterTable(to, [`${alter} DROP DEFAULT`, `${alter} TYPE ${type}`]), ...set];
}

// Those below are the server's own.
const firstUsersOid = 16_384;

/** Whether it is the type that the sides agreed on, whatever its name by now. @param oid on the source */
export function isRenamedType(before: ShapeColumn | undefined, oid: number | undefined): boolean {
  return before !== undefined && oid !== undefined && oid >= firstUsersOid && before.typeOid === oid;
}

/** Whether two sides' types are one: a type of one's own may lie in another schema on the other side. */
export function sameType(a: string, b: string): boolean {
  return a === b || (isQualified(a) && isQualified(b) && bare(a) === bare(b));
}

const qualifier = /^(?:"(?:[^"]|"")*"|[a-z_][a-z0-9_$]*)\./;
const isQualified = (type: string) => qualifier.test(type);
const bare = (type: string) => type.replace(qualifier, '');

// New rows of the source have no value for it: the target must find one itself.
function refuseNeeded(sides: Sides, column: ShapeColumn, there: Column): string {
  const [from, to] = [showTable(sides.mirrored.from), showTable(sides.mirrored.to)];
  const name = showName(there.name);
  if (!there.notNull || there.default !== null || there.identity !== '' || there.generated !== '') {
    return `the source has dropped column ${showName(column.name)} of ${from}; on the target ${to} keeps ${name}, and new rows get its default`;
  }
  throw trouble(sides, `${from} on the source has lost columns`, {
    detail: `Dropped: ${column.name}. On the target it is NOT NULL without a default.`,
    hint: needless(sides, there),
  });
}

// Rows that come before the change still have it.
function needless({ mirrored, target }: Sides, there: Column): string {
  const name = shownName(there.name);
  const isKey = target.primaryKey?.columns.includes(there.name) ?? false;
  const drop = alterTable(mirrored.to, [`DROP COLUMN ${name}`]);
  if (isKey) return runOnTarget([drop]);
  const run = runOnTarget([alterTable(mirrored.to, [`ALTER COLUMN ${name} DROP NOT NULL`])]);
  return `${run} It can be dropped when the rows after that have come: ${drop};`;
}

function trouble(
  sides: Sides,
  message: string,
  words: { readonly detail?: string | undefined; readonly hint: string },
): SluiceError {
  const mirrored = showTable(sides.mirrored.from);
  return new SluiceError('wrong_state', message, {
    detail: words.detail ?? `Every change of ${mirrored} before this is applied.`,
    hint: words.hint,
  });
}
