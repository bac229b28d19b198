// What tables and their columns say themselves: where a table of the target says less, or something else. Pure.
import { type ObjectName, objectKey } from '../mirror/object.ts';
import { ident, type Sql, sql, trusted } from '../pg/sql.ts';
import { type Column, showTable, type Table } from '../pg/table.ts';
import type { Asked } from './asked.ts';
import { storageOptions } from './ddl.ts';
import { sameExpression, tableDifferences } from './ddl-fit.ts';
import { sameBounds } from './ddl-lacking.ts';
import { knownOptions } from './ddl-properties.ts';
import { tableObject } from './ddl-tree.ts';
import { identities, storages } from './found-settings.ts';
import type { ObjectContext, Place } from './objects-input.ts';
import { leaveOut, type PlannedObject, refused, type Subject, showSteps, stands, toMake } from './objects-planned.ts';
import { follow, type Renames } from './schema/follow.ts';

/** How tables are compared. */
export interface PropertyRules {
  readonly renames: Renames;
  /** Whether changes will follow: columns that come or go on the source do so on the target, too. */
  readonly follows: boolean;
  /** Columns of ours. */
  readonly added: readonly string[];
  readonly asked: Asked;
  /** Ledger keys of tables that the mirror made: what they lack is nobody's wish. */
  readonly made: ReadonlySet<string>;
  /** Of the source. */
  readonly version: number;
}

/** A difference: why, and what would mend it. */
interface Difference {
  readonly name: string;
  readonly reason: string;
  readonly mend: readonly Sql[];
}

/**
 * Every difference of a property: left out where the table stood before, which is used as it is, and failed where the mirror made it.
 * What was asked for again comes too where there is none any more, and what failed is made.
 */
export function planProperties(context: ObjectContext, rules: PropertyRules): readonly PlannedObject[] {
  return [...context.places.values()].flatMap((place) => {
    const differences = differencesOf(context, place, rules);
    const named = new Set(differences.map(({ name }) => name));
    const asked = rules.asked.properties(showTable(place.source)).filter((name) => !named.has(name));
    const again = asked.filter((name) => isCompared(name, place, context.target.version));
    return [
      ...differences.map((each) => plan(place, each, rules)),
      ...again.map((name) => stands(subjectOf(place, name))),
    ];
  });
}

const ofColumn =
  /^(?:default|NOT NULL|identity|statistics target|storage|option \S+) of (.*)$|^generated column (.*)$/s;

// Others are planned elsewhere, or the source has them no more.
function isCompared(name: string, { source }: Place, version: number): boolean {
  if (['columns', 'replica identity', 'unlogged', 'logged', 'bounds'].includes(name)) return true;
  const options = knownOptions(source.options, version);
  if (options.some((option) => name === `storage parameter ${nameOf(option)}`)) return true;
  const [, column, generated] = ofColumn.exec(name) ?? [];
  return source.columns.some((each) => each.name === (column ?? generated));
}

function plan(place: Place, { name, reason, mend }: Difference, { asked, made }: PropertyRules): PlannedObject {
  const subject = subjectOf(place, name);
  const failed = asked.failed(objectKey(subject.name));
  if (mend.length > 0 && failed) return toMake(subject, [mend]);
  const statement = mend.length === 0 ? '' : showSteps([mend]);
  if (failed || made.has(objectKey(tableObject(place.source)))) return refused(subject, { reason, statement });
  return leaveOut(subject, reason, statement === '' ? undefined : statement);
}

function subjectOf({ source, to }: Place, name: string): Subject {
  const object: ObjectName = { kind: 'property', schema: source.schema, name, table: showTable(source) };
  return { name: object, stage: 'settings', table: to };
}

function differencesOf(context: ObjectContext, place: Place, rules: PropertyRules): readonly Difference[] {
  const { source, there } = place;
  const isTable = ({ kind }: { readonly kind: string }) => kind === 'r' || kind === 'p';
  if (!isTable(source) || !isTable(there)) return [];
  return [...ofColumns(context, place, rules), ...ofTable(context, place), ...misfits(context, place, rules)];
}

// What was looked at before the copy began, and would be followed.
function misfits(
  { target }: ObjectContext,
  { source, there, exclude }: Place,
  { follows, added }: PropertyRules,
): readonly Difference[] {
  if (follows) return [];
  const found = tableDifferences(source, there, { exclude: [...exclude], added, follows, version: target.version });
  return found.length === 0 ? [] : [{ name: 'columns', reason: found.join('; '), mend: [] }];
}

function ofTable(context: ObjectContext, { source, to, there }: Place): readonly Difference[] {
  const alter = () => sql`alter table ${ident(to.schema, to.name)}`;
  const list: Difference[] = [];
  const identity = identities[source.replicaIdentity];
  if (identity !== undefined && source.replicaIdentity !== there.replicaIdentity) {
    const is = identities[there.replicaIdentity] ?? 'an index';
    const mend = [sql`${alter()} replica identity ${trusted(identity)}`];
    list.push({ name: 'replica identity', reason: `it is ${is} on the target and ${identity} on the source`, mend });
  }
  for (const option of lacking(knownOptions(source.options, context.target.version), there.options)) {
    // A table without large values has none to set them for.
    if (option.startsWith('toast.')) continue;
    const mend = [sql`${alter()} set (${storageOptions([option])})`];
    list.push(other(`storage parameter ${nameOf(option)}`, { option, there: there.options, mend }));
  }
  if (source.kind === 'r' && source.persistence !== there.persistence) {
    const [name, is, set] =
      source.persistence === 'u' ? ['unlogged', 'logged', sql`unlogged`] : ['logged', 'unlogged', sql`logged`];
    list.push({ name, reason: `the table of the target is ${is}`, mend: [sql`${alter()} set ${set}`] });
  }
  const [bound, its] = [source.partitionOf?.bound, there.partitionOf?.bound];
  if (bound !== undefined && its !== undefined && !sameBounds(bound, its)) {
    list.push({ name: 'bounds', reason: `they are ${its} on the target and ${bound} on the source`, mend: [] });
  }
  return list;
}

function ofColumns(
  context: ObjectContext,
  { source, to, there, exclude, tree }: Place,
  rules: PropertyRules,
): readonly Difference[] {
  const { version } = context.target;
  const comes = withOthers(context, source);
  const byName = new Map(there.columns.map((column) => [column.name, column]));
  return source.columns.flatMap((column): readonly Difference[] => {
    if (exclude.has(column.name)) return [];
    const same = byName.get(column.name);
    const alter = () => sql`alter table ${ident(to.schema, to.name)} alter column ${ident(column.name)}`;
    if (same === undefined)
      return column.generated === ''
        ? []
        : [{ name: `generated column ${column.name}`, reason: 'it is not on the target', mend: [] }];
    const isRoot = source === tree.root;
    return [
      ...ofValue(alter, { column, same, isRoot, rules, version }),
      ...(comes.has(column.attnum) ? [] : ofNulls(alter, { column, same, version })),
      ...ofStorage(alter, column, same),
    ];
  });
}

// Columns (attnum) whose NOT NULL comes with the key, from the parents, or as a constraint with a line of its own.
function withOthers({ source }: ObjectContext, table: Table): ReadonlySet<number> {
  const key = new Set(table.primaryKey?.columns);
  const handed = table.columns.filter(({ name, notNullLocal }) => key.has(name) || notNullLocal === false);
  const own = source.constraints.filter((each) => each.type === 'n' && each.table === table.oid);
  return new Set([...handed.map(({ attnum }) => attnum), ...own.flatMap(({ columns }) => columns)]);
}

function ofValue(
  alter: () => Sql,
  how: {
    readonly column: Column;
    readonly same: Column;
    readonly isRoot: boolean;
    readonly rules: PropertyRules;
    readonly version: number;
  },
): readonly Difference[] {
  const { column, same, isRoot, rules, version } = how;
  // Servers of one version print what is the same in the same words, and so do columns of one type.
  const isExact =
    Math.floor(version / 10_000) === Math.floor(rules.version / 10_000) &&
    column.type.text === same.type.text &&
    rules.renames.names.size === 0;
  const isSame = (a: string, b: string) => (isExact ? a === b : sameExpression(a, b));
  if (column.generated !== '') {
    const name = `generated column ${column.name}`;
    if (same.generated === '') return [{ name, reason: 'it is a plain column on the target', mend: [] }];
    const [wanted, is] = [follow(column.default ?? '', rules.renames).text, same.default ?? ''];
    return isSame(wanted, is) ? [] : [{ name, reason: `it is ${is} on the target`, mend: [] }];
  }
  if (column.identity !== '') {
    // A partition has it from its parent, or has none.
    if (!isRoot || same.identity === column.identity) return [];
    const name = `identity of ${column.name}`;
    // One that is made now would begin at 1, before rows that are there.
    if (same.identity === '') return [{ name, reason: 'the target has none', mend: [] }];
    const kind = column.identity === 'a' ? sql`always` : sql`by default`;
    return [{ name, reason: 'it is of the other kind on the target', mend: [sql`${alter()} set generated ${kind}`] }];
  }
  if (column.default === null) return [];
  const name = `default of ${column.name}`;
  const followed = follow(column.default, rules.renames).text;
  // The sequence of a renamed table has another name there.
  const calls = column.default.includes('::regclass');
  const mend = calls ? [] : [sql`${alter()} set default ${trusted(followed)}`];
  if (same.default === null) return [{ name, reason: 'the target has none', mend }];
  if (calls || isSame(same.default, followed)) return [];
  return [{ name, reason: `it is ${same.default} on the target`, mend }];
}

function ofNulls(
  alter: () => Sql,
  { column, same, version }: { readonly column: Column; readonly same: Column; readonly version: number },
): readonly Difference[] {
  // One that is not handed down cannot be said to an older server, which was told of before.
  if (!column.notNull || same.notNull || (column.notNullNoInherit && version < 180_000)) return [];
  const reason = 'the target’s column may be NULL';
  return [{ name: `NOT NULL of ${column.name}`, reason, mend: [sql`${alter()} set not null`] }];
}

function ofStorage(alter: () => Sql, column: Column, same: Column): readonly Difference[] {
  const list: Difference[] = [];
  if (column.statisticsTarget >= 0 && column.statisticsTarget !== same.statisticsTarget) {
    const mend = [sql`${alter()} set statistics ${trusted(String(column.statisticsTarget))}`];
    const is = same.statisticsTarget < 0 ? 'the default' : same.statisticsTarget;
    list.push({ name: `statistics target of ${column.name}`, reason: `it is ${is} on the target`, mend });
  }
  if (column.storage !== '' && column.storage !== same.storage) {
    const mend = [sql`${alter()} set storage ${trusted(storages[column.storage])}`];
    list.push({ name: `storage of ${column.name}`, reason: `it is ${storages[same.storage]} on the target`, mend });
  }
  for (const option of lacking(column.options, same.options)) {
    const mend = [sql`${alter()} set (${storageOptions([option])})`];
    list.push(other(`option ${nameOf(option)} of ${column.name}`, { option, there: same.options, mend }));
  }
  return list;
}

function lacking(wanted: readonly string[], there: readonly string[]): readonly string[] {
  return wanted.filter((option) => !there.includes(option));
}

function other(
  name: string,
  {
    option,
    there,
    mend,
  }: { readonly option: string; readonly there: readonly string[]; readonly mend: readonly Sql[] },
): Difference {
  const is = there.find((each) => nameOf(each) === nameOf(option));
  return { name, reason: is === undefined ? 'the target has none' : `it is ${is} on the target`, mend };
}

function nameOf(option: string): string {
  return option.slice(0, option.indexOf('='));
}
