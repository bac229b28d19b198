// A key that was derived once is not derived again, and none is given to another password.
import { expect, test } from 'vitest';
import { rememberingKeys } from '../../../src/pg/scram.ts';

function counted() {
  const asked: string[] = [];
  const derive = rememberingKeys(async (password, salt, iterations) => {
    asked.push(`${password} ${Buffer.from(salt).toString('hex')} ${iterations}`);
    if (password === 'refused') throw new Error('no key');
    return new TextEncoder().encode(asked.at(-1)).buffer as ArrayBuffer;
  });
  return { asked, derive };
}

const salt = Buffer.from('0102', 'hex');

test('the same password, salt and iterations cost once, also while the first is under way', async () => {
  const { asked, derive } = counted();
  const [first, second] = await Promise.all([derive('secret', salt, 4096), derive('secret', Buffer.from(salt), 4096)]);
  expect(second).toBe(first);
  expect(await derive('secret', salt, 4096)).toBe(first);
  expect(asked).toHaveLength(1);
});

test('another password, salt or number of iterations has a key of its own', async () => {
  const { asked, derive } = counted();
  const keys = await Promise.all([
    derive('secret', salt, 4096),
    derive('secre', Buffer.from('t'), 4096),
    derive('Secret', salt, 4096),
    derive('secret', Buffer.from('0103', 'hex'), 4096),
    derive('secret', salt, 4097),
  ]);
  expect(new Set(keys).size).toBe(5);
  expect(asked).toHaveLength(5);
});

test('a failure is not remembered', async () => {
  const { asked, derive } = counted();
  await expect(derive('refused', salt, 4096)).rejects.toThrow('no key');
  await expect(derive('refused', salt, 4096)).rejects.toThrow('no key');
  expect(asked).toHaveLength(2);
});

test('the least lately used of many is forgotten', async () => {
  const { asked, derive } = counted();
  for (let n = 0; n < 256; n++) await derive(`p${n}`, salt, 1);
  await derive('p0', salt, 1);
  await derive('one more', salt, 1);
  await derive('p0', salt, 1);
  expect(asked).toHaveLength(257);
  await derive('p1', salt, 1);
  expect(asked).toHaveLength(258);
});
