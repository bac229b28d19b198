// What became of an enum's labels on the source: which got other names, which are new, and where nobody can tell. Pure.
import type { TableName } from '../pg/table.ts';

/** A label of the source's enum. */
export interface SourceLabel {
  readonly oid: number;
  readonly label: string;
  /** How many OIDs after that of the type it was made: more is later. */
  readonly made: number;
  /** How many transactions ago it got its name: more is earlier. */
  readonly named: number;
}

/** An enum by its name on the target, with the labels of both sides in their order. */
export interface EnumSides extends TableName {
  /** On the source. */
  readonly oid: number;
  readonly source: readonly SourceLabel[];
  readonly target: readonly string[];
  /** What the source's labels (by OID) were called on the target at the last look; null: nobody has looked. */
  readonly known: ReadonlyMap<number, string> | null;
}

/** What is to be done to an enum of the target. */
export type LabelStep =
  | {
      readonly kind: 'add';
      readonly label: string;
      /** Null: there is no other label. */
      readonly place: { readonly side: 'before' | 'after'; readonly of: string } | null;
    }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string };

/** A label that got another name, and how many transactions ago. */
export interface Renamed {
  readonly from: string;
  readonly to: string;
  readonly named: number;
}

export interface Drift {
  readonly type: EnumSides;
  readonly adds: readonly LabelStep[];
  readonly renames: readonly Renamed[];
  /** Labels of the source that may be new, or one of those of the target under another name; then nothing else is told of the type. */
  readonly unsure: { readonly labels: readonly string[]; readonly may: readonly string[] } | null;
  /** What the source's labels (by OID) are called on the target. */
  readonly names: ReadonlyMap<number, string>;
}

/**
 * Compares the sides. A label is never dropped and never moves: what is remembered says which is which, else their names, their
 * places between those that are known, and the order in which they were made.
 */
export function driftOf(type: EnumSides): Drift {
  const { source, target, known } = type;
  const names = pairedByName(type);
  const taken = new Set(names.values());
  const lost = target.filter((label) => !taken.has(label));
  const open = source.filter(({ oid }) => !names.has(oid) && (known === null || known.has(oid)));
  const unsure = (labels: readonly SourceLabel[]): Drift => ({
    ...{ type, names, adds: [], renames: [] },
    unsure: { labels: labels.map(({ label }) => label), may: lost },
  });
  if (open.length > 0 && lost.length > 0) {
    const found = pairedByPlace({ type, names, lost, open });
    if (found === null) return unsure(open);
    for (const [oid, label] of found) names.set(oid, label);
  }
  const fresh = source.filter(({ oid }) => !names.has(oid));
  const firstMade = Math.min(...fresh.map(({ made }) => made));
  // What is older than labels that the target has cannot be new.
  if (known === null && source.some(({ oid, made }) => names.has(oid) && made > firstMade)) return unsure(fresh);
  const renames = source.flatMap(({ oid, label, named }): Renamed[] => {
    const from = names.get(oid);
    return from === undefined || from === label ? [] : [{ from, to: label, named }];
  });
  return { type, adds: addsOf(type, names), renames, unsure: null, names };
}

function pairedByName({ source, target, known }: EnumSides): Map<number, string> {
  const there = new Set(target);
  const isSame = source.length === target.length && source.every(({ label }, i) => label === target[i]);
  const names = new Map<number, string>();
  for (const { oid } of isSame ? [] : source) {
    const name = known?.get(oid);
    if (name !== undefined && there.has(name)) names.set(oid, name);
  }
  const taken = new Set(names.values());
  for (const { oid, label } of source) {
    if (!names.has(oid) && there.has(label) && !taken.has(label)) names.set(oid, label);
  }
  return names;
}

interface Unpaired {
  readonly type: EnumSides;
  readonly names: ReadonlyMap<number, string>;
  readonly lost: readonly string[];
  readonly open: readonly SourceLabel[];
}

// Null: they can be paired in more ways than one.
function pairedByPlace({ type, names, lost, open }: Unpaired): ReadonlyMap<number, string> | null {
  const { source, target, known } = type;
  const anchors = source.filter(({ oid }) => names.has(oid));
  const places = anchors.map(({ oid }) => target.indexOf(names.get(oid) ?? ''));
  if (places.some((place, i) => i > 0 && place < (places[i - 1] ?? 0))) return null;
  const found = new Map<number, string>();
  const alone: SourceLabel[] = [];
  let strange = 0;
  for (let gap = 0; gap <= anchors.length; gap++) {
    const [before, after] = [anchors[gap - 1], anchors[gap]];
    const start = before === undefined ? 0 : source.indexOf(before) + 1;
    const here = source.slice(start, after === undefined ? source.length : source.indexOf(after));
    const candidates = here.filter((label) => open.includes(label));
    const there = target
      .slice(gap === 0 ? 0 : (places[gap - 1] ?? 0) + 1, places[gap] ?? target.length)
      .filter((label) => lost.includes(label));
    if (candidates.length === 0 || there.length === 0) {
      alone.push(...candidates);
      strange += there.length;
      continue;
    }
    if (candidates.length < there.length || (candidates.length > there.length && known !== null)) return null;
    const made = candidates.map((each) => each.made).toSorted((a, b) => a - b);
    const lastMade = made[there.length - 1] ?? 0;
    const old = candidates.filter((each) => each.made <= lastMade);
    for (const [i, { oid }] of old.entries()) found.set(oid, there[i] ?? '');
  }
  // The sides may never have had one order.
  return alone.length > 0 && strange > 0 ? null : found;
}

// Each after the one that the source has before it, by the name that this has on the target.
function addsOf({ source, target }: EnumSides, names: ReadonlyMap<number, string>): readonly LabelStep[] {
  const [first] = target;
  let before: string | undefined;
  return source.flatMap(({ oid, label }): LabelStep[] => {
    const there = names.get(oid);
    // Its name is free once another label has got its own.
    if (there === undefined && target.includes(label)) return [];
    const after = before;
    before = there ?? label;
    if (there !== undefined) return [];
    if (after !== undefined) return [{ kind: 'add', label, place: { side: 'after', of: after } }];
    return [{ kind: 'add', label, place: first === undefined ? null : { side: 'before', of: first } }];
  });
}

/**
 * The next labels to rename: those whose names are the oldest, as rows that come later may still have the names that others had.
 * They run one after another.
 */
export function nextRenames(drifts: readonly Drift[]): readonly { readonly type: EnumSides; readonly step: Renamed }[] {
  const all = drifts
    .flatMap(({ type, renames }) => renames.map((step) => ({ type, step })))
    .toSorted((a, b) => b.step.named - a.step.named);
  const labels = new Map(drifts.map(({ type }) => [type, new Set(type.target)]));
  const next: (typeof all)[number][] = [];
  const isNext = ({ type, step }: (typeof all)[number]) =>
    labels.get(type)?.has(step.to) === false && (next.length === 0 || next[0]?.step.named === step.named);
  for (;;) {
    const free = all.find((each) => !next.includes(each) && isNext(each));
    if (free === undefined) return next;
    labels.get(free.type)?.delete(free.step.from);
    labels.get(free.type)?.add(free.step.to);
    next.push(free);
  }
}

/** Whether a name that a label has on the source is that of another label on the target: rows that have it may mean either. */
export function isConfused({ type: { source, target }, names, unsure }: Drift): boolean {
  return unsure === null && source.some(({ oid, label }) => names.get(oid) !== label && target.includes(label));
}

/** Every rename that gives the target's labels the names of the source, to be run one after another. Those in a circle get names in between. */
export function allRenames({ type, renames }: Drift): readonly { readonly from: string; readonly to: string }[] {
  const labels = new Set(type.target);
  const steps: { readonly from: string; readonly to: string }[] = [];
  const left = renames.map(({ from, to }) => ({ from, to }));
  const rename = (from: string, to: string) => {
    labels.delete(from);
    labels.add(to);
    steps.push({ from, to });
  };
  while (left.length > 0) {
    const at = left.findIndex(({ to }) => !labels.has(to));
    const next = left[Math.max(at, 0)];
    if (next === undefined) break;
    if (at >= 0) {
      rename(next.from, next.to);
      left.splice(at, 1);
      continue;
    }
    let between = 0;
    while (labels.has(`sluice_${between}`)) between++;
    rename(next.from, `sluice_${between}`);
    next.from = `sluice_${between}`;
  }
  return steps;
}
