// Values of regclass and its like, which travel as names: what the target does not have under that name is told with its column.
import { expect, test } from 'vitest';
import { preflight } from '../../src/peers/preflight.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { copyAll, listening, mirrorWork, pinned, table } from '../support/copied.ts';
import { sides } from '../support/database.ts';

test('a value that names what the target does not have is told before the mirror, and in the copy with what to do', async () => {
  await using it = await sides(`create table old (id int primary key);
    create table names (id int primary key, plain text, "which ""1""" regclass, lists regclass[], search regconfig default 'english');
    insert into names values (1, 'x', 'names'), (2, 'y', 'old')`);
  const tables = [table('old', { to: { schema: 'public', name: 'new' } }), table('names')];
  const work = mirrorWork(it, tables, { initial_copy_only: true });
  await using source = await pinned(it.from);
  await using target = await pinned(it.to);
  const { findings } = await preflight(source, target, work);
  expect(findings.filter(({ check }) => check === 'names as values')).toMatchObject([
    { state: 'warning', detail: 'Columns: public.names.which "1" (regclass), public.names.lists (regclass[]).' },
  ]);
  await expect(copyAll(work)).rejects.toMatchObject({
    sqlstate: '42P01',
    message: expect.stringMatching(/^table public\.names, part .*: relation "public\.old" does not exist$/),
    detail: expect.stringContaining('column which "1"'),
    hint: expect.stringMatching(/^Values of "which ""1""", "lists", "search" name objects: make on the target what/),
  });
  await it.to.exec('create view old as select 1');
  const again = listening(work);
  await runSnapshot(again, new AbortController().signal);
  expect(await it.to.exec('select id, "which ""1"""::text as which from names order by id')).toEqual([
    { id: 1, which: 'names' },
    { id: 2, which: 'old' },
  ]);
});
