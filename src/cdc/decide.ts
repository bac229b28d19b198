// When what was gathered is applied: at once on a quiet stream, in full batches while a backlog flows.

/** What the loop sees when it decides. */
export interface Situation {
  /** A batch is on its way to the target. */
  readonly applying: boolean;
  /** Changes of whole transactions that wait, and since when (ms). */
  readonly changes: number;
  readonly waitingSince: number | null;
  /** A batch is full: nothing more is read before it is taken. */
  readonly full: boolean;
  /** More comes as fast as we read. */
  readonly flowing: boolean;
  readonly now: number;
  readonly syncIntervalMs: number;
}

// While a backlog flows, batches fill up; but what a reader of the target waits for should not wait for a full batch.
const mostGatheringMs = 150;

/** Whether to apply now, or when to look again (ms from now; null: when something happens). */
export function decide(
  situation: Situation,
): { readonly kind: 'apply' } | { readonly kind: 'wait'; readonly ms: number | null } {
  const { now, waitingSince } = situation;
  if (situation.applying) return { kind: 'wait', ms: null };
  if (situation.full) return { kind: 'apply' };
  if (waitingSince === null || situation.changes === 0) return { kind: 'wait', ms: null };
  const age = now - waitingSince;
  if (age < situation.syncIntervalMs) return { kind: 'wait', ms: situation.syncIntervalMs - age };
  if (situation.flowing && age < mostGatheringMs + situation.syncIntervalMs) {
    return { kind: 'wait', ms: mostGatheringMs + situation.syncIntervalMs - age };
  }
  return { kind: 'apply' };
}

/** The earlier of two moments to act; null: never. Pure. */
export function least(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
