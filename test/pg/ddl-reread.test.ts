// A table whose rows must be read again, and which the source alters or empties just then.
import { expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { rowsByName, settled } from '../support/ddl.ts';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const waitsFor = (table: string) => `select from pg_locks l join pg_database d on d.oid = l.database
  and d.datname = current_database() where not l.granted and l.relation = '${table}'::regclass`;
const waits = waitsFor('bag');

test.each([
  ['written anew', 'alter table bag alter a type text using a || $$!$$'],
  ['emptied', 'truncate bag; insert into bag (id, a) values (7, 7), (8, 8)'],
])('a table that is %s on the source while its rows are read again loses none of them', async (_, meanwhile) => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = `create table bag (id int, a int); alter table bag replica identity full;
    insert into bag select i, i from generate_series(1, 50) i`;
  const f = await following({ source, target, tables, mirrored: ['bag'] });
  await settled(f);
  const holder = await target.connect();
  await holder.client.query('begin; lock table bag in share mode');
  // Values that are in no log, and no key to ask for them by.
  await source.exec('alter table bag add r double precision default random(); insert into bag (id) values (1000)');
  const running = f.start();
  await until('the mirror is about to empty its table', async () => (await target.exec(waits)).length > 0);
  let done = false;
  const other = await source.connect();
  const changing = other.client.query(meanwhile).then(() => {
    done = true;
  });
  await until('the source has changed it, or waits', async () => done || (await source.exec(waits)).length > 0);
  await holder.client.query('commit');
  await changing;
  await source.exec('delete from bag where id in (5, 7); insert into bag (id) values (1001)');
  await Promise.race([f.settle(), running.done]);
  await running.stop();
  expect(await rowsByName(target, 'bag')).toEqual(await rowsByName(source, 'bag'));
});

test.each([
  ['gets another name', 'alter table keyed rename r to s'],
  ['is dropped', 'alter table keyed drop r'],
  [
    'changes its name with another',
    'alter table keyed rename r to x; alter table keyed rename a to r; alter table keyed rename x to a',
  ],
  ['gets another type', 'alter table keyed alter r type text using md5(r::text)'],
])(
  'a column that %s on the source just before its values are read by key shows what it shows there',
  async (_, meanwhile) => {
    await using source = await testDatabase(14);
    await using target = await testDatabase(18);
    const tables = `create table keyed (id int primary key, a double precision, b int);
    insert into keyed select i, i, i from generate_series(1, 50) i`;
    const f = await following({ source, target, tables, mirrored: ['keyed'] });
    await settled(f);
    await source.exec(
      'alter table keyed add r double precision default random(); insert into keyed (id) values (1000)',
    );
    const holder = await source.connect();
    // Nobody else sees it yet.
    await holder.client.query(`begin; ${meanwhile}`);
    const running = f.start();
    await until('the mirror asks for the values', async () => (await source.exec(waitsFor('keyed'))).length > 0);
    await holder.client.query('commit');
    await source.exec('update keyed set b = 7 where id in (5, 7); insert into keyed (id) values (1001)');
    const end = await Promise.race([f.settle(), running.done.catch((error: unknown) => error)]);
    if (end instanceof Error && !(end instanceof SluiceError && end.kind === 'source_changed')) throw end;
    await running.stop().catch(() => undefined);
    await settled(f);
    expect(await rowsByName(target, 'keyed')).toEqual(await rowsByName(source, 'keyed'));
  },
);
