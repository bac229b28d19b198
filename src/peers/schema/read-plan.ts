// What becomes of a database's objects, by what both sides have. The sides are two servers: they are read at the same time.
import type { MirrorWork } from '../../mirror/work.ts';
import type { Connection } from '../../pg/client.ts';
import { sql } from '../../pg/sql.ts';
import type { TableHead, TreeOf } from '../ddl-tree.ts';
import { type DatabasePlan, emptyPlan, planDatabase } from './plan.ts';
import { type DatabaseSide, readSide } from './side.ts';

export type { DatabasePlan } from './plan.ts';

type Work = Pick<MirrorWork, 'tables' | 'scope' | 'slot' | 'publication'> & {
  readonly options: Pick<MirrorWork['options'], 'schema'>;
  readonly source?: { readonly metadataSchema: string };
  readonly target: { readonly metadataSchema: string };
};

/** The source's side; none where nothing is to be made. @param usualOwner `readUsualOwner`, if the target's is read with it too */
export async function readSourceSide(
  source: Connection,
  work: Work,
  usualOwner?: string,
): Promise<DatabaseSide | null> {
  if (work.options.schema === 'none') return null;
  return await readSide(source, oursOf(work), usualOwner);
}

/** The target's side as it is now; none where nothing is to be made. */
export async function readTargetSide(
  target: Connection,
  work: Work,
  usualOwner?: string,
): Promise<DatabaseSide | null> {
  if (work.options.schema === 'none') return null;
  return await readSide(target, oursOf(work), usualOwner);
}

/** Who owns what we make: of ten thousand tables that are that role's on both sides, no owner need be read. */
export async function readUsualOwner(target: Connection): Promise<string> {
  return (await target.one<{ user: string }>(sql`select current_user::text as user`)).user;
}

/** Both sides at once. @param known the source's, if it need not be read */
export async function readSides(
  { source, target }: { readonly source: Connection; readonly target: Connection },
  work: Work,
  known: DatabaseSide | null = null,
): Promise<BothSides> {
  const usual = await readUsualOwner(target);
  const [ofSource, ofTarget] = await Promise.all([
    known ?? readSourceSide(source, work, usual),
    readTargetSide(target, work, usual),
  ]);
  return { source: ofSource, target: ofTarget };
}

export interface BothSides {
  readonly source: DatabaseSide | null;
  readonly target: DatabaseSide | null;
}

/** Pure. */
export function planSides(
  { source, target }: BothSides,
  work: Work,
  trees: readonly TreeOf<TableHead>[],
): DatabasePlan {
  if (source === null || target === null) return emptyPlan;
  return planDatabase({ source, target, work, trees });
}

// Source and target may be one server, or change places one day.
function oursOf(work: Work): readonly string[] {
  return [...new Set([work.target.metadataSchema, ...(work.source === undefined ? [] : [work.source.metadataSchema])])];
}
