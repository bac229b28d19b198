// How long a copy will take, told while it runs: within a tenth of the truth after its first minute, whatever the tables are like.
import { describe, expect, test } from 'vitest';
import { CopyTally } from '../../../src/mirror/copy-tally.ts';
import { FinishTally } from '../../../src/mirror/finish-tally.ts';
import { type Simulated, type SimulatedTable, simulate, type World } from './simulated-copy.ts';

const GB = 1024 ** 3;
const MB = 1024 ** 2;

function table(name: string, gb: number, rowBytes: number, more: Partial<SimulatedTable> = {}): SimulatedTable {
  const rows = (gb * GB) / rowBytes;
  const bytes = gb * GB;
  const indexes = [{ bytes: bytes * 0.1 }, { bytes: bytes * 0.15 }];
  return { name, parts: Math.min(200, Math.ceil(rows / 250_000)), rows, bytes, indexes, ...more };
}

const even = Array.from({ length: 8 }, (_, n) => table(`even_${n}`, 10, 300));
const narrowAndWide = [table('usual', 60, 300), table('narrow', 20, 80), table('wide', 20, 1_000)];

/** By how much of the whole the told end was off, at worst; from a second on. */
function worst(simulated: Simulated, from = 60): number {
  const { total, moments } = simulated;
  const late = moments.filter(({ second }) => second >= from && second < total);
  expect(late.length).toBeGreaterThan(15);
  return Math.max(...late.map(({ second, left }) => Math.abs(second + (left ?? Number.NaN) - total) / total));
}

describe('the end that is told after the first minute is within a tenth of the whole time', () => {
  const worlds: Readonly<Record<string, World>> = {
    'tables that are alike': { tables: even },
    'one table larger than all others, and many of all sizes': {
      tables: [
        table('huge', 60, 300),
        ...Array.from({ length: 30 }, (_, n) => table(`t${n}`, 0.5 + n * 0.05, 60 + n * 40)),
      ],
    },
    'rows that cost little beside their bytes': { tables: narrowAndWide, perRow: 3e-7 },
    'rows that cost much beside their bytes': { tables: narrowAndWide, perRow: 1.2e-6 },
    'statistics that tell four times too many rows of one table and five times too few of another': {
      tables: [table('huge', 60, 300, { rowsTold: 4 }), table('narrow', 20, 150, { rowsTold: 0.2 })],
    },
    'a beginning at a fifth of the speed': {
      tables: [table('huge', 60, 300), table('narrow', 20, 80)],
      speed: (second) => (second < 30 ? 0.2 + second / 40 : 1),
    },
    'a speed that goes up and down by a tenth': { tables: even, speed: (second) => 1 + 0.1 * Math.sin(second / 20) },
    'two cores, on which four workers bring no more than two': { tables: even, cores: 2 },
    'two cores, a huge table and small ones': {
      tables: [
        table('huge', 60, 300),
        ...Array.from({ length: 30 }, (_, n) => table(`t${n}`, 0.5 + n * 0.05, 60 + n * 40)),
      ],
      cores: 2,
    },
    'cores for all workers, of which two begin': { tables: narrowAndWide, cores: 8, workers: 8, partsPerTable: 8 },
    'a throttle': { tables: [table('large', 3, 300), table('narrow', 1, 80)], throttle: 20 * MB },
    'a throttle, large parts and statistics that tell a third of the rows': {
      tables: [table('large', 3, 300, { rowsTold: 0.3, parts: 12 }), table('narrow', 1, 80)],
      throttle: 20 * MB,
    },
    'a large table that is one part': {
      tables: [table('huge', 60, 300, { parts: 1 }), ...Array.from({ length: 5 }, (_, n) => table(`t${n}`, 5, 100))],
    },
    'a large table and two thousand small ones': {
      tables: [
        table('huge', 30, 300),
        ...Array.from({ length: 2_000 }, (_, n) => ({
          ...{ name: `s${n}`, parts: 1, rows: 100, bytes: 8_192, indexes: [{ bytes: 16_384 }] },
        })),
      ],
    },
    'text, which is twice what lies on the disk': { tables: even.map((each) => ({ ...each, wire: 1.9 })) },
    'compressed values': {
      tables: [table('huge', 60, 3_000, { wire: 2.5, parts: 30 }), table('usual', 20, 150)],
    },
    'a GIN index': {
      tables: [table('huge', 40, 300, { indexes: [{ bytes: 2 * GB, method: 'gin' }, { bytes: 4 * GB }] })],
    },
    'one worker': { tables: narrowAndWide, workers: 1, partsPerTable: 1 },
    'one part of a table at a time': { tables: narrowAndWide, partsPerTable: 1 },
  };

  test.each(Object.entries(worlds))('with %s', (_, world) => {
    for (const seed of [1, 2]) expect(worst(simulate(world, seed)), `seed ${seed}`).toBeLessThan(0.1);
  });
});

test('rows and bytes of the whole are known within a tenth after the first minute, where statistics are right', () => {
  for (const world of [{ tables: even }, { tables: narrowAndWide }]) {
    const { moments, bytes, rows } = simulate(world);
    for (const moment of moments.filter(({ second }) => second >= 60)) {
      expect(Math.abs(moment.bytesTotal / bytes - 1)).toBeLessThan(0.1);
      expect(Math.abs(moment.rowsTotal / rows - 1)).toBeLessThan(0.1);
    }
  }
});

test('indexes that are built slower or faster than the load lets expect put the guess right as soon as some are built', () => {
  for (const build of [0.5, 2]) {
    const simulated = simulate({ tables: even, build });
    const loaded = simulated.moments.find(({ bytesTotal, second }) => second > 60 && bytesTotal > 0)!.second;
    const load = simulate({ tables: even.map((each) => ({ ...each, indexes: [] })) }).total;
    expect(loaded).toBeLessThan(load);
    expect(worst(simulated, load + (simulated.total - load) / 3)).toBeLessThan(0.1);
  }
});

test('a new limit counts at once', () => {
  const limits = { workers: 2, partsPerTable: 2, builders: 2 };
  const tally = new CopyTally({ ...limits, throttle: MB });
  tally.planned('t', [{ part: 0, rows: 1_000_000, bytes: 100 * MB }], 0);
  for (let second = 0; second <= 20; second++) {
    tally.part('t', 0, { state: 'copying', rows: second * 10_000, bytes: second * MB, at: second * 1_000 });
    tally.estimate(second * 1_000);
  }
  expect(tally.estimate(20_000)?.loadSecondsLeft).toBeCloseTo(80, -1);
  tally.limit({ ...limits, throttle: 4 * MB });
  expect(tally.estimate(20_000)?.loadSecondsLeft).toBeLessThan(85);
  for (let second = 21; second <= 25; second++) {
    const bytes = (20 + (second - 20) * 4) * MB;
    tally.part('t', 0, { state: 'copying', rows: bytes / 100, bytes, at: second * 1_000 });
    tally.estimate(second * 1_000);
  }
  const now = tally.estimate(25_000);
  expect(now?.bytesPerSecond).toBeGreaterThan(3.5 * MB);
  expect(now?.loadSecondsLeft).toBeCloseTo(15, -1);
});

test('a speed is told from the first second on, and is not nothing while the next lump of a throttled copy is awaited', () => {
  const limits = { workers: 1, partsPerTable: 1, builders: 1 };
  const tally = new CopyTally({ ...limits, throttle: MB });
  tally.planned('t', [{ part: 0, rows: 1_000_000, bytes: 100 * MB }], 0);
  tally.part('t', 0, { state: 'copying', rows: 0, bytes: 0, at: 0 });
  tally.part('t', 0, { state: 'copying', rows: 10_000, bytes: MB, at: 900 });
  expect(tally.estimate(1_000)?.bytesPerSecond).toBeCloseTo(MB, -3);
  for (let second = 2; second <= 20; second++) {
    tally.part('t', 0, { state: 'copying', rows: second * 10_000, bytes: second * MB, at: second * 1_000 });
    tally.estimate(second * 1_000);
  }
  tally.limit({ ...limits, throttle: MB / 2 });
  expect(tally.estimate(21_000)?.bytesPerSecond).toBeCloseTo(MB, -3);
  // Nothing for long is nothing.
  expect(tally.estimate(31_000)?.bytesPerSecond).toBe(0);
});

test('a table that begins anew is counted once', () => {
  const tally = new CopyTally({ workers: 1, partsPerTable: 1, builders: 1, throttle: null });
  const parts = [0, 1].map((part) => ({ part, rows: 100_000, bytes: 10 * MB }));
  tally.planned('t', parts, 0);
  tally.part('t', 0, { state: 'copying', rows: 0, bytes: 0, at: 0 });
  tally.part('t', 0, { state: 'copied', rows: 100_000, bytes: 9 * MB, at: 1_000 });
  expect(tally.estimate(1_000)).toMatchObject({ rows: 100_000, rowsTotal: 200_000, bytes: 9 * MB });
  tally.planned('t', parts, 2_000);
  tally.part('t', 0, { state: 'copying', rows: 0, bytes: 0, at: 2_000 });
  tally.part('t', 0, { state: 'copying', rows: 50_000, bytes: 4.5 * MB, at: 2_500 });
  const now = tally.estimate(2_500);
  expect(now).toMatchObject({ rows: 50_000, bytes: 4.5 * MB });
  expect(now?.parts.get('t')?.get(0)).toMatchObject({ rowsPerSecond: 100_000 });
  expect(now?.loadSecondsLeft).toBeCloseTo(1.5, 0);
});

test('small tables that are copied count with the whole, and so do those of them that begin anew', () => {
  const tally = new CopyTally({ workers: 1, partsPerTable: 1, builders: 1, throttle: null });
  const small = [{ part: 0, rows: 10, bytes: 8_192 }];
  for (const name of ['a', 'b', 'c']) tally.planned(name, small, 0);
  for (const name of ['a', 'b']) {
    tally.part(name, 0, { state: 'copying', rows: 0, bytes: 0, at: 0 });
    tally.part(name, 0, { state: 'copied', rows: 10, bytes: 700, at: 1_000 });
  }
  // What is told of a part that is copied already changes nothing.
  tally.part('a', 0, { state: 'copied', rows: 10, bytes: 700, at: 1_000 });
  expect(tally.estimate(1_000)).toMatchObject({ rows: 20, rowsTotal: 30, bytes: 1_400 });
  tally.planned('a', small, 2_000);
  expect(tally.estimate(2_000)).toMatchObject({ rows: 10, rowsTotal: 30, bytes: 700 });
  tally.part('a', 0, { state: 'copying', rows: 0, bytes: 0, at: 2_000 });
  tally.part('a', 0, { state: 'copied', rows: 12, bytes: 800, at: 3_000 });
  expect(tally.estimate(3_000)).toMatchObject({ rows: 22, rowsTotal: 32, bytes: 1_500, tables: new Map() });
});

test('tables that were copied before the copy went on are part of it: at the speed of now they would have taken as long', () => {
  const tally = new CopyTally({ workers: 1, partsPerTable: 1, builders: 1, throttle: null });
  const finished = [
    { table: 'a', rows: 300_000, bytes: 27 * MB },
    { table: 'b', rows: 100_000, bytes: 9 * MB },
  ];
  tally.before(finished, 0);
  expect(tally.begun).toBe(false);
  tally.planned(
    'c',
    [0, 1].map((part) => ({ part, rows: 100_000, bytes: 10 * MB })),
    0,
  );
  tally.part('c', 0, { state: 'copying', rows: 0, bytes: 0, at: 0 });
  tally.part('c', 0, { state: 'copied', rows: 100_000, bytes: 9 * MB, at: 2_000 });
  const now = tally.estimate(2_000);
  expect(now).toMatchObject({ rows: 500_000, rowsTotal: 600_000, bytes: 45 * MB, rowsPerSecond: 50_000 });
  expect(now?.secondsKept).toBeCloseTo(8, 0);
  // Told again, and of one that this copy has.
  tally.before([...finished, { table: 'c', rows: 1, bytes: 1 }], 2_000);
  expect(tally.estimate(2_000)).toMatchObject({ rows: 500_000, bytes: 45 * MB });
  // One of them begins anew after all.
  tally.planned('a', [{ part: 0, rows: 300_000, bytes: 30 * MB }], 2_000);
  const anew = tally.estimate(2_000);
  expect(anew).toMatchObject({ rows: 200_000, rowsTotal: 600_000, bytes: 18 * MB });
  expect(anew?.secondsKept).toBeCloseTo(2, 0);
});

test('parts that were copied before tell nothing of the speed, and count as done', () => {
  const tally = new CopyTally({ workers: 1, partsPerTable: 1, builders: 1, throttle: null });
  const parts = Array.from({ length: 10 }, (_, part) => ({ part, rows: 100_000, bytes: 10 * MB }));
  tally.planned('t', parts, 0);
  for (let part = 0; part < 8; part++) tally.part('t', part, { state: 'copied', rows: 100_000, bytes: 9 * MB, at: 0 });
  expect(tally.estimate(0)).toBeNull();
  tally.part('t', 8, { state: 'copying', rows: 0, bytes: 0, at: 0 });
  tally.part('t', 8, { state: 'copying', rows: 50_000, bytes: 4.5 * MB, at: 1_000 });
  const now = tally.estimate(1_000);
  expect(now).toMatchObject({ rows: 850_000, rowsTotal: 1_000_000 });
  expect(now?.loadSecondsLeft).toBeCloseTo(3, 0);
  expect(now?.secondsKept).toBeCloseTo(16, 0);
});

test('the filling of materialised views and ANALYZE are reckoned, and are over when they are', () => {
  const left = (tally: FinishTally, at = 0) => tally.left(at, { builders: 2, loadCost: null }).seconds;
  const view = {
    kind: 'materialized rows',
    schema: 's',
    name: 'v',
    table: '',
    method: null,
    bytes: 100 * MB,
    tableBytes: 0,
  } as const;
  const line = {
    kind: 'materialized rows',
    schema: 's',
    name: 'v',
    table: '',
    stage: 'filling',
    bytes: 100 * MB,
  } as const;
  const index = { ...view, kind: 'index', name: 'i', table: 's.t' } as const;
  const tally = new FinishTally();
  tally.later([index, view]);
  const without = left(tally);
  tally.analyzed([GB, MB, MB]);
  const whole = left(tally);
  expect(whole).toBeGreaterThan(without);
  const indexLine = { ...line, kind: 'index', name: 'i', table: 's.t', stage: 'indexes' } as const;
  tally.objects([{ ...indexLine, state: 'making' }], 0);
  tally.objects([{ ...indexLine, state: 'created' }], 2_000);
  const before = left(tally, 2_000);
  // While nothing else is made, the tables are analyzed.
  expect(left(tally, 2_200)).toBeLessThan(before);
  tally.objects([{ ...line, state: 'making' }], 3_000);
  const filling = left(tally, 3_000);
  expect(filling).toBeGreaterThan(1);
  expect(left(tally, 4_000)).toBeLessThan(filling);
  tally.objects([{ ...line, state: 'created' }], 5_000);
  expect(tally.left(5_000, { builders: 2, loadCost: null })).toEqual({ seconds: 0, made: 2, total: 2 });
});

test('objects that the ledger has and the source did not tell of count as well, and those that failed are over', () => {
  const tally = new FinishTally();
  const line = { kind: 'index', schema: 's', name: 'i', table: 's.t', stage: 'indexes', bytes: 100 * MB } as const;
  const later = { ...line, name: 'k', state: 'waiting', reason: 'it fires twice while changes follow' } as const;
  tally.objects([{ ...line, state: 'waiting' }, { ...line, name: 'j', state: 'failed' }, later], 0);
  const before = tally.left(0, { builders: 1, loadCost: null });
  expect(before).toMatchObject({ made: 2, total: 3 });
  expect(before.seconds).toBeGreaterThan(0);
  tally.objects([{ ...line, state: 'making' }], 0);
  tally.objects([{ ...line, state: 'making', doing: 'building index: scanning table', percent: 50 }], 4_000);
  const making = tally.left(4_000, { builders: 1, loadCost: null }).seconds;
  expect(making).toBeGreaterThan(before.seconds);
  expect(making).toBeLessThan(14);
  tally.objects([{ ...line, state: 'created' }], 9_000);
  expect(tally.left(9_000, { builders: 1, loadCost: null })).toEqual({ seconds: 0, made: 3, total: 3 });
});
