// Publications on the source: made whole in one transaction, refused where they would make the source refuse its own updates.
import type { QueryConfig } from 'pg';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join as joinSql, literal, names as nameList, type Sql, sql, trusted } from '../pg/sql.ts';
import { sameTable, showTable, type Table, type TableName } from '../pg/table.ts';

/** A table as a mirror wants it published. */
export interface PublishedTable {
  readonly table: Pick<Table, 'schema' | 'name' | 'kind' | 'columns' | 'replicaIdentity' | 'identityColumns'>;
  /** Columns that stay on the source. */
  readonly exclude: readonly string[];
  /** Rows that are mirrored; needs PostgreSQL 15. */
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
 * @throws `forbidden`, `unsupported` (row filter before 15), `not_ready` (filter outside the identity), `upstream`
 */
export async function createPublication(
  db: Connection,
  name: string,
  tables: readonly PublishedTable[],
): Promise<void> {
  const version = await serverVersion(db);
  await db.transaction(() => writePublication(db, { name, tables, version }));
}

/** Does all that createPublication does and takes it back, to see whether it would go well. @throws as createPublication */
export async function rehearsePublication(
  db: Connection,
  name: string,
  tables: readonly PublishedTable[],
): Promise<void> {
  const version = await serverVersion(db);
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

async function serverVersion(db: Connection): Promise<number> {
  const row = await db.one<{ version: number }>(
    sql`select pg_catalog.current_setting('server_version_num')::int as version`,
  );
  return row.version;
}

interface Plan {
  readonly name: string;
  readonly tables: readonly PublishedTable[];
  readonly version: number;
}

async function writePublication(db: Connection, plan: Plan): Promise<void> {
  const { name, tables, version } = plan;
  const filtered = tables.find((each) => each.where !== null);
  if (filtered !== undefined && version < 150_000) {
    throw new SluiceError(
      'unsupported',
      `${showTable(filtered.table)}: a mirror that follows changes cannot filter rows`,
      {
        detail: 'PostgreSQL filters the rows of a publication from version 15 on.',
        hint: 'Leave "where" out, or set initial_copy_only = true.',
      },
    );
  }
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
  if (filtered !== undefined) await checkFilters(db, name);
}

/** The statements of a publication; `create` for a person as well, where it cannot be made from here. Pure. */
export function publicationText({ name, tables, version }: Plan): {
  readonly list: Sql;
  readonly options: Sql;
  readonly create: Sql;
} {
  const list = joinSql(tables.map((each) => publishedTable(each, version)));
  const generated = version >= 180_000 && needsGenerated(tables);
  const options = sql`publish_via_partition_root = true${generated ? sql`, publish_generated_columns = stored` : sql``}`;
  const what = tables.length === 0 ? sql`` : sql` for table ${list}`;
  return { list, options, create: sql`create publication ${ident(name)}${what} with (${options})` };
}

/**
 * Runs a statement that holds text of a person (a predicate): the extended protocol takes one statement, so that the text
 * cannot bring a second one along. @throws `upstream`
 */
export async function runAlone(db: Connection, { text }: Sql): Promise<void> {
  const query: ExtendedQuery = { text, values: [], queryMode: 'extended' };
  try {
    await db.client.query(query);
  } catch (error) {
    throw toSluiceError(error);
  }
}

// pg knows queryMode; its published types do not.
type ExtendedQuery = QueryConfig<never[]> & { readonly queryMode: 'extended' };

function publishedTable({ table, exclude, where }: PublishedTable, version: number): Sql {
  const columns = version >= 150_000 ? columnList(table, exclude) : null;
  // The newline ends a comment that the predicate may end with.
  return joinSql(
    [
      sql`only ${ident(table.schema, table.name)}`,
      ...(columns === null ? [] : [sql`(${nameList(columns)})`]),
      ...(where === null ? [] : [sql`where (${trusted(`${where}\n`)})`]),
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

// From 18 on the source refuses updates of a table with REPLICA IDENTITY FULL whose generated columns are not published.
function needsGenerated(tables: readonly PublishedTable[]): boolean {
  return tables.some(
    ({ table }) => table.replicaIdentity === 'f' && table.columns.some((column) => column.generated === 's'),
  );
}

// Which columns a filter uses, PostgreSQL knows once the publication is there: its expression names each as `:varattno n`.
// One outside the identity has the source refuse updates: https://www.postgresql.org/docs/18/logical-replication-row-filter.html
async function checkFilters(db: Connection, publication: string): Promise<void> {
  const rows = await db.query<{ schema: string; name: string; columns: readonly string[] }>(sql`
    select n.nspname::text as schema, c.relname::text as name,
      pg_catalog.json_agg(distinct coalesce(a.attname, '(the whole row)')) as columns
    from pg_catalog.pg_publication p join pg_catalog.pg_publication_rel r on r.prpubid = p.oid
    join pg_catalog.pg_class c on c.oid = r.prrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral pg_catalog.regexp_matches(r.prqual::text, ':varattno (\\d+)', 'g') as used(attnum)
    left join pg_catalog.pg_attribute a on a.attrelid = r.prrelid and a.attnum = used.attnum[1]::int and a.attnum > 0
    where p.pubname = ${publication} and c.relreplident <> 'f'
      and not exists (select from pg_catalog.pg_index x
        where x.indexrelid = pg_catalog.pg_get_replica_identity_index(r.prrelid)
          and used.attnum[1]::int = any(x.indkey[0:x.indnkeyatts - 1]))
    group by 1, 2 order by 1, 2`);
  if (rows.length === 0) return;
  const list = rows.map((row) => `${showTable(row)} (${row.columns.join(', ')})`);
  throw new SluiceError('not_ready', 'a filter uses columns that do not identify a row', {
    detail: `The source would refuse updates and deletes of: ${list.join('; ')}.`,
    hint: rows.map((row) => `ALTER TABLE ${ident(row.schema, row.name).text} REPLICA IDENTITY FULL;`).join(' '),
  });
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
    (await serverVersion(db)) < 150_000
      ? sql`null::json as columns, null::text as filter`
      : sql`pg_catalog.to_json(attnames) as columns, rowfilter as filter`;
  const tables = await db.query<TableOfPublication>(
    sql`select schemaname::text as schema, tablename::text as name, ${more} from pg_catalog.pg_publication_tables
        where pubname = ${name} order by 1, 2`,
  );
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
  for (const { table, exclude, where } of tables) {
    if (table.kind === 'p' && !publication.viaRoot) {
      problems.push(`${showTable(table)} is partitioned and publish_via_partition_root is off`);
      continue;
    }
    const found = publication.tables.find((each) => sameTable(each, table));
    if (found === undefined) {
      problems.push(`${showTable(table)} is not in it`);
      continue;
    }
    const published = found.columns;
    const missing = table.columns.filter(
      ({ name, generated }) =>
        generated === '' && !exclude.includes(name) && published !== null && !published.includes(name),
    );
    if (missing.length > 0) {
      problems.push(`of ${showTable(table)} it leaves out ${missing.map(({ name }) => name).join(', ')}`);
    }
    if (where === null && found.filter !== null)
      problems.push(`it filters the rows of ${showTable(table)}: ${found.filter}`);
    if (where !== null && found.filter === null) problems.push(`it does not filter the rows of ${showTable(table)}`);
  }
  return problems;
}
