// PAUSE, RESUME and DROP MIRROR: a wish is written to the catalog; the runner makes it true.
import { SluiceError } from '../base/errors.ts';
import { pause } from '../base/retry.ts';
import { writeJournal } from '../catalog/journal.ts';
import { lockMirror, type Mirror, readMirror, writeWish } from '../catalog/mirrors.ts';
import type { Pool } from '../catalog/pool.ts';
import { statusWord, type Wanted } from '../mirror/phase.ts';
import type { DropMirror, Statement } from '../sql/statement.ts';
import type { CommandContext, CommandResult } from './result.ts';
import { said } from './said.ts';

export interface LifecycleDeps {
  readonly pool: Pool;
}

type PauseMirror = Extract<Statement, { kind: 'pause_mirror' }>;
type ResumeMirror = Extract<Statement, { kind: 'resume_mirror' }>;

// How long DROP MIRROR waits for the runner, so that psql comes back to a finished drop.
const dropPatienceMs = 45_000;
// How long PAUSE MIRROR waits for the engine to stop.
const pausePatienceMs = 15_000;

/** Stops a mirror where it is; its slot keeps the source's log for it. @throws `undefined_object`, `wrong_state` */
export async function pauseMirror(
  deps: LifecycleDeps,
  statement: PauseMirror,
  context: CommandContext,
): Promise<CommandResult> {
  const tag = 'PAUSE MIRROR';
  const mirror = await wish(deps, { statement, context }, (found) => {
    refuseWhen(found, ['completed', 'dropping'], 'pause');
    return { wanted: 'pause' };
  });
  if (mirror === undefined) return skipped(tag, statement.name);
  if (mirror.wanted === 'pause') return { tag, notices: [`mirror "${mirror.name}" is paused already`] };
  const rests = await waitFor(deps, mirror.id, {
    until: (now) => now.wanted !== 'pause' || !now.working,
    patienceMs: pausePatienceMs,
    signal: context.signal,
  });
  return { tag, notices: rests ? [] : [`mirror "${mirror.name}" is still pausing`] };
}

/** Goes on, or tries again now what failed. @throws `undefined_object`, `wrong_state` */
export async function resumeMirror(
  deps: LifecycleDeps,
  statement: ResumeMirror,
  context: CommandContext,
): Promise<CommandResult> {
  const tag = 'RESUME MIRROR';
  const mirror = await wish(deps, { statement, context }, (found) => {
    refuseWhen(found, ['completed', 'dropping'], 'resume');
    return { wanted: 'run', retry: true };
  });
  if (mirror === undefined) return skipped(tag, statement.name);
  const running = mirror.wanted === 'run' && mirror.trouble === null;
  return { tag, notices: running ? [`mirror "${mirror.name}" is running already`] : [] };
}

/**
 * Ends a mirror: its slot, publication and checkpoint go, the rows on the target stay. Waits for the runner; what a server
 * that is away keeps is named in notices. @throws `undefined_object`
 */
export async function dropMirror(
  deps: LifecycleDeps,
  statement: DropMirror,
  context: CommandContext,
): Promise<CommandResult> {
  const tag = 'DROP MIRROR';
  const mirror = await wish(deps, { statement, context }, () => ({ wanted: 'drop', keepSlot: statement.keepSlot }));
  if (mirror === undefined) return skipped(tag, statement.name);
  const dropped = await waitFor(deps, mirror.id, {
    until: (now) => now.phase === 'dropped',
    patienceMs: dropPatienceMs,
    signal: context.signal,
  });
  if (dropped === undefined) {
    return { tag, notices: [`mirror "${mirror.name}" is still being dropped; SHOW MIRROR "${mirror.name}" tells`] };
  }
  const kept = statement.keepSlot && mirror.slot?.made;
  const notices = kept
    ? [
        `kept on peer "${mirror.sourceName}": replication slot "${mirror.slot.name}" and publication "${mirror.publication.name}"`,
      ]
    : [];
  const left = dropped.leftovers.map(
    ({ peer, what, statement: remedy }) => `left on peer "${peer}": ${what}. To remove it there: ${remedy}`,
  );
  return { tag, notices: [...notices, ...left] };
}

function skipped(tag: string, name: string): CommandResult {
  return { tag, notices: [`mirror "${name}" does not exist, skipping`] };
}

function refuseWhen(mirror: Mirror, phases: readonly Mirror['phase'][], verb: string): void {
  const ending = mirror.wanted === 'drop';
  if (!ending && !phases.includes(mirror.phase)) return;
  throw new SluiceError('wrong_state', `cannot ${verb} mirror "${mirror.name}"`, {
    detail: `It is ${statusWord(mirror)}.`,
  });
}

/**
 * Finds a mirror and writes the wish that `decide` makes of it, with its row in the journal.
 * @returns the mirror as it was, or undefined by IF EXISTS
 */
async function wish(
  { pool }: LifecycleDeps,
  wished: { readonly statement: PauseMirror | ResumeMirror | DropMirror; readonly context: CommandContext },
  decide: (mirror: Mirror) => { readonly wanted: Wanted; readonly retry?: boolean; readonly keepSlot?: boolean },
): Promise<Mirror | undefined> {
  const { statement, context } = wished;
  return pool.transaction(async (db) => {
    const mirror = await lockMirror(db, statement.name);
    if (mirror === undefined) {
      if (statement.ifExists) return undefined;
      throw noSuchMirror(statement.name);
    }
    await writeWish(db, mirror.id, decide(mirror));
    await writeJournal(db, [{ ...said(statement, context), mirror }]);
    return mirror;
  });
}

/** The error for a name that is no mirror's. */
export function noSuchMirror(name: string): SluiceError {
  return new SluiceError('undefined_object', `mirror "${name}" does not exist`, { hint: 'SHOW MIRRORS lists them.' });
}

/** Asks the catalog until the mirror is as awaited. @returns it, or undefined when patience ran out */
export async function waitFor(
  { pool }: LifecycleDeps,
  id: string,
  what: { readonly until: (mirror: Mirror) => boolean; readonly patienceMs: number; readonly signal: AbortSignal },
): Promise<Mirror | undefined> {
  const deadline = Date.now() + what.patienceMs;
  for (;;) {
    const mirror = await pool.use((db) => readMirror(db, id));
    if (what.until(mirror)) return mirror;
    if (Date.now() > deadline) return undefined;
    await pause(25, what.signal);
  }
}
