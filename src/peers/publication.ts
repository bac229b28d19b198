// Publications on the source: made whole in one transaction, refused where they would make the source refuse its own updates.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { rowPredicate } from '../mirror/selection.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join as joinSql, literal, names as nameList, type Sql, sql } from '../pg/sql.ts';
import { sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { checkFilters, checkOwnFilter, checkReadable } from './publication-filter.ts';
import { runAlone } from './run-alone.ts';

/** A table as a mirror wants it published. */
export interface PublishedTable {
  readonly table: Pick<
    Table,
    'schema' | 'name' | 'kind' | 'columns' | 'replicaIdentity' | 'identityColumns' | 'leaves'
  >;
  /** Columns that stay on the source. */
  readonly exclude: readonly string[];
  /** Rows that are mirrored. Published so from PostgreSQL 15 on; before, we filter. */
  readonly where: string | null;
}

/** A publication as the catalogs show it. */
export interface Publication {
  readonly name: string;
  readonly allTables: boolean;
  /** Whether changes of partitions come under the root's name. */
  readonly viaRoot: boolean;
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
  readonly truncate: boolean;
  readonly tables: readonly TableOfPublication[];
}

export interface TableOfPublication extends TableName {
  /** Published columns; null where the server (14) does not say: all. */
  readonly columns: readonly string[] | null;
  readonly filter: string | null;
}

/**
 * Makes the publication of a mirror, or makes an earlier one of ours right: a step that was killed calls again. Nothing is
 * left of a publication that would make the source refuse updates or deletes of its own.
 * https://www.postgresql.org/docs/18/sql-createpublication.html
 * @throws `forbidden`, `invalid_option` (a filter that no publication takes), `not_ready` (filter outside the identity), `upstream`
 */
export async function createPublication(
  db: Connection,
  name: string,
  tables: readonly PublishedTable[],
): Promise<void> {
  const { version } = db;
  await checkOwnFilters(db, tables, version);
  await db.transaction(() => writePublication(db, { name, tables, version }));
}

/** Does all that createPublication does and takes it back, to see whether it would go well. @throws as createPublication */
export async function rehearsePublication(
  db: Connection,
  name: string,
  tables: readonly PublishedTable[],
): Promise<void> {
  const { version } = db;
  await checkOwnFilters(db, tables, version);
  const done = new Error('taken back');
  try {
    await db.transaction(async () => {
      await writePublication(db, { name, tables, version });
      throw done;
    });
  } catch (error) {
    if (error !== done) throw error;
  }
}

// Before 15 we filter ourselves; by the same rules, so that a mirror means the same whatever the source's version is.
async function checkOwnFilters(db: Connection, tables: readonly PublishedTable[], version: number): Promise<void> {
  for (const { table, where } of tables) {
    if (where === null) continue;
    await checkReadable(db, table, where);
    if (version < 150_000) await checkOwnFilter(db, { table, where });
  }
}

interface Plan {
  readonly name: string;
  readonly tables: readonly PublishedTable[];
  readonly version: number;
}

async function writePublication(db: Connection, plan: Plan): Promise<void> {
  const { name, tables, version } = plan;
  const [found] = await db.query(sql`select 1 as found from pg_catalog.pg_publication where pubname = ${name}`);
  const { list, options, create } = publicationText(plan);
  try {
    if (found === undefined) {
      await runAlone(db, create);
      await db.run(
        sql`comment on publication ${ident(name)} is ${literal('Made by Sluice; dropped with its mirror.')}`,
      );
    } else {
      await db.run(sql`alter publication ${ident(name)} set (${options})`);
      if (tables.length > 0) await runAlone(db, sql`alter publication ${ident(name)} set table ${list}`);
    }
  } catch (error) {
    throw publicationError(error, name);
  }
  if (version >= 150_000 && tables.some((each) => each.where !== null)) await checkFilters(db, name);
}

/** The statements of a publication; `create` for a person as well, where it cannot be made from here. Pure. */
export function publicationText({ name, tables, version }: Plan): {
  readonly list: Sql;
  readonly options: Sql;
  readonly create: Sql;
} {
  const list = joinSql(tables.map((each) => publishedTable(each, version)));
  // From 18 on the source refuses updates of a table with REPLICA IDENTITY FULL whose generated columns are not published, and a
  // table may come to have one at any time.
  const generated = version >= 180_000 ? sql`, publish_generated_columns = stored` : sql``;
  const options = sql`publish_via_partition_root = true${generated}`;
  const what = tables.length === 0 ? sql`` : sql` for table ${list}`;
  return { list, options, create: sql`create publication ${ident(name)}${what} with (${options})` };
}

function publishedTable({ table, exclude, where }: PublishedTable, version: number): Sql {
  const columns = version >= 150_000 ? columnList(table, exclude) : null;
  return joinSql(
    [
      sql`only ${ident(table.schema, table.name)}`,
      ...(columns === null ? [] : [sql`(${nameList(columns)})`]),
      ...(where === null || version < 150_000 ? [] : [sql`where ${rowPredicate(where)}`]),
    ],
    ' ',
  );
}

/**
 * The column list that keeps excluded columns on the source, or null for none. A table with REPLICA IDENTITY FULL must
 * have none, or the source refuses its updates; the receiver then leaves the columns out.
 * https://www.postgresql.org/docs/18/logical-replication-col-lists.html
 */
function columnList(table: PublishedTable['table'], exclude: readonly string[]): readonly string[] | null {
  if (exclude.length === 0 || table.replicaIdentity === 'f') return null;
  return table.columns.filter((each) => each.generated === '' && !exclude.includes(each.name)).map(({ name }) => name);
}

function publicationError(error: unknown, name: string): unknown {
  if (!(error instanceof SluiceError) || error.sqlstate !== '42501') return error;
  return new SluiceError(
    'forbidden',
    `the source does not let this role make publication "${name}": ${error.message}`,
    {
      hint: 'It takes CREATE on the database and ownership of the tables. Or have their owner make a publication, and give it as publication_name.',
      cause: error,
    },
  );
}

/** Drops a publication. @returns false if there was none */
export async function dropPublication(db: Connection, name: string): Promise<boolean> {
  const [found] = await db.query(sql`select 1 as found from pg_catalog.pg_publication where pubname = ${name}`);
  if (found === undefined) return false;
  await db.run(sql`drop publication if exists ${ident(name)}`);
  return true;
}

interface PublicationRow {
  readonly puballtables: boolean;
  readonly pubviaroot: boolean;
  readonly pubinsert: boolean;
  readonly pubupdate: boolean;
  readonly pubdelete: boolean;
  readonly pubtruncate: boolean;
}

/** Reads a publication with its tables (partitions under their root where it publishes so); null if there is none. */
export async function readPublication(db: Connection, name: string): Promise<Publication | null> {
  const [row] = await db.query<PublicationRow>(
    sql`select puballtables, pubviaroot, pubinsert, pubupdate, pubdelete, pubtruncate
        from pg_catalog.pg_publication where pubname = ${name}`,
  );
  if (row === undefined) return null;
  const more =
    db.version < 150_000
      ? sql`null::json as columns, null::text as filter`
      : sql`pg_catalog.to_json(attnames) as columns, rowfilter as filter`;
  const select = sql`select schemaname::text as schema, tablename::text as name, ${more}
    from pg_catalog.pg_publication_tables where pubname = ${name} order by 1, 2`;
  // The view opens every table, and fails where one is dropped meanwhile (internal_error, undefined_table).
  const tables = await db.query<TableOfPublication>(select).catch(async (error: unknown) => {
    if (!['XX000', '42P01'].includes(toSluiceError(error).sqlstate)) throw error;
    return await db.query<TableOfPublication>(select);
  });
  return {
    name,
    allTables: row.puballtables,
    viaRoot: row.pubviaroot,
    insert: row.pubinsert,
    update: row.pubupdate,
    delete: row.pubdelete,
    truncate: row.pubtruncate,
    tables,
  };
}

/** What a given publication lacks for a mirror, in words; empty if it serves. Pure. */
export function checkPublication(
  publication: Publication,
  tables: readonly PublishedTable[],
  wants: { readonly truncate: boolean },
): readonly string[] {
  const kinds = ['insert', 'update', 'delete', ...(wants.truncate ? (['truncate'] as const) : [])] as const;
  const problems = kinds.filter((kind) => !publication[kind]).map((kind) => `it does not publish ${kind}`);
  for (const published of tables) {
    const { table } = published;
    // Without publish_via_partition_root each partition is published as itself, with its own list and filter.
    if (table.kind === 'p' && !publication.viaRoot) {
      for (const leaf of table.leaves)
        problems.push(...publishedProblems(publication, leaf, { ...published, part: true }));
    } else problems.push(...publishedProblems(publication, table, { ...published, part: false }));
  }
  return problems;
}

function publishedProblems(
  publication: Publication,
  name: TableName,
  { table, exclude, part }: PublishedTable & { readonly part: boolean },
): readonly string[] {
  const shown = part ? `partition ${showTable(name)} of ${showTable(table)}` : showTable(name);
  const found = publication.tables.find((each) => sameTable(each, name));
  if (found === undefined) return [`${shown} is not in it`];
  const { columns, filter } = found;
  const missing = table.columns.filter(
    (column) =>
      column.generated === '' && !exclude.includes(column.name) && columns !== null && !columns.includes(column.name),
  );
  return [
    ...(missing.length > 0 ? [`of ${shown} it leaves out ${missing.map((column) => column.name).join(', ')}`] : []),
    // A whole table's is compared with the mapping's.
    ...(part && filter !== null ? [`of ${shown} it sends only the rows with ${filter}`] : []),
  ];
}
