// Text of a server under the names of the other side: what was renamed is followed, and nothing else is touched.
import { describe, expect, test } from 'vitest';
import { follow, nameKey, type Renames, requalify } from '../../../src/peers/schema/follow.ts';

const renames: Renames = {
  names: new Map([
    [nameKey({ schema: 'a', name: 't' }), { schema: 'b', name: 'u' }],
    [nameKey({ schema: 'a', name: 'f' }), { schema: 'b', name: 'f' }],
    [nameKey({ schema: 'a', name: '#=#' }), { schema: 'b', name: '#=#' }],
    [nameKey({ schema: 'a.b', name: 'o"d' }), { schema: 'Order', name: 'select' }],
  ]),
  schemas: new Map([['a', 'b']]),
};

const followed = (text: string) => follow(text, renames).text;

describe('a renamed table', () => {
  test.each([
    ['SELECT t.id FROM a.t', 'SELECT t.id FROM b.u t'],
    ['SELECT x.id FROM a.t x', 'SELECT x.id FROM b.u x'],
    [
      'SELECT t.id FROM (a.t JOIN a.other USING (id)) WHERE t.id > 0',
      'SELECT t.id FROM (b.u t JOIN a.other USING (id)) WHERE t.id > 0',
    ],
    ['SELECT 1 FROM ONLY a.t, a.t t_1', 'SELECT 1 FROM ONLY b.u t, b.u t_1'],
    ['INSERT INTO a.t (id) VALUES (1)', 'INSERT INTO b.u as t (id) VALUES (1)'],
    ['UPDATE a.t SET id = 1', 'UPDATE b.u t SET id = 1'],
    ['SELECT NULL::a.t AS row', 'SELECT NULL::b.u AS row'],
    ['create function a.f(a.t, integer)', 'create function b.f(b.u, integer)'],
    [`SELECT 'a.t'::regclass, 'a.t'::text`, `SELECT 'b.u'::regclass, 'a.t'::text`],
    ['SELECT * FROM "a.b"."o""d"', 'SELECT * FROM "Order"."select" "o""d"'],
    ['SELECT x.a.t, aa.t, a.tt FROM y', 'SELECT x.a.t, aa.t, a.tt FROM y'],
    ['SELECT 1 OPERATOR(a.#=#) 2', 'SELECT 1 OPERATOR(b.#=#) 2'],
  ])('%s', (text, expected) => {
    expect(followed(text)).toBe(expected);
  });
});

test('a body in a string that speaks of what was renamed is in doubt, one that does not is not', () => {
  const body = (text: string) => follow(`CREATE FUNCTION a.f() AS $$ ${text} $$`, renames);
  expect(body('select 1 from a.t')).toMatchObject({ changed: true, doubt: expect.stringContaining('a.t') });
  expect(body('select 1 from "a"."t"').doubt).not.toBeNull();
  expect(body('select 1 from other.t')).toMatchObject({ changed: true, doubt: null });
});

test('a text in which the renamed schema has the name of something else too is in doubt', () => {
  expect(follow('SELECT a.t FROM other.x a, a.t t_1', renames).doubt).toContain('uses the name a');
  expect(follow('SELECT x.a FROM a.t x', renames).doubt).toBeNull();
});

test('nothing renamed, nothing changed', () => {
  const text = `SELECT a.t FROM a.t -- it's`;
  expect(follow(text, { names: new Map(), schemas: new Map() })).toEqual({ text, changed: false, doubt: null });
});

test("a policy's own table is called by its new name in subqueries, unless that stands for something else there", () => {
  const text = '(EXISTS ( SELECT 1 FROM s.t t_1 WHERE ((t_1.id = t.id) AND (s.f(x.t) = "t".v))))';
  expect(requalify(text, 't', 'The t')).toEqual({
    text: '(EXISTS ( SELECT 1 FROM s.t t_1 WHERE ((t_1.id = "The t".id) AND (s.f(x.t) = "The t".v))))',
    changed: true,
    doubt: null,
  });
  expect(requalify('select 1 from t.a where (u.id = t.id)', 't', 'u')).toMatchObject({
    text: 'select 1 from t.a where (u.id = u.id)',
    doubt: 'its text uses the name u for something else than its table',
  });
  expect(requalify('(owner = CURRENT_USER)', 't', 'u')).toMatchObject({ changed: false, doubt: null });
});
