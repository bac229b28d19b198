// Servers for the fidelity tests, the fixtures that fit them, and a mirror of everything with what both sides then are.
import { readFileSync } from 'node:fs';
import { type RunningWorld, running } from '../support/running.ts';
import { databaseOn, type OwnServer, ownServer, type TestDatabase, type TestedMajor } from '../support/servers.ts';
import { until } from '../support/wait.ts';
import { differences, exceptions, judge, type Line, type Verdict } from './fidelity.ts';

const read = (file: string) => readFileSync(new URL(file, import.meta.url), 'utf8');

export interface Fixture {
  readonly file: string;
  readonly text: string;
}

export const fixture = (name: string): Fixture => ({ file: name, text: read(`sql/${name}.sql`) });

/** What a server of that major can hold of every kind, in order. */
export function everything(major: TestedMajor): readonly Fixture[] {
  const since = [15, 16, 17, 18].filter((each) => each <= major).map((each) => `v${each}`);
  return ['tables', 'routines', 'views', ...since].map(fixture);
}

export const sample = (name: string): Fixture => ({ file: name, text: read(`samples/${name}.sql`) });

/** A server with the roles that the fixtures grant to. @param more what only this one has */
export async function serverWithRoles(
  major: TestedMajor,
  more: { readonly role?: string; readonly tablespace?: string } = {},
): Promise<OwnServer> {
  const own = await ownServer({ major, settings: { max_connections: 100, shared_buffers: '32MB' } });
  await using db = await databaseOn(own.server.config(), major);
  await db.exec(fixture('roles').text);
  if (more.role !== undefined) await db.exec(`create role ${more.role}`);
  if (more.tablespace !== undefined) {
    await db.exec('set allow_in_place_tablespaces = on');
    await db.exec(`create tablespace ${more.tablespace} location ''`);
  }
  return own;
}

/** A database filled with these texts; the error says in which. */
export async function filled(own: OwnServer, major: TestedMajor, texts: readonly Fixture[]): Promise<TestDatabase> {
  const db = await databaseOn(own.server.config(), major);
  try {
    for (const { file, text } of texts) {
      await db.exec(text).catch((cause: { message: string; position?: string }) => {
        const at = Number(cause.position ?? 1) - 1;
        throw new Error(`${file}: ${cause.message} at: ${text.slice(at, at + 80)}`, { cause });
      });
    }
    return db;
  } catch (error) {
    await db[Symbol.asyncDispose]();
    throw error;
  }
}

export interface Mirrored extends Verdict {
  readonly lines: readonly Line[];
  /** Tables whose rows are not the same, and sequences that do not stand the same. */
  readonly otherRows: readonly string[];
  /** Where an administrator ran the mirror's script, after its stream was stopped: what was refused, and what is still otherwise. */
  readonly handedOver: { readonly refused: readonly string[]; readonly differences: readonly string[] };
}

/** Nothing differs that no line of the ledger explains, no line is idle, and all rows are the same. */
export const faithful = { unexplained: [], idle: [], otherRows: [] };

let mirrors = 0;

/** Mirrors everything from one database to the other, and compares them. */
export async function mirrorAll(
  source: TestDatabase,
  target: TestDatabase,
  how: { readonly follow: boolean; readonly restoreOn?: OwnServer; readonly administrator?: TestDatabase },
): Promise<Mirrored> {
  await using it = await running(source, target);
  const name = `faithful_${process.pid}_${++mirrors}`;
  await it.world.say(`create mirror ${name} from src to dst for all tables with (initial_copy_only = ${!how.follow})`);
  for (let rounds = 1; ; rounds++) {
    const trouble = await ended(it, how.follow ? 'running' : 'completed');
    if (trouble === null) break;
    const lines = await exceptions(it, name);
    if (how.administrator === undefined || rounds > 8) {
      const all = lines.map(({ state, kind, name: of, reason, statement }) =>
        [state, kind, of, reason, statement].join(' '),
      );
      throw new Error([trouble.message, ...all].join('\n'), { cause: trouble });
    }
    await administer(it, how.administrator, name);
    await it.world.say(`resume mirror ${name}`);
    // One that fails again at once may do so between two looks: that is the next round's.
    await until('it goes on', async () => (await it.status()) !== undefined, 5_000).catch(() => {});
  }
  const lines = await exceptions(it, name);
  const found = await differences(source, target, how.restoreOn?.server.config());
  const otherRows = [
    ...(await otherLines(source, target, how.follow ? loggedRowsOf : rowsOf)),
    ...(await otherLines(source, target, sequencesOf)),
  ];
  const handedOver = await handOver(it, { name, ...how });
  await it.world.say(`drop mirror ${name}`);
  return { ...judge(found, lines), lines, otherRows, handedOver };
}

/** Waits for a status. @returns what stopped the mirror, if it was stopped */
async function ended(it: RunningWorld, wanted: string): Promise<Error | null> {
  const { status } = await until(
    `the mirror is ${wanted}`,
    async () => {
      const status = await it.status().catch((error: Error) => error);
      return (status instanceof Error || status === wanted) && { status };
    },
    200_000,
  );
  return status instanceof Error ? status : null;
}

/** Runs what the mirror has for an administrator, in its order. @returns what was refused */
async function administer(
  it: RunningWorld,
  db: TestDatabase,
  mirror: string,
  due: readonly string[] = ['now'],
): Promise<readonly string[]> {
  const script = await it.world.database.exec<{ text: string; due: string }>(
    `select text, due from sluice.script where mirror = '${mirror}' order by step`,
  );
  const refused: string[] = [];
  await using session = await db.connect();
  for (const each of script.filter((line) => due.includes(line.due))) {
    await session.client.query(each.text).catch(async (error: Error) => {
      refused.push(`${error.message}: ${each.text}`);
      await session.client.query('rollback');
    });
  }
  return refused;
}

/** What a person does who has moved the application: stops the stream and runs the script. */
async function handOver(
  it: RunningWorld,
  how: { readonly name: string; readonly follow: boolean; readonly administrator?: TestDatabase },
): Promise<Mirrored['handedOver']> {
  const { name, administrator } = how;
  if (administrator === undefined) return { refused: [], differences: [] };
  if (how.follow) {
    await it.world.say(`pause mirror ${name}`);
    await until('the stream is stopped', async () => (await it.status()) === 'paused');
  }
  const refused = await administer(it, administrator, name, ['now', 'change_over']);
  const left = await differences(it.source, administrator);
  return { refused, differences: left.map(({ key }) => key) };
}

async function otherLines(
  source: TestDatabase,
  target: TestDatabase,
  ask: (db: TestDatabase) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const [here, there] = [await ask(source), await ask(target)];
  return here.filter((line) => !there.includes(line)).map((line) => `${line} on the source`);
}

const ours = `n.nspname !~ '^pg_' and n.nspname not in ('information_schema', '_sluice')`;

async function unionOf(
  db: TestDatabase,
  { kinds, each, persistence = 'pu' }: { readonly kinds: string; readonly each: string; readonly persistence?: string },
): Promise<readonly string[]> {
  const [text] = await db.exec<{ text: string | null }>(
    `select string_agg(format(${each}, quote_ident(n.nspname) || '.' || quote_ident(c.relname), n.nspname, c.relname), ' union all ') as text
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in (${kinds}) and ${ours}
     and (c.relkind <> 'm' or c.relispopulated) and '${persistence}' ~ c.relpersistence::text`,
  );
  if (text?.text == null) return [];
  return (await db.exec<{ line: string }>(text.text)).map(({ line }) => line);
}

// Rows by their text, which is the same for the same values on every server. No change of an unlogged table is in the log, so
// that a mirror that follows makes it empty.
const rowsOf = (db: TestDatabase, persistence = 'pu') =>
  unionOf(db, {
    kinds: "'r', 'm'",
    each: `$$select %1$L || ': ' || count(*) || ' rows of ' || coalesce(sum(hashtextextended(t::text, 0)), 0) as line from only %2$I.%3$I t$$`,
    persistence,
  });
const loggedRowsOf = (db: TestDatabase) => rowsOf(db, 'p');

const sequencesOf = (db: TestDatabase) =>
  unionOf(db, {
    kinds: "'S'",
    each: `$$select %1$L || ': ' || last_value || ' ' || is_called as line from %2$I.%3$I$$`,
  });
