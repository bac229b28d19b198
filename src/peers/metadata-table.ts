// Tables of ours on the target that versions after the first one brought: made when they are first needed.
import type { Connection } from '../pg/client.ts';
import { ident, type Sql, sql } from '../pg/sql.ts';

/** Waits, until its transaction ends, for others that make such tables. */
export async function lockMetadata(db: Connection, metadataSchema: string): Promise<void> {
  await db.run(
    sql`select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext(${`sluice checkpoint ${metadataSchema}`}))`,
  );
}

/**
 * Makes a table of the metadata schema, if it is not there. The connection must have no open transaction where it may be missing.
 * @returns whether it was there
 */
export async function ensureTable(
  db: Connection,
  of: { readonly metadataSchema: string; readonly name: string; readonly columns: Sql },
): Promise<boolean> {
  const { metadataSchema, name, columns } = of;
  const [found] = await db.query(sql`select 1 as there from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = ${metadataSchema} and c.relname = ${name}`);
  if (found !== undefined) return true;
  await db.transaction(async () => {
    await lockMetadata(db, metadataSchema);
    await db.run(sql`create table if not exists ${ident(metadataSchema, name)} (${columns})`);
  });
  return false;
}
