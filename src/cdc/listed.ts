// Columns whose values the stream has not told, or not rightly: the publication's list got them later than the table, or labels of their
// enums changed names with each other.
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import type { ColumnNames } from '../peers/fetch-columns.ts';
import type { Remembered } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';
import { showTable } from '../pg/table.ts';
import { endOfFlushedLog } from './look.ts';
import type { TableColumns } from './relabelled.ts';
import type { TablePlan } from './reshape.ts';

interface SeenColumns {
  /** The table's columns, as text to be compared. */
  readonly columns: string;
  /** End of the source's log after they were seen. */
  readonly lsn: Lsn;
}

/** Columns of one table, and how far it is to the moment when their values can be read. */
export interface Listed extends TableColumns {
  /** Transactions with lower numbers may have begun before the list grew; null: not looked at since. */
  readonly before: bigint | null;
  /** Null: some of them are still open. */
  readonly seen: SeenColumns | null;
}

/** A table of which there is something to do; `wait`: only for the stream to come there. */
export type NextListed = Listed | 'wait' | null;

/**
 * Columns whose values are still to be read: when all transactions have ended that wrote rows without them, and the target has
 * all that the source had then.
 */
export class ListedColumns {
  readonly #listed = new Map<string, Listed>();

  /** @param remembered by showTable of the source's names */
  constructor({ tables }: Pick<MirrorWork, 'tables'>, remembered: ReadonlyMap<string, Remembered>) {
    for (const mirrored of tables) {
      const { shape, unread = [] } = remembered.get(showTable(mirrored.from)) ?? {};
      if (shape != null && unread.length > 0) this.want(mirrored, shape.oid, unread);
    }
  }

  /** A list is about to grow by these columns, or may have done so, or their labels were found to be confused. @returns all that are to be read then, to be remembered */
  want(mirrored: MirroredTable, oid: number, columns: readonly number[]): readonly number[] {
    const table = showTable(mirrored.from);
    const all = [...new Set([...(this.#listed.get(table)?.columns ?? []), ...columns])];
    this.#listed.set(table, { mirrored, oid, columns: all, before: null, seen: null });
    return all;
  }

  /** Whether all of these columns of a table are to be read already. */
  wants({ from }: MirroredTable, columns: readonly number[]): boolean {
    const wanted = this.#listed.get(showTable(from))?.columns ?? [];
    return columns.every((column) => wanted.includes(column));
  }

  /** Looks whether those transactions have ended. To be called when the lists have grown. */
  async look(source: Connection): Promise<void> {
    const waiting = [...this.#listed].filter(([, { seen }]) => seen === null);
    if (waiting.length === 0) return;
    const { oldest, next } = await source.one<{ oldest: string; next: string }>(sql`select
        pg_catalog.txid_snapshot_xmin(s)::text as oldest, pg_catalog.txid_snapshot_xmax(s)::text as next
      from pg_catalog.txid_current_snapshot() s`);
    for (const [table, listed] of waiting) {
      const before = listed.before ?? BigInt(next);
      const seen = BigInt(oldest) >= before ? await seeColumns(source, listed.oid) : null;
      if (this.#listed.get(table) === listed) this.#listed.set(table, { ...listed, before, seen });
    }
  }

  /** @param reached the target has all of the source's log up to there */
  next(reached: Lsn): NextListed {
    const seen = [...this.#listed.values()].filter((listed) => listed.seen !== null);
    return seen.find((listed) => (listed.seen?.lsn ?? 0n) <= reached) ?? (seen.length > 0 ? 'wait' : null);
  }

  /** Whether its columns are what they were when the target had yet to come there; if not, it has to come further. */
  async isAsSeen(source: Connection, listed: Listed): Promise<boolean> {
    const seen = await seeColumns(source, listed.oid);
    if (seen.columns === listed.seen?.columns) return true;
    const table = showTable(listed.mirrored.from);
    if (this.#listed.get(table) === listed) this.#listed.set(table, { ...listed, seen });
    return false;
  }

  /** They were read. @returns what has to be read of that table yet, to be remembered */
  read(listed: Listed): readonly number[] {
    const table = showTable(listed.mirrored.from);
    const now = this.#listed.get(table);
    if (now !== listed) return now?.columns ?? [];
    this.#listed.delete(table);
    return [];
  }
}

// With the labels of all enums that are in them.
async function seeColumns(source: Connection, oid: number): Promise<SeenColumns> {
  const { columns } = await source.one<{ columns: string }>(sql`
    with recursive own as (
      select a.* from pg_catalog.pg_attribute a where a.attrelid = ${oid}::oid and a.attnum > 0 and not a.attisdropped),
    parts(type) as (
      select atttypid from own
      union
      select more.type from parts join pg_catalog.pg_type t on t.oid = parts.type cross join lateral (
        select t.typelem as type union all select t.typbasetype
        union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
        union all select r.rngtypid from pg_catalog.pg_range r where (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid
        union all select a.atttypid from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and t.typrelid <> 0
          and a.attnum > 0 and not a.attisdropped) more
      where more.type <> 0)
    select pg_catalog.json_build_array(
      (select pg_catalog.json_agg(pg_catalog.json_build_array(attnum, attname, atttypid::bigint, atttypmod, attgenerated, attnotnull)
        order by attnum) from own),
      (select pg_catalog.json_agg(pg_catalog.json_build_array(e.oid::bigint, e.enumlabel) order by e.oid) from pg_catalog.pg_enum e
        where e.enumtypid in (select type from parts)))::text as columns`);
  // After the look, so that all that it saw is before it.
  return { columns, lsn: await endOfFlushedLog(source) };
}

/** What reads columns, by their numbers, of a table that is all else as it should be. Null: it has none of them. Pure. */
export function fetchPlan(plan: TablePlan, columns: readonly number[]): TablePlan | null {
  const { source, target, stored } = plan;
  const names = (attnum: number | undefined): readonly ColumnNames[] => {
    const from = source.columns.find((each) => each.attnum === attnum);
    const number = stored.columns.find((each) => each.attnum === attnum)?.target;
    const to = target.columns.find((each) => each.attnum === number);
    return from === undefined || to === undefined ? [] : [{ source: from.name, target: to.name }];
  };
  const changes = columns
    .flatMap(names)
    .map((each) => ({ kind: 'fetch', name: each.target, source: each.source, why: 'new' }) as const);
  const identity = source.primaryKey?.columns ?? source.identityColumns ?? [];
  const key = identity.flatMap((name) => names(source.columns.find((each) => each.name === name)?.attnum));
  // By a key that has to be read itself no row is found.
  const isKnown = key.every((each) => !changes.some(({ name }) => name === each.target));
  const whole = key.length > 0 && key.length === identity.length && isKnown;
  return changes.length === 0 ? null : { ...plan, changes, unclear: false, key: whole ? key : null };
}
