// Hands out jobs to workers within the limits of tables and parts at a time. Pure: no clocks, no connections.
import { showTable } from '../pg/table.ts';
import type { Job } from './plan.ts';

export interface QueueLimits {
  /** Tables that are being copied at the same time; a group of small tables counts as one. */
  readonly tables: number;
  /** Parts of one table at the same time. */
  readonly partsPerTable: number;
}

/**
 * Connection pairs that a copy opens: as many as the larger of the two limits, never their product. Four tables or four parts
 * of one table keep four pairs busy; sixteen would only fight for the same disks and cores.
 */
export function workerCount(limits: QueueLimits, jobs: number): number {
  return Math.max(1, Math.min(jobs, Math.max(limits.tables, limits.partsPerTable)));
}

export class JobQueue {
  readonly #waiting: Job[];
  readonly #limits: QueueLimits;
  readonly #running = new Map<string, number>();

  /** @param jobs in the order in which they are wanted */
  constructor(jobs: readonly Job[], limits: QueueLimits) {
    this.#waiting = [...jobs];
    this.#limits = limits;
  }

  /** Jobs that nobody took yet. */
  get left(): number {
    return this.#waiting.length;
  }

  /** The first job that the limits let start now. */
  take(): Job | undefined {
    const index = this.#waiting.findIndex((job) => {
      const running = this.#running.get(tableOf(job)) ?? 0;
      return running === 0 ? this.#running.size < this.#limits.tables : running < this.#limits.partsPerTable;
    });
    if (index < 0) return undefined;
    const [job] = this.#waiting.splice(index, 1);
    if (job !== undefined) this.#running.set(tableOf(job), (this.#running.get(tableOf(job)) ?? 0) + 1);
    return job;
  }

  /** Says that a job is done: others may start. */
  done(job: Job): void {
    const running = (this.#running.get(tableOf(job)) ?? 0) - 1;
    if (running > 0) this.#running.set(tableOf(job), running);
    else this.#running.delete(tableOf(job));
  }
}

function tableOf(job: Job): string {
  const [part] = job.parts;
  return part === undefined ? '' : showTable(part.mapping.from);
}
