// Indexes and the constraints that stand on them: which of them stand, and the statements that make the rest. Pure.
import { type ObjectKind, type ObjectName, objectKey } from '../mirror/object.ts';
import { ident, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { withStorage } from './ddl.ts';
import { tablespaceReason } from './ddl-properties.ts';
import { absence, excludedOf, type ObjectContext, type Place } from './objects-input.ts';
import {
  excludedReason,
  inTheWay,
  leaveOut,
  needsVersion,
  type PlannedObject,
  type Subject,
  showSteps,
  stands,
  toMake,
} from './objects-planned.ts';
import type { IndexConstraint, IndexFacts } from './objects-read.ts';

const kinds: Readonly<Record<IndexConstraint['type'], ObjectKind>> = {
  p: 'primary key',
  u: 'unique constraint',
  x: 'exclusion constraint',
};

/** The name in the ledger of an index, or of the constraint on it. */
export function indexObject(index: IndexFacts, table: TableName): ObjectName {
  const kind = index.constraint === null ? 'index' : kinds[index.constraint.type];
  return { kind, schema: index.schema, name: index.name, table: showTable(table) };
}

/** An index of the source with everything that its plan needs. */
interface Wanted {
  readonly context: ObjectContext;
  readonly index: IndexFacts;
  readonly place: Place;
  readonly to: TableName;
  readonly subject: Subject;
  /** Indexes of the partitions that it takes as its own. */
  readonly parts: readonly IndexFacts[];
}

/** All indexes of the mirrored tables, those of partitions before those that take them as their own. */
export function planIndexes(context: ObjectContext): readonly PlannedObject[] {
  return context.source.indexes.flatMap((index) => {
    const member = context.members.get(index.table);
    if (member === undefined) return [];
    const place = context.places.get(index.table);
    const to = nameOf(context, index, member.to);
    const excludes = index.constraint?.type === 'x';
    if (excludes && index.parent !== null) return [];
    const onParts = place === undefined ? [] : partsOf(context, index, place);
    const subject: Subject = {
      name: indexObject(index, member.source),
      stage: excludes ? 'constraints' : 'indexes',
      // A constraint locks the whole tree; an index that is built, its own table.
      table: excludes ? member.tree.mapping.to : member.to,
      bytes: index.bytes,
      level: place?.there.kind === 'p' ? levelOf(context, index) : 0,
      needs: onParts.map((part) => objectKey(indexObject(part, context.places.get(part.table)?.source ?? part))),
    };
    if (place === undefined) return [leaveOut(subject, absence(context, member))];
    return [planIndex({ context, index, place, to, subject, parts: onParts })];
  });
}

// How many indexes it is above the lowest one: the deepest part's level and one.
function levelOf(context: ObjectContext, index: IndexFacts): number {
  const tree = context.members.get(index.table)?.tree;
  const depths = new Map<string, number>();
  for (const table of [tree?.root, ...(tree?.partitions ?? [])]) {
    if (table === undefined) continue;
    const parent = table.partitionOf === null ? -1 : (depths.get(showTable(table.partitionOf.parent)) ?? -1);
    depths.set(showTable(table), parent + 1);
  }
  const own = context.members.get(index.table);
  const depth = own === undefined ? 0 : (depths.get(showTable(own.source)) ?? 0);
  return Math.max(...depths.values(), 0) - depth + 1;
}

function planIndex(wanted: Wanted): PlannedObject {
  const { context, index, place, subject } = wanted;
  const { constraint } = index;
  const excluded = excludedOf(place, index.columns);
  if (excluded.length > 0) return leaveOut(subject, excludedReason(excluded));
  if (index.kind === 'i' && !index.valid) return leaveOut(subject, 'it is not valid on the source');
  const lacking = versionReason(context, index, place);
  if (lacking !== null) return leaveOut(subject, lacking);
  if (constraint?.type === 'p') return planKey(wanted);
  if (context.keepsDeleted && (index.unique || constraint?.type === 'x') && !index.identity) {
    return leaveOut(subject, 'rows that are deleted stay on the target (soft_delete) and may hold the same values');
  }
  const { using } = index;
  if (using === null) return inTheWay(subject, 'its definition on the source is of a shape that we do not know');
  const there = findStanding(wanted);
  if (there === undefined) return toMake(subject, makeSteps(wanted, using));
  const difference = differenceOf(index, there);
  if (difference !== null) return inTheWay(subject, `${showTable(there)} stands on the target and ${difference}`);
  if (there.kind === 'i' && !there.valid)
    return inTheWay(subject, `${showTable(there)} is not valid on the target; drop it there`);
  const settings = statisticsTargets(index, there);
  const steps = [
    ...(settings.length > 0 ? [settings] : []),
    ...(constraint !== null && there.constraint === null ? [[constraintOnIndex(wanted, constraint)]] : []),
    ...attachSteps({ ...wanted, to: there }, unattached(wanted, there)),
  ];
  if (steps.length > 0) return toMake(subject, steps);
  return stands(subject, there.name === wanted.to.name ? undefined : `as ${showTable(there)}`);
}

function versionReason({ target }: ObjectContext, index: IndexFacts, place: Place): string | null {
  const { version } = target;
  if (index.nullsNotDistinct && version < 150_000) return needsVersion('it is NULLS NOT DISTINCT', 15);
  if (index.constraint?.period && version < 180_000) return needsVersion('it is WITHOUT OVERLAPS', 18);
  if (index.constraint?.type === 'x' && place.there.kind === 'p' && version < 170_000) {
    return needsVersion('it is an exclusion constraint of a partitioned table', 17);
  }
  return null;
}

// Most keys are made before, under a name that may be another; a table that stood keeps the one that it has.
function planKey(wanted: Wanted): PlannedObject {
  const { context, index, place, subject, to } = wanted;
  const { constraint, using } = index;
  const own = context.standing.get(place.there.oid)?.indexes ?? [];
  if (own.some((each) => each.constraint?.type === 'p')) return stands(subject);
  const again = context.asked?.failed(objectKey(subject.name)) ? 'index first' : undefined;
  const late = context.lateKeys?.get(index.table) ?? again;
  if (late === undefined || constraint === null || using === null)
    return leaveOut(subject, `${showTable(place.to)} stands without it on the target`);
  const there = own.find((each) => each.name === to.name);
  if (there === undefined) return toMake(subject, makeSteps(wanted, using, late === 'at once'));
  // Of a try that ended between the two.
  const difference = there.valid ? differenceOf(index, there) : 'is not valid';
  if (difference !== null) return inTheWay(subject, `${showTable(there)} stands on the target and ${difference}`);
  return toMake(subject, [[constraintOnIndex(wanted, constraint)]]);
}

/**
 * The target's index of that name on that table, or one that does its work under another: of the replica identity, taken by its
 * parent's counterpart, or one that has taken those of the partitions.
 */
function findStanding(wanted: Omit<Wanted, 'subject'>): IndexFacts | undefined {
  const { context, index, place, to } = wanted;
  const own = context.standing.get(place.there.oid)?.indexes ?? [];
  const named = own.find((each) => each.name === to.name);
  if (named !== undefined) return named;
  // By which the table is known: where the name was taken, it has another.
  const identity = own.find((each) => each.identity && index.identity && each.using === index.using);
  if (identity !== undefined) return identity;
  const held = own.find(
    (each) =>
      (each.constraint === null) === (index.constraint === null) &&
      differenceOf(index, each) === null &&
      wanted.parts.some((part) => standingPart(wanted, part)?.parent === each.oid),
  );
  if (held !== undefined || index.parent === null) return held;
  const parent = context.names.get(index.parent);
  return own.find((each) => {
    const above = each.parent === null ? undefined : context.targetIndexes.get(each.parent);
    return above !== undefined && parent !== undefined && showTable(above) === showTable(parent);
  });
}

// What stands by the name of a partition's index.
function standingPart({ context }: Pick<Wanted, 'context'>, part: IndexFacts): IndexFacts | undefined {
  const place = context.places.get(part.table);
  const name = context.names.get(part.oid);
  const own = place === undefined ? [] : (context.standing.get(place.there.oid)?.indexes ?? []);
  return own.find((each) => each.name === name?.name);
}

/** In what an index of the target is another than the source's; null: in nothing. What is not said yet may still be said. */
function differenceOf(source: IndexFacts, target: IndexFacts): string | null {
  if (source.unique !== target.unique) return target.unique ? 'is unique' : 'is not unique';
  if (target.constraint !== null && source.constraint === null)
    return `stands behind a ${kinds[target.constraint.type]}`;
  if (target.constraint !== null && source.constraint !== null) {
    const { definition } = target.constraint;
    return definition === source.constraint.definition ? null : `is ${definition}`;
  }
  return source.using === target.using ? null : `is USING ${target.using}`;
}

function makeSteps(wanted: Wanted, using: string, atOnce = false): readonly (readonly Sql[])[] {
  const { index, place, to, parts } = wanted;
  const { constraint } = index;
  const partitioned = place.there.kind === 'p';
  const table = ident(place.to.schema, place.to.name);
  // Without the partitions' consent: they have their indexes already and hand them over.
  const only = partitioned ? sql`only ` : sql``;
  const [attach = [], ...more] = attachSteps(wanted, parts);
  if (constraint !== null && (atOnce || partitioned || constraint.type === 'x' || constraint.period)) {
    // The clause of an exclusion constraint says its parameters itself.
    const clause =
      constraint.type === 'x' ? trusted(constraint.definition) : withStorage(constraint.definition, index.options);
    const alone = constraint.type === 'x' ? sql`` : only;
    const add = sql`alter table ${alone}${table} add constraint ${ident(to.name)} ${clause}`;
    return [[add, ...statisticsTargets(index, to), ...attach], ...more];
  }
  const unique = index.unique ? sql`unique ` : sql``;
  const create = sql`create ${unique}index ${ident(to.name)} on ${only}${table} using ${trusted(using)}`;
  // In a transaction of its own: with the build's lock still held, two sessions could wait for each other.
  const constrain = constraint === null ? [] : [[constraintOnIndex(wanted, constraint)]];
  return [[create, ...statisticsTargets(index, to), ...attach], ...more, ...constrain];
}

function constraintOnIndex({ place, to }: Wanted, constraint: IndexConstraint): Sql {
  const deferrable = constraint.deferrable ? sql` deferrable` : sql``;
  const deferred = constraint.deferred ? sql` initially deferred` : sql``;
  const kind = constraint.type === 'p' ? sql`primary key` : sql`unique`;
  return sql`alter table ${ident(place.to.schema, place.to.name)} add constraint ${ident(to.name)} ${kind} using index ${ident(to.name)}${deferrable}${deferred}`;
}

function unattached({ context, parts }: Wanted, there: IndexFacts): readonly IndexFacts[] {
  return parts.filter((part) => {
    const place = context.places.get(part.table);
    const own = place === undefined ? [] : (context.standing.get(place.there.oid)?.indexes ?? []);
    return !own.some((each) => each.parent === there.oid);
  });
}

// Each locks a table; a server has room for some thousand locks in one transaction.
const attachedTogether = 200;

function attachSteps({ context, to }: Wanted, parts: readonly IndexFacts[]): readonly (readonly Sql[])[] {
  const statements = parts.flatMap((part) => {
    const name = context.names.get(part.oid);
    if (name === undefined) return [];
    return [sql`alter index ${ident(to.schema, to.name)} attach partition ${ident(name.schema, name.name)}`];
  });
  const steps: Sql[][] = [];
  for (let at = 0; at < statements.length; at += attachedTogether) {
    steps.push(statements.slice(at, at + attachedTogether));
  }
  return steps;
}

// Those that the index of the target, of that name, has not.
function statisticsTargets(index: IndexFacts, to: TableName & Partial<Pick<IndexFacts, 'statistics'>>): readonly Sql[] {
  const has = (column: number, target: number) =>
    to.statistics?.some((each) => each.column === column && each.target === target) ?? false;
  return index.statistics
    .filter(({ column, target }) => !has(column, target))
    .map(
      ({ column, target }) =>
        sql`alter index ${ident(to.schema, to.name)} alter column ${literal(column)} set statistics ${literal(target)}`,
    );
}

/** Where an index lies on the source, which is nowhere on the target. */
export function planTablespaces(context: ObjectContext): readonly PlannedObject[] {
  return context.source.indexes.flatMap((index) => {
    const place = context.places.get(index.table);
    if (index.tablespace === null || place === undefined) return [];
    const of = index.constraint === null ? 'index' : 'constraint';
    const name = `tablespace ${index.tablespace} of ${of} ${index.name}`;
    const object: ObjectName = { kind: 'property', schema: index.schema, name, table: showTable(place.source) };
    return [leaveOut({ name: object, stage: 'settings', table: place.to }, tablespaceReason)];
  });
}

/** CLUSTER ON, as objects of their own. */
export function planClusters(context: ObjectContext): readonly PlannedObject[] {
  return context.source.indexes.flatMap((index) => {
    const place = context.places.get(index.table);
    if (!index.clustered || place === undefined) return [];
    const subject: Subject = {
      name: { kind: 'cluster', schema: index.schema, name: index.name, table: showTable(place.source) },
      stage: 'settings',
      table: place.to,
      needs: [objectKey(indexObject(index, place.source))],
    };
    const standing = standingIndex(context, index, place);
    if (standing?.clustered) return [stands(subject)];
    const { name } = standing ?? nameOf(context, index, place.to);
    return [toMake(subject, [[sql`alter table ${ident(place.to.schema, place.to.name)} cluster on ${ident(name)}`]])];
  });
}

/**
 * REPLICA IDENTITY USING INDEX. That of another index than the key's own is made with the index; a table of the target that was told
 * to be known by something else stays so, unless that was asked for once more.
 */
export function planIdentities(context: ObjectContext): readonly PlannedObject[] {
  return context.source.indexes.flatMap((index) => {
    const place = context.places.get(index.table);
    if (!index.identity || place === undefined || excludedOf(place, index.columns).length > 0) return [];
    const name: ObjectName = {
      ...{ kind: 'property', schema: index.schema, name: `replica identity by ${index.name}` },
      table: showTable(place.source),
    };
    const needs = [objectKey(indexObject(index, place.source))];
    const subject: Subject = { name, stage: 'settings', table: place.to, needs };
    const own = context.standing.get(place.there.oid)?.indexes ?? [];
    // Of another index than the key's, the index has a line.
    if (own.some((each) => each.identity)) return [{ ...stands(subject), quiet: index.constraint?.type !== 'p' }];
    const to = standingIndex(context, index, place)?.name ?? nameOf(context, index, place.to).name;
    const table = ident(place.to.schema, place.to.name);
    const steps = [[sql`alter table ${table} replica identity using index ${ident(to)}`]];
    const { replicaIdentity: is } = place.there;
    // Where the index went, it took with it what the table was known by.
    if (is === 'd' || is === 'i' || context.asked?.failed(objectKey(name))) return [toMake(subject, steps)];
    return [leaveOut(subject, `it is ${is === 'f' ? 'full' : 'nothing'} on the target`, showSteps(steps))];
  });
}

/** The target's counterpart of an index, if it is there. */
export function standingIndex(context: ObjectContext, index: IndexFacts, place: Place): IndexFacts | undefined {
  const own = context.standing.get(place.there.oid)?.indexes ?? [];
  if (index.constraint?.type === 'p') return own.find((each) => each.constraint?.type === 'p');
  const [to, parts] = [nameOf(context, index, place.to), partsOf(context, index, place)];
  return findStanding({ context, index, place, to, parts });
}

// What it is called on the target, if it is made there.
function nameOf(context: ObjectContext, index: IndexFacts, table: TableName): TableName {
  return context.names.get(index.oid) ?? { schema: table.schema, name: index.name };
}

function partsOf(context: ObjectContext, index: IndexFacts, place: Place): readonly IndexFacts[] {
  // The server hands an exclusion constraint down to partitions, but takes none of theirs for its own.
  if (index.constraint?.type === 'x' || place.there.kind !== 'p') return [];
  return (context.partIndexes.get(index.oid) ?? []).filter((part) => context.places.has(part.table));
}
