// The order in which objects that need each other are made.
import { expect, test } from 'vitest';
import { inOrder } from '../../../src/peers/schema/order.ts';

const needs = (edges: Readonly<Record<string, string>>) => (id: string) => [...(edges[id] ?? '')];
const show = (turns: ReturnType<typeof inOrder>) =>
  turns.map(({ id, part }) => (part === 'all' ? id : `(${id})`)).join(' ');

test('each comes after what it needs, and otherwise as given', () => {
  expect(show(inOrder([...'dcba'], needs({ d: 'a', c: 'b' }), () => false))).toBe('a d b c');
});

test('a circle begins with the shell of one that has one', () => {
  expect(show(inOrder([...'iot'], needs({ t: 'io', i: 't', o: 't' }), (id) => id === 't'))).toBe('(t) i o t');
});

test('a circle that no shell breaks comes as given', () => {
  expect(show(inOrder([...'iotx'], needs({ t: 'io', i: 't', o: 't' }), () => false))).toBe('i o t x');
});
