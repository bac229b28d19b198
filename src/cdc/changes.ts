// What must be changed on the target before rows of a relation fit: column by column, in an order in which it can be done. Pure.
import type { MirroredTable } from '../mirror/work.ts';
import type { ShapeColumn } from '../peers/shape.ts';
import type { Column, Table } from '../pg/table.ts';
import { isRenamedType, sameType } from './agree.ts';
import type { SeenColumn } from './look.ts';
import { isExcluded, type Met, type MetSides, type Placed } from './met.ts';
import { inSteps, type Rename } from './renames.ts';
import { isRewritten } from './rewritten.ts';

/** A change of one column. `name`, `from`: on the target, at the time of the change. */
export type ColumnChange =
  | { readonly kind: 'drop'; readonly name: string }
  | Rename
  /** `source`: the column as it is there now, if it still has that type. */
  | { readonly kind: 'retype'; readonly name: string; readonly type: WantedType; readonly source: Column | null }
  /** `missing`: what rows show that are older than the column. */
  | {
      readonly kind: 'add';
      readonly name: string;
      readonly type: WantedType;
      readonly source: Column;
      readonly missing: string | null;
    }
  /** The source computes it: so does the target. */
  | { readonly kind: 'compute'; readonly source: Column }
  | { readonly kind: 'keep computed'; readonly name: string }
  | { readonly kind: 'let be null'; readonly name: string }
  /** The source says NOT NULL now; rows of the target may not be so far. */
  | { readonly kind: 'may not be null'; readonly name: string }
  /** Values that are not in the log: they are read from the source. */
  | { readonly kind: 'fetch'; readonly name: string; readonly source: string; readonly why: Why };

/** `new`: of a new column or type; `by hand`: a person made it so, and may have filled it; `rewritten`: they were computed anew. */
type Why = 'new' | 'by hand' | 'rewritten';

/** A type as format_type prints it on the source, and its OID there. */
export interface WantedType {
  readonly oid: number;
  readonly text: string;
}

export interface ChangeSides extends MetSides {
  readonly mirrored: MirroredTable;
  readonly source: Table;
  readonly target: Table;
}

/** The changes that make the target fit; none: it does, or only a person can tell. */
export function planChanges(sides: ChangeSides, placed: Placed): readonly ColumnChange[] {
  if (placed.sure !== 'yes') return [];
  const all = placed.met.map((met) => ({
    met,
    before: sides.stored.columns.find((one) => one.attnum === met.attnum),
  }));
  const drops = dropped(sides, placed);
  const renames = renamed(sides, { paired: all, isNow: placed.isNow });
  const paired = all.map((each) => ({ ...each, name: nameAfter(sides, each, renames) }));
  const retypes = paired.flatMap((each) => retyped(sides, each, placed.isNow));
  const adds = paired.flatMap(({ met, before }) => (before === undefined ? added(sides, met, { drops, renames }) : []));
  return [
    ...drops,
    ...inSteps(renames, sides.target),
    ...paired.flatMap((each) => loosened(sides, each)),
    ...retypes,
    ...adds,
    ...(placed.isNow ? computed(sides) : []),
    ...(placed.isNow ? paired.flatMap((each) => tightened(sides, each)) : []),
  ];
}

interface Paired {
  readonly met: Met;
  readonly before: ShapeColumn | undefined;
}

interface Named extends Paired {
  /** On the target, when columns have got their new names. */
  readonly name: string;
}

// One that has gone back to the name that it had is not renamed for rows that come between.
function nameAfter(sides: ChangeSides, { met, before }: Paired, renames: readonly Rename[]): string {
  const there = targetOf(sides, before)?.name ?? met.name;
  return renames.find((each) => each.from === there)?.to ?? there;
}

const targetOf = ({ target, stored }: ChangeSides, before: ShapeColumn | undefined): Column | undefined =>
  stored.targetOid === target.oid
    ? target.columns.find((each) => each.attnum === before?.target)
    : target.columns.find((each) => each.name === before?.name);

const presentOf = ({ now }: ChangeSides, attnum: number | null): SeenColumn | undefined =>
  now.columns.find((each) => each.attnum === attnum);

const sourceOf = ({ source }: ChangeSides, attnum: number | null): Column | undefined =>
  source.columns.find((each) => each.attnum === attnum);

type Drop = Extract<ColumnChange, { kind: 'drop' }>;

function dropped(sides: ChangeSides, placed: Placed): readonly Drop[] {
  const { stored, now, target } = sides;
  const met = new Set(placed.met.map((each) => each.attnum));
  const gone = stored.columns.filter(
    (each) => !each.dropped && !met.has(each.attnum) && presentOf(sides, each.attnum) === undefined,
  );
  const columns = gone.map((each) => targetOf(sides, each));
  if (placed.isNow && stored.targetOid === target.oid) {
    for (const each of stored.computed ?? []) {
      if (now.columns.some((one) => one.attnum === each.attnum)) continue;
      columns.push(target.columns.find((one) => one.attnum === each.target && one.generated !== ''));
    }
  }
  // What is computed from others goes before them.
  return columns
    .filter((each) => each !== undefined)
    .toSorted((a, b) => Number(b.generated !== '') - Number(a.generated !== ''))
    .map(({ name }) => ({ kind: 'drop', name }));
}

function renamed(
  sides: ChangeSides,
  { paired, isNow }: { readonly paired: readonly Paired[]; readonly isNow: boolean },
): readonly Rename[] {
  const { stored, target } = sides;
  const renames = paired.flatMap(({ met, before }): Rename[] => {
    const there = targetOf(sides, before);
    if (there === undefined || there.name === met.name) return [];
    // The target is ahead of this row, in step with the source; but not in the way of one that had that name.
    const isWanted = paired.some((each) => each.met.attnum !== met.attnum && each.met.name === there.name);
    if (!isNow && !isWanted && there.name === presentOf(sides, met.attnum)?.name) return [];
    return [{ kind: 'rename', from: there.name, to: met.name }];
  });
  if (!isNow || stored.targetOid !== target.oid) return renames;
  const generated = (stored.computed ?? []).flatMap((each): Rename[] => {
    const there = target.columns.find((one) => one.attnum === each.target);
    const name = presentOf(sides, each.attnum)?.name;
    return there === undefined || name === undefined || there.name === name
      ? []
      : [{ kind: 'rename', from: there.name, to: name }];
  });
  return [...renames, ...generated];
}

function retyped(sides: ChangeSides, { met, before, name }: Named, isNow: boolean): readonly ColumnChange[] {
  const there = targetOf(sides, before);
  if (before === undefined || there === undefined) return [];
  const present = presentOf(sides, met.attnum);
  const isPresent = present !== undefined && sameType(present.type, met.type);
  // What has changed again by now is read then.
  const rewritten = isPresent && (sides.stored.node == null || sides.stored.node !== sides.now.node);
  const fetch = (why: Why): readonly ColumnChange[] =>
    rewritten ? [{ kind: 'fetch', name, source: present.name, why }] : [];
  if (before.type === met.type || isRenamedType(before, sides.relation.columns[met.index]?.type)) {
    // What a person has changed on the target is for a person to judge.
    if (before.targetType !== there.type.text) return [];
    return isNow && isRewritten(sides, before.attnum) ? fetch('rewritten') : [];
  }
  // By a person, or with the table that it inherits from.
  if (sameType(met.type, there.type.text)) return fetch('by hand');
  // The target is ahead of this row, in step with the source; but not where the source has gone back to the type that it had.
  const ahead = before.targetType !== there.type.text;
  if (ahead && !isPresent && present !== undefined && sameType(present.type, there.type.text)) return [];
  const type = wantedType(sides, met);
  if (type === null) return [];
  const source = isPresent ? (sourceOf(sides, met.attnum) ?? null) : null;
  return [{ kind: 'retype', name, type, source }, ...fetch('new')];
}

// Of a type that is gone nothing is known but what it has become.
function wantedType(sides: ChangeSides, met: Met): WantedType | null {
  if (!met.type.includes('???')) return { oid: sides.relation.columns[met.index]?.type ?? 0, text: met.type };
  return sourceOf(sides, met.attnum)?.type ?? null;
}

function added(
  sides: ChangeSides,
  met: Met,
  { drops, renames }: { readonly drops: readonly Drop[]; readonly renames: readonly Rename[] },
): readonly ColumnChange[] {
  const { target, stored } = sides;
  const present = presentOf(sides, met.attnum);
  const source = sourceOf(sides, met.attnum);
  if (present === undefined || source === undefined) return [];
  const holdMore = rowsHoldMore(sides, { present, met });
  const fetch = (why: Why): readonly ColumnChange[] =>
    holdMore ? [{ kind: 'fetch', name: met.name, source: present.name, why }] : [];
  const byName = target.columns.find((each) => each.name === met.name);
  const freed =
    drops.some((each) => each.name === met.name) ||
    (renames.some((each) => each.from === met.name) && !renames.some((each) => each.to === met.name));
  if (byName !== undefined && !freed) {
    const computedBefore = stored.computed?.some((each) => each.target === byName.attnum) ?? false;
    if (computedBefore && byName.generated !== '') return [{ kind: 'keep computed', name: met.name }];
    return isOurs(sides, byName) || !sameType(byName.type.text, met.type) ? [] : fetch('by hand');
  }
  const type = wantedType(sides, met);
  if (type === null) return [];
  const missing = sameType(present.type, met.type) ? present.missing : null;
  return [{ kind: 'add', name: met.name, type, source, missing }, ...fetch('new')];
}

const isOurs = ({ stored }: ChangeSides, column: Column) =>
  stored.columns.some((each) => each.target === column.attnum);

// Rows that are older than a column show what the catalog says, or nothing; written anew, they hold what they show.
function rowsHoldMore(
  { stored, now, mirrored }: ChangeSides,
  { present, met }: { readonly present: SeenColumn; readonly met: Met },
): boolean {
  if (!sameType(present.type, met.type)) return false;
  // With a list of columns the publication learns of it later than the rows.
  if (mirrored.exclude.length > 0) return true;
  if (present.below === true) return true;
  if (present.missing !== null) return false;
  // One that is NOT NULL was filled in the same stretch of the log: read now, the target can say so, too.
  return stored.node !== now.node || present.notNull;
}

function loosened(sides: ChangeSides, { met, before, name }: Named): readonly ColumnChange[] {
  const there = targetOf(sides, before);
  const present = presentOf(sides, met.attnum);
  if (before?.notNull !== true || present === undefined || present.notNull || there?.notNull !== true) return [];
  if (sides.target.primaryKey?.columns.includes(there.name) || there.identity !== '') return [];
  return [{ kind: 'let be null', name }];
}

function tightened(sides: ChangeSides, { met, before, name }: Named): readonly ColumnChange[] {
  const there = targetOf(sides, before);
  const present = presentOf(sides, met.attnum);
  if (before?.notNull !== false || present?.notNull !== true || there?.notNull !== false) return [];
  return [{ kind: 'may not be null', name }];
}

function computed(sides: ChangeSides): readonly ColumnChange[] {
  const { stored, source, target } = sides;
  if (stored.computed === undefined) return [];
  return source.columns.flatMap((column): ColumnChange[] => {
    if (column.generated === '' || stored.computed?.some((each) => each.attnum === column.attnum)) return [];
    if (isExcluded(sides, column.attnum, column.name)) return [];
    return target.columns.some((each) => each.name === column.name) ? [] : [{ kind: 'compute', source: column }];
  });
}
