// A change of the schema is made once or not at all, wherever its transaction on the target is cut off.
import { expect, test } from 'vitest';
import { SluiceError } from '../../src/base/errors.ts';
import { columnsOf, endedAtEachStep, rowsByName, settled, sidesOf } from '../support/ddl.ts';
import { following } from '../support/following.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

// Ends its own session at the nth call: commands that change the schema, and statements that write to the tables.
const killer = (tables: readonly string[]) => `
  create sequence kill_calls; create table kill_at (n int); insert into kill_at values (0);
  create function kill_now() returns void language plpgsql set search_path = public as $$
    begin if nextval('kill_calls') = (select n from kill_at) then perform pg_terminate_backend(pg_backend_pid()); end if; end $$;
  create function kill_on_ddl() returns event_trigger language plpgsql set search_path = public as $$
    begin perform public.kill_now(); end $$;
  create function kill_on_rows() returns trigger language plpgsql set search_path = public as $$
    begin perform public.kill_now(); return null; end $$;
  create event trigger kill_ddl on ddl_command_end execute function kill_on_ddl();
  alter event trigger kill_ddl enable always;
  ${tables
    .map(
      (table) => `create trigger kill after insert or update or delete on ${table} execute function kill_on_rows();
    alter table ${table} enable always trigger kill;`,
    )
    .join('\n')}`;

async function prepared(source: TestDatabase, target: TestDatabase) {
  const f = await following({
    source,
    target,
    tables: `create table x (id int primary key, a int, b text); insert into x select g, g, 'b' || g from generate_series(1, 20) g;
      create table bag (a int); alter table bag replica identity full; insert into bag select g % 3 from generate_series(1, 9) g`,
    mirrored: ['x', 'bag'],
  });
  await settled(f);
  return f;
}

const change = `begin; insert into x values (30, 1, 'before'); alter table x add c double precision default random(); update x set c = 1 where id = 30;
  alter table x rename a to n; alter table x add s serial; delete from x where id < 3; alter table x alter b type int using length(b);
  insert into bag values (7); alter table bag add r double precision default random(); insert into bag values (8);
  create type mood as enum ('glad'); alter table x add m mood default 'glad'; insert into x (id, m) values (31, 'glad'); commit`;

test('wherever the target’s session ends, either all of a source transaction with its changes of the schema is there, or nothing', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await prepared(source, target);
  await target.exec(killer(['x', 'bag', '_sluice.schema_changes', '_sluice.checkpoints', '_sluice.copied_tables']));
  const before = [await columnsOf(target, 'x'), await rowsByName(target, 'x'), await rowsByName(target, 'bag')];
  await source.exec(change);
  // It comes after the change, in a transaction of its own.
  await source.exec('insert into mark values (1)');
  const isThere = async () => (await target.exec('select from mark where n = 1')).length > 0;
  const kills = await endedAtEachStep(f, isThere, {
    next: (n) => n + (n < 9 ? 1 : 4),
    after: async () => {
      const columns = await columnsOf(target, 'x');
      const now = [columns, await rowsByName(target, 'x'), await rowsByName(target, 'bag')];
      if (JSON.stringify(columns) === JSON.stringify(before[0])) expect(now).toEqual(before);
      else expect(columns).toEqual(await columnsOf(source, 'x'));
    },
  });
  await settled(f);
  const sides = await sidesOf(f, ['x', 'bag']);
  expect(sides.target).toEqual(sides.source);
  expect(kills).toBeGreaterThan(12);
  // Each is told once, and the target has nothing left to tell.
  const told = f.changes.map(({ table, what }) => `${table} ${what}`);
  expect(new Set(told).size).toBe(told.length);
  expect(await target.exec('select * from _sluice.schema_changes')).toEqual([]);
}, 240_000);

test('a change that the journal was not told of is told when the mirror begins again, once', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await prepared(source, target);
  await source.exec("alter table x add c int default 5; insert into x values (40, 1, 'b', 6)");
  const away = f.start({ changed: () => Promise.reject(new SluiceError('unreachable', 'the catalog is away')) });
  await expect(away.done).rejects.toMatchObject({ kind: 'unreachable' });
  expect(f.changes).toEqual([]);
  await settled(f);
  await settled(f);
  expect(f.changes).toMatchObject([
    {
      table: 'public.x',
      what: 'column c integer added',
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      statements: [
        `alter table "public"."x" add column "c" integer default '5'::integer`,
        'alter table "public"."x" alter column "c" set default 5',
      ],
    },
  ]);
});
