// What a mirror's plan must not be, whatever the servers are.
import { expect, test } from 'vitest';
import type { PeerFacts } from '../../../src/peers/checks.ts';
import type { MirrorPlan } from '../../../src/peers/preflight-finding.ts';
import { throwFirstError } from '../../../src/peers/preflight-finding.ts';
import { checkPlan } from '../../../src/peers/preflight-plan.ts';
import { checkSourceServer } from '../../../src/peers/preflight-source.ts';

const here = { server: '1/1', database: 'd' } as PeerFacts;
const there = { server: '2/2', database: 'd' } as PeerFacts;

function plan(pairs: readonly (readonly [string, string])[], more: Partial<MirrorPlan> = {}): MirrorPlan {
  const table = (name: string) => ({ schema: 'public', name });
  return {
    name: 'm',
    tables: pairs.map(([from, to]) => ({ from: table(from), to: table(to), key: null, exclude: [], where: null })),
    scope: { kind: 'tables' },
    publication: { name: 'p', made: true },
    slot: { name: 's', made: true },
    options: {} as MirrorPlan['options'],
    target: { metadataSchema: '_sluice' },
    ...more,
  };
}

function refusal(checked: MirrorPlan, target = there): unknown {
  try {
    throwFirstError(checkPlan(checked, here, target));
    return undefined;
  } catch (error) {
    return error;
  }
}

test('a plain plan is fine', () => {
  expect(refusal(plan([['a', 'a']]))).toBeUndefined();
});

test('a name over 63 bytes is refused, counted in bytes and not in letters', () => {
  const long = 'ä'.repeat(32);
  expect(refusal(plan([['a', long]]))).toMatchObject({
    sqlstate: '42622',
    message: expect.stringContaining('64 bytes'),
  });
  expect(refusal(plan([['a', 'ä'.repeat(31)]]))).toBeUndefined();
  const slot = { name: `peerflow_slot_${'m'.repeat(60)}`, made: true };
  expect(refusal(plan([['a', 'a']], { slot }))).toMatchObject({
    sqlstate: '42622',
    hint: expect.stringContaining('Give the mirror a shorter name'),
  });
});

test('a mirror whose slot would have a name that PostgreSQL refuses is refused before', () => {
  expect(refusal(plan([['a', 'a']], { slot: { name: 'Mirror', made: true } }))).toMatchObject({ sqlstate: '22023' });
});

test('a mirror onto itself is refused, and so is a circle of tables in one database', () => {
  expect(refusal(plan([['a', 'a']]), here)).toMatchObject({
    message: 'the mirror would go onto itself',
    sqlstate: '22023',
  });
  expect(
    refusal(
      plan([
        ['a', 'b'],
        ['b', 'c'],
      ]),
      here,
    ),
  ).toMatchObject({ detail: 'Both sides: public.b.' });
  expect(refusal(plan([['a', 'b']]), here)).toBeUndefined();
  expect(refusal(plan([['a', 'a']]), { ...here, database: 'other' })).toBeUndefined();
});

test('two mappings onto one target, or one source mapped twice, are refused by name', () => {
  const onto = plan([
    ['a', 'x'],
    ['b', 'x'],
  ]);
  expect(refusal(onto)).toMatchObject({ message: 'two mappings go onto one target table: public.x' });
  const twice = plan([
    ['a', 'x'],
    ['a', 'y'],
  ]);
  expect(refusal(twice)).toMatchObject({ message: 'a source table is mapped twice: public.a' });
});

test('a plan without tables is refused', () => {
  expect(refusal(plan([]))).toMatchObject({ sqlstate: '42P01' });
});

test('the first error is thrown; the others stand in its detail', () => {
  const both = plan(
    [
      ['a', 'x'],
      ['a', 'x'],
    ],
    {},
  );
  expect(refusal(both)).toMatchObject({
    message: 'two mappings go onto one target table: public.x',
    detail: 'Target tables: public.x.\nAlso: a source table is mapped twice: public.a. Source tables: public.a.',
  });
});

test('a server that has no slots at all says so, and the remedies name the role', () => {
  const none = { freeSlots: 0, maxSlots: 0, freeWalSenders: 0, maxWalSenders: 0, idleSlots: [] };
  const facts = { ...here, ...none, walLevel: 'logical', replicationRole: false, user: 'a"b' };
  const errors = checkSourceServer(plan([['a', 'a']]), facts, []).filter((each) => each.state === 'error');
  expect(errors.map((each) => each.message)).toEqual([
    'role a"b of the source may not replicate',
    'max_replication_slots of the source is 0',
    'max_wal_senders of the source is 0',
  ]);
  expect(errors[0]?.hint).toContain('ALTER ROLE "a""b" REPLICATION');
});
