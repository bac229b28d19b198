// ALTER MIRROR … RETRY: asks for the objects that are not on the target; the runner makes them.
import { SluiceError } from '../base/errors.ts';
import { writeJournal } from '../catalog/journal.ts';
import { askForObjects, lockMirror, type Mirror } from '../catalog/mirrors.ts';
import { statusWord } from '../mirror/phase.ts';
import { sql } from '../pg/sql.ts';
import type { AlterMirror } from '../sql/statement.ts';
import { type LifecycleDeps, noSuchMirror, waitFor } from './mirror-lifecycle.ts';
import type { CommandContext, CommandResult } from './result.ts';
import { said } from './said.ts';

// How long it waits for the runner, so that psql mostly comes back to an answer.
const patienceMs = 20_000;

/** Waits for the outcome a while. @throws `undefined_object`, `wrong_state` before the tables are copied */
export async function retryMirror(
  deps: LifecycleDeps,
  statement: AlterMirror,
  context: CommandContext,
): Promise<CommandResult> {
  const tag = 'ALTER MIRROR';
  const mirror = await deps.pool.transaction(async (db) => {
    const found = await lockMirror(db, statement.name);
    if (found === undefined) throw noSuchMirror(statement.name);
    refuseEarly(found);
    await askForObjects(db, found.id);
    await writeJournal(db, [{ ...said(statement, context), mirror: found }]);
    return found;
  });
  if (mirror.wanted === 'pause') return { tag, notices: [`mirror "${mirror.name}" is paused; RESUME MIRROR does it`] };
  const done = await waitFor(deps, mirror.id, {
    until: (now) => now.objectsDone > mirror.objectsAsked || now.wanted !== mirror.wanted || hasFailed(now, mirror),
    patienceMs,
    signal: context.signal,
  });
  if (done === undefined) {
    return { tag, notices: [`mirror "${mirror.name}" is still at it; SHOW MIRROR "${mirror.name}" tells`] };
  }
  if (hasFailed(done, mirror)) {
    const failed = `mirror "${mirror.name}" has failed again: ${done.trouble?.message}`;
    return { tag, notices: [`${failed}; what RETRY asks for is done when that is mended and RESUME MIRROR is said`] };
  }
  return { tag, notices: [await outcome(deps, mirror)] };
}

// Tried again since it was asked, and waiting for a person once more.
function hasFailed(now: Mirror, asked: Mirror): boolean {
  const isTried = now.retriesSeen > asked.retriesAsked && now.objectsDone <= asked.objectsAsked;
  return isTried && !now.working && now.trouble !== null && now.trouble.retryAt === null;
}

function refuseEarly(mirror: Mirror): void {
  const { phase } = mirror;
  const ready = phase === 'catching_up' || phase === 'streaming' || phase === 'completed';
  if (ready && mirror.wanted !== 'drop') return;
  throw new SluiceError('wrong_state', `cannot retry objects of mirror "${mirror.name}"`, {
    detail: `It is ${statusWord(mirror)}, in phase ${phase}.`,
    hint: 'They are made when the tables are copied. RESUME MIRROR ends the wait of a mirror in trouble.',
  });
}

async function outcome({ pool }: LifecycleDeps, mirror: Mirror): Promise<string> {
  const { failed } = await pool.use((db) =>
    db.one<{ failed: number }>(sql`select count(*)::int as failed from sluice_private.objects
      where mirror_id = ${mirror.id} and state = 'failed'`),
  );
  if (failed === 0) return 'no object has failed';
  return `${failed} ${failed === 1 ? 'object has' : 'objects have'} failed; SHOW MIRROR and sluice.objects say why`;
}
