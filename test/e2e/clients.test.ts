// The clients that people have: each connects under any login name, says our statements and plain SQL, and sees real errors.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPeer, type Gateway, isInstalled, runProgram, startGateway } from '../support/gateway.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

const python = '/usr/bin/python3'; // Debian's, which has Debian's python3-psycopg2
const hasPsql = isInstalled('psql');
const hasPsycopg = isInstalled(python, ['-c', 'import psycopg2']);

let gateway: Gateway;
let db: TestDatabase;
beforeAll(async () => {
  gateway = await startGateway();
  db = await testDatabase(18);
  await db.exec(`create table "Odd names" (id int primary key, "when" timestamptz, list int[]);
    insert into "Odd names" values (1, '2025-01-02 03:04:05Z', '{1,null,3}')`);
  await gateway.query(createPeer('shop', db));
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await db?.[Symbol.asyncDispose]();
});

test.skipIf(!hasPsql)('psql connects as anybody, says our statements, and reads the catalog and a peer', async () => {
  const done = await gateway.psql(
    `show peers;
     select name, host from sluice.peers;
     select list, extract(year from "when") from shop.public."Odd names";
     update shop.public."Odd names" set list = '{7}' where id = 1;
     begin; delete from shop.public."Odd names"; rollback;
     select count(*) from shop.public."Odd names";`,
    { user: 'somebody else', args: ['-At'] },
  );
  expect(done).toMatchObject({ code: 0, stderr: '' });
  const lines = done.stdout.trim().split('\n');
  expect(lines[0]).toContain('shop');
  expect(lines.slice(1)).toEqual([
    'shop|127.0.0.1',
    '{1,NULL,3}|2025',
    'UPDATE 1',
    'BEGIN',
    'DELETE 1',
    'ROLLBACK',
    '1',
  ]);
});

test.skipIf(!hasPsql)(
  'psql with the connection string of the README works, and with a wrong password it does not',
  async () => {
    const args = (password: string) => [
      '-X',
      '-Atc',
      'select 1',
      `host=localhost port=${gateway.port} password='${password}'`,
    ];
    expect(await runProgram('psql', { args: args(gateway.password) })).toMatchObject({ code: 0, stdout: '1\n' });
    const refused = await runProgram('psql', { args: args('wrong') });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('password authentication failed');
  },
);

test.skipIf(!hasPsql)('psql draws its caret under the mistake, in our statements and in plain SQL', async () => {
  const ours = await gateway.psql('create mirror m from a to b with tabel mapping (x:y);');
  expect(ours.code).toBe(3);
  expect(ours.stderr).toMatch(/LINE 1: create mirror m from a to b with tabel mapping/);
  expect(ours.stderr.split('\n').find((line) => line.trim() === '^')).toBe(
    `${' '.repeat('LINE 1: create mirror m from a to b with '.length)}^`,
  );
  const plain = await gateway.psql('select nothing from shop.public."Odd names";');
  expect(plain.stderr).toContain('column "nothing" does not exist');
  expect(plain.stderr.split('\n').find((line) => line.trim() === '^')).toBe(`${' '.repeat('LINE 1: select '.length)}^`);
});

test.skipIf(!hasPsql)('psql browses a peer by dbname: \\d and \\dt answer as on the server itself', async () => {
  const tables = await gateway.psql('\\dt\n\\d "Odd names"\n', { database: 'shop', args: ['-At'] });
  expect(tables).toMatchObject({ code: 0, stderr: '' });
  expect(tables.stdout).toContain('public|Odd names|table');
  expect(tables.stdout).toContain('list|integer[]');
});

test.skipIf(!hasPsql)('several statements of both kinds in one text are answered one after another', async () => {
  const done = await gateway.psql('', {
    args: ['-At', '-c', "select 'one'; show mirrors; select 'two' from shop.public.\"Odd names\""],
  });
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout.split('\n').filter((line) => line !== '')).toEqual(['one', 'two']);
});

test('node-postgres works with parameters, prepared statements, transactions and errors', async () => {
  const client = await gateway.connect({ user: 'node' });
  const named = { name: 'by id', text: 'select id, list from shop.public."Odd names" where id = $1' };
  for (let time = 0; time < 2; time++) {
    expect((await client.query({ ...named, values: [1] })).rows).toMatchObject([{ id: 1 }]);
  }
  expect((await client.query('show peers')).command).toBe('SHOW');
  expect((await client.query('select count(*)::int as n from sluice.peers where name = $1', ['shop'])).rows).toEqual([
    { n: 1 },
  ]);
  await client.query('begin');
  await client.query('insert into shop.public."Odd names" (id) values ($1)', [2]);
  await expect(client.query('insert into shop.public."Odd names" (id) values ($1)', [2])).rejects.toMatchObject({
    code: '23505',
    constraint: 'Odd names_pkey',
    table: 'Odd names',
  });
  await expect(client.query('select 1 from shop.public."Odd names"')).rejects.toMatchObject({ code: '25P02' });
  await client.query('rollback');
  expect(await db.exec('select count(*)::int as n from "Odd names"')).toEqual([{ n: 1 }]);
  await client.end();
});

test.skipIf(!hasPsycopg)('psycopg2 works, on the catalog and on a peer', async () => {
  const script = `
import psycopg2, sys
catalog = psycopg2.connect(host='127.0.0.1', port=${gateway.port}, user='python', password=sys.argv[1], dbname='sluice')
catalog.autocommit = True
with catalog.cursor() as c:
    c.execute('show peers')
    print(c.fetchone()[0], c.statusmessage.split()[0])
    c.execute('select id, list from shop.public."Odd names" where id = %s', (1,))
    print(c.fetchone()[0])
    try:
        c.execute('pause mirror nowhere')
    except psycopg2.Error as e:
        print(e.pgcode)
peer = psycopg2.connect(host='127.0.0.1', port=${gateway.port}, user='python', password=sys.argv[1], dbname='shop')
with peer, peer.cursor() as c:
    c.execute('insert into "Odd names" (id) values (%s), (%s)', (10, 11))
    print(c.rowcount)
    peer.rollback()
    c.execute('select count(*) from "Odd names"')
    print(c.fetchone()[0])
`;
  const done = await runProgram(python, { args: ['-c', script, gateway.password] });
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout.trim().split('\n')).toEqual(['shop SHOW', '1', '42704', '2', '1']);
});
