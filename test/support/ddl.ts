// What a change of the schema must leave behind: the same columns with the same properties and the same rows on both sides.
import type { SluiceError } from '../../src/base/errors.ts';
import type { Following } from './following.ts';
import type { TestDatabase } from './servers.ts';
import { until } from './wait.ts';

/** Columns as people see them, each as one line; in the order of their names, as the sides may differ in that of their numbers. */
export async function columnsOf(db: TestDatabase, table: string): Promise<readonly string[]> {
  const rows = await db.exec<{ line: string }>(`
    select concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
      a.attgenerated, pg_get_expr(d.adbin, d.adrelid), (select collname from pg_collation c where c.oid = a.attcollation)) as line
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = $t$${table}$t$::regclass and a.attnum > 0 and not a.attisdropped order by a.attname`);
  return rows.map(({ line }) => line);
}

/** Rows with their columns in the order of names. */
export async function rowsByName(db: TestDatabase, table: string): Promise<readonly string[]> {
  const columns = await db.exec<{ name: string }>(
    `select quote_ident(attname) as name from pg_attribute where attrelid = $t$${table}$t$::regclass and attnum > 0 and not attisdropped order by attname`,
  );
  const list = columns.map(({ name }) => name).join(', ');
  const rows = await db.exec<{ row: string }>(
    `select "the row"::text as row from (select ${list} from ${table}) "the row" order by "the row"::text collate "C"`,
  );
  return rows.map(({ row }) => row);
}

/** Columns and rows of tables on both sides, for `toEqual`. */
export async function sidesOf(f: Following, tables: readonly string[]) {
  const side = async (db: TestDatabase) => {
    const all: Record<string, { columns: readonly string[]; rows: readonly string[] }> = {};
    for (const table of tables) all[table] = { columns: await columnsOf(db, table), rows: await rowsByName(db, table) };
    return all;
  };
  return { source: await side(f.source), target: await side(f.target) };
}

/** Runs the mirror until all that is on the source is on the target, then stops it. */
export async function settled(f: Following): Promise<void> {
  const running = f.start();
  await Promise.race([f.settle(), running.done]);
  await running.stop();
}

/**
 * Starts the mirror again and again, each time ended by the target at a later one of its steps, until all is done.
 * @param isDone whether the target has all of the change
 * @param next the step after the nth to be ended at
 * @param after called when a session was ended
 * @returns how often it was ended
 */
export async function endedAtEachStep(
  f: Following,
  isDone: () => Promise<boolean>,
  { next, after = async () => {} }: { readonly next: (n: number) => number; readonly after?: () => Promise<void> },
): Promise<number> {
  let kills = 0;
  for (let n = 1; !(await isDone()); n = next(n)) {
    await f.target.exec(`select setval('kill_calls', 1, false); update kill_at set n = ${n}`);
    const running = f.start();
    let ended: SluiceError | undefined;
    running.done.catch((error: SluiceError) => {
      ended = error;
    });
    await until('the end of the session, or of all', async () => ended !== undefined || (await isDone()));
    await running.stop().catch(() => undefined);
    if (ended === undefined) break;
    if (ended.retry !== 'backoff') throw ended;
    kills++;
    await after();
  }
  await f.target.exec('update kill_at set n = 0');
  return kills;
}
