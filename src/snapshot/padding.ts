// Which columns are mostly the blanks that fill them up to character(n): their values travel without.
import { SluiceError } from '../base/errors.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, literal, names, sql } from '../pg/sql.ts';
import type { Leaf, Table } from '../pg/table.ts';
import type { CopiedColumns } from './columns.ts';

/** Tables of fewer pages are copied before it is known. */
const fewestPages = 1000;
/** Out of the middle of a table; some hundred rows. */
const pagesRead = 16;
/**
 * Blanks a value. Those who read and take one away spend a fourth of what those do who count it: the target's input function
 * looks at each character of a value (pgbench's 84 blanks were a quarter of its time). To look at all costs as much as 15 blanks.
 */
const fewestBlanks = 24;
/** Trailing bytes are taken from a bytea since 14, and only there in a time worth it: as text, each character is looked at. */
const firstVersion = 140_000;

/** No such table, no such column, not allowed. */
const toldByTheCopy: ReadonlySet<string> = new Set(['42P01', '42703', '42501']);

/**
 * The columns of which a large table's values may travel without blanks: `character(n)`, which the target fills up to the same n
 * (see `copiedColumns`), whatever the bytes of a character, where the bytes travel as they are. Not `bpchar` without a length:
 * nothing would fill it up again. https://www.postgresql.org/docs/18/datatype-character.html
 */
export function maybePadded(
  source: { readonly table: Table; readonly version: number },
  columns: CopiedColumns,
): readonly string[] {
  if (columns.format !== 'binary' || source.version < firstVersion) return [];
  if (largest(source.table) === undefined) return [];
  return source.table.columns.flatMap(({ name, type: { text, builtin } }) => {
    const length = /^character\((\d+)\)$/.exec(text)?.[1];
    const isLong = builtin && length !== undefined && Number(length) >= fewestBlanks;
    return isLong && columns.names.includes(name) ? [name] : [];
  });
}

/**
 * Those of them that have enough blanks for it, by some pages out of the middle of the largest leaf. Where they cannot be read,
 * none: the copy itself meets what is in the way.
 * @throws `upstream`, `connection_lost`
 */
export async function mostlyPadded(
  source: Connection,
  table: Table,
  columns: readonly string[],
): Promise<readonly string[]> {
  const leaf = largest(table);
  if (leaf === undefined || columns.length === 0) return [];
  const first = Math.floor(leaf.pages / 2);
  const enough = columns.map((name) => {
    const blanks = sql`pg_catalog.octet_length(${ident(name)}) - pg_catalog.octet_length(${ident(name)}::pg_catalog.text)`;
    return sql`coalesce(pg_catalog.avg(${blanks}) >= ${literal(fewestBlanks)}, false) as ${ident(name)}`;
  });
  try {
    const padded = await source.one<Readonly<Record<string, boolean>>>(sql`
      select ${join(enough)} from (select ${names(columns)} from only ${ident(leaf.schema, leaf.name)}
        where ctid >= ${literal(`(${first},0)`)}::tid and ctid < ${literal(`(${first + pagesRead},0)`)}::tid) as middle`);
    return columns.filter((name) => padded[name]);
  } catch (error) {
    if (error instanceof SluiceError && toldByTheCopy.has(error.sqlstate)) return [];
    throw error;
  }
}

function largest(table: Table): Leaf | undefined {
  const large = table.leaves.filter(({ byPages, pages }) => byPages && pages >= fewestPages);
  return large.toSorted((a, b) => b.pages - a.pages)[0];
}
