// All mirrors: for each that has something to do and no owner, takes its lock in the catalog and runs it.
import { createHash } from 'node:crypto';
import { toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { backoffMs, pause } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import type { Spill } from '../base/spill.ts';
import { liveMirrors, type Mirror } from '../catalog/mirrors.ts';
import type { Catalog } from '../catalog/open.ts';
import { PeerTable } from '../catalog/peers.ts';
import type { LeftSessions } from '../peers/shelf.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { Bell } from './bell.ts';
import { runMirror } from './runner.ts';
import { lookOf, situation } from './situation.ts';
import { watchSlots } from './slot-watch.ts';
import type { runStep } from './steps.ts';

export interface SupervisorDeps {
  readonly catalog: Catalog;
  readonly log: Log;
  readonly runStep: typeof runStep;
  /** Where large transactions of the sources wait for their commit. */
  readonly spill: Spill;
  /** See CdcDeps. */
  readonly catchUpBytes: number;
  /** What commands leave to who runs their mirrors. */
  readonly left?: LeftSessions;
  /** Seconds between two looks at one slot; 10 unless told. */
  readonly slotLookSeconds?: number;
}

// Besides notifications: one may be lost, an owner elsewhere may have died, a wait may be over.
const lookEveryMs = 2_000;
// A mirror whose runner failed (not its step: the catalog, or another owner) is left alone for this long.
const restartAfterMs = 1_000;
// A catalog that answers nothing for this long is as good as gone: its locks may be another's already.
const answerWithinMs = 15_000;

/** Runs mirrors and watches their slots until stopped; outlives restarts of the catalog. */
export async function runSupervisor(deps: SupervisorDeps, signal: AbortSignal): Promise<void> {
  await using scope = new Scope(signal);
  scope.run((stop) => watchSlots(deps, stop));
  scope.run((stop) => superviseAlways(deps, stop));
  await scope.join();
}

async function superviseAlways(deps: SupervisorDeps, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    const started = Date.now();
    try {
      await supervise(deps, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (Date.now() - started > 10_000) attempt = 0;
      deps.log.warn({ err: toSluiceError(error) }, 'the catalog is away; mirrors wait');
      await pause(Math.min(2_000, backoffMs(attempt)), signal).catch(() => undefined);
    }
  }
}

interface Running {
  readonly bell: Bell;
}

// One connection holds the locks of all our mirrors and hears of changes. When it is lost, so are the locks: every
// runner stops, and what another process took meanwhile stays with it.
async function supervise(deps: SupervisorDeps, signal: AbortSignal): Promise<void> {
  await using owner = await connectOwner(deps.catalog, signal);
  const inTurn = turns();
  const running = new Map<string, Running>();
  const restartAt = new Map<string, number>();
  const bell = new Bell();
  owner.client.on('notification', ({ payload }) => {
    if (payload !== undefined) running.get(payload)?.bell.ring();
    bell.ring();
  });
  await owner.run(sql`listen sluice_mirrors`);
  await using scope = new Scope(signal);
  const gone = () => scope.stop(owner.lost.reason);
  owner.lost.addEventListener('abort', gone, { once: true });

  const start = (mirror: Mirror) => {
    const mine: Running = { bell: new Bell() };
    running.set(mirror.id, mine);
    const { catalog, log } = deps;
    const parts = { ...deps, pool: catalog.pool, peers: new PeerTable(catalog), bell: mine.bell };
    scope.run(async (stop) => {
      try {
        await runMirror(parts, mirror.id, stop);
      } catch (error) {
        if (!stop.aborted) log.warn({ err: toSluiceError(error), mirror: mirror.name }, 'runner ended');
        restartAt.set(mirror.id, Date.now() + restartAfterMs);
      } finally {
        running.delete(mirror.id);
        await inTurn(() => unlock(owner, mirror.id));
        bell.ring();
      }
    });
  };

  while (!scope.signal.aborted) {
    const now = new Date();
    for (const [id, at] of restartAt) if (at <= now.getTime()) restartAt.delete(id);
    for (const mirror of await inTurn(() => answered(owner, liveMirrors(owner)))) {
      if (running.has(mirror.id) || !needsRunner(mirror, now)) continue;
      if (restartAt.has(mirror.id)) continue;
      if (await inTurn(() => answered(owner, tryLock(owner, mirror.id)))) start(mirror);
    }
    await bell.wait(restartAt.size > 0 ? restartAfterMs : lookEveryMs, scope.signal);
  }
  await scope.join();
  if (!signal.aborted) throw toSluiceError(owner.lost.reason);
}

/** A mirror that rests needs nobody, unless somebody died and left it looking busy. */
function needsRunner(mirror: Mirror, now: Date): boolean {
  const next = situation(lookOf(mirror), now);
  return next.do !== 'rest' || mirror.working;
}

// The signal may break off the connecting, but not the connection: the locks must outlast the runners.
async function connectOwner(catalog: Catalog, signal: AbortSignal): Promise<Connection> {
  const connecting = new AbortController();
  const stop = () => connecting.abort();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await catalog.connect(connecting.signal);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function answered<T>(owner: Connection, answer: Promise<T>): Promise<T> {
  const impatience = setTimeout(() => owner.destroy(), answerWithinMs);
  try {
    return await answer;
  } finally {
    clearTimeout(impatience);
  }
}

// Runners that end speak over the one connection as well, which is one at a time's.
function turns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

/** The key of a mirror's lock: 64 bits of a hash, so that it is unlike any other's. */
function lockKey(id: string): bigint {
  return createHash('sha256').update(`sluice mirror ${id}`).digest().readBigInt64BE();
}

async function tryLock(owner: Connection, id: string): Promise<boolean> {
  const { locked } = await owner.one<{ locked: boolean }>(
    sql`select pg_catalog.pg_try_advisory_lock(${lockKey(id)}) as locked`,
  );
  return locked;
}

async function unlock(owner: Connection, id: string): Promise<void> {
  if (owner.lost.aborted) return;
  await owner.run(sql`select pg_catalog.pg_advisory_unlock(${lockKey(id)})`).catch(() => owner.destroy());
}
