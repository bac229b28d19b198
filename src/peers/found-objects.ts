// The source's objects as the target has them, to be remembered: what a later look compares itself with. Pure.

import { type ObjectName, objectKey } from '../mirror/object.ts';
import { ident, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import { sameExpression } from './ddl-fit.ts';
import { type FoundSettings, sequencesOf, settingsOf } from './found-settings.ts';
import { type KnownObject, knownPartition } from './known-objects.ts';
import { type ObjectInput, objectContext, type Place } from './objects-input.ts';
import { constraintObject } from './objects-plan-constraint.ts';
import { indexObject, standingIndex } from './objects-plan-index.ts';
import type { PlannedObject } from './objects-planned.ts';
import { follow, type Renames } from './schema/follow.ts';
import type { DatabasePlan, PlannedEntity } from './schema/plan.ts';
import { dropStatements, isEarly, type Standing } from './schema/undo.ts';
import type { WholePlan } from './whole-plan.ts';

/** An object with all that a look has found out of it. */
export interface Found extends KnownObject {
  /** What makes it, whatever stands there now; none: only its plan says. */
  readonly making: PlannedObject['steps'];
  /** Of what is in no plan: whether the target has it so. */
  readonly stands?: boolean;
  /** What brings the target's along when the source's is altered; undefined: nothing can. */
  readonly altering?: PlannedEntity['altering'];
}

/** Of the whole plan, by id. */
export function foundObjects(plan: WholePlan): ReadonlyMap<string, Found> {
  const all = [...foundEntities(plan.database), ...foundOfTables(plan.input, plan.database.renames)];
  return new Map(all.map((each) => [each.id, each]));
}

/** What belongs to no table. */
export function foundEntities({ objects }: Pick<DatabasePlan, 'objects'>): readonly Found[] {
  return objects.map(({ id, line, to, definition, making, type, altering }) => {
    return { ...found({ id, name: line, to, definition, making }), type, altering };
  });
}

/**
 * Statements that remove it, under the names that its table and column have by now: they may have got others since it was
 * remembered.
 */
export function dropNow(known: KnownObject, { input }: WholePlan): readonly Sql[] {
  const [, what, table, attnum] = /^(comment:table|default):(\d+)\.(\d+)$/.exec(known.id) ?? [];
  if (what === undefined) return known.drop.map(trusted);
  const place = objectContext(input).places.get(Number(table));
  const column = place?.source.columns.find((each) => each.attnum === Number(attnum))?.name;
  if (place === undefined) return known.drop.map(trusted);
  const { schema, name } = place.to;
  // It went with its column.
  if (column === undefined && attnum !== '0') return [];
  if (what === 'default')
    return [sql`alter table ${ident(schema, name)} alter column ${ident(column ?? '')} drop default`];
  return column === undefined
    ? [sql`comment on table ${ident(schema, name)} is null`]
    : [sql`comment on column ${ident(schema, name, column)} is null`];
}

interface Given {
  readonly id: string;
  readonly name: ObjectName;
  readonly to: Standing;
  readonly definition: string;
  readonly making?: PlannedObject['steps'];
  /** Whether it goes with something else. */
  readonly belongs?: boolean;
  readonly drop?: readonly Sql[];
}

function found({ id, name, to, definition, making = [], belongs = false, drop }: Given): Found {
  const { schema, name: own, arguments: args, table, kind } = to;
  const removing = belongs ? [] : (drop ?? dropStatements(to, making.flat()));
  return {
    ...{ id, kind, schema, name: own, arguments: args, table, definition, making },
    key: objectKey(name),
    shown: shown(name),
    drop: removing.map(({ text }) => text),
    early: isEarly(kind),
  };
}

function shown({ schema, name, table }: ObjectName): string {
  if (table !== '') return `${name} of ${table}`;
  return schema === '' ? name : `${schema}.${name}`;
}

const constraintKinds = { p: 'primary key', u: 'unique constraint', x: 'exclusion constraint' } as const;

/** What belongs to these tables. */
export function foundOfTables(input: ObjectInput, renames: Renames): readonly Found[] {
  const context = objectContext(input);
  const list: Found[] = [];
  for (const index of input.source.indexes) {
    const place = context.places.get(index.table);
    if (place === undefined) continue;
    const standing = standingIndex(context, index, place);
    const name = standing?.name ?? context.names.get(index.oid)?.name ?? index.name;
    const kind = index.constraint === null ? 'index' : constraintKinds[index.constraint.type];
    const { constraint, using, unique } = index;
    const to = on(place, kind, name);
    const definition = JSON.stringify([constraint?.definition ?? null, using, unique]);
    const belongs = index.parent !== null;
    const named = indexObject(index, place.source);
    list.push(found({ id: `pg_class:${index.oid}`, name: named, to, definition, belongs }));
    const said = ident(place.to.schema, name);
    if (index.comment !== null) {
      const what = { place, of: `index ${index.name}`, on: sql`index ${said}`, comment: index.comment };
      list.push(remark(`comment:index:${index.oid}`, what));
    }
  }
  for (const constraint of input.source.constraints) {
    const place = context.places.get(constraint.table);
    if (place === undefined) continue;
    const named = constraintObject(constraint, place.source);
    const to = on(place, named.kind, constraint.name);
    const { definition, oid, local, comment } = constraint;
    list.push(found({ id: `pg_constraint:${oid}`, name: named, to, definition, belongs: !local }));
    if (comment === null) continue;
    const said = sql`constraint ${ident(constraint.name)} on ${ident(place.to.schema, place.to.name)}`;
    list.push(remark(`comment:constraint:${oid}`, { place, of: `constraint ${constraint.name}`, on: said, comment }));
  }
  for (const { oid, table, schema, name, body, target } of input.source.statistics) {
    const place = context.places.get(table);
    if (place === undefined) continue;
    const there = schema === place.source.schema ? place.to.schema : schema;
    const to = { ...on(place, 'statistics', name), schema: there };
    const named = { kind: 'statistics', schema, name, table: showTable(place.source) } as const;
    list.push(found({ id: `pg_statistic_ext:${oid}`, name: named, to, definition: JSON.stringify([body, target]) }));
  }
  for (const { table, column, comment } of input.source.comments) {
    const place = context.places.get(table);
    if (place === undefined || (column !== null && place.exclude.has(column))) continue;
    const { schema, name } = place.to;
    const attnum = place.source.columns.find((each) => each.name === column)?.attnum ?? 0;
    const said = column === null ? sql`table ${ident(schema, name)}` : sql`column ${ident(schema, name, column)}`;
    const of = column === null ? 'table' : `column ${column}`;
    list.push(remark(`comment:table:${table}.${attnum}`, { place, of, on: said, comment }));
  }
  for (const place of context.places.values()) {
    list.push(...ofTable(renames, place));
    list.push(
      setting(`settings:${place.source.oid}`, 'settings', { place, ...settingsOf(place, input.target.version) }),
    );
  }
  for (const { sequence, ...each } of sequencesOf(input.sequences ?? noSequences, context.places.values()))
    list.push(setting(`settings:sequence:${sequence.oid}`, `settings of sequence ${showTable(sequence)}`, each));
  return list;
}

const noSequences = { source: [], target: [] };

// In no plan: it is made with its table.
function setting(
  id: string,
  name: string,
  { place, definition, statements }: { readonly place: Place } & FoundSettings,
): Found {
  const named = { kind: 'property', schema: place.source.schema, name, table: showTable(place.source) } as const;
  const making = statements.length === 0 ? [] : [statements];
  const to = on(place, 'property', name);
  return { ...found({ id, name: named, to, definition, making, drop: [] }), stands: statements.length === 0 };
}

function on({ to }: Place, kind: string, name: string): Standing {
  return { kind, schema: to.schema, name, arguments: '', table: showTable(to) };
}

function remark(
  id: string,
  { place, of, on: said, comment }: { place: Place; of: string; on: Sql; comment: string },
): Found {
  const name = { kind: 'comment', schema: place.source.schema, name: of, table: showTable(place.source) } as const;
  const making = [[sql`comment on ${said} is ${literal(comment)}`]];
  const drop = [sql`comment on ${said} is null`];
  return found({ id, name, to: on(place, 'comment', of), definition: comment, making, drop });
}

// What is said of its columns; partitions, and tables that it is the heir of.
function ofTable(renames: Renames, place: Place): readonly Found[] {
  const { source, to, tree } = place;
  const list: Found[] = [];
  const table = ident(to.schema, to.name);
  if (source !== tree.root) {
    list.push({ ...knownPartition(source.oid, { schema: source.schema, name: source.name }, to), making: [] });
    return list;
  }
  for (const column of source.columns) {
    if (column.generated !== '' || column.identity !== '' || column.default === null) continue;
    if (place.exclude.has(column.name)) continue;
    const followed = follow(column.default, renames);
    // The sequence of a column goes by another name where the table does.
    const moved = followed.changed || (renames.names.size > 0 && column.default.includes('nextval('));
    const alter = sql`alter table ${table} alter column ${ident(column.name)}`;
    const name = { kind: 'property', schema: source.schema, name: `default of column ${column.name}` } as const;
    const there = place.there.columns.find((each) => each.name === column.name)?.default ?? null;
    list.push({
      ...found({
        ...{ id: `default:${source.oid}.${column.attnum}`, name: { ...name, table: showTable(source) } },
        ...{ to: on(place, 'default', column.name), definition: column.default },
        making:
          moved && column.default.includes('nextval(') ? [] : [[sql`${alter} set default ${trusted(followed.text)}`]],
        drop: [sql`${alter} drop default`],
      }),
      stands: there !== null && sameExpression(there, followed.text),
    });
  }
  return list;
}
