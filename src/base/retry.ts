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

/** Throws `stopped` if the signal is aborted. */
export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new SluiceError('stopped', 'stopped', { cause: signal.reason });
}
