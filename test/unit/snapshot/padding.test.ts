// Which columns may travel without the blanks that fill them up.
import { expect, test } from 'vitest';
import { copiedColumns } from '../../../src/snapshot/columns.ts';
import { maybePadded } from '../../../src/snapshot/padding.ts';
import { aColumn, aLeaf, aTable } from './tables.ts';

const mapping = {
  from: { schema: 's', name: 'from' },
  to: { schema: 's', name: 'from' },
  key: null,
  exclude: ['x'],
  where: null,
};

const chars = (type: string, more: Parameters<typeof aColumn>[0] = {}) => aColumn({ type, oid: 1042, ...more });

function padded(
  column: ReturnType<typeof aColumn>,
  { pages = 5_000, version = 140_000, beside = [] as ReturnType<typeof aColumn>[] } = {},
) {
  const source = aTable({ columns: [column, ...beside], leaves: [aLeaf({ pages }), aLeaf({ pages: 3 })] });
  const columns = copiedColumns(mapping, { table: source, version }, { table: source, version: 180_000 });
  return maybePadded({ table: source, version }, columns);
}

test('long character(n) columns of large tables may, if they are copied', () => {
  expect(padded(chars('character(84)'))).toEqual(['c']);
  expect(padded(chars('character(84)', { name: 'x' }))).toEqual([]);
});

test('types that only look like it may not', () => {
  for (const type of ['bpchar', 'character(84)[]', 'character varying(84)', 'text', 'character(10)'])
    expect([type, padded(chars(type))]).toEqual([type, []]);
  expect(padded(chars('character(84)', { oid: 20_000 }))).toEqual([]);
});

test('nobody looks at small tables, at servers that take too long for it, and at what travels as text', () => {
  expect(padded(chars('character(84)'), { pages: 900 })).toEqual([]);
  expect(padded(chars('character(84)'), { version: 130_000 })).toEqual([]);
  expect(padded(chars('character(84)'), { beside: [aColumn({ name: 'b', binarySafe: false })] })).toEqual([]);
});
