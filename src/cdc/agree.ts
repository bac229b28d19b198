// Whether rows of a relation still mean the same on the target: each column is followed by its number, never by its name alone. Pure.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { addColumn, showName } from '../peers/apply-table.ts';
import { withFiles } from '../peers/files.ts';
import type { Relation } from '../peers/pgoutput.ts';
import { type Shape, type ShapeColumn, shapeComputed } from '../peers/shape.ts';
import { type Column, showTable, type Table } from '../pg/table.ts';
import { holds } from '../pg/wider.ts';
import type { SeenColumn } from './look.ts';
import { isExcluded, type Met, type MetSides, type Placed, partitionsGone, place } from './met.ts';
import { hasRewritten, isRewritten, seenFiles } from './rewritten.ts';

export interface Sides extends MetSides {
  readonly mirrored: MirroredTable;
  readonly source: Table;
  readonly target: Table;
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
  for (const column of met) pairs.set(column.index, pair(sides, column, { met, isNow }));
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
  if (!given.follows && isNow) notes.push(...newComputed(sides));
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
function newComputed({ stored, mirrored, source, target }: Sides): readonly string[] {
  const { computed } = stored;
  if (computed === undefined) return [];
  const [from, to] = [showTable(mirrored.from), showTable(mirrored.to)];
  return source.columns.flatMap(({ attnum, name, generated }) => {
    const isNew = generated !== '' && !isExcluded({ stored, mirrored }, attnum, name);
    if (!isNew || computed.some((each) => each.attnum === attnum)) return [];
    if (target.columns.some((each) => each.name === name)) return [];
    return `${from} on the source has a new generated column ${showName(name)}, which does not follow with schema_changes = off; to have it, on the target run ALTER TABLE ${to} ${addColumn(name, source)};`;
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

interface Others {
  readonly met: readonly Met[];
  readonly isNow: boolean;
}

function pair(sides: Sides, column: Met, others: Others): ShapeColumn {
  const { stored, target, now, mirrored } = sides;
  const to = showTable(mirrored.to);
  const byName = target.columns.find((each) => each.name === column.name);
  // A column that came and went: the target's name says which it was.
  const guessed = stored.columns.find(
    (each) => each.target === byName?.attnum && !others.met.some((one) => one.attnum === each.attnum),
  );
  const attnum = column.attnum ?? guessed?.attnum ?? null;
  const before = stored.columns.find((each) => each.attnum === attnum);
  let there: Column | undefined;
  if (before === undefined) {
    there = newColumn(sides, column, byName);
  } else {
    there = target.columns.find((each) => each.attnum === before.target) ?? unpaired(stored, byName);
    const name = now.columns.find((each) => each.attnum === attnum)?.name;
    if (there === undefined) {
      throw trouble(sides, `column ${showName(column.name)} of ${to} is gone from the target`, {
        hint: `On the target run ALTER TABLE ${to} ${addColumn(column.name, sides.source)};`,
      });
    }
    const follows = there.name === column.name || (!others.isNow && there.name === name);
    if (!follows) {
      throw trouble(
        sides,
        `column ${showName(before.name)} of ${showTable(mirrored.from)} is called ${showName(column.name)} on the source now`,
        {
          detail: `On the target the column that it was paired with is called ${showName(there.name)}.`,
          hint: `On the target run ALTER TABLE ${to} RENAME COLUMN ${showName(there.name)} TO ${showName(column.name)};`,
        },
      );
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

function newColumn(sides: Sides, column: Met, byName: Column | undefined): Column {
  const { stored, mirrored, source } = sides;
  const [from, to] = [showTable(mirrored.from), showTable(mirrored.to)];
  const name = showName(column.name);
  const add = addColumn(column.name, source);
  if (byName === undefined) {
    throw trouble(sides, `${to} on the target lacks columns that the source has`, {
      detail: `Missing: ${column.name}. Every change before the first row that has it is applied.`,
      hint: `On the target run ALTER TABLE ${to} ${add};`,
    });
  }
  const old = stored.columns.find((each) => each.target === byName.attnum);
  if (old === undefined) return byName;
  if (old.name === column.name) {
    throw trouble(sides, `column ${name} of ${from} was dropped on the source and added again`, {
      detail: 'The target still has the old column with its values.',
      hint: `On the target run ALTER TABLE ${to} DROP COLUMN ${name}, ${add};`,
    });
  }
  throw trouble(sides, `column ${name} of ${from} is a new one on the source`, {
    detail: `On the target that name is the column that was ${showName(old.name)} on the source.`,
    hint: `On the target give the old column the name that it has on the source, then run ALTER TABLE ${to} ${add};`,
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
  const name = showName(column.name);
  throw trouble(
    sides,
    `column ${name} of ${showTable(mirrored.from)} is ${column.type} on the source and ${type} on the target`,
    {
      detail:
        before === undefined ? undefined : `They were ${before.type} and ${before.targetType} when they last agreed.`,
      hint: `On the target run ALTER TABLE ${showTable(mirrored.to)} ALTER COLUMN ${name} TYPE ${column.type}; (with the same USING as on the source, if it had one)`,
    },
  );
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
    hint: `On the target run ALTER TABLE ${to} DROP COLUMN ${name}; (or let it be null: ALTER COLUMN ${name} DROP NOT NULL)`,
  });
}

function trouble(
  sides: Sides,
  message: string,
  words: { readonly detail?: string | undefined; readonly hint: string },
): SluiceError {
  const mirrored = showTable(sides.mirrored.from);
  return new SluiceError('wrong_state', message, {
    detail: words.detail ?? `Every change of ${mirrored} before this is applied.`,
    hint: `${words.hint} then RESUME MIRROR.`,
  });
}
