// Plain SQL through the gateway, to real servers, with the clients that people use.

import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasPsql, psql, python, runPython, type TestGateway, testGateway } from '../support/relay.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

let catalog: TestDatabase;
let source: TestDatabase;
let target: TestDatabase;
let gateway: TestGateway;

beforeAll(async () => {
  [catalog, source, target] = await Promise.all([testDatabase(18), testDatabase(14), testDatabase(18)]);
  await catalog.exec("create table here (id int primary key, what text); insert into here values (1, 'catalog')");
  await source.exec(`create schema shop; create table shop.orders (id int primary key, what text);
    insert into shop.orders select i, 'order ' || i from generate_series(1, 1000) i;
    create function shop.twice(i int) returns int language sql as 'select i * 2'`);
  await target.exec('create table public.copies (id int primary key, what text)');
  gateway = await testGateway({ catalog, peers: { source, target, 'My Peer': source } });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await Promise.all([catalog, source, target].map((db) => db?.[Symbol.asyncDispose]()));
});

async function failure(work: Promise<unknown>): Promise<pg.DatabaseError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(pg.DatabaseError);
  return error as pg.DatabaseError;
}

describe('pg', () => {
  test('a statement that names a peer is answered by that peer, any other by the catalog', async () => {
    const client = await gateway.client();
    expect((await client.query('select what from here')).rows).toEqual([{ what: 'catalog' }]);
    expect((await client.query('select count(*)::int as n from source.shop.orders')).rows).toEqual([{ n: 1000 }]);
    expect((await client.query('select count(*)::int as n from "My Peer".shop.orders')).rows).toEqual([{ n: 1000 }]);
    expect(
      (await client.query('select source.shop.twice(id) as d from source . /* a dot */ shop.orders o where o.id = 4'))
        .rows,
    ).toEqual([{ d: 8 }]);
    const versions = await Promise.all(
      ['show server_version_num'].map(async (text) => (await client.query(text)).rows[0].server_version_num),
    );
    expect(Number(versions[0])).toBeGreaterThanOrEqual(180000);
    await client.end();
  });

  test('parameters, named prepared statements and binary results reach the peer', async () => {
    const client = await gateway.client();
    const query = { name: 'by id', text: 'select what, $2::bytea as b from source.shop.orders where id = $1' };
    for (const id of [7, 8]) {
      const { rows } = await client.query({ ...query, values: [id, Buffer.of(0, 255)] });
      expect(rows).toEqual([{ what: `order ${id}`, b: Buffer.of(0, 255) }]);
    }
    const binary = await client.query({
      text: 'select $1::int as n, id from source.shop.orders limit 1',
      values: [5],
      binary: true,
    } as pg.QueryConfig);
    expect(binary.rows).toEqual([{ n: 5, id: 1 }]);
    expect((await client.query('select $1::text as t', ['catalog'])).rows).toEqual([{ t: 'catalog' }]);
    expect((await client.query({ ...query, values: [9, null] })).rows).toEqual([{ what: 'order 9', b: null }]);
    await client.end();
  });

  test('a portal with a row limit gives its rows bit by bit', async () => {
    const client = await gateway.client();
    const seen: number[] = [];
    const query = new pg.Query({ text: 'select id from source.shop.orders order by id', rows: 100 } as pg.QueryConfig);
    query.on('row', (row: { id: number }) => seen.push(row.id));
    const ended = new Promise((resolve, reject) => {
      query.on('end', resolve);
      query.on('error', reject);
    });
    client.query(query);
    await ended;
    expect(seen).toHaveLength(1000);
    expect(seen.at(-1)).toBe(1000);
    await client.end();
  });

  test('an error keeps every field of the server, and its position points into what was sent', async () => {
    const client = await gateway.client();
    const text = 'select 1,\n  "ünknown" from source.shop.orders';
    const error = await failure(client.query(text));
    expect(error).toMatchObject({ code: '42703', severity: 'ERROR', routine: 'errorMissingColumn' });
    expect(text.slice(Number(error.position) - 1)).toMatch(/^"ünknown"/);
    const after = 'select id from source.shop.orders where wrong = $1';
    const second = await failure(client.query(after, [1]));
    expect(after.slice(Number(second.position) - 1)).toMatch(/^wrong/);
    const third = 'select 1; select 2; select id, oops from source.shop.orders';
    expect(third.slice(Number((await failure(client.query(third))).position) - 1)).toMatch(/^oops/);
    const missing = 'select * from source.shop.nothing';
    const fourth = await failure(client.query(missing));
    expect(missing.slice(Number(fourth.position) - 1)).toBe('source.shop.nothing');
    await client.query('insert into target.public.copies values (1, null)');
    const unique = await failure(client.query('insert into target.public.copies values ($1, null)', [1]));
    expect(unique).toMatchObject({ code: '23505', table: 'copies', constraint: 'copies_pkey', schema: 'public' });
    expect(unique.detail).toContain('already exists');
    await client.query('delete from target.public.copies');
    await client.end();
  });

  test('a statement that names two peers is refused where the second one stands', async () => {
    const client = await gateway.client();
    const text = 'insert into target.public.copies select * from source.shop.orders';
    const error = await failure(client.query(text));
    expect(error).toMatchObject({ code: '0A000' });
    expect(error.hint).toBe('Ask each peer on its own, or mirror the tables to one of them.');
    expect(text.slice(Number(error.position) - 1)).toBe('source.shop.orders');
    expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }]);
    await client.end();
  });

  test('a transaction belongs to the first peer that it names, and to no other', async () => {
    const client = await gateway.client();
    await client.query('begin');
    await client.query("insert into target.public.copies values (10, 'ten')");
    const inside = await client.query('select count(*)::int as n from target.public.copies');
    expect(inside.rows).toEqual([{ n: 1 }]);
    expect(await target.exec('select count(*)::int as n from public.copies')).toEqual([{ n: 0 }]);
    expect(await failure(client.query('select * from source.shop.orders'))).toMatchObject({ code: '0A000' });
    expect(await failure(client.query('select * from target.public.copies'))).toMatchObject({ code: '25P02' });
    expect((await client.query('commit')).command).toBe('ROLLBACK');
    expect(await target.exec('select count(*)::int as n from public.copies')).toEqual([{ n: 0 }]);
    await client.query('begin isolation level repeatable read');
    await client.query("set local work_mem = '5MB'");
    await client.query('savepoint one');
    await client.query("insert into target.public.copies values ($1, 'eleven')", [11]);
    expect((await client.query('show transaction_isolation')).rows).toEqual([
      { transaction_isolation: 'repeatable read' },
    ]);
    expect((await client.query('show work_mem')).rows).toEqual([{ work_mem: '5MB' }]);
    await client.query('rollback to one');
    await client.query("insert into target.public.copies values ($1, 'twelve')", [12]);
    expect((await client.query('commit')).command).toBe('COMMIT');
    expect(await target.exec('select id from public.copies')).toEqual([{ id: 12 }]);
    await target.exec('truncate public.copies');
    await client.end();
  });

  test('a transaction that names nobody begins and ends without one', async () => {
    const client = await gateway.client();
    expect((await client.query('begin')).command).toBe('BEGIN');
    expect((await client.query('rollback')).command).toBe('ROLLBACK');
    await client.query('start transaction');
    expect(await failure(client.query('drop mirror m'))).toMatchObject({ code: '25001' });
    expect(await failure(client.query('select 1'))).toMatchObject({ code: '25P02' });
    expect((await client.query('commit')).command).toBe('ROLLBACK');
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test('one text with statements for several stops at the first error, and what came before it holds', async () => {
    const client = await gateway.client();
    const results = (await client.query(
      "begin; insert into target.public.copies values (20, ';'); commit; show mirrors; select 5 as five; select count(*)::int as n from source.shop.orders",
    )) as unknown as pg.QueryResult[];
    expect(results.map(({ command }) => command)).toEqual(['BEGIN', 'INSERT', 'COMMIT', 'SHOW', 'SELECT', 'SELECT']);
    expect(results[3]?.rows).toHaveLength(3);
    expect(results[5]?.rows).toEqual([{ n: 1000 }]);
    const text =
      "insert into target.public.copies values (21, 'kept'); create peer p from postgres with (colour = 1); insert into target.public.copies values (22, 'never')";
    const error = await failure(client.query(text));
    expect(error.code).toBe('22023');
    expect(text.slice(Number(error.position) - 1)).toMatch(/^colour/);
    expect(await target.exec('select id from public.copies order by id')).toEqual([{ id: 20 }, { id: 21 }]);
    await failure(
      client.query(
        "insert into target.public.copies values (23, 'one transaction'); select 1/0 from target.public.copies",
      ),
    );
    expect(await target.exec('select id from public.copies order by id')).toEqual([{ id: 20 }, { id: 21 }]);
    await target.exec('truncate public.copies');
    await client.end();
  });

  test('our own statements answer through the extended query as well', async () => {
    const client = await gateway.client();
    const { rows, fields } = await client.query({ text: 'show mirrors', name: 'm' });
    expect(fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([
      ['name', 25],
      ['rows', 20],
    ]);
    expect(rows.map((row) => row.rows)).toEqual(['1', null, '9007199254740993']);
    const notices: string[] = [];
    client.on('notice', (notice) => notices.push(notice.message ?? ''));
    const created = await client.query({ text: 'create peer "Ä" from postgres with (host = \'h\')', name: 'create' });
    expect(created.command).toBe('CREATE');
    expect(notices).toEqual(['peer "Ä" is made up']);
    expect((await failure(client.query({ text: 'show mirror', name: 'bad' }))).code).toBe('42601');
    expect((await client.query({ text: 'show mirrors', name: 'm' })).rows).toHaveLength(3);
    for (const text of ['begin', 'commit', "set search_path = 'shop'", ''])
      await client.query({ text, name: `c ${text}` });
    await client.end();
  });

  test('EXECUTE peer runs raw SQL there, and points at its errors', async () => {
    const client = await gateway.client();
    expect((await client.query('execute source $$select count(*)::int as n from shop.orders$$')).rows).toEqual([
      { n: 1000 },
    ]);
    expect((await client.query("execute source('select 7 as seven')")).rows).toEqual([{ seven: 7 }]);
    const text = 'execute source $$select nope$$';
    const error = await failure(client.query(text));
    expect(text.slice(Number(error.position) - 1)).toMatch(/^nope/);
    await client.query("prepare source as select 'prepared' as p");
    expect((await client.query('execute source')).rows).toEqual([{ p: 'prepared' }]);
    await client.query('prepare far(int) as select what from source.shop.orders where id = $1');
    expect((await client.query('execute far(3)')).rows).toEqual([{ what: 'order 3' }]);
    await client.end();
  });

  test('SET and RESET hold for the session on every peer that it visits', async () => {
    const client = await gateway.client();
    await client.query('select 1 from source.shop.orders limit 1');
    await client.query("set work_mem = '3MB'; set datestyle = 'SQL, DMY'");
    for (const peer of ['source', 'target']) {
      const { rows } = await client.query(
        `execute ${peer} $$select current_setting('work_mem') w, current_setting('datestyle') d$$`,
      );
      expect(rows).toEqual([{ w: '3MB', d: 'SQL, DMY' }]);
    }
    await client.query('begin');
    await client.query("set work_mem = '4MB'");
    await client.query('select 1 from source.shop.orders limit 1');
    await client.query('rollback');
    await client.query('reset datestyle');
    expect((await client.query("execute target $$select current_setting('work_mem') w$$")).rows).toEqual([
      { w: '3MB' },
    ]);
    expect((await client.query("execute source $$select current_setting('datestyle') d$$")).rows).toEqual([
      { d: 'ISO, MDY' },
    ]);
    expect((await failure(client.query('set work_mem = 3'))).code).toBe('22023');
    await client.query('discard all');
    expect((await client.query("execute target $$select current_setting('work_mem') w$$")).rows).not.toEqual([
      { w: '3MB' },
    ]);
    await client.end();
  });

  test('cursors stay with the peer that declared them', async () => {
    const client = await gateway.client();
    await client.query('begin');
    await client.query('declare c no scroll cursor for select id from source.shop.orders order by id');
    expect((await client.query('fetch 2 from c')).rows).toEqual([{ id: 1 }, { id: 2 }]);
    expect((await client.query('fetch 1 from c')).rows).toEqual([{ id: 3 }]);
    await client.query('commit');
    await client.query(
      'begin; declare held cursor with hold for select id from source.shop.orders order by id; commit',
    );
    expect((await client.query('fetch 1 from held')).rows).toEqual([{ id: 1 }]);
    await client.query('close held');
    await client.end();
  });

  test('COPY goes both ways, whole, and an error in it leaves the session usable', async () => {
    const client = await gateway.client();
    const lines: Buffer[] = [];
    const sink = new Writable({
      write(chunk: Buffer, _, done) {
        lines.push(chunk);
        done();
      },
    });
    await pipeline(client.query(copyTo('copy source.shop.orders to stdout')), sink);
    const text = Buffer.concat(lines).toString();
    expect(text.split('\n')).toHaveLength(1001);
    await pipeline(
      Readable.from([text.slice(0, 33), text.slice(33)]),
      client.query(copyFrom('copy target.public.copies from stdin')),
    );
    expect(await target.exec('select count(*)::int as n, min(what) as m from public.copies')).toEqual([
      { n: 1000, m: 'order 1' },
    ]);
    const bad = pipeline(
      Readable.from(['2000\tfine\n', 'x\ty\n']),
      client.query(copyFrom('copy target.public.copies from stdin')),
    );
    await expect(bad).rejects.toMatchObject({ code: '22P02' });
    expect((await client.query('select count(*)::int as n from target.public.copies')).rows).toEqual([{ n: 1000 }]);
    await target.exec('truncate public.copies');
    await client.end();
  });

  test('notifications arrive while the client is idle', async () => {
    const client = await gateway.client('target');
    const heard: string[] = [];
    client.on('notification', ({ payload }) => heard.push(payload ?? ''));
    await client.query('listen door');
    await target.exec("notify door, 'knock'");
    await until('the knock', () => heard.includes('knock'));
    await client.end();
  });

  test('a session with dbname of a peer talks to that peer, and may still say our statements', async () => {
    const client = await gateway.client('source');
    expect((await client.query('select count(*)::int as n from shop.orders')).rows).toEqual([{ n: 1000 }]);
    expect((await client.query('select count(*)::int as n from source.shop.orders')).rows).toEqual([{ n: 1000 }]);
    expect((await client.query('show mirrors')).rows).toHaveLength(3);
    await client.end();
  });
});

describe.skipIf(!hasPsql)('psql', () => {
  test('several -c, \\d, \\dt and \\copy work, in the catalog and on a peer', async () => {
    const shown = await psql(gateway, [
      'show mirrors',
      '\\d here',
      '\\dt',
      'select what from source.shop.orders where id = 3',
    ]);
    expect(shown.err).toBe('');
    expect(shown.out).toContain('(3 rows)');
    expect(shown.out).toContain('Indexes:');
    expect(shown.out).toContain('order 3');
    const peer = await psql(
      gateway,
      ['\\d shop.orders', '\\copy (select * from shop.orders where id < 3) to stdout', '\\l', '\\df shop.*'],
      { database: 'source' },
    );
    expect(peer.err).not.toContain('ERROR');
    expect(peer.out).toContain('1\torder 1\n2\torder 2\n');
    expect(peer.out).toContain('twice');
  });

  test('the caret stands under what is wrong', async () => {
    const ours = await psql(gateway, ['create peer p from postgres with (host = 1, colour = 2)']);
    expect(ours.err).toBe(`ERROR:  unknown peer option "colour"
LINE 1: create peer p from postgres with (host = 1, colour = 2)
                                                    ^
HINT:  Known options: host.
`);
    const theirs = await psql(gateway, ['select 1, nothing from source.shop.orders']);
    expect(theirs.err).toContain(`LINE 1: select 1, nothing from source.shop.orders
                  ^`);
  });

  test('a client that does not speak UTF-8 gets and sends its own bytes', async () => {
    const latin = { PGCLIENTENCODING: 'LATIN1' };
    const script = Buffer.from("insert into target.public.copies values (1, 'gr\u00fc\u00dfe');\n", 'latin1');
    const done = await psql(gateway, ['\\encoding'], { env: latin });
    expect(done.out).toBe('LATIN1\n');
    const input = await psql(gateway, [], { env: latin, input: script });
    expect(input.err).toBe('');
    expect(await target.exec('select what from public.copies')).toEqual([{ what: 'gr\u00fc\u00dfe' }]);
    await target.exec('truncate public.copies');
  });

  test('a script with COPY data inside it loads', async () => {
    const script = 'begin;\ncopy target.public.copies from stdin;\n1\tone\n2\ttwo\n\\.\ncommit;\nshow mirrors;\n';
    const done = await psql(gateway, [], { input: script });
    expect(done.err).toBe('');
    expect(done.out).toContain('COPY 2');
    expect(await target.exec('select count(*)::int as n from public.copies')).toEqual([{ n: 2 }]);
    await target.exec('truncate public.copies');
  });
});

describe.skipIf(python === undefined)('psycopg2', () => {
  test('parameters, transactions, a named cursor, COPY and our statements work', async () => {
    const done = await runPython(
      gateway,
      `
import io
c = psycopg2.connect(dsn)
cur = c.cursor()
cur.execute("select what from source.shop.orders where id = %s", (5,))
print(cur.fetchall())
named = c.cursor(name='walk')
named.itersize = 300
named.execute("select id from source.shop.orders order by id")
print(sum(1 for _ in named))
named.close()
c.commit()
cur.execute("insert into target.public.copies values (%s, %s)", (1, "it's"))
c.rollback()
cur.execute("insert into target.public.copies values (%s, %s)", (2, "kept"))
c.commit()
cur.copy_expert("copy target.public.copies from stdin", io.StringIO("3\\tthree\\n"))
c.commit()
out = io.StringIO()
cur.copy_expert("copy target.public.copies to stdout", out)
print(repr(out.getvalue()))
c.commit()
try:
    cur.execute("create peer x from postgres with (host = 'h')")
except psycopg2.Error as e:
    print(e.pgcode)
c.rollback()
c.autocommit = True
cur.execute("create peer x from postgres with (host = 'h')")
print(cur.statusmessage, c.notices)
cur.execute("show mirrors")
print(cur.fetchall(), cur.description[1].type_code)
try:
    cur.execute("select oops from source.shop.orders")
except psycopg2.Error as e:
    print(e.pgcode, e.diag.statement_position)
`,
    );
    expect(done.err).toBe('');
    expect(done.out.split('\n')).toEqual([
      "[('order 5',)]",
      '1000',
      "'2\\tkept\\n3\\tthree\\n'",
      '25001',
      'CREATE PEER [\'NOTICE:  peer "x" is made up\\n\']',
      "[('first', 1), ('second', None), ('third', 9007199254740993)] 20",
      '42703 8',
      '',
    ]);
    await target.exec('truncate public.copies');
  });
});
