// How tables are cut: every row in exactly one part, options kept, small tables together, largest first.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Leaf, showTable, type Table } from '../../../src/pg/table.ts';
import {
  cutTable,
  type Job,
  keyWishes,
  makeJobs,
  type Part,
  rangeCondition,
  showPart,
} from '../../../src/snapshot/plan.ts';
import { JobQueue, workerCount } from '../../../src/snapshot/queue.ts';
import { aColumn, aLeaf, aTable } from './tables.ts';

function cut(source: Table, options: { rows?: number; parts?: number; bounds?: readonly string[]; key?: string } = {}) {
  const mapping = { from: source, to: { schema: 't', name: 'to' }, key: options.key ?? null, exclude: [], where: null };
  const key = source.columns.find((column) => column.name === options.key);
  const { bounds = [] } = options;
  const cuts = new Map(key === undefined ? [] : [[showTable(source), { key, order: null, bounds }]]);
  return cutTable(
    { mapping, source, into: (leaf: Leaf) => ({ schema: 't', name: leaf.name }), cuts },
    { snapshot_num_rows_per_partition: options.rows ?? 250_000, snapshot_num_partitions_override: options.parts },
  );
}

/** How many parts hold a row of that page. */
function partsOf(parts: readonly Part[], leaf: string, page: number): number {
  return parts.filter(({ range, from }) => {
    if (from.name !== leaf) return false;
    if (range.kind === 'pages') return page >= range.first && (range.end === null || page < range.end);
    return range.kind === 'whole';
  }).length;
}

describe('cutting by pages', () => {
  test('every page, also one that was added since, is in exactly one part', () => {
    const leaves = fc.array(fc.tuple(fc.nat(5000), fc.nat(2_000_000)), { minLength: 1, maxLength: 5 });
    const property = fc.property(
      leaves,
      fc.integer({ min: 1, max: 400_000 }),
      fc.option(fc.integer({ min: 1, max: 60 })),
      (list, rows, parts) => {
        const source = aTable({
          leaves: list.map(([pages, count], i) => aLeaf({ name: `l${i}`, pages, rows: count })),
        });
        const all = cut(source, parts === null ? { rows } : { rows, parts });
        for (const leaf of source.leaves) {
          for (const page of [0, 1, leaf.pages >> 1, Math.max(0, leaf.pages - 1), leaf.pages, leaf.pages + 1000]) {
            expect(partsOf(all, leaf.name, page)).toBe(1);
          }
        }
        expect(all.map((part) => part.number)).toEqual(all.map((_, i) => i));
      },
    );
    fc.assert(property, { numRuns: 200 });
  });

  test('parts have about the wanted rows; an override gives exactly that many; a small table is one part', () => {
    const large = aTable({ leaves: [aLeaf({ pages: 40_000, rows: 2_000_000 })] });
    expect(cut(large)).toHaveLength(8);
    expect(cut(large, { parts: 3 })).toHaveLength(3);
    const small = aTable({ leaves: [aLeaf({ pages: 2, rows: 100 })] });
    expect(cut(small)).toHaveLength(1);
    expect(cut(small, { parts: 9 })).toHaveLength(2);
    expect(cut(aTable({ leaves: [] })).map((part) => [part.range.kind, part.only])).toEqual([['whole', false]]);
  });

  test('the condition names pages, the last part is open', () => {
    const parts = cut(aTable({ leaves: [aLeaf({ pages: 100, rows: 100 })] }), { parts: 2 });
    expect(parts.map((part) => rangeCondition(part.range)?.text)).toEqual([
      `ctid >= '(0,0)'::tid and ctid < '(50,0)'::tid`,
      `ctid >= '(50,0)'::tid`,
    ]);
    expect(parts.map(showPart)).toEqual(
      ['s.from pages 0 to 49', 's.from pages 50 on'].map((words) => words.replace('s.from ', '')),
    );
  });
});

test('an override is for the whole table: its leaves share it by their rows, and none goes without', () => {
  const property = fc.property(
    fc.array(fc.nat(100_000), { minLength: 1, maxLength: 9 }),
    fc.integer({ min: 1, max: 40 }),
    (rows, parts) => {
      const leaves = rows.map((count, i) => aLeaf({ name: `l${i}`, pages: 1_000, rows: count }));
      const all = cut(aTable({ leaves }), { parts });
      expect(all).toHaveLength(Math.max(parts, leaves.length));
      const count = (name: string) => all.filter((part) => part.from.name === name).length;
      for (const a of leaves)
        for (const b of leaves) if (a.rows > b.rows) expect(count(a.name)).toBeGreaterThanOrEqual(count(b.name));
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test('what ctid does not cut is cut by the primary key, where that is worth it; a key of the mapping goes before', () => {
  const columns = [aColumn({ name: 'a' }), aColumn({ name: 'id', notNull: true })];
  const primaryKey = {
    constraint: 'k',
    columns: ['id', 'a'],
    include: [],
    immediate: true,
    definition: 'PRIMARY KEY (id, a)',
  };
  const leaves = [
    aLeaf({ name: 'l0', byPages: false, rows: 1_000, pages: 9 }),
    aLeaf({ name: 'l1', rows: 1_000, pages: 9 }),
  ];
  const source = aTable({ columns, primaryKey, leaves });
  const wishes = (key: string | null, rows: number, table = source) =>
    keyWishes({ from: table, to: table, key, exclude: [], where: null }, table, {
      snapshot_num_rows_per_partition: rows,
    }).map((wish) => [wish.from.name, wish.key.name, wish.parts]);
  expect(wishes(null, 100)).toEqual([['l0', 'id', 10]]);
  expect(wishes(null, 1_000)).toEqual([]);
  expect(wishes('a', 100)).toEqual([['from', 'a', 20]]);
  expect(wishes(null, 100, { ...source, primaryKey: null })).toEqual([]);
  // How many rows a view has is not known before they are counted.
  const view = aTable({ columns, kind: 'v', leaves: [aLeaf({ kind: 'v', byPages: false })] });
  expect(wishes('a', 100, view)).toEqual([['from', 'a', null]]);
  expect(wishes(null, 100, view)).toEqual([]);
});

test('cutting by a key makes ranges that touch, open at both ends, and one for nulls', () => {
  const source = aTable({
    columns: [aColumn({ name: 'k"', type: 'character(3)' })],
    leaves: [aLeaf({ pages: 9, rows: 9 })],
  });
  const parts = cut(source, { key: 'k"', bounds: ["b'", 'd\\'] });
  expect(parts.map((part) => rangeCondition(part.range)?.text)).toEqual([
    `"k""" < 'b'''::character(3)`,
    `"k""" >= 'b'''::character(3) and "k""" <  E'd\\\\'::character(3)`,
    `"k""" >=  E'd\\\\'::character(3)`,
    `"k""" is null`,
  ]);
  const notNull = aTable({ columns: [aColumn({ name: 'k', notNull: true })] });
  expect(cut(notNull, { key: 'k', bounds: [] }).map((part) => rangeCondition(part.range)?.text)).toEqual([
    'not (pg_catalog.num_nulls("k") > 0)',
  ]);
});

test('small tables travel together, and large parts go first', () => {
  const tables = [
    ...Array.from({ length: 60 }, (_, i) => cut(aTable({ name: `t${i}`, leaves: [aLeaf({ pages: 1, bytes: 8192 })] }))),
    cut(aTable({ name: 'large', leaves: [aLeaf({ pages: 1000, rows: 10, bytes: 8_192_000 })] }), { parts: 2 }),
    cut(aTable({ name: 'medium', leaves: [aLeaf({ pages: 100, bytes: 819_200 })] })),
    cut(aTable({ name: 'view', kind: 'v', leaves: [aLeaf({ kind: 'v', byPages: false })] })),
  ];
  const jobs = makeJobs(tables);
  expect(jobs.map((job) => [job.parts[0]?.mapping.from.name.replace(/\d+/, ''), job.parts.length])).toEqual([
    // Of any size.
    ['view', 1],
    ['large', 1],
    ['large', 1],
    ['medium', 1],
    ['t', 25],
    ['t', 25],
    ['t', 10],
  ]);
});

describe('the queue', () => {
  const job = (name: string): Job => ({ parts: cut(aTable({ name })), bytes: 1 });

  const names = (jobs: readonly (Job | undefined)[]) => jobs.map((each) => each?.parts[0]?.mapping.from.name);

  test('keeps to the number of tables and of parts of one table', () => {
    const queue = new JobQueue([job('a'), job('a'), job('a'), job('b'), job('c')], { tables: 2, partsPerTable: 2 });
    const taken = [queue.take(), queue.take(), queue.take(), queue.take()];
    expect(names(taken)).toEqual(['a', 'b', 'a', undefined]);
    queue.done(taken[1]!);
    expect(names([queue.take(), queue.take()])).toEqual(['c', undefined]);
    queue.done(taken[0]!);
    expect(names([queue.take()])).toEqual(['a']);
    expect(queue.left).toBe(0);
  });

  test('gives a part of the table at which the fewest are, largest first', () => {
    const part = (name: string, number: number): Job => ({ parts: [{ ...job(name).parts[0]!, number }], bytes: 1 });
    const queue = new JobQueue([part('a', 0), part('a', 1), part('b', 0), part('a', 2), part('b', 1)], {
      ...{ tables: 4, partsPerTable: 4 },
    });
    const all = Array.from({ length: 6 }, () => queue.take());
    expect(all.map((each) => each && `${each.parts[0]?.mapping.from.name}${each.parts[0]?.number}`)).toEqual([
      'a0',
      'b0',
      'a1',
      'b1',
      'a2',
      undefined,
    ]);
  });

  test('opens as many pairs of connections as the larger limit, and no more than there are jobs', () => {
    expect(workerCount({ tables: 4, partsPerTable: 4 }, 100)).toBe(4);
    expect(workerCount({ tables: 1, partsPerTable: 8 }, 100)).toBe(8);
    expect(workerCount({ tables: 4, partsPerTable: 4 }, 2)).toBe(2);
  });
});
