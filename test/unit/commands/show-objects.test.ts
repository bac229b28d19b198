// What SHOW MIRROR says of the ledger.
import { expect, test } from 'vitest';
import { countsLine, objectLine } from '../../../src/commands/show-objects.ts';

const object = {
  ...{ kind: 'index', name: 'i', source_table: 's.t', state: 'making', number: '1', names: ['i of s.t'] },
  ...{ reason: null, sqlstate: null, doing: null, percent: null },
};

test('counts stand in the order of an object’s life', () => {
  const counts = { failed: '1', created: '1204', left_out: '2', waiting: '10' };
  const rows = Object.entries(counts).map(([state, number]) => ({ state, number }));
  expect(countsLine(rows)).toBe('10 waiting, 1,204 created, 2 left out, 1 failed');
});

test('an object tells how far it is, or why it is not there', () => {
  expect(objectLine(object)).toBe('being made');
  expect(objectLine({ ...object, doing: 'building index: scanning table', percent: 43 })).toBe(
    'being made: building index: scanning table, 43 %',
  );
  expect(objectLine({ ...object, state: 'failed', reason: 'no such function', sqlstate: '42883' })).toBe(
    'failed: no such function (SQLSTATE 42883)',
  );
  expect(objectLine({ ...object, state: 'waiting', reason: 'it would fire for mirrored rows' })).toBe(
    'waits for the change-over: it would fire for mirrored rows',
  );
  const several = { number: '1204', names: ['i of s.t', 'j of s.t'] };
  expect(objectLine({ ...object, ...several, state: 'left_out', reason: 'our role is no member of "a"' })).toBe(
    'left out: our role is no member of "a" (i of s.t, j of s.t and 1,202 more)',
  );
  expect(objectLine({ ...object, state: 'left_out', reason: 'its column a is excluded' })).toBe(
    'left out: its column a is excluded',
  );
});
