// Chance changes the schema in every way between rows, in transactions that end or are taken back, while the mirror is struck: at quiet both sides are equal.
import { expect, test } from 'vitest';
import type { SluiceError } from '../../src/base/errors.ts';
import { sql } from '../../src/pg/sql.ts';
import { everything, quiet, quieted } from '../support/ddl-full.ts';
import { DdlWriter, mirroredTables, writtenTables } from '../support/ddl-writer.ts';
import { type Following, following, type Running } from '../support/following.ts';
import { Random } from '../support/random.ts';
import { testDatabase } from '../support/servers.ts';

const rounds = Number(process.env.SLUICE_DDL_FULL_ROUNDS ?? 2);
const first = Number(process.env.SLUICE_DDL_FULL_SEED ?? 1);
const seeds = Number(process.env.SLUICE_DDL_FULL_SEEDS ?? 3);

// Whoever runs the mirror tries again by itself; all else is a failure of ours.
function failed(error: SluiceError): void {
  if (error.retry !== 'backoff') throw error;
}

async function strike(f: Following, running: Running, chance: Random): Promise<void> {
  const how = chance.pick(['stop', 'stream', 'apply', 'settle', 'fetch', 'apply']);

  if (how === 'stop') return await running.stop();
  const db = how === 'apply' ? f.target : f.source;
  await db.connection.run(
    sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name like ${`sluice ${how} ${f.work.name} %`}`,
  );
  await running.stop().catch(failed);
}

const runs = Array.from({ length: seeds }, (_, i) => first + i).map((seed) => ({
  seed,
  from: seed % 2 === 1 ? (14 as const) : (18 as const),
  to: seed % 2 === 1 ? (18 as const) : (14 as const),
}));

test.each(runs)(
  'a schema that changes by chance (seed $seed) is equal at quiet, with all rows, from PostgreSQL $from to $to',
  async ({ seed, from, to }) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const options = { schema_changes: 'full' };
    const f = await following({
      source,
      target,
      tables: writtenTables,
      mirrored: mirroredTables,
      options,
      scope: { kind: 'all' },
    });
    const chance = new Random(seed);
    const writer = new DdlWriter(chance, source);
    await quieted(f);
    try {
      for (let round = 0; round < rounds; round++) {
        if (chance.chance(0.5)) for (let n = chance.int(1, 8); n > 0; n--) await writer.transaction();
        const running = f.start();
        for (let n = chance.int(2, 12); n > 0; n--) await writer.transaction();
        writer.said.push(`-- round ${round}`);
        if (chance.chance(0.5)) await strike(f, running, chance);
        else {
          await quiet(f, running);
          await running.stop();
          expect(await everything(target)).toEqual(await everything(source));
        }
      }
      await quieted(f);
      expect(await everything(target)).toEqual(await everything(source));
      expect(f.changes.length).toBeGreaterThan(rounds);
    } catch (error) {
      throw new Error(`seed ${seed}, after:\n${writer.said.slice(-200).join(';\n')};\nnotes:\n${f.notes.join('\n')}`, {
        cause: error,
      });
    }
  },
  240_000,
);
