// An apply that takes long: whom it waits for on the target, said again and again while it does.
import { toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { pause } from '../base/retry.ts';
import { applicationName } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import { lockHolders, showHolder } from '../peers/lock-holders.ts';
import type { Session } from './session.ts';

// Most take milliseconds, and nobody is asked about them.
const slowMs = 3_000;
const lookEveryMs = 1_000;

/** Until the signal is aborted. Who holds it up is told in the journal once. */
export async function tellWaits(session: Session, log: Log, signal: AbortSignal): Promise<void> {
  const { applier, report } = session;
  let waits = false;
  let told = '';
  while (!signal.aborted) {
    await pause(lookEveryMs, signal).catch(() => undefined);
    const { busySince } = applier;
    const slow = busySince !== null && Date.now() - busySince >= slowMs;
    if (signal.aborted || (!slow && !waits)) continue;
    const lines = slow ? await look(session, log, signal) : [];
    if (waits || lines.length > 0) await report.waits(lines.map(({ line }) => line));
    waits = lines.length > 0;
    const who = lines.map(({ pid }) => pid).join();
    if (waits && who !== told)
      await report.note(`changes wait on the target for ${lines.map(({ line }) => line).join('; ')}`);
    told = who;
  }
  if (waits) await report.waits([]);
}

async function look({ work, applier }: Session, log: Log, signal: AbortSignal) {
  try {
    await using target = await connectPeer(work.target, { application: applicationName('look', work) }, signal);
    const holders = await lockHolders(target, applier.connection.pid);
    return holders.map((each) => ({ pid: each.pid, line: showHolder(each) }));
  } catch (error) {
    // What keeps us from looking is not what matters; the apply will say it.
    if (!signal.aborted)
      log.debug({ err: toSluiceError(error), mirror: work.name }, 'cannot see what changes wait for');
    return [];
  }
}
