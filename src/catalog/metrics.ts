// What is measured of mirrors, read from the catalog's views in few statements whatever their number.
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

export interface MirrorMetrics {
  readonly mirror: string;
  readonly source: string;
  readonly target: string;
  readonly kind: string;
  readonly status: string;
  readonly phase: string;
  /** Something is in the way; `waits`: for a person. */
  readonly trouble: 'none' | 'retried' | 'waits';
  readonly tables: number;
  readonly rowsCopied: number;
  readonly bytesCopied: number;
  /** Null also where nobody follows, and all that is known is that nothing waited once. */
  readonly lagBytes: number | null;
  readonly lagSeconds: number | null;
  /** Seconds since the source's end was looked at. */
  readonly lagAge: number | null;
  /** Of the last batch: from the source's commit to the target's. */
  readonly latencySeconds: number | null;
  /** Log that the slot holds back. */
  readonly heldBytes: number | null;
  readonly bytesUntilLost: number | null;
  readonly slotLost: boolean | null;
}

export interface TableMetrics {
  readonly mirror: string;
  readonly table: string;
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly truncates: number;
  readonly bytes: number;
  readonly conflicts: number;
}

export interface CatalogMetrics {
  readonly mirrors: readonly MirrorMetrics[];
  readonly tables: readonly TableMetrics[];
  /** How many of each are beyond the limits. */
  readonly leftOut: { readonly mirrors: number; readonly tables: number };
}

/** Reads them. The first by name, where there are more than the limits. Numbers beyond 2^53 lose their last digits. */
export async function readMetrics(
  db: Connection,
  limits: { readonly mirrors: number; readonly tables: number },
): Promise<CatalogMetrics> {
  // As JSON, in which numbers are numbers.
  const mirrors = await db.query<{
    row: MirrorMetrics;
    all: string;
  }>(sql`select pg_catalog.to_json(r) as row, r.n as all
    from (select m.name as mirror, m.source, m.target, m.kind, m.status, m.phase,
        case when m.trouble is null then 'none' when m.retry_at is null then 'waits' else 'retried' end as trouble,
        m.tables, m.rows_copied as "rowsCopied", m.bytes_copied as "bytesCopied",
        case when m.lag_bytes > 0 or m.working and m.trouble is null
            and m.lag_observed_at > greatest(now() - interval '5 seconds', own.wanted_at) then m.lag_bytes end as "lagBytes",
        m.lag_seconds as "lagSeconds", extract(epoch from now() - m.lag_observed_at) as "lagAge",
        b.latency_seconds as "latencySeconds",
        case when lost.told or not lost.met then w.held_bytes end as "heldBytes",
        case when lost.met then 0 else w.bytes_until_lost end as "bytesUntilLost",
        case when lost.met then true else lost.told end as "slotLost", count(*) over () as n
      from sluice.mirrors m join sluice_private.mirrors own on own.id = m.id left join sluice.wal w on w.mirror = m.name
        -- The mirror may have met with it before the slot is looked at.
        cross join lateral (select coalesce(own.trouble ->> 'kind' = 'slot_lost', false) as met, w.wal_status = 'lost' as told) lost
        left join lateral (select extract(epoch from b.committed_at - b.source_committed_at) as latency_seconds
          from sluice_private.batches b where b.mirror_id = m.id order by b.id desc limit 1) b on true
      order by m.name limit ${limits.mirrors}) r`);
  const tables = await db.query<{ row: TableMetrics }>(sql`select pg_catalog.to_json(r) as row
    from (select mirror, source_table as "table", inserts, updates, deletes, truncates, bytes, conflicts
      from sluice.changes order by mirror, source_table limit ${limits.tables}) r`);
  const { n } = await db.one<{ n: string }>(sql`select count(*) as n from sluice_private.mirror_tables t
    join sluice_private.mirrors m on m.id = t.mirror_id where m.phase <> 'dropped' and m.kind = 'cdc'`);
  return {
    mirrors: mirrors.map(({ row }) => row),
    tables: tables.map(({ row }) => row),
    leftOut: {
      mirrors: Math.max(0, Number(mirrors[0]?.all ?? 0) - mirrors.length),
      tables: Math.max(0, Number(n) - tables.length),
    },
  };
}
