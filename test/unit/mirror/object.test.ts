// Keys of objects: what they have been since the first ledgers, for every name.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { objectKey } from '../../../src/mirror/object.ts';

test('a key is the JSON of its four words, whatever is in them', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^[a-z"\\\n,[\]]*$/),
    fc.constantFrom('\ud800', '\udc00x', '\u2028', '\u007f', '', '","'),
  );
  fc.assert(
    fc.property(hostile, hostile, hostile, (schema, name, table) => {
      expect(objectKey({ kind: 'index', schema, name, table })).toBe(JSON.stringify(['index', schema, name, table]));
    }),
    { numRuns: 500 },
  );
});
