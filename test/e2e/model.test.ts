// A model by chance: tables of every kind, changes of every kind, several writers; whatever strikes the mirror, the target is always one state of the source.
import { expect, test } from 'vitest';
import { type ModelResult, runModel } from '../model/run.ts';

// `SLUICE_MODEL_SEEDS=7` or `100-140`, `SLUICE_MODEL_SECONDS`: how long each of them writes, `SLUICE_MODEL_COLUMNS=0`: no column changes,
// `SLUICE_MODEL_SAID=1`: tells what befalls the mirror, and of a failure all that was said to either side.
const [first = 1, last = first] = (process.env.SLUICE_MODEL_SEEDS ?? '1-2').split('-').map(Number);
const seconds = Number(process.env.SLUICE_MODEL_SECONDS ?? 6);
const runs = Array.from({ length: last - first + 1 }, (_, i) => first + i).map((seed) => ({
  seed,
  from: seed % 2 === 1 ? (14 as const) : (18 as const),
}));

test.each(runs)(
  'whatever is written and whatever strikes, the target is a state of the source at every moment (seed $seed, from PostgreSQL $from)',
  async ({ seed, from }) => {
    const result: ModelResult = await runModel({ seed, from, seconds });
    console.table([result]);
    expect(result.transactions).toBeGreaterThan(50);
  },
  240_000 + seconds * 4000,
);
