// The partitions that the target's tables have, and which of them they have by our doing: of one that a person attached nobody knows
// what rows it lacks.
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';

type Owner = Pick<MirrorWork, 'id'> & { readonly target: { readonly metadataSchema: string } };

/** A partition of a table of the target. */
export interface Standing extends TableName {
  readonly oid: number;
  readonly parent: TableName;
  readonly bound: string;
}

/** Every partition below, parents first; null: it is not partitioned. */
export async function targetTree(target: Connection, root: TableName): Promise<readonly Standing[] | null> {
  const rows = await target.query<Standing & { level: number }>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name, tree.level,
      pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bound, case when tree.level > 0 then
        pg_catalog.json_build_object('schema', pn.nspname, 'name', p.relname) end as parent
    from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    cross join lateral pg_catalog.pg_partition_tree(r.oid) tree
    join pg_catalog.pg_class c on c.oid = tree.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_class p on p.oid = tree.parentrelid left join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
    where rn.nspname = ${root.schema} and r.relname = ${root.name} and r.relkind = 'p'
    order by tree.level, c.oid`);
  return rows.length === 0 ? null : rows.filter(({ level }) => level > 0);
}

/** Whether a table of the target was a partition that we have detached. */
export async function isApart(db: Connection, owner: Owner, oid: number): Promise<boolean> {
  const rows = await db.query(
    sql`select 1 as apart from ${table(owner)} where mirror_id = ${owner.id} and id = ${`apart:${oid}`}`,
  );
  return rows.length > 0;
}

// Beside what is remembered of objects: `tree:16421` by the OID of a table of the target, `apart:16421` by that of what was its
// partition.
const table = (owner: Owner) => ident(owner.target.metadataSchema, 'known_objects');

/** OIDs of the partitions that a table of the target has by our doing; null: nothing is remembered of it. */
export async function knownPartitions(
  db: Connection,
  owner: Owner,
  root: TableName,
): Promise<ReadonlySet<number> | null> {
  const [row] = await db.query<{
    object: { readonly oids: readonly number[] };
  }>(sql`select k.object from ${table(owner)} k
    join pg_catalog.pg_class c on k.id = 'tree:' || c.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where k.mirror_id = ${owner.id} and n.nspname = ${root.schema} and c.relname = ${root.name}`);
  return row === undefined ? null : new Set(row.object.oids);
}

/** All that it has now is by our doing; what it has no more stands alone. Inside the transaction that made it so. */
export async function rememberPartitions(
  db: Connection,
  owner: Owner,
  { root, was }: { readonly root: TableName; readonly was: ReadonlySet<number> | null },
): Promise<void> {
  const oids = ((await targetTree(db, root)) ?? []).map(({ oid }) => oid);
  const gone = [...(was ?? [])].filter((oid) => !oids.includes(oid));
  if (was !== null && gone.length === 0 && was.size === oids.length) return;
  await db.run(sql`insert into ${table(owner)} (mirror_id, id, object)
    select ${owner.id}::uuid, 'tree:' || c.oid, pg_catalog.jsonb_build_object('oids', pg_catalog.to_jsonb(${oids}::bigint[]))
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${root.schema} and c.relname = ${root.name}
    union all select ${owner.id}::uuid, 'apart:' || c.oid, '{}'::jsonb from pg_catalog.pg_class c where c.oid = any(${gone}::oid[])
    on conflict (mirror_id, id) do update set object = excluded.object`);
  const back = oids.map((oid) => `apart:${oid}`);
  await db.run(sql`delete from ${table(owner)} where mirror_id = ${owner.id} and id = any(${back}::text[])`);
}

/** Before anything is applied: what tables have of which nothing is remembered is by our doing. Inside a transaction. */
export async function beginPartitions(db: Connection, owner: Owner, roots: readonly TableName[]): Promise<void> {
  const [schemas, names] = [roots.map(({ schema }) => schema), roots.map(({ name }) => name)];
  await db.run(sql`insert into ${table(owner)} (mirror_id, id, object)
    select ${owner.id}::uuid, 'tree:' || c.oid, pg_catalog.jsonb_build_object('oids', (
      select coalesce(pg_catalog.jsonb_agg(t.relid::oid::bigint), '[]'::jsonb) from pg_catalog.pg_partition_tree(c.oid) t where t.level > 0))
    from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${names}::text[])) as r(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = r.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = r.name and c.relkind = 'p'
    where not exists (select from ${table(owner)} k where k.mirror_id = ${owner.id} and k.id = 'tree:' || c.oid)
    on conflict do nothing`);
}
