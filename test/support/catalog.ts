// A catalog of a test's own, on a shared server, that statements can be said to without a gateway between.
import { silentLog } from '../../src/base/log.ts';
import { type Catalog, openCatalog } from '../../src/catalog/open.ts';
import { runStatement } from '../../src/commands/dispatch.ts';
import type { CommandResult } from '../../src/commands/result.ts';
import { LeftSessions } from '../../src/peers/shelf.ts';
import { parseStatement } from '../../src/sql/parse.ts';
import { type TestDatabase, testDatabase } from './servers.ts';

export interface TestCatalog extends AsyncDisposable {
  readonly catalog: Catalog;
  readonly database: TestDatabase;
  /** What CREATE MIRROR leaves to who runs it. */
  readonly left: LeftSessions;
  /** Says one statement of our language. */
  say(text: string): Promise<CommandResult>;
  /** Says a SHOW and gives its rows by column name. */
  show(text: string): Promise<readonly Readonly<Record<string, string | null>>[]>;
  /** `CREATE PEER` for a test's database. */
  peer(name: string, at: TestDatabase): Promise<void>;
}

export async function testCatalog(): Promise<TestCatalog> {
  const database = await testDatabase(18);
  const catalog = await openCatalog(
    { place: { kind: 'url', url: database.url }, secretKey: 'the key of these tests', log: silentLog },
    new AbortController().signal,
  );
  const left = new LeftSessions();
  const say = async (text: string) => {
    const context = {
      user: 'tester',
      access: 'owner',
      remote: '127.0.0.1:1',
      signal: new AbortController().signal,
    } as const;
    return runStatement({ catalog, left }, parseStatement(text), context);
  };
  return {
    catalog,
    database,
    left,
    say,
    async show(text) {
      const { columns = [], rows = [] } = await say(text);
      return rows.map((row) => Object.fromEntries(columns.map((column, i) => [column.name, row[i] ?? null])));
    },
    async peer(name, at) {
      await say(`create peer ${name} from postgres with (host = '${at.host}', port = ${at.port}, user = '${at.user}',
        password = '${at.password}', database = '${at.database}')`);
    },
    async [Symbol.asyncDispose]() {
      await left.end();
      await catalog[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** What a server remembers of us: slots of the database, publications, our schema. Empty lists where nothing was left behind. */
export async function traces(db: TestDatabase): Promise<{ slots: unknown; publications: unknown; schemas: unknown }> {
  return {
    slots: await db.exec(`select slot_name from pg_replication_slots where database = '${db.database}'`),
    publications: await db.exec('select pubname from pg_publication'),
    schemas: await db.exec("select nspname from pg_namespace where nspname = '_sluice'"),
  };
}

export const noTraces = { slots: [], publications: [], schemas: [] };
