// What was seen of a table next to a place of the stream.
import { expect, test } from 'vitest';
import { Sightings } from '../../../src/cdc/sightings.ts';

const column = (attnum: number, name: string, mark = '1') => ({
  ...{ attnum, name, mark },
  ...{ type: 'integer', generated: false, notNull: false, missing: null },
});
const seen = (names: readonly string[], at: { lsn: bigint; snapshot: string; mark?: string }) => {
  const columns = names.map((name, i) => column(i + 1, name, at.mark));
  return { columns, own: columns.map(({ attnum, name, type }) => ({ attnum, name, type })), ...at };
};
const names = (around: ReturnType<Sightings['around']>) =>
  around === null
    ? null
    : [around.before, around.after].map((each) => each?.columns.map(({ name }) => name).join() ?? null);

test('a transaction lies between what was seen before it and what shows it', () => {
  const sightings = new Sightings();
  sightings.saw(7, seen(['a'], { lsn: 100n, snapshot: '10:10:' }));
  sightings.saw(7, seen(['b'], { lsn: 200n, snapshot: '20:20:' }));
  sightings.saw(7, seen(['c'], { lsn: 300n, snapshot: '30:30:' }));
  const at = (xid: number, place: bigint, known?: bigint) => names(sightings.around(7, { xid, place, known }));
  expect(at(9, 90n)).toEqual([null, 'a']);
  expect(at(15, 150n)).toEqual(['a', 'b']);
  expect(at(25, 250n)).toEqual(['b', 'c']);
  expect(at(35, 350n)).toBeNull();
  expect(names(sightings.around(8, { xid: 15, place: 150n, known: undefined }))).toBeNull();
});

test('what the target knows of a later place tells more than what was seen before that', () => {
  const sightings = new Sightings();
  sightings.saw(7, seen(['a'], { lsn: 100n, snapshot: '10:10:' }));
  sightings.saw(7, seen(['b'], { lsn: 200n, snapshot: '20:20:' }));
  expect(names(sightings.around(7, { xid: 15, place: 150n, known: 120n }))).toEqual([null, 'b']);
  expect(names(sightings.around(7, { xid: 15, place: 150n, known: 90n }))).toEqual(['a', 'b']);
});

test('between two looks that show the same nothing was changed', () => {
  const sightings = new Sightings();
  sightings.saw(7, seen(['a'], { lsn: 100n, snapshot: '10:10:' }));
  sightings.saw(7, seen(['a'], { lsn: 200n, snapshot: '20:20:' }));
  const around = sightings.around(7, { xid: 15, place: 150n, known: 120n });
  expect(around?.before).toBe(around?.after);
});

test('a name that went and came back leaves its mark, and a transaction that had not ended is not shown', () => {
  const sightings = new Sightings();
  sightings.saw(7, seen(['a'], { lsn: 100n, snapshot: '10:10:' }));
  sightings.saw(7, seen(['a'], { lsn: 200n, snapshot: '14:20:14,15', mark: '16' }));
  const between = sightings.around(7, { xid: 17, place: 150n, known: undefined });
  expect(between?.before).not.toBe(between?.after);
  expect(sightings.around(7, { xid: 15, place: 250n, known: undefined })).toBeNull();
});
