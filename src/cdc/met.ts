// Which column of the source each column of a relation is, from its place in the stream, what was remembered and what is there now. Pure.
import type { Relation } from '../peers/pgoutput.ts';
import type { Shape, ShapeColumn } from '../peers/shape.ts';
import { type Alignment, align, alignByName, type Candidate } from './align.ts';
import type { Seen, SeenAttribute } from './look.ts';
import type { Around } from './sightings.ts';

export interface MetSides {
  readonly mirrored: { readonly exclude: readonly string[] };
  readonly relation: Relation;
  /** Type of each of the relation's columns, as of its place in the stream. */
  readonly types: readonly string[];
  /** Whether the relation is the table itself and not one partition: then its columns come in the order of their numbers. */
  readonly whole: boolean;
  readonly stored: Shape;
  readonly now: Seen;
  /** Every column that the relation's own table has or had; empty: it is gone. */
  readonly own: readonly SeenAttribute[];
  /** Whether columns that came and went meanwhile may be left out. */
  readonly follows: boolean;
  /** The relation is what the source has now. */
  readonly exact?: boolean;
  /** The stream is behind all that `now` shows. */
  readonly past?: boolean;
  /** What was seen of its columns next to its place in the stream; null, left out: `stored` and `now` are next to it. */
  readonly around?: Around | null;
}

export interface Met {
  /** Place in the relation's rows. */
  readonly index: number;
  readonly name: string;
  readonly type: string;
  /** Null: the column came and went. */
  readonly attnum: number | null;
}

export interface Placed {
  /** Columns that rows are to be written with. */
  readonly met: readonly Met[];
  /** Places of columns that are not the mirror's: excluded, computed, or gone before they were known. */
  readonly left: readonly number[];
  /** Numbers of those that are excluded. */
  readonly excluded: readonly number[];
  /** Those of them that are gone, and were before they were known. */
  readonly passing: readonly Pick<ShapeColumn, 'attnum' | 'name' | 'type'>[];
  /** Whether the relation has the columns that the source has now. */
  readonly isNow: boolean;
  /** Whether numbers were found: `yes`, by names only, or there are two ways to find them. */
  readonly sure: 'yes' | 'names' | 'two ways';
}

/** Finds the number of each of the relation's columns. */
export function place(sides: MetSides): Placed {
  const columns = sides.relation.columns.map(({ name }, index) => ({ index, name, type: sides.types[index] ?? '' }));
  if (sides.exact) return placeNow(sides, columns);
  const isRoot = sides.whole || sides.own.length === 0;
  const candidates = isRoot ? rootCandidates(sides) : leafCandidates(sides);
  const rewritten = sides.stored.node != null && sides.stored.node !== sides.now.node;
  const isOrdered = sides.whole || sides.own.length > 0;
  let found: Alignment = isOrdered ? align(columns, candidates, { rewritten }) : 'unknown';
  // Where all columns are published, what was known of them is not what they were.
  if (found === 'unknown' && isOrdered && sides.follows && sides.mirrored.exclude.length === 0) found = 'two ways';
  // Columns that are not published, for instance.
  if (found === 'unknown') found = alignByName(columns, candidates);
  if (typeof found === 'string') return { ...byLists(sides, columns), sure: found === 'unknown' ? 'names' : found };
  const list = found;
  const met: Met[] = [];
  const left: number[] = [];
  const excluded: number[] = [];
  const passing: Pick<ShapeColumn, 'attnum' | 'name' | 'type'>[] = [];
  let isGone = false;
  for (const column of columns) {
    const attnum = numberOf(sides, column.name, list[column.index]);
    // By the name that it had there, too.
    const named = attnum !== null && isExcluded(sides, attnum, column.name);
    if (named) excluded.push(attnum);
    isGone ||= !named && !sides.now.columns.some((each) => each.attnum === attnum);
    if (named || isLeft(sides, attnum)) left.push(column.index);
    else met.push({ ...column, attnum });
    if (!named && attnum !== null && isPassing(sides, attnum)) passing.push({ ...pick(column), attnum });
  }
  return { met, left, excluded, passing, isNow: !isGone && sameAsNow(sides, met), sure: 'yes' };
}

function placeNow(sides: MetSides, columns: readonly Omit<Met, 'attnum'>[]): Placed {
  const all = columns.map((column): Met => {
    const attnum = sides.now.columns.find((each) => each.name === column.name)?.attnum ?? null;
    return { ...column, attnum };
  });
  const met = all.filter((column) => !isLeft(sides, column.attnum));
  const left = all.filter((column) => !met.includes(column)).map((column) => column.index);
  return { met, left, excluded: [], passing: [], isNow: true, sure: 'yes' };
}

function numberOf({ stored, now, around }: MetSides, name: string, candidate: Candidate | undefined): number | null {
  if (candidate?.attnum != null) return candidate.attnum;
  // Made after what was seen before: none of those that were known.
  if (around?.before != null) return null;
  const gone = stored.columns.find(
    (each) => each.name === name && !now.columns.some((one) => one.attnum === each.attnum),
  );
  return gone?.attnum ?? null;
}

function isLeft({ stored, now, mirrored, follows }: MetSides, attnum: number | null): boolean {
  const present = now.columns.find((each) => each.attnum === attnum);
  if (attnum !== null && isExcluded({ stored, mirrored }, attnum, present?.name)) return true;
  if (present?.generated) return true;
  if (present !== undefined || stored.columns.some((each) => each.attnum === attnum)) return false;
  return follows;
}

const pick = ({ name, type }: { readonly name: string; readonly type: string }) => ({ name, type });

function isPassing({ stored, now }: MetSides, attnum: number): boolean {
  return ![...stored.columns, ...now.columns].some((each) => each.attnum === attnum);
}

/** Whether a column is none of the mirror's: by its name, or by the number that it had when it had that name. */
export function isExcluded(
  { stored, mirrored }: Pick<MetSides, 'stored' | 'mirrored'>,
  attnum: number,
  name: string | undefined,
): boolean {
  if (stored.excluded?.includes(attnum)) return true;
  if (stored.columns.some((each) => each.attnum === attnum)) return false;
  return name !== undefined && mirrored.exclude.includes(name);
}

function rootCandidates(sides: MetSides): readonly Candidate[] {
  const { stored, whole } = sides;
  const { own, before, after } = ends(sides);
  const numbers = new Set([
    ...before.map((each) => each.attnum),
    ...after.map((each) => each.attnum),
    ...(whole ? own.map((each) => each.attnum) : []),
    ...(stored.excluded ?? []),
  ]);
  const seen = sides.around?.before?.own ?? stored.columns;
  const last = Math.max(0, ...seen.map((each) => each.attnum));
  return [...numbers]
    .filter((attnum) => attnum > 0)
    .toSorted((a, b) => a - b)
    .flatMap((attnum): Candidate[] => {
      const found = candidate(sides, attnum);
      // It was gone before the two sides agreed.
      return found.when === 'gone' && found.names.length === 0 && attnum <= last ? [] : [found];
    });
}

function leafCandidates(sides: MetSides): readonly Candidate[] {
  const { stored, relation, around } = sides;
  const { own, after } = ends(sides);
  const goneBefore = stored.gone?.[relation.oid] ?? [];
  return own.flatMap((attribute): Candidate[] => {
    const root = after.find((each) => each.name === attribute.name);
    if (around?.before == null) {
      if (root !== undefined) return [candidate(sides, root.attnum)];
      // One that was known, or one that came and went: it may have had any name.
      return goneBefore.includes(attribute.attnum) ? [] : [nameless];
    }
    const then = around.before.own.find((each) => each.attnum === attribute.attnum);
    const rootThen = around.before.columns.find((each) => each.name === then?.name);
    const known = root ?? rootThen;
    if (known !== undefined) return [candidate(sides, known.attnum)];
    return then === undefined ? [nameless] : [];
  });
}

const nameless: Candidate = { attnum: null, names: [], types: [], when: 'gone' };

interface Known {
  readonly attnum: number;
  readonly name: string;
  readonly type: string;
  readonly generated?: boolean;
}

// The columns before and after the relation's place.
function ends({ stored, now, own, around }: MetSides): {
  readonly own: readonly SeenAttribute[];
  readonly before: readonly Known[];
  readonly after: readonly Known[];
} {
  const known = [...stored.columns.filter((each) => !each.dropped), ...(stored.passing ?? [])];
  return {
    own: around?.after.own ?? own,
    before: around?.before?.columns ?? known,
    after: around?.after.columns ?? now.columns,
  };
}

/** With what a relation of a partition says of columns that the partition had: they do not come back. */
export function partitionsGone(
  { stored, relation, whole, own }: Pick<MetSides, 'stored' | 'relation' | 'whole' | 'own'>,
  { sure, isNow, met }: Pick<Placed, 'sure' | 'isNow' | 'met'>,
): Shape['gone'] {
  if (whole || sure !== 'yes' || !isNow) return stored.gone;
  const names = new Set(met.map((column) => column.name));
  const last = Math.max(0, ...own.filter(({ name }) => name !== null && names.has(name)).map(({ attnum }) => attnum));
  const gone = own.filter(({ name, attnum }) => name === null && attnum < last).map(({ attnum }) => attnum);
  return gone.length === 0 && stored.gone?.[relation.oid] === undefined
    ? stored.gone
    : { ...stored.gone, [relation.oid]: gone };
}

function candidate(sides: MetSides, attnum: number): Candidate {
  const { stored, now, mirrored } = sides;
  const { before: then, after } = ends(sides);
  const before = then.find((each) => each.attnum === attnum);
  const present = after.find((each) => each.attnum === attnum);
  const known = [before, present].filter((each) => each !== undefined);
  const last = now.columns.find((each) => each.attnum === attnum) ?? present;
  const silent =
    last?.generated === true ||
    stored.computed?.some((each) => each.attnum === attnum) === true ||
    isExcluded({ stored, mirrored }, attnum, last?.name);
  const isThere = before !== undefined && present !== undefined;
  return {
    attnum,
    names: known.map(({ name }) => name),
    types: known.map(({ type }) => type),
    when: silent ? 'silent' : isThere ? 'there' : present === undefined ? 'gone' : 'new',
    renamed: isThere && before.name !== present.name,
    retyped: isThere && before.type !== present.type,
  };
}

function sameAsNow({ now, stored, mirrored }: MetSides, met: readonly Met[]): boolean {
  const present = now.columns.filter(
    (column) => !column.generated && !isExcluded({ stored, mirrored }, column.attnum, column.name),
  );
  const text = (list: readonly { readonly attnum: number | null; readonly name: string; readonly type: string }[]) =>
    list
      .map(({ attnum, name, type }) => JSON.stringify([attnum, name, type]))
      .toSorted()
      .join();
  return text(met) === text(present);
}

// By names, as whole lists: two columns may have been one after the other under one name.
function byLists(sides: MetSides, all: readonly Omit<Met, 'attnum'>[]): Omit<Placed, 'sure'> {
  const { mirrored, now, stored, whole } = sides;
  const computed = new Set(now.columns.filter((column) => column.generated).map((column) => column.name));
  const columns = all.filter(({ name }) => !mirrored.exclude.includes(name) && !computed.has(name));
  const present = now.columns.filter((column) => !column.generated && !mirrored.exclude.includes(column.name));
  const known = stored.columns.filter((column) => !column.dropped);
  const isNow = sameList(columns, present, whole);
  const isStored = !isNow && sameList(columns, known, whole);
  const met = columns.map((column): Met => {
    const byName = (list: readonly { readonly name: string; readonly attnum: number }[]) =>
      list.find((each) => each.name === column.name)?.attnum;
    const attnum = isStored ? byName(known) : (byName(present) ?? byName(known));
    return { ...column, attnum: attnum ?? null };
  });
  const left = all.filter((each) => !columns.includes(each)).map((each) => each.index);
  return { met, left, excluded: [], passing: [], isNow };
}

interface Named {
  readonly name: string;
  readonly type: string;
}

function sameList(a: readonly Named[], b: readonly Named[], ordered: boolean): boolean {
  const text = (list: readonly Named[]) => {
    const shown = list.map(({ name, type }) => JSON.stringify([name, type]));
    return (ordered ? shown : shown.toSorted()).join();
  };
  return text(a) === text(b);
}
