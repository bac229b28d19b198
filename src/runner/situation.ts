// What a runner must do next, decided from what the catalog says and from nothing else.
import type { Phase, Trouble, Wanted } from '../mirror/phase.ts';

/** One piece of work; `steps.ts` says what engine does it. */
export type StepName = 'prepare' | 'snapshot' | 'finish' | 'follow' | 'objects' | 'drop';

export type Situation =
  /** Nothing, until a person or nobody says otherwise. */
  | { readonly do: 'rest'; readonly why: 'dropped' | 'completed' | 'paused' | 'waits_for_person' }
  | { readonly do: 'wait'; readonly until: Date }
  | { readonly do: 'move'; readonly to: Phase }
  | { readonly do: 'step'; readonly step: StepName };

export interface Look {
  readonly phase: Phase;
  readonly wanted: Wanted;
  readonly trouble: Trouble | null;
  /** RESUME MIRROR asked to try again and nobody has, yet. */
  readonly retryAsked: boolean;
  /** ALTER MIRROR … RETRY asked for objects and nobody has tried, yet. While a mirror follows, that is done beside it. */
  readonly objectsAsked: boolean;
}

/** The look at a row of the catalog. */
export function lookOf(mirror: {
  readonly phase: Phase;
  readonly wanted: Wanted;
  readonly trouble: Trouble | null;
  readonly retriesAsked: bigint;
  readonly retriesSeen: bigint;
  readonly objectsAsked: bigint;
  readonly objectsDone: bigint;
}): Look {
  const { phase, wanted, trouble } = mirror;
  return {
    ...{ phase, wanted, trouble },
    retryAsked: mirror.retriesAsked > mirror.retriesSeen,
    objectsAsked: mirror.objectsAsked > mirror.objectsDone,
  };
}

const stepOf: Readonly<Record<Exclude<Phase, 'new' | 'completed' | 'dropped'>, StepName>> = {
  preparing: 'prepare',
  snapshotting: 'snapshot',
  finishing: 'finish',
  catching_up: 'follow',
  streaming: 'follow',
  dropping: 'drop',
};

/** Looks at a mirror as the catalog describes it at `now`. */
export function situation(mirror: Look, now: Date): Situation {
  const { phase, wanted, trouble } = mirror;
  if (phase === 'dropped') return { do: 'rest', why: 'dropped' };
  if (wanted === 'drop' && phase !== 'dropping') return { do: 'move', to: 'dropping' };
  if (phase === 'completed' && !mirror.objectsAsked) return { do: 'rest', why: 'completed' };
  if (wanted === 'pause' && phase !== 'dropping' && phase !== 'completed') return { do: 'rest', why: 'paused' };
  if (trouble !== null && !mirror.retryAsked) {
    if (trouble.retryAt === null) return { do: 'rest', why: 'waits_for_person' };
    if (trouble.retryAt > now) return { do: 'wait', until: trouble.retryAt };
  }
  if (phase === 'completed') return { do: 'step', step: 'objects' };
  return phase === 'new' ? { do: 'move', to: 'preparing' } : { do: 'step', step: stepOf[phase] };
}

/** Whether trouble was that a server could not be reached, or let nobody in yet: once there are sessions, it is over. */
export function isOfConnecting(trouble: Pick<Trouble, 'kind' | 'sqlstate'> | null): boolean {
  // cannot_connect_now
  return trouble !== null && (trouble.kind === 'unreachable' || trouble.sqlstate === '57P03');
}

/** What a failure means for the mirror: the words for people, and when to try again (null: when a person says so). */
export function troubleOf(
  error: {
    readonly kind: string;
    readonly sqlstate: string;
    readonly message: string;
    readonly detail: string | undefined;
    readonly hint: string | undefined;
    readonly retry: 'backoff' | 'person' | 'never';
  },
  at: { readonly now: Date; readonly waitMs: number; readonly before: Trouble | null },
): { readonly trouble: Trouble; readonly news: boolean } {
  const { before, now } = at;
  const same = before !== null && before.sqlstate === error.sqlstate && before.message === error.message;
  const trouble: Trouble = {
    kind: error.kind,
    sqlstate: error.sqlstate,
    message: error.message,
    detail: error.detail ?? null,
    hint: error.hint ?? null,
    retryAt: error.retry === 'backoff' ? new Date(now.getTime() + at.waitMs) : null,
    since: same ? before.since : now,
  };
  return { trouble, news: !same };
}
