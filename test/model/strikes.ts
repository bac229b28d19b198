// What befalls a mirror of the model while it runs: its process, its sessions and its connections end at moments that a seed chooses.
import { pause } from '../../src/base/retry.ts';
import { sql } from '../../src/pg/sql.ts';
import type { Cuttable } from '../support/cuttable.ts';
import type { Gateway } from '../support/gateway.ts';
import type { Random } from '../support/random.ts';
import type { TestDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

export interface Struck {
  readonly mirror: string;
  readonly gateway: Gateway;
  readonly source: TestDatabase;
  readonly target: TestDatabase;
  /** The gateway's ways to both. */
  readonly ways: { readonly source: Cuttable; readonly target: Cuttable };
}

export type Strike = keyof typeof strikes;

const end = async (db: TestDatabase, like: string): Promise<void> => {
  await db.connection.run(sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name like ${like} and datname = current_database()`);
};

const strikes = {
  'kill -9': async ({ gateway }, chance) => {
    await gateway.kill('SIGKILL');
    await pause(chance.int(0, 300));
    await gateway.start();
  },
  walsender: ({ source }) => end(source, 'sluice stream %'),
  'session on the target': ({ target }) => end(target, 'sluice apply %'),
  'all sessions': async ({ source, target }) => {
    await end(source, 'sluice %');
    await end(target, 'sluice %');
  },
  'source cut': async ({ ways }) => ways.source.cut(),
  'target cut': async ({ ways }) => ways.target.cut(),
  frozen: async ({ ways }, chance) => {
    const way = chance.chance(0.5) ? ways.source : ways.target;
    way.freeze();
    await pause(chance.int(100, 1500));
    if (chance.chance(0.5)) way.cut();
    way.thaw();
  },
  // What is applied meanwhile comes again.
  'acknowledgements lost': async ({ ways }, chance) => {
    ways.source.mute();
    await pause(chance.int(300, 1500));
    ways.source.cut();
    ways.source.thaw();
  },
  'PAUSE, RESUME': async ({ gateway, mirror }, chance) => {
    await gateway.query(`pause mirror ${mirror}`);
    if (chance.chance(0.6)) await paused(gateway, mirror);
    await gateway.query(`resume mirror ${mirror}`);
  },
  ALTER: async ({ gateway, mirror }, chance) => {
    const size = chance.pick([1, 30, 700, 250_000]);
    await gateway.query(
      `alter mirror ${mirror} set (max_batch_size = ${size}, sync_interval = ${chance.pick([0, 0, 1])})`,
    );
  },
} as const satisfies Record<string, (struck: Struck, chance: Random) => Promise<void>>;

const often: readonly Strike[] = [
  'kill -9',
  'kill -9',
  'walsender',
  'session on the target',
  'acknowledgements lost',
  ...(Object.keys(strikes) as Strike[]),
];

/** Strikes once, in a way that chance chooses. */
export async function strike(struck: Struck, chance: Random): Promise<Strike> {
  const how = chance.pick(often);
  await strikes[how](struck, chance);
  return how;
}

/** Waits until the mirror is paused. */
export async function paused(gateway: Gateway, mirror: string): Promise<void> {
  await until('the mirror is paused', async () => {
    const [row] = await gateway.query<{ status: string }>(`select status from sluice.mirrors where name = '${mirror}'`);
    return row?.status === 'paused';
  });
}
