// Looks at a mirror's slot now and then, so that people see it grow before the source's disk is full.
import { toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { pause } from '../base/retry.ts';
import type { Pool } from '../catalog/pool.ts';
import { writeObservedSlot } from '../catalog/progress-write.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import { readSlot } from '../peers/slot.ts';

const lookEveryMs = 10_000;

/** Runs until stopped. A look that fails is left out: the stream itself says what is wrong. */
export async function watchSlot(
  deps: { readonly work: MirrorWork; readonly pool: Pool; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await look(deps, signal);
    } catch (error) {
      deps.log.debug({ err: toSluiceError(error) }, 'the slot could not be looked at');
    }
    await pause(lookEveryMs, signal).catch(() => undefined);
  }
}

async function look(deps: { readonly work: MirrorWork; readonly pool: Pool }, signal: AbortSignal): Promise<void> {
  const { work, pool } = deps;
  if (work.slot === null) return;
  const { name } = work.slot;
  await using source = await connectPeer(work.source, { application: applicationName('slot watch', work) }, signal);
  const slot = await readSlot(source, name);
  if (slot === null) return;
  await pool.use((db) =>
    writeObservedSlot(db, work.id, {
      slot: name,
      active: slot.active,
      walStatus: slot.walStatus,
      safeWalBytes: slot.safeWalSize,
      lagBytes: slot.lagBytes,
      restartLsn: slot.restartLsn,
      confirmedLsn: slot.confirmedFlush,
    }),
  );
}
