// Which columns are copied, in which format, and by which statements.
import { expect, test } from 'vitest';
import { copiedColumns } from '../../../src/snapshot/columns.ts';
import { cutTable, type Part } from '../../../src/snapshot/plan.ts';
import { copyIn, copyOut } from '../../../src/snapshot/statements.ts';
import { aColumn, aLeaf, aTable } from './tables.ts';

const mapping = {
  from: { schema: 's', name: 'from' },
  to: { schema: 't', name: 'to' },
  key: null,
  exclude: ['x'],
  where: null,
};
const version = { old: 140_000, new: 180_000 };

function copied(
  source: ReturnType<typeof aColumn>[],
  target = source,
  versions: readonly [number, number] = [version.new, version.new],
) {
  const sides = [
    { table: aTable({ columns: source }), version: versions[0] },
    { table: aTable({ columns: target }), version: versions[1] },
  ] as const;
  return copiedColumns(mapping, ...sides);
}

test('excluded and computed columns are left out', () => {
  const g = aColumn({ name: 'g', generated: 's', default: '1' });
  expect(copied([aColumn({ name: 'a' }), aColumn({ name: 'x' }), g]).names).toEqual(['a']);
  const stored = copied([aColumn({ name: 'a' }), g], [aColumn({ name: 'a' }), aColumn({ name: 'g' })]);
  expect([stored.names, stored.computed]).toEqual([['a', 'g'], true]);
});

test('one type without a common binary form makes the table travel as text', () => {
  expect(copied([aColumn({ name: 'a' })]).format).toBe('binary');
  expect(copied([aColumn({ name: 'a' }), aColumn({ name: 'b', binarySafe: false })]).format).toBe('text');
  const intervals = [aColumn({ name: 'i', oid: 1186, type: 'interval' })];
  expect(copied(intervals, intervals, [version.new, version.old]).format).toBe('text');
  expect(copied(intervals, intervals, [version.old, version.new]).format).toBe('binary');
});

test('a table that has changed meanwhile is refused with every difference', () => {
  const source = [aColumn({ name: 'a' }), aColumn({ name: 'b' }), aColumn({ name: 'c' })];
  const target = [aColumn({ name: 'b', type: 'smallint' }), aColumn({ name: 'c', generated: 's' })];
  expect(() => copied(source, target)).toThrow(
    expect.objectContaining({
      kind: 'wrong_state',
      detail:
        's.from.a is missing on the target\ns.from.b is smallint on the target and integer on the source\ns.from.c is generated on the target',
    }),
  );
});

test('COPY names its columns, reads a table alone, and gives a filter the table’s own name', () => {
  const columns = { names: ['a', 'B"'], computed: false, padded: [], format: 'binary', enums: [], naming: [] } as const;
  const source = aTable({ leaves: [aLeaf({ name: 'p1' })] });
  const part = (more: Partial<typeof mapping> | { where: string }): Part => {
    const [first] = cutTable(
      { mapping: { ...mapping, ...more }, source, into: () => mapping.to, cuts: new Map() },
      { snapshot_num_rows_per_partition: 1 },
    );
    return first!;
  };
  expect(copyOut(part({}), columns).text).toBe(`copy "s"."p1" ("a", "B""") to stdout (format binary)`);
  expect(copyOut(part({ where: 'a > 1 -- no' }), columns).text).toBe(
    `copy (select "a", "B""" from only "s"."p1" as "from" where (a > 1 -- no\n)) to stdout (format binary)`,
  );
  expect(copyOut(part({}), { ...columns, padded: ['a'] }).text).toBe(
    `copy (select pg_catalog.rtrim(pg_catalog.bpcharsend("a"), pg_catalog.decode('20', 'hex')), "B""" from only "s"."p1" as "from") to stdout (format binary)`,
  );
  expect(copyIn(part({}), { ...columns, format: 'text' }).text).toBe(`copy "t"."to" ("a", "B""") from stdin`);
});
