// How far a mirror has got: the phases and the one list of edges between them. The runner moves along it and along nothing else.

/**
 * - `new`: written down, nothing made yet
 * - `preparing`: publication on the source, schemas, types and tables on the target
 * - `snapshotting`: slot (unless copy only), then parts are copied
 * - `finishing`: after the load: keys, sequences, durability
 * - `catching_up`: the stream has not yet passed the last snapshot's LSN, so the target is not yet one consistent state
 * - `streaming`: every target transaction is whole source transactions
 * - `completed`: a copy-only mirror that is done
 * - `dropping`, `dropped`: slot, publication and checkpoint go; then the mirror is history
 */
export const phases = [
  'new',
  'preparing',
  'snapshotting',
  'finishing',
  'catching_up',
  'streaming',
  'completed',
  'dropping',
  'dropped',
] as const;
export type Phase = (typeof phases)[number];

export interface Edge {
  readonly from: Phase;
  readonly to: Phase;
  readonly when: string;
}

const dropEdges: readonly Edge[] = phases
  .filter((phase) => phase !== 'dropping' && phase !== 'dropped')
  .map((from) => ({ from, to: 'dropping', when: 'DROP MIRROR' }));

/** Every move there is. */
export const edges: readonly Edge[] = [
  { from: 'new', to: 'preparing', when: 'a runner takes the mirror' },
  { from: 'preparing', to: 'snapshotting', when: 'tables stand on the target and an initial copy is wanted' },
  {
    from: 'preparing',
    to: 'catching_up',
    when: 'tables stand on the target, the slot is there, no initial copy is wanted',
  },
  { from: 'snapshotting', to: 'finishing', when: 'every part is on the target' },
  { from: 'finishing', to: 'catching_up', when: 'keys and sequences stand, changes are to follow' },
  { from: 'finishing', to: 'completed', when: 'keys and sequences stand, copy only' },
  { from: 'catching_up', to: 'streaming', when: 'the stream has passed every table’s snapshot' },
  ...dropEdges,
  { from: 'dropping', to: 'dropped', when: 'what we made is gone, or what is left has been said' },
];

export const finalPhases: ReadonlySet<Phase> = new Set(['dropped']);

/** Whether the list holds that move. */
export function mayMove(from: Phase, to: Phase): boolean {
  return edges.some((edge) => edge.from === from && edge.to === to);
}

/** What people want of a mirror. Written by commands only. */
export type Wanted = 'run' | 'pause' | 'drop';

/** What is in the way. Written by the runner only. */
export interface Trouble {
  readonly kind: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
  /** When the runner tries again by itself; null: it waits for a person (RESUME MIRROR tries again). */
  readonly retryAt: Date | null;
  readonly since: Date;
}

/** PeerDB's words. */
export type StatusWord =
  | 'setup'
  | 'snapshot'
  | 'running'
  | 'pausing'
  | 'paused'
  | 'completed'
  | 'failed'
  | 'terminating'
  | 'terminated';

/** The word that people read, derived from the columns that each have one writer. `failed` only where a person is needed. */
export function statusWord(mirror: {
  readonly phase: Phase;
  readonly wanted: Wanted;
  readonly working: boolean;
  readonly trouble: Trouble | null;
}): StatusWord {
  const { phase, wanted, working, trouble } = mirror;
  if (phase === 'dropped') return 'terminated';
  if (wanted === 'drop' || phase === 'dropping') return 'terminating';
  if (phase === 'completed') return 'completed';
  if (wanted === 'pause') return working ? 'pausing' : 'paused';
  if (trouble !== null && trouble.retryAt === null) return 'failed';
  if (phase === 'new' || phase === 'preparing') return 'setup';
  return phase === 'streaming' ? 'running' : 'snapshot';
}
