// Changes of a table's columns by chance: which columns there are, one statement that changes them, a value for one.
import type { Random } from './random.ts';

export interface Column {
  readonly name: string;
  readonly type: string;
}

const literals: Readonly<Record<string, (n: number) => string>> = {
  integer: (n) => String(n),
  bigint: (n) => `${n}000000000`,
  text: (n) => `'${`v${n}`.repeat(n % 7 === 0 ? 2000 : 1)}'`,
  'double precision': (n) => `${n}.25`,
  'timestamp with time zone': (n) => `to_timestamp(${n})`,
  'integer[]': (n) => `'{${n},NULL}'`,
};
const types = Object.keys(literals);

/** Asks for the columns that may change: all but `id` and `r`, which find a row and its partition. */
export function columnsText(table: string): string {
  return `select quote_ident(attname) as name, format_type(atttypid, atttypmod) as type
      from pg_attribute where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped
        and attname not in ('id', 'r') order by attnum`;
}

/** A literal for the column; now and then null. */
export function literalFor(chance: Random, { type }: Column): string {
  return chance.chance(0.2) ? 'null' : (literals[type]?.(chance.int(1, 99)) ?? 'null');
}

/** One statement, or several, that change the table's columns. `name` is not in use yet. */
export function changeColumns(
  chance: Random,
  { table, columns, name }: { readonly table: string; readonly columns: readonly Column[]; readonly name: string },
): string {
  const type = chance.pick(types);
  const alter = `alter table ${table}`;
  const some = columns.length === 0 ? undefined : chance.pick(columns);
  const kind = chance.int(1, 10);
  if (some === undefined || (kind <= 4 && columns.length < 8)) {
    const byDefault = chance.pick([
      '',
      '',
      ` default ${literals[type]?.(5)}`,
      ` default ${literals[type]?.(6)} not null`,
    ]);
    if (chance.chance(0.2)) return `${alter} add ${name} double precision default random()`;
    if (chance.chance(0.1)) return `${alter} add ${name} timestamptz default now()`;
    return `${alter} add ${name} ${type}${byDefault}`;
  }
  if (kind <= 6) return `${alter} rename ${some.name} to ${name}`;
  if (kind === 7) return `${alter} drop ${some.name}`;
  if (kind === 8) return `${alter} drop ${some.name}; ${alter} add ${some.name} ${some.type}`;
  if (kind === 9) {
    const other = chance.pick(columns);
    if (other === some) return `${alter} alter ${some.name} drop not null`;
    return `${alter} rename ${some.name} to aside; ${alter} rename ${other.name} to ${some.name}; ${alter} rename aside to ${other.name}`;
  }
  // New values under the same type are told by nothing (docs/limits.md).
  if (type === some.type) return `${alter} alter ${some.name} drop not null`;
  return `${alter} alter ${some.name} drop default, alter ${some.name} drop not null, alter ${some.name} type ${type} using ${literals[type]?.(8)}`;
}
