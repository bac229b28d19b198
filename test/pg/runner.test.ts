// The runner's part of a mirror's life, with steps that a test holds in its hand: who owns, who waits, who stops when.
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { Scope } from '../../src/base/scope.ts';
import type { StepContext } from '../../src/runner/steps.ts';
import { runSupervisor } from '../../src/runner/supervisor.ts';
import { type TestCatalog, testCatalog } from '../support/catalog.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { testCatchUpBytes, testSpill } from '../support/spill.ts';
import { until } from '../support/wait.ts';

type Step = (context: StepContext, signal: AbortSignal) => Promise<void>;

const asleep = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });

/** Steps that go straight to streaming and stay there until stopped. */
const smooth: Record<string, Step> = {
  prepare: (context) => context.move('snapshotting'),
  snapshot: (context) => context.move('finishing'),
  finish: (context) => context.move('catching_up'),
  follow: async (context, signal) => {
    if (context.mirror.phase === 'catching_up') await context.move('streaming');
    await asleep(signal);
  },
  drop: (context) => context.finishDrop([]),
};

interface World extends AsyncDisposable {
  readonly world: TestCatalog;
  readonly database: TestDatabase;
  /** Runs one more supervisor with these steps; stop it to make it let go. */
  supervise(steps?: Record<string, Step>): Scope;
  status(): Promise<string | null | undefined>;
  journal(event: string): Promise<readonly string[]>;
}

async function oneMirror(): Promise<World> {
  const [world, database] = await Promise.all([testCatalog(), testDatabase(18)]);
  await world.peer('src', database);
  await world.peer('dst', world.database);
  await database.exec('create table a (id int primary key)');
  await world.say('create mirror m from src to dst with table mapping (public.a:public.a)');
  const scopes: Scope[] = [];
  return {
    ...{ world, database },
    supervise(steps = {}) {
      const scope = new Scope();
      scopes.push(scope);
      const all = { ...smooth, ...steps };
      const runStep = async (step: string, context: StepContext, signal: AbortSignal) => all[step]?.(context, signal);
      scope.run((signal) =>
        runSupervisor(
          { catalog: world.catalog, log: silentLog, runStep, spill: testSpill, catchUpBytes: testCatchUpBytes },
          signal,
        ),
      );
      return scope;
    },
    status: async () => (await world.show('show mirrors'))[0]?.status,
    journal: async (event) => {
      const rows = await world.database.exec<{ message: string }>(
        `select message from sluice.journal where mirror = 'm' and event = '${event}' order by id`,
      );
      return rows.map((row) => row.message);
    },
    async [Symbol.asyncDispose]() {
      for (const scope of scopes) await scope[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

test('a mirror goes its way to streaming, pauses, resumes and is dropped, and the journal has every move', async () => {
  await using it = await oneMirror();
  it.supervise();
  await until('it streams', async () => (await it.status()) === 'running');
  await it.world.say('pause mirror m');
  expect(await it.status()).toBe('paused');
  await it.world.say('resume mirror m');
  await until('it streams again', async () => {
    const [row] = await it.world.database.exec<{ working: boolean }>('select working from sluice.mirrors');
    return row?.working === true;
  });
  expect(await it.world.say('drop mirror m')).toEqual({ tag: 'DROP MIRROR', notices: [] });
  expect(await it.world.show('show mirrors')).toEqual([]);
  await it.world.say('drop peer src');
  expect(await it.journal('phase')).toEqual([
    'new → preparing',
    'preparing → snapshotting',
    'snapshotting → finishing',
    'finishing → catching_up',
    'catching_up → streaming',
    'streaming → dropping',
    'dropping → dropped',
  ]);
  expect(await it.journal('statement')).toHaveLength(4);
});

test('trouble that passes is tried again by itself and then forgotten', async () => {
  await using it = await oneMirror();
  let tries = 0;
  it.supervise({
    prepare: async (context) => {
      if (++tries < 3) throw new SluiceError('unreachable', 'the source is away');
      await context.move('snapshotting');
    },
  });
  await until('it streams', async () => (await it.status()) === 'running');
  expect(tries).toBe(3);
  // The second failure is the same as the first: no news.
  expect(await it.journal('trouble')).toEqual(['the source is away']);
  expect((await it.world.show('show mirrors'))[0]?.trouble).toBeNull();
});

test('RESUME that was answered is done by the next process, if this one dies before it is', async () => {
  await using it = await oneMirror();
  let tries = 0;
  const first = it.supervise({
    prepare: async (_context, signal) => {
      if (++tries === 1) throw new SluiceError('wrong_state', 'a person is needed');
      await asleep(signal);
    },
  });
  await until('it has failed', async () => (await it.status()) === 'failed');
  await it.world.say('resume mirror m');
  await until('it is tried again', async () => tries === 2);
  // While it is being tried nobody is waited for.
  expect((await it.world.show('show mirrors'))[0]).toMatchObject({ status: 'setup', trouble: 'a person is needed' });
  await first[Symbol.asyncDispose]();
  it.supervise();
  await until('it streams', async () => (await it.status()) === 'running');
  expect((await it.world.show('show mirrors'))[0]?.trouble).toBeNull();
});

test('the wait for the next try counts from the beginning of the one before', async () => {
  await using it = await oneMirror();
  const began: number[] = [];
  const failed: number[] = [];
  it.supervise({
    prepare: async (_context, signal) => {
      began.push(performance.now());
      await Promise.race([asleep(signal), setTimeout(2_000)]);
      failed.push(performance.now());
      throw new SluiceError('unreachable', 'the source is away');
    },
  });
  // The third wait is one to two seconds long, which are over by then.
  await until('it was tried four times', () => began.length === 4);
  expect((began[3] ?? 0) - (failed[2] ?? 0)).toBeLessThan(900);
});

test('a server that is starting is asked again soon, after however many failures', async () => {
  await using it = await oneMirror();
  const failed: number[] = [];
  it.supervise({
    prepare: async () => {
      failed.push(performance.now());
      const isStarting = failed.length > 4;
      const fields = { code: '57P03', message: 'the database system is starting up' };
      throw isStarting
        ? new SluiceError('upstream', 'dst: the database system is starting up', { fields })
        : new SluiceError('unreachable', 'the target is away');
    },
  });
  await until('it has said so', () => failed.length === 6);
  // The fifth wait would be four to eight seconds long.
  expect((failed[5] ?? 0) - (failed[4] ?? 0)).toBeLessThan(3_000);
}, 30_000);

test('a refused password is not tried again until RESUME MIRROR, and says so', async () => {
  await using it = await oneMirror();
  let refuse = true;
  let tries = 0;
  it.supervise({
    prepare: async (context) => {
      tries++;
      if (refuse) throw new SluiceError('login_refused', 'no such password', { hint: 'ALTER PEER' });
      await context.move('snapshotting');
    },
  });
  await until('it failed', async () => (await it.status()) === 'failed');
  const shown = await it.world.show('show mirror m');
  const facts = Object.fromEntries(shown.map((row) => [row.property, row.value]));
  expect(facts).toMatchObject({ hint: 'ALTER PEER', 'next try': 'when RESUME MIRROR says so' });
  expect(facts.trouble).toContain('no such password (SQLSTATE 28P01');
  await it.world.say('resume mirror m');
  await until('it was tried again', () => tries === 2);
  await until('it failed again', async () => (await it.status()) === 'failed');
  refuse = false;
  await it.world.say('resume mirror m');
  await until('it streams', async () => (await it.status()) === 'running');
  expect(tries).toBe(3);
});

test('RETRY of a mirror that fails again at once says so, and does not wait', async () => {
  await using it = await oneMirror();
  let inTheWay = true;
  it.supervise({
    follow: async (context, signal) => {
      if (inTheWay) throw new SluiceError('wrong_state', 'something is in the way', { hint: 'mend it' });
      await smooth.follow?.(context, signal);
    },
    // Not made before the mirror has failed.
    objects: (_, signal) => asleep(signal),
  });
  await until('it waits for a person', async () => (await it.status()) === 'failed');
  for (let tries = 1; tries <= 2; tries++) {
    const from = Date.now();
    expect(await it.world.say('alter mirror m retry')).toEqual({
      tag: 'ALTER MIRROR',
      notices: [
        'mirror "m" has failed again: something is in the way; what RETRY asks for is done when that is mended and RESUME MIRROR is said',
      ],
    });
    expect(Date.now() - from).toBeLessThan(15_000);
  }
  inTheWay = false;
  await it.world.say('resume mirror m');
  await until('it runs', async () => (await it.status()) === 'running');
});

test('a step is stopped at once when people want something else, also while it waits for a retry', async () => {
  await using it = await oneMirror();
  const ends: string[] = [];
  let begun = false;
  it.supervise({
    snapshot: async (_context, signal) => {
      begun = true;
      await asleep(signal);
      ends.push('snapshot');
      throw new SluiceError('stopped', 'stopped');
    },
  });
  // The phase is written a moment before its step begins.
  await until('it copies', () => begun);
  await it.world.say('pause mirror m');
  expect(ends).toEqual(['snapshot']);
  expect(await it.journal('trouble')).toEqual([]);
  await it.world.say('resume mirror m');
  await it.world.say('drop mirror m');
  expect(await it.journal('phase')).toContain('dropping → dropped');
});

test('of two processes one owns a mirror; when it goes, the other takes over with a greater token', async () => {
  await using it = await oneMirror();
  const owners: { name: string; token: bigint }[] = [];
  const supervise = (name: string) =>
    it.supervise({
      follow: async (context, signal) => {
        owners.push({ name, token: context.work.token });
        await smooth.follow?.(context, signal);
      },
    });
  const supervisors = { one: supervise('one'), two: supervise('two') };
  await until('it streams', async () => (await it.status()) === 'running');
  expect(owners).toHaveLength(1);
  await supervisors[owners[0]?.name as 'one' | 'two'][Symbol.asyncDispose]();
  await until('the other one owns it', () => owners.length === 2);
  expect(owners[1]?.name).not.toBe(owners[0]?.name);
  expect(owners[1]?.token).toBeGreaterThan(owners[0]?.token ?? 0n);
});

test('an owner that another has overtaken can write nothing more', async () => {
  await using it = await oneMirror();
  const late: unknown[] = [];
  let first = true;
  it.supervise({
    follow: async (context, signal) => {
      if (!first) return smooth.follow?.(context, signal);
      first = false;
      await it.world.database.exec('update sluice_private.mirrors set token = token + 1');
      await context.move('streaming').catch((error: unknown) => late.push(error));
      throw late[0];
    },
  });
  await until('it streams under a new owner', async () => (await it.status()) === 'running');
  expect(late).toMatchObject([{ kind: 'fenced' }]);
});

test('mirrors stop when the catalog goes and go on when it is back', async () => {
  await using it = await oneMirror();
  let runs = 0;
  const stops: number[] = [];
  it.supervise({
    follow: async (context, signal) => {
      const run = ++runs;
      await smooth.follow?.(context, signal);
      stops.push(run);
    },
  });
  await until('it streams', async () => (await it.status()) === 'running');
  await it.world.database.exec(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'sluice catalog'`);
  await until('it was stopped and runs again', () => stops.includes(1) && runs === 2);
});

test('a runner that was killed leaves a mirror that looks busy; the next one puts that right', async () => {
  await using it = await oneMirror();
  await it.world.database.exec("update sluice_private.mirrors set wanted = 'pause', working = true");
  expect(await it.status()).toBe('pausing');
  it.supervise();
  await until('it is paused', async () => (await it.status()) === 'paused');
});

test('what a drop could not remove is told with the statement that removes it', async () => {
  await using it = await oneMirror();
  it.supervise({
    drop: (context) =>
      context.finishDrop([{ peer: 'src', what: 'replication slot "s" (away)', statement: 'select drop_it();' }]),
  });
  const { notices } = await it.world.say('drop mirror m');
  expect(notices).toEqual(['left on peer "src": replication slot "s" (away). To remove it there: select drop_it();']);
  expect(await it.journal('note')).toEqual(['left on peer "src": replication slot "s" (away)']);
});

test('a completed mirror rests, and refuses PAUSE and RESUME with its state', async () => {
  await using it = await oneMirror();
  it.supervise({ finish: (context) => context.move('completed') });
  await until('it is completed', async () => (await it.status()) === 'completed');
  for (const verb of ['pause', 'resume']) {
    await expect(it.world.say(`${verb} mirror m`)).rejects.toMatchObject({
      sqlstate: '55000',
      detail: 'It is completed.',
    });
  }
  await it.world.say('drop mirror m');
});

test('progress arrives in the views: parts, batches, counts, positions', async () => {
  await using it = await oneMirror();
  const [now, committed] = [new Date('2024-05-01T00:00:01Z'), new Date('2024-05-01T00:00:00Z')];
  const counts = { inserts: 2, updates: 1, deletes: 0, truncates: 0, bytes: 300 };
  it.supervise({
    snapshot: async (context) => {
      const { progress } = context;
      progress.planned('public.a', { rows: 10, bytes: 100, parts: [{ part: 0, what: 'all', rows: 10, bytes: 0 }] });
      progress.part('public.a', 0, { state: 'copied', rows: 9, bytes: 90 });
      progress.finished('public.a');
      await context.move('finishing');
    },
    follow: async (context, signal) => {
      const { progress } = context;
      progress.batch({
        ...{
          startLsn: 1n,
          endLsn: 0x1_00000010n,
          durableLsn: 0x1_00000010n,
          transactions: 1,
          changes: 3,
          receivedAt: now,
          committedAt: now,
        },
        ...{ bytes: 300, stagedAt: null, mergedAt: now, acknowledgedAt: now },
        ...{ sourceCommittedAt: committed, tables: new Map([['public.a', counts]]) },
      });
      progress.position({
        received: 0x1_00000010n,
        durable: 0x1_00000010n,
        sourceEnd: 0x1_00000020n,
        oldestCommitAt: null,
      });
      await smooth.follow?.(context, signal);
    },
  });
  await until(
    'the batch is there',
    async () => (await it.world.database.exec('select from sluice.batches')).length === 1,
  );
  expect(await it.world.database.exec('select mirror, part, what, state, rows_copied from sluice.parts')).toEqual([
    { mirror: 'm', part: 0, what: 'all', state: 'copied', rows_copied: '9' },
  ]);
  expect(await it.world.database.exec('select state, rows_copied, inserts, updates from sluice.tables')).toEqual([
    { state: 'copied', rows_copied: '9', inserts: '2', updates: '1' },
  ]);
  expect(await it.world.database.exec('select durable_lsn, lag_bytes, lag_seconds from sluice.mirrors')).toEqual([
    { durable_lsn: '1/10', lag_bytes: '16', lag_seconds: '0' },
  ]);
  expect(await it.world.database.exec('select latest_lsn_at_target from peerdb_stats.cdc_flows')).toEqual([
    { latest_lsn_at_target: '4294967312' },
  ]);
  const [table] = await it.world.database.exec('select total_count from peerdb_stats.cdc_table_aggregate_counts');
  expect(table).toEqual({ total_count: '3' });
});
