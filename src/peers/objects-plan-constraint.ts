// Checks, foreign keys and NOT NULL constraints that the table's own clauses do not say. Pure.
import type { ObjectName } from '../mirror/object.ts';
import { ident, type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { absence, type Beyond, excludedOf, type ObjectContext, type Place } from './objects-input.ts';
import {
  excludedReason,
  hold,
  inTheWay,
  leaveOut,
  needsVersion,
  type PlannedObject,
  type Subject,
  toMake,
} from './objects-planned.ts';
import type { ConstraintFacts } from './objects-read.ts';

const kinds = { c: 'check constraint', f: 'foreign key', n: 'not-null constraint' } as const;
const stages = { c: 'constraints', f: 'foreign keys', n: 'constraints' } as const;

/** The name in the ledger of a constraint that stands on no index. */
export function constraintObject(constraint: ConstraintFacts, table: TableName): ObjectName {
  return { kind: kinds[constraint.type], schema: table.schema, name: constraint.name, table: showTable(table) };
}

interface Wanted {
  readonly context: ObjectContext;
  readonly constraint: ConstraintFacts;
  readonly place: Place;
  readonly subject: Subject;
  /** The target's constraint of that name. */
  readonly there: ConstraintFacts | undefined;
}

export function planConstraints(context: ObjectContext): readonly PlannedObject[] {
  const heights = heightsOf(context);
  return context.source.constraints.flatMap((constraint) => {
    const member = context.members.get(constraint.table);
    if (member === undefined) return [];
    // A partition has it from its parent.
    if (!constraint.local && member.source.partitionOf !== null) return [];
    const place = context.places.get(constraint.table);
    // What a parent hands down is as valid as it is there.
    const better = constraint.type === 'n' && constraint.validated;
    if (!constraint.local && !better && place !== undefined && isHeir(context, place)) return [];
    const name = constraintObject(constraint, member.source);
    const subject: Subject = {
      name,
      stage: stages[constraint.type],
      // Its statements lock the whole tree.
      table: member.tree.mapping.to,
      bytes: member.source.leaves.reduce((sum, leaf) => sum + leaf.bytes, 0),
      // Those of heirs first: one of a parent then finds an heir's own of that name, and the other way round there is no way.
      level: constraint.type === 'f' ? 0 : (heights.get(showTable(member.source)) ?? 0),
    };
    if (constraint.type === 'n') {
      if (place === undefined || context.target.version < 180_000) return [];
    } else if (place === undefined) {
      return [leaveOut(subject, absence(context, member))];
    }
    const there = context.standing
      .get(place.there.oid)
      ?.constraints.find((each) => each.name === constraint.name && each.type === constraint.type);
    const wanted = { context, constraint, place, subject, there };
    if (constraint.type === 'n') return planNotNull(wanted);
    const excluded = excludedOf(place, constraint.columns);
    if (excluded.length > 0) return [leaveOut(subject, excludedReason(excluded))];
    return [constraint.type === 'c' ? planCheck(wanted) : planForeignKey(wanted)];
  });
}

// Made as the heir of its parents, which hand down what they have.
function isHeir(context: ObjectContext, { source, there }: Place): boolean {
  const names = new Map([...context.members.values()].map((member) => [showTable(member.source), member.to]));
  if (source.inherits.length === 0 || source.partitionOf !== null) return false;
  const parents = new Set(there.inherits.map(showTable));
  return source.inherits.every((parent) => parents.has(showTable(names.get(showTable(parent)) ?? parent)));
}

// How many floors of heirs are below each table that has some.
function heightsOf({ members }: ObjectContext): ReadonlyMap<string, number> {
  const heights = new Map<string, number>();
  const byName = new Map([...members.values()].map(({ source }) => [showTable(source), source]));
  const raise = (name: string, height: number) => {
    if ((heights.get(name) ?? 0) >= height) return;
    heights.set(name, height);
    for (const parent of byName.get(name)?.inherits ?? []) raise(showTable(parent), height + 1);
  };
  for (const { source } of members.values()) for (const parent of source.inherits) raise(showTable(parent), 1);
  return heights;
}

// What the server prints last of a constraint that was not validated, in every version.
const unvalidated = ' NOT VALID';

function withoutValidity(definition: string): string {
  return definition.endsWith(unvalidated) ? definition.slice(0, -unvalidated.length) : definition;
}

function addConstraint(place: Place, constraint: ConstraintFacts, definition: Sql): Sql {
  return sql`alter table ${ident(place.to.schema, place.to.name)} add constraint ${ident(constraint.name)} ${definition}`;
}

function validate(place: Place, constraint: ConstraintFacts): Sql {
  return sql`alter table ${ident(place.to.schema, place.to.name)} validate constraint ${ident(constraint.name)}`;
}

// One that stands and is only to be looked at still; nothing if it is as valid as the source's.
function validationOf({ constraint, place, there }: Wanted): PlannedObject['steps'] {
  return constraint.validated && there?.validated === false ? [[validate(place, constraint)]] : [];
}

function planCheck(wanted: Wanted): PlannedObject {
  const { context, constraint, place, subject, there } = wanted;
  if (there !== undefined) {
    if (withoutValidity(there.definition) !== withoutValidity(constraint.definition)) {
      return inTheWay(subject, `the target has one of that name: ${there.definition}`);
    }
    return toMake(subject, validationOf(wanted));
  }
  if (!constraint.enforced && context.target.version < 180_000) {
    return leaveOut(subject, needsVersion('it is NOT ENFORCED', 18));
  }
  const statement = addConstraint(place, constraint, trusted(constraint.definition));
  // A whole row goes by the table's name, and all of its columns.
  if (constraint.columns.includes(0) && (place.source.name !== place.to.name || place.exclude.size > 0)) {
    return leaveOut(subject, 'it speaks of whole rows of a table that is another on the target', statement.text);
  }
  return toMake(subject, [[statement]]);
}

// NOT NULL stands with the table; here is only what was not validated, or is not handed down.
function planNotNull(wanted: Wanted): readonly PlannedObject[] {
  const { constraint, place, subject, there } = wanted;
  const excluded = excludedOf(place, constraint.columns).length > 0;
  if (excluded || (constraint.validated && constraint.local && !constraint.noInherit)) return [];
  const stood = there !== undefined || place.there.columns.some((column) => column.notNullName === constraint.name);
  if (!stood) return [toMake(subject, [[addConstraint(place, constraint, trusted(constraint.definition))]])];
  const table = ident(place.to.schema, place.to.name);
  const lacking = constraint.noInherit && !there?.noInherit;
  return [
    toMake(subject, lacking ? [[sql`alter table ${table} alter constraint ${ident(constraint.name)} no inherit`]] : []),
  ];
}

interface Referred {
  readonly to: TableName;
  readonly partitioned: boolean;
  /** Why it cannot be referred to; null: it can. */
  readonly reason: string | null;
}

function referredBy({ context, constraint }: Wanted): Referred | null {
  const { references } = constraint;
  if (references === null) return null;
  const ours = context.beyond?.get(references.oid) ?? within(context, references.oid);
  if (ours !== undefined) {
    const excluded = references.columns.filter((column) => ours.exclude.includes(column));
    const primary = new Set(ours.primaryKey);
    const reason =
      ours.there === null
        ? `it refers to ${showTable(ours.to)}, which is no table of its own on the target`
        : excluded.length > 0
          ? `it refers to ${showTable(references)} (${excluded.join(', ')}), which is excluded from the mirror`
          : context.keepsDeleted && !references.columns.every((column) => primary.has(column))
            ? `it refers to ${showTable(references)} by what is not its primary key, and need not be unique with soft_delete`
            : null;
    return { to: ours.to, partitioned: ours.there === 'p', reason };
  }
  const outside = context.outsideByName.get(showTable(references));
  if (outside === undefined) {
    const reason = `it refers to ${showTable(references)}, which is neither mirrored nor on the target`;
    return { to: references, partitioned: references.partitioned, reason };
  }
  const missing = references.columns.filter((column) => !outside.columns.includes(column));
  const reason =
    missing.length > 0
      ? `it refers to ${showTable(references)}, which is not mirrored and has no column ${missing.join(', ')} on the target`
      : null;
  return { to: references, partitioned: references.partitioned, reason };
}

function within(context: ObjectContext, oid: number): Beyond | undefined {
  const member = context.members.get(oid);
  if (member === undefined) return undefined;
  return {
    to: member.to,
    exclude: member.tree.mapping.exclude,
    primaryKey: member.source.primaryKey?.columns ?? [],
    there: context.places.get(oid)?.there.kind ?? null,
  };
}

function planForeignKey(wanted: Wanted): PlannedObject {
  const { context, constraint, place, subject, there } = wanted;
  const { around } = constraint;
  const referred = referredBy(wanted);
  if (referred === null || around === null) {
    return inTheWay(subject, 'its definition on the source is of a shape that we do not know');
  }
  if (referred.reason !== null) return leaveOut(subject, referred.reason);
  if (there !== undefined) {
    const same =
      there.references !== null &&
      showTable(there.references) === showTable(referred.to) &&
      there.around?.before === around.before &&
      withoutValidity(there.around.after) === withoutValidity(around.after);
    if (!same) return inTheWay(subject, `the target has one of that name: ${there.definition}`);
    return toMake(subject, validationOf(wanted));
  }
  const { version } = context.target;
  if (constraint.deletesColumns && version < 150_000) {
    return leaveOut(subject, needsVersion('it sets some of its columns ON DELETE', 15));
  }
  if (constraint.period && version < 180_000) return leaveOut(subject, needsVersion('it is for a PERIOD', 18));
  if (!constraint.enforced && version < 180_000) return leaveOut(subject, needsVersion('it is NOT ENFORCED', 18));
  const partitioned = place.there.kind === 'p';
  if (partitioned && !constraint.validated && version < 180_000) {
    return leaveOut(subject, needsVersion('it is NOT VALID on a partitioned table', 18));
  }
  const text = trusted(around.before);
  const target = ident(referred.to.schema, referred.to.name);
  const whole = sql`${text}${target}${trusted(around.after)}`;
  if (constraint.acts && context.actsWhileFollowing) {
    return hold(
      subject,
      'it writes to other rows (CASCADE, SET …), as the source did already, and the target does not grant session_replication_role',
      addConstraint(place, constraint, whole).text,
    );
  }
  // Before 18 what is partitioned cannot be looked at afterwards, or not down to the last partition.
  const atOnce =
    !constraint.validated || !constraint.enforced || ((partitioned || referred.partitioned) && version < 180_000);
  if (atOnce) return toMake(subject, [[addConstraint(place, constraint, whole)]]);
  return toMake(subject, [
    [addConstraint(place, constraint, sql`${whole}${trusted(unvalidated)}`)],
    [validate(place, constraint)],
  ]);
}

/** Names of tables that foreign keys and inheritance of ours speak of and that are not ours. */
export function outsideNames(
  context: Pick<ObjectContext, 'members' | 'source' | 'trees' | 'beyond'>,
): readonly TableName[] {
  const ours = new Set([...context.members.values()].map(({ source }) => showTable(source)));
  const found = new Map<string, TableName>();
  for (const { references } of context.source.constraints) {
    if (references === null || context.members.has(references.oid) || context.beyond?.has(references.oid)) continue;
    found.set(showTable(references), references);
  }
  for (const { root } of context.trees) {
    for (const parent of root.inherits) if (!ours.has(showTable(parent))) found.set(showTable(parent), parent);
  }
  return [...found.values()].map(({ schema, name }) => ({ schema, name }));
}
