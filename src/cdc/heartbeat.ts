// A mark of ours in the source's log now and then, so that the slot moves over what other databases wrote.
import { toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, parseLsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';

/** Prefix of the logical messages, for whoever else decodes the log. */
export const heartbeatPrefix = 'sluice';

/** What is looked at before a heartbeat. */
export interface Pulse {
  /** 0: none. */
  readonly intervalMs: number;
  readonly now: number;
  /** When the last one was written, or following began. */
  readonly lastAt: number;
  /** Where the last one stands. */
  readonly lastLsn: Lsn;
  readonly sourceEnd: Lsn;
}

// What a server writes by itself after one of our marks; a server that nobody uses is left in peace, with its log archive.
const quietBytes = 8n * 1024n;

/** Whether one is due: the time has come, and the log has grown since the last. Pure. */
export function isDue({ intervalMs, now, lastAt, lastLsn, sourceEnd }: Pulse): boolean {
  return intervalMs > 0 && now - lastAt >= intervalMs && sourceEnd > lastLsn + quietBytes;
}

/** Writes heartbeats on a connection to the source; where that cannot be, says so once and is silent from then on. */
export class Heartbeat {
  readonly #source: Connection;
  readonly #note: (message: string) => Promise<void>;
  #intervalMs: number;
  #lastAt = Date.now();
  #lastLsn: Lsn = 0n;

  constructor(source: Connection, intervalSeconds: number, note: (message: string) => Promise<void>) {
    this.#source = source;
    this.#intervalMs = intervalSeconds * 1_000;
    this.#note = note;
  }

  /** Writes one if it is due. @throws as the connection; a refusal is no error */
  async beat(sourceEnd: Lsn): Promise<void> {
    const now = Date.now();
    const pulse = { intervalMs: this.#intervalMs, now, lastAt: this.#lastAt, lastLsn: this.#lastLsn, sourceEnd };
    if (!isDue(pulse)) return;
    try {
      // Outside of any transaction: it takes no number, and reaches the stream at once.
      const { lsn } = await this.#source.one<{ lsn: string | null }>(sql`select case
        when not pg_catalog.pg_is_in_recovery()
          then pg_catalog.pg_logical_emit_message(false, ${heartbeatPrefix}, '')::text end as lsn`);
      if (lsn === null) return await this.#silence('the source is a standby, which writes no log of its own');
      this.#lastAt = now;
      this.#lastLsn = parseLsn(lsn);
    } catch (error) {
      const known = toSluiceError(error);
      if (known.sqlstate !== '42501') throw known;
      await this.#silence(`the source does not grant it: ${known.message}`);
    }
  }

  async #silence(why: string): Promise<void> {
    this.#intervalMs = 0;
    await this.#note(`no heartbeat is written to the source's log (heartbeat_interval): ${why}`);
  }
}
