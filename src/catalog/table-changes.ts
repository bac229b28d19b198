// A mirror's list of tables as it changes while the mirror runs: tables that join, leave, or get another name on the source.
import type { TableChange } from '../mirror/table-change.ts';
import type { MirroredTable } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';

const described = ['mirror_tables', 'table_progress', 'parts', 'conflicts'] as const;

/** Inside the caller's transaction, with the journal's row, so that it is done once. Changes of one list happen at once. */
export async function writeTableChanges(
  db: Connection,
  mirrorId: string,
  changes: readonly TableChange[],
): Promise<void> {
  const left = changes.flatMap((each) => (each.kind === 'leave' ? [each.from] : []));
  await removeTables(db, mirrorId, left);
  const renamed = changes.filter((each) => each.kind === 'rename');
  // No table's name begins so: two may have changed names.
  for (const { from } of renamed) await renameTable(db, mirrorId, { from: showTable(from), to: `.${showTable(from)}` });
  for (const { from, table } of renamed) {
    await removeTables(db, mirrorId, [table.from]);
    await renameTable(db, mirrorId, { from: `.${showTable(from)}`, to: showTable(table.from) });
    await db.run(sql`update sluice_private.mirror_tables set target_table = ${showTable(table.to)},
        source_schema = ${table.from.schema}, source_relation = ${table.from.name},
        target_schema = ${table.to.schema}, target_relation = ${table.to.name}
      where mirror_id = ${mirrorId} and source_table = ${showTable(table.from)}`);
  }
  for (const each of changes) if (each.kind === 'join') await addTable(db, mirrorId, each.table);
}

async function removeTables(db: Connection, mirrorId: string, tables: readonly TableName[]): Promise<void> {
  const list = tables.map(showTable);
  for (const of of described.toReversed()) {
    await db.run(sql`delete from ${ident('sluice_private', of)}
      where mirror_id = ${mirrorId} and source_table = any(${list}::text[])`);
  }
  await db.run(sql`delete from sluice_private.objects where mirror_id = ${mirrorId} and (source_table = any(${list}::text[])
    or kind = 'table' and (schema_name, object_name) in (select s, n from rows from (
      unnest(${tables.map(({ schema }) => schema)}::text[]), unnest(${tables.map(({ name }) => name)}::text[])) as t(s, n)))`);
}

async function renameTable(
  db: Connection,
  mirrorId: string,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  for (const of of described) {
    await db.run(sql`update ${ident('sluice_private', of)} set source_table = ${to}
      where mirror_id = ${mirrorId} and source_table = ${from}`);
  }
}

async function addTable(db: Connection, mirrorId: string, table: MirroredTable): Promise<void> {
  const name = showTable(table.from);
  await removeTables(db, mirrorId, [table.from]);
  await db.run(sql`insert into sluice_private.mirror_tables (mirror_id, ordinal, source_table, target_table,
      source_schema, source_relation, target_schema, target_relation, key_column, excluded, predicate)
    select ${mirrorId}, coalesce(max(ordinal), -1) + 1, ${name}, ${showTable(table.to)}, ${table.from.schema},
      ${table.from.name}, ${table.to.schema}, ${table.to.name}, ${table.key}, ${JSON.stringify(table.exclude)}::jsonb,
      ${table.where}
    from sluice_private.mirror_tables where mirror_id = ${mirrorId}`);
  await db.run(sql`insert into sluice_private.table_progress (mirror_id, source_table, state)
    values (${mirrorId}, ${name}, 'copied')`);
}

/** Forgets the ledger's lines of what is on neither side any more. @param keys of `objectKey` */
export async function forgetObjects(db: Connection, mirrorId: string, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  await db.run(sql`delete from sluice_private.objects o using jsonb_array_elements(${`[${keys.join()}]`}::jsonb) as k
    where o.mirror_id = ${mirrorId} and o.kind = k ->> 0 and o.schema_name = k ->> 1 and o.object_name = k ->> 2
      and o.source_table = k ->> 3`);
}
