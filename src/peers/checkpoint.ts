// What the target remembers of a mirror, in the same transactions as the rows: LSN, owner's token, finished parts.
import { SluiceError } from '../base/errors.ts';
import type { MirrorWork } from '../mirror/work.ts';
import { applicationName, ownerSuffix } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { dropLargeObjectsRecord } from './large-objects.ts';
import { lockMetadata } from './metadata-table.ts';

type Owner = Pick<MirrorWork, 'id' | 'name' | 'token'> & { readonly target: { readonly metadataSchema: string } };

/** How far a table's initial copy is. `snapshotLsn`: every commit before it is in the copy, none at or after it is. */
export interface CopiedTable {
  readonly table: string;
  readonly snapshotLsn: Lsn | null;
  readonly finished: boolean;
}

/** Makes the checkpoint tables, if they are not there. Safe to call from two processes at once. */
export async function ensureCheckpointTables(db: Connection, metadataSchema: string): Promise<void> {
  const s = ident(metadataSchema);
  // An older version may have made them, and left out what came since.
  const { known } = await db.one<{ known: number }>(sql`select pg_catalog.count(*)::int as known
    from (values ('checkpoints', 'source_timeline'), ('copied_tables', 'emptied_by'), ('copied_tables', 'unread')) as l(name, "column")
    join pg_catalog.pg_class c on c.relname = l.name
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = ${metadataSchema}
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = l."column" and not a.attisdropped`);
  if (known === 3) return;
  await db.transaction(async () => {
    // Two `create schema if not exists` at once can collide in the catalog; the lock makes the second wait.
    await lockMetadata(db, metadataSchema);
    await db.run(sql`create schema if not exists ${s}`);
    await db.run(sql`create table if not exists ${s}.checkpoints (
      mirror_id uuid primary key,
      mirror_name text not null,
      token bigint not null,
      lsn pg_lsn,
      updated_at timestamptz not null default pg_catalog.now())`);
    await db.run(sql`create table if not exists ${s}.copied_tables (
      mirror_id uuid not null,
      source_table text not null,
      snapshot_lsn pg_lsn,
      finished boolean not null default false,
      primary key (mirror_id, source_table))`);
    await db.run(sql`create table if not exists ${s}.parts (
      mirror_id uuid not null,
      source_table text not null,
      part integer not null,
      row_count bigint not null,
      byte_count bigint not null,
      copied_at timestamptz not null default pg_catalog.now(),
      primary key (mirror_id, source_table, part))`);
    // What shape.ts and copied-parts.ts remember; added by later versions than the rest.
    await db.run(sql`alter table ${s}.copied_tables
      add column if not exists shape jsonb, add column if not exists leaves jsonb, add column if not exists plan json,
      add column if not exists emptied_by bigint, add column if not exists unread jsonb`);
    await db.run(sql`alter table ${s}.parts add column if not exists snapshot_lsn pg_lsn`);
    // What timeline.ts remembers.
    await db.run(sql`alter table ${s}.checkpoints
      add column if not exists source_system text, add column if not exists source_timeline bigint`);
  });
}

/**
 * Takes the mirror over on the target: writes our token, ends connections that an earlier owner left behind.
 * @throws `fenced` if a newer owner was there
 */
export async function claimCheckpoint(db: Connection, owner: Owner): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  // Its transactions hold a share lock on the row; a dead owner's must not make us wait for a TCP timeout.
  await db.run(sql`select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
    where usename = current_user and datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid()
      and application_name like 'sluice %' and application_name like ${`% ${owner.id.slice(0, 8)}/%`}
      and application_name not like ${`% ${ownerSuffix(owner.id, owner.token)}`}`);
  const { rowCount } = await db.run(sql`insert into ${s}.checkpoints as c (mirror_id, mirror_name, token)
    values (${owner.id}, ${owner.name}, ${owner.token})
    on conflict (mirror_id) do update set token = excluded.token, mirror_name = excluded.mirror_name
    where c.token <= excluded.token`);
  if (rowCount === 0) throw fenced(owner);
}

/**
 * Ends sessions of ours on the target whose end the server has not seen: a build goes on without its client, and would stand in
 * the way of the next. Not the one that asks.
 * @param purposes of `applicationName`
 */
export async function endLeftovers(db: Connection, owner: Owner, purposes: readonly string[]): Promise<void> {
  const names = purposes.map((purpose) => applicationName(purpose, owner));
  await db.run(sql`select pg_catalog.pg_terminate_backend(pid, 10000) from pg_catalog.pg_stat_activity
    where usename = current_user and datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid()
      and application_name = any(${names}::text[])`);
}

/** Ends one such session, if it is still there. @param pid of a connection of ours that was lost */
export async function endLeftover(db: Connection, owner: Owner, pid: number): Promise<void> {
  await db.run(sql`select pg_catalog.pg_terminate_backend(pid, 10000) from pg_catalog.pg_stat_activity
    where usename = current_user and datname = pg_catalog.current_database() and pid = ${pid}
      and pid <> pg_catalog.pg_backend_pid() and application_name like ${`% ${ownerSuffix(owner.id, owner.token)}`}`);
}

/**
 * Compares the token inside a transaction and keeps it from changing until the end of it. Parts do this side by side.
 * @throws `fenced`
 */
export async function holdToken(db: Connection, owner: Owner): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const rows = await db.query(sql`select 1 as held from ${s}.checkpoints
    where mirror_id = ${owner.id} and token = ${owner.token} for share`);
  if (rows.length === 0) throw fenced(owner);
}

/**
 * As holdToken, but the row may be written to meanwhile, by changes that are applied and by a new owner: for statements that
 * take long while a mirror streams, and that find what they make standing if two owners make it.
 * @throws `fenced`
 */
export async function compareToken(db: Connection, owner: Owner): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const rows = await db.query(sql`select 1 as held from ${s}.checkpoints
    where mirror_id = ${owner.id} and token = ${owner.token} for key share`);
  if (rows.length === 0) throw fenced(owner);
}

/** Where the stream stands, or null before the initial copy began. @throws `fenced` if the row is gone or another's */
export async function readCheckpoint(db: Connection, owner: Owner): Promise<Lsn | null> {
  const s = ident(owner.target.metadataSchema);
  const [row] = await db.query<{ lsn: string | null; token: string }>(
    sql`select lsn, token from ${s}.checkpoints where mirror_id = ${owner.id}`,
  );
  if (row === undefined || BigInt(row.token) !== owner.token) throw fenced(owner);
  return row.lsn === null ? null : parseLsn(row.lsn);
}

/** Moves the checkpoint, inside the transaction that holds the rows up to it. @throws `fenced` */
export async function advanceCheckpoint(db: Connection, owner: Owner, lsn: Lsn): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const { rowCount } = await db.run(sql`update ${s}.checkpoints
    set lsn = ${formatLsn(lsn)}::pg_lsn, updated_at = pg_catalog.now()
    where mirror_id = ${owner.id} and token = ${owner.token}`);
  if (rowCount === 0) throw fenced(owner);
}

/**
 * As advanceCheckpoint, from where the rows begin: a session of ours that we gave up may have committed them meanwhile, when a
 * message that was under way reached the server late.
 * @throws `fenced`, `connection_lost` if the checkpoint is not at `from`: begin anew from where it is
 */
export async function moveCheckpoint(
  db: Connection,
  owner: Owner,
  { from, to }: { readonly from: Lsn; readonly to: Lsn },
): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const { rowCount } = await db.run(sql`update ${s}.checkpoints
    set lsn = ${formatLsn(to)}::pg_lsn, updated_at = pg_catalog.now()
    where mirror_id = ${owner.id} and token = ${owner.token} and lsn = ${formatLsn(from)}::pg_lsn`);
  if (rowCount > 0) return;
  const now = await readCheckpoint(db, owner);
  throw new SluiceError('connection_lost', `an earlier session of mirror "${owner.name}" has moved the checkpoint`, {
    detail: `It is at ${now === null ? 'none' : formatLsn(now)}, not at ${formatLsn(from)} any more.`,
  });
}

/** The token of whoever owns the mirror by what the target says; null: nobody has written one. */
export async function readToken(db: Connection, owner: Omit<Owner, 'token'>): Promise<bigint | null> {
  const s = ident(owner.target.metadataSchema);
  const [row] = await db.query<{ token: string }>(
    sql`select token from ${s}.checkpoints where mirror_id = ${owner.id}`,
  );
  return row === undefined ? null : BigInt(row.token);
}

/** Writes to our row, so that a commit that waits for the disk has something to wait for. @throws `fenced` */
export async function touchCheckpoint(db: Connection, owner: Owner): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const { rowCount } = await db.run(sql`update ${s}.checkpoints set updated_at = pg_catalog.now()
    where mirror_id = ${owner.id} and token = ${owner.token}`);
  if (rowCount === 0) throw fenced(owner);
}

/** Every table's state of copy. */
export async function readCopiedTables(db: Connection, owner: Owner): Promise<ReadonlyMap<string, CopiedTable>> {
  const s = ident(owner.target.metadataSchema);
  const rows = await db.query<{ source_table: string; snapshot_lsn: string | null; finished: boolean }>(
    sql`select source_table, snapshot_lsn, finished from ${s}.copied_tables where mirror_id = ${owner.id}`,
  );
  return new Map(
    rows.map((row) => [
      row.source_table,
      {
        table: row.source_table,
        snapshotLsn: row.snapshot_lsn === null ? null : parseLsn(row.snapshot_lsn),
        finished: row.finished,
      },
    ]),
  );
}

/** Begins a table's copy anew under a snapshot: forgets its parts. In the transaction that empties the target table. */
export async function beginCopiedTable(
  db: Connection,
  owner: Owner,
  at: { table: TableName; snapshotLsn: Lsn | null },
): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const table = showTable(at.table);
  const lsn = at.snapshotLsn === null ? null : formatLsn(at.snapshotLsn);
  await db.run(sql`delete from ${s}.parts where mirror_id = ${owner.id} and source_table = ${table}`);
  await db.run(sql`insert into ${s}.copied_tables (mirror_id, source_table, snapshot_lsn)
    values (${owner.id}, ${table}, ${lsn}::pg_lsn)
    on conflict (mirror_id, source_table) do update set snapshot_lsn = excluded.snapshot_lsn, finished = false, shape = null, leaves = null, plan = null`);
}

/** Tables whose rows came with another's copy have all commits before `snapshotLsn`. In the transaction of that copy. */
export async function moveCopiedTables(
  db: Connection,
  owner: Owner,
  at: { readonly tables: readonly TableName[]; readonly snapshotLsn: Lsn },
): Promise<void> {
  await db.run(sql`update ${ident(owner.target.metadataSchema)}.copied_tables
    set snapshot_lsn = ${formatLsn(at.snapshotLsn)}::pg_lsn
    where mirror_id = ${owner.id} and source_table = any(${at.tables.map(showTable)}::text[])`);
}

/** As beginCopiedTable, for many tables in two round trips. */
export async function beginCopiedTables(
  db: Connection,
  owner: Owner,
  at: { readonly tables: readonly TableName[]; readonly snapshotLsn: Lsn | null },
): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const tables = at.tables.map(showTable);
  const lsn = at.snapshotLsn === null ? null : formatLsn(at.snapshotLsn);
  await db.run(sql`delete from ${s}.parts where mirror_id = ${owner.id} and source_table = any(${tables}::text[])`);
  await db.run(sql`insert into ${s}.copied_tables (mirror_id, source_table, snapshot_lsn)
    select ${owner.id}, source_table, ${lsn}::pg_lsn from pg_catalog.unnest(${tables}::text[]) as t(source_table)
    on conflict (mirror_id, source_table) do update set snapshot_lsn = excluded.snapshot_lsn, finished = false, shape = null, leaves = null, plan = null`);
}

/** Says that every part of these tables is there. */
export async function finishCopiedTables(db: Connection, owner: Owner, tables: readonly TableName[]): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  await db.run(sql`update ${s}.copied_tables set finished = true
    where mirror_id = ${owner.id} and source_table = any(${tables.map(showTable)}::text[])`);
}

/** Says that every part of the table is there. */
export async function finishCopiedTable(db: Connection, owner: Owner, table: TableName): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  await db.run(sql`update ${s}.copied_tables set finished = true
    where mirror_id = ${owner.id} and source_table = ${showTable(table)}`);
}

/** Writes a part down, inside the transaction that copies it: the part is there once or not at all. */
export async function recordPart(
  db: Connection,
  owner: Owner,
  part: { readonly table: TableName; readonly part: number; readonly rows: number; readonly bytes: number },
): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  await db.run(sql`insert into ${s}.parts (mirror_id, source_table, part, row_count, byte_count)
    values (${owner.id}, ${showTable(part.table)}, ${part.part}, ${part.rows}, ${part.bytes})`);
}

/** As recordPart, for many in one round trip. `snapshotLsn`: of the snapshot that they were read under. */
export async function recordParts(
  db: Connection,
  owner: Owner,
  {
    parts,
    snapshotLsn,
  }: {
    readonly parts: readonly {
      readonly table: TableName;
      readonly part: number;
      readonly rows: number;
      readonly bytes: number;
    }[];
    readonly snapshotLsn: Lsn | null;
  },
): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const [tables, numbers] = [parts.map((part) => showTable(part.table)), parts.map((part) => part.part)];
  const [rows, bytes] = [parts.map((part) => part.rows), parts.map((part) => part.bytes)];
  const lsn = snapshotLsn === null ? null : formatLsn(snapshotLsn);
  await db.run(sql`insert into ${s}.parts (mirror_id, source_table, part, row_count, byte_count, snapshot_lsn)
    select ${owner.id}, p.*, ${lsn}::pg_lsn from rows from (pg_catalog.unnest(${tables}::text[]), pg_catalog.unnest(${numbers}::int[]),
      pg_catalog.unnest(${rows}::bigint[]), pg_catalog.unnest(${bytes}::bigint[])) as p(t, n, r, b)`);
}

/** Numbers of the parts of a table that are on the target. */
export async function readParts(
  db: Connection,
  owner: Owner,
  table: TableName,
): Promise<readonly { part: number; rows: number; bytes: number }[]> {
  const s = ident(owner.target.metadataSchema);
  const rows = await db.query<{ part: number; row_count: string; byte_count: string }>(
    sql`select part, row_count, byte_count from ${s}.parts
        where mirror_id = ${owner.id} and source_table = ${showTable(table)} order by part`,
  );
  return rows.map((row) => ({ part: row.part, rows: Number(row.row_count), bytes: Number(row.byte_count) }));
}

/** Forgets the mirror on the target; the schema goes with its last mirror. */
export async function dropCheckpoint(db: Connection, owner: Omit<Owner, 'token'>): Promise<void> {
  const { metadataSchema } = owner.target;
  const s = ident(metadataSchema);
  const [found] = await db.query(sql`select 1 as there from pg_catalog.pg_namespace where nspname = ${metadataSchema}`);
  if (found === undefined) return;
  await db.transaction(async () => {
    await db.run(sql`lock table ${s}.checkpoints in access exclusive mode`);
    await db.run(sql`delete from ${s}.parts where mirror_id = ${owner.id}`);
    await db.run(sql`delete from ${s}.copied_tables where mirror_id = ${owner.id}`);
    await db.run(sql`delete from ${s}.checkpoints where mirror_id = ${owner.id}`);
    await dropLargeObjectsRecord(db, owner);
    // Mirrors that never followed have none.
    const later = await db.query<{ name: string }>(sql`select c.relname::text as name from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${metadataSchema} and c.relname in ('schema_changes', 'known_objects', 'known_labels')`);
    for (const { name } of later) await db.run(sql`delete from ${s}.${ident(name)} where mirror_id = ${owner.id}`);
    const rest = await db.query(sql`select 1 as rest from ${s}.checkpoints limit 1`);
    if (rest.length > 0) return;
    await db.run(sql`drop table ${s}.parts, ${s}.copied_tables, ${s}.checkpoints`);
    for (const { name } of later) await db.run(sql`drop table ${s}.${ident(name)}`);
    // Somebody else's objects in it keep the schema.
    const others = await db.query(sql`select 1 as other from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = ${metadataSchema} limit 1`);
    if (others.length === 0) await db.run(sql`drop schema ${s}`);
  });
}

function fenced(owner: Owner): SluiceError {
  return new SluiceError('fenced', `mirror "${owner.name}" is owned by another process now`, {
    detail: `Our token is ${owner.token}; the target knows another.`,
  });
}
