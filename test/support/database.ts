// A mirror of a whole database between two test databases, its steps run as a runner would, and what the ledger says of it.
import { randomBytes } from 'node:crypto';
import type { OptionValue } from '../../src/base/options.ts';
import type { ObjectLine } from '../../src/mirror/object.ts';
import { type MirroredTable, type MirrorWork, type ObjectScope, withSchemas } from '../../src/mirror/work.ts';
import { listTables } from '../../src/peers/inspect.ts';
import { copyAll, mirrorWork, pinned, type Told, table } from './copied.ts';
import { type SharedMajor, type TestDatabase, testDatabase } from './servers.ts';

export interface Sides extends AsyncDisposable {
  readonly from: TestDatabase;
  readonly to: TestDatabase;
}

/** Two databases with what these texts make. */
export async function sides(
  source: string,
  target = 'select 1',
  majors: readonly [SharedMajor, SharedMajor] = [18, 18],
): Promise<Sides> {
  const from = await testDatabase(majors[0]);
  const to = await testDatabase(majors[1]);
  await from.exec(source);
  await to.exec(target);
  return {
    from,
    to,
    async [Symbol.asyncDispose]() {
      await from[Symbol.asyncDispose]();
      await to[Symbol.asyncDispose]();
    },
  };
}

/** The database as a role of its own sees it that may make things in it and is no superuser; it goes with what it owns. */
export async function ordinaryRole(db: TestDatabase): Promise<TestDatabase> {
  const user = `plain_${randomBytes(4).toString('hex')}`;
  await db.exec(`create role ${user} login password 'x'; grant create on database "${db.database}" to ${user};
    grant all on schema public to ${user}`);
  return {
    ...db,
    ...{ user, password: 'x' },
    async [Symbol.asyncDispose]() {
      await db.exec(`drop owned by ${user} cascade; drop role ${user}`);
    },
  };
}

/** FOR ALL TABLES, or another scope, as CREATE MIRROR would write it down. */
export async function databaseWork(
  of: Pick<Sides, 'from' | 'to'>,
  options: Readonly<Record<string, OptionValue>> = { initial_copy_only: true },
  scope: ObjectScope = { kind: 'all' },
): Promise<MirrorWork> {
  await using db = await pinned(of.from);
  const found = await listTables(db, undefined, { unlogged: options.initial_copy_only === true });
  const pairs = new Map(scope.kind === 'schemas' ? scope.pairs.map(({ from, to }) => [from, to]) : []);
  const tables = found.flatMap((from): MirroredTable[] => {
    const to = scope.kind === 'schemas' ? pairs.get(from.schema) : from.schema;
    return to === undefined ? [] : [table('', { to: { schema: to, name: from.name }, ...{ from } })];
  });
  return { ...mirrorWork(of, withSchemas(tables, scope), options), scope };
}

/** Copies the whole database. */
export async function moveDatabase(
  of: Sides,
  options: Readonly<Record<string, OptionValue>> = { initial_copy_only: true },
): Promise<Told> {
  return await copyAll(await databaseWork(of, options));
}

/** The ledger's lines that are not simply made: `failed function public.f(integer): why`. */
export function exceptions(told: Told): readonly string[] {
  return [...told.objects.values()]
    .filter(({ state }) => state !== 'created' && state !== 'existed')
    .map((line) => `${line.state} ${shown(line)}: ${line.reason}`)
    .toSorted();
}

/** `function public.f(integer)`, of everything that was made or stood. */
export function made(told: Told, ...kinds: readonly ObjectLine['kind'][]): readonly string[] {
  return [...told.objects.values()]
    .filter(({ state, kind }) => (state === 'created' || state === 'existed') && kinds.includes(kind))
    .map(shown)
    .toSorted();
}

function shown({ kind, schema, name, table: of }: ObjectLine): string {
  return `${kind} ${schema === '' ? '' : `${schema}.`}${name}${of === '' ? '' : ` of ${of}`}`;
}
