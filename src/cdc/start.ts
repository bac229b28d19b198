// Whether the source still has all that comes after the target's checkpoint: compared before anything is applied.
import { SluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { advanceCheckpoint, readCheckpoint } from '../peers/checkpoint.ts';
import { readSlot, whyLost } from '../peers/slot.ts';
import { leftTimelineAt, missingLog, readRememberedLog, readSourceLog, rememberLog } from '../peers/timeline.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';

export interface StartDeps {
  readonly work: MirrorWork;
  readonly source: Connection;
  /** A replication connection to the source. */
  readonly repl: Connection;
  readonly target: Connection;
  readonly slot: string;
}

/**
 * Where the stream begins: the end of what the target has. A target without a checkpoint begins where the slot does.
 * @throws `slot_lost` if changes behind it are gone for good, `wrong_state` if slot or source are not those of the mirror
 */
export async function agreeOnStart(deps: StartDeps): Promise<Lsn> {
  const { work, target } = deps;
  const confirmed = await confirmedBySlot(deps);
  const checkpoint = await readCheckpoint(target, work);
  if (checkpoint === null) {
    if (work.options.do_initial_copy) {
      throw new SluiceError('wrong_state', 'the target has no checkpoint: the initial copy has not begun');
    }
    await agreeOnLog(deps, confirmed);
    await advanceCheckpoint(target, work, confirmed);
    return confirmed;
  }
  if (confirmed > checkpoint) {
    throw new SluiceError('slot_lost', `replication slot "${deps.slot}" is ahead of the target`, {
      detail: `The slot begins at ${formatLsn(confirmed)}; the target has changes up to ${formatLsn(checkpoint)}, and what came between is lost. The slot was dropped and made anew, somebody else read it, or the target is an older state of itself.`,
      hint: copyAgain(work.name),
    });
  }
  await agreeOnLog(deps, checkpoint);
  return checkpoint;
}

async function confirmedBySlot({ work, source, slot }: StartDeps): Promise<Lsn> {
  const hint = copyAgain(work.name);
  const state = await readSlot(source, slot);
  if (state === null) {
    throw new SluiceError('slot_lost', `replication slot "${slot}" does not exist on the source`, {
      detail:
        'It was dropped, or the source is a standby that was promoted without it. Changes since then are in no log that we could read.',
      hint,
    });
  }
  if (state.plugin !== 'pgoutput' || state.confirmedFlush === null) {
    throw new SluiceError('wrong_state', `replication slot "${slot}" is not one of the plugin pgoutput`, {
      detail: `It is one of ${state.plugin ?? 'physical replication'}. Ours was dropped.`,
      hint,
    });
  }
  const { database } = await source.one<{ database: string }>(
    sql`select pg_catalog.current_database()::text as database`,
  );
  if (state.database !== database) {
    throw new SluiceError('wrong_state', `replication slot "${slot}" is one of another database`, {
      detail: `It is one of "${state.database}", the mirror's source is "${database}". Ours was dropped.`,
      hint,
    });
  }
  if (state.walStatus === 'lost') {
    throw new SluiceError('slot_lost', `replication slot "${slot}" has lost the log that it needs`, {
      detail: whyLost(state),
      hint,
    });
  }
  return state.confirmedFlush;
}

// A restored source, and a standby that was promoted before it had everything, go on with another log at the same positions.
async function agreeOnLog({ work, repl, target }: StartDeps, checkpoint: Lsn): Promise<void> {
  const now = await readSourceLog(repl);
  const remembered = await readRememberedLog(target, work);
  const missing = await missingLog({ remembered, now, checkpoint }, () =>
    leftTimelineAt(repl, now.timeline, remembered?.timeline ?? 0n),
  );
  if (missing === null) {
    if (remembered?.system === now.system && remembered.timeline === now.timeline) return;
    return await rememberLog(target, work, now);
  }
  const hint = `${copyAgain(work.name)} Or point the peer to the server that has it.`;
  if (missing.kind === 'other_system') {
    throw new SluiceError('wrong_state', 'the source is another server than the one that was copied', {
      detail: `Its system identifier is ${now.system}, the target's rows come from ${remembered?.system}. A standby has the identifier of its primary.`,
      hint,
    });
  }
  if (missing.kind === 'other_branch') {
    throw new SluiceError('slot_lost', 'the source has another history than the target’s rows', {
      detail: `It is on timeline ${now.timeline}, which does not come from timeline ${remembered?.timeline}.`,
      hint,
    });
  }
  const { recovering } = await repl.one<{ recovering: boolean }>(
    sql`select pg_catalog.pg_is_in_recovery() as recovering`,
  );
  const detail = `Its log ends (or was left for another timeline) at ${formatLsn(missing.at)}; the target has changes up to ${formatLsn(checkpoint)}.`;
  // One that has just been started may still have it before it.
  if (recovering)
    throw new SluiceError('unreachable', 'the source, a standby, is not yet where the target is', { detail });
  throw new SluiceError('slot_lost', 'the source has lost changes that the target has', {
    detail: `${detail} It was restored, or is a standby that was promoted before it had everything.`,
    hint,
  });
}
