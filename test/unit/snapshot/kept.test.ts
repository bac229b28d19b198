// Which rows the finished parts of a table hold, and what of a remembered cut is believed.
import { expect, test } from 'vitest';
import type { BegunTable } from '../../../src/peers/copied-parts.ts';
import type { TableTree } from '../../../src/peers/ddl-tree.ts';
import type { Publication } from '../../../src/peers/publication.ts';
import type { Column, Table } from '../../../src/pg/table.ts';
import { cutPlan, doneCondition, keptTable, tablePrint } from '../../../src/snapshot/kept.ts';
import type { Part, PartRange } from '../../../src/snapshot/plan.ts';
import { aColumn, aTable } from './tables.ts';

const id = aColumn({ name: 'id' });
const from = { schema: 'public', name: 't' };
const mapping = { from, to: from, key: null, exclude: [], where: null };
const root: Table = {
  ...aTable({ schema: 'public', name: 't' }),
  columns: [id, aColumn({ name: 'v', attnum: 2 })],
  replicaIdentity: 'd',
  identityColumns: ['id'],
};
const tree: TableTree = { mapping, root, partitions: [] };
const storage = new Map([['public.t', '1/1']]);
const publication: Publication = {
  ...{ name: 'p', allTables: false, viaRoot: true, insert: true, update: true, delete: true, truncate: true },
  tables: [{ ...from, columns: null, filter: null }],
};

const part = (number: number, range: PartRange): Part => ({
  ...{ mapping, number, from, only: true, into: from, range, rows: 1, bytes: 1 },
});
const pages = [0, 10, 20, 30].map((first, i) => part(i, { kind: 'pages', first, end: i === 3 ? null : first + 10 }));

function begun(parts: readonly Part[], done: readonly number[]): BegunTable {
  const plan = cutPlan(() => tablePrint(tree, root, storage), parts);
  return {
    snapshotLsn: 5n,
    // As it comes out of the database.
    plan: JSON.parse(JSON.stringify(plan)),
    parts: done.map((number) => ({ part: number, rows: 1, bytes: 1, snapshotLsn: 5n })),
  };
}

const facts = { tree, to: root, storage, publication, checkpoint: 5n };

function conditionOf(parts: readonly Part[], done: readonly number[]): string | null {
  const table = keptTable({ ...facts, begun: begun(parts, done) });
  if (typeof table === 'string') throw new Error(table);
  return doneCondition(table)?.text ?? null;
}

test('ranges of pages that touch are one condition; all parts together need none', () => {
  expect(conditionOf(pages, [0, 1, 3])).toBe(
    `((ctid >= '(0,0)'::tid and ctid < '(20,0)'::tid) or (ctid >= '(30,0)'::tid))`,
  );
  expect(conditionOf(pages, [2])).toBe(`((ctid >= '(20,0)'::tid and ctid < '(30,0)'::tid))`);
  expect(conditionOf(pages, [0, 1, 2, 3])).toBeNull();
});

test('a range of a key is read by the column as the source has it now, whatever the target remembers of its type', () => {
  const evil: Column = { ...id, type: { ...id.type, text: `int); drop table t; --` } };
  const range = (from: string | null, end: string | null, key = evil): PartRange => ({
    kind: 'key',
    ...{ key, order: null, from, end },
  });
  const parts = [part(0, range(null, '7')), part(1, range('7', null))];
  expect(conditionOf(parts, [1])).toBe(`(("id" >= '7'::${id.type.text}))`);
  const order = { less: 'operator(public.<)', atLeast: '>= 1 or true --' };
  const tampered = [part(0, { kind: 'key', key: id, order, from: null, end: '7' }), part(1, range('7', null))];
  expect(keptTable({ ...facts, begun: begun(tampered, [0]) })).toBe('the column that it was cut by is gone');
});

test('parts as of several snapshots, or as of one that the stream has passed, do not stay', () => {
  const mixed = begun(pages, [0, 1]);
  const parts = mixed.parts.map((each, i) => (i === 0 ? { ...each, snapshotLsn: 4n } : each));
  expect(keptTable({ ...facts, begun: { ...mixed, parts } })).toBe('its parts are not as of one snapshot');
  expect(keptTable({ ...facts, begun: mixed, checkpoint: 6n })).toBe('its parts are not as of one snapshot');
});
