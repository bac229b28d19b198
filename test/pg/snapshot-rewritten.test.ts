// Tables that are emptied and filled again all the time, as queues and staging tables are: their copy comes to an end all the same.
import { expect, test } from 'vitest';
import { toSluiceError } from '../../src/base/errors.ts';
import { pause } from '../../src/base/retry.ts';
import { Scope } from '../../src/base/scope.ts';
import type { MirrorWork } from '../../src/mirror/work.ts';
import { trusted } from '../../src/pg/sql.ts';
import { SourceMemory } from '../../src/snapshot/known-source.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { claim, listening, mirrorWork, table } from '../support/copied.ts';
import { sides } from '../support/database.ts';
import type { SharedMajor } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const never = new AbortController().signal;

// Copied before `queue` where nothing speaks against that.
const large = `create table large (id int primary key, v text);
  insert into large select i, repeat('x', 100) from generate_series(1, 100000) i`;
const fill = 'insert into queue select 0, i from generate_series(1, 500) i; analyze';

/** As a runner does it: again after each failure that passes. */
async function copyInTries(work: MirrorWork, most: number, beforeReading: () => Promise<void>) {
  const memory = new SourceMemory();
  await claim(work);
  await prepareTarget(listening(work), never);
  for (let tries = 1; ; tries++) {
    const deps = listening(work);
    const report = {
      ...deps.report,
      async planned(...told: Parameters<typeof deps.report.planned>) {
        if (told[0].from.name === 'queue') await beforeReading();
        await deps.report.planned(...told);
      },
    };
    try {
      await runSnapshot({ ...deps, report, memory }, never);
      return { tries, notes: deps.told.notes };
    } catch (error) {
      if (toSluiceError(error).kind !== 'source_changed' || tries === most) throw error;
    }
  }
}

const plain = 'create table queue (batch int, id int)';
const partitioned = `create table queue (batch int, id int) partition by hash (id);
  create table queue_0 partition of queue for values with (modulus 2, remainder 0);
  create table queue_1 partition of queue for values with (modulus 2, remainder 1)`;
const keyed = 'create table queue (batch int, id int primary key)';
const refilled = (batch: number) => `truncate public.queue;
  insert into public.queue select ${batch}, i from pg_catalog.generate_series(1, 500) i`;
const clustered = (batch: number) => `update public.queue set batch = ${batch}; cluster public.queue using queue_pkey`;
const retyped = (batch: number) => `alter table public.queue alter batch type int using ${batch}`;

interface Rewritten {
  readonly major: SharedMajor;
  readonly queue: string;
  readonly rewrite: (batch: number) => string;
  readonly options: Readonly<Record<string, boolean | number>>;
}

const copyOnly = { initial_copy_only: true, do_initial_copy: true };
const inParts = { snapshot_num_partitions_override: 4 };

test.each<[string, Rewritten]>([
  ['truncated and filled again', { major: 18, queue: plain, rewrite: refilled, options: {} }],
  ['truncated, partitioned, of 14,', { major: 14, queue: partitioned, rewrite: refilled, options: {} }],
  ['truncated, in a copy that nothing follows,', { major: 18, queue: plain, rewrite: refilled, options: copyOnly }],
  ['clustered and read in parts', { major: 18, queue: keyed, rewrite: clustered, options: inParts }],
  [
    'altered, in a copy that nothing follows,',
    { major: 14, queue: keyed, rewrite: retyped, options: { ...copyOnly, ...inParts } },
  ],
])('a table that is %s all the time is copied', async (_, { major, queue, rewrite, options }) => {
  await using w = await sides(`${large}; ${queue}; ${fill}`, undefined, [major, 18]);
  await using writing = new Scope();
  const writer = await w.from.connect();
  let batches = 0;
  writing.run(async (signal) => {
    for (; !signal.aborted; batches++) {
      await writer.run(trusted(`begin; ${rewrite(batches)}; commit`));
      await pause(200);
    }
  });
  // Before it is read, however fast that comes: it is rewritten again, or whoever wants to do that waits.
  const beforeReading = async () => {
    const before = batches;
    await until('it is rewritten again, or that is kept from it', async () => {
      const waiting = await w.from.exec(
        `select 1 from pg_locks where relation = 'queue'::regclass and not granted and mode = 'AccessExclusiveLock'`,
      );
      return batches > before || waiting.length > 0;
    });
  };
  const work = mirrorWork(w, [table('large'), table('queue')], options);
  const { tries, notes } = await copyInTries(work, 3, beforeReading);
  expect(tries).toBe(2);
  expect(notes.join('; ')).toContain('locked while they are copied: public.queue');
  // One batch, and all of it.
  const seen = await w.to.exec('select count(*)::int as rows, count(distinct batch)::int as batches from queue');
  expect(seen).toEqual([{ rows: 500, batches: 1 }]);
  // Nobody waits for us any more.
  const then = batches;
  await until('it is rewritten as before', () => batches > then + 1);
});
