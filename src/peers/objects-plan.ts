// From what both sides have: every object that belongs to the mirrored tables, and what becomes of it on the target. Pure.
import { type ObjectName, objectKey, objectStages } from '../mirror/object.ts';
import { ident, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { createExtension, createSchema } from './ddl-types.ts';
import {
  excludedOf,
  type NeededExtension,
  type ObjectContext,
  type ObjectInput,
  objectContext,
  type Place,
} from './objects-input.ts';
import { constraintObject, planConstraints } from './objects-plan-constraint.ts';
import {
  indexObject,
  planClusters,
  planIdentities,
  planIndexes,
  planTablespaces,
  standingIndex,
} from './objects-plan-index.ts';
import { type PropertyRules, planProperties } from './objects-plan-property.ts';
import {
  excludedReason,
  inTheWay,
  leaveOut,
  type PlannedObject,
  type Subject,
  stands,
  toMake,
} from './objects-planned.ts';
import type { StatisticsFacts } from './objects-read.ts';

/**
 * Everything, stage by stage; what must stand before another comes before it.
 * @param properties how tables that stand are compared in what they say themselves; undefined: they are not
 */
export function planObjects(input: ObjectInput, properties?: PropertyRules): readonly PlannedObject[] {
  const context = objectContext(input);
  const all = [
    ...planExtensions(context.extensions),
    ...planIndexes(context),
    ...planConstraints(context),
    ...planInheritance(context),
    ...planStatistics(context),
    ...planClusters(context),
    ...planIdentities(context),
    ...(properties === undefined ? [] : planProperties(context, properties)),
    ...planTablespaces(context),
    ...planComments(context),
  ];
  return withoutOrphans(all)
    .toSorted((a, b) => objectStages.indexOf(a.line.stage) - objectStages.indexOf(b.line.stage) || a.level - b.level)
    .map((each, place) => ({ ...each, line: { ...each.line, place } }));
}

// What stands on something that is left out is left out with it, and what stands on something held back waits with it.
function withoutOrphans(all: readonly PlannedObject[]): readonly PlannedObject[] {
  const isGone = ({ line, steps }: PlannedObject) =>
    line.state === 'left_out' || (line.state === 'waiting' && steps.length === 0);
  const left = new Map(all.filter(isGone).map(({ line }) => [objectKey(line), line]));
  return all.map((each) => {
    const missing = each.needs.map((key) => left.get(key)).find((line) => line !== undefined);
    if (missing === undefined || each.line.state !== 'waiting') return each;
    const { kind, name, state } = missing;
    const how =
      state === 'waiting'
        ? { state, reason: `${kind} ${name} is held back` }
        : { state: 'left_out' as const, reason: `${kind} ${name} is left out` };
    return { ...each, line: { ...each.line, ...how }, steps: [] };
  });
}

/** What keys need too, and so comes before them. */
export function planExtensions(extensions: readonly NeededExtension[]): readonly PlannedObject[] {
  return extensions.map((extension) => {
    const name: ObjectName = { kind: 'extension', schema: '', name: extension.name, table: '' };
    const subject: Subject = { name, stage: 'needs', table: { schema: '', name: '' } };
    if (extension.on === 'installed') return stands(subject);
    const steps = [[createSchema(extension.schema), createExtension(extension)]];
    // The server's own answer says best what is missing.
    return toMake(subject, steps);
  });
}

function planInheritance(context: ObjectContext): readonly PlannedObject[] {
  const ours = new Map([...context.members.values()].map((member) => [showTable(member.source), member]));
  return [...context.places.values()].flatMap((place) =>
    place.source.inherits.map((parent) => {
      const subject: Subject = {
        name: {
          kind: 'inheritance',
          schema: place.source.schema,
          name: showTable(parent),
          table: showTable(place.source),
        },
        stage: 'inheritance',
        table: place.to,
      };
      const member = ours.get(showTable(parent));
      const to = member?.to ?? context.outsideByName.get(showTable(parent));
      if (to === undefined) {
        return leaveOut(subject, `${showTable(parent)} is neither mirrored nor on the target: the table stands alone`);
      }
      if (place.there.inherits.some((each) => showTable(each) === showTable(to))) return stands(subject);
      const handed = member?.source.columns.filter(({ name }) => !member.tree.mapping.exclude.includes(name)) ?? [];
      const excluded = handed.filter(({ name }) => place.exclude.has(name)).map(({ name }) => name);
      if (excluded.length > 0) return leaveOut(subject, excludedReason(excluded));
      const statement = sql`alter table ${ident(place.to.schema, place.to.name)} inherit ${ident(to.schema, to.name)}`;
      return toMake(subject, [[statement]]);
    }),
  );
}

function statisticsTarget(statistics: StatisticsFacts, place: Place): TableName {
  const { schema, name } = statistics;
  return { schema: schema === place.source.schema ? place.to.schema : schema, name };
}

function statisticsObject(statistics: StatisticsFacts, place: Place): ObjectName {
  const { schema, name } = statistics;
  return { kind: 'statistics', schema, name, table: showTable(place.source) };
}

function planStatistics(context: ObjectContext): readonly PlannedObject[] {
  return context.source.statistics.flatMap((statistics) => {
    const place = context.places.get(statistics.table);
    if (place === undefined) return [];
    const subject: Subject = { name: statisticsObject(statistics, place), stage: 'statistics', table: place.to };
    const excluded = excludedOf(place, statistics.columns);
    if (excluded.length > 0) return [leaveOut(subject, excludedReason(excluded))];
    const { body, target } = statistics;
    if (body === null) return [inTheWay(subject, 'its definition on the source is of a shape that we do not know')];
    const to = statisticsTarget(statistics, place);
    const there = context.standing
      .get(place.there.oid)
      ?.statistics.find((each) => each.name === to.name && each.schema === to.schema);
    const name = ident(to.schema, to.name);
    const setTarget =
      target === (there?.target ?? -1) ? [] : [sql`alter statistics ${name} set statistics ${literal(target)}`];
    if (there !== undefined) {
      if (there.body !== body) return [inTheWay(subject, `the target has one of that name:${there.body}`)];
      return [toMake(subject, setTarget.length === 0 ? [] : [setTarget])];
    }
    const create = sql`create statistics ${name}${trusted(body)} from ${ident(place.to.schema, place.to.name)}`;
    return [toMake(subject, [[create, ...setTarget]])];
  });
}

interface Remark {
  /** `column a`, `index t_a`. */
  readonly of: string;
  readonly comment: string;
  /** What the target says already. */
  readonly there: string | null;
  /** `comment on` this. */
  readonly on: Sql;
  readonly needs?: ObjectName;
}

function planComments(context: ObjectContext): readonly PlannedObject[] {
  return remarks(context).map(({ place, of, comment, there, on, needs }) => {
    const subject: Subject = {
      name: { kind: 'comment', schema: place.source.schema, name: of, table: showTable(place.source) },
      stage: 'settings',
      table: place.to,
      needs: needs === undefined ? [] : [objectKey(needs)],
    };
    const statement = sql`comment on ${on} is ${literal(comment)}`;
    if (there === comment) return stands(subject);
    if (there !== null) return leaveOut(subject, 'the target has another comment there', statement.text);
    return toMake(subject, [[statement]]);
  });
}

function remarks(context: ObjectContext): readonly (Remark & { readonly place: Place })[] {
  const placeOf = (table: number) => context.places.get(table);
  const table = (place: Place) => ident(place.to.schema, place.to.name);
  const own = context.source.comments.flatMap(({ table: oid, column, comment }) => {
    const place = placeOf(oid);
    if (place === undefined || (column !== null && place.exclude.has(column))) return [];
    const there = context.standing.get(place.there.oid)?.comments.get(column ?? '') ?? null;
    const on =
      column === null ? sql`table ${table(place)}` : sql`column ${ident(place.to.schema, place.to.name, column)}`;
    return [{ place, of: column === null ? 'table' : `column ${column}`, comment, there, on }];
  });
  const indexes = context.source.indexes.flatMap((index) => {
    const place = placeOf(index.table);
    if (place === undefined) return [];
    const there = standingIndex(context, index, place);
    const name = there?.name ?? context.names.get(index.oid)?.name ?? index.name;
    const needs = indexObject(index, place.source);
    const constraint = index.constraint?.comment ?? null;
    const said: (Remark & { readonly place: Place })[] = [];
    if (index.comment !== null) {
      const on = sql`index ${ident(place.to.schema, name)}`;
      said.push({ place, of: `index ${index.name}`, comment: index.comment, there: there?.comment ?? null, on, needs });
    }
    if (constraint !== null) {
      const on = sql`constraint ${ident(name)} on ${table(place)}`;
      const now = there?.constraint?.comment ?? null;
      said.push({ place, of: `constraint ${index.name}`, comment: constraint, there: now, on, needs });
    }
    return said;
  });
  const constraints = context.source.constraints.flatMap((constraint) => {
    const place = placeOf(constraint.table);
    if (place === undefined || constraint.comment === null) return [];
    if (constraint.type === 'n' && context.target.version < 180_000) return [];
    const there = context.standing.get(place.there.oid)?.constraints.find((each) => each.name === constraint.name);
    const on = sql`constraint ${ident(constraint.name)} on ${table(place)}`;
    const needs = constraintObject(constraint, place.source);
    return [
      {
        place,
        of: `constraint ${constraint.name}`,
        comment: constraint.comment,
        there: there?.comment ?? null,
        on,
        needs,
      },
    ];
  });
  const statistics = context.source.statistics.flatMap((each) => {
    const place = placeOf(each.table);
    if (place === undefined || each.comment === null) return [];
    const to = statisticsTarget(each, place);
    const there = context.standing.get(place.there.oid)?.statistics.find((other) => other.name === to.name);
    const needs = statisticsObject(each, place);
    const on = sql`statistics ${ident(to.schema, to.name)}`;
    return [{ place, of: `statistics ${each.name}`, comment: each.comment, there: there?.comment ?? null, on, needs }];
  });
  return [...own, ...indexes, ...constraints, ...statistics];
}
