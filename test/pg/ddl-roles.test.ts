// Changes of the schema need no more rights than a mirror has: the owner's on the target, reading and replication on the source.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { settled, sidesOf } from '../support/ddl.ts';
import { type Following, following } from '../support/following.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

async function withRole(db: TestDatabase, can: string, grants: (role: string) => string) {
  const role = `ddl_${randomBytes(4).toString('hex')}`;
  await db.exec(`create role ${role} login password 'secret' ${can}; ${grants(role)}`);
  return {
    role,
    async [Symbol.asyncDispose]() {
      await db.exec(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`);
    },
  };
}

function asRoles(f: Following, source: string, target: string): void {
  const { work } = f;
  const as = (peer: typeof work.source, user: string) => ({ ...peer, user, password: 'secret' });
  Object.assign(f, { work: { ...work, source: as(work.source, source), target: as(work.target, target) } });
}

test.each([
  [14, 18],
  [18, 14],
] as const)('changes follow for ordinary roles, from PostgreSQL %i to %i', async (from, to) => {
  await using source = await testDatabase(from);
  await using target = await testDatabase(to);
  const f = await following({
    source,
    target,
    tables: `create table x (id int primary key, a int, b text); insert into x select g, g from generate_series(1, 9) g;
      create table bag (a int); alter table bag replica identity full; insert into bag values (1), (1)`,
    mirrored: ['x', 'bag'],
  });
  await using reader = await withRole(
    source,
    'replication',
    (role) => `grant select on all tables in schema public to ${role};
    grant usage on schema public to ${role}; alter default privileges in schema public grant select on sequences to ${role}`,
  );
  await using owner = await withRole(
    target,
    '',
    (role) => `grant create on database ${target.database} to ${role};
    grant all on schema public to ${role}; alter schema _sluice owner to ${role};
    ${['public.x', 'public.bag', 'public.mark', '_sluice.checkpoints', '_sluice.copied_tables', '_sluice.parts'].map((table) => `alter table ${table} owner to ${role};`).join('')}`,
  );
  asRoles(f, reader.role, owner.role);
  await settled(f);
  await source.exec(`create type mood as enum ('glad'); insert into x values (20); alter table x add r double precision default random(),
    add s serial, add m mood default 'glad'; alter table x rename a to n; alter table x alter b type int using 7; insert into x (id) values (21)`);
  await source.exec('alter table bag add r double precision default random(); insert into bag values (5)');
  await source.exec("alter type mood add value 'sad'");
  await source.exec("update x set m = 'sad' where id < 5; alter table x drop n; insert into x (id) values (22)");
  await settled(f);
  const sides = await sidesOf(f, ['x', 'bag']);
  expect(sides.target).toEqual(sides.source);
});

test('a table that the role does not own stops the mirror with the statement to run, and goes on when that was run', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: 'create table x (id int primary key, a int); insert into x values (1, 1)',
    mirrored: ['x'],
  });
  await using writer = await withRole(
    target,
    '',
    (role) => `grant create on database ${target.database} to ${role};
    grant all on x, mark to ${role}; alter schema _sluice owner to ${role};
    ${['checkpoints', 'copied_tables', 'parts'].map((table) => `alter table _sluice.${table} owner to ${role};`).join('')}`,
  );
  asRoles(f, f.work.source.user, writer.role);
  Object.assign(f.work.source, { password: source.password });
  await settled(f);
  await source.exec('insert into x values (2, 2); alter table x add c int default 5; insert into x values (3, 3, 3)');
  const error = await f.start().done.then(
    () => undefined,
    (reason: { kind: string; hint: string }) => reason,
  );
  expect(error).toMatchObject({
    kind: 'wrong_state',
    hint: expect.stringMatching(/^On the target run alter table "public"\."x" add column "c" integer/),
  });
  await target.exec('alter table x add c int default 5');
  await settled(f);
  const sides = await sidesOf(f, ['x']);
  expect(sides.target).toEqual(sides.source);
});

test('an identity column that is always generated and not the key keeps its values when rows are updated', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables:
      'create table x (id int primary key, i int generated always as identity, a int); insert into x (id, a) select g, g from generate_series(1, 200) g',
    mirrored: ['x'],
  });
  await settled(f);
  await source.exec('update x set a = 0 where id = 3');
  await source.exec('update x set a = a + 1; delete from x where id = 7; insert into x (id) values (300)');
  await settled(f);
  const sides = await sidesOf(f, ['x']);
  expect(sides.target).toEqual(sides.source);
});
