// Reads both sides for a plan of objects: what belongs to the source's tables, and what the target has of it.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import type { Table } from '../pg/table.ts';
import { maySwitchOff } from './apply-session.ts';
import { membersOf, type TableTree, targetNames } from './ddl-tree.ts';
import { type InspectOptions, inspectTables } from './inspect.ts';
import type { NeededExtension, ObjectInput, OutsideTable } from './objects-input.ts';
import { outsideNames } from './objects-plan-constraint.ts';
import { readObjectExtensions, readTableObjects, type TableObjects } from './objects-read.ts';

/** What the source has: the tables, what belongs to them, and the extensions that it needs. */
export interface SourceObjects {
  readonly trees: readonly TableTree[];
  readonly objects: TableObjects;
  readonly extensions: readonly { readonly name: string; readonly schema: string }[];
}

export async function lookAtSource(
  source: Connection,
  trees: readonly TableTree[],
  options: InspectOptions = {},
): Promise<SourceObjects> {
  const tables = trees.flatMap((tree) => [tree.root, ...tree.partitions]);
  const objects = await readTableObjects(
    source,
    tables.map((table) => table.oid),
    options,
  );
  const oids = <T extends { readonly oid: number }>(list: readonly T[]) => list.map((each) => each.oid);
  const extensions = await readObjectExtensions(source, {
    indexes: oids(objects.indexes),
    constraints: oids(objects.constraints),
    statistics: oids(objects.statistics),
  });
  return { trees, objects, extensions };
}

/** The mirror's tables on the target, and what belongs to them there. */
export interface TargetObjects {
  readonly there: readonly Table[];
  readonly objects: TableObjects;
}

/** @param there the tables, if they were read a moment ago */
export async function lookAtTables(
  target: Connection,
  trees: readonly TableTree[],
  there?: readonly Table[],
): Promise<TargetObjects> {
  const tables = there ?? (await inspectTables(target, targetNames(trees), { sizes: false }));
  const oids = tables.map((table) => table.oid);
  return { there: tables, objects: await readTableObjects(target, oids, { sizes: false }) };
}

/** The target's side, with which the plan is made. @param follows whether changes will be applied, or are */
export async function lookAtTarget(
  target: Connection,
  { trees, objects, extensions }: SourceObjects,
  {
    standing,
    follows,
    ...known
  }: { readonly standing: TargetObjects; readonly follows: boolean } & Pick<ObjectInput, 'beyond' | 'moved'>,
): Promise<ObjectInput> {
  const { there } = standing;
  const members = new Map(trees.flatMap(membersOf).map((member) => [member.source.oid, member]));
  return {
    ...known,
    trees,
    source: objects,
    target: standing.objects,
    there,
    outside: (
      await inspectTables(target, outsideNames({ ...known, members, source: objects, trees }), { sizes: false })
    ).flatMap(outsideTable),
    extensions: await lookForExtensions(target, extensions),
    actsWhileFollowing: follows && !(await maySwitchOff(target)),
  };
}

function outsideTable(table: Table): readonly OutsideTable[] {
  if (table.kind !== 'r' && table.kind !== 'p') return [];
  const { schema, name } = table;
  return [{ schema, name, columns: table.columns.map((column) => column.name) }];
}

/** How the target stands with the extensions that objects need. */
export async function lookForExtensions(
  target: Connection,
  wanted: SourceObjects['extensions'],
): Promise<readonly NeededExtension[]> {
  if (wanted.length === 0) return [];
  const names = wanted.map((each) => each.name);
  const rows = await target.query<{ name: string; installed: boolean }>(sql`
    select name::text as name, installed_version is not null as installed
    from pg_catalog.pg_available_extensions where name = any(${names}::text[])`);
  const found = new Map(rows.map((row) => [row.name, row.installed]));
  return wanted.map((each) => {
    const installed = found.get(each.name);
    return { ...each, on: installed === undefined ? 'missing' : installed ? 'installed' : 'available' };
  });
}
