// A scope: the first to fail stops its siblings, cleanups run in reverse, nothing floats.
import { expect, test } from 'vitest';
import { pause } from '../../../src/base/retry.ts';
import { Scope } from '../../../src/base/scope.ts';

test('the first task that fails stops its siblings, and join throws its error', async () => {
  const ended: string[] = [];
  await using scope = new Scope();
  scope.run(async (signal) => {
    await pause(60_000, signal).catch(() => ended.push('sibling'));
  });
  scope.run(async () => {
    throw new Error('first');
  });
  await expect(scope.join()).rejects.toThrow('first');
  expect(ended).toEqual(['sibling']);
});

test('cleanups run in reverse, all of them, also when one throws', async () => {
  const order: number[] = [];
  const scope = new Scope();
  scope.defer(() => order.push(1));
  scope.defer(() => {
    throw new Error('broken cleanup');
  });
  scope.defer(() => order.push(3));
  await expect(scope[Symbol.asyncDispose]()).rejects.toThrow('broken cleanup');
  expect(order).toEqual([3, 1]);
});

test('a parent that is stopped stops the scope', async () => {
  const parent = new AbortController();
  await using scope = new Scope(parent.signal);
  parent.abort();
  expect(scope.signal.aborted).toBe(true);
  await using late = new Scope(parent.signal);
  expect(late.signal.aborted).toBe(true);
});
