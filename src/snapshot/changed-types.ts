// Types that change on the source while tables are copied: what is still to be copied comes in the form that they have by then.
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { alteredComposite, loosenedDomain } from '../peers/altered-types.ts';
import { beginCopiedTables, holdToken, readCopiedTables } from '../peers/checkpoint.ts';
import { followDdl } from '../peers/ddl-follow.ts';
import type { ToldEnum, ToldType } from '../peers/ddl-message.ts';
import { renamedLabels } from '../peers/enum-labels.ts';
import { findTypes } from '../peers/inspect-schema.ts';
import { findKnownKind, findKnownObjects, type KnownObject, rememberObject } from '../peers/known-objects.ts';
import { writeSchemaChange } from '../peers/schema-changes.ts';
import { readToldTypes, typesUsed } from '../peers/told-types.ts';
import { formatLsn, type Lsn } from '../pg/lsn.ts';
import { showTable } from '../pg/table.ts';
import { followsAll, type Present } from './changed-tables.ts';
import type { SnapshotDeps } from './deps.ts';
import type { Sides } from './start.ts';

export interface ChangedTypes {
  readonly enums: readonly ToldEnum[];
  readonly types: readonly ToldType[];
  /** OIDs of those whose values have another form now. */
  readonly reformed: ReadonlySet<number>;
  readonly lsn: Lsn;
}

/** Those of the mirror's types that the target has otherwise. */
export async function lookForTypes({ source, target }: Sides, work: MirrorWork): Promise<ChangedTypes> {
  const known = new Map(
    (await findKnownKind(target, work, 'pg_type:')).map((each) => [Number(each.id.slice(8)), each]),
  );
  const told = await readToldTypes(source, [...known.keys()]);
  const names = [...known.values()].map(({ schema, name }) => ({ schema, name }));
  const labels = new Map((await findTypes(target, names)).map((type) => [showTable(type), type.labels]));
  const reformed = new Set<number>();
  const enums = told.enums.filter((now) => {
    const was = known.get(now.oid);
    if (was === undefined) return false;
    const there = labels.get(showTable(was)) ?? [];
    if (renamedLabels({ schema: '', name: '', source: now.labels, target: there }).length > 0) reformed.add(now.oid);
    return isRenamed(was, now) || JSON.stringify(there) !== JSON.stringify(now.labels);
  });
  const types = told.types.filter((now) => {
    const was = known.get(now.oid);
    if (was === undefined) return false;
    const { composite, domain } = was.type ?? { composite: null, domain: null };
    const isComposed =
      composite !== null && alteredComposite(was, composite.attributes, now.attributes ?? []).length > 0;
    if (isComposed) reformed.add(now.oid);
    const isLoose = domain !== null && now.domain !== null && loosenedDomain(was, domain, now.domain).length > 0;
    return isRenamed(was, now) || isComposed || isLoose;
  });
  return { enums, types, reformed, lsn: told.lsn };
}

function isRenamed({ key }: KnownObject, now: ToldEnum | ToldType): boolean {
  const [, schema, name] = JSON.parse(key) as readonly string[];
  return schema !== now.schema || name !== now.name;
}

/**
 * Brings the target's types to what they are on the source by now, if tables that are still to be copied are made of them. Tables
 * that were copied before their values got another form are copied again: the stream would bring their rows in a form of its own time.
 */
export async function upToDateTypes(deps: SnapshotDeps, sides: Sides, { now }: Present): Promise<void> {
  const { work, report } = deps;
  if (!followsAll(work) || work.options.schema !== 'full') return;
  const changed = await lookForTypes(sides, work);
  const all = [...changed.enums, ...changed.types];
  if (all.length === 0) return;
  const oids = [...now.values()].map(({ is }) => is.oid);
  const used = await typesUsed(
    sides.source,
    oids,
    all.map(({ oid }) => oid),
  );
  const copied = await readCopiedTables(sides.target, work);
  const isFinished = ({ from }: MirroredTable) => copied.get(showTable(from))?.finished === true;
  const uses = ({ from }: MirroredTable) => used.get(now.get(showTable(from))?.is.oid ?? 0) ?? new Set<number>();
  const needed = new Set(work.tables.filter((table) => !isFinished(table)).flatMap((table) => [...uses(table)]));
  if (needed.size === 0) return;
  const again = work.tables.filter(
    (table) => isFinished(table) && [...uses(table)].some((oid) => needed.has(oid) && changed.reformed.has(oid)),
  );
  await apply(deps, sides, { changed, needed, again });
  const names = all.filter(({ oid }) => needed.has(oid)).map(showTable);
  const more =
    again.length === 0 ? '' : `; copied again for it: ${again.map(({ from }) => showTable(from)).join(', ')}`;
  await report.note(`types changed on the source while the first copy runs: ${names.join(', ')}${more}`);
}

async function apply(
  { work }: SnapshotDeps,
  { target }: Sides,
  of: {
    readonly changed: ChangedTypes;
    readonly needed: ReadonlySet<number>;
    readonly again: readonly MirroredTable[];
  },
): Promise<void> {
  const { lsn } = of.changed;
  const isNeeded = ({ oid }: { readonly oid: number }) => of.needed.has(oid);
  const [enums, types] = [of.changed.enums.filter(isNeeded), of.changed.types.filter(isNeeded)];
  const nothing = { objects: [], trees: [] };
  const message = { event: 'ddl_command_end', tag: 'ALTER TYPE', ...nothing, enums, types } as const;
  await target.transaction(async () => {
    await holdToken(target, work);
    const done = await followDdl({ work, target, mirroredBy: () => undefined, place: lsn }, message);
    if (done.statements.length > 0) await writeSchemaChange(target, work, { table: '', lsn, ...done });
    const ids = [...of.needed].map((oid) => `pg_type:${oid}`);
    // What the stream tells of them from before is behind them.
    for (const each of await findKnownObjects(target, work, ids))
      await rememberObject(target, work, { ...each, asOf: formatLsn(lsn) });
    await beginCopiedTables(target, work, { tables: of.again.map(({ from }) => from), snapshotLsn: null });
  });
}
