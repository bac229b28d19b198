// The end of a mirror: slot, publication and checkpoint go; what cannot be reached is named, with the statement that removes it.
import { type SluiceError, toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { backoffMs, pause, throwIfStopped } from '../base/retry.ts';
import type { Leftover, Mirror } from '../catalog/mirrors.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { dropCheckpoint } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { dropDdlCapture, dropDdlCaptureStatement } from '../peers/ddl-capture.ts';
import { dropOrigins, dropOriginsStatement } from '../peers/origin.ts';
import { dropPublication } from '../peers/publication.ts';
import { dropSlot } from '../peers/slot.ts';
import type { Connection } from '../pg/client.ts';
import { quoteLiteral, quoteName } from '../pg/sql.ts';

export interface DropDeps {
  readonly mirror: Mirror;
  readonly work: MirrorWork;
  readonly log: Log;
}

interface Removal {
  readonly peer: 'source' | 'target';
  readonly what: string;
  readonly statement: string;
  readonly remove: (db: Connection) => Promise<unknown>;
}

// A server that is away must not hold a person up: a moment's trouble is waited out, more is not. One that does not answer takes the
// time of a login for each try.
const attempts = 3;
const triesMs = 5_000;

/** Removes what the mirror made. @returns what could not be removed @throws `stopped` only */
export async function runDrop(deps: DropDeps, signal: AbortSignal): Promise<readonly Leftover[]> {
  const all = removals(deps, signal);
  const [source, target] = await Promise.all([
    removeOn('source', { ...deps, removals: all }, signal),
    removeOn('target', { ...deps, removals: all }, signal),
  ]);
  return [...source, ...target];
}

/** What we made, in the order in which it must go. */
function removals({ mirror, work }: DropDeps, signal: AbortSignal): readonly Removal[] {
  const { slot, publication } = mirror;
  const list: Removal[] = [];
  if (work.options.schema_changes === 'full' && slot !== null) {
    list.push({
      peer: 'source',
      what: 'the event triggers that tell of changes of the schema',
      statement: dropDdlCaptureStatement(work),
      remove: (db) => dropDdlCapture(db, work),
    });
  }
  if (slot?.made && !mirror.keepSlot) {
    list.push({
      peer: 'source',
      what: `replication slot "${slot.name}"`,
      statement: `select pg_drop_replication_slot(${quoteLiteral(slot.name)});`,
      remove: (db) => dropSlot(db, slot.name, signal),
    });
  }
  // A slot decodes its past with the publication of that time, so a kept slot keeps its publication.
  if (publication.made && slot !== null && !mirror.keepSlot) {
    list.push({
      peer: 'source',
      what: `publication "${publication.name}"`,
      statement: `drop publication if exists ${quoteName(publication.name)};`,
      remove: (db) => dropPublication(db, publication.name),
    });
  }
  const { metadataSchema } = work.target;
  const rows = ['parts', 'copied_tables', 'checkpoints'].map(
    (table) => `delete from ${quoteName(metadataSchema, table)} where mirror_id = ${quoteLiteral(mirror.id)};`,
  );
  list.push({
    peer: 'target',
    what: `checkpoint rows in schema "${metadataSchema}"`,
    statement: rows.join(' '),
    remove: (db) => dropCheckpoint(db, work),
  });
  // Last: it takes a right of its own, and nothing else should stay for want of it.
  list.push({
    peer: 'target',
    what: 'the replication origin of what it wrote',
    statement: dropOriginsStatement(mirror.id),
    remove: (db) => dropOrigins(db, mirror.id),
  });
  return list;
}

async function removeOn(
  peer: 'source' | 'target',
  deps: DropDeps & { readonly removals: readonly Removal[] },
  signal: AbortSignal,
): Promise<readonly Leftover[]> {
  const left = deps.removals.filter((each) => each.peer === peer);
  const began = performance.now();
  let failure: SluiceError | undefined;
  for (let attempt = 0; attempt < attempts && left.length > 0; attempt++) {
    if (attempt > 0 && performance.now() - began > triesMs) break;
    if (attempt > 0) await pause(backoffMs(attempt - 1), signal);
    try {
      await removeAll(left, deps.work, { peer, signal });
    } catch (error) {
      throwIfStopped(signal);
      failure = toSluiceError(error);
      deps.log.warn({ err: failure, peer }, 'a drop could not remove everything yet');
      if (failure.retry !== 'backoff') break;
    }
  }
  const name = peer === 'source' ? deps.mirror.sourceName : deps.mirror.targetName;
  return left.map(({ what, statement }) => ({ peer: name, what: `${what} (${failure?.message})`, statement }));
}

/** Takes off the list what is gone. */
async function removeAll(
  left: Removal[],
  work: MirrorWork,
  on: { readonly peer: 'source' | 'target'; readonly signal: AbortSignal },
): Promise<void> {
  await using db = await connectPeer(work[on.peer], { application: applicationName('drop', work) }, on.signal);
  while (left[0] !== undefined) {
    await left[0].remove(db);
    left.shift();
  }
}
