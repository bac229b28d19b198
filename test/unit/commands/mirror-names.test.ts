// Names of slots and publications: what PostgreSQL takes, and never one name for two mirrors.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkMirrorName, publicationName, slotName } from '../../../src/commands/mirror-names.ts';

test('a plain name is kept as PeerDB would', () => {
  expect([slotName('shop_1'), publicationName('shop_1')]).toEqual(['peerflow_slot_shop_1', 'peerflow_pub_shop_1']);
});

test('a name that a slot may not have is spelled otherwise, with a hash', () => {
  expect(slotName('Shop-Ä')).toMatch(/^peerflow_slot_shop___[0-9a-f]{8}$/);
  expect(publicationName('Shop-Ä')).toBe('peerflow_pub_Shop-Ä');
});

test('whatever the name, PostgreSQL takes what is made of it, and two mirrors never share it', () => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 63 });
  fc.assert(
    fc.property(name, name, (one, two) => {
      expect(slotName(one)).toMatch(/^[a-z0-9_]{1,63}$/);
      expect(Buffer.byteLength(publicationName(one))).toBeLessThanOrEqual(63);
      if (one === two) return;
      expect(slotName(one)).not.toBe(slotName(two));
      expect(publicationName(one)).not.toBe(publicationName(two));
    }),
  );
});

test('a name of more than 63 bytes is refused with its length', () => {
  expect(() => checkMirrorName('m'.repeat(63))).not.toThrow();
  expect(() => checkMirrorName('ä'.repeat(32))).toThrow(expect.objectContaining({ sqlstate: '42622' }));
});
