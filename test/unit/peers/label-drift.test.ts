// Which labels of an enum got other names and which are new, and that nobody guesses where it cannot be told.
import { expect, test } from 'vitest';
import { type Drift, driftOf, nextRenames, type SourceLabel } from '../../../src/peers/label-drift.ts';

interface Case {
  /** In the source's order; in the order in which they were made: a digit behind each. */
  readonly source: string;
  readonly target: string;
  /** As the source's, with the names on the target; left out: nobody has looked. */
  readonly known?: string;
}

const words = (text: string) => text.split(' ').filter((each) => each !== '');

function drift({ source, target, known }: Case): Drift {
  const numbered = (text: string) => words(text).map((each) => [each.slice(0, -1), Number(each.slice(-1))] as const);
  const labels = numbered(source).map(([label, made]): SourceLabel => ({ oid: made, label, made, named: 10 - made }));
  const names = known === undefined ? null : new Map(numbered(known).map(([label, made]) => [made, label]));
  return driftOf({ schema: 's', name: 't', oid: 1, source: labels, target: words(target), known: names });
}

function shown({ adds, renames, unsure }: Drift): string {
  if (unsure !== null) return `${unsure.labels.join(' ')}: ${unsure.may.join(' ')}?`;
  const made = adds.map((each) => (each.kind === 'add' ? `+${each.label} ${each.place?.side} ${each.place?.of}` : ''));
  return [...renames.map(({ from, to }) => `${from}=${to}`), ...made].join(', ');
}

test.each<[string, Case, string]>([
  ['nothing differs', { source: 'a1 b2', target: 'a b' }, ''],
  ['the target has one of its own', { source: 'a1 b2', target: 'a own b' }, ''],
  ['one is new', { source: 'x3 a1 b2 y4', target: 'a b' }, '+x before a, +y after b'],
  ['one has another name', { source: 'a1 z2', target: 'a b' }, 'b=z'],
  ['all have', { source: 'y1 z2', target: 'a b' }, 'a=y, b=z'],
  ['one is new beside one with another name', { source: 'a1 n3 z2 m4', target: 'a b' }, 'b=z, +n after a, +m after b'],
  ['its old name is another’s now', { source: 'a1 z2 b3', target: 'a b' }, 'z: ?'],
  ['the target has fewer and one is missing', { source: 'a1 z2', target: 'a b own' }, 'z: b own?'],
  ['the order differs', { source: 'a1 z2', target: 'b a' }, 'z: b?'],
  ['a new one is remembered to be none of these', { source: 'a1 n3', target: 'a own', known: 'a1' }, '+n after a'],
  ['names went on', { source: 'b1 c2', target: 'a b', known: 'a1 b2' }, 'a=b, b=c'],
  ['a person has followed', { source: 'a1 z2', target: 'a z', known: 'a1 b2' }, ''],
  ['a person gave another name', { source: 'a1 z2 n3', target: 'a y', known: 'a1 b2' }, 'y=z, +n after y'],
  ['a person gave one to more than one', { source: 'a1 z2', target: 'a y own', known: 'a1 b2' }, 'z: y own?'],
])('%s', (_name, of, expected) => {
  expect(shown(drift(of))).toBe(expected);
});

test('labels get their names in the order in which the source gave them, and none that another still has', () => {
  const next = (of: Case) => nextRenames([drift(of)]).map(({ step: { from, to } }) => `${from}=${to}`);
  expect(next({ source: 'y1 z2', target: 'a b' })).toEqual(['a=y']);
  expect(next({ source: 'b1 c2', target: 'a b', known: 'a1 b2' })).toEqual(['b=c']);
  expect(next({ source: 'b1 a2', target: 'a b', known: 'a1 b2' })).toEqual([]);
});
