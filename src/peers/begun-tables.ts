// Mirrored tables as they were when the target's were made for them: what is dropped, renamed or altered while they are copied is told by it.
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';

type Owner = Pick<MirrorWork, 'id'> & { readonly target: { readonly metadataSchema: string } };

/** A table of the source as it is now, whatever it is called. */
export interface Definition extends TableName {
  readonly oid: number;
  /** Another one for other columns, or other partitions, than before. */
  readonly print: string;
}

/** What is remembered of one. */
export interface BegunDefinition {
  readonly oid: number;
  readonly print: string;
}

const tablesPerTrip = 1_000;

/** By their names; those that are not there are left out. */
export async function readDefinitions(
  source: Connection,
  tables: readonly TableName[],
): Promise<readonly Definition[]> {
  const found: Definition[] = [];
  for (let at = 0; at < tables.length; at += tablesPerTrip) {
    const some = tables.slice(at, at + tablesPerTrip);
    const [schemas, names] = [some.map(({ schema }) => schema), some.map(({ name }) => name)];
    const rows = await source.query<{ oid: number }>(sql`select c.oid
      from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${names}::text[])) as wanted(schema, name)
      join pg_catalog.pg_namespace n on n.nspname = wanted.schema
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name`);
    found.push(
      ...(await definitionsOf(
        source,
        rows.map(({ oid }) => oid),
      )),
    );
  }
  return found;
}

/** By their OIDs; those that are gone are left out. */
export async function definitionsOf(source: Connection, oids: readonly number[]): Promise<readonly Definition[]> {
  const found: Definition[] = [];
  for (let at = 0; at < oids.length; at += tablesPerTrip) {
    const some = oids.slice(at, at + tablesPerTrip);
    found.push(
      ...(await source.query<Definition>(sql`
      select r.oid, n.nspname::text as schema, r.relname::text as name, pg_catalog.md5(pg_catalog.string_agg(
        pg_catalog.concat_ws(e'\\x01', m.relid::oid, case when m.level > 0 then m.relid::regclass::text end,
          pg_catalog.pg_get_expr(c.relpartbound, c.oid), c.relkind, case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end,
          (select pg_catalog.string_agg(pg_catalog.concat_ws(e'\\x02', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation,
              a.attnotnull, a.attidentity, a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid)), e'\\x03' order by a.attnum)
            from pg_catalog.pg_attribute a left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)), e'\\x04' order by m.level, m.relid)) as print
      from pg_catalog.pg_class r join pg_catalog.pg_namespace n on n.oid = r.relnamespace
      cross join lateral (
        select t.relid::oid as relid, t.level from pg_catalog.pg_partition_tree(r.oid) t where r.relkind = 'p'
        union all select r.oid, 0 where r.relkind <> 'p') m
      join pg_catalog.pg_class c on c.oid = m.relid
      where r.oid = any(${some}::oid[]) group by r.oid, n.nspname, r.relname`)),
    );
  }
  return found;
}

const table = (owner: Owner) => ident(owner.target.metadataSchema, 'known_objects');

/** Inside the caller's transaction. */
export async function writeBegun(db: Connection, owner: Owner, begun: readonly Definition[]): Promise<void> {
  const oids = begun.map(({ oid }) => oid);
  await forgetBegun(db, owner, begun.map(showTable));
  const [tables, prints] = [begun.map(showTable), begun.map(({ print }) => print)];
  await db.run(sql`insert into ${table(owner)} (mirror_id, id, object)
    select ${owner.id}, 'begun:' || b.oid, pg_catalog.json_build_object('oid', b.oid, 'source', b.name, 'print', b.print)
    from rows from (pg_catalog.unnest(${oids}::bigint[]), pg_catalog.unnest(${tables}::text[]),
      pg_catalog.unnest(${prints}::text[])) as b(oid, name, print)
    on conflict (mirror_id, id) do update set object = excluded.object`);
}

async function forgetBegun(db: Connection, owner: Owner, tables: readonly string[]): Promise<void> {
  await db.run(sql`delete from ${table(owner)}
    where mirror_id = ${owner.id} and id like 'begun:%' and object->>'source' = any(${[...tables]}::text[])`);
}

/** By showTable of the source's name. Empty once the mirror has looked at all that was changed meanwhile. */
export async function readBegun(db: Connection, owner: Owner): Promise<ReadonlyMap<string, BegunDefinition>> {
  const rows = await db.query<{ object: BegunDefinition & { readonly source: string } }>(
    sql`select object from ${table(owner)} where mirror_id = ${owner.id} and id like 'begun:%'`,
  );
  return new Map(rows.map(({ object: { source: name, oid, print } }) => [name, { oid, print }]));
}

/** Inside the caller's transaction; two may have changed names. */
export async function renameBegun(
  db: Connection,
  owner: Owner,
  renamed: readonly { readonly from: TableName; readonly to: TableName }[],
): Promise<void> {
  const [from, to] = [renamed.map((each) => showTable(each.from)), renamed.map((each) => showTable(each.to))];
  await db.run(sql`update ${table(owner)} k
    set object = pg_catalog.jsonb_set(k.object, '{source}', pg_catalog.to_jsonb(r.new))
    from rows from (pg_catalog.unnest(${from}::text[]), pg_catalog.unnest(${to}::text[])) as r(old, new)
    where k.mirror_id = ${owner.id} and k.id like 'begun:%' and k.object->>'source' = r.old`);
}
