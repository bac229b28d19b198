// Rows whose arrival on a target shows that everything which was committed before them has arrived.
import type { Connection } from '../../src/pg/client.ts';
import { sql, trusted } from '../../src/pg/sql.ts';
import { until } from '../support/wait.ts';
import type { Database } from './servers.ts';

const mostMs = 1_800_000;

/** Creates their table, on the source and on targets that do not get it from a mirror. */
export async function createMarks(db: Connection): Promise<void> {
  await db.run(trusted('create table public.marks (id bigint primary key)'));
}

export class Marks {
  readonly #source: Connection;
  #last = 0;

  constructor(source: Connection) {
    this.#source = source;
  }

  /** The number of the next mark, for who sets it himself. */
  next(): number {
    return ++this.#last;
  }

  /** Commits one. */
  async set(db: Connection = this.#source): Promise<number> {
    const mark = this.next();
    await db.run(sql`insert into public.marks values (${mark})`);
    return mark;
  }

  async arrival(target: Database, mark: number): Promise<void> {
    await until(
      `mark ${mark}`,
      async () => {
        const rows = await target.connection.query(sql`select 1 from public.marks where id = ${mark}`);
        return rows.length > 0;
      },
      mostMs,
    );
  }
}
