// What the target remembers of tables that leave a mirror or get another name on the source.
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';

type Owner = Pick<MirrorWork, 'id'> & { readonly target: { readonly metadataSchema: string } };

/** Inside the caller's transaction. */
export async function forgetCopied(db: Connection, owner: Owner, tables: readonly TableName[]): Promise<void> {
  if (tables.length === 0) return;
  const s = ident(owner.target.metadataSchema);
  const list = tables.map(showTable);
  await db.run(sql`delete from ${s}.parts where mirror_id = ${owner.id} and source_table = any(${list}::text[])`);
  await db.run(
    sql`delete from ${s}.copied_tables where mirror_id = ${owner.id} and source_table = any(${list}::text[])`,
  );
}

/** Inside the caller's transaction; two tables may have changed names. */
export async function renameCopied(
  db: Connection,
  owner: Owner,
  renamed: readonly { readonly from: TableName; readonly to: TableName }[],
): Promise<void> {
  if (renamed.length === 0) return;
  const s = ident(owner.target.metadataSchema);
  const [from, to] = [renamed.map((each) => showTable(each.from)), renamed.map((each) => showTable(each.to))];
  await forgetCopied(
    db,
    owner,
    renamed.map((each) => each.to).filter((each) => !from.includes(showTable(each))),
  );
  for (const table of ['parts', 'copied_tables']) {
    const t = sql`${s}.${ident(table)}`;
    // No table's name begins so.
    await db.run(sql`update ${t} set source_table = '.' || source_table
      where mirror_id = ${owner.id} and source_table = any(${from}::text[])`);
    await db.run(sql`update ${t} t set source_table = r.new
      from rows from (pg_catalog.unnest(${from}::text[]), pg_catalog.unnest(${to}::text[])) as r(old, new)
      where t.mirror_id = ${owner.id} and t.source_table = '.' || r.old`);
  }
}
