// SHOW MIRRORS and SHOW MIRROR: what a person asks first; all the rest is in the views.
import type { Pool } from '../catalog/pool.ts';
import { sql } from '../pg/sql.ts';
import { noSuchMirror } from './mirror-lifecycle.ts';
import type { CommandResult, ResultColumn } from './result.ts';
import { changesRows } from './show-changes.ts';
import { objectRows } from './show-objects.ts';
import { progressRows } from './show-progress.ts';
import { grouped, shownBytes, shownSeconds } from './words.ts';

const listColumns = [
  { name: 'name', type: 'text' },
  { name: 'source', type: 'text' },
  { name: 'target', type: 'text' },
  { name: 'kind', type: 'text' },
  { name: 'status', type: 'text' },
  { name: 'phase', type: 'text' },
  { name: 'tables', type: 'int8' },
  { name: 'rows_copied', type: 'int8' },
  { name: 'lag_bytes', type: 'int8' },
  { name: 'lag_seconds', type: 'float8' },
  { name: 'lag_observed_at', type: 'timestamptz' },
  { name: 'trouble', type: 'text' },
  { name: 'created_at', type: 'timestamptz' },
] as const satisfies readonly ResultColumn[];

/** Every live mirror, by name. */
export async function showMirrors(pool: Pool): Promise<CommandResult> {
  const rows = await pool.use((db) =>
    db.query<Readonly<Record<(typeof listColumns)[number]['name'], string | null>>>(
      sql`select name, source, target, kind, status, phase, tables, rows_copied, lag_bytes, lag_seconds,
        lag_observed_at, trouble, created_at
        from sluice.mirrors order by name`,
    ),
  );
  return {
    tag: 'SHOW',
    notices: [],
    columns: listColumns,
    rows: rows.map((row) => listColumns.map(({ name }) => row[name])),
  };
}

interface MirrorFacts {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly kind: string;
  readonly status: string;
  readonly phase: string;
  readonly phase_since: string;
  readonly trouble: string | null;
  readonly trouble_detail: string | null;
  readonly hint: string | null;
  readonly sqlstate: string | null;
  readonly trouble_since: string | null;
  readonly retry_at: string | null;
  readonly tables: string;
  readonly tables_copied: string;
  readonly rows_copied: string;
  readonly rows_estimated: string;
  readonly bytes_copied: string;
  readonly source_lsn: string | null;
  readonly received_lsn: string | null;
  readonly durable_lsn: string | null;
  readonly lag_bytes: string | null;
  readonly lag_seconds: string | null;
  /** How long ago the source's end was looked at. */
  readonly lag_age: string | null;
  /** Of its slot, when that was looked at last. */
  readonly wal_status: string | null;
  readonly last_commit_at: string | null;
  readonly publication: string;
  readonly slot: string | null;
  readonly statement: string;
  readonly created_by: string;
  readonly created_at: string;
}

export interface TableFacts {
  readonly source_table: string;
  readonly target_table: string;
  readonly state: string;
  readonly rows_estimated: string | null;
  readonly rows_copied: string;
  /** Of the copy, to now or to its end. */
  readonly seconds: string | null;
  /** While it is copied, as reckoned a moment ago. */
  readonly seconds_left: string | null;
  readonly parts: string;
  readonly parts_copied: string;
  readonly inserts: string;
  readonly updates: string;
  readonly deletes: string;
  readonly truncates: string;
  /** Of the changes; null where none follow. */
  readonly change_bytes: string | null;
  readonly changes_per_second: number | null;
  readonly conflicts: string | null;
}

// What one screen can bear; the view has them all.
const mostTables = 500;

/** One row per fact, then one per table; those that are being copied first. @throws `undefined_object` */
export async function showMirror(pool: Pool, name: string): Promise<CommandResult> {
  const { mirror, tables, objects, progress } = await pool.use(async (db) => {
    const [found] = await db.query<MirrorFacts>(sql`select m.*,
      extract(epoch from now() - m.lag_observed_at) as lag_age, w.wal_status
      from sluice.mirrors m left join sluice.wal w on w.mirror = m.name where m.name = ${name}`);
    if (found === undefined) throw noSuchMirror(name);
    const list = await db.query<TableFacts>(sql`select t.source_table, t.target_table, t.state, t.rows_estimated,
        t.rows_copied, extract(epoch from coalesce(t.finished_at, now()) - t.started_at) as seconds, t.seconds_left,
        t.parts, t.parts_copied, t.inserts, t.updates, t.deletes, t.truncates, c.bytes as change_bytes,
        c.rows_per_second as changes_per_second, c.conflicts
      from sluice.tables t left join sluice.changes c on c.mirror = t.mirror and c.source_table = t.source_table
      where t.mirror = ${name}
      order by array_position(array['copying', 'waiting', 'copied'], t.state), t.source_table limit ${mostTables}`);
    const changes = await changesRows(db, name);
    const objects = await objectRows(db, name);
    const stands = found.status === 'paused' || found.status === 'failed';
    // What was being copied when it was paused has no speed.
    const still = (table: TableFacts) => stands && table.state === 'copying';
    const tables = list.map((table) => (still(table) ? { ...table, seconds: null, seconds_left: null } : table));
    return { mirror: found, tables, objects, progress: [...(await progressRows(db, name, stands)), ...changes] };
  });
  const more = Number(mirror.tables) - tables.length;
  const rows: [string, string | null][] = [
    ...facts(name, mirror),
    ...progress,
    ...objects,
    ...tables.map((table): [string, string] => [`table ${table.source_table}`, tableLine(table)]),
    ...(more > 0 ? [['tables not shown', `${more}; select * from sluice.tables has them`] as [string, string]] : []),
  ];
  const columns = [
    { name: 'property', type: 'text' },
    { name: 'value', type: 'text' },
  ] as const;
  return { tag: 'SHOW', notices: [], columns, rows: rows.filter(([, value]) => value !== null) };
}

function facts(name: string, mirror: MirrorFacts): [string, string | null][] {
  const { sqlstate } = mirror;
  return [
    ['name', name],
    ['status', mirror.status],
    ['phase', `${mirror.phase} since ${mirror.phase_since}`],
    ['trouble', mirror.trouble && `${mirror.trouble} (SQLSTATE ${sqlstate}, since ${mirror.trouble_since})`],
    ['trouble detail', mirror.trouble_detail],
    ['hint', mirror.hint],
    ['next try', mirror.trouble && (mirror.retry_at ?? `when RESUME MIRROR says so`)],
    ['source', mirror.source],
    ['target', mirror.target],
    ['kind', mirror.kind],
    ['tables', `${mirror.tables}, ${mirror.tables_copied} copied`],
    ['rows copied', copiedLine(mirror.rows_copied, mirror.rows_estimated)],
    ['bytes copied', grouped(mirror.bytes_copied)],
    ['source LSN', mirror.source_lsn],
    ['received LSN', mirror.received_lsn],
    ['durable LSN', mirror.durable_lsn],
    ['lag', lagLine(mirror)],
    ['last commit applied', mirror.last_commit_at],
    ['publication', mirror.kind === 'copy' ? null : mirror.publication],
    ['slot', mirror.slot],
    ['id', mirror.id],
    ['created', `${mirror.created_at} by ${mirror.created_by}`],
    ['statement', mirror.statement],
  ];
}

/** `1,200 bytes, 3.1 s; the source was looked at 0.4 s ago`. Null before there is a position. */
export function lagLine(
  mirror: Pick<MirrorFacts, 'lag_bytes' | 'lag_seconds' | 'lag_age' | 'status' | 'wal_status'>,
): string | null {
  if (mirror.lag_bytes === null) return null;
  const seen = mirror.lag_age === null ? 'never yet' : `${Math.max(0, Number(mirror.lag_age)).toFixed(1)} s ago`;
  const seconds = mirror.lag_seconds === null ? '' : `, ${Number(mirror.lag_seconds).toFixed(1)} s`;
  const lag = `${grouped(mirror.lag_bytes)} bytes${seconds}`;
  const stands = mirror.status === 'paused' || mirror.status === 'failed';
  const kept = stands && mirror.wal_status !== 'lost' ? ', which keeps its log meanwhile' : '';
  return `${lag}; the source was looked at ${seen}${kept}`;
}

/** `copying to shop.orders: 1,200 of about 4,800 rows (25 %), 600 rows/s, 6 s left`. */
export function tableLine(table: TableFacts): string {
  const parts = [`${table.state} to ${table.target_table}`];
  if (table.state !== 'waiting') {
    const line = copiedLine(table.rows_copied, table.state === 'copying' ? table.rows_estimated : null);
    parts.push(`${line} rows`, ...partsOf(table), ...speed(table));
  }
  const changes = [
    [table.inserts, 'inserts'],
    [table.updates, 'updates'],
    [table.deletes, 'deletes'],
    [table.truncates, 'truncates'],
  ].filter(([count]) => count !== '0');
  return [...parts, ...changes.map(([count, word]) => `${grouped(count ?? '0')} ${word}`), ...changing(table)]
    .join(', ')
    .replace(', ', ': ');
}

function changing({ change_bytes: bytes, changes_per_second: rate, conflicts }: TableFacts): readonly string[] {
  return [
    ...(bytes === null || bytes === '0' ? [] : [`${shownBytes(Number(bytes))} of changes`]),
    ...(rate === null || Number(rate) < 0.5 ? [] : [`${grouped(String(Math.round(Number(rate))))} changes/s`]),
    ...(conflicts === null || conflicts === '0' ? [] : [`${grouped(conflicts)} conflicts`]),
  ];
}

function partsOf({ state, parts, parts_copied: copied }: TableFacts): readonly string[] {
  return state === 'copying' && Number(parts) > 1 ? [`${copied} of ${parts} parts`] : [];
}

function speed(table: TableFacts): readonly string[] {
  const [rows, seconds] = [Number(table.rows_copied), Number(table.seconds ?? 0)];
  if (seconds < 0.1 || rows === 0) return [];
  const rate = rows / seconds;
  const left =
    table.seconds_left !== null ? Number(table.seconds_left) : (Number(table.rows_estimated ?? 0) - rows) / rate;
  const eta = table.state === 'copying' && left > 0 ? [`${shownSeconds(left)} left`] : [];
  return [`${grouped(String(Math.round(rate)))} rows/s`, ...eta];
}

function copiedLine(copied: string, estimated: string | null): string {
  if (estimated === null || Number(estimated) <= Number(copied)) return grouped(copied);
  const percent = Math.floor((100 * Number(copied)) / Number(estimated));
  return `${grouped(copied)} of about ${grouped(estimated)} (${percent} %)`;
}
