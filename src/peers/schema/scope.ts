// Which objects of the source go along with a mirror, and where each goes: by what was mapped, and by what that needs. Pure.
import type { MirrorWork } from '../../mirror/work.ts';
import { showTable, type TableName } from '../../pg/table.ts';
import { type MemberOf, membersOf, type TableHead, type TreeOf } from '../ddl-tree.ts';
import type { Entity } from './entity.ts';
import { nameKey, type Renames } from './follow.ts';
import { closure } from './order.ts';
import { rowsOf } from './read-views.ts';
import type { DatabaseSide } from './side.ts';

export interface ScopeInput {
  readonly source: DatabaseSide;
  readonly trees: readonly TreeOf<TableHead>[];
  readonly work: Pick<MirrorWork, 'scope' | 'slot' | 'publication'> & {
    readonly options: Pick<MirrorWork['options'], 'schema'>;
  };
}

export interface Scoped {
  /** Ids of the objects that go along. */
  readonly wanted: ReadonlySet<string>;
  /** Of these, what the mirrored tables cannot be made without. */
  readonly needed: ReadonlySet<string>;
  /** Ids of the mirrored tables and their partitions. */
  readonly tables: ReadonlySet<string>;
  readonly renames: Renames;
}

export function scopeOf(input: ScopeInput): Scoped {
  const { source, trees, work } = input;
  const members = trees.flatMap(membersOf);
  const byId = new Map(source.entities.map((each) => [each.id, each]));
  const tables = new Set(members.map(({ source: { oid } }) => `pg_class:${oid}`));
  const needsOf = neededBy(source, byId);
  const inside = (ids: Iterable<string>) =>
    [...closure(ids, needsOf)].filter((id) => {
      const of = byId.get(id)?.of;
      return byId.has(id) && !tables.has(id) && (of === undefined || !tables.has(of));
    });
  const needed = new Set(inside([...tables].flatMap((id) => [...(source.graph.needs.get(id) ?? [])])));
  const renames = renamesOf(input, members);
  const ofIndexes = [...tables].flatMap((id) => [...(source.graph.wide.get(id) ?? [])]);
  if (work.options.schema === 'none') return { wanted: new Set(), needed: new Set(), tables, renames };
  const roots = work.options.schema === 'full' ? rootsOf(input, { tables, members, needsOf }) : [];
  const wanted = new Set([...needed, ...inside([...ofIndexes, ...roots])]);
  if (work.options.schema === 'full') {
    for (const id of inside(aboutThose(input, new Set([...wanted, ...tables])))) wanted.add(id);
  }
  for (const id of homesOf(source.entities, wanted, renames)) wanted.add(id);
  return { wanted, needed, tables, renames };
}

// The schemas of what stays in them; they come first in any case. What is bound to something lives where that does.
function homesOf(all: readonly Entity[], wanted: ReadonlySet<string>, renames: Renames): readonly string[] {
  const stays = (entity: Entity) =>
    wanted.has(entity.id) &&
    entity.table === '' &&
    entity.about === undefined &&
    (renames.names.get(nameKey(entity)) ?? entity).schema === entity.schema;
  const homes = new Set(all.filter(stays).map((entity) => entity.schema));
  return all.filter(({ kind, name }) => kind === 'schema' && homes.has(name)).map(({ id }) => id);
}

// Whose schema some tables are put into may hold more than these: who owns it and may use it is no matter of theirs.
function aboutThose({ source, work }: ScopeInput, known: ReadonlySet<string>): readonly string[] {
  const schemas = new Set(source.entities.filter(({ kind }) => kind === 'schema').map(({ id }) => id));
  return source.entities.flatMap(({ id, about }) => {
    if (about === undefined || !known.has(about)) return [];
    return work.scope.kind === 'tables' && schemas.has(about) ? [] : [id];
  });
}

const nothing: ReadonlySet<string> = new Set();

/** What an object needs, by id; a relation that is mirrored by hand of a table's own steps is an id like any other. */
export function neededBy(source: DatabaseSide, byId: ReadonlyMap<string, Entity>): (id: string) => ReadonlySet<string> {
  const { needs } = source.graph;
  const found = new Map<string, ReadonlySet<string>>();
  const needsOf = (id: string): ReadonlySet<string> => {
    const before = found.get(id);
    if (before !== undefined) return before;
    const entity = byId.get(id);
    const own = needs.get(id);
    // Most tables need nothing, and ten thousand sets of nothing are some megabytes.
    if (entity === undefined) return own ?? nothing;
    const all = new Set([...(own ?? []), ...(entity.needs ?? [])]);
    found.set(id, all);
    // Rows are read from whatever materialised views the query reads, through other views too.
    if (entity.kind === 'materialized rows' && entity.of !== undefined) {
      for (const read of closure([entity.of], needsOf)) {
        if (read !== entity.of && byId.has(rowsOf(read))) all.add(rowsOf(read));
      }
    }
    return all;
  };
  return needsOf;
}

interface Found {
  readonly tables: ReadonlySet<string>;
  readonly members: readonly MemberOf<TableHead>[];
  readonly needsOf: (id: string) => ReadonlySet<string>;
}

function rootsOf({ source, work }: ScopeInput, { tables, members, needsOf }: Found): readonly string[] {
  const { scope } = work;
  const ids = (list: readonly Entity[]) => list.map(({ id }) => id);
  if (scope.kind === 'all') return ids(source.entities);
  const names = new Set(members.map((member) => showTable(member.source)));
  if (scope.kind === 'tables') {
    const reading = (entity: Entity) =>
      isView(entity) && [...closure([entity.id], needsOf)].some((id) => tables.has(id) && id !== entity.id);
    const found = source.entities.filter((entity) => names.has(entity.table) || reading(entity));
    const views = new Set(found.filter(isView).map(showTable));
    // What is bound to those views goes with them.
    return ids([...found, ...source.entities.filter((entity) => views.has(entity.table))]);
  }
  const schemas = new Set(scope.pairs.map((pair) => pair.from));
  const inThem = source.entities.filter(
    (entity) => schemas.has(entity.kind === 'schema' ? entity.name : entity.schema) || names.has(entity.table),
  );
  const wanted = new Set([...ids(inThem), ...tables]);
  // Casts, transforms and such are in no schema: they go with the types and functions that they are about.
  const about = source.entities.filter((entity) => {
    const needs = [...needsOf(entity.id)].filter((id) => !id.startsWith('pg_extension:'));
    return homeless.has(entity.kind) && needs.length > 0 && needs.every((id) => wanted.has(id));
  });
  return ids([...inThem, ...about]);
}

const homeless: ReadonlySet<Entity['kind']> = new Set(['cast', 'transform', 'operator family member', 'access method']);

function isView({ kind }: Entity): boolean {
  return kind === 'view' || kind === 'materialized view';
}

// Types and collations stay in their schema, so that columns have the same type on both sides.
const staying: ReadonlySet<Entity['kind']> = new Set(['type', 'collation', 'extension']);

function renamesOf({ source, work }: ScopeInput, members: readonly MemberOf<TableHead>[]): Renames {
  const names = new Map<string, TableName>();
  const free = new Map(source.entities.filter(({ kind }) => kind === 'sequence').map((each) => [each.id, each]));
  const schemas = new Map<string, string>();
  if (work.scope.kind === 'schemas') {
    for (const { from, to } of work.scope.pairs) if (from !== to) schemas.set(from, to);
    for (const entity of source.entities) {
      const schema = schemas.get(entity.schema);
      if (schema !== undefined && entity.table === '' && !staying.has(entity.kind)) {
        names.set(nameKey(entity), { schema, name: entity.name });
      }
    }
    // Sequences of columns, partitions and whatever else has rows.
    for (const relation of source.graph.relations.values()) {
      const schema = schemas.get(relation.schema);
      if (schema !== undefined) names.set(nameKey(relation), { schema, name: relation.name });
    }
  }
  // A sequence that only defaults use is where the first table of its schema goes.
  const byName = members.toSorted((a, b) => (showTable(a.source) < showTable(b.source) ? -1 : 1));
  for (const { source: table, to } of byName) {
    for (const id of source.graph.needs.get(`pg_class:${table.oid}`) ?? []) {
      const sequence = free.get(id);
      if (sequence?.schema !== table.schema || names.has(nameKey(sequence))) continue;
      names.set(nameKey(sequence), { schema: to.schema, name: sequence.name });
    }
  }
  const places = new Map(
    members.map(({ source: { oid, schema }, to }) => [`pg_class:${oid}`, { schema, to: to.schema }]),
  );
  for (const { about = '', names: named = [] } of source.entities) {
    for (const each of named) {
      const place = places.get(about);
      // Of a table's, only statistics may be in another schema than it is, and then stay there.
      const schema =
        place === undefined ? schemas.get(each.schema) : place.schema === each.schema ? place.to : undefined;
      if (schema !== undefined && !names.has(nameKey(each))) names.set(nameKey(each), { schema, name: each.name });
    }
  }
  for (const { source: from, to } of members) {
    if (from.schema !== to.schema || from.name !== to.name) names.set(nameKey(from), to);
  }
  // Statistics objects in their table's schema are in its schema there, too.
  const tables = new Map(members.map((member) => [`pg_class:${member.source.oid}`, member]));
  for (const { relation, ...statistics } of source.graph.statistics) {
    const member = tables.get(relation);
    if (member === undefined || statistics.schema !== member.source.schema) continue;
    names.set(nameKey(statistics), { schema: member.to.schema, name: statistics.name });
  }
  for (const [key, to] of names) if (key === nameKey(to)) names.delete(key);
  return { names, schemas };
}

/** The schema on the target of what is in that one on the source. */
export function schemaOf(renames: Renames, entity: Pick<Entity, 'kind' | 'schema'>): string {
  return staying.has(entity.kind) ? entity.schema : (renames.schemas.get(entity.schema) ?? entity.schema);
}
