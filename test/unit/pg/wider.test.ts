// Types that hold others: each pair that is taken is one whose values look the same in both, and none that changes them is.
import { expect, test } from 'vitest';
import { holds } from '../../../src/pg/wider.ts';

const times = ['timestamp', 'time'].flatMap((what) => [`${what} without time zone`, `${what} with time zone`]);

test.each<readonly [string, string]>([
  ['integer', 'smallint'],
  ['bigint', 'smallint'],
  ['bigint', 'integer'],
  ['numeric', 'bigint'],
  ['numeric(10,0)', 'integer'],
  ['numeric(19,0)', 'bigint'],
  ['double precision', 'real'],
  ['text', 'character varying'],
  ['text', 'character varying(9)'],
  ['character varying', 'character varying(9)'],
  ['character varying(10)', 'character varying(9)'],
  ['numeric', 'numeric(10,2)'],
  ['numeric(12,2)', 'numeric(10,2)'],
  ['bit varying(9)', 'bit varying(8)'],
  ['timestamp(6) with time zone', 'timestamp with time zone'],
  ['timestamp with time zone', 'timestamp(3) with time zone'],
  ['time(5) without time zone', 'time(3) without time zone'],
  ['inet', 'cidr'],
  ['bigint[]', 'integer[]'],
  ['shop."St ate"', 'shop."St ate"'],
  ...times.map((type) => [type, type] as const),
])('%s holds %s', (wide, narrow) => {
  expect(holds(wide, narrow)).toBe(true);
});

test.each<readonly [string, string]>([
  ['smallint', 'integer'],
  ['integer', 'bigint'],
  ['numeric(9,0)', 'integer'],
  ['numeric(12,2)', 'integer'],
  ['bigint', 'numeric'],
  ['real', 'double precision'],
  ['double precision', 'numeric'],
  ['double precision', 'integer'],
  ['character varying(9)', 'character varying(10)'],
  ['character varying(9)', 'character varying'],
  ['character varying(9)', 'text'],
  ['character varying', 'text'],
  ['text', 'character(5)'],
  ['character(9)', 'character(5)'],
  ['character varying(9)', 'character(5)'],
  ['numeric(10,2)', 'numeric'],
  ['numeric(12,3)', 'numeric(10,2)'],
  ['numeric(10,2)', 'numeric(12,2)'],
  ['timestamp(3) without time zone', 'timestamp without time zone'],
  ['timestamp with time zone', 'timestamp without time zone'],
  ['timestamp without time zone', 'date'],
  ['interval(3)', 'interval'],
  ['interval', 'interval day to second'],
  ['jsonb', 'json'],
  ['text', 'json'],
  ['text', 'shop.state'],
  ['shop.state', 'other.state'],
  ['bigint', 'integer[]'],
  ['bigint[]', 'integer'],
  ['bit(9)', 'bit(8)'],
  ['bit varying(9)', 'bit(8)'],
  ['macaddr8', 'macaddr'],
  ['cidr', 'inet'],
  ['text', 'name'],
  ['"numeric"', 'integer'],
])('%s does not hold %s', (wide, narrow) => {
  expect(holds(wide, narrow)).toBe(false);
});
