// Sealing: only the right key opens, only in the right place, and no two sealed values look alike.
import { expect, test } from 'vitest';
import { Seal } from '../../../src/catalog/seal.ts';

const seal = new Seal('a key of some length');

test('what is sealed opens with the same key in the same place', () => {
  expect(new Seal('a key of some length').open(seal.seal('pässword 🔑', 'peer a'), 'peer a')).toBe('pässword 🔑');
});

test('another key, another place or a changed byte does not open it, and the message says which key is meant', () => {
  const sealed = seal.seal('secret', 'peer a');
  expect(() => new Seal('another key, as long').open(sealed, 'peer a')).toThrow('SLUICE_SECRET_KEY');
  expect(() => seal.open(sealed, 'peer b')).toThrow('SLUICE_SECRET_KEY');
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(() => seal.open(changed, 'peer a')).toThrow('SLUICE_SECRET_KEY');
  }
  for (let length = 0; length < sealed.length; length++) {
    expect(() => seal.open(sealed.subarray(0, length), 'peer a')).toThrow('SLUICE_SECRET_KEY');
  }
});

test('the same secret sealed twice looks different, and shows nothing of itself', () => {
  const [one, two] = [seal.seal('secret', 'peer a'), seal.seal('secret', 'peer a')];
  expect(one.equals(two)).toBe(false);
  expect(one.toString('latin1')).not.toContain('secret');
});
