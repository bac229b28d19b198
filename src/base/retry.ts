// Waiting and trying again: back-off with jitter, and pauses that end when they are told to.
import { setTimeout as wait } from 'node:timers/promises';
import { SluiceError } from './errors.ts';

/** Waits `ms`; throws `stopped` at once when the signal is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, signal ? { signal } : {});
  } catch (cause) {
    throw new SluiceError('stopped', 'stopped', { cause });
  }
}

/** The wait before attempt `attempt` (from 0): doubles from 500 ms up to 30 s, each drawn from its upper half so that a crowd spreads. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}

// A server that is starting has answered, and will soon do more.
const startingMs = 2_000;

/**
 * The wait after try `attempt` (from 0) that took `tookMs` and failed: backoffMs counted from its beginning, so that tries begin at most 30 s
 * apart, but never less than the first of those waits; of a server that is starting, 2 s at most.
 */
export function untilNextTryMs(
  tried: { readonly attempt: number; readonly tookMs: number; readonly isStarting: boolean },
  random: () => number = Math.random,
): number {
  const wait = backoffMs(tried.attempt, random) - tried.tookMs;
  return Math.max(backoffMs(0, random), tried.isStarting ? Math.min(startingMs, wait) : wait);
}

/** Throws `stopped` if the signal is aborted. */
export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new SluiceError('stopped', 'stopped', { cause: signal.reason });
}
