// Reads both sides of a mirror and plans what becomes of the database's objects.
import type { MirrorWork } from '../../mirror/work.ts';
import type { Connection } from '../../pg/client.ts';
import type { TableTree } from '../ddl-tree.ts';
import { type DatabasePlan, emptyPlan, planDatabase } from './plan.ts';
import { type DatabaseSide, readSide } from './side.ts';

export type { DatabasePlan } from './plan.ts';

type Work = Pick<MirrorWork, 'tables' | 'scope' | 'slot' | 'publication'> & {
  readonly options: Pick<MirrorWork['options'], 'schema'>;
  readonly source?: { readonly metadataSchema: string };
  readonly target: { readonly metadataSchema: string };
};

interface Sides {
  readonly source: Connection;
  readonly target: Connection;
}

/** The source's side; none where nothing is to be made. */
export async function readSourceSide(source: Connection, work: Work): Promise<DatabaseSide | null> {
  if (work.options.schema === 'none') return null;
  return await readSide(source, oursOf(work));
}

/** The plan against the target as it is now. */
export async function planAgainst(
  side: DatabaseSide | null,
  target: Connection,
  { work, trees }: { readonly work: Work; readonly trees: readonly TableTree[] },
): Promise<DatabasePlan> {
  if (side === null) return emptyPlan;
  return planDatabase({ source: side, target: await readSide(target, oursOf(work)), work, trees });
}

export async function readPlan(
  { source, target }: Sides,
  work: Work,
  trees: readonly TableTree[],
): Promise<DatabasePlan> {
  return await planAgainst(await readSourceSide(source, work), target, { work, trees });
}

// Source and target may be one server, or change places one day.
function oursOf(work: Work): readonly string[] {
  return [...new Set([work.target.metadataSchema, ...(work.source === undefined ? [] : [work.source.metadataSchema])])];
}
