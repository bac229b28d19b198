// The SQL tag: values never become text, names never become SQL.
import { expect, test } from 'vitest';
import { ident, join, literal, quoteLiteral, sql } from '../../../src/pg/sql.ts';

test('values become parameters, numbered through nested fragments', () => {
  const where = sql`a = ${1} and b = ${'x'}`;
  const query = sql`select ${0} from ${ident('s"; drop', 't')} where ${where} and c = ${2}`;
  expect(query.text).toBe('select $1 from "s""; drop"."t" where a = $2 and b = $3 and c = $4');
  expect(query.values).toEqual([0, 1, 'x', 2]);
});

test('lists of fragments keep their parameters', () => {
  const list = join([sql`${1}`, sql`${2}`, literal(3)]);
  expect(sql`values (${list})`).toMatchObject({ text: 'values ($1, $2, 3)', values: [1, 2] });
  expect(sql`(${join([])})`.text).toBe('()');
});

test('literals survive quotes and backslashes', () => {
  expect(quoteLiteral("it's")).toBe("'it''s'");
  expect(quoteLiteral("a\\'b")).toBe(" E'a\\\\''b'");
  expect(quoteLiteral(null)).toBe('null');
});
