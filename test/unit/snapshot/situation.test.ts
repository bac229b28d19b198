// Where a copy stands when its step begins, for each thing that may be there.
import { expect, test } from 'vitest';
import { snapshotSituation } from '../../../src/snapshot/situation.ts';

const finished = (...tables: string[]) =>
  new Map(tables.map((table) => [table, { table, snapshotLsn: 5n, finished: true }]));
const begun = (...tables: string[]) =>
  new Map(tables.map((table) => [table, { table, snapshotLsn: 5n, finished: false }]));
const base = { tables: ['a', 'b'], follows: true, checkpoint: null, slotThere: false, copied: new Map() };
const at = { checkpoint: 7n, slotThere: true };

test('nothing is there: it begins; a slot without a checkpoint is a dead try’s', () => {
  expect(snapshotSituation(base)).toEqual({ kind: 'begin', dropSlot: false });
  expect(snapshotSituation({ ...base, slotThere: true, copied: begun('a', 'b') })).toEqual({
    kind: 'begin',
    dropSlot: true,
  });
});

test('what is not finished is read again under a new snapshot', () => {
  const copied = new Map([...finished('a'), ...begun('b')]);
  expect(snapshotSituation({ ...base, ...at, copied })).toEqual({ kind: 'again', tables: ['b'], checkpoint: 7n });
  expect(snapshotSituation({ ...base, ...at })).toEqual({ kind: 'again', tables: ['a', 'b'], checkpoint: 7n });
});

test('everything is finished', () => {
  expect(snapshotSituation({ ...base, ...at, copied: finished('a', 'b') })).toEqual({ kind: 'done' });
  expect(snapshotSituation({ ...base, follows: false, copied: finished('a', 'b') })).toEqual({ kind: 'done' });
});

test('a slot that is gone after the copy began cannot be made up for', () => {
  expect(snapshotSituation({ ...base, checkpoint: 7n, copied: finished('a') })).toEqual({ kind: 'slot_lost' });
});

test('copy only: one point in time means all tables again', () => {
  expect(snapshotSituation({ ...base, follows: false })).toEqual({ kind: 'begin', dropSlot: false });
  expect(snapshotSituation({ ...base, follows: false, copied: finished('a') })).toEqual({ kind: 'all_again' });
});
