// How far what is fetched runs ahead of what is taken.
import { describe, expect, test } from 'vitest';
import { oneAhead } from '../../../src/base/ahead.ts';

async function* numbers(log: string[], count: number, fails = Number.NaN): AsyncGenerator<number> {
  try {
    for (let i = 1; i <= count; i++) {
      if (i === fails) throw new Error(`no ${i}`);
      log.push(`ask ${i}`);
      yield i;
    }
  } finally {
    log.push('end');
  }
}

const turns = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

describe('one ahead', () => {
  test('gives all in order, and asks for the next while one is looked at, never for more', async () => {
    const log: string[] = [];
    for await (const each of oneAhead(numbers(log, 3))) {
      await turns();
      log.push(`take ${each}`);
    }
    expect(log).toEqual(['ask 1', 'ask 2', 'take 1', 'ask 3', 'take 2', 'end', 'take 3']);
  });

  test('asks for the first at once', async () => {
    const log: string[] = [];
    const items = oneAhead(numbers(log, 2));
    await turns();
    expect(log).toEqual(['ask 1']);
    for await (const each of items) log.push(`take ${each}`);
    expect(log.filter((line) => line.startsWith('take'))).toEqual(['take 1', 'take 2']);
  });

  test('fails where the failed one is waited for, after those before it', async () => {
    const log: string[] = [];
    const taken: number[] = [];
    const all = async () => {
      for await (const each of oneAhead(numbers(log, 3, 2))) {
        await turns();
        taken.push(each);
      }
    };
    await expect(all()).rejects.toThrow('no 2');
    expect(taken).toEqual([1]);
  });

  test('lets go of its items when it is left, once what is under way has come', async () => {
    const log: string[] = [];
    for await (const _ of oneAhead(numbers(log, 5))) break;
    expect(log).toEqual(['ask 1', 'ask 2', 'end']);
  });

  test('of which nobody takes one, a failure is nobody’s', async () => {
    oneAhead(numbers([], 3, 1));
    await turns();
  });
});
