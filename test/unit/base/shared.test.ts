// Equal values are held once.
import { describe, expect, it } from 'vitest';
import { Shared } from '../../../src/base/shared.ts';

describe('Shared', () => {
  it('gives the first of equal values, and other values for themselves', () => {
    const shared = new Shared();
    const first = shared.of({ name: 'id', options: ['a'] });
    expect(shared.of({ name: 'id', options: ['a'] })).toBe(first);
    expect(shared.of({ name: 'id', options: ['b'] })).not.toBe(first);
    expect(shared.of([1, 2])).toBe(shared.of([1, 2]));
    expect(shared.of(null)).toBeNull();
  });

  it('has one empty list', () => {
    expect(new Shared().of([])).toBe(new Shared().of([]));
  });

  it('makes a value once for each key', () => {
    const shared = new Shared();
    let made = 0;
    const make = () => ({ number: ++made });
    expect(shared.make('a', make)).toBe(shared.make('a', make));
    expect(shared.make('b', make)).toEqual({ number: 2 });
  });
});
