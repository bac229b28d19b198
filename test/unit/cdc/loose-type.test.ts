// Casts of staged values must not cut them off where assignment to the column would refuse.
import { expect, test } from 'vitest';
import { looseType } from '../../../src/peers/apply-sql.ts';

test.each([
  ['numeric(10,2)', 'numeric'],
  ['character varying(5)', 'character varying'],
  ['character varying(5)[]', 'character varying[]'],
  ['character(3)', 'pg_catalog.bpchar'],
  ['character(3)[]', 'pg_catalog.bpchar[]'],
  ['bit(4)', 'bit varying'],
  ['bit varying(4)', 'bit varying'],
  ['timestamp(3) without time zone', 'timestamp without time zone'],
  ['interval day to second(3)', 'interval day to second'],
  ['public.geometry(Point,4326)', 'public.geometry'],
  ['"s(1)"."t(5)"', '"s(1)"."t(5)"'],
  ['character_set.x', 'character_set.x'],
  ['integer', 'integer'],
])('%s is cast as %s', (type, loose) => {
  expect(looseType(type)).toBe(loose);
});
