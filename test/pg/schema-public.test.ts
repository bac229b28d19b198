// What everybody may do in schema public is on the target what it is on the source, however either came by its schema.
import { expect, test } from 'vitest';
import { copyAll, mirrorWork, table } from '../support/copied.ts';
import { quieted } from '../support/ddl-full.ts';
import { following } from '../support/following.ts';
import { type SharedMajor, type TestDatabase, testDatabase } from '../support/servers.ts';

const anew = 'drop schema public cascade; create schema public';

// A target's table of rights is what initdb of its version made, or nothing.
const cases: readonly (readonly [what: string, source: string, target: string])[] = [
  ['both as initdb makes it', '', ''],
  ['the target made anew', '', anew],
  ['the source made anew', anew, ''],
  ['the source made anew and opened', `${anew}; grant all on schema public to public`, ''],
  ['the source closed', 'revoke all on schema public from public', ''],
  ['nobody makes anything', 'revoke create on schema public from public', 'grant all on schema public to public'],
];

const rights = async (db: TestDatabase) => {
  const rows = await db.exec<{ privilege: string }>(`select x.privilege_type as privilege
    from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
    where n.nspname = 'public' and x.grantee = 0 order by 1`);
  return rows.map(({ privilege }) => privilege);
};

test.each<readonly [SharedMajor, SharedMajor]>([
  [18, 18],
  [14, 14],
  [14, 18],
  [18, 14],
])('from %i to %i', async (from, to) => {
  for (const [what, ofSource, ofTarget] of cases) {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    await source.exec(`${ofSource}; create table public.t (id int primary key)`);
    await target.exec(ofTarget);
    const before = [await rights(source), await rights(target)];
    const work = {
      ...mirrorWork({ from: source, to: target }, [table('t')], { initial_copy_only: true }),
      scope: { kind: 'all' },
    } as const;
    const told = await copyAll(work);
    expect([what, await rights(target)]).toEqual([what, before[0]]);
    const lines = [...told.objects.values()].filter(({ kind }) => kind === 'grant');
    expect([what, lines.filter(({ state }) => state !== 'created' && state !== 'existed')]).toEqual([what, []]);
    // What is the same is worth no line, whoever made it so.
    if (JSON.stringify(before[0]) === JSON.stringify(before[1])) expect([what, lines]).toEqual([what, []]);
    else expect(lines.some(({ state, name }) => state === 'created' && name.includes('PUBLIC'))).toBe(true);
  }
});

test.each<readonly [SharedMajor, SharedMajor]>([
  [18, 14],
  [14, 18],
])('from %i to %i what everybody may do there follows, and is left when it has come', async (from, to) => {
  await using source = await testDatabase(from);
  await using target = await testDatabase(to);
  const f = await following({
    ...{ source, target, tables: 'create table x (id int primary key)', mirrored: ['x'] },
    ...{ options: { schema_changes: 'full' }, scope: { kind: 'all' } },
  });
  for (const change of [
    'select 1',
    'revoke all on schema public from public',
    'create table public.again (id int primary key)',
    'grant usage on schema public to public',
    'grant create on schema public to public',
    'comment on table x is $$a change of something else$$',
    'revoke create on schema public from public',
  ]) {
    await source.exec(change);
    await quieted(f);
    expect([change, await rights(target)]).toEqual([change, await rights(source)]);
  }
});
