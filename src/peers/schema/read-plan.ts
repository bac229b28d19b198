// What becomes of a database's objects, by what both sides have. The sides are two servers: they are read at the same time.
import type { MirrorWork } from '../../mirror/work.ts';
import type { Connection } from '../../pg/client.ts';
import type { TableHead, TreeOf } from '../ddl-tree.ts';
import { type DatabasePlan, emptyPlan, planDatabase } from './plan.ts';
import { type DatabaseSide, readSide } from './side.ts';

export type { DatabasePlan } from './plan.ts';

type Work = Pick<MirrorWork, 'tables' | 'scope' | 'slot' | 'publication'> & {
  readonly options: Pick<MirrorWork['options'], 'schema'>;
  readonly source?: { readonly metadataSchema: string };
  readonly target: { readonly metadataSchema: string };
};

/** The source's side; none where nothing is to be made. */
export async function readSourceSide(source: Connection, work: Work): Promise<DatabaseSide | null> {
  if (work.options.schema === 'none') return null;
  return await readSide(source, oursOf(work));
}

/** The target's side as it is now; none where nothing is to be made. */
export async function readTargetSide(target: Connection, work: Work): Promise<DatabaseSide | null> {
  if (work.options.schema === 'none') return null;
  return await readSide(target, oursOf(work));
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
