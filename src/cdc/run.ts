// Following what changes: a session on the source's slot and one on the target, until told to stop.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { pause } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import type { Spill } from '../base/spill.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { RowConflict } from '../peers/apply-words.ts';
import { connectSides } from '../peers/connect.ts';
import { SessionShelf } from '../peers/shelf.ts';
import { earlierLsn, formatLsn, type Lsn, laterLsn, parseLsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';
import { follow } from './follow.ts';
import { Heartbeat } from './heartbeat.ts';
import { compareLabels, followLabels, type NewName } from './labels.ts';
import type { Followed, Positions } from './positions.ts';
import { Repeats } from './repeats.ts';
import type { CdcReport } from './report.ts';
import { followSequences, lastSequences } from './sequences.ts';
import { openSession, type Session } from './session.ts';
import { tellWaits } from './waits.ts';
import { Wake } from './wake.ts';
import { noReadings, type Readings } from './written.ts';

export interface CdcDeps {
  readonly work: MirrorWork;
  readonly report: CdcReport;
  readonly log: Log;
  /** Where large transactions wait for their commit; null: on the source. */
  readonly spill: Spill | null;
  /** A backlog of that much log is read in chunks before the stream is followed; 0: none is. */
  readonly catchUpBytes: number;
  /** How long the target may take nothing of it before the rest is left to the stream; left out: 30 s. */
  readonly catchUpStallMs?: number | undefined;
  /** With sessions of what came before. */
  readonly sessions?: SessionShelf;
}

const positionEveryMs = 1_000;
/** Between two looks at what the source is like and where its sequences stand. */
const lookEveryMs = 10_000;
// What failed before its commit is done in its turn, and so are others for that long.
const orderedMs = 300_000;

/**
 * Follows the mirror's slot until the signal is aborted, then returns. The caller owns the mirror (claimCheckpoint).
 * Every committed source transaction reaches the target once, whole and in order; the slot moves only over what the target
 * has made durable.
 * @throws `slot_lost`, `conflict`, `wrong_state` (a change of the schema), `fenced`, `connection_lost`, `upstream`, …
 */
export async function runCdc(given: CdcDeps, signal: AbortSignal): Promise<void> {
  const sessions = given.sessions ?? new SessionShelf();
  try {
    await followOn({ ...given, sessions }, signal);
  } finally {
    await sessions.end();
  }
}

interface Deps extends CdcDeps {
  readonly sessions: SessionShelf;
}

async function followOn(given: Deps, signal: AbortSignal): Promise<void> {
  // Tables may join and leave while it runs.
  const deps = { ...given };
  const { spill, catchUpBytes } = given;
  let way: Way = { ...{ text: false, careful: false, spill, aheadAfter: 0, catchUpBytes }, conflict: null };
  const readings = noReadings();
  let compared = false;
  // What a row that is still refused may need otherwise.
  let renamed: readonly NewName[] = [];
  const lost = new Repeats<number>((beforeMs, nowMs) => nowMs - beforeMs < 60_000);
  // At one place of the log.
  const misfits = new Repeats<Lsn>((before, now) => before === now);
  while (!signal.aborted) {
    const trying = way;
    way = { ...way, conflict: null };
    try {
      if (!compared) await compareLabels(deps.work, deps.sessions, signal);
      compared = true;
      const followed = await followOnce(deps, { ...trying, readings, misfits }, signal);
      if (followed === 'stopped') return;
      if (followed === 'text') way = { ...way, text: true };
      if (followed === 'unstreamed') way = { ...way, spill: null };
      if (followed === 'caughtUp') way = { ...way, catchUpBytes: 0 };
      if (followed === 'ordered') way = { ...way, aheadAfter: Date.now() + orderedMs };
    } catch (error) {
      const known = toSluiceError(error);
      if (signal.aborted && known.kind !== 'fenced') return;
      // A server's answer about what was dropped between two questions, or what its decoder has forgotten: not so the next time.
      if (!signal.aborted && known.sqlstate === vanished && lost.again(performance.now())) {
        await rest(positionEveryMs / 5, signal);
        continue;
      }
      if (!signal.aborted && known instanceof RowConflict && known !== trying.conflict && known.root !== null) {
        way = { ...way, conflict: known };
        continue;
      }
      if (signal.aborted || known.sqlstate !== unknownValue) throw error;
      const labels = await followLabels(deps.work, { careful: way.careful, renamed }, signal);
      if (labels.kind === 'none') throw error;
      if (labels.kind === 'told') throw withHint(known, labels.hint);
      if (labels.kind === 'may be told') throw withHint(known, `${labels.hint} Otherwise: ${known.hint}`);
      renamed = labels.kind === 'renamed' ? labels.labels : [];
      way = { ...way, careful: labels.kind === 'careful' };
    }
  }
}

// internal_error: a relation cannot be opened, a cache lookup failed, a file number belongs to no relation.
const vanished = 'XX000';

// invalid_text_representation: of an enum, a label that the target lacks.
const unknownValue = '22P02';

function withHint(error: SluiceError, hint: string): SluiceError {
  const { kind, message, detail, server, fields } = error;
  return new SluiceError(kind, message, { detail, hint, sqlstate: error.sqlstate, server, fields, cause: error });
}

interface Way {
  /** Values as text, whatever the types are. */
  readonly text: boolean;
  /** One source transaction at a time, so that the one which fails has all others before it. */
  readonly careful: boolean;
  /** As in the deps, until there is no room. */
  readonly spill: Spill | null;
  /** As in the deps, until that is done. */
  readonly catchUpBytes: number;
  /** Nothing is applied before its commit until then (ms). */
  readonly aheadAfter: number;
  /** A row of a partitioned table that did not fit: it stands if the table need not be read again. */
  readonly conflict: RowConflict | null;
}

async function followOnce(
  deps: { -readonly [K in keyof Deps]: Deps[K] },
  {
    text,
    careful,
    spill,
    catchUpBytes,
    aheadAfter,
    conflict,
    readings,
    misfits,
  }: Way & { readonly readings: Readings; readonly misfits: Repeats<Lsn> },
  signal: AbortSignal,
): Promise<Followed> {
  await using scope = new Scope(signal);
  // Connections outlive the wish to stop by a moment, so that what is on its way can arrive.
  const cut = new AbortController();
  scope.defer(() => cut.abort());
  const opening = () => cut.abort();
  signal.addEventListener('abort', opening, { once: true });
  const wake = new Wake();
  let followed: Followed = 'stopped';
  try {
    const session = await openSession(
      {
        ...{ ...deps, text, spill, catchUpBytes, readings },
        onChange: () => wake.ring(),
        defer: (cleanup) => scope.defer(cleanup),
      },
      cut.signal,
    );
    signal.removeEventListener('abort', opening);
    await deps.sessions.end();
    deps.work = session.work;
    if (conflict !== null && !(misfits.again(session.checkpoint) && (await mayBeRead(session, conflict))))
      throw conflict;
    const { checkpoint } = session;
    const positions: Positions = {
      ...{ received: checkpoint, durable: checkpoint, sourceEnd: 0n },
      oldestCommitAt: () => null,
      unsettled: () => undefined,
    };
    scope.run(async (stop) => {
      followed = await follow({ session, wake, positions, careful, aheadAfter }, stop);
      if (followed === 'unstreamed') await tellUnstreamed(deps, session.streamed?.failure ?? null);
      // What it told of files is not told again to the session that comes.
      if (followed === 'caughtUp') {
        await using sides = await openLook(deps.work, stop);
        await session.watcher.look({ ...sides, reached: positions.durable });
      }
      scope.stop();
    });
    scope.run((stop) => tellWaits(session, deps.log, stop));
    scope.run((stop) => watchPosition(session, positions, stop));
    scope.run((stop) => lastSequences(deps, session.source, { stop, wish: signal }));
    scope.run((stop) => watchSource(deps, { session, positions, wake }, stop));
    await scope.join();
    if (signal.aborted) await tellUnsettled(deps, positions);
  } catch (error) {
    if (!signal.aborted) throw error;
    const known = toSluiceError(error);
    // Told to stop: what breaks then is our own doing. But who was replaced must hear it.
    if (known.kind === 'fenced') throw known;
    deps.log.debug({ err: known }, 'stopped while following');
    return 'stopped';
  } finally {
    signal.removeEventListener('abort', opening);
  }
  return followed;
}

async function mayBeRead({ watcher, source, applier }: Session, { root }: RowConflict): Promise<boolean> {
  return root !== null && (await watcher.suspect(root, { source, target: applier.connection }));
}

async function tellUnsettled({ report }: CdcDeps, { unsettled }: Positions): Promise<void> {
  const since = unsettled() ?? null;
  if (since === null) return;
  await report.note(
    `stopped before the target had all that the source's schema has since ${formatLsn(since)}: it gets the rest when the mirror goes on`,
  );
}

async function tellUnstreamed({ work, report, log }: CdcDeps, why: SluiceError | null): Promise<void> {
  log.warn({ err: why, mirror: work.name }, 'large transactions wait on the source for their commit');
  await report.noteOnce(
    `large transactions wait on the source for their commit, not here, until the stream begins anew: ${why?.message}`,
  );
}

async function watchPosition(session: Session, positions: Positions, signal: AbortSignal): Promise<void> {
  const { heartbeat_interval: interval } = session.work.options;
  const heartbeat = new Heartbeat(session.source, interval, (message) => session.report.noteOnce(message));
  let clocks = { took: Number.POSITIVE_INFINITY, ahead: 0 };
  let firstEnd: Lsn | undefined;
  while (!signal.aborted) {
    const asked = Date.now();
    const { lsn, clock } = await session.source.one<{ lsn: string; clock: number }>(sql`select
      (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::float8 as clock,
      (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
        else pg_catalog.pg_current_wal_flush_lsn() end)::text as lsn`);
    const { stream, report } = session;
    const { durable } = positions;
    const received = laterLsn(stream.received, durable);
    positions.sourceEnd = parseLsn(lsn);
    firstEnd ??= positions.sourceEnd;
    // The source's clock may be another than ours: it told its time half way between question and answer, or nearly so where the
    // answer came fast.
    const took = Date.now() - asked;
    if (took <= clocks.took) clocks = { took, ahead: Number(clock) - asked - took / 2 };
    else clocks = { ...clocks, took: clocks.took * 1.1 + 0.1 };
    const oldest = positions.oldestCommitAt();
    // Of what waited on the source when the session began not all may have come yet.
    const nothing = received < firstEnd ? undefined : null;
    // A quiet server tells how far it is when asked.
    if (nothing === undefined) stream.ask();
    const oldestCommitAt = oldest === null ? nothing : new Date(oldest.getTime() - clocks.ahead);
    const unsettled = positions.unsettled();
    const whole = earlierLsn(durable, unsettled ?? durable);
    if (unsettled !== undefined)
      report.position({ received, durable: whole, sourceEnd: positions.sourceEnd, oldestCommitAt });
    await heartbeat.beat(positions.sourceEnd);
    await rest(positionEveryMs, signal);
  }
}

// On connections of its own: it must not wait for a target transaction that a large source transaction keeps open.
async function watchSource(
  deps: CdcDeps,
  { session, positions, wake }: { readonly session: Session; readonly positions: Positions; readonly wake: Wake },
  signal: AbortSignal,
): Promise<void> {
  const { work, log } = deps;
  const { watcher } = session;
  let moved = performance.now();
  while (!signal.aborted) {
    await rest(watcher.suspicious ? positionEveryMs : lookEveryMs, signal);
    if (signal.aborted) return;
    try {
      await using sides = await openLook(work, signal);
      await watcher.look({ ...sides, reached: positions.durable });
      // A table may have to be read again.
      wake.ring();
      if (performance.now() - moved < lookEveryMs) continue;
      moved = performance.now();
      await followSequences(deps, sides, signal);
    } catch (error) {
      const known = toSluiceError(error);
      if (signal.aborted) return;
      if (known.retry !== 'backoff') throw known;
      log.warn({ err: known, mirror: work.name }, 'the structure of the source was not looked at');
    }
  }
}

async function openLook(work: MirrorWork, signal: AbortSignal) {
  return await connectSides(work, { application: applicationName('look', work) }, signal);
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, signal).catch(() => {});
}
