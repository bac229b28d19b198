// Large objects of both sides: what there is, what we may read, which of the target's we made, and how their bytes are fetched and put.
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, literal, type Sql, sql } from '../pg/sql.ts';

/** A large object with its size in bytes; null: our role may not read it. */
export interface LargeObject {
  readonly oid: number;
  readonly size: number | null;
}

type Owner = Pick<MirrorWork, 'id'> & { readonly target: { readonly metadataSchema: string } };

const objectsPerTrip = 5_000;

export async function hasLargeObjects(db: Connection): Promise<boolean> {
  const { there } = await db.one<{ there: boolean }>(
    sql`select exists (select from pg_catalog.pg_largeobject_metadata) as there`,
  );
  return there;
}

/** Whether no snapshot that is held can see one: the catalog that names them has no page, not even of those that were removed. */
export async function neverHadLargeObjects(db: Connection): Promise<boolean> {
  const { never } = await db.one<{ never: boolean }>(
    sql`select pg_catalog.pg_relation_size('pg_catalog.pg_largeobject_metadata'::pg_catalog.regclass) = 0 as never`,
  );
  return never;
}

/** OIDs of all of them, in order. */
export async function listLargeObjects(db: Connection): Promise<readonly number[]> {
  const rows = await db.query<{ oid: number }>(sql`select oid from pg_catalog.pg_largeobject_metadata order by oid`);
  return rows.map(({ oid }) => oid);
}

/**
 * All of them with their sizes, some thousand at a time. Must run inside a transaction whose snapshot stays the same: a large
 * object is opened to learn how long it is, for its pages are for superusers only.
 */
export async function* readLargeObjects(db: Connection): AsyncGenerator<readonly LargeObject[]> {
  let after = 0;
  for (;;) {
    const rows = await db.query<{ oid: number; readable: boolean; size: string | null }>(sql`
      with page as materialized (
        select m.oid, ${mayRead} as readable from pg_catalog.pg_largeobject_metadata m
        where m.oid > ${after}::oid order by m.oid limit ${objectsPerTrip})
      select page.oid, page.readable, size.bytes as size from page
        cross join lateral (select case when page.readable then pg_catalog.lo_open(page.oid, 262144) end as descriptor offset 0) o
        cross join lateral (select case when ${once} then pg_catalog.lo_lseek64(o.descriptor, 0, 2) end as bytes offset 0) size
        cross join lateral (select case when ${once} and size.bytes is not null
          then pg_catalog.lo_close(o.descriptor) end as done offset 0) closed
      where closed.done is distinct from -1
      order by page.oid`);
    if (rows.length === 0) return;
    yield rows.map(({ oid, readable, size }) => ({ oid, size: readable ? Number(size) : null }));
    after = rows.at(-1)?.oid ?? 0;
  }
}

// Descriptors are used again and again; with the OID in it nobody can take one call's answer for another's.
const once = sql`(page.readable and page.oid > 0::oid)`;

/** As the server decides it when one is opened. `m`: a row of pg_largeobject_metadata. */
export const mayRead = sql`(pg_catalog.current_setting('lo_compat_privileges')::boolean
  or (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
  or pg_catalog.pg_has_role(current_user, m.lomowner, 'usage')
  or exists (select from pg_catalog.aclexplode(m.lomacl) a
    where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_catalog.pg_has_role(current_user, a.grantee, 'usage'))))`;

// A whole number of pages, whatever the size of the server's blocks.
const chunkBytes = 256 * 1024;

/** Fetches these, cut into rows of oid, offset and bytes. */
export function copyLargeObjectsOut(objects: readonly { readonly oid: number; readonly size: number }[]): Sql {
  const oids = literal(`{${objects.map(({ oid }) => oid).join()}}`);
  const sizes = literal(`{${objects.map(({ size }) => size).join()}}`);
  return sql`copy (select o.oid, p.at, pg_catalog.lo_get(o.oid, p.at, ${literal(chunkBytes)})
    from rows from (pg_catalog.unnest(${oids}::oid[]), pg_catalog.unnest(${sizes}::int8[])) as o(oid, size),
      lateral pg_catalog.generate_series(0::int8, o.size - 1, ${literal(chunkBytes)}) as p(at)) to stdout (format binary)`;
}

/** Where the rows of copyLargeObjectsOut wait to be put in place; made and dropped in the transaction that does it. */
export interface Waiting {
  readonly create: Sql;
  readonly copyIn: Sql;
  readonly put: Sql;
  readonly drop: Sql;
}

/** No temporary table: our role need not be allowed to make those, but its own schema has room. Unlogged: it never outlives its maker. */
export function waitingRows(target: Connection, owner: Owner): Waiting {
  const name = ident(owner.target.metadataSchema, `large_object_bytes_${target.pid}`);
  return {
    // The bytes are packed already where that is any use to somebody; to try it here would only cost time.
    create: sql`create unlogged table ${name} (oid oid, at int8, bytes bytea); alter table ${name} alter column bytes set storage external`,
    copyIn: sql`copy ${name} (oid, at, bytes) from stdin (format binary)`,
    put: sql`select pg_catalog.count(pg_catalog.lo_put(oid, at, bytes)) as put from ${name}`,
    drop: sql`drop table ${name}`,
  };
}

export async function createLargeObjects(target: Connection, oids: readonly number[]): Promise<void> {
  await target.run(
    sql`select pg_catalog.count(pg_catalog.lo_create(oid)) from pg_catalog.unnest(${[...oids]}::oid[]) as o(oid)`,
  );
}

/** Removes those of them that are there. */
export async function unlinkLargeObjects(target: Connection, oids: readonly number[]): Promise<void> {
  await target.run(sql`select pg_catalog.count(pg_catalog.lo_unlink(m.oid)) from pg_catalog.pg_largeobject_metadata m
    where m.oid = any(${[...oids]}::oid[])`);
}

/** Of these OIDs, those that are in use. */
export async function takenLargeObjects(target: Connection, oids: readonly number[]): Promise<readonly number[]> {
  const taken: number[] = [];
  for (let at = 0; at < oids.length; at += objectsPerTrip) {
    const some = oids.slice(at, at + objectsPerTrip);
    const rows = await target.query<{ oid: number }>(
      sql`select oid from pg_catalog.pg_largeobject_metadata where oid = any(${some}::oid[]) order by oid`,
    );
    taken.push(...rows.map(({ oid }) => oid));
  }
  return taken;
}

/** Makes the table in which the target remembers which large objects we made, and as of when. */
export async function ensureLargeObjectsTable(target: Connection, owner: Owner): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  await target.run(sql`create table if not exists ${s}.large_objects (
    mirror_id uuid not null,
    oid oid not null,
    snapshot_lsn pg_lsn,
    primary key (mirror_id, oid))`);
}

/** Those that we made, with the LSN of the snapshot that they are of. */
export async function readCopiedLargeObjects(
  target: Connection,
  owner: Owner,
): Promise<ReadonlyMap<number, Lsn | null>> {
  const s = ident(owner.target.metadataSchema);
  if (!(await isThere(target, owner))) return new Map();
  const rows = await target.query<{ oid: number; lsn: string | null }>(
    sql`select oid, snapshot_lsn as lsn from ${s}.large_objects where mirror_id = ${owner.id}`,
  );
  return new Map(rows.map(({ oid, lsn }) => [oid, lsn === null ? null : parseLsn(lsn)]));
}

/** In the transaction that makes them. */
export async function recordLargeObjects(
  target: Connection,
  owner: Owner,
  made: { readonly oids: readonly number[]; readonly lsn: Lsn | null },
): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  const lsn = made.lsn === null ? null : formatLsn(made.lsn);
  await target.run(sql`insert into ${s}.large_objects (mirror_id, oid, snapshot_lsn)
    select ${owner.id}, oid, ${lsn}::pg_lsn from pg_catalog.unnest(${[...made.oids]}::oid[]) as o(oid)`);
}

/** In the transaction that removes them. */
export async function forgetLargeObjects(target: Connection, owner: Owner, oids: readonly number[]): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  await target.run(sql`delete from ${s}.large_objects
    where mirror_id = ${owner.id} and oid = any(${[...oids]}::oid[])`);
}

/** The mirror goes; its large objects stay. The table goes with the last that has any. */
export async function dropLargeObjectsRecord(target: Connection, owner: Owner): Promise<void> {
  const s = ident(owner.target.metadataSchema);
  if (!(await isThere(target, owner))) return;
  await target.run(sql`delete from ${s}.large_objects where mirror_id = ${owner.id}`);
  const rest = await target.query(sql`select 1 as rest from ${s}.large_objects limit 1`);
  if (rest.length === 0) await target.run(sql`drop table ${s}.large_objects`);
}

async function isThere(target: Connection, owner: Owner): Promise<boolean> {
  const rows = await target.query(sql`select 1 as there from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${owner.target.metadataSchema} and c.relname = 'large_objects'`);
  return rows.length > 0;
}
