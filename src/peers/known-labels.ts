// What the target remembers of the source's enums: by which name it has each label, so that a new name is told from a new label.
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { ensureTable } from './metadata-table.ts';

type Owner = Pick<MirrorWork, 'id'> & { readonly target: { readonly metadataSchema: string } };

/** Names on the target by OID of the label on the source, by OID of the type there. */
export type KnownLabels = ReadonlyMap<number, ReadonlyMap<number, string>>;

/** Makes the table for them, if it is not there. */
export async function ensureKnownLabels(db: Connection, metadataSchema: string): Promise<void> {
  const columns = sql`
    mirror_id uuid not null,
    type_oid bigint not null,
    labels jsonb not null,
    primary key (mirror_id, type_oid)`;
  await ensureTable(db, { metadataSchema, name: 'known_labels', columns });
}

const table = (owner: Owner) => ident(owner.target.metadataSchema, 'known_labels');

/** All that is remembered. */
export async function readKnownLabels(db: Connection, owner: Owner): Promise<KnownLabels> {
  const rows = await db.query<{ oid: string; labels: readonly (readonly [number, string])[] }>(
    sql`select type_oid::text as oid, labels from ${table(owner)} where mirror_id = ${owner.id}`,
  );
  return new Map(rows.map(({ oid, labels }) => [Number(oid), new Map(labels)]));
}

/** Remembers those of these types, inside the caller's transaction. */
export async function writeKnownLabels(db: Connection, owner: Owner, labels: KnownLabels): Promise<void> {
  const json = JSON.stringify([...labels].map(([oid, names]) => [oid, [...names]]));
  await db.run(sql`insert into ${table(owner)} (mirror_id, type_oid, labels)
    select ${owner.id}, (t->>0)::bigint, t->1 from pg_catalog.jsonb_array_elements(${json}::jsonb) as t
    on conflict (mirror_id, type_oid) do update set labels = excluded.labels`);
}
