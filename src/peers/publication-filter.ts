// What a row filter uses, and whether it may: read from the server's own parse of it, so that every version of the source gives one answer.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { rowPredicate } from '../mirror/selection.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import type { FilterWish } from './row-filter.ts';
import { runAlone } from './run-alone.ts';
import { shownName } from './schema/shown-name.ts';

/** A filter as the server has understood it. */
export interface ParsedFilter {
  /** Names of the columns that it uses. */
  readonly columns: readonly string[];
  /** Their numbers; 0 stands for the whole row, and those below it are the system's. */
  readonly attnums: readonly number[];
  /** Its parse tree without places in the text: two filters with one tree are the same. */
  readonly tree: string;
}

/**
 * Has the server parse a filter, in a view that nobody sees and that is taken back.
 * @returns null where that cannot be asked: on a standby, or without the right to temporary objects
 * @throws `upstream` if it is no condition over the table
 */
export async function parseFilter(db: Connection, table: TableName, where: string): Promise<ParsedFilter | null> {
  const back = new Error('taken back');
  let found: ParsedFilter | null = null;
  try {
    await db.transaction(async () => {
      const from = sql`${ident(table.schema, table.name)} as ${ident(table.name)}`;
      const view = sql`create temporary view ${ident(viewName)} as select 1 as one from ${from} where ${rowPredicate(where)}`;
      await runAlone(db, view);
      found = await readFilter(db, table);
      throw back;
    });
  } catch (error) {
    if (error === back) return found;
    // read_only_sql_transaction, insufficient_privilege
    if (['25006', '42501'].includes(toSluiceError(error).sqlstate)) return null;
    throw error;
  }
  return found;
}

const viewName = 'sluice_filter';

async function readFilter(db: Connection, { schema, name }: TableName): Promise<ParsedFilter> {
  const { rule } = await db.one<{ rule: string }>(sql`select r.ev_action::text as rule from pg_catalog.pg_rewrite r
    join pg_catalog.pg_class c on c.oid = r.ev_class
    where c.relname = ${viewName} and c.relnamespace = pg_catalog.pg_my_temp_schema()`);
  const tree = conditionOf(rule);
  const attnums = [...new Set(numbers(tree, /:varattno (-?\d+)/g))];
  const columns = await db.query<{ name: string }>(sql`select a.attname::text as name from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${name} and not a.attisdropped and a.attnum > 0
      and (a.attnum = any(${attnums}::int[]) or 0 = any(${attnums}::int[])) order by a.attnum`);
  return { columns: columns.map((column) => column.name), attnums, tree };
}

/** The part of a rule's tree that its condition is, without places in the text. Braces within names are escaped there. Pure. */
export function conditionOf(rule: string): string {
  const mark = ':quals ';
  const start = rule.indexOf(mark) + mark.length;
  let depth = 0;
  for (let at = start; at < rule.length; at++) {
    if (rule[at] === '\\') at++;
    else if (rule[at] === '{') depth++;
    else if (rule[at] === '}' && --depth === 0) return rule.slice(start, at + 1).replaceAll(/ :location -?\d+/g, '');
  }
  return '';
}

function numbers(tree: string, pattern: RegExp): readonly number[] {
  return [...tree.matchAll(pattern)].map((each) => Number(each[1]));
}

// What a publication takes, by the names that the nodes of a tree have; some are called otherwise since 16.
// https://www.postgresql.org/docs/18/logical-replication-row-filter.html#LOGICAL-REPLICATION-ROW-FILTER-RESTRICTIONS
const simpleNodes: ReadonlySet<string> = new Set(
  (
    'VAR CONST FUNCEXPR OPEXPR DISTINCTEXPR NULLIFEXPR SCALARARRAYOPEXPR ROWCOMPARE ROWCOMPAREEXPR BOOLEXPR RELABELTYPE ' +
    'COLLATE COLLATEEXPR CASE CASEEXPR WHEN CASEWHEN CASETESTEXPR ARRAY ARRAYEXPR ROW ROWEXPR COALESCE COALESCEEXPR ' +
    'MINMAX MINMAXEXPR XMLEXPR NULLTEST BOOLEANTEST'
  ).split(' '),
);
const firstOwnOid = 16_384;

/**
 * Refuses what a publication of PostgreSQL 15 would, where it is us who filter, and what the stream does not bring.
 * @param of `sent`: columns that the publication says it sends; null, left out: all but generated ones
 * @throws `invalid_option`, `not_ready` where it uses columns that do not identify a row, `forbidden`
 */
export async function checkOwnFilter(
  db: Connection,
  of: { readonly table: TableName; readonly where: string | null; readonly sent?: readonly string[] | null },
): Promise<void> {
  const { table, where, sent } = of;
  if (where === null) return;
  const parsed = await parseFilter(db, table, where);
  if (parsed === null) {
    throw new SluiceError('forbidden', `the filter of ${showTable(table)} cannot be looked at on the source`, {
      hint: 'GRANT TEMPORARY ON DATABASE … to our role; a standby cannot be asked.',
    });
  }
  const why = await unusable(db, parsed);
  if (why !== null) {
    throw new SluiceError('invalid_option', `the "where" of ${showTable(table)} cannot be followed: ${why}`, {
      hint: 'A filter uses columns of the table, and built-in functions that always answer the same.',
    });
  }
  const generated = (await generatedOf(db, table, parsed)).filter((name) => sent?.includes(name) !== true);
  if (generated.length > 0) {
    const why = `generated columns are not in the stream: ${generated.map((name) => shownName(name)).join(', ')}`;
    throw new SluiceError('invalid_option', `the "where" of ${showTable(table)} cannot be followed: ${why}`, {
      hint: 'Take them out of the filter, or write what they are computed from in their place.',
    });
  }
  const outside = await db.query<{ schema: string; name: string; columns: readonly string[] }>(sql`
    select n.nspname::text as schema, c.relname::text as name,
      pg_catalog.json_agg(coalesce(a.attname, '(the whole row)') order by used.attnum) as columns
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral pg_catalog.unnest(${parsed.attnums}::int[]) as used(attnum)
    left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = used.attnum and a.attnum > 0
    where n.nspname = ${table.schema} and c.relname = ${table.name} and c.relreplident <> 'f'
      and not exists (select from pg_catalog.pg_index x
        where x.indexrelid = pg_catalog.pg_get_replica_identity_index(c.oid)
          and used.attnum = any(x.indkey[0:x.indnkeyatts - 1]))
    group by 1, 2`);
  if (outside.length > 0) throw outsideIdentity(outside);
}

// Generated columns that a filter uses.
async function generatedOf(db: Connection, table: TableName, { columns }: ParsedFilter): Promise<readonly string[]> {
  const rows = await db.query<{ name: string }>(sql`select a.attname::text as name from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${table.schema} and c.relname = ${table.name} and a.attnum > 0 and a.attgenerated <> ''
      and a.attname::text = any(${[...columns]}::text[]) order by a.attnum`);
  return rows.map(({ name }) => name);
}

/** Fails if the filter is not one condition over the table as the copy reads it: each relation of it under the table's own name. @throws `upstream` */
export async function checkReadable(db: Connection, { schema, name }: TableName, where: string): Promise<void> {
  await runAlone(db, sql`explain select from ${ident(schema, name)} as ${ident(name)} where ${rowPredicate(where)}`);
}

async function unusable(db: Connection, { tree, attnums }: ParsedFilter): Promise<string | null> {
  if (attnums.some((attnum) => attnum < 0)) return 'system columns are not allowed';
  const odd = [...tree.matchAll(/\{([A-Z]+)/g)].find(([, node]) => !simpleNodes.has(node ?? ''));
  if (odd !== undefined) {
    return 'only columns, constants, and built-in operators, types, collations and functions are allowed';
  }
  const own = numbers(tree, /:(?:\w*(?:type|typeid|collid)|opno|opfuncid|funcid) (\d+)/gi).some(
    (oid) => oid >= firstOwnOid,
  );
  if (own) return 'types, operators, collations and functions of your own are not allowed';
  const functions = numbers(tree, /:(?:opfuncid|funcid) (\d+)/g);
  const [mutable] = await db.query<{ name: string }>(sql`select p.proname::text as name from pg_catalog.pg_proc p
    where p.oid = any(${functions}::oid[]) and p.provolatile <> 'i' order by 1 limit 1`);
  return mutable === undefined ? null : `function ${mutable.name} does not always answer the same`;
}

/**
 * Refuses filters of a publication that use columns outside of what identifies a row: the source would refuse updates.
 * Which columns they are, PostgreSQL knows once the publication is there: its expression names each as `:varattno n`.
 * @throws `not_ready`
 */
export async function checkFilters(db: Connection, publication: string): Promise<void> {
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
  if (rows.length > 0) throw outsideIdentity(rows);
}

function outsideIdentity(tables: readonly (TableName & { readonly columns: readonly string[] })[]): SluiceError {
  const list = tables.map((table) => `${showTable(table)} (${table.columns.join(', ')})`);
  return new SluiceError('not_ready', 'a filter uses columns that do not identify a row', {
    detail: `The source would refuse updates and deletes of: ${list.join('; ')}.`,
    hint: tables.map((table) => `ALTER TABLE ${ident(table.schema, table.name).text} REPLICA IDENTITY FULL;`).join(' '),
  });
}

/**
 * Whether a given publication filters a table as the mapping does.
 * @param filter the publication's
 * @returns what is wrong, in words; null: nothing
 */
export async function filterDifference(
  db: Connection,
  { from, where }: Pick<MirroredTable, 'from' | 'where'>,
  filter: string,
): Promise<string | null> {
  const text = `of ${showTable(from)} it sends the rows with ${filter}`;
  if (where === null) return text;
  const [theirs, ours] = [await parseFilter(db, from, filter), await parseFilter(db, from, where)];
  if (theirs === null || ours === null) {
    return filter.replaceAll(/[\s()]/g, '') === where.replaceAll(/[\s()]/g, '')
      ? null
      : `${text}, and that cannot be compared with the mapping's here`;
  }
  return theirs.tree === ours.tree ? null : `${text}, and the mapping asks for those with (${where.trim()})`;
}

/** The mirror's predicates that its publication does not decide, by showTable of the source's name. */
export async function ownFilters(source: Connection, work: MirrorWork): Promise<ReadonlyMap<string, FilterWish>> {
  const wishes = new Map<string, FilterWish>();
  const filtered = work.tables.filter((table) => table.where !== null);
  if (filtered.length === 0) return wishes;
  const published = await publishedFilters(source, work.publication.name);
  for (const { from, where } of filtered) {
    if (where === null || published.has(showTable(from))) continue;
    const parsed = await parseFilter(source, from, where);
    wishes.set(showTable(from), { where, columns: parsed === null ? null : parsed.columns });
  }
  return wishes;
}

// Tables, by showTable, whose rows the publication filters.
async function publishedFilters(db: Connection, publication: string): Promise<ReadonlySet<string>> {
  const { version } = db;
  if (version < 150_000) return new Set();
  const rows = await db.query<TableName>(sql`select schemaname::text as schema, tablename::text as name
    from pg_catalog.pg_publication_tables where pubname = ${publication} and rowfilter is not null`);
  return new Set(rows.map(showTable));
}
