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
  /** By table, in the order in which their first jobs are wanted. */
  readonly #waiting = new Map<string, Job[]>();
  readonly #limits: QueueLimits;
  readonly #running = new Map<string, number>();
  readonly #all: number;
  #left: number;

  /** @param jobs in the order in which they are wanted */
  constructor(jobs: readonly Job[], limits: QueueLimits) {
    for (const job of jobs) {
      const table = tableOf(job);
      const others = this.#waiting.get(table);
      if (others === undefined) this.#waiting.set(table, [job]);
      else others.push(job);
    }
    // The last is taken first.
    for (const [table, list] of this.#waiting) this.#waiting.set(table, list.toReversed());
    this.#all = jobs.length;
    this.#left = jobs.length;
    this.#limits = limits;
  }

  /** Jobs that nobody took yet. */
  get left(): number {
    return this.#left;
  }

  /** The share of all that is still to be done, 0 to 1: those that run are taken for half done. */
  get shareLeft(): number {
    let running = 0;
    for (const jobs of this.#running.values()) running += jobs;
    return this.#all === 0 ? 0 : (this.#left + running / 2) / this.#all;
  }

  /** The first job that the limits let start now, of the table at which the fewest are: on one table they wait for each other. */
  take(): Job | undefined {
    let fewest = this.#limits.partsPerTable;
    let best: string | undefined;
    for (const table of this.#waiting.keys()) {
      const running = this.#running.get(table) ?? 0;
      const mayStart = running > 0 || this.#running.size < this.#limits.tables;
      if (!mayStart || running >= fewest) continue;
      fewest = running;
      best = table;
      if (running === 0) break;
    }
    return best === undefined ? undefined : this.#takeOf(best);
  }

  #takeOf(table: string): Job | undefined {
    const list = this.#waiting.get(table);
    const job = list?.pop();
    if (list?.length === 0) this.#waiting.delete(table);
    if (job === undefined) return undefined;
    this.#left--;
    this.#running.set(table, (this.#running.get(table) ?? 0) + 1);
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
