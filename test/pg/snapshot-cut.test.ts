// What a copy is cut into: keys of every type that has an order, partitions, views and foreign tables; every row once, whatever the parts.
import { describe, expect, test } from 'vitest';
import type { SluiceError } from '../../src/base/errors.ts';
import type { OptionValue } from '../../src/base/options.ts';
import type { MirroredTable } from '../../src/mirror/work.ts';
import { listTables } from '../../src/peers/inspect.ts';
import { preflight } from '../../src/peers/preflight.ts';
import { throwFirstError } from '../../src/peers/preflight-finding.ts';
import { expectEqualTables } from '../support/compare.ts';
import { copyAll, mirrorWork, pinned, table } from '../support/copied.ts';
import { type Sides, sides } from '../support/database.ts';
import { type SharedMajor, type TestDatabase, testDatabase } from '../support/servers.ts';

function world(major: SharedMajor, schema: string): Promise<Sides> {
  return sides(schema, 'select 1', [major, 18]);
}

const copyOnly = { initial_copy_only: true };

async function refusal(
  w: Sides,
  tables: readonly MirroredTable[],
  options: Readonly<Record<string, OptionValue>> = copyOnly,
): Promise<SluiceError | undefined> {
  await using source = await pinned(w.from);
  await using target = await pinned(w.to);
  try {
    throwFirstError((await preflight(source, target, mirrorWork(w, tables, options))).findings);
    return undefined;
  } catch (error) {
    return error as SluiceError;
  }
}

/** Key columns: type, and an expression over i for its values. */
const keys: Readonly<Record<string, readonly [string, string]>> = {
  small: ['smallint', '(i - 100)::smallint'],
  exact: [
    'numeric',
    `case i % 9 when 0 then 'NaN' when 1 then 'Infinity' when 2 then '-Infinity' else (i * 1.10)::text end::numeric`,
  ],
  real: [
    'real',
    `case i % 7 when 0 then 'NaN' when 1 then '-Infinity' when 2 then '-0' else (i / 3.0)::text end::real`,
  ],
  loose: ['text collate "loose"', `(array['a', 'A', 'á', 'b', 'B', 'ß', 'SS', ''])[1 + i % 8]`],
  plain: ['text collate "C"', `(array[E'it''s', E'back\\\\slash', E'new\\nline', 'Z', 'a', '🐘', ' ', ''])[1 + i % 8]`],
  folded: ['citext', `(array['a', 'B', 'Ab', 'C', 'b', 'aB', 'D', 'c'])[1 + i % 8]`],
  folded_domain: ['short', `(array['a', 'B', 'Ab', 'C', 'b', 'aB', 'D', 'c'])[1 + i % 8]`],
  padded: ['char(5)', `chr(65 + i % 26)`],
  one: ['"char"', `chr(65 + i % 40)`],
  named: ['name', `'n' || i % 50`],
  id: ['uuid', `md5(i::text)::uuid`],
  at: [
    'timestamptz',
    `case i % 9 when 0 then 'infinity' when 1 then '-infinity' when 2 then '4713-01-01 BC' else '2020-01-01'::timestamptz + i * interval '1 day' end`,
  ],
  day: ['date', `case i % 9 when 0 then 'infinity'::date else '0044-03-15 BC'::date + i end`],
  clock: ['timetz', `('10:00:00+0' || i % 9)::timetz`],
  span: ['interval', `(array['1 day', '24 hours', '1 mon', '30 days', '-1 year', '0'])[1 + i % 6]::interval`],
  state: ['state', `(array['new', 'it''s', 'a "b"', 'Last'])[1 + i % 4]::state`],
  place: ['place', `row(nullif(i % 5, 0), (array['new', 'Last'])[1 + i % 2]::state, 'x"y,')::place`],
  bytes: ['bytea', `decode(md5(i::text), 'hex')`],
  net: ['inet', `('10.0.' || i % 7 || '.' || i % 5 || '/' || 24 + i % 8)::inet`],
  mac: ['macaddr', `('08:00:2b:01:02:' || lpad(to_hex(i % 50), 2, '0'))::macaddr`],
  truth: ['boolean', `i % 3 = 0`],
  list: ['int[]', `array[i % 5, nullif(i % 3, 0), i]`],
  texts: ['text[]', `array['a"b', null, '{', i::text]`],
  ranged: [
    'int4range',
    `case i % 5 when 0 then 'empty' when 1 then '(,3)' else int4range(i, i + 9)::text end::int4range`,
  ],
  bits: ['bit(8)', `(i % 256)::bit(8)`],
  doc: ['jsonb', `jsonb_build_object('a', i % 20)`],
  words: ['tsvector', `('w' || i % 30)::tsvector`],
  coins: ['money', `(i * 1000.5)::numeric::money`],
  place_in_log: ['pg_lsn', `('0/' || to_hex(i * 1000))::pg_lsn`],
  thing: ['regclass', `(array['pg_class', 'pg_type'])[1 + i % 2]::regclass`],
  skewed: ['int', `case when i < 180 then 7 else i end`],
  nothing: ['int', `null::int`],
};

describe.each([14, 18] as const)('PostgreSQL %i', (major) => {
  test('a key of any type that has an order cuts a table so that every row is in one part, NULLs too', async () => {
    const names = Object.keys(keys);
    const tables = Object.entries(keys).map(
      ([name, [type, value]]) => `create table "k ${name}" (n int, "the ""key""" ${type});
        insert into "k ${name}" select i, case when i % 10 <> 5 then ${value} end from generate_series(1, 200) i;`,
    );
    await using w = await world(
      major,
      `create extension citext; create collation loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
       create domain short as citext check (value <> 'no'); create type state as enum ('new', 'it''s', 'a "b"', 'Last');
       create type place as (no int, state state, note text); ${tables.join('')}`,
    );
    const mirrored = names.map((name) => ({ ...table('x'), ...named(`k ${name}`), key: 'the "key"' }));
    expect(await refusal(w, mirrored)).toBeUndefined();
    const told = await copyAll(mirrorWork(w, mirrored, { ...copyOnly, snapshot_num_partitions_override: 5 }));
    const rows = await expectEqualTables(w.from.connection, w.to.connection, mirrored);
    expect([...rows.values()]).toEqual(names.map(() => 200));
    for (const name of names) {
      const parts = told.planned.get(`public."k ${name}"`) ?? [];
      expect(parts.at(-1), name).toBe('the "key" is null');
      expect(parts.length, name).toBeGreaterThan(
        name === 'nothing' ? 1 : name === 'skewed' || name === 'truth' || name === 'thing' ? 2 : 3,
      );
    }
    expect(told.copied.filter((part) => part.table === 'public."k id"').map((part) => part.rows)).toEqual([
      36, 36, 36, 36, 36, 20,
    ]);
  });

  test('a key without an order is refused before anything is made', async () => {
    await using w = await world(
      major,
      'create type odd as (a int, b point); create table t (id int primary key, j json, p point, o odd, js json[])',
    );
    for (const key of ['j', 'p', 'o', 'js']) {
      expect(await refusal(w, [table('t', { key })]), key).toMatchObject({
        sqlstate: '22023',
        message: expect.stringContaining(`public.t.${key}`),
      });
    }
    expect(await refusal(w, [table('t', { key: 'id' })])).toBeUndefined();
  });

  test('views, materialised views and foreign tables are copied as tables, with key, filter and left out columns', async () => {
    await using far = await testDatabase(major === 14 ? 18 : 14);
    await far.exec(
      `create table far (id int, v text); insert into far select nullif(i % 50, 0), 'v' || i from generate_series(1, 500) i`,
    );
    await using w = await world(major, foreignServer(far));
    await w.from.exec(`
      create table t (id int primary key, v text, at timestamptz default now());
      insert into t select i, 'v' || i from generate_series(1, 1000) i;
      create view seen with (security_barrier) as select id, v as "The value", at, id * 2.5 as twice, array[id] as list from t where id % 2 = 0;
      create function nothing() returns trigger language plpgsql as 'begin return null; end';
      create trigger instead instead of insert on seen for each row execute function nothing();
      comment on view seen is 'what is seen';
      create view above as select id from seen; create materialized view kept as select id, v from t; create unique index on kept (id);
      create foreign table away (id int not null, v text default 'x') server far options (table_name 'far')`);
    const mirrored = [
      table('seen', { key: 'id', exclude: ['at'], where: `"The value" <> 'v10'` }),
      table('kept', { to: { schema: 'other', name: 'kept_rows' } }),
      table('away', { key: 'id', where: `v <> 'v7'` }),
    ];
    const options = { ...copyOnly, snapshot_num_rows_per_partition: 100 };
    expect(await refusal(w, mirrored, options)).toBeUndefined();
    // Without being named, none of them is taken for a table.
    expect((await listTables(w.from.connection)).map((each) => each.name)).toEqual(['t']);
    const told = await copyAll(mirrorWork(w, mirrored, options));
    const rows = await expectEqualTables(w.from.connection, w.to.connection, mirrored);
    expect([...rows.values()]).toEqual([499, 1000, 499]);
    expect(told.planned.get('public.seen')?.length).toBe(6);
    expect(told.planned.get('public.kept')?.[0]).toMatch(/pages/);
    // A foreign table's NOT NULL is a promise that nobody keeps.
    expect(told.planned.get('public.away')?.length).toBe(6);
    const kinds = `select relname::text as name, relkind::text as kind from pg_class where relname in ('seen', 'kept_rows', 'away') order by 1`;
    expect(await w.to.exec(kinds)).toEqual([
      { name: 'away', kind: 'r' },
      { name: 'kept_rows', kind: 'r' },
      { name: 'seen', kind: 'r' },
    ]);
    expect([...told.objects.values()].filter((line) => line.state === 'failed')).toEqual([]);
    const left = [...told.objects.values()].filter((line) => line.state === 'left_out');
    expect(left.map(({ kind, reason }) => `${kind}: ${reason}`).sort()).toEqual([
      'comment: public.seen is a table on the target',
      'trigger: public.seen is a table on the target',
    ]);
    // In the ledger each is there once, as what it is on the target.
    const lines = [...told.objects.values()].filter((line) => ['seen', 'kept', 'away'].includes(line.name));
    expect(lines.map(({ kind, name, state }) => `${kind} ${name} ${state}`).sort()).toEqual([
      'table away created',
      'table kept created',
      'table seen created',
    ]);
    const columns = `select attname::text as name, format_type(atttypid, atttypmod) as type from pg_attribute
      where attrelid = 'seen'::regclass and attnum > 0 order by attnum`;
    expect(await w.to.exec(columns)).toEqual([
      { name: 'id', type: 'integer' },
      { name: 'The value', type: 'text' },
      { name: 'twice', type: 'numeric' },
      { name: 'list', type: 'integer[]' },
    ]);
  });

  test('a mirror that follows refuses views and foreign tables at once, each by its kind', async () => {
    await using far = await testDatabase(major);
    await using w = await world(major, foreignServer(far));
    await w.from.exec(`create view v as select 1 as id; create materialized view m as select 1 as id;
      create foreign table f (id int) server far; create table p (id int) partition by list (id);
      create foreign table p_far partition of p for values in (1) server far`);
    const refused = await refusal(w, [table('v'), table('m'), table('f'), table('p')], {});
    expect(refused).toMatchObject({
      sqlstate: '0A000',
      message: expect.stringContaining('public.v (view)'),
      detail: expect.stringContaining(
        'public.v (view), public.m (materialized view), public.f (foreign table), public.p (has a foreign partition).',
      ),
      hint: expect.stringContaining('initial_copy_only = true'),
    });
    expect(await w.to.exec(`select 1 from pg_class where relnamespace = 'public'::regnamespace`)).toEqual([]);
  });

  test('partitions of any depth, default and foreign ones among them, arrive by their leaves and by a key', async () => {
    await using far = await testDatabase(major);
    await far.exec(
      `create table p_far (note text, id int, kind text); insert into p_far select 'far', nullif(i % 99, 0), 'far' from generate_series(1, 300) i`,
    );
    await using w = await world(major, foreignServer(far));
    await w.from.exec(`create table p (id int, kind text, note text) partition by list (kind);
      create table p_a partition of p for values in ('a') partition by range (id);
      create table p_a1 partition of p_a for values from (minvalue) to (100) partition by hash (id);
      create table p_a1_0 partition of p_a1 for values with (modulus 2, remainder 0);
      create table p_a1_1 partition of p_a1 for values with (modulus 2, remainder 1);
      create table p_a_rest partition of p_a default; create table p_rest partition of p default;
      create foreign table p_far partition of p for values in ('far') server far;
      insert into p select case when i % 11 <> 0 then i end, case i % 4 when 0 then null when 1 then 'z' else 'a' end, 'n' || i from generate_series(1, 2000) i`);
    const where = `kind is distinct from 'z' or p.id > 1000`;
    const options = { ...copyOnly, snapshot_num_rows_per_partition: 150 };
    for (const [i, mapping] of [table('p'), table('p', { key: 'id' }), table('p', { where, key: 'note' })].entries()) {
      const mirrored = [{ ...mapping, to: { schema: `s${i}`, name: 'p' } }];
      const told = await copyAll(mirrorWork(w, mirrored, options));
      const rows = await expectEqualTables(w.from.connection, w.to.connection, mirrored);
      expect([...rows.values()][0]).toBeGreaterThan(1500);
      expect(told.planned.get('public.p')?.length).toBeGreaterThan(7);
    }
  });

  test('a table whose rows are not found by pages is cut by its primary key', async () => {
    await using w = await world(
      major,
      `create access method other type table handler heap_tableam_handler;
       create table t (a text, b int, primary key (b, a)) using other; insert into t select 'a' || i, i from generate_series(1, 1000) i;
       create table keyless (b int) using other; insert into keyless select i from generate_series(1, 1000) i;
       create table p (id int primary key) partition by range (id);
       create table p1 partition of p for values from (0) to (500) using other; create table p2 partition of p for values from (500) to (2000);
       insert into p select i from generate_series(1, 1000) i; analyze`,
    );
    const mirrored = [table('t'), table('keyless'), table('p')];
    const told = await copyAll(mirrorWork(w, mirrored, { ...copyOnly, snapshot_num_rows_per_partition: 100 }));
    expect(told.planned.get('public.t')).toMatchObject(
      Array.from({ length: 10 }, () => expect.stringMatching(/^b (from|below)/)),
    );
    expect(told.planned.get('public.keyless')).toEqual(['whole']);
    const p = told.planned.get('public.p') ?? [];
    expect(p.filter((what) => /^public\.p1 id (from|below)/.test(what)).length).toBe(5);
    expect(p.filter((what) => /^public\.p2 pages/.test(what)).length).toBeGreaterThan(1);
    await expectEqualTables(w.from.connection, w.to.connection, mirrored);
  });
});

function named(name: string) {
  return { from: { schema: 'public', name }, to: { schema: 'public', name } };
}

function foreignServer({ host, port, database, user, password }: TestDatabase): string {
  return `create extension postgres_fdw; create server far foreign data wrapper postgres_fdw options (host '${host}', port '${port}', dbname '${database}');
    create user mapping for current_user server far options (user '${user}', password '${password}')`;
}
