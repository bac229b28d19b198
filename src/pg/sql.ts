// SQL text built only by a tag: values become $n, names are quoted, so that no text from outside is ever read as SQL.

/** A name part, quoted always. Hostile input is welcome: only NUL cannot be in a name. */
export interface Sql {
  readonly text: string;
  readonly values: readonly unknown[];
}

class Fragment {
  readonly chunks: readonly string[];
  readonly values: readonly unknown[];
  constructor(chunks: readonly string[], values: readonly unknown[]) {
    this.chunks = chunks;
    this.values = values;
  }
  get text(): string {
    return this.chunks.reduce((text, chunk, i) => (i === 0 ? chunk : `${text}$${i}${chunk}`), '');
  }
}

/**
 * Tag: `` sql`select ${value} from ${ident('s', 't')}` ``. Fragments (ident, literal, join, another sql) are spliced in, all
 * else becomes a parameter.
 */
export function sql(strings: TemplateStringsArray, ...inserts: readonly unknown[]): Sql {
  return build([...strings], inserts);
}

// Each chunk is joined at its end: what `+=` makes is a chain of pieces, and of ten thousand tables many statements are held.
function build(strings: readonly string[], inserts: readonly unknown[]): Fragment {
  const chunks: string[] = [];
  const values: unknown[] = [];
  let pieces = [strings[0] ?? ''];
  const parameter = (value: unknown, then: string) => {
    values.push(value);
    chunks.push(pieces.join(''));
    pieces = [then];
  };
  for (const [i, insert] of inserts.entries()) {
    if (insert instanceof Fragment) {
      pieces.push(insert.chunks[0] ?? '');
      for (const [j, value] of insert.values.entries()) parameter(value, insert.chunks[j + 1] ?? '');
    } else parameter(insert, '');
    pieces.push(strings[i + 1] ?? '');
  }
  const last = pieces.join('');
  return values.length === 0 ? plain(last) : new Fragment([...chunks, last], values);
}

function plain(text: string): Fragment {
  return new Fragment([text], nothing);
}

const nothing: readonly unknown[] = [];

/** A quoted name of one or more parts: `ident('public', 'orders')` is `"public"."orders"`. */
export function ident(...parts: readonly string[]): Sql {
  return trusted(quoteName(...parts));
}

/** The text of a quoted name. */
export function quoteName(...parts: readonly string[]): string {
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/** A string literal, for statements that take no parameters (DDL, replication commands, multi-statement texts). */
export function literal(value: string | number | bigint | boolean | null): Sql {
  return trusted(quoteLiteral(value));
}

/** The text of a literal; right under either setting of standard_conforming_strings. */
export function quoteLiteral(value: string | number | bigint | boolean | null): string {
  if (value === null) return 'null';
  if (typeof value !== 'string') return String(value);
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return quoted.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** Text that a PostgreSQL server itself produced to be used as SQL (format_type, pg_get_expr, pg_get_*def) or a constant of ours. */
export function trusted(text: string): Sql {
  return plain(text);
}

/** Fragments one after another with a separator between (default `, `). */
export function join(fragments: readonly Sql[], separator = ', '): Sql {
  const strings = fragments.map((_, i) => (i === 0 ? '' : separator));
  return build([...strings, ''], fragments);
}

/** A list of quoted names, separated by commas. */
export function names(list: readonly string[]): Sql {
  return join(list.map((name) => ident(name)));
}

/** What keeps rows of tables that inherit from a table out of a statement; a partitioned one has only those. */
export function onlyOf({ kind }: { readonly kind: string }): Sql {
  return kind === 'p' ? sql`` : sql`only `;
}
