// schema_changes = full where order matters, where the target refuses, and where a person has done otherwise.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { objectKey } from '../../src/mirror/object.ts';
import { everything, quiet, quieted } from '../support/ddl-full.ts';
import { following } from '../support/following.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

async function full(
  sides: { readonly source: TestDatabase; readonly target: TestDatabase },
  tables: string,
  mirrored: readonly string[],
) {
  const options = { schema_changes: 'full' };
  const f = await following({ ...sides, tables, mirrored, options, scope: { kind: 'all' } });
  await quieted(f);
  return f;
}

test('a unique index that came and went while the mirror was stopped is never in the way of the rows around it', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await full({ source, target }, 'create table x (id int primary key, u int, v int)', ['x']);
  await source.exec('insert into x values (1, 1, 1), (2, 1, 1)');
  await source.exec('delete from x where id = 2; create unique index x_u on x (u)');
  await source.exec('insert into x values (3, 3, 3); drop index x_u');
  await source.exec('insert into x values (4, 3, 3), (5, 5, 5)');
  await source.exec('update x set v = 7; alter table x add check (v = 7); alter table x drop constraint x_v_check');
  await source.exec('insert into x values (6, 3, 9); delete from x where u = 3; create unique index x_u on x (u)');
  await source.exec('alter table x add constraint late check (v < 100) not valid; insert into x values (7, 7, 7)');
  await quieted(f);
  expect(await everything(target)).toEqual(await everything(source));
  // What everybody may do in the target's schema public is looked at once.
  expect(f.changes.map(({ what }) => what)).toEqual([
    'grant revoked from PUBLIC on schema public made',
    'index x_u of public.x made',
    'check constraint late of public.x made',
  ]);
});

test('what a row needs and the target refuses stops the mirror before that row, with the statement to run; RESUME goes on', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await full(
    { source, target },
    `create table p (id int, r int, primary key (id, r)) partition by list (r); create table p1 partition of p for values in (1)`,
    ['p'],
  );
  await target.exec('create table p2 (other int)');
  const running = f.start();
  await source.exec('insert into p values (1, 1)');
  await source.exec('create table p2 partition of p for values in (2); insert into p values (2, 2)');
  await expect(running.done).rejects.toMatchObject({
    kind: 'wrong_state',
    hint: 'On the target run alter table "public"."p2" rename to "p2_own"; then RESUME MIRROR.',
  });
  expect(await target.exec('select id from p')).toEqual([{ id: 1 }]);
  await target.exec('drop table p2');
  await quieted(f);
  expect(await everything(target)).toEqual(await everything(source));
});

test('a table that joins takes no partition that stands on the target with rows of its own; once that is empty, it does', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await full({ source, target }, 'create table t (id int primary key)', ['t']);
  await target.exec('create table p1 (id int not null, r int not null); insert into p1 values (7, 1)');
  await source.exec(`create table p (id int, r int, primary key (id, r)) partition by list (r);
    create table p1 partition of p for values in (1); create table p2 partition of p for values in (2); insert into p values (1, 1), (2, 2)`);
  const running = f.start();
  const why =
    'new table public.p is not mirrored yet: target table public.p1 has rows. To mend it, empty public.p1 on the target';
  await Promise.race([until('it is told of', async () => f.notes.includes(why)), running.done]);
  expect(await target.exec('select id, r from p1')).toEqual([{ id: 7, r: 1 }]);
  await target.exec('delete from p1');
  await source.exec('create table next (id int primary key)');
  await quiet(f, running);
  await running.stop();
  expect(await target.exec('select tableoid::regclass::text as part, id from p order by id')).toEqual([
    { part: 'p1', id: 1 },
    { part: 'p2', id: 2 },
  ]);
});

test('what no row needs and the target refuses becomes a line of the ledger and a note, and is made once the way is free', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await full({ source, target }, 'create table x (id int primary key, a int)', ['x']);
  await target.exec(
    'create table mine (id int); create view seen as select id from mine; create index x_a on mine (id)',
  );
  const running = f.start();
  await source.exec(
    'create index x_a on x (a); create view seen as select a from x; create function f() returns int language sql as $$select 1$$',
  );
  await source.exec(
    'create table keyless (id int); insert into keyless values (1); create table mine (id int primary key)',
  );
  await source.exec('insert into x values (1, 1)');
  await target.exec('insert into mine values (7)');
  await quiet(f, running);
  expect((await f.rows('x')).target).toEqual(['(1,1)']);
  expect(
    [...f.objects.values()]
      .filter(({ state }) => state === 'failed')
      .map(({ kind, name }) => `${kind} ${name}`)
      .toSorted(),
  ).toEqual([...['index x_a', 'table keyless', 'table mine', 'view seen']]);
  expect(f.notes.join('\n')).toContain('ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL;');
  // Its rows are a person's own.
  expect(await target.exec('select * from mine')).toEqual([{ id: 7 }]);
  await target.exec('drop view seen; drop table mine');
  await source.exec('alter table keyless replica identity full; update keyless set id = 2');
  await quiet(f, running);
  await running.stop();
  expect(await everything(target)).toEqual(await everything(source));
  expect([...f.objects.values()].filter(({ state }) => state === 'failed')).toEqual([]);
});

test('what a person has taken from the target, or made there, stays as it is', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await full(
    { source, target },
    'create table x (id int primary key, a int); create index x_a on x (a); create view seen as select a from x',
    ['x'],
  );
  await target.exec('drop index x_a; create index only_here on x (a); create view only_here_too as select id from x');
  await source.exec('create index x_more on x (a, id); insert into x values (1, 1)');
  await quieted(f);
  const indexes = await target.exec<{ name: string }>(
    "select indexrelid::regclass::text as name from pg_index where indrelid = 'x'::regclass order by 1",
  );
  expect(indexes.map(({ name }) => name)).toEqual(['only_here', 'x_more', 'x_pkey']);
  expect(await target.exec('select id from only_here_too')).toEqual([{ id: 1 }]);
});

test('new tables of mapped schemas go where the mapping says; with soft_delete a dropped table keeps its rows', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const x = 'create schema if not exists a; create table a.x (id int primary key); insert into a.x values (1)';
  const at = { schema: 'a', name: 'x' };
  const f = await following({
    ...{
      source,
      target,
      tables: `${x}; create schema b; create table b.x (id int primary key, "_PEERDB_IS_DELETED" bool not null default false); insert into b.x values (1)`,
    },
    mirrored: [{ from: at, to: { schema: 'b', name: 'x' } }],
    options: { schema_changes: 'full', soft_delete: true },
    scope: { kind: 'schemas', pairs: [{ from: 'a', to: 'b' }] },
  });
  await target.exec('alter table mark add "_PEERDB_IS_DELETED" bool not null default false');
  await quieted(f);
  const running = f.start();
  await source.exec(
    'create table a.n (id int primary key, x int references a.x); insert into a.n values (1, 1); create table b.out (id int primary key)',
  );
  await quiet(f, running);
  await source.exec(
    'insert into a.n values (2, 1); delete from a.n where id = 1; drop table a.x cascade; alter table a.n rename to m',
  );
  await source.exec('insert into a.m values (3)');
  await quiet(f, running);
  await running.stop();
  expect(await target.exec('select id, "_PEERDB_IS_DELETED" as gone from b.m order by 1')).toEqual([
    { id: 1, gone: true },
    { id: 2, gone: false },
    { id: 3, gone: false },
  ]);
  expect(await target.exec('select id from b.x')).toEqual([{ id: 1 }]);
  expect(f.notes.join()).toContain('kept on the target (soft_delete): b.x');
  expect(f.work.tables.map(({ from, to }) => `${from.schema}.${from.name} ${to.schema}.${to.name}`)).toEqual([
    ...['public.mark public.mark', 'a.m b.m'],
  ]);
});

test('a new partition in another mapped schema than its root goes where the mapping sends that', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = (root: string, other: string) => `create schema ${root}; create schema ${other};
    create table ${root}.p (id int primary key) partition by range (id);
    create table ${other}.p1 partition of ${root}.p for values from (0) to (10)`;
  await source.exec(tables('a', 'b'));
  await target.exec(tables('za', 'zb'));
  const f = await following({
    ...{ source, target, tables: 'select 1' },
    mirrored: [{ from: { schema: 'a', name: 'p' }, to: { schema: 'za', name: 'p' } }],
    options: { schema_changes: 'full' },
    scope: {
      kind: 'schemas',
      pairs: [
        { from: 'a', to: 'za' },
        { from: 'b', to: 'zb' },
      ],
    },
  });
  await quieted(f);
  const running = f.start();
  await source.exec(
    'create table b.p2 partition of a.p for values from (10) to (20); insert into a.p values (1), (11)',
  );
  await quiet(f, running);
  await running.stop();
  expect(await target.exec('select tableoid::regclass::text as of, id from za.p order by id')).toEqual([
    { of: 'zb.p1', id: 1 },
    { of: 'zb.p2', id: 11 },
  ]);
});

test('no change of the source fails for want of a right that the event trigger would need', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await full({ source, target }, 'create table x (id int primary key)', ['x']);
  const role = `maker_${randomBytes(4).toString('hex')}`;
  await source.exec(`create role ${role}; grant all on schema public to ${role};
    revoke execute on function pg_logical_emit_message(boolean, text, bytea) from public`);
  const running = f.start();
  await source.exec(`set role ${role}; create table theirs (id int primary key); insert into theirs values (1);
    create temporary table passing (id int); drop table passing; reset role`);
  await quiet(f, running);
  await until(
    'the table',
    async () => (await target.exec("select to_regclass('theirs') is not null as there"))[0]?.there,
  );
  await quiet(f, running);
  await running.stop();
  expect((await f.rows('theirs')).target).toEqual(['(1)']);
  await source.exec(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`);
});

test('a materialised view is refreshed where it was on the source, and a table whose updates the source refuses is told of with what mends it', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(18);
  const f = await following({
    ...{ source, target },
    tables: `create table a (id int primary key, n int); alter table a replica identity full; insert into a values (1, 1);
      create table b (id int primary key, n int); insert into b values (1, 1); create materialized view sums as select sum(n) as sum from a`,
    mirrored: ['a', 'b'],
    options: { schema_changes: 'full' },
    scope: { kind: 'all' },
  });
  await quieted(f);
  const running = f.start();
  await source.exec('insert into a values (2, 2); refresh materialized view sums; insert into a values (3, 3)');
  await quiet(f, running);
  expect(await target.exec('select sum::int as sum from sums')).toEqual([{ sum: 3 }]);
  await source.exec(
    'alter table a add v int generated always as (n * 2) virtual; alter table b drop constraint b_pkey',
  );
  await quiet(f, running);
  await expect(source.exec('update a set n = 5 where id = 1')).rejects.toThrow();
  await expect(source.exec('update b set n = 5 where id = 1')).rejects.toThrow();
  const told = f.notes.filter((note) => note.startsWith('the source refuses updates and deletes of'));
  expect(told).toEqual([expect.stringContaining('public.a'), expect.stringContaining('public.b')]);
  expect(told[1]).toContain('ALTER TABLE "public"."b" REPLICA IDENTITY FULL;');
  await source.exec(
    'alter table a drop v; alter table b replica identity full; update a set n = 5 where id = 1; update b set n = 5',
  );
  await quiet(f, running);
  await running.stop();
  expect(await everything(target)).toEqual(await everything(source));
});

test('what is set of tables, columns and their sequences follows, and what the target was given otherwise stays', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    ...{ source, target },
    tables: `create table a (id int generated always as identity primary key, n serial, v text) with (fillfactor = 90);
      create table mine (id int primary key, v text)`,
    mirrored: ['a', 'mine'],
    options: { schema_changes: 'full' },
    scope: { kind: 'all' },
  });
  await target.exec('alter table mine set (fillfactor = 50); alter table mine alter v set statistics 7');
  await quieted(f);
  const running = f.start();
  await source.exec(`alter table a set (autovacuum_enabled = off, fillfactor = 70); alter table a alter v set statistics 50;
    alter table a alter v set storage external; alter table a alter v set (n_distinct = 5); alter table a replica identity full;
    alter table a alter id set increment by 5 set cache 3; alter sequence a_n_seq maxvalue 1000 cycle`);
  await quiet(f, running);
  await source.exec(
    'alter table a reset (autovacuum_enabled); alter table a alter v set statistics -1; comment on table mine is $$m$$',
  );
  await quiet(f, running);
  await running.stop();
  const settings = `select c.relname, c.reloptions, c.relreplident, (select json_agg(json_build_array(a.attstorage, coalesce(nullif(a.attstattarget, -1), 0), a.attoptions) order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns from pg_class c where c.relname = 'a'`;
  const sequences =
    'select seqrelid::regclass::text as name, seqincrement, seqmax, seqcache, seqcycle from pg_sequence order by 1';
  expect(await target.exec(settings)).toEqual(await source.exec(settings));
  expect(await target.exec(sequences)).toEqual(await source.exec(sequences));
  expect(await target.exec("select reloptions from pg_class where relname = 'mine'")).toEqual([
    { reloptions: ['fillfactor=50'] },
  ]);
});

test.each([
  [14, 18],
  [18, 14],
] as const)(
  'triggers and foreign keys of the target stay at rest when changes of the schema have been settled, from PostgreSQL %i to %i',
  async (from, to) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const f = await following({
      ...{ source, target, options: { schema_changes: 'full' }, scope: { kind: 'all' } },
      tables: 'create table parent (id int primary key); create table child (id int primary key, p int)',
      mirrored: ['parent', 'child'],
    });
    await quieted(f);
    const running = f.start();
    await source.exec(`create table written (id int primary key, v int, at timestamptz); create table told (id int, what text);
      alter table told replica identity full; create function tell() returns trigger language plpgsql as $$
        begin new.at := clock_timestamp(); insert into public.told values (new.id, tg_op); return new; end $$;
      create trigger tell before insert or update on written for each row execute function tell();
      alter table child add foreign key (p) references parent on delete cascade`);
    await quiet(f, running);
    for (const round of [1, 2]) {
      await source.exec(`insert into written select ${round} * 10 + g, g from generate_series(1, 5) g; update written set v = v + 1 where id % 3 = 0;
        insert into parent values (${round}); insert into child values (${round}, ${round})`);
      await source.exec(`delete from parent where id = ${round}`);
      await quiet(f, running);
      expect(await everything(target)).toEqual(await everything(source));
      // Settled once more.
      await source.exec(`create table later_${round} (id int primary key)`);
      await quiet(f, running);
    }
    await running.stop();
    expect(await target.exec('select from pg_trigger where not tgisinternal')).toHaveLength(1);
  },
);

test('indexes that the source builds anew stay as they are on the target, keys and what rests on them, too', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await full(
    { source, target },
    `create table x (id int primary key, u int unique, v int); create index x_v on x (v) where v > 0; comment on index x_v is 'ours';
     alter table x replica identity using index x_pkey; create table y (id int primary key, x int references x)`,
    ['x', 'y'],
  );
  await source.exec('insert into x values (1, 1, 1); insert into y values (1, 1)');
  await quieted(f);
  const indexes = async () =>
    await target.exec(`select indexrelid::regclass::text as name, indexrelid as oid from pg_index
      where indrelid in ('x'::regclass, 'y'::regclass) order by 1`);
  const before = await indexes();
  const told = f.changes.length;
  await source.exec('reindex table concurrently x');
  await source.exec('reindex index concurrently y_pkey');
  await source.exec('drop index x_v; create index x_v on x (v) where v > 0');
  await source.exec("comment on index x_v is 'theirs'; create index y_x on y (x); insert into x values (2, 2, 2)");
  await quieted(f);
  expect(await everything(target)).toEqual(await everything(source));
  const made = (await indexes()).filter(({ name }) => name !== 'y_x' && name !== 'x_v');
  expect(made).toEqual(before.filter(({ name }) => name !== 'x_v'));
  expect(f.changes.slice(told).filter(({ what }) => /_pkey|x_u_key/.test(what))).toEqual([]);
  expect(f.notes).toEqual([]);
  // By its new OID it is known when it goes.
  await source.exec('reindex index concurrently x_v');
  await source.exec('alter table y add z int');
  await quieted(f);
  await source.exec('drop index x_v; insert into x values (3, 3, 3)');
  await quieted(f);
  expect(await everything(target)).toEqual(await everything(source));
});

test('an unlogged table that comes has a line that says why it is not on the target, until it goes or is logged', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await full({ source, target }, 'create table x (id int primary key)', ['x']);
  const running = f.start();
  await source.exec('create unlogged table u (id int primary key); create unlogged table v (id int primary key)');
  await target.exec('create table v (id int primary key)');
  const line = (name: string) => f.objects.get(objectKey({ kind: 'table', schema: 'public', name, table: '' }));
  const reason = expect.stringContaining('it is unlogged and came while the mirror follows');
  await until('the line', () => line('u') !== undefined);
  expect(line('u')).toMatchObject({ state: 'left_out', reason });
  expect(line('v')).toBeUndefined();
  expect(f.notes).toEqual([expect.stringMatching(/^table public\.u is not on the target: it is unlogged/)]);
  await source.exec('insert into u values (1); alter table u set logged');
  await until('its row', async () => {
    const [there] = await target.exec<{ u: string | null }>(`select to_regclass('u')::text as u`);
    return there?.u === 'u' && (await target.exec('select from u')).length === 1;
  });
  await source.exec('create unlogged table w (id int)');
  await until('another line', () => line('w') !== undefined);
  await source.exec('drop table w');
  await until('no line', () => line('w') === undefined);
  await running.stop();
  expect(line('u')?.state).not.toBe('left_out');
});
