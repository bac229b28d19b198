// Sequences while a mirror follows: no change of theirs is in the log, so they are moved from time to time, and at the end.
import { once } from 'node:events';
import { toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { connectSides } from '../peers/connect.ts';
import { databaseIdentity, isBroughtFrom } from '../peers/origin.ts';
import { hasSequences, refusedWords, syncSequences } from '../peers/sequences.ts';
import { moveFreeSequences } from '../peers/sequences-free.ts';
import type { Connection } from '../pg/client.ts';
import type { CdcReport } from './report.ts';

interface Deps {
  readonly work: MirrorWork;
  readonly report: Pick<CdcReport, 'noteOnce'>;
  readonly log: Log;
}

/** The most that stopping waits for the source's answer, and for the sequences' last values. */
const lastSequencesMs = 3_000;

/**
 * Once it is told to stop, and is not broken, nor replaced by another owner: whoever pauses may be about to write to the target.
 * @param source a session of the stream's own; it is broken off if it does not answer
 */
export async function lastSequences(
  deps: Deps,
  source: Connection,
  { stop, wish }: { readonly stop: AbortSignal; readonly wish: AbortSignal },
): Promise<void> {
  if (!stop.aborted) await once(stop, 'abort');
  if (!wish.aborted) return;
  const { work } = deps;
  const inTime = AbortSignal.timeout(lastSequencesMs);
  // What was asked before and is not answered by then holds the stop up, too.
  const silent = () => source.destroy();
  inTime.addEventListener('abort', silent, { once: true });
  try {
    const has = await hasSequences(source, work.target.metadataSchema);
    inTime.removeEventListener('abort', silent);
    if (!has) return;
    await using sides = await connectSides(work, { application: applicationName('sequences', work) }, inTime);
    await followSequences(deps, sides, inTime);
  } catch (error) {
    if (!inTime.aborted) tellUnmoved(deps, error);
  }
}

/** Sets the target's sequences to where the source's stand. One that is refused is noted; what keeps it from all goes to the log. */
export async function followSequences(
  deps: Deps,
  { source, target }: { readonly source: Connection; readonly target: Connection },
  signal: AbortSignal,
): Promise<void> {
  const { work, report } = deps;
  try {
    if (!(await hasSequences(source, work.target.metadataSchema))) return;
    // Where a mirror brings changes back, both sides give numbers out: each goes its own way.
    if (await isBroughtFrom(source, await databaseIdentity(target))) return;
    const refused = await syncSequences(source, target, work);
    const free = await moveFreeSequences({ source, target }, work);
    for (const each of [...refused, ...free]) await report.noteOnce(refusedWords(each));
  } catch (error) {
    // Rows are more important; the next time may do.
    if (!signal.aborted) tellUnmoved(deps, error);
  }
}

function tellUnmoved({ work, log }: Deps, error: unknown): void {
  log.warn({ err: toSluiceError(error), mirror: work.name }, 'sequences were not moved');
}
