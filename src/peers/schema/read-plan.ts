// What becomes of a database's objects, by what both sides have. The sides are two servers: they are read at the same time.
import type { MirrorWork } from '../../mirror/work.ts';
import type { Connection } from '../../pg/client.ts';
import { sql } from '../../pg/sql.ts';
import type { TableHead, TreeOf } from '../ddl-tree.ts';
import { takeCensus } from './census.ts';
import type { AskedFacts } from './facts.ts';
import { type DatabasePlan, emptyPlan, planDatabase } from './plan.ts';
import { type DatabaseSide, readSide } from './side.ts';

export type { DatabasePlan } from './plan.ts';

type Work = Pick<MirrorWork, 'tables' | 'scope' | 'slot' | 'publication'> & {
  readonly options: Pick<MirrorWork['options'], 'schema'>;
  readonly source?: { readonly metadataSchema: string };
  readonly target: { readonly metadataSchema: string };
};

/** What both sides are read with. */
export interface CommonFacts extends AskedFacts {
  /** Who owns what we make: of ten thousand tables that are that role's on both sides, no owner need be read. */
  readonly usualOwner: string;
}

/** @returns with the kinds of objects that the source has: of others nobody asks what the target has of them */
export async function readCommon({ source, target }: Sides, { options }: Work): Promise<CommonFacts> {
  const owner = target.one<{ user: string }>(sql`select current_user::text as user`);
  const census = options.schema === 'none' ? undefined : takeCensus(source);
  const [{ user: usualOwner }, holds] = await Promise.all([owner, census]);
  return { usualOwner, holds };
}

/** The source's side; none where nothing is to be made. @param asked of `readCommon`, if the target's is read with it too */
export async function readSourceSide(
  source: Connection,
  work: Work,
  asked: AskedFacts = {},
): Promise<DatabaseSide | null> {
  if (work.options.schema === 'none') return null;
  return await readSide(source, oursOf(work), asked);
}

/** The target's side as it is now; none where nothing is to be made. @param asked with the kinds that the source holds, if they are known */
export async function readTargetSide(
  target: Connection,
  work: Work,
  asked: AskedFacts = {},
): Promise<DatabaseSide | null> {
  if (work.options.schema === 'none') return null;
  return await readSide(target, oursOf(work), asked);
}

interface Sides {
  readonly source: Connection;
  readonly target: Connection;
}

/** Both sides at once. @param known the source's, if it need not be read */
export async function readSides(
  { source, target }: Sides,
  work: Work,
  known: DatabaseSide | null = null,
): Promise<BothSides> {
  const common = known === null ? await readCommon({ source, target }, work) : known.facts;
  const [ofSource, ofTarget] = await Promise.all([
    known ?? readSourceSide(source, work, common),
    readTargetSide(target, work, common),
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
