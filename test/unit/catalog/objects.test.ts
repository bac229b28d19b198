// What a line of the ledger says after an earlier one.
import { expect, test } from 'vitest';
import { afterLine, type TimedLine } from '../../../src/catalog/objects.ts';
import type { ObjectState } from '../../../src/mirror/object.ts';

const at = (seconds: number) => new Date(Date.UTC(2024, 0, 1, 0, 0, seconds));
const line = (state: ObjectState, seconds: number, more: Partial<TimedLine> = {}): TimedLine => ({
  ...{ kind: 'index', schema: 's', name: 'i', table: 's.t', stage: 'indexes', state, at: at(seconds) },
  ...more,
});

test('an object that is made tells when it was begun and when it was there', () => {
  let now = afterLine(undefined, line('waiting', 1, { statement: 'create', bytes: 5 }));
  expect(now).toMatchObject({ startedAt: undefined, finishedAt: undefined });
  now = afterLine(now, line('making', 2));
  now = afterLine(now, line('making', 3, { doing: 'sorting', percent: 7 }));
  expect(now).toMatchObject({ startedAt: at(2), doing: 'sorting', statement: 'create', bytes: 5 });
  now = afterLine(now, line('created', 4));
  expect(now).toMatchObject({ state: 'created', startedAt: at(2), finishedAt: at(4) });
  expect(now.doing).toBeUndefined();
});

test('what we made and a later look finds stays ours; what somebody made after it had failed is theirs', () => {
  const created = afterLine(undefined, line('created', 1));
  expect(afterLine(created, line('existed', 9))).toMatchObject({ state: 'created', finishedAt: at(1) });
  expect(afterLine(line('making', 1), line('existed', 9)).state).toBe('created');
  expect(afterLine(line('failed', 1), line('existed', 9)).state).toBe('existed');
  expect(afterLine(undefined, line('existed', 9)).state).toBe('existed');
});
