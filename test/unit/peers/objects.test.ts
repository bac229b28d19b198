// Where objects go under a mapping, and how a definition gets what the server leaves out of it.
import { expect, test } from 'vitest';
import { withStorage } from '../../../src/peers/ddl.ts';
import { indexNames } from '../../../src/peers/objects-input.ts';
import type { IndexFacts } from '../../../src/peers/objects-read.ts';
import type { Table } from '../../../src/pg/table.ts';
import { aTable } from '../snapshot/tables.ts';

function anIndex(table: Table, name: string, oid: number): IndexFacts {
  return {
    ...{
      oid,
      table: table.oid,
      schema: table.schema,
      name,
      kind: 'i',
      unique: false,
      nullsNotDistinct: false,
      valid: true,
    },
    ...{ clustered: false, identity: false, using: 'btree (a)', options: [], constraint: null, parent: null },
    ...{ columns: [1], statistics: [], bytes: 0, comment: null, tablespace: null },
  };
}

function member(source: Table, schema: string, name: string) {
  const to = { schema, name };
  const mapping = { from: source, to, key: null, exclude: [], where: null };
  return { source, to, tree: { mapping, root: source, partitions: [] } };
}

test('an index keeps its name unless two meet in one schema; a table that stays keeps those of its indexes', () => {
  const [one, two, three] = [
    aTable({ schema: 'a', name: 't' }),
    aTable({ schema: 'b', name: 't' }),
    aTable({ schema: 'c' }),
  ];
  const long = 'é'.repeat(31);
  const names = indexNames(
    [member(one, 'c', 't1'), member(two, 'c', 't2'), member(three, 'c', 'from')],
    [
      anIndex(one, 'i', 1),
      anIndex(one, long, 2),
      anIndex(two, 'i', 3),
      anIndex(two, long, 4),
      anIndex(three, 'i', 5),
      anIndex(two, 't1', 6),
    ],
  );
  expect([...names].toSorted(([a], [b]) => a - b).map(([, name]) => name.name)).toEqual([
    'i_1',
    long,
    'i_2',
    `${'é'.repeat(29)}_1`,
    'i',
    't1_1',
  ]);
  expect([...names.values()].every((name) => name.schema === 'c' && Buffer.byteLength(name.name) <= 63)).toBe(true);
});

test('storage parameters stand in a constraint before what it says of deferring', () => {
  const options = ['fillfactor=70', 'deduplicate_items=off'];
  const clause = `with ("fillfactor" = '70', "deduplicate_items" = 'off')`;
  expect(withStorage('UNIQUE (a)', options).text).toBe(`UNIQUE (a) ${clause}`);
  expect(withStorage('UNIQUE (a) INCLUDE (b) DEFERRABLE', options).text).toBe(
    `UNIQUE (a) INCLUDE (b) ${clause} DEFERRABLE`,
  );
  expect(withStorage('PRIMARY KEY (a) DEFERRABLE INITIALLY DEFERRED', options).text).toBe(
    `PRIMARY KEY (a) ${clause} DEFERRABLE INITIALLY DEFERRED`,
  );
  expect(withStorage('UNIQUE (" DEFERRABLE")', []).text).toBe('UNIQUE (" DEFERRABLE")');
});
