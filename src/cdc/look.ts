// What a table of the source is at this moment, found by its OID: names may have been given to others.
import { setTimeout as delay } from 'node:timers/promises';
import { toSluiceError } from '../base/errors.ts';
import { nodeOfTable } from '../peers/files.ts';
import type { Relation } from '../peers/pgoutput.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, parseLsn } from '../pg/lsn.ts';
import { sql, trusted } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';
import { heartbeatPrefix } from './heartbeat.ts';

export interface SeenColumn {
  readonly attnum: number;
  readonly name: string;
  readonly type: string;
  readonly generated: boolean;
  readonly notNull: boolean;
  /** What rows show that are older than the column, as an array of one value; null: nothing, or they hold it themselves. */
  readonly missing: string | null;
  /** Of a partitioned table, which has no rows of its own: whether those of a partition that are older than the column show something. */
  readonly below?: boolean;
  /** The transaction that last changed what the catalog says of it. */
  readonly mark: string;
}

/** A column of the relation itself, which may be a partition, and may have dropped it. */
export interface SeenAttribute {
  readonly attnum: number;
  /** Null: dropped. */
  readonly name: string | null;
  readonly type: string | null;
}

export interface Seen extends TableName {
  readonly columns: readonly SeenColumn[];
  /** Columns of the primary key, or null; null for a deferrable one, which two rows may share while a transaction runs. */
  readonly key: readonly string[] | null;
  /** Names its files: what writes every row anew gives it others. */
  readonly node: string | null;
}

export interface Look {
  /** False: the transaction that was asked for has not yet ended for others; what is seen is from before it. */
  readonly visible: boolean;
  /** Null: the table is gone. */
  readonly table: Seen | null;
  /** Every column that the relation has or had, in the order of their numbers. */
  readonly own: readonly SeenAttribute[];
  /** The types of the relation's columns, as format_type prints them. */
  readonly types: readonly string[];
  /** End of the source's log: all that is seen was committed before it. */
  readonly lsn: Lsn;
  /** Which transactions are seen, as txid_snapshot is written; empty: a standby does not say which are open. */
  readonly snapshot: string;
}

// A stream may bring a transaction before the server lets others see it: its commit record is written first. With synchronous
// replication that takes as long as the standby does, and if that waits for us it never ends: then what is seen must do.
const mostWaitMs = 3_000;

/**
 * Looks at a table of the source as a transaction of the stream has left it, or later, and at what the types of a relation's
 * columns are called. One round trip where the transaction is visible already.
 * @param xid of the transaction, as pgoutput says it (32 bits)
 * @param open it has not ended: what is there without it must do
 */
export async function look(
  source: Connection,
  { open, ...what }: LookedFor & { readonly open?: boolean | undefined },
): Promise<Look> {
  const until = Date.now() + (open === true ? 0 : mostWaitMs);
  for (let pauseMs = 1; ; pauseMs = Math.min(50, pauseMs * 2)) {
    const seen = await lookOnce(source, what);
    if (seen.visible || Date.now() >= until) return seen;
    await delay(pauseMs);
  }
}

/**
 * Whether a look shows what a transaction has left, or later: it had ended when the look was taken. Pure.
 * @param snapshot as txid_snapshot is written: `xmin:xmax:` and those between that had not ended
 * @param xid the lower 32 bits of its number; the upper ones are those of the nearest one
 */
export function shows(snapshot: string, xid: number): boolean {
  const [xmin = '', xmax = '', open = ''] = snapshot.split(':');
  if (xmax === '') return false;
  const next = BigInt(xmax);
  const id = next + BigInt.asIntN(32, BigInt(xid) - next);
  if (id >= next) return false;
  return id < BigInt(xmin) || !open.split(',').includes(String(id));
}

/** An expression for where the server's log ends, as text. A standby may show what it has replayed a moment before it says so. */
export const endOfLog = trusted(`(case when pg_catalog.pg_is_in_recovery()
    then greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
    else pg_catalog.pg_current_wal_insert_lsn() end)::text`);

/**
 * Where the source's log ends, once all before that is on its disk: a walsender sends nothing else. What a look itself wrote, as it
 * cleans pages up, and what open transactions wrote goes there with the next commit only, which on a source that nobody uses may
 * be long in coming. So one is made, where that is allowed.
 */
export async function endOfFlushedLog(source: Connection): Promise<Lsn> {
  const { lsn, flushed } = await source.one<{ lsn: string; flushed: boolean }>(sql`select l.lsn,
      case when pg_catalog.pg_is_in_recovery() then true else pg_catalog.pg_current_wal_flush_lsn() >= l.lsn::pg_lsn end as flushed
    from (select ${endOfLog} as lsn offset 0) l`);
  if (!flushed) {
    try {
      await source.run(sql`select pg_catalog.pg_logical_emit_message(true, ${heartbeatPrefix}, '')`);
    } catch (error) {
      if (toSluiceError(error).kind !== 'upstream') throw error;
    }
  }
  return parseLsn(lsn);
}

// Of the column a of the table c; the server keeps what old rows show with the partitions alone.
const below = trusted(`c.relkind = 'p' and exists (with recursive tree(oid) as (select c.oid union all
    select i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid)
  select from tree join pg_catalog.pg_attribute l on l.attrelid = tree.oid where l.attname = a.attname and l.atthasmissing)`);

interface LookedFor {
  readonly oid: number;
  readonly xid: number;
  readonly relation: Relation;
}

async function lookOnce(source: Connection, { oid, xid, relation }: LookedFor): Promise<Look> {
  const types = relation.columns.map((column) => column.type);
  const typmods = relation.columns.map((column) => column.typmod);
  // https://www.postgresql.org/docs/18/functions-info.html#FUNCTIONS-INFO-SNAPSHOT: the snapshot is this statement's own. The
  // upper half of the transaction's number is that of the nearest one.
  const seen = await source.one<Omit<Look, 'lsn'> & { lsn: string }>(sql`select
    ${endOfLog} as lsn,
    case when pg_catalog.pg_is_in_recovery() then '' else pg_catalog.txid_current_snapshot()::text end as snapshot,
    (select pg_catalog.txid_visible_in_snapshot(case when f.id - n.next > 2147483648 then f.id - 4294967296
        when n.next - f.id > 2147483648 then f.id + 4294967296 else f.id end, now.snapshot)
      from (select pg_catalog.txid_current_snapshot() as snapshot) now
      cross join lateral (select pg_catalog.txid_snapshot_xmax(now.snapshot) as next) n
      cross join lateral (select (n.next >> 32 << 32) | ${xid}::bigint as id) f) as visible,
    (select pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname,
      'columns', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('attnum', a.attnum, 'name', a.attname,
          'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '',
          'notNull', a.attnotnull, 'missing', case when a.atthasmissing then a.attmissingval::text end, 'below', ${below},
          'mark', a.xmin::text)
          order by a.attnum), '[]')
        from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
      'key', (select pg_catalog.json_agg(a.attname order by key.place) from pg_catalog.pg_index x
        cross join lateral pg_catalog.unnest(x.indkey) with ordinality as key(attnum, place)
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = key.attnum
        where x.indrelid = c.oid and x.indisprimary and x.indimmediate and key.place <= x.indnkeyatts),
      'node', ${nodeOfTable})
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.oid = ${oid}::oid) as table,
    (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('attnum', a.attnum,
        'name', case when not a.attisdropped then a.attname end,
        'type', case when not a.attisdropped then pg_catalog.format_type(a.atttypid, a.atttypmod) end) order by a.attnum), '[]')
      from pg_catalog.pg_attribute a where a.attrelid = ${relation.oid}::oid and a.attnum > 0) as own,
    (select coalesce(pg_catalog.json_agg(pg_catalog.format_type(t.type, t.typmod) order by t.place), '[]')
      from rows from (pg_catalog.unnest(${types}::oid[]), pg_catalog.unnest(${typmods}::int[]))
        with ordinality as t(type, typmod, place)) as types`);
  return { ...seen, lsn: parseLsn(seen.lsn) };
}
