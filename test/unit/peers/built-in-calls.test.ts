// Which functions of PostgreSQL itself an expression calls, as its server prints it.
import { expect, test } from 'vitest';
import { builtInCalls, MissingCalls } from '../../../src/peers/built-in-calls.ts';

const shown = (expression: string) => builtInCalls(expression).map(({ name, args }) => `${name}/${args}`);

test.each([
  ['uuidv7()', ['uuidv7/0']],
  ['random(1, 10)', ['random/2']],
  ["COALESCE(lower((name)::text), 'f(x)'::text)", ['lower/1']],
  [`x.uuidv7() + "y".f(1) + "Z"(2) + "a".b."c"(3)`, []],
  ["('now(1, 2)'::text || upper('it''s f(')) || right(a, (length(a) - 1))", ['upper/1', 'right/2', 'length/1']],
  ['(a)::numeric(10,2) + (b)::character varying(5) + (c)::interval second(3)', []],
  ["(ARRAY[concat('a', 'b', concat()), 'x'])[1]", ['concat/3', 'concat/0']],
  ["nextval('public.s_seq'::regclass)", ['nextval/1']],
  ['make_interval(days => 3, hours => 4)', ['make_interval/2']],
  ["'a'::text", []],
])('%s', (expression, expected) => {
  expect(shown(expression)).toEqual(expected);
});

test('only what is missing is told, with its arguments', () => {
  const missing = new MissingCalls([{ name: 'random', args: 2 }]);
  expect(missing.of('random()')).toEqual([]);
  expect(missing.of('random(1, 2) + random(1)')).toEqual(['random() with 2 arguments']);
  expect(missing.of('x.random(1, 2)')).toEqual([]);
});
