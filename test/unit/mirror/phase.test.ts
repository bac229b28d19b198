// The lifecycle: one list of edges in which every phase is reached and every phase but the last has a way out.
import { expect, test } from 'vitest';
import { edges, finalPhases, mayMove, phases, statusWord, type Trouble } from '../../../src/mirror/phase.ts';

test('every phase can be reached from new', () => {
  const reached = new Set(['new']);
  for (let size = 0; size < reached.size; ) {
    size = reached.size;
    for (const { from, to } of edges) if (reached.has(from)) reached.add(to);
  }
  expect([...reached].sort()).toEqual([...phases].sort());
});

test('every phase that is not final has a way out, and a final one has none', () => {
  for (const phase of phases) expect(edges.some((edge) => edge.from === phase)).toBe(!finalPhases.has(phase));
});

test('every phase but the end leads to dropped', () => {
  for (const phase of phases) {
    if (phase === 'dropped') continue;
    expect(phase === 'dropping' || mayMove(phase, 'dropping')).toBe(true);
  }
  expect(mayMove('dropping', 'dropped')).toBe(true);
});

test('no edge stands twice, and none is taken back', () => {
  const seen = edges.map(({ from, to }) => `${from} -> ${to}`);
  expect(new Set(seen).size).toBe(seen.length);
  for (const { from, to } of edges) expect(mayMove(to, from), `${to} -> ${from}`).toBe(false);
});

const trouble = (retryAt: Date | null): Trouble => ({
  ...{ kind: 'upstream', sqlstate: '42501', message: 'no', detail: null, hint: null, since: new Date(0) },
  retryAt,
});

test.each([
  ['setup', { phase: 'preparing', wanted: 'run', working: true, trouble: null }],
  ['snapshot', { phase: 'snapshotting', wanted: 'run', working: true, trouble: null }],
  ['snapshot', { phase: 'catching_up', wanted: 'run', working: true, trouble: null }],
  ['running', { phase: 'streaming', wanted: 'run', working: true, trouble: null }],
  ['running', { phase: 'streaming', wanted: 'run', working: true, trouble: trouble(new Date(0)) }],
  ['failed', { phase: 'streaming', wanted: 'run', working: false, trouble: trouble(null) }],
  ['pausing', { phase: 'streaming', wanted: 'pause', working: true, trouble: null }],
  ['paused', { phase: 'snapshotting', wanted: 'pause', working: false, trouble: trouble(null) }],
  ['completed', { phase: 'completed', wanted: 'pause', working: false, trouble: null }],
  ['terminating', { phase: 'streaming', wanted: 'drop', working: true, trouble: null }],
  ['terminated', { phase: 'dropped', wanted: 'drop', working: false, trouble: null }],
] as const)('people read "%s"', (word, mirror) => {
  expect(statusWord(mirror)).toBe(word);
});
