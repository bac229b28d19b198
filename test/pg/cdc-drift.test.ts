// A change of the source's structure that does not follow never makes rows be skipped or misread: the mirror stops, says what to run, and goes on.
import { expect, test } from 'vitest';
import { type Following, following } from '../support/following.ts';
import { databaseOn, ownServer, type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

interface Drift {
  readonly tables: string;
  readonly mirrored?: readonly string[];
  /** Runs on the source and is followed, before the change. */
  readonly first?: string;
  /** Runs on the source, each a transaction. */
  readonly change: readonly string[];
  readonly message: RegExp;
  readonly hint?: RegExp;
  /** What makes both sides agree again. */
  readonly mend: { readonly source?: string; readonly target?: string };
  /** When the change is made; `running` unless told. */
  readonly while?: 'running' | 'stopped';
}

async function rowsOf(db: TestDatabase, tables: readonly string[]): Promise<string> {
  const all: string[] = [];
  for (const table of tables) {
    const columns = await db.exec<{ name: string }>(
      `select quote_ident(attname) as name from pg_attribute where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped order by attname`,
    );
    const list = columns.map(({ name }) => name).join(', ');
    const [row] = await db.exec<{ rows: string }>(
      `select coalesce(string_agg(r::text, ';' order by r::text collate "C"), '') as rows from (select ${list} from ${table}) r`,
    );
    all.push(`${table} (${list}): ${row?.rows}`);
  }
  return all.join('\n');
}

async function settled(f: Following): Promise<void> {
  const running = f.start();
  await Promise.race([f.settle(), running.done]);
  await running.stop();
}

async function expectStopAndGoOn(drift: Drift): Promise<Following> {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const tables = drift.mirrored ?? ['x'];
  const options = { schema_changes: 'off' };
  const f = await following({ source, target, tables: drift.tables, mirrored: tables, options });
  let running = f.start();
  if (drift.first !== undefined) await source.exec(drift.first);
  await f.settle();
  if (drift.while === 'stopped') await running.stop();
  const before = await rowsOf(target, tables);
  for (const change of drift.change) await source.exec(change);
  if (drift.while === 'stopped') running = f.start();
  await expect(running.done).rejects.toMatchObject({
    kind: 'wrong_state',
    message: expect.stringMatching(drift.message),
    hint: expect.stringMatching(drift.hint ?? /RESUME MIRROR/),
  });
  expect(await rowsOf(target, tables)).toBe(before);
  // Nothing was mended: it stops again.
  await expect(f.start().done).rejects.toMatchObject({ kind: 'wrong_state' });
  expect(await rowsOf(target, tables)).toBe(before);
  if (drift.mend.target !== undefined) await target.exec(drift.mend.target);
  if (drift.mend.source !== undefined) await source.exec(drift.mend.source);
  await settled(f);
  expect(await rowsOf(target, tables)).toBe(await rowsOf(source, tables));
  // Agreed once is agreed for the next session, too.
  await source.exec(`delete from ${tables[0]}`);
  await settled(f);
  expect(await rowsOf(target, tables)).toBe(await rowsOf(source, tables));
  return f;
}

const plain = 'create table x (id int primary key, a int, b int); insert into x values (1, 1, -1)';
const many = 'insert into x (id) select g from generate_series(100, 200) g';
const state =
  "create type mood as enum ('x'); create table x (id int primary key, n varchar(5), c char(3), m mood); insert into x values (1, 'abc', 'abc')";

const drifts: Record<string, Drift> = {
  'a renamed table': {
    tables: plain,
    change: ['alter table x rename to y; insert into y values (2, 2, 2)'],
    message: /^source table public\.x is called public\.y now/,
    hint: /ALTER TABLE public\.y RENAME TO x;/,
    mend: { source: 'alter table y rename to x' },
  },
  'a table moved to another schema': {
    tables: `${plain}; create schema other`,
    change: ['alter table x set schema other', 'insert into other.x values (2, 2, 2)'],
    message: /is called other\.x now/,
    hint: /ALTER TABLE other\.x SET SCHEMA public;/,
    mend: { source: 'alter table other.x set schema public' },
  },
  'two tables that swapped names': {
    tables: `${plain}; create table y (id int primary key, a int, b int)`,
    mirrored: ['x', 'y'],
    change: [
      'alter table x rename to z; alter table y rename to x; alter table z rename to y',
      'insert into x values (5, 5, 5)',
    ],
    message: /^source table public\.[xy] is called public\.[xy] now/,
    mend: { source: 'alter table x rename to z; alter table y rename to x; alter table z rename to y' },
  },
  'a wider numeric': {
    tables: 'create table x (id int primary key, n numeric(10,2)); insert into x values (1, 1.23)',
    change: ['alter table x alter n type numeric(10,4)', 'insert into x values (2, 1.2345)'],
    message: /^column n of public\.x is numeric\(10,4\) on the source and numeric\(10,2\) on the target/,
    hint: /ALTER TABLE public\.x ALTER COLUMN n TYPE numeric\(10,4\);/,
    mend: { target: 'alter table x alter n type numeric(10,4)' },
  },
  'a wider numeric in the transaction that writes before and after, while the mirror is stopped': {
    tables: 'create table x (id int primary key, n numeric(10,2)); insert into x values (1, 1.23)',
    change: [
      'insert into x values (2, 2.34); alter table x alter n type numeric(10,4); insert into x select g, 1.2345 from generate_series(3, 100) g',
    ],
    message: /numeric\(10,4\)/,
    mend: { target: 'alter table x alter n type numeric(10,4)' },
    while: 'stopped',
  },
  'wider strings whose values come as text, many at once': {
    tables: state,
    change: [
      'alter table x alter n type varchar(50), alter c type char(9)',
      "insert into x select g, 'abcdefghij', 'abcdefghi' from generate_series(2, 100) g",
    ],
    message: /^column n of public\.x is character varying\(50\) on the source and character varying\(5\)/,
    mend: { target: 'alter table x alter n type varchar(50), alter c type char(9)' },
  },
  'a wider key, after rows in the same session': {
    tables: "create type mood as enum ('x'); create table x (id varchar(5) primary key, v int, m mood)",
    first: "insert into x values ('b')",
    change: ["alter table x alter id type varchar(50); insert into x values ('abcdefghij', 0)"],
    message: /^column id of public\.x is character varying\(50\)/,
    mend: { target: 'alter table x alter id type varchar(50)' },
  },
  'a column dropped and added again': {
    tables: plain,
    first: 'insert into x values (9, 9, 9)',
    change: ['alter table x drop b, add b int', 'insert into x values (2, 2, 2)'],
    message: /^column b of public\.x was dropped on the source and added again/,
    hint: /ALTER TABLE public\.x DROP COLUMN b, ADD COLUMN b integer;/,
    mend: { target: 'alter table x drop b, add b int' },
  },
  'a renamed column': {
    tables: plain,
    change: ['alter table x rename a to "A b"', `insert into x values (2, 2, 2)`],
    message: /^column a of public\.x is called "A b" on the source now/,
    hint: /ALTER TABLE public\.x RENAME COLUMN a TO "A b";/,
    mend: { target: 'alter table x rename a to "A b"' },
  },
  'a renamed column in the transaction that writes before and after': {
    tables: plain,
    change: [`insert into x values (2, 3, 4); alter table x rename a to c; ${many}; update x set c = 7`],
    message: /is called c on the source now/,
    mend: { target: 'alter table x rename a to c' },
  },
  'two columns that swapped names': {
    tables: plain,
    change: [
      'insert into x values (2, 3, 4); alter table x rename a to z; alter table x rename b to a; alter table x rename z to b; insert into x (id, a, b) values (3, 8, 9)',
    ],
    message: /is called [ab] on the source now/,
    mend: { target: 'alter table x rename a to z; alter table x rename b to a; alter table x rename z to b' },
  },
  'a column renamed and another added under its old name': {
    tables: plain,
    change: ['alter table x rename b to c; alter table x add b int', 'insert into x (id, b, c) values (2, 5, 6)'],
    message: /column b of public\.x is called c on the source now/,
    mend: { target: 'alter table x rename b to c; alter table x add b int' },
  },
  'an added column with a default': {
    tables: plain,
    change: ["alter table x add e text not null default 'it''s'", 'insert into x values (2, 2, 2)'],
    message: /lacks columns/,
    hint: /ADD COLUMN e text DEFAULT 'it''s'::text NOT NULL;/,
    mend: { target: "alter table x add column e text default 'it''s'::text not null" },
  },
  'a dropped column that the target cannot do without': {
    tables: 'create table x (id int primary key, a int not null, b int); insert into x values (1, 1, 1)',
    change: ['alter table x drop a', 'insert into x values (2, 2)'],
    message: /^public\.x on the source has lost columns/,
    hint: /DROP COLUMN a;/,
    mend: { target: 'alter table x drop a' },
  },
};

test.each(Object.entries(drifts))('%s stops the mirror until both sides agree', async (_name, drift) => {
  await expectStopAndGoOn(drift);
});

test('a table dropped and made again is not taken for the old one', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables: plain, mirrored: ['x'] });
  await settled(f);
  await source.exec('drop table x; create table x (id int primary key, a int, b int); insert into x values (77, 1, 1)');
  await expect(f.start().done).rejects.toMatchObject({
    kind: 'wrong_state',
    message: expect.stringMatching(/^source table public\.x was dropped, or made anew/),
  });
  expect((await f.rows('x')).target).toEqual(['(1,1,-1)']);
});

test('a publication that publishes less stops the mirror before it starts', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({ source, target, tables: plain, mirrored: ['x'] });
  await settled(f);
  const { name } = f.work.publication;
  const tries = [
    [`alter publication ${name} set (publish = 'insert')`, /does not publish update, delete, truncate/],
    [
      `alter publication ${name} set (publish = 'insert, update, delete, truncate'); alter publication ${name} drop table x`,
      /has lost tables/,
    ],
    [`drop publication ${name}`, /does not exist/],
  ] as const;
  for (const [change, message] of tries) {
    await source.exec(change);
    await expect(f.start().done).rejects.toMatchObject({
      kind: 'wrong_state',
      message: expect.stringMatching(message),
      hint: expect.stringContaining('WITH (resync = true)'),
    });
  }
});

test('partitions that come, go or are emptied on the source stop the mirror until the target has the same', async () => {
  await using source = await testDatabase(14);
  await using target = await testDatabase(18);
  const f = await following({
    source,
    target,
    tables: `create table p (id int, r int, primary key (id, r)) partition by list (r);
      create table p1 partition of p for values in (1); create table p2 partition of p for values in (2);
      insert into p values (1, 1), (2, 2)`,
    mirrored: ['p'],
  });
  await settled(f);
  const attached =
    'create table p3 (id int not null, r int not null, primary key (id, r)); insert into p3 values (5, 3); alter table p attach partition p3 for values in (3)';
  const tries = [
    [
      'alter table p detach partition p1',
      /partition public\.p1 of public\.p was detached/,
      'alter table p detach partition p1',
    ],
    ['drop table p2', /partition public\.p2 of public\.p was detached or dropped/, 'drop table p2'],
    [attached, /has a new partition public\.p3/, attached],
    ['truncate p3', /partition public\.p3 was emptied/, 'truncate p3'],
  ] as const;
  for (const [change, message, mend] of tries) {
    await source.exec(change);
    const running = f.start();
    // A row after the change lets the stream pass it.
    await source.exec(`insert into mark values (${tries.findIndex(([each]) => each === change)})`);
    await expect(running.done).rejects.toMatchObject({ kind: 'wrong_state', message: expect.stringMatching(message) });
    await target.exec(mend);
    await settled(f);
    expect((await f.rows('p')).target).toEqual((await f.rows('p')).source);
  }
  // The whole table's TRUNCATE is in the stream, and no reason to stop.
  await source.exec('insert into p values (9, 3); truncate p; insert into mark values (100)');
  await settled(f);
  expect((await f.rows('p')).target).toEqual([]);
});

test('a primary key that is younger than the log under REPLICA IDENTITY FULL does not make two rows one', async () => {
  await using source = await testDatabase(18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: "create table x (id int, v text); alter table x replica identity full; insert into x values (1, 'a')",
    mirrored: ['x'],
  });
  await settled(f);
  await source.exec("insert into x values (1, 'b'); update x set v = 'c' where v = 'b'");
  await source.exec("delete from x where v = 'c'; alter table x add primary key (id); update x set v = 'z'");
  await settled(f);
  expect((await f.rows('x')).target).toEqual(['(1,z)']);
});

test('a change of structure that is streamed before the source lets others see it is judged by what it has become', async () => {
  await using own = await ownServer({ major: 18 });
  await using source = await databaseOn(own.server.config(), 18);
  await using target = await testDatabase(14);
  const f = await following({
    source,
    target,
    tables: 'create table x (id int primary key, gone text)',
    mirrored: ['x'],
    options: { schema_changes: 'off' },
  });
  const running = f.start();
  await source.exec("insert into x values (1, 'a')");
  await f.settle();
  // The commit is in the log and in the stream, and nobody else may see it until a standby has it that does not exist.
  const standby = async (name: string) => {
    await source.exec(`alter system set synchronous_standby_names = '${name}'`);
    await source.exec('select pg_reload_conf()');
    await until(`the server to know its standby ${name}`, async () => {
      const [row] = await source.exec<{ now: string }>("select current_setting('synchronous_standby_names') as now");
      return row?.now === name;
    });
  };
  await standby('nobody');
  const looks = async () => {
    const [row] = await source.exec<{ looks: string }>(
      "select coalesce(max(query_start)::text, '') as looks from pg_stat_activity where query like '%txid_visible_in_snapshot%' and pid <> pg_backend_pid()",
    );
    return row?.looks;
  };
  const before = await looks();
  const other = await source.connect();
  const committed = other.client.query('alter table x drop gone; insert into x values (2)');
  await until('a look at what cannot be seen yet', async () => (await looks()) !== before);
  await standby('');
  await committed;
  await f.settle();
  expect(f.notes.filter((note) => note.includes('dropped column gone'))).toHaveLength(1);
  expect((await f.rows('x')).target).toEqual(['(1,a)', '(2,)']);
  await running.stop();
});
