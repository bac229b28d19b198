// How the mirrored tables are cut into slices, and what has to stay together.
import { describe, expect, test } from 'vitest';
import type { TreeOf } from '../../../src/peers/ddl-tree.ts';
import type { SizedHead } from '../../../src/peers/table-heads.ts';
import { cutSlices } from '../../../src/snapshot/slices.ts';

function tree(name: string, more: { pages?: number; inherits?: readonly string[]; partitions?: number } = {}) {
  const head = (own: string, oid: number): SizedHead => ({
    ...{ oid, schema: 's', name: own, kind: 'r', partitionOf: null, pages: more.pages ?? 1 },
    inherits: (more.inherits ?? []).map((parent) => ({ schema: 's', name: parent })),
  });
  const from = { schema: 's', name };
  const partitions = Array.from({ length: more.partitions ?? 0 }, (_, i) => ({
    ...head(`${name}_${i}`, i),
    inherits: [],
  }));
  const mapping = { from, to: from, key: null, exclude: [], where: null };
  return { mapping, root: head(name, 1), partitions } satisfies TreeOf<SizedHead>;
}

const names = (trees: readonly TreeOf<SizedHead>[], size: number) =>
  cutSlices(trees, size).map(({ tables }) => tables.map(({ from }) => from.name).join(' '));

describe('tables in slices', () => {
  test('keep their order, and as many as fit go together', () => {
    expect(
      names(
        ['a', 'b', 'c', 'd', 'e'].map((name) => tree(name)),
        2,
      ),
    ).toEqual(['a', 'b c', 'd e']);
    expect(names([], 2)).toEqual([]);
  });

  test('are few at first where all are small, so that the target soon has something to make', () => {
    const trees = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => tree(name));
    expect(names(trees, 8)).toEqual(['a b', 'c d e f g']);
    expect(names([...trees, tree('big', { pages: 5_000 })], 8)).toEqual(['big a b c d e f g']);
  });

  test('go largest first, so that no worker waits for the last of a slice', () => {
    const trees = [tree('a'), tree('big', { pages: 5_000 }), tree('b'), tree('bigger', { pages: 9_000 })];
    expect(names(trees, 2)).toEqual(['bigger big', 'a b']);
  });

  test('stay with what they inherit from, by whatever way, and with their partitions', () => {
    const trees = [
      tree('heir', { inherits: ['parent', 'other'] }),
      tree('alone'),
      tree('parent', { inherits: ['grandparent'] }),
      tree('sister', { inherits: ['other', 'not mirrored'] }),
      tree('other'),
      tree('grandparent'),
      tree('whole', { partitions: 7 }),
      tree('last'),
    ];
    expect(names(trees, 2)).toEqual(['heir parent sister other grandparent', 'alone', 'whole', 'last']);
  });
});
