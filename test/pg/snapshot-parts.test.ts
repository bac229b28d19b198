// Snapshots that are lost again and again while rows move: finished parts are never read twice, and no row is lost or doubled.
import { expect, test } from 'vitest';
import { toSluiceError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { runCdc } from '../../src/cdc/run.ts';
import type { MirrorWork } from '../../src/mirror/work.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { expectEqualTables } from '../support/compare.ts';
import { claim, listening, mirrorWork, table } from '../support/copied.ts';
import { quietReport } from '../support/quiet-report.ts';
import { randomFrom } from '../support/random.ts';
import { keepsParts, makeRestless, restlessTables, writeBurst, writeRestlessly } from '../support/restless.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { testCatchUpBytes, testSpill } from '../support/spill.ts';
import { until } from '../support/wait.ts';

const never = new AbortController().signal;
const seeds = (process.env.SLUICE_PARTS_SEEDS ?? '1-2').split('-').map(Number);
const [first = 1, last = first] = seeds;
const options = {
  snapshot_num_partitions_override: 7,
  snapshot_max_parallel_workers: 2,
  snapshot_num_tables_in_parallel: 3,
};

/** When each part was copied, by table and number. */
async function copiedAt(target: TestDatabase): Promise<ReadonlyMap<string, string>> {
  const rows = await target.exec<{ part: string; at: string }>(
    `select source_table || ' ' || part as part, copied_at::text as at from _sluice.parts`,
  );
  return new Map(rows.map(({ part, at }) => [part, at]));
}

/** Begins the step as a process that was started anew, and stops it after so many of its reports. */
async function copyUntil(work: MirrorWork, events: number) {
  const deps = listening(work);
  const stop = new AbortController();
  const count = async () => {
    if (--events === 0) stop.abort();
  };
  const { report } = deps;
  const counted = {
    ...report,
    planned: async (...args: Parameters<typeof report.planned>) => {
      await report.planned(...args);
      await count();
    },
    part: async (...args: Parameters<typeof report.part>) => {
      await report.part(...args);
      if (args[2].state === 'copied') await count();
    },
    note: async (...args: Parameters<typeof report.note>) => {
      await report.note(...args);
      await count();
    },
  };
  await claim(work);
  try {
    await runSnapshot({ ...deps, report: counted }, stop.signal);
    return { ended: true, told: deps.told };
  } catch (error) {
    // A TRUNCATE in the middle, or a deadlock with it: the step is called again.
    if (!stop.signal.aborted && toSluiceError(error).retry !== 'backoff') throw error;
    return { ended: false, told: deps.told };
  }
}

async function followToTheEnd(work: MirrorWork, source: TestDatabase, target: TestDatabase): Promise<void> {
  const stop = new AbortController();
  const following = runCdc(
    { work, report: quietReport, log: silentLog, spill: testSpill, catchUpBytes: testCatchUpBytes },
    stop.signal,
  );
  await source.exec(`insert into plain (id, pad) values (-1, 'the last row')`);
  await Promise.race([
    following,
    until('the last row', async () => (await target.exec('select from plain where id = -1')).length === 1),
  ]);
  stop.abort();
  await following;
}

test.each(Array.from({ length: last - first + 1 }, (_, i) => first + i))(
  'a copy that lost its snapshot many times under writes ends with exactly the rows of the source (seed %i)',
  async (seed) => {
    const random = randomFrom(seed);
    await using source = await testDatabase(seed % 2 === 0 ? 14 : 18);
    await using target = await testDatabase(18);
    await makeRestless(source.connection, target.connection);
    const work = { ...mirrorWork({ from: source, to: target }, restlessTables, options), token: 1n };
    await claim(work);
    await prepareTarget(listening(work), never);
    await using writer = writeRestlessly(await source.connect(), {
      random: randomFrom(seed + 1000),
      pauseMs: 4,
      truncates: seed % 3 === 0 ? [...keepsParts, 'emptied'] : ['emptied'],
    });
    const burst = await source.connect();
    let token = 1n;
    let losses = 0;
    let kept = 0;
    let before: ReadonlyMap<string, string> = new Map();
    let owner: MirrorWork = work;
    for (let most = 8; ; most--) {
      owner = { ...work, token: ++token };
      // Tables that are emptied faster than they can be read would never be there.
      if (most <= 0 && seed % 3 === 0) await writer.stop();
      const { ended, told } = await copyUntil(
        owner,
        most > 0 ? 2 + Math.floor(random() * (20 + before.size)) : Number.MAX_SAFE_INTEGER,
      );
      const now = await copiedAt(target);
      if (seed % 3 !== 0) {
        const again = [...before].filter(([part, at]) => now.get(part) !== at).map(([part]) => part);
        // A table begins anew for no other reason than that it has no key.
        expect(again.filter((part) => keepsParts.some((name) => part.startsWith(`public.${name} `)))).toEqual([]);
      }
      if (told.notes.some((note) => note.includes('finished parts stay'))) kept++;
      before = now;
      if (ended) break;
      losses++;
      await writeBurst(burst, random, 30);
    }
    await finishSnapshot(listening(owner), never);
    await writer.stop();
    await followToTheEnd(owner, source, target);
    expect(losses).toBeGreaterThan(1);
    expect(kept).toBeGreaterThan(0);
    await expectEqualTables(source.connection, target.connection, restlessTables);
  },
  240_000,
);

const changes = 'update moved set v = v || id where id % 3 = 0; update moved set id = -id where id % 100 = 1';

test.each([
  ['was rewritten', 'vacuum full moved', 'it was rewritten or its definition changed'],
  [
    'was emptied and filled again',
    `truncate moved; insert into moved select i, i, 'x' from generate_series(1, 900) i`,
    'it was rewritten or its definition changed',
  ],
  [
    'has another key',
    'alter table moved drop constraint moved_pkey; alter table moved add primary key (uid)',
    'it was rewritten or its definition changed',
  ],
  [
    'lost its key',
    'alter table moved drop constraint moved_pkey; alter table moved replica identity full',
    'it was rewritten or its definition changed',
  ],
  [
    'had another key for a while',
    `alter table moved replica identity using index moved_uid_key; ${changes}; alter table moved replica identity default`,
    'its key changed',
  ],
  ['is not published any more', 'alter publication %pub drop table moved', 'its publication does not have it'],
  [
    'is published without its updates',
    `alter publication %pub set (publish = 'insert')`,
    'its publication does not publish every change',
  ],
  ['got a column', 'alter table moved add column more int default 7', 'it was rewritten or its definition changed'],
])('a table that %s between two snapshots is read whole, and the journal says why', async (_, statements, reason) => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await source.exec(`create table moved (id int primary key, uid int not null unique, v text);
    insert into moved select i, i, repeat('v', 100) from generate_series(1, 3000) i; analyze`);
  const moved = { schema: 'public', name: 'moved' };
  const work = mirrorWork({ from: source, to: target }, [table('moved')], options);
  await claim(work);
  await prepareTarget(listening(work), never);
  const first = await copyUntil(work, 4);
  expect(first.ended).toBe(false);
  expect((await copiedAt(target)).size).toBeGreaterThan(0);
  await source.exec(changes);
  for (const each of statements.replaceAll('%pub', work.publication.name).split('; ')) await source.exec(each);
  // Columns are made on the target by whoever makes them on the source.
  if (statements.includes('add column')) await target.exec(statements);
  await source.exec('update moved set uid = -uid where id % 7 = 0');
  const { told } = await copyUntil({ ...work, token: 2n }, Number.MAX_SAFE_INTEGER);
  expect(told.notes).toContainEqual(`finished parts cannot stay: public.moved (${reason})`);
  expect(told.notes).toContainEqual('the copy goes on under a new snapshot: 1 of 1 tables begin anew (public.moved)');
  await expectEqualTables(source.connection, target.connection, [moved]);
});

test('a table whose parts are all there when the snapshot is lost is only brought forward', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  await source.exec(`create table moved (id int primary key, uid int, v text);
    insert into moved select i, i, repeat('v', 100) from generate_series(1, 3000) i; analyze`);
  const work = mirrorWork({ from: source, to: target }, [table('moved')], options);
  await claim(work);
  await prepareTarget(listening(work), never);
  await copyUntil(work, Number.MAX_SAFE_INTEGER);
  const before = await copiedAt(target);
  // As a crash leaves it between the last part and the word that it was the last.
  await target.exec('update _sluice.copied_tables set finished = false');
  await source.exec(
    `${changes}; delete from moved where id = 2; insert into moved values (2, 2, 'again'), (9999, 1, 'new')`,
  );
  const { told } = await copyUntil({ ...work, token: 2n }, Number.MAX_SAFE_INTEGER);
  expect(told.finished).toEqual(['public.moved']);
  expect(await copiedAt(target)).toEqual(before);
  await expectEqualTables(source.connection, target.connection, [{ schema: 'public', name: 'moved' }]);
});

test('tables that were finished come along to a new snapshot, so that foreign keys between all of them hold', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  await source.exec(`create table owner (id int primary key, name text);
    create table moved (id int primary key, uid int references owner, v text);
    insert into owner select i, 'owner ' || i from generate_series(1, 50) i;
    insert into moved select i, 1 + i % 50, repeat('v', 100) from generate_series(1, 3000) i; analyze`);
  const work = mirrorWork({ from: source, to: target }, [table('owner'), table('moved')], options);
  await claim(work);
  await prepareTarget(listening(work), never);
  expect((await copyUntil(work, Number.MAX_SAFE_INTEGER)).ended).toBe(true);
  // As if the copy had been cut off before the first part of `moved`.
  await target.exec(`update _sluice.copied_tables set finished = false where source_table = 'public.moved';
    delete from _sluice.parts where source_table = 'public.moved'`);
  await source.exec(`insert into owner values (99, 'new'); update moved set uid = 99 where id % 2 = 0;
    delete from moved where uid = 7; delete from owner where id = 7`);
  const again = { ...work, token: 2n };
  await claim(again);
  await runSnapshot(listening(again), never);
  await expectEqualTables(source.connection, target.connection, [{ schema: 'public', name: 'owner' }]);
  const deps = listening(again);
  await finishSnapshot(deps, never);
  const states = [...deps.told.objects.values()].filter(({ kind }) => kind === 'foreign key').map(({ state }) => state);
  expect(states).toEqual(['created']);
});
