// What a contestant costs while it runs: processor time and memory of its own process, what sends on the source (a walsender) and the target's backends.
import { setTimeout as rest } from 'node:timers/promises';
import { Connection } from '../../src/pg/client.ts';
import type { ServerConfig } from '../../src/pg/embedded.ts';
import { sql } from '../../src/pg/sql.ts';
import { cpuSeconds, peakMemoryMb, privateMemoryMb, resetPeakMemory } from './report.ts';

/** Seconds and MB; NaN: there is no such process. */
export interface Cost {
  readonly process: number;
  readonly processMb: number;
  readonly walsender: number;
  readonly walsenderMb: number;
  readonly target: number;
  readonly targetMb: number;
}

export interface Watched {
  readonly source: ServerConfig;
  /** Name of the slot that is read. */
  readonly slot: string;
  /** Undefined: nothing is written. */
  readonly target: ServerConfig | undefined;
  /** The process that moves the changes, where there is one. */
  readonly pid: number | undefined;
}

const everyMs = 200;

/** Looks on until `end` is called, which gives what was used meanwhile. */
export async function watchCost(watched: Watched): Promise<{ end(): Promise<Cost> }> {
  const source = await Connection.open(watched.source);
  const target = watched.target === undefined ? undefined : await Connection.open(watched.target);
  const walsenders = new Processes();
  const backends = new Processes();
  const { pid } = watched;
  if (pid !== undefined) resetPeakMemory(pid);
  const before = pid === undefined ? Number.NaN : cpuSeconds(pid);
  const stop = new AbortController();
  const look = async () => {
    // What reads a backlog in chunks has a copy of the slot, and another session moves the slot itself.
    const senders = await source.query<{ pid: number }>(
      sql`select active_pid as pid from pg_replication_slots
        where (slot_name = ${watched.slot} or slot_name like 'sluice_catch_up_%') and active_pid is not null
        union select pid from pg_stat_activity where application_name like 'sluice move slot %'`,
    );
    for (const each of senders) walsenders.see(each.pid);
    const writers = await target?.query<{ pid: number }>(
      sql`select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    );
    for (const each of writers ?? []) backends.see(each.pid);
  };
  // What is there before it begins has used time for others.
  await look();
  walsenders.forget();
  backends.forget();
  const watching = (async () => {
    while (!stop.signal.aborted) {
      await look();
      await rest(everyMs, undefined, { signal: stop.signal }).catch(() => {});
    }
  })();
  return {
    async end() {
      stop.abort();
      await watching;
      await look();
      await source.close();
      await target?.close();
      return {
        process: pid === undefined ? Number.NaN : cpuSeconds(pid) - before,
        processMb: pid === undefined ? Number.NaN : peakMemoryMb(pid),
        ...{ walsender: walsenders.seconds, walsenderMb: walsenders.mostMb },
        ...{ target: backends.seconds, targetMb: backends.mostMb },
      };
    },
  };
}

/** Processes that come and go, added up. */
class Processes {
  readonly #used = new Map<number, { before: number; now: number }>();
  #mostMb = Number.NaN;

  see(pid: number): void {
    const now = cpuSeconds(pid);
    if (Number.isNaN(now)) return;
    const known = this.#used.get(pid);
    if (known === undefined) this.#used.set(pid, { before: 0, now });
    else known.now = now;
    const mb = privateMemoryMb(pid);
    if (!(mb <= this.#mostMb)) this.#mostMb = mb;
  }

  /** What they have used so far does not count. */
  forget(): void {
    for (const each of this.#used.values()) each.before = each.now;
    this.#mostMb = Number.NaN;
  }

  get seconds(): number {
    if (this.#used.size === 0) return Number.NaN;
    return [...this.#used.values()].reduce((sum, { before, now }) => sum + now - before, 0);
  }

  get mostMb(): number {
    return this.#mostMb;
  }
}
