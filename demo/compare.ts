// Compares a table on two servers row by row: order does not matter, every value counts as its exact text.
import { to as copyTo } from 'pg-copy-streams';
import { mirroredColumns, mirroredRows, type Selection } from '../src/mirror/selection.ts';
import type { Connection } from '../src/pg/client.ts';
import { ident, join, type Sql, sql } from '../src/pg/sql.ts';
import { showTable, type TableName } from '../src/pg/table.ts';

export interface TablePair {
  readonly from: TableName;
  readonly to: TableName;
  /** Columns that the mirror leaves out. */
  readonly exclude?: readonly string[];
  /** Rows that the mirror takes; those that others hold on the target are surplus. */
  readonly where?: string | null;
}

export interface Comparison {
  readonly table: string;
  readonly sourceRows: number;
  readonly targetRows: number;
  /** Rows of the source that the target lacks, and rows that only the target has; a changed row is one of each. */
  readonly missing: number;
  readonly surplus: number;
  /** The first few of them, as text. */
  readonly examples: readonly string[];
}

const mostExamples = 6;

/** Reads both tables once, in the order of their rows' digests, in bounded memory. Both sides must be at rest. */
export async function compareTable(source: Connection, target: Connection, pair: TablePair): Promise<Comparison> {
  const { from, to, exclude = [], where = null } = pair;
  const names = mirroredColumns({ exclude }, await columnNames(source, from)).map((column) => column.name);
  const left = rowsByDigest(source, { from, exclude, where }, names);
  const right = rowsByDigest(target, { from: to, exclude: [], where: null }, names);
  const count = { sourceRows: 0, targetRows: 0, missing: 0, surplus: 0 };
  const examples: string[] = [];
  const example = (what: string, row: string) => {
    if (examples.length < mostExamples) examples.push(`${what}: ${row.slice(33, 400)}`);
  };
  let [a, b] = await Promise.all([left.next(), right.next()]);
  while (!a.done || !b.done) {
    const order = a.done ? 1 : b.done ? -1 : compareDigests(a.value, b.value);
    if (order < 0 && !a.done) {
      count.missing++;
      example('only on the source', a.value);
    }
    if (order > 0 && !b.done) {
      count.surplus++;
      example('only on the target', b.value);
    }
    if (order <= 0) {
      count.sourceRows++;
      a = await left.next();
    }
    if (order >= 0) {
      count.targetRows++;
      b = await right.next();
    }
  }
  return { table: showTable(pair.from), ...count, examples };
}

/** Compares tables one after another. */
export async function compareTables(
  source: Connection,
  target: Connection,
  pairs: readonly TablePair[],
): Promise<readonly Comparison[]> {
  const results: Comparison[] = [];
  for (const pair of pairs) results.push(await compareTable(source, target, pair));
  return results;
}

/** Whether nothing is missing and nothing is too much. */
export function isEqual(comparison: Comparison): boolean {
  return comparison.missing === 0 && comparison.surplus === 0;
}

/** Columns that hold data, in their order. */
async function columnNames(db: Connection, table: TableName): Promise<readonly { readonly name: string }[]> {
  return await db.query<{ name: string }>(sql`select a.attname::text as name
    from pg_catalog.pg_attribute a where a.attrelid = ${ident(table.schema, table.name).text}::regclass
      and a.attnum > 0 and not a.attisdropped order by a.attnum`);
}

function compareDigests(a: string, b: string): number {
  const [x, y] = [a.slice(0, 32), b.slice(0, 32)];
  return x < y ? -1 : x > y ? 1 : 0;
}

// Lines of `digest TAB row`, sorted by digest: the two streams can be merged, whatever order the tables have.
async function* rowsByDigest(
  db: Connection,
  selection: Selection,
  columns: readonly string[],
): AsyncGenerator<string, void> {
  const row: Sql = sql`row(${join(columns.map((name) => ident(selection.from.name, name)))})::text`;
  const query = sql`copy (select pg_catalog.md5(r.line), r.line
    from (select ${row} as line from ${mirroredRows(selection, { from: selection.from, only: false })}) r
    order by pg_catalog.md5(r.line) collate "C") to stdout`;
  await db.run(sql`set work_mem = '64MB'`);
  const stream = db.client.query(copyTo(query.text));
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}
