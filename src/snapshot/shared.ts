// One snapshot held by many connections: each of them exports it again, so that whoever loses its connection gets it from another.
import { SluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { literal, sql } from '../pg/sql.ts';

// Somebody else may end between the look at the list and the import.
const invalidSnapshot: ReadonlySet<string> = new Set(['22023', '42704', '55000']);

/** The connections that have the snapshot. It lives as long as one of them does. */
export class SharedSnapshot {
  /** Names under which it is exported. */
  readonly #names = new Set<string>();

  /** @param first exported by a connection that does nothing else; valid until it is forgotten */
  constructor(first: string) {
    this.#names.add(first);
  }

  /** Whether anybody can still give it to others. */
  get lives(): boolean {
    return this.#names.size > 0;
  }

  /** Says that a name is not exported any more. */
  forget(name: string): void {
    this.#names.delete(name);
  }

  /**
   * Begins a transaction on the connection that reads the snapshot, for as long as the connection lives.
   * @throws `connection_lost` if nobody has it any more
   */
  async join(connection: Connection): Promise<void> {
    // Whoever came last is the least likely to be gone.
    for (const name of [...this.#names].toReversed()) {
      if (!this.#names.has(name)) continue;
      await connection.run(sql`begin isolation level repeatable read read only`);
      try {
        await connection.run(sql`set transaction snapshot ${literal(name)}`);
      } catch (error) {
        const gone = error instanceof SluiceError && invalidSnapshot.has(error.sqlstate);
        if (!gone || connection.lost.aborted) throw error;
        await connection.run(sql`rollback`);
        continue;
      }
      const own = await connection.one<{ name: string }>(sql`select pg_catalog.pg_export_snapshot() as name`);
      this.#names.add(own.name);
      connection.lost.addEventListener('abort', () => this.forget(own.name), { once: true });
      return;
    }
    throw new SluiceError('connection_lost', 'the snapshot of the copy is lost: no connection holds it any more');
  }
}
