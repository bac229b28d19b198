// Waiting for a condition, never for a time.
import { pause } from '../../src/base/retry.ts';

// What takes long is asked for seldomer: each question is work for the machine on which the answer is being made.
const [soonestMs, latestMs] = [20, 50] as const;

/**
 * Asks until the answer is neither undefined nor false: every `everyMs`, or the seldomer the longer it waits. Fails after `timeoutMs`
 * with the last error or the words given.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
  everyMs?: number,
): Promise<T> {
  const began = Date.now();
  let lastError: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    const waitedMs = Date.now() - began;
    if (waitedMs > timeoutMs) throw new Error(`waited ${timeoutMs} ms for: ${what}`, { cause: lastError });
    await pause(everyMs ?? Math.min(latestMs, Math.max(soonestMs, waitedMs / 8)));
  }
}

/** As until, for what starts servers or waits for retries: a busy machine takes its time. */
export function untilLate<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  return until(what, ask, 120_000);
}
