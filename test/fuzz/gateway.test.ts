// Attacks a gateway from all sides for a while: it stays up, serves those who did nothing, and keeps nothing of those who did.
// SLUICE_FUZZ_SECONDS makes it longer; SLUICE_FUZZ_SEED makes it another, and with SLUICE_FUZZ_ONLY=<n> a single attack of it.
import { expect, test } from 'vitest';
import { Random } from '../support/random.ts';
import { attacks } from './attacks.ts';
import { fuzzWorld, residentBytes, settled, type Watched, watch } from './world.ts';

const seconds = Number(process.env.SLUICE_FUZZ_SECONDS ?? 6);
const seed = Number(process.env.SLUICE_FUZZ_SEED ?? 7);
const only = process.env.SLUICE_FUZZ_ONLY;
const atATime = 5;

const megabyte = 1_048_576;
// Node's own heap breathes by a few hundred megabytes under such a load.
const mostResident = 900 * megabyte;
const slowestMs = 10_000;

interface Tally {
  readonly counts: Record<string, number>;
  said: number;
}

test.skipIf(process.platform !== 'linux')(
  `whatever ${seconds} seconds of attacks say, the gateway answers by the protocol, serves others and keeps nothing`,
  async () => {
    await using world = await fuzzWorld();
    const { pid } = world.gateway;
    const over = new AbortController();
    const deadline = Date.now() + seconds * 1_000;
    const tally: Tally = { counts: {}, said: 0 };
    let next = only === undefined ? 0 : Number(only);
    const attacker = async () => {
      while (Date.now() < deadline && !over.signal.aborted) {
        const number = next;
        next += 1;
        await attack(number, world, tally);
        if (only !== undefined) return;
      }
    };
    const fail = (error: unknown): never => {
      over.abort();
      throw error;
    };
    const watching: Promise<Watched> = watch(world, over.signal);
    watching.catch(() => over.abort());
    const attackers = Array.from({ length: only === undefined ? atATime : 1 }, () => attacker().catch(fail));
    const results = await Promise.allSettled(attackers);
    over.abort();
    const seen = await watching;
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    await settled(world);
    const report = { seed, ...tally, ...seen, resident: residentBytes(pid) };
    if (seconds > 30) console.log(JSON.stringify(report));
    expect(seen.slowestMs, `seed ${seed}, during ${seen.slowestDuring}`).toBeLessThan(slowestMs);
    expect(seen.mostResident, `seed ${seed}`).toBeLessThan(mostResident);
    expect(world.gateway.output, `seed ${seed}`).not.toMatch(/ERROR|FATAL|Unhandled|uncaught/);
  },
  (seconds + 120) * 1_000,
);

async function attack(number: number, world: Parameters<typeof settled>[0], tally: Tally): Promise<void> {
  const random = new Random(seed * 1_000_003 + number);
  const name = random.pick(Object.keys(attacks));
  const label = `${number} ${name}`;
  world.running.add(label);
  try {
    tally.said += await attacks[name]!(world, random);
    tally.counts[name] = (tally.counts[name] ?? 0) + 1;
  } catch (error) {
    const again = `SLUICE_FUZZ_SEED=${seed} SLUICE_FUZZ_ONLY=${number}`;
    throw new Error(`attack ${number} (${name}) of seed ${seed}: ${(error as Error).message}; again: ${again}`, {
      cause: error,
    });
  } finally {
    world.running.delete(label);
  }
}
