// An order in which objects can be made, whatever needs whatever.
import { expect, test } from 'vitest';
import { inOrder } from '../../../src/peers/schema/order.ts';

function order(needs: Readonly<Record<string, readonly string[]>>, shells: readonly string[] = []) {
  const turns = inOrder(
    Object.keys(needs),
    (id) => needs[id] ?? [],
    (id) => shells.includes(id),
  );
  return turns.map(({ id, part }) => (part === 'shell' ? `(${id})` : id)).join(' ');
}

test('each comes after what it needs, and else as given', () => {
  expect(order({ c: [], a: ['d'], b: [], d: ['b', 'elsewhere'] })).toBe('c b d a');
});

test('a circle begins with the shell of one that has one, and what needs the circle comes after all of it', () => {
  expect(order({ view: ['type'], in: ['type'], out: ['type'], type: ['in', 'out'] }, ['type'])).toBe(
    '(type) in out type view',
  );
  expect(order({ a: ['b'], b: ['c'], c: ['a'] }, ['a', 'b', 'c'])).toBe('(a) c b a');
  expect(order({ a: ['b', 'c'], b: ['a'], c: ['b', 'd'], d: ['c'] }, ['a', 'c'])).toMatch(/^\(a\) \(c\) /);
});

test('a circle without any shell comes as given', () => {
  expect(order({ a: ['b'], b: ['a'], c: ['a'] })).toBe('a b c');
});

test('a long chain takes moments and no stack', () => {
  const ids = Array.from({ length: 20_000 }, (_, i) => String(i));
  const turns = inOrder(
    ids,
    (id) => [String(Number(id) + 1)],
    () => false,
  );
  expect(turns[0]?.id).toBe('19999');
  expect(turns).toHaveLength(20_000);
});
