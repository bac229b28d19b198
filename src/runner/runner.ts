// One mirror, for as long as we own it: looks at what the catalog says, does the next step, writes down what stands in the way.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { pause, untilNextTryMs } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import type { Spill } from '../base/spill.ts';
import { Throttle } from '../base/throttle.ts';
import {
  finishDrop,
  type Mirror,
  moveMirror,
  readMirror,
  readTables,
  takeMirror,
  writeObjectsDone,
  writeRetriesSeen,
  writeTrouble,
  writeWorking,
} from '../catalog/mirrors.ts';
import type { PeerTable } from '../catalog/peers.ts';
import type { Pool } from '../catalog/pool.ts';
import { Progress } from '../catalog/progress.ts';
import type { CopyLimits } from '../mirror/copy-tally.ts';
import { copyLimits, followsOtherwise, throttleOf } from '../mirror/options.ts';
import { type MirrorWork, withSchemas } from '../mirror/work.ts';
import { type LeftSessions, SessionShelf } from '../peers/shelf.ts';
import { SourceMemory } from '../snapshot/known-source.ts';
import type { Bell } from './bell.ts';
import { withSide } from './said.ts';
import { isOfConnecting, lookOf, type StepName, situation, troubleOf } from './situation.ts';
import type { runStep } from './steps.ts';

export interface RunnerDeps {
  readonly pool: Pool;
  readonly peers: PeerTable;
  readonly log: Log;
  /** Rings when the catalog says that the mirror changed. */
  readonly bell: Bell;
  readonly runStep: typeof runStep;
  readonly spill: Spill;
  readonly catchUpBytes: number;
  readonly left?: LeftSessions;
}

// Besides the bell: a notification may be lost with its connection.
const lookEveryMs = 2_000;
// A step that ran this long without a failure has overcome what was in the way, also if it had nothing to report.
const recoveredAfterMs = 10_000;
// Between two tries to make objects beside a mirror that follows.
const objectsRetryMs = 5_000;
// cannot_connect_now: the server is starting, or ends.
const cannotConnectNow = '57P03';

/**
 * Runs a mirror until there is nothing to do (paused, completed, dropped, waiting for a person) or it is stopped.
 * The caller holds the mirror's lock.
 * @throws `fenced` if another took it, or the catalog's failure
 */
export async function runMirror(deps: RunnerDeps, id: string, signal: AbortSignal): Promise<void> {
  const mirror = await deps.pool.use((db) => takeMirror(db, id));
  const log = deps.log.child({ mirror: mirror.name });
  const progress = new Progress(deps.pool, mirror, log);
  await using scope = new Scope(signal);
  scope.run((stop) => progress.run(stop));
  const runner = new Runner({ ...deps, log, progress, owned: mirror });
  try {
    await runner.run(signal);
  } finally {
    scope.stop();
    await progress.flush();
  }
}

interface RunnerParts extends RunnerDeps {
  readonly progress: Progress;
  readonly owned: Mirror;
}

class Runner {
  readonly #parts: RunnerParts;
  /** Failures since the last sign of life; the wait grows with them. */
  #failures = 0;
  #inTrouble = false;
  readonly #throttle = new Throttle(null);
  readonly #memory = new SourceMemory();
  readonly #sessions: SessionShelf;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#sessions = parts.left?.take(parts.owned.id) ?? new SessionShelf();
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#run(signal);
    } finally {
      await this.#sessions.end();
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { pool, owned, bell, progress } = this.#parts;
    while (!signal.aborted) {
      const mirror = await this.#look();
      const next = situation(lookOf(mirror), new Date());
      switch (next.do) {
        case 'rest': {
          const paused = next.why === 'paused' && { event: 'paused' as const, message: 'paused', mirror: owned };
          if (mirror.phase === 'dropped') return;
          // What was found while it worked must not be written after that.
          await progress.flush();
          return pool.use((db) => writeWorking(db, owned, false, paused || undefined));
        }
        case 'wait':
          await bell.wait(Math.min(lookEveryMs, Math.max(0, next.until.getTime() - Date.now())), signal);
          break;
        case 'move':
          await pool.use((db) => moveMirror(db, owned, { from: mirror.phase, to: next.to }));
          break;
        case 'step':
          await this.#attend(next.step, mirror, signal);
          break;
        default:
          next satisfies never;
      }
    }
    await progress.flush();
    await pool.use((db) => writeWorking(db, owned, false)).catch(() => undefined);
  }

  async #look(): Promise<Mirror> {
    const { pool, owned } = this.#parts;
    const mirror = await pool.use((db) => readMirror(db, owned.id));
    if (mirror.token === owned.token) return mirror;
    throw new SluiceError('fenced', `mirror "${owned.name}" is owned by another process now`);
  }

  /** Does a step, and stops it as soon as people want something else. */
  async #attend(step: StepName, mirror: Mirror, signal: AbortSignal): Promise<void> {
    const { pool, owned, log } = this.#parts;
    if (mirror.retriesAsked > mirror.retriesSeen) {
      this.#failures = 0;
      await pool.use((db) => writeRetriesSeen(db, owned, mirror.retriesAsked));
    }
    this.#inTrouble = mirror.trouble !== null;
    this.#limit(copyLimits(mirror.options));
    await using attempt = new Scope(signal);
    attempt.run((stop) => this.#watch(mirror, { attempt, step }, stop));
    const started = Date.now();
    let failure: unknown;
    let work: MirrorWork | null = null;
    try {
      work = await this.#work(mirror);
      if (attempt.signal.aborted) return;
      log.debug({ step }, 'step begins');
      const context = this.#context(mirror, work, attempt);
      // One that follows says by itself when it has.
      if (mirror.trouble !== null && step !== 'follow') attempt.run((stop) => overcome(context.alive, stop));
      await this.#parts.runStep(step, context, attempt.signal);
    } catch (error) {
      failure = error;
    }
    const stopped = attempt.signal.aborted;
    attempt.stop();
    await attempt.join();
    // The next one comes later, if it comes.
    if (failure !== undefined || stopped) await this.#sessions.end();
    if (failure === undefined) return;
    if (stopped) return log.debug({ err: toSluiceError(failure) }, 'step was stopped');
    const tookMs = Date.now() - started;
    if (tookMs > recoveredAfterMs) this.#failures = 0;
    await this.#fail(withSide(toSluiceError(failure), work), tookMs);
  }

  #limit(limits: CopyLimits): void {
    this.#throttle.set(limits.throttle);
    this.#parts.progress.limits(limits);
  }

  #context(mirror: Mirror, work: MirrorWork, attempt: Scope) {
    const { pool, owned, progress, log, spill, catchUpBytes } = this.#parts;
    const state = { phase: mirror.phase };
    return {
      ...{ mirror, work, pool, progress, log, spill, catchUpBytes, throttle: this.#throttle },
      ...{ memory: this.#memory, sessions: this.#sessions },
      move: async (to: Mirror['phase']) => {
        await pool.use((db) => moveMirror(db, owned, { from: state.phase, to }));
        log.info({ from: state.phase, to }, 'moved');
        state.phase = to;
        this.#inTrouble = false;
        this.#failures = 0;
      },
      finishDrop: (leftovers: Mirror['leftovers']) => pool.use((db) => finishDrop(db, owned, leftovers)),
      alive: () => {
        this.#failures = 0;
        this.#over(attempt);
      },
      // It may fail again at what comes next: the waits go on growing then.
      connected: () => {
        if (isOfConnecting(mirror.trouble)) this.#over(attempt);
      },
    };
  }

  #over(attempt: Scope): void {
    if (!this.#inTrouble) return;
    this.#inTrouble = false;
    attempt.run(() => this.#recovered());
  }

  async #recovered(): Promise<void> {
    const { pool, owned, log } = this.#parts;
    log.info('works again');
    await pool.use((db) => writeTrouble(db, owned, { trouble: null, journal: true }));
  }

  // Ends the attempt when the wish is another one than the one it began with, or the options that it follows by.
  async #watch(
    before: Mirror,
    { attempt, step }: { readonly attempt: Scope; readonly step: StepName },
    signal: AbortSignal,
  ): Promise<void> {
    const { bell } = this.#parts;
    let making = false;
    let now = before;
    while (!signal.aborted) {
      if (now.wanted !== before.wanted) attempt.stop();
      if (step === 'follow' && followsOtherwise(before.options, now.options)) attempt.stop();
      // What else was altered holds for a copy that begins.
      this.#limit({ ...copyLimits(before.options), throttle: throttleOf(now.options) });
      if (step === 'follow' && !making && lookOf(now).objectsAsked) {
        making = true;
        attempt.run(async (stop) => {
          await this.#makeBeside(now, attempt, stop);
          making = false;
        });
      }
      await bell.wait(lookEveryMs, signal);
      if (signal.aborted) return;
      now = await this.#look();
    }
  }

  /** Objects that RETRY asked for, while the mirror follows; what is in their way does not stop it. */
  async #makeBeside(mirror: Mirror, attempt: Scope, signal: AbortSignal): Promise<void> {
    const { pool, owned, progress, log } = this.#parts;
    try {
      const work = await this.#work(mirror);
      if (!signal.aborted) await this.#parts.runStep('objects', this.#context(mirror, work, attempt), signal);
    } catch (error) {
      if (signal.aborted) return;
      const known = toSluiceError(error);
      if (known.kind === 'fenced') throw known;
      log.warn({ sqlstate: known.sqlstate, detail: known.detail }, known.message);
      progress.note(`objects could not be tried again: ${known.message}`);
      if (known.retry !== 'backoff') await pool.use((db) => writeObjectsDone(db, owned, mirror.objectsAsked));
      else await pause(objectsRetryMs, signal).catch(() => undefined);
    }
  }

  async #work(mirror: Mirror): Promise<MirrorWork> {
    const { pool, peers, owned } = this.#parts;
    const { sourceId, targetId } = mirror;
    const found = await peers.findById([sourceId, targetId].filter((peer) => peer !== null));
    const source = sourceId === null ? undefined : found.get(sourceId);
    const target = targetId === null ? undefined : found.get(targetId);
    if (source === undefined || target === undefined) {
      throw new SluiceError('undefined_object', `a peer of mirror "${mirror.name}" is gone`);
    }
    const { id, name, options, scope, publication, slot } = mirror;
    const tables = withSchemas(await pool.use((db) => readTables(db, id)), scope);
    return {
      ...{ id, name, options, scope, publication, slot, tables },
      token: owned.token,
      source: source.config,
      target: target.config,
    };
  }

  async #fail(failure: unknown, tookMs: number): Promise<void> {
    const { pool, owned, log, progress } = this.#parts;
    const known = toSluiceError(failure);
    await progress.flush();
    // Another process of this catalog: it is its mirror now.
    const mirror = await this.#look();
    // Of this catalog we are the owner, so another one's wrote to the target: the next try looks, and says so.
    const error = known.kind === 'fenced' ? new SluiceError('connection_lost', known.message, { cause: known }) : known;
    const { trouble, news } = troubleOf(error, {
      now: new Date(),
      waitMs: untilNextTryMs({ attempt: this.#failures++, tookMs, isStarting: error.sqlstate === cannotConnectNow }),
      before: mirror.trouble,
    });
    // Only a defect of ours is worth its stack.
    const shown = error.kind === 'internal' ? { err: error } : { sqlstate: error.sqlstate, detail: error.detail };
    log[news ? 'warn' : 'debug']({ ...shown, retryAt: trouble.retryAt }, error.message);
    await pool.use((db) => writeTrouble(db, owned, { trouble, journal: news }));
  }
}

/** A step that has run for a while has overcome what was in the way, also if it has nothing to report. */
async function overcome(alive: () => void, signal: AbortSignal): Promise<void> {
  await pause(recoveredAfterMs, signal).catch(() => undefined);
  if (!signal.aborted) alive();
}
