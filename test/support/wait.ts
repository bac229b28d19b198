// Waiting for a condition, never for a time.
import { pause } from '../../src/base/retry.ts';

/** Asks every `everyMs` until the answer is neither undefined nor false; fails after `timeoutMs` with the last error or the words given. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
  everyMs = 20,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for: ${what}`, { cause: lastError });
    await pause(everyMs);
  }
}

/** As until, for what starts servers or waits for retries: a busy machine takes its time. */
export function untilLate<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  return until(what, ask, 120_000);
}
