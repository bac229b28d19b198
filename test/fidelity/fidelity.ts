// Compares both sides of a mirror as pg_dump prints them, and holds each difference against the mirror's ledger.
import type { RunningWorld } from '../support/running.ts';
import { databaseOn, type ServerAddress, type TestDatabase } from '../support/servers.ts';
import { type DumpedObject, dumpSchema, objectsOf, restorable } from './dump.ts';

/** A line of sluice.objects. */
export interface Line {
  readonly kind: string;
  readonly schema: string;
  readonly name: string;
  readonly source_table: string | null;
  readonly state: string;
  readonly reason: string | null;
  readonly statement: string | null;
}

export interface Difference {
  readonly key: string;
  readonly object: DumpedObject;
  readonly source: string | undefined;
  readonly target: string | undefined;
}

/** Lines that say of an object that it is not there as it is on the source. */
export async function exceptions(it: RunningWorld, mirror: string): Promise<readonly Line[]> {
  return await it.world.database.exec<Line>(
    `select kind, schema, name, source_table, state, reason, statement from sluice.objects
     where mirror = '${mirror}' and state not in ('created', 'existed') order by kind, schema, name, source_table`,
  );
}

/**
 * What pg_dump prints of one side only, or otherwise. Two majors print some views, functions and constraints in other words:
 * then the target's are right if they are what a dump of the source prints once it was restored on the target's server.
 */
export async function differences(
  source: TestDatabase,
  target: TestDatabase,
  restoreOn?: ServerAddress,
): Promise<readonly Difference[]> {
  const dump = await dumpSchema(source);
  // Owners aside.
  const owned = (text: string) =>
    text.replaceAll(new RegExp(`(?<= (TO|FROM) )${target.user};`, 'g'), `${source.user};`);
  const there = objectsOf(owned(await dumpSchema(target)));
  const here = objectsOf(dump);
  const restored = restoreOn === undefined ? here : await restoredObjects(dump, target, restoreOn);
  const found: Difference[] = [];
  for (const key of new Set([...here.keys(), ...there.keys()])) {
    const [one, two] = [here.get(key), there.get(key)];
    const object = one ?? two;
    // Of schema public nothing is left where its owner is left aside.
    if (
      object === undefined ||
      isOurs(object) ||
      (one?.text ?? two?.text) === '' ||
      one?.text === two?.text ||
      restored.get(key)?.text === two?.text
    )
      continue;
    found.push({ key, object, source: one?.text, target: two?.text });
  }
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

// The publication of a mirror that follows.
function isOurs({ type, name }: DumpedObject): boolean {
  return /^(COMMENT )?PUBLICATION( TABLE)? (PUBLICATION )?peerflow_pub_/.test(`${type} ${name}`);
}

async function restoredObjects(dump: string, target: TestDatabase, server: ServerAddress) {
  await using copy = await databaseOn(server, target.major);
  // What one server dumps is not always taken by another: then only the same words will do.
  // Nor are words that are newer than it.
  const known = target.major < 17 ? dump.replaceAll(',MAINTAIN', '') : dump;
  for (const part of restorable(known)) await copy.exec(part).catch(() => []);
  return objectsOf(await dumpSchema(copy));
}

export interface Verdict {
  /** Differences that no line of the ledger explains. */
  readonly unexplained: readonly string[];
  /** Lines of the ledger that explain no difference. */
  readonly idle: readonly string[];
}

/** Each difference needs one line of the ledger and each line a difference. */
export function judge(found: readonly Difference[], lines: readonly Line[]): Verdict {
  const used = new Set<Line>();
  const unexplained = found.filter((difference) => {
    const why = lines.filter((line) => explains(line, difference));
    for (const line of why) used.add(line);
    return why.length === 0;
  });
  return {
    unexplained: unexplained.map(show),
    idle: lines
      // Owners are left aside on both sides.
      .filter((line) => !used.has(line) && line.kind !== 'owner')
      .map(
        ({ kind, schema, name, source_table: of, state, reason }) =>
          `${state} ${kind} ${schema}.${name} of ${of}: ${reason}`,
      ),
  };
}

function show({ key, source, target }: Difference): string {
  const lines = (text: string | undefined) => (text ?? '').split('\n');
  const only = (a: readonly string[], b: readonly string[], sign: string) =>
    a.filter((line) => line.trim() !== '' && !b.includes(line)).map((line) => `  ${sign} ${line}`);
  const [one, two] = [lines(source), lines(target)];
  return [key, ...only(one, two, '-'), ...only(two, one, '+')].join('\n');
}

// What pg_dump calls the kinds of the ledger, where it calls them otherwise.
const types: Readonly<Record<string, readonly string[]>> = {
  'primary key': ['CONSTRAINT', 'INDEX ATTACH'],
  'unique constraint': ['CONSTRAINT', 'INDEX ATTACH'],
  'exclusion constraint': ['CONSTRAINT', 'INDEX ATTACH'],
  'check constraint': ['CHECK CONSTRAINT', 'TABLE'],
  'not-null constraint': ['CONSTRAINT', 'TABLE'],
  'foreign key': ['FK CONSTRAINT'],
  index: ['INDEX', 'INDEX ATTACH'],
  table: ['TABLE', 'DEFAULT', 'SEQUENCE', 'TABLE ATTACH'],
  property: ['TABLE', 'INDEX', 'CONSTRAINT'],
  inheritance: ['TABLE'],
  cluster: ['INDEX', 'CONSTRAINT'],
  grant: ['ACL'],
  'default privileges': ['DEFAULT ACL'],
  setting: ['TRIGGER', 'EVENT TRIGGER', 'TABLE'],
  publication: ['PUBLICATION', 'PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA'],
  'operator family member': ['OPERATOR FAMILY', 'OPERATOR CLASS'],
  'foreign-data wrapper': ['FOREIGN DATA WRAPPER'],
  'row security': ['ROW SECURITY', 'TABLE'],
  aggregate: ['AGGREGATE'],
};

const plain = (name: string) => name.replaceAll('"', '').replaceAll(/[\r\n]/g, ' ');

// Names of functions, operators and classes, which both print with spaces, quotes and letters of their own.
const bare = (name: string) => plain(name).replaceAll(/\s/g, '').toLowerCase();

function explains(line: Line, { object }: Difference): boolean {
  const known = types[line.kind] ?? [line.kind.toUpperCase()];
  if (!known.includes(object.type)) return false;
  const name = plain(object.name);
  const table = plain(line.source_table ?? '');
  const tableName = table.slice(table.indexOf('.') + 1);
  const within = (text: string) => (object.schema === '' ? text : text.replaceAll(`${bare(object.schema)}.`, ''));
  const own = within(bare(line.name));
  const there = within(bare(object.name));
  switch (line.kind) {
    case 'user mapping': {
      const [user, server] = line.name.split(' on ');
      return name === `USER MAPPING ${user} SERVER ${server}`;
    }
    case 'grant': {
      const of = name.slice(name.indexOf(' ') + 1);
      return table === '' ? own.endsWith(there) : of === tableName || of.startsWith(`${tableName}.`);
    }
    case 'default privileges':
      return plain(line.name).startsWith(name.replace('DEFAULT PRIVILEGES FOR ', '').toLowerCase());
    case 'setting':
      return plain(line.name).endsWith(name.startsWith(`${tableName} `) ? name.slice(tableName.length + 1) : name);
    case 'property':
      return name === tableName || plain(line.name).endsWith(` ${name.slice(name.indexOf(' ') + 1)}`);
    case 'publication':
      return name === plain(line.name) || name.startsWith(`${plain(line.name)} `);
    case 'operator class':
      return own.startsWith(`${there}using`);
    case 'operator family member':
      return own.includes(`of${there}using`);
    default:
      return (
        there.endsWith(own) ||
        own.endsWith(there) ||
        (table !== '' &&
          (there === bare(tableName) || there === own + bare(tableName) || there === `${own}on${bare(tableName)}`))
      );
  }
}
