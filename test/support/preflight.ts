// What a check before a mirror finds, for tests of it: a wish, two databases, and what is said of them.
import { randomBytes } from 'node:crypto';
import type { SluiceError } from '../../src/base/errors.ts';
import { readMirrorOptions } from '../../src/mirror/options.ts';
import type { MirroredTable } from '../../src/mirror/work.ts';
import { preflight } from '../../src/peers/preflight.ts';
import { type Finding, type MirrorPlan, throwFirstError } from '../../src/peers/preflight-finding.ts';
import type { Connection } from '../../src/pg/client.ts';
import { type SharedMajor, type TestDatabase, testDatabase } from './servers.ts';

/** What is asked for; what is left out is the usual: one table, t. */
export interface Wish {
  readonly tables?: readonly (string | Partial<MirroredTable>)[];
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  readonly publication?: MirrorPlan['publication'];
  readonly slot?: MirrorPlan['slot'];
  readonly scope?: MirrorPlan['scope'];
}

function planOf({ tables = ['t'], options = {}, publication, slot, scope = { kind: 'tables' } }: Wish): MirrorPlan {
  const written = Object.entries(options).map(([name, value]) => ({ name, value }));
  const table = (name: string) => ({ schema: 'public', name });
  const whole = { key: null, exclude: [], where: null };
  return {
    name: 'm',
    options: readMirrorOptions(written),
    tables: tables.map((each) => {
      if (typeof each === 'string') return { ...whole, from: table(each), to: table(each) };
      const from = each.from ?? table('t');
      return { ...whole, ...each, from, to: each.to ?? from };
    }),
    scope,
    publication: publication ?? { name: 'preflight_pub', made: true },
    slot: slot === undefined ? { name: `preflight_${randomBytes(4).toString('hex')}`, made: true } : slot,
    target: { metadataSchema: '_sluice' },
  };
}

export interface Sides {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
}

/** Looks from both sides’ own connections. */
export async function look({ source, target }: Sides, wish: Wish = {}): Promise<readonly Finding[]> {
  return await lookWith(source.connection, target.connection, wish);
}

/** Looks with the settings that Connection.open pins, without the search_path that tests put back. */
export async function lookWith(source: Connection, target: Connection, wish: Wish): Promise<readonly Finding[]> {
  for (const each of [source, target]) await each.client.query("set search_path = ''");
  const { findings } = await preflight(source, target, planOf(wish));
  for (const each of [source, target]) await each.client.query('set search_path = public');
  return findings;
}

/** What would refuse a mirror of that wish; undefined: nothing. */
export async function refusal(sides: Sides, wish: Wish = {}): Promise<SluiceError | undefined> {
  try {
    throwFirstError(await look(sides, wish));
    return undefined;
  } catch (error) {
    return error as SluiceError;
  }
}

/** One pair of databases for all tests of a file and major, of which each test begins with the empty ones. */
export interface Pair extends Sides, AsyncDisposable {
  empty(): Promise<Sides>;
}

export async function pairOf(major: SharedMajor): Promise<Pair> {
  const source = await testDatabase(major);
  const target = await testDatabase(major === 14 ? 18 : 14);
  return {
    source,
    target,
    async empty() {
      await Promise.all([empty(source), empty(target)]);
      return { source, target };
    },
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

async function empty(db: TestDatabase): Promise<void> {
  await db.exec(
    `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`,
  );
  for (const { name } of await db.exec<{ name: string }>('select quote_ident(pubname) as name from pg_publication')) {
    await db.exec(`drop publication ${name}`);
  }
  await db.exec(
    'drop schema if exists hidden cascade; drop schema public cascade; create schema public; grant usage on schema public to public',
  );
}
