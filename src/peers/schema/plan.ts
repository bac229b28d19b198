// From both sides of a mirror: every object of the source that goes along, and what becomes of it on the target. Pure.
import { type ObjectName, type ObjectStage, objectKey, objectStages } from '../../mirror/object.ts';
import { type Sql, trusted } from '../../pg/sql.ts';
import { showTable, type TableName } from '../../pg/table.ts';
import { membersOf } from '../ddl-tree.ts';
import { createSchema } from '../ddl-types.ts';
import {
  excludedReason,
  hold,
  inTheWay,
  leaveOut,
  leaveToOthers,
  needsVersion,
  type PlannedObject,
  refused,
  type Subject,
  showSteps,
  stands,
  toMake,
} from '../objects-planned.ts';
import type { AlterableType, Circumstances, Entity } from './entity.ts';
import { type Followed, follow, nameKey, noRenames, type Renames, requalify } from './follow.ts';
import { inOrder } from './order.ts';
import { ownersLeft } from './read-owners.ts';
import { withState } from './read-triggers.ts';
import { neededBy, type Scoped, type ScopeInput, schemaOf, scopeOf } from './scope.ts';
import type { DatabaseSide } from './side.ts';

export interface DatabaseInput extends ScopeInput {
  readonly target: DatabaseSide;
}

export interface PlannedEntity extends PlannedObject {
  readonly id: string;
  /** As it is called on the target. */
  readonly to: Pick<Entity, 'kind' | 'schema' | 'name' | 'arguments' | 'table'>;
  /** The source's, to see whether it changes. */
  readonly definition: string;
  /** All that makes it, whatever stands there now. */
  readonly making: PlannedObject['steps'];
  readonly type?: AlterableType | undefined;
  /** What brings the target's along when the source's is altered. @see Entity.alter */
  readonly altering?: ((before: AlterableType | undefined) => readonly Sql[] | undefined) | undefined;
}

export interface DatabasePlan {
  /** In an order in which they can be made; stages one after another in it. */
  readonly objects: readonly PlannedEntity[];
  /** Ids and ledger keys of what is or will be on the target before the tables. */
  readonly provided: ReadonlySet<string>;
  /** What an object or table needs, by id. */
  readonly needsOf: (id: string) => ReadonlySet<string>;
  readonly renames: Renames;
}

export const emptyPlan: DatabasePlan = {
  ...{ objects: [], provided: new Set(), needsOf: () => new Set() },
  renames: noRenames,
};

interface Context extends DatabaseInput, Scoped, Circumstances2 {
  readonly byId: ReadonlyMap<string, Entity>;
  readonly needsOf: (id: string) => ReadonlySet<string>;
  /** The target's, by `identity`. */
  readonly there: ReadonlyMap<string, Entity>;
  /** Names of the target's relations, by nameKey. */
  readonly relationsThere: ReadonlySet<string>;
  readonly stages: ReadonlyMap<string, ObjectStage>;
  /** Columns that the mirror leaves out, by showTable of the source's table. */
  readonly excluded: ReadonlyMap<string, ReadonlySet<string>>;
  /** Views and foreign tables of the source that are tables on the target, by showTable of the source's name. */
  readonly becomeTables: ReadonlySet<string>;
}

interface Circumstances2 {
  readonly circumstances: Circumstances;
}

// What belongs to the tables comes first in each stage.
const afterTables = 1_000_000;

export function planDatabase(all: DatabaseInput): DatabasePlan {
  const there = new Map(all.target.entities.map((each) => [identity(each), each]));
  const left = ownersLeft(all.source, all.target);
  const read = left.length === 0 ? all.source : { ...all.source, entities: [...all.source.entities, ...left] };
  const input = { ...all, source: { ...read, entities: worthALook({ ...all, source: read }, there) } };
  const scoped = scopeOf(input);
  const { source, target, work } = input;
  const byId = new Map(source.entities.map((each) => [each.id, each]));
  const needsOf = neededBy(source, byId);
  const rank = (id: string) =>
    byId.get(id)?.kind === 'schema' ? -1 : objectStages.indexOf(byId.get(id)?.stage ?? 'before');
  // Every database has one from the beginning, so that it is worth no line.
  const known = (each: Entity) =>
    (each.kind === 'schema' && each.name === 'public' && there.has(identity(each))) ||
    (each.kind === 'publication' && each.name === work.publication.name);
  const ids = source.entities
    .filter((each) => scoped.wanted.has(each.id) && !known(each))
    .map(({ id }) => id)
    .toSorted((a, b) => rank(a) - rank(b));
  const turns = inOrder(ids, needsOf, (id) => byId.get(id)?.shell !== undefined);
  const context: Context = {
    ...{ ...input, ...scoped, byId, needsOf },
    there,
    relationsThere: new Set([...target.graph.relations.values()].map(nameKey)),
    stages: stagesOf(
      turns.map(({ id }) => id),
      { byId, needsOf, needed: scoped.needed },
    ),
    excluded: excludedColumns(input.trees),
    becomeTables: becomeTables(input.trees),
    circumstances: { source: source.facts, target: target.facts, follows: work.slot !== null },
  };
  const planned: PlannedEntity[] = [];
  let shells: Sql[] = [];
  const levels = new Map<string, number>();
  for (const { id, part } of turns) {
    const entity = byId.get(id);
    if (entity === undefined) continue;
    if (part === 'shell') {
      const shell = shellOf(context, entity);
      if (shell !== null) shells.push(shell);
      continue;
    }
    // Of what is made in the same stage: the rest stands by then.
    const same = [...needsOf(id)].filter((need) => context.stages.get(need) === context.stages.get(id));
    levels.set(id, Math.max(0, ...same.map((need) => (levels.get(need) ?? -1) + 1)));
    const object = planEntity(context, entity, levels.get(id) ?? 0);
    // What the circle begins with goes with the first of it.
    const steps = object.steps.length > 0 && shells.length > 0 ? [shells, ...object.steps] : object.steps;
    const statement = steps === object.steps ? object.line.statement : showSteps(steps);
    if (steps !== object.steps) shells = [];
    const line = { ...object.line, statement, place: afterTables + planned.length };
    if (entity.shown !== undefined) line.asIs = false;
    planned.push({ ...object, line, steps, quiet: entity.quiet });
  }
  const objects = withoutOrphans(planned).toSorted(
    (a, b) => objectStages.indexOf(a.line.stage) - objectStages.indexOf(b.line.stage),
  );
  const early = objects.filter(
    ({ line }) => line.stage === 'before' && (line.state === 'waiting' || line.state === 'existed'),
  );
  const keys = (line: ObjectName) => {
    const renamed = line.kind === 'schema' ? scoped.renames.schemas.get(line.name) : undefined;
    return [objectKey(line), ...(renamed === undefined ? [] : [objectKey({ ...line, name: renamed })])];
  };
  const provided = new Set(early.flatMap(({ id, line }) => [id, ...keys(line)]));
  return { objects, provided, needsOf, renames: scoped.renames };
}

function becomeTables(trees: ScopeInput['trees']): ReadonlySet<string> {
  const others = trees.flatMap(membersOf).filter(({ source: { kind } }) => kind !== 'r' && kind !== 'p');
  return new Set(others.map(({ source }) => showTable(source)));
}

// What is bound to a view or a foreign table and is not the same, or nothing, on a table.
const notOfTables: ReadonlySet<string> = new Set(['trigger', 'rule', 'comment', 'setting']);

// Ten thousand tables have as many owners, who as a rule are those that they should be.
function worthALook(
  { source, target, trees, work }: DatabaseInput,
  there: ReadonlyMap<string, Entity>,
): readonly Entity[] {
  const circumstances = { source: source.facts, target: target.facts, follows: work.slot !== null };
  return withoutParents(source.entities, trees).filter((entity) => {
    if (entity.quiet !== true || entity.given?.(circumstances) !== true) return true;
    return (there.get(identity(entity)) ?? entity).definition !== entity.definition;
  });
}

// Triggers of partitions that are mirrored as tables of their own are theirs; those of all others come with the table's.
function withoutParents(all: readonly Entity[], trees: ScopeInput['trees']): readonly Entity[] {
  const apart = new Set(trees.flatMap(({ root }) => (root.partitionOf === null ? [] : [`pg_class:${root.oid}`])));
  const kept = all.filter(({ partition }) => partition === undefined || apart.has(partition.id) === partition.alone);
  if (apart.size === 0) return kept;
  const own = new Set(kept.flatMap(({ id, partition }) => (partition?.alone === true ? [id] : [])));
  return kept.map((each) => {
    const first = each.partition?.above.findIndex((id) => own.has(id)) ?? -1;
    if (each.partition === undefined || first < 0) return each;
    const beyond = new Set(withState(each.partition.above.slice(first + 1)));
    return { ...each, needs: each.needs?.filter((id) => !beyond.has(id)) };
  });
}

function excludedColumns(trees: ScopeInput['trees']): ReadonlyMap<string, ReadonlySet<string>> {
  const some = trees.filter(({ mapping }) => mapping.exclude.length > 0);
  return new Map(
    some.flatMap((tree) => {
      const columns = new Set(tree.mapping.exclude);
      return [tree.root, ...tree.partitions].map((each) => [showTable(each), columns] as const);
    }),
  );
}

// Columns that it uses, of whatever table, and that the mirror leaves out.
function excludedOf({ excluded, source }: Context, entity: Entity): readonly string[] {
  if (excluded.size === 0) return [];
  const own = entity.columns?.filter((column) => excluded.get(entity.table)?.has(column)) ?? [];
  const used = (source.graph.columns.get(entity.id) ?? []).flatMap(({ relation, column }) => {
    const table = source.graph.relations.get(relation);
    return table !== undefined && excluded.get(showTable(table))?.has(column) === true ? [column] : [];
  });
  return [...new Set([...own, ...used])];
}

/** Unlike that of any other object of the same database. */
function identity({ kind, schema, name, arguments: args, table }: Entity): string {
  // Which names are quoted is a matter of versions and of ours.
  return JSON.stringify([kind, schema, name, args.replaceAll('"', ''), table.replaceAll('"', '')]);
}

/** The name in the ledger. */
export function entityObject({ kind, schema, name, arguments: args, table }: Entity): ObjectName {
  return { kind, schema, name: name + args, table };
}

// What needs something that is made later is made later; but nothing that the tables need.
function stagesOf(
  ids: readonly string[],
  {
    byId,
    needsOf,
    needed,
  }: {
    readonly byId: ReadonlyMap<string, Entity>;
    readonly needsOf: (id: string) => ReadonlySet<string>;
    readonly needed: ReadonlySet<string>;
  },
): ReadonlyMap<string, ObjectStage> {
  const found = new Map<string, ObjectStage>();
  for (const id of ids) {
    const own = byId.get(id)?.stage ?? 'before';
    const all = [own, ...[...needsOf(id)].flatMap((need) => found.get(need) ?? [])];
    const latest = all.reduce((a, b) => (objectStages.indexOf(b) > objectStages.indexOf(a) ? b : a));
    found.set(id, needed.has(id) ? 'before' : latest);
  }
  return found;
}

function shellOf(context: Context, entity: Entity): Sql | null {
  const there = context.there.get(identity(onTarget(context, entity)));
  if (entity.shell === undefined || there !== undefined) return null;
  return trusted(follow(entity.shell.text, context.renames).text);
}

/** The entity as it is named on the target. */
function onTarget(context: Pick<Context, 'renames' | 'byId'>, entity: Entity): Entity {
  const { renames, byId } = context;
  if (renames.names.size === 0 && renames.schemas.size === 0) return entity;
  const args = follow(entity.arguments, renames).text;
  if (entity.table !== '') {
    const to = shownNames(renames).get(entity.table);
    const place =
      to === undefined ? { schema: schemaOf(renames, entity) } : { schema: to.schema, table: showTable(to) };
    return { ...entity, ...place, arguments: args };
  }
  const moved = renames.names.get(nameKey(entity));
  // What is said about something is where that is.
  const about = entity.about === undefined ? undefined : byId.get(entity.about);
  if (about !== undefined && about.schema === entity.schema) {
    return { ...entity, schema: onTarget(context, about).schema, arguments: args };
  }
  const name = entity.kind === 'schema' ? (renames.schemas.get(entity.name) ?? entity.name) : entity.name;
  return { ...entity, ...(moved ?? { schema: schemaOf(renames, entity), name }), arguments: args };
}

interface NewName extends TableName {
  /** Its name on the source, without the schema. */
  readonly from: string;
}

const shown = new WeakMap<Renames, ReadonlyMap<string, NewName>>();

// By showTable of the source's name.
function shownNames(renames: Renames): ReadonlyMap<string, NewName> {
  const known = shown.get(renames);
  if (known !== undefined) return known;
  const made = new Map(
    [...renames.names].map(([key, to]) => {
      const [schema = '', name = ''] = JSON.parse(key) as [string, string];
      return [showTable({ schema, name }), { ...to, from: name }];
    }),
  );
  shown.set(renames, made);
  return made;
}

function planEntity(context: Context, entity: Entity, level: number): PlannedEntity {
  const { byId, needsOf, stages } = context;
  const needs = [...needsOf(entity.id)].flatMap((id) => {
    const need = byId.get(id);
    return need === undefined || !context.wanted.has(id) || standsOtherwise(context, need)
      ? []
      : [objectKey(entityObject(need))];
  });
  const subject: Subject = {
    name: entityObject(entity),
    stage: stages.get(entity.id) ?? entity.stage,
    table: { schema: '', name: '' },
    ...(entity.bytes === undefined ? {} : { bytes: entity.bytes }),
    ...{ needs, level },
  };
  const making = statementsOf(context.renames, entity).map((step) =>
    step.map(({ text }) => trusted(followed(entity, text, context.renames).text)),
  );
  const { kind, schema, name, arguments: args, table } = onTarget(context, entity);
  const to = { kind, schema, name, arguments: args, table };
  const there = context.there.get(identity(onTarget(context, entity)));
  const altering = (before: AlterableType | undefined) =>
    there === undefined
      ? undefined
      : entity.alter?.(there, before)?.map(({ text }) => trusted(followed(entity, text, context.renames).text));
  const alterable = entity.alter === undefined ? {} : { type: entity.type, altering };
  return {
    ...become(context, entity, subject),
    id: entity.id,
    to,
    definition: entity.definition,
    making,
    ...alterable,
  };
}

// Something of that name is there: whatever refers to it may be tried.
function standsOtherwise(context: Context, entity: Entity): boolean {
  return context.there.has(identity(onTarget(context, entity)));
}

function become(context: Context, entity: Entity, subject: Subject): PlannedObject {
  const { renames, circumstances } = context;
  if (context.becomeTables.has(entity.table) && notOfTables.has(entity.kind)) {
    return leaveOut(subject, `${entity.table} is a table on the target`);
  }
  const there = context.there.get(identity(onTarget(context, entity)));
  const texts = statementsOf(renames, entity).map((step) => step.map(({ text }) => followed(entity, text, renames)));
  const steps = texts.map((step) => step.map(({ text }) => trusted(text)));
  const others = entity.byOthers?.(circumstances).text;
  const statement =
    entity.shown ??
    (others === undefined
      ? steps
          .flat()
          .map(({ text }) => text)
          .join('; ')
      : followed(entity, others, renames).text);
  if (there !== undefined && (there.hollow !== true || entity.hollow === true)) {
    return compare(context, { entity, there, subject, statement });
  }
  const excluded = excludedOf(context, entity);
  if (excluded.length > 0) return leaveOut(subject, excludedReason(excluded));
  const judged = judge(context, { entity, subject, statement });
  if (judged !== null) return judged;
  const [since, what] = entity.since ?? [0, ''];
  if (circumstances.target.version < since) {
    return leaveOut(subject, needsVersion(what, Math.floor(since / 10_000)), statement);
  }
  const missing = missingRelation(context, entity);
  if (missing !== null) return leaveOut(subject, missing, statement);
  const doubt = texts.flat().find((each) => each.doubt !== null)?.doubt;
  if (doubt != null) return leaveOut(subject, doubt, statement);
  if (steps.flat().length === 0) return leaveOut(subject, 'nothing in PostgreSQL can make it again');
  const planned = toMake(subject, steps);
  return { ...planned, line: { ...planned.line, statement } };
}

function judge({ circumstances }: Context, { entity, subject, statement }: Omit<Pair, 'there'>): PlannedObject | null {
  const verdict = entity.verdict?.(circumstances) ?? null;
  if (verdict === null) return null;
  if ('leaveOut' in verdict) {
    const leave = verdict.others === true ? leaveToOthers : leaveOut;
    return leave(subject, verdict.leaveOut, verdict.statement ?? statement);
  }
  if ('fail' in verdict) return refused(subject, { reason: verdict.fail, sqlstate: verdict.sqlstate, statement });
  return circumstances.follows ? hold(subject, verdict.hold, statement) : null;
}

// A schema goes by its new name; what stays in one that is renamed brings the old one along.
function statementsOf(renames: Renames, entity: Entity): Entity['statements'] {
  if (entity.kind === 'schema') {
    const to = renames.schemas.get(entity.name);
    return to === undefined ? entity.statements : [[createSchema(to)]];
  }
  const home = entity.kind === 'extension' ? entity.shape : entity.schema;
  const renamed = renames.schemas.has(home) && schemaOf(renames, { ...entity, schema: home }) === home;
  return renamed ? [[createSchema(home)], ...entity.statements] : entity.statements;
}

// An extension stays where it is, as do types: columns are of its types, and expressions call its functions, by that schema.
function followed(entity: Entity, text: string, renames: Renames): Followed {
  if (entity.kind === 'extension') return { text, changed: false, doubt: null };
  const own = entity.kind === 'policy' ? shownNames(renames).get(entity.table) : undefined;
  if (own === undefined) return follow(text, renames);
  const bare = requalify(text, own.from, own.name);
  const whole = follow(bare.text, renames);
  return { text: whole.text, changed: bare.changed || whole.changed, doubt: bare.doubt ?? whole.doubt };
}

interface Pair {
  readonly entity: Entity;
  readonly there: Entity;
  readonly subject: Subject;
  readonly statement: string;
}

function compare(context: Context, { entity, there, subject, statement }: Pair): PlannedObject {
  const { source, target, renames, circumstances } = context;
  const mine = followed(entity, entity.definition, renames);
  const same =
    major(source) === major(target) && !mine.changed
      ? mine.text === there.definition || loose(mine.text) === loose(there.definition)
      : sameShape(followed(entity, entity.shape, renames), there.shape);
  if (same) return stands(subject);
  const mended = entity.mend?.(there, circumstances);
  if (mended !== undefined) {
    const judged = mended.length === 0 ? null : judge(context, { entity, subject, statement });
    if (judged !== null) return judged;
    return toMake(
      subject,
      mended.map((step) => step.map(({ text }) => trusted(followed(entity, text, renames).text))),
    );
  }
  if (entity.keeps !== undefined) {
    return judge(context, { entity, subject, statement }) ?? leaveOut(subject, entity.keeps, statement);
  }
  const other = 'the target has another one of that name';
  const open = entity.shown === undefined && there.shown === undefined;
  return inTheWay(subject, open ? `${other}: ${there.definition}` : other);
}

// A text that a server printed is read and printed again as the same but for casts and parentheses.
function loose(text: string): string {
  return text.replaceAll(/[\s()]/g, '').replaceAll(/::[\w".]+(\[\])*/g, '');
}

function sameShape(mine: Followed, there: string): boolean {
  return loose(mine.text).replaceAll('"', '') === loose(there).replaceAll('"', '');
}

function major({ facts }: DatabaseSide): number {
  return Math.floor(facts.version / 10_000);
}

// A table that it needs and that is neither mirrored nor on the target under that name.
function missingRelation({ source, needsOf, tables, byId, relationsThere, renames }: Context, entity: Entity) {
  for (const id of needsOf(entity.id)) {
    const relation = source.graph.relations.get(id);
    if (relation === undefined || tables.has(id) || byId.has(id) || relation.extension) continue;
    const to = renames.names.get(nameKey(relation)) ?? relation;
    if (!relationsThere.has(nameKey(to))) {
      return `it needs ${showTable(relation)}, which is neither mirrored nor on the target`;
    }
  }
  return null;
}

// What stands on something that is left out is left out with it, and what stands on something held back waits with it.
function withoutOrphans(all: readonly PlannedEntity[]): readonly PlannedEntity[] {
  const gone = new Map<string, PlannedObject>();
  return all.flatMap((each) => {
    const { state } = each.line;
    const missing = each.needs.map((key) => gone.get(key)).find((object) => object !== undefined);
    const orphan = missing !== undefined && state === 'waiting';
    if (orphan && each.quiet === true) return [];
    const kept = orphan ? { ...each, ...without(each, missing) } : each;
    if (kept.line.state === 'left_out' || (kept.line.state === 'waiting' && kept.steps.length === 0)) {
      gone.set(objectKey(kept.line), kept);
    }
    return kept;
  });
}

function without(object: PlannedObject, missing: PlannedObject): Pick<PlannedObject, 'line' | 'steps'> {
  const { kind, name, state } = missing.line;
  const held = state === 'waiting';
  const reason = held ? `${kind} ${name} is held back` : `${kind} ${name} is left out`;
  return { line: { ...object.line, state: held ? 'waiting' : 'left_out', reason }, steps: [] };
}
