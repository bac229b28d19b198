// Reads, while the target makes tables, what finishing will want of the source.
import type { MirrorWork } from '../mirror/work.ts';
import { readSourceSide } from '../peers/schema/read-plan.ts';
import type { Connection } from '../pg/client.ts';
import { followsAll } from './changed-tables.ts';
import { KnownSource, type ReadAhead } from './known-source.ts';
import { lookAtSource, readSlices, tablesIn } from './whole.ts';

/**
 * @param usualOwner see readSourceSide
 * @returns null where finishing has to look by itself: what it makes is another, or the source is too large to be held
 */
export async function readAhead(
  source: Connection,
  work: MirrorWork,
  { usualOwner, signal }: { readonly usualOwner: string; readonly signal: AbortSignal },
): Promise<ReadAhead | null> {
  if (work.options.schema !== 'full' || followsAll(work)) return null;
  const known = await KnownSource.before(source, work.tables.length);
  if (known === null) return null;
  const whole = await lookAtSource(source, work);
  // With partitions it may be too many.
  if (!KnownSource.holdsOf(tablesIn(whole))) return null;
  for await (const theirs of readSlices({ source, slices: whole.slices })) {
    if (signal.aborted) return null;
    known.slices.push(theirs);
  }
  known.side = await readSourceSide(source, work, { usualOwner });
  return { known, whole };
}
