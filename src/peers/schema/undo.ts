// What takes an object away again, or gives it another name: statements for the target, by kind. Pure.
import type { ObjectKind } from '../../mirror/object.ts';
import { ident, type Sql, sql, trusted } from '../../pg/sql.ts';

/** An object of the target. */
export interface Standing {
  readonly kind: string;
  readonly schema: string;
  readonly name: string;
  /** `(integer, text)` of a function. */
  readonly arguments: string;
  /** As showTable, which is SQL. */
  readonly table: string;
}

const words: Partial<Record<ObjectKind, string>> = {
  collation: 'collation',
  type: 'type',
  sequence: 'sequence',
  index: 'index',
  statistics: 'statistics',
  conversion: 'conversion',
  function: 'routine',
  procedure: 'routine',
  aggregate: 'routine',
  operator: 'operator',
  'text search parser': 'text search parser',
  'text search template': 'text search template',
  'text search dictionary': 'text search dictionary',
  'text search configuration': 'text search configuration',
  'foreign table': 'foreign table',
  view: 'view',
  'materialized view': 'materialized view',
  table: 'table',
};
const homeless: Partial<Record<ObjectKind, string>> = {
  schema: 'schema',
  extension: 'extension',
  language: 'language',
  server: 'server',
  'foreign-data wrapper': 'foreign data wrapper',
  'access method': 'access method',
  'event trigger': 'event trigger',
};
const bound: Partial<Record<ObjectKind, string>> = { trigger: 'trigger', rule: 'rule', policy: 'policy' };
const constraints: ReadonlySet<string> = new Set([
  'primary key',
  'unique constraint',
  'exclusion constraint',
  'check constraint',
  'not-null constraint',
  'foreign key',
]);

const lookUp = (list: Partial<Record<ObjectKind, string>>, kind: string): string | undefined =>
  list[kind as ObjectKind];

/**
 * Statements that remove it; none where nothing can, or where it goes with something else.
 * @param made the statements that made it: what only says something is unsaid by them
 */
export function dropStatements(object: Standing, made: readonly Sql[]): readonly Sql[] {
  const { kind, schema, name, table } = object;
  const word = lookUp(words, kind);
  if (word !== undefined) return [sql`drop ${trusted(word)} ${named(object)}`];
  const alone = lookUp(homeless, kind);
  if (alone !== undefined) return [sql`drop ${trusted(alone)} ${ident(name)}`];
  const ofTable = lookUp(bound, kind);
  if (ofTable !== undefined) return [sql`drop ${trusted(ofTable)} ${ident(name)} on ${trusted(table)}`];
  if (constraints.has(kind)) return [sql`alter table ${trusted(table)} drop constraint ${ident(name)}`];
  switch (kind) {
    case 'comment':
      return made.flatMap(({ text }) => unsaid(text, /^(comment on [\s\S]*?) is '[\s\S]*$/, '$1 is null'));
    case 'grant':
      return made.map(({ text }) => trusted(taken(text)));
    case 'row security':
      return [
        sql`alter table ${trusted(table)} ${trusted(name === 'forced' ? 'no force' : 'disable')} row level security`,
      ];
    case 'view default':
      return made.flatMap(({ text }) => unsaid(text, /^(alter view [\s\S]*?) set default [\s\S]*$/, '$1 drop default'));
    case 'cast':
    case 'transform':
      return made.flatMap(({ text }) =>
        unsaid(text, /^create (cast \([^)]*\)|transform for [\s\S]*? \()[\s\S]*$/, 'drop $1'),
      );
    case 'inheritance':
      return made.flatMap(({ text }) => unsaid(text, /^(alter table [\s\S]*) inherit /, '$1 no inherit '));
    default:
      void schema;
      return [];
  }
}

function unsaid(text: string, pattern: RegExp, by: string): readonly Sql[] {
  return pattern.test(text) ? [trusted(text.replace(pattern, by))] : [];
}

// `grant … on … to …` and the other way round; who speaks stays.
function taken(text: string): string {
  if (text.startsWith('grant ')) {
    const list = text.replace(/ with grant option$/, '');
    const at = list.lastIndexOf(' to ');
    return `revoke ${list.slice('grant '.length, at)} from ${list.slice(at + ' to '.length)}`;
  }
  if (!text.startsWith('revoke ')) return text;
  const at = text.lastIndexOf(' from ');
  return `grant ${text.slice('revoke '.length, at)} to ${text.slice(at + ' from '.length)}`;
}

function named({ schema, name, arguments: args }: Standing): Sql {
  return sql`${schema === '' ? ident(name) : ident(schema, name)}${trusted(args)}`;
}

const renamable: ReadonlySet<string> = new Set([
  ...Object.keys(words),
  ...['schema', 'server', 'event trigger', 'language'],
]);

/** Statements that make one of the other; null: it must be dropped and made again. A table's own kinds are renamed by these, too. */
export function renameStatements(before: Standing, now: Standing): readonly Sql[] | null {
  const { kind } = before;
  if (kind !== now.kind || kind === 'operator') return null;
  // Its relation was renamed before it.
  if (constraints.has(kind)) {
    return [sql`alter table ${trusted(now.table)} rename constraint ${ident(before.name)} to ${ident(now.name)}`];
  }
  const ofTable = lookUp(bound, kind);
  if (ofTable !== undefined) {
    return [sql`alter ${trusted(ofTable)} ${ident(before.name)} on ${trusted(now.table)} rename to ${ident(now.name)}`];
  }
  if (!renamable.has(kind)) return null;
  const word = lookUp(words, kind) ?? lookUp(homeless, kind) ?? kind;
  // The arguments may be of types that were renamed before.
  const moved = { ...before, arguments: now.arguments };
  const steps: Sql[] = [];
  // An index lies where its table does.
  if (before.schema !== now.schema && kind !== 'index' && kind !== 'schema') {
    steps.push(sql`alter ${trusted(word)} ${named(moved)} set schema ${ident(now.schema)}`);
  }
  if (before.name !== now.name) {
    const there = { ...moved, schema: now.schema };
    steps.push(sql`alter ${trusted(word)} ${named(there)} rename to ${ident(now.name)}`);
  }
  return steps;
}

/** Whether rows that come after the drop of it may not fit while it is there, or a column may not go. */
export function isEarly(kind: string): boolean {
  return kind !== 'schema' && kind !== 'table' && kind !== 'extension' && kind !== 'grant' && kind !== 'comment';
}
