import { expect, test } from 'vitest';
import { keyEffects } from '../../../src/peers/key-effects.ts';
import { Random } from '../../support/random.ts';

const buffers = ['a', 'b', 'c'].map((text) => Buffer.from(text));

interface Known {
  readonly before: boolean;
  readonly key: readonly [Buffer, number];
  after: readonly [Buffer, number] | null;
  last: readonly [Buffer, number] | null;
}

test.each([1, 2, 3])('says what a map of objects says, whatever comes (seed %i)', (seed) => {
  const random = new Random(seed);
  const { at, near } = keys(random);
  for (let round = 0; round < 3; round++) {
    const found = keyEffects();
    const expected = new Map<string | number, Known>();
    const order: (string | number)[] = [];
    for (let n = 0; n < 6_000; n++) {
      const key = random.chance(0.5) ? at() : near();
      const place = [random.pick(buffers), random.int(0, 1_000_000)] as const;
      const entry = found.find(key);
      const known = expected.get(key);
      expect(entry).toBe(known === undefined ? -1 : order.indexOf(key));
      if (known === undefined) {
        const before = random.chance(0.5);
        expect(found.add(key, ...place, before)).toBe(order.length);
        expected.set(key, { before, key: place, after: place, last: null });
        order.push(key);
      } else if (random.chance(0.5)) {
        found.set(entry, ...place);
        Object.assign(known, { after: place, last: null });
      } else if (known.after !== null) {
        const keeps = random.chance(0.5);
        found.remove(entry, keeps);
        Object.assign(known, { after: null, last: keeps ? known.after : null });
      }
    }
    expect(found.size).toBe(order.length);
    for (const [entry, key] of order.entries()) {
      const {
        before,
        key: [buffer, row],
        after,
        last,
      } = expected.get(key)!;
      expect(found.wasThere(entry)).toBe(before);
      expect([found.bufferOfKey(entry), found.rowOfKey(entry)]).toEqual([buffer, row]);
      expect(found.bufferAfter(entry)).toBe(after?.[0] ?? null);
      if (after !== null) expect(found.rowAfter(entry)).toBe(after[1]);
      expect(found.bufferOfLast(entry)).toBe(last?.[0] ?? null);
      if (last !== null) expect(found.rowOfLast(entry)).toBe(last[1]);
    }
    // The next round may get the same one, which must know nothing of this.
    found.free();
    found.free();
  }
  const [one, another] = [keyEffects(), keyEffects()];
  expect(one).not.toBe(another);
});

// Of all kinds, many of them near each other.
function keys(random: Random) {
  const from = random.pick([0, -1_500, 2 ** 31 - 700, -(2 ** 31), 2 ** 52 - 1_000, -(2 ** 40)]);
  const near = () => from + random.int(0, 2_000);
  const at = () =>
    random.pick([
      random.int(0, 300) * 2 ** 32,
      `text ${random.int(0, 300)}`,
      String(random.int(0, 300)),
      -random.int(1, 300) * 65_536,
    ]);
  return { at, near };
}
