// What the runner does next in every situation that the catalog can describe.
import { expect, test } from 'vitest';
import { edges, mayMove, phases, type Trouble } from '../../../src/mirror/phase.ts';
import { isOfConnecting, type Look, situation, troubleOf } from '../../../src/runner/situation.ts';

const now = new Date('2024-05-01T12:00:00Z');
const look = (part: Partial<Look>): Look => ({
  phase: 'streaming',
  wanted: 'run',
  trouble: null,
  retryAsked: false,
  objectsAsked: false,
  ...part,
});
const trouble = (retryAt: Date | null): Trouble => ({
  ...{ kind: 'unreachable', sqlstate: '08001', message: 'away', detail: null, hint: null },
  retryAt,
  since: now,
});
const later = new Date(now.getTime() + 1000);
const earlier = new Date(now.getTime() - 1000);

test('every phase that is not the end has something to do, and each move is an edge', () => {
  for (const phase of phases) {
    for (const wanted of ['run', 'pause', 'drop'] as const) {
      const next = situation(look({ phase, wanted }), now);
      if (next.do === 'move') expect(mayMove(phase, next.to), `${phase} -> ${next.to}`).toBe(true);
      if (wanted === 'drop' && phase !== 'dropped') expect(next.do, phase).not.toBe('rest');
      if (wanted === 'run' && phase !== 'dropped' && phase !== 'completed') expect(next.do, phase).not.toBe('rest');
    }
  }
});

test('a pause rests wherever the mirror is, but does not hold up a drop', () => {
  for (const phase of ['new', 'preparing', 'snapshotting', 'finishing', 'catching_up', 'streaming'] as const) {
    expect(situation(look({ phase, wanted: 'pause' }), now)).toEqual({ do: 'rest', why: 'paused' });
  }
  expect(situation(look({ phase: 'dropping', wanted: 'pause' }), now)).toEqual({ do: 'step', step: 'drop' });
});

test('trouble that passes by itself is waited out, trouble for a person rests until RESUME asks', () => {
  expect(situation(look({ trouble: trouble(later) }), now)).toEqual({ do: 'wait', until: later });
  expect(situation(look({ trouble: trouble(earlier) }), now)).toEqual({ do: 'step', step: 'follow' });
  expect(situation(look({ trouble: trouble(null) }), now)).toEqual({ do: 'rest', why: 'waits_for_person' });
  for (const retryAt of [later, null]) {
    expect(situation(look({ trouble: trouble(retryAt), retryAsked: true }), now)).toEqual({
      do: 'step',
      step: 'follow',
    });
  }
});

test('a mirror in trouble can always be dropped', () => {
  for (const { from } of edges.filter((edge) => edge.to === 'dropping')) {
    const next = situation(look({ phase: from, wanted: 'drop', trouble: trouble(null) }), now);
    expect(next).toEqual({ do: 'move', to: 'dropping' });
  }
});

test('a failure that may pass is tried again after the wait, a wrong password only when a person says so', () => {
  const failure = { kind: 'unreachable', sqlstate: '08001', message: 'away', detail: undefined, hint: 'look' };
  const at = { now, waitMs: 1000, before: null };
  expect(troubleOf({ ...failure, retry: 'backoff' }, at)).toEqual({
    trouble: { ...failure, detail: null, retryAt: later, since: now },
    news: true,
  });
  const refused = { ...failure, kind: 'login_refused', sqlstate: '28P01', retry: 'person' } as const;
  expect(troubleOf(refused, at).trouble.retryAt).toBeNull();
});

test('the same failure again is no news, and keeps the time since when it lasts', () => {
  const failure = { kind: 'unreachable', sqlstate: '08001', message: 'away', detail: undefined, hint: undefined };
  const again = troubleOf({ ...failure, retry: 'backoff' }, { now: later, waitMs: 0, before: trouble(earlier) });
  expect(again).toMatchObject({ news: false, trouble: { since: now } });
  const other = troubleOf(
    { ...failure, message: 'other', retry: 'backoff' },
    { now: later, waitMs: 0, before: trouble(null) },
  );
  expect(other).toMatchObject({ news: true, trouble: { since: later } });
});

test('that a server could not be reached is over once there are sessions, what else there was need not be', () => {
  expect(isOfConnecting({ kind: 'unreachable', sqlstate: '08001' })).toBe(true);
  // It starts up.
  expect(isOfConnecting({ kind: 'upstream', sqlstate: '57P03' })).toBe(true);
  expect(isOfConnecting({ kind: 'connection_lost', sqlstate: '08006' })).toBe(false);
  expect(isOfConnecting(null)).toBe(false);
});

test('objects that RETRY asks for are a step of a completed mirror, and are made beside one that follows', () => {
  const asked = { objectsAsked: true } as const;
  expect(situation(look({ phase: 'completed' }), now)).toEqual({ do: 'rest', why: 'completed' });
  expect(situation(look({ phase: 'completed', ...asked }), now)).toEqual({ do: 'step', step: 'objects' });
  expect(situation(look({ phase: 'completed', wanted: 'drop', ...asked }), now)).toEqual({
    do: 'move',
    to: 'dropping',
  });
  expect(situation(look({ phase: 'completed', trouble: trouble(later), ...asked }), now)).toEqual({
    do: 'wait',
    until: later,
  });
  expect(situation(look(asked), now)).toEqual({ do: 'step', step: 'follow' });
});
