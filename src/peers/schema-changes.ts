// Changes of the schema that were made on the target: written there in the same transaction, until the journal has them.
import { randomUUID } from 'node:crypto';
import type { TableChange } from '../mirror/table-change.ts';
import type { MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn } from '../pg/lsn.ts';
import { ident, sql } from '../pg/sql.ts';
import { ensureTable } from './metadata-table.ts';

type Owner = Pick<MirrorWork, 'id'> & { readonly target: { readonly metadataSchema: string } };

/** One change: what, of which table, at which place of the source's log, and what ran on the target. */
export interface SchemaChange {
  /** UUID: the journal takes it once. */
  readonly id: string;
  /** Of the source, as showTable prints it; '' for what is no table's. */
  readonly table: string;
  readonly what: string;
  /** Where the transaction of the source ended that brought the first row which needed it. */
  readonly lsn: string;
  readonly at: Date;
  readonly statements: readonly string[];
  /** What it makes of the mirror's list of tables. */
  readonly tables?: readonly TableChange[];
}

/** Makes the table for them, if it is not there. */
export async function ensureSchemaChanges(db: Connection, metadataSchema: string): Promise<void> {
  const columns = sql`
    id uuid primary key,
    mirror_id uuid not null,
    source_table text not null,
    what text not null,
    lsn pg_lsn not null,
    statements text[] not null,
    tables jsonb,
    at timestamptz not null default pg_catalog.clock_timestamp()`;
  if (!(await ensureTable(db, { metadataSchema, name: 'schema_changes', columns }))) return;
  const [known] = await db.query(sql`select 1 as there from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${metadataSchema} and c.relname = 'schema_changes' and a.attname = 'tables' and not a.attisdropped`);
  if (known !== undefined) return;
  await db.run(sql`alter table ${ident(metadataSchema, 'schema_changes')} add column if not exists tables jsonb`);
}

/** Inside the transaction that made the change. */
export async function writeSchemaChange(
  db: Connection,
  owner: Owner,
  change: Pick<SchemaChange, 'table' | 'what' | 'statements' | 'tables'> & { readonly lsn: Lsn },
): Promise<void> {
  await db.run(sql`insert into ${ident(owner.target.metadataSchema, 'schema_changes')}
      (id, mirror_id, source_table, what, lsn, statements, tables)
    values (${randomUUID()}, ${owner.id}, ${change.table}, ${change.what}, ${formatLsn(change.lsn)}::pg_lsn,
      ${[...change.statements]}::text[], ${change.tables === undefined ? null : JSON.stringify(change.tables)}::jsonb)`);
}

/** Those that nobody has said are in the journal, in their order. */
export async function readSchemaChanges(db: Connection, owner: Owner): Promise<readonly SchemaChange[]> {
  const rows = await db.query<{
    id: string;
    source_table: string;
    what: string;
    lsn: string;
    ms: string;
    statements: readonly string[];
    tables: readonly TableChange[] | null;
  }>(sql`select id, source_table, what, tables, lsn::text as lsn, pg_catalog.to_json(statements) as statements,
      (extract(epoch from at) * 1000)::bigint::text as ms
    from ${ident(owner.target.metadataSchema, 'schema_changes')} where mirror_id = ${owner.id} order by at, id`);
  return rows.map(({ id, source_table: table, what, lsn, ms, statements, tables }) => {
    const change = { id, table, what, lsn, statements, at: new Date(Number(ms)) };
    return tables === null ? change : { ...change, tables };
  });
}

/** They are in the journal. */
export async function forgetSchemaChanges(db: Connection, owner: Owner, ids: readonly string[]): Promise<void> {
  await db.run(sql`delete from ${ident(owner.target.metadataSchema, 'schema_changes')}
    where mirror_id = ${owner.id} and id = any(${[...ids]}::uuid[])`);
}
