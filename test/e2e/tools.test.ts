// PostgreSQL's own tools, unchanged, through `dbname=<peer>`: dumps, restores, \copy and pgbench do what they do on the server.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleSettings, sampleTexts } from '../corpus/sample.ts';
import {
  createPeer,
  type Gateway,
  isInstalled,
  type ProgramResult,
  runProgram,
  startGateway,
} from '../support/gateway.ts';
import { databaseOn, type OwnServer, ownServer, type TestDatabase, testDatabase } from '../support/servers.ts';

const hasDump = isInstalled('pg_dump');
const hasPsql = isInstalled('psql');
const hasBench = isInstalled('pgbench');

let gateway: Gateway;
let own: OwnServer;
/** On PostgreSQL 14, which Debian's pg_dump 15 understands. */
let sample: TestDatabase;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-tools-'));
  // The sample database makes roles, which would be seen by everybody else on a shared server.
  [gateway, own] = await Promise.all([startGateway(), ownServer({ major: 14, settings: sampleSettings })]);
  // Tools tell the name of what they are connected to.
  sample = await databaseOn(own.server.config(), 14, 'sample');
  for (const text of sampleTexts(14)) await sample.exec(text);
  await gateway.query(createPeer('sample', sample));
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await sample?.[Symbol.asyncDispose]();
  await own?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

type Place = { readonly peer: string } | { readonly database: TestDatabase };

/** Runs a tool on a peer through Sluice, or on a database directly; the tool is told by the environment alone. */
function run(program: string, at: Place, args: readonly string[], input?: string): Promise<ProgramResult> {
  const { host, port, user, password, database } =
    'peer' in at
      ? { host: '127.0.0.1', port: gateway.port, user: 'anyone', password: gateway.password, database: at.peer }
      : at.database;
  const env = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database };
  return runProgram(program, { args, env, ...(input === undefined ? {} : { input }) });
}

/** The same, when it must succeed. */
async function ok(program: string, at: Place, args: readonly string[], input?: string): Promise<string> {
  const done = await run(program, at, args, input);
  expect(done, `${program} ${args.join(' ')}`).toMatchObject({ code: 0 });
  return done.stdout;
}

/** Without the key that pg_dump draws for each dump of its own. */
const withoutKey = (dump: string): string => dump.replaceAll(/^\\(un)?restrict .*$/gm, '');

async function dump(at: Place, ...args: readonly string[]): Promise<string> {
  return withoutKey(await ok('pg_dump', at, args));
}

/** One more database on the sample's server, as a peer. */
async function emptyPeer(name: string): Promise<TestDatabase> {
  const database = await databaseOn(own.server.config(), 14);
  await gateway.query(createPeer(name, database));
  return database;
}

describe.skipIf(!hasDump || !hasPsql)('pg_dump and pg_restore', () => {
  test.each([
    ['everything', []],
    ['the schema alone', ['--schema-only', '--clean', '--if-exists', '--create']],
    ['rows as INSERT', ['--data-only', '--inserts', '--column-inserts', '--disable-triggers', '-n', 'shop']],
    ['some tables', ['-t', 'shop.o*', '-t', '"Odd Schema".*', '--no-owner', '--no-privileges']],
    ['another encoding', ['--encoding', 'LATIN1', '-t', 'shop.products']],
  ])('a dump of %s is the same through Sluice as directly', async (_, args) => {
    const direct = await dump({ database: sample }, ...args);
    expect(direct).toContain('PostgreSQL database dump complete');
    expect(await dump({ peer: 'sample' }, ...args)).toBe(direct);
  });

  test('a dump with two jobs takes one snapshot, and every file of it is the same', async () => {
    const into = (name: string) => join(folder, name);
    const args = (name: string) => ['-Fd', '-j', '2', '--compress=0', '-f', into(name)];
    await ok('pg_dump', { database: sample }, args('direct'));
    await ok('pg_dump', { peer: 'sample' }, args('through'));
    const files = readdirSync(into('direct')).sort();
    expect(readdirSync(into('through')).sort()).toEqual(files);
    expect(files.length).toBeGreaterThan(10);
    // The table of contents tells the time and the name of the database.
    for (const file of files.filter((each) => each !== 'toc.dat')) {
      expect(readFileSync(join(into('through'), file)).equals(readFileSync(join(into('direct'), file))), file).toBe(
        true,
      );
    }
    const script = async (name: string) =>
      withoutKey(await ok('pg_restore', { database: sample }, ['-f', '-', into(name)]));
    expect(await script('through')).toBe(await script('direct'));
  });

  test('an archive that is restored through Sluice gives a database whose dump is the same', async () => {
    await using restored = await emptyPeer('restored');
    const archive = join(folder, 'sample.dump');
    await ok('pg_dump', { peer: 'sample' }, ['-Fc', '-f', archive]);
    const done = await run('pg_restore', { peer: 'restored' }, [
      '--exit-on-error',
      '-j',
      '2',
      '-d',
      'restored',
      archive,
    ]);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    const direct = await dump({ database: restored });
    expect(direct).toBe(await dump({ database: sample }));
    expect(await dump({ peer: 'restored' })).toBe(direct);
    await gateway.query('drop peer restored');
  });

  test('psql runs a plain dump through Sluice, in one transaction, and the database is the same', async () => {
    await using copied = await emptyPeer('copied');
    const script = await ok('pg_dump', { database: sample }, []);
    const psql = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '--single-transaction', '-o', '/dev/null', '-f', '-'];
    expect(await run('psql', { peer: 'copied' }, psql, script)).toMatchObject({ code: 0, stderr: '' });
    expect(await dump({ database: copied })).toBe(await dump({ database: sample }));
    await gateway.query('drop peer copied');
  });

  test('a newer server is refused in the same words', async () => {
    await using newer = await testDatabase(18);
    await gateway.query(createPeer('newer', newer));
    const direct = await run('pg_dump', { database: newer }, []);
    const through = await run('pg_dump', { peer: 'newer' }, []);
    expect({ ...through, stdout: withoutKey(through.stdout) }).toEqual({
      ...direct,
      stdout: withoutKey(direct.stdout),
    });
    await gateway.query('drop peer newer');
  });

  test.skipIf(!isInstalled('vacuumdb'))('vacuumdb, reindexdb and clusterdb do their work', async () => {
    for (const [program, ...args] of [
      ['vacuumdb', '--analyze', '--jobs=2', '-t', 'shop.orders', '-t', 'shop.customers'],
      ['reindexdb', '-t', 'shop.orders'],
      ['clusterdb', '-t', 'shop.customers'],
    ] as const) {
      const direct = await run(program, { database: sample }, args);
      expect(direct.code).toBe(0);
      expect(await run(program, { peer: 'sample' }, args)).toEqual(direct);
    }
  });
});

describe.skipIf(!hasPsql)('psql', () => {
  const formats = ['(format text)', '(format csv, header)', '(format binary)'];

  test.each(formats)('\\copy takes rows out and in again, %s', async (format) => {
    const file = (name: string) => join(folder, `${name}-${formats.indexOf(format)}`);
    // Generated columns are not copied.
    const table =
      'shop.products (sku, title, price, span, weight, size, photo, uid, hours, opens, closes, flags, net, doc)';
    const script = (name: string) => `\\copy ${table} to '${file(name)}' ${format}\n`;
    const psql = ['-X', '-q', '-v', 'ON_ERROR_STOP=1'];
    await ok('psql', { database: sample }, psql, script('direct'));
    await ok('psql', { peer: 'sample' }, psql, script('through'));
    expect(readFileSync(file('through')).equals(readFileSync(file('direct')))).toBe(true);
    const back = `begin;
      create temp table before as select * from shop.products;
      delete from shop.products;
      \\copy ${table} from '${file('through')}' ${format}
      select count(*), sum(weight) from shop.products;
      select count(*) from before b join shop.products p using (sku, title, price, photo, uid);
      rollback;\n`;
    expect(await ok('psql', { peer: 'sample' }, [...psql, '-At'], back)).toBe('2|NaN\n2\n');
  });

  test('\\copy that meets a bad row says where it stands, as it does directly, and nothing is kept', async () => {
    const file = join(folder, 'bad.csv');
    writeFileSync(file, '501,good\n502,"also good"\nnot a number,bad\n503,never\n');
    const script = `\\copy public.plain from '${file}' csv\nselect count(*) from public.plain where id > 500;\n`;
    const direct = await run('psql', { database: sample }, ['-X', '-At'], script);
    expect(direct.stderr).toContain('COPY plain, line 3, column id: "not a number"');
    expect(await run('psql', { peer: 'sample' }, ['-X', '-At'], script)).toEqual(direct);
    expect(direct.stdout).toBe('0\n');
  });

  test('a script with COPY data, variables, errors and \\g to a file prints the same', async () => {
    const script = `\\set ON_ERROR_STOP off
      \\timing off
      create temp table t (id int, what text);
      copy t from stdin;
1\\tone
2\\t\\N
\\.
      select * from t order by 1;
      select 1/0;
      \\echo :SQLSTATE :LAST_ERROR_MESSAGE
      select :'LAST_ERROR_SQLSTATE' as state, :ROW_COUNT as rows;
      insert into t values (3, 'three') returning *;
      \\echo :ROW_COUNT
      do $$ begin raise notice 'hello'; raise warning 'careful' using hint = 'look'; end $$;
      copy t to stdout;
      \\errverbose
      select nothing;
      \\errverbose
      \\set VERBOSITY verbose
      select nothing from t;
      \\if true
      select 'branch';
      \\endif
      select 'a' as x \\; select 'b' as y;
      \\bind_not_known
      fetch all from nowhere;
      drop table t;\n`.replaceAll('\\t', '\t');
    const direct = await run('psql', { database: sample }, ['-X'], script);
    expect(direct.stdout).toContain('22012 division by zero');
    expect(direct.stderr).toContain('LOCATION:');
    expect(await run('psql', { peer: 'sample' }, ['-X'], script)).toEqual(direct);
  });
});

describe.skipIf(!hasBench)('pgbench', () => {
  test.each([14, 18] as const)('fills its tables and keeps its books in every mode (%i)', async (major) => {
    await using bank = await testDatabase(major);
    await gateway.query(createPeer('bank', bank));
    await ok('pgbench', { peer: 'bank' }, ['-i', '-q', '-s', '1', '--foreign-keys']);
    expect(await bank.exec('select count(*)::int as n from pgbench_accounts')).toEqual([{ n: 100_000 }]);
    let done = 0;
    for (const mode of ['simple', 'extended', 'prepared']) {
      const printed = await ok('pgbench', { peer: 'bank' }, ['-n', '-M', mode, '-c', '4', '-j', '2', '-t', '50']);
      expect(printed).toContain('number of transactions actually processed: 200/200');
      done += 200;
      const [books] = await bank.exec(`select (select count(*)::int from pgbench_history) as done,
        (select sum(delta) from pgbench_history) - (select sum(abalance) from pgbench_accounts) as accounts,
        (select sum(delta) from pgbench_history) - (select sum(tbalance) from pgbench_tellers) as tellers,
        (select sum(delta) from pgbench_history) - (select sum(bbalance) from pgbench_branches) as branches`);
      expect(books).toMatchObject({ done, accounts: '0', tellers: '0', branches: '0' });
    }
    await ok('pgbench', { peer: 'bank' }, ['-n', '-S', '-M', 'prepared', '-c', '4', '-j', '2', '-t', '100']);
    await gateway.query('drop peer bank');
  });

  test('runs a script of its own with pipelines', async () => {
    const script = join(folder, 'pipeline.sql');
    writeFileSync(
      script,
      `\\set id random(1, 100)
      \\startpipeline
      begin;
      select what from public.plain where id = :id;
      set local work_mem = '1MB';
      update public.plain set what = what where id = :id;
      end;
      select 1;
      \\endpipeline\n`,
    );
    for (const mode of ['extended', 'prepared']) {
      const printed = await ok('pgbench', { peer: 'sample' }, ['-n', '-M', mode, '-c', '3', '-t', '20', '-f', script]);
      expect(printed).toContain('number of transactions actually processed: 60/60');
    }
  });
});
