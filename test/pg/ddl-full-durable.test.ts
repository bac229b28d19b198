// schema_changes = full: what a mirror says is durable is on the target with all that the source's schema had then.
import { expect, test } from 'vitest';
import type { ReportedPosition } from '../../src/cdc/report.ts';
import { formatLsn, parseLsn } from '../../src/pg/lsn.ts';
import { everything, quieted } from '../support/ddl-full.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test('nothing is durable before the tables and indexes that came with it are there, also when the mirror begins anew', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({
    ...{ source, target, tables: 'create table t (id int primary key, a int)', mirrored: ['t'] },
    ...{ options: { schema_changes: 'full' }, scope: { kind: 'all' } },
  });
  await quieted(f);
  await using busy = await target.connect();
  await busy.client.query('begin; lock table t in row exclusive mode');
  const told: ReportedPosition[] = [];
  const position = (now: ReportedPosition) => void told.push(now);
  const next = async (count: number) => {
    const before = told.length;
    await until('positions', async () => told.length >= before + count);
    return told.slice(before).map(({ durable }) => durable);
  };
  const first = f.start({ position });
  await source.exec(`begin; create index t_a on t (a); create table fresh (id serial primary key); insert into t values (1, 1);
    insert into fresh select from generate_series(1, 5); commit`);
  const [end] = await source.exec<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  const asked = parseLsn(end?.lsn ?? '');
  await until('the row', async () => (await target.exec('select from t')).length === 1);
  await until('the wait for the lock', async () => {
    const waiting = `select from pg_locks where not granted and relation = 't'::regclass`;
    return (await target.exec(waiting)).length > 0;
  });
  for (const durable of await next(2)) expect(durable).toBeLessThan(asked);
  await first.stop();
  const [note = ''] = f.notes;
  expect(f.notes).toEqual([
    expect.stringMatching(
      /^stopped before the target had all that the source's schema has since [0-9A-F]+\/[0-9A-F]+: /,
    ),
  ]);
  expect(parseLsn(/since (\S+): /.exec(note)?.[1] ?? '')).toBeLessThan(asked);

  const second = f.start({ position });
  for (const durable of await next(2)) expect(formatLsn(durable)).toBe(/since (\S+): /.exec(note)?.[1]);
  await busy.client.query('commit');
  await until('the whole', async () => (told.at(-1)?.durable ?? 0n) >= asked);
  expect(await everything(target)).toEqual(await everything(source));
  await second.stop();
  expect(f.notes.filter((each) => each.startsWith('stopped'))).toEqual([note]);
});
