// What the target remembers of the source's objects: by which name it has each, so that a drop or a new name can follow.
import { objectKey } from '../mirror/object.ts';
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, sql, trusted } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { ensureTable } from './metadata-table.ts';
import type { AlterableType } from './schema/entity.ts';

type Owner = Pick<MirrorWork, 'id'> & { readonly target: { readonly metadataSchema: string } };

/** An object of the source, and its counterpart. */
export interface KnownObject {
  /** `pg_class:16421`: catalog and OID on the source; more than that where it is no object of its own. */
  readonly id: string;
  readonly kind: string;
  /** objectKey of its line in the ledger. */
  readonly key: string;
  /** On the source, for people: `shop.orders`, `c of shop.orders`. */
  readonly shown: string;
  /** Of the target: schema, own name and what belongs to it; '' for none. */
  readonly schema: string;
  readonly name: string;
  readonly arguments: string;
  /** As showTable: the target's relation that it belongs to. */
  readonly table: string;
  /** Tells whether the source's is still the same. */
  readonly definition: string;
  /** Statements that remove it from the target; none: nothing can. */
  readonly drop: readonly string[];
  /** Before the rows that come after the drop of it, or later. */
  readonly early: boolean;
  /** Of a composite or a domain: what the target's was made like. */
  readonly type?: AlterableType | undefined;
  /** Of a type: the place in the log up to which the target has all that was made of it; none: it goes with the stream. */
  readonly asOf?: string | undefined;
}

/** Says that the source's catalogs are to be looked at: a change was met, and what follows from it is not all done. */
const wanted = 'wanted';

interface Wish {
  readonly since?: string;
}

/** Makes the table for them, if it is not there. */
export async function ensureKnownObjects(db: Connection, metadataSchema: string): Promise<void> {
  const columns = sql`
    mirror_id uuid not null,
    id text not null,
    object jsonb not null,
    primary key (mirror_id, id)`;
  await ensureTable(db, { metadataSchema, name: 'known_objects', columns });
}

const table = (owner: Owner) => ident(owner.target.metadataSchema, 'known_objects');

// Of tables that the first copy has begun, and of partitions of the target's tables.
const ofNoObject = trusted(`(id like 'begun:%' or id like 'tree:%' or id like 'apart:%')`);

/**
 * All, by id. `wanted`: a change was met and not all of it is made, `since` (if that was said): the first such lies there.
 * `fresh`: nothing was ever remembered, and nothing met.
 */
export async function readKnownObjects(
  db: Connection,
  owner: Owner,
): Promise<{
  readonly objects: ReadonlyMap<string, KnownObject>;
  readonly wanted: boolean;
  readonly since: Lsn | null;
  readonly fresh: boolean;
}> {
  const rows = await db.query<{ id: string; object: KnownObject & Wish }>(
    sql`select id, object from ${table(owner)} where mirror_id = ${owner.id} and not ${ofNoObject}`,
  );
  const objects = new Map(rows.filter(({ id }) => id !== wanted).map(({ id, object }) => [id, object]));
  const wish = rows.find(({ id }) => id === wanted)?.object;
  const since = wish?.since === undefined ? null : parseLsn(wish.since);
  return { objects, wanted: wish !== undefined, since, fresh: rows.length === 0 };
}

/** Of these ids only. */
export async function findKnownObjects(
  db: Connection,
  owner: Owner,
  ids: readonly string[],
): Promise<readonly KnownObject[]> {
  if (ids.length === 0) return [];
  const rows = await db.query<{ object: KnownObject }>(
    sql`select object from ${table(owner)} where mirror_id = ${owner.id} and id = any(${[...ids]}::text[])`,
  );
  return rows.map(({ object }) => object);
}

/** The one that stands for this table of the target. */
export async function findKnownTable(db: Connection, owner: Owner, name: TableName): Promise<KnownObject | null> {
  const [row] = await db.query<{ object: KnownObject }>(sql`select object from ${table(owner)}
    where mirror_id = ${owner.id} and object->>'kind' = 'table' and object->>'schema' = ${name.schema}
      and object->>'name' = ${name.name}`);
  return row?.object ?? null;
}

/** A table of the target and all that belongs to it. */
export async function forgetKnownTable(db: Connection, owner: Owner, { id, schema, name }: KnownObject): Promise<void> {
  await db.run(sql`delete from ${table(owner)} where mirror_id = ${owner.id}
    and (id = ${id} or object->>'table' = ${showTable({ schema, name })})`);
}

/** A table of the target, its partitions, and all that belongs to them. */
export async function forgetTree(db: Connection, owner: Owner, root: TableName): Promise<void> {
  const rows = await db.query<TableName>(sql`select n.nspname::text as schema, c.relname::text as name
    from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    cross join lateral (select t.relid::oid as relid from pg_catalog.pg_partition_tree(r.oid) t where r.relkind = 'p'
      union select r.oid) m
    join pg_catalog.pg_class c on c.oid = m.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where rn.nspname = ${root.schema} and r.relname = ${root.name}`);
  const names = rows.map(showTable);
  await db.run(sql`delete from ${table(owner)} k where mirror_id = ${owner.id} and not ${ofNoObject}
    and (object->>'table' = any(${names}::text[]) or object->>'kind' = 'table' and exists (
      select from rows from (pg_catalog.unnest(${rows.map(({ schema }) => schema)}::text[]),
        pg_catalog.unnest(${rows.map(({ name }) => name)}::text[])) as t(s, n)
      where t.s = k.object->>'schema' and t.n = k.object->>'name'))`);
}

export async function forgetKnownObjects(db: Connection, owner: Owner, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db.run(sql`delete from ${table(owner)} where mirror_id = ${owner.id} and id = any(${[...ids]}::text[])`);
}

/** A table of the target that stands for one of the source and has no rows of its own in the mirror's list: a partition. */
export function knownPartition(oid: number, from: TableName, to: TableName): KnownObject {
  const { schema, name } = to;
  return {
    ...{
      id: `pg_class:${oid}`,
      kind: 'table',
      key: objectKey({ kind: 'table', ...from, table: '' }),
      shown: showTable(from),
    },
    ...{ schema, name, arguments: '', table: '', definition: '' },
    ...{ drop: [`drop table ${ident(schema, name).text}`], early: true },
  };
}

/** Inside the transaction that made it, or gave it another name. */
export async function rememberObject(db: Connection, owner: Owner, object: KnownObject): Promise<void> {
  await db.run(sql`insert into ${table(owner)} (mirror_id, id, object)
    values (${owner.id}, ${object.id}, ${JSON.stringify(object)}::jsonb)
    on conflict (mirror_id, id) do update set object = excluded.object`);
}

/** What belongs to a table of the target goes by its new name. Inside the transaction that renames it. */
export async function renameKnownTable(
  db: Connection,
  owner: Owner,
  { from, to }: { readonly from: TableName; readonly to: TableName },
): Promise<void> {
  const rows = await db.query<{ object: KnownObject }>(sql`select object from ${table(owner)}
    where mirror_id = ${owner.id} and object->>'table' = ${showTable(from)}`);
  const quoted = (name: TableName) => ident(name.schema, name.name).text;
  const moved = (text: string) => text.replaceAll(quoted(from), quoted(to)).replaceAll(showTable(from), showTable(to));
  for (const { object } of rows) {
    // An index lies where its table does.
    const schema = object.schema === from.schema ? to.schema : object.schema;
    const inSchema = (text: string) =>
      object.kind === 'index' && schema !== object.schema
        ? text.replaceAll(`${ident(object.schema).text}.`, `${ident(schema).text}.`)
        : text;
    const now = { ...object, schema, table: showTable(to), drop: object.drop.map((text) => inSchema(moved(text))) };
    await db.run(sql`update ${table(owner)} set object = ${JSON.stringify(now)}::jsonb
      where mirror_id = ${owner.id} and id = ${object.id}`);
  }
}

/**
 * Says in the transaction that brings a change that the rest of it is still to be made.
 * @param since where it lies; what was said before stands
 */
export async function wantLook(db: Connection, owner: Owner, since?: Lsn): Promise<void> {
  const wish: Wish = since === undefined ? {} : { since: formatLsn(since) };
  await db.run(sql`insert into ${table(owner)} as known (mirror_id, id, object)
    values (${owner.id}, ${wanted}, ${JSON.stringify(wish)}::jsonb)
    on conflict (mirror_id, id) do update set object = excluded.object where known.object ->> 'since' is null`);
}

/** Nothing more is to be made. */
export async function forgetWish(db: Connection, owner: Owner): Promise<void> {
  await db.run(sql`delete from ${table(owner)} where mirror_id = ${owner.id} and id = ${wanted}`);
}

/** Of all that is remembered, what goes by these beginnings of ids: `pg_type:`. */
export async function findKnownKind(db: Connection, owner: Owner, prefix: string): Promise<readonly KnownObject[]> {
  const rows = await db.query<{ object: KnownObject }>(
    sql`select object from ${table(owner)} where mirror_id = ${owner.id} and id like ${`${prefix.replaceAll('_', '\\_')}%`}`,
  );
  return rows.map(({ object }) => object);
}

const rowsPerTrip = 2_000;

/** In place of all that was remembered. @param done nothing is left to be made */
export async function writeKnownObjects(
  db: Connection,
  owner: Owner,
  {
    objects,
    done,
    before,
  }: {
    readonly objects: readonly KnownObject[];
    readonly done: boolean;
    /** What is remembered now, if that was read a moment ago: of ten thousand tables few things are others then. */
    readonly before?: ReadonlyMap<string, KnownObject>;
  },
): Promise<void> {
  const kept = new Set(objects.filter((each) => before?.has(each.id)).map(({ id }) => id));
  const gone = [...(before?.keys() ?? [])].filter((id) => !kept.has(id));
  await db.run(sql`delete from ${table(owner)} where mirror_id = ${owner.id} and case
    when id = ${wanted} then ${done} when id like 'tree:%' or id like 'apart:%' then false when ${before === undefined} or id like 'begun:%' then true else id = any(${gone}::text[]) end`);
  const text = (object: KnownObject | undefined) => (object === undefined ? '' : JSON.stringify(plain(object)));
  await addKnownObjects(
    db,
    owner,
    objects.filter((each) => {
      const was = before?.get(each.id);
      return was === undefined || was.asOf !== undefined || text(was) !== text(each);
    }),
    'all of it',
  );
}

/** Beside what is remembered. Inside the caller's transaction. */
export async function addKnownObjects(
  db: Connection,
  owner: Owner,
  objects: readonly KnownObject[],
  what: 'all of it' | 'but places' = 'but places',
): Promise<void> {
  for (let at = 0; at < objects.length; at += rowsPerTrip) {
    const json = JSON.stringify(objects.slice(at, at + rowsPerTrip).map(plain)).replaceAll('\\u0000', '');
    await db.run(sql`insert into ${table(owner)} as k (mirror_id, id, object)
      select ${owner.id}, o->>'id', o from pg_catalog.jsonb_array_elements(${json}::jsonb) as o
      on conflict (mirror_id, id) do update set object = case when ${what === 'but places'} and k.object ? 'asOf'
        then excluded.object || pg_catalog.jsonb_build_object('asOf', k.object->'asOf') else excluded.object end`);
  }
}

// Who has found it out may know more than is to be remembered.
function plain(each: KnownObject): KnownObject {
  const { id, kind, key, shown, schema, name, arguments: args, table: of, definition, drop, early, type } = each;
  return { id, kind, key, shown, schema, name, arguments: args, table: of, definition, drop, early, type };
}
