// Which column is which, when the stream says names in the order of numbers.
import { expect, test } from 'vitest';
import { align, type Candidate } from '../../../src/cdc/align.ts';

const int = 'integer';
const there = (attnum: number, ...names: string[]): Candidate => ({ attnum, names, types: [int], when: 'there' });
const gone = (attnum: number, ...names: string[]): Candidate => ({
  attnum,
  names,
  types: names.length > 0 ? [int] : [],
  when: 'gone',
});
const fresh = (attnum: number, name: string, type = int): Candidate => ({
  attnum,
  names: [name],
  types: [type],
  when: 'new',
});
const silent = (attnum: number, name: string): Candidate => ({ attnum, names: [name], types: [int], when: 'silent' });

function numbers(columns: readonly string[], candidates: readonly Candidate[], rewritten = false) {
  const found = align(
    columns.map((name) => ({ name, type: int })),
    candidates,
    { rewritten },
  );
  return typeof found === 'string' ? found : found.map(({ attnum }) => attnum);
}

test('columns that were there before and are there now are told by their order, whatever they are called', () => {
  const swapped = [there(1, 'id'), there(2, 'a', 'b'), there(3, 'b', 'a')];
  expect(numbers(['id', 'a', 'b'], swapped)).toEqual([1, 2, 3]);
  expect(numbers(['id', 'z', 'b'], swapped)).toEqual([1, 2, 3]);
  expect(numbers(['id', 'b', 'a'], swapped)).toEqual([1, 2, 3]);
});

test('a column that is new is not there before, and is there after all that are older', () => {
  const added = [there(1, 'id'), fresh(2, 'a'), fresh(3, 'b')];
  expect(numbers(['id'], added)).toEqual([1]);
  expect(numbers(['id', 'other name then'], added)).toEqual([1, 2]);
  expect(numbers(['id', 'a', 'b'], added)).toEqual([1, 2, 3]);
  expect(numbers(['id', 'a', 'b', 'c'], added)).toBe('unknown');
});

test('a column that is gone by now is found where the order leaves no choice', () => {
  const dropped = [there(1, 'id'), gone(2, 'a'), there(3, 'b')];
  expect(numbers(['id', 'a', 'b'], dropped)).toEqual([1, 2, 3]);
  expect(numbers(['id', 'b'], dropped)).toEqual([1, 3]);
  expect(numbers(['id', 'any name', 'another'], dropped)).toEqual([1, 2, 3]);
});

test('a column that was dropped and made again under its name could be either, unless its type is another and no row was written anew', () => {
  const again = [there(1, 'id'), gone(2, 'a'), fresh(3, 'a')];
  expect(numbers(['id', 'a'], again)).toBe('two ways');
  expect(numbers(['id'], again)).toEqual([1]);
  const otherType = [there(1, 'id'), gone(2, 'a'), fresh(3, 'a', 'text')];
  expect(numbers(['id', 'a'], otherType)).toEqual([1, 2]);
  expect(numbers(['id', 'a'], otherType, true)).toBe('two ways');
});

test('a column that is gone may have got any name before it went, and a new one have had any before it got its own', () => {
  const replaced = [there(1, 'id'), gone(2, 'a'), fresh(3, 'b')];
  for (const name of ['a', 'b', 'c']) expect(numbers(['id', name], replaced)).toBe('two ways');
  expect(numbers(['id', 'c', 'd'], replaced)).toEqual([1, 2, 3]);
});

test('names decide where other answers would take several changes that left no trace', () => {
  const between = [there(1, 'id'), gone(2, 'a'), there(3, 'b'), gone(4, 'c')];
  expect(numbers(['id', 'a', 'b'], between)).toEqual([1, 2, 3]);
  expect(numbers(['id', 'b', 'c'], between)).toEqual([1, 3, 4]);
  expect(numbers(['id', 'x', 'y'], between)).toBe('two ways');
});

test('the more changes the best answer takes, the less is it sure', () => {
  const found = (candidates: readonly Candidate[]) =>
    align(
      [
        { name: 'id', type: int },
        { name: 'c1', type: int },
        { name: 'c15', type: int },
        { name: 'c16', type: 'double precision' },
      ],
      candidates,
      { rewritten: true },
    );
  const turmoil = [
    there(1, 'id'),
    gone(2, 'c1'),
    { ...gone(3, 'c2'), types: ['text'] },
    fresh(4, 'c48'),
    fresh(5, 'c37', 'double precision'),
    fresh(6, 'c16'),
  ];
  expect(found(turmoil)).toBe('two ways');
});

test('a column of which only the number is left may be any that is said', () => {
  const came = [there(1, 'id'), gone(2), fresh(3, 'b')];
  expect(numbers(['id', 'b'], came)).toBe('two ways');
  expect(numbers(['id', 'a'], came)).toBe('two ways');
  expect(numbers(['id', 'a', 'b'], came)).toEqual([1, 2, 3]);
});

test('a column that the stream may leave out may be missing anywhere', () => {
  const computed = [there(1, 'id'), silent(2, 'g'), there(3, 'b')];
  expect(numbers(['id', 'b'], computed)).toEqual([1, 3]);
  expect(numbers(['id', 'g', 'b'], computed)).toEqual([1, 2, 3]);
});
