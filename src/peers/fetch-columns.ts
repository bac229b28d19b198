// Values that a change of the source's schema gave to rows and that are not in its log: read by key, written where they differ.
import type { MirroredTable } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { relayCopy } from '../pg/copy.ts';
import { ident, join, onlyOf, type Sql, sql, trusted } from '../pg/sql.ts';
import type { Column, Table } from '../pg/table.ts';

/** A column under its names on both sides. */
export interface ColumnNames {
  readonly source: string;
  readonly target: string;
}

export interface Fetch {
  readonly mirrored: MirroredTable;
  /** As they are now. */
  readonly source: Table;
  readonly target: Table;
  readonly key: readonly ColumnNames[];
  readonly columns: readonly ColumnNames[];
}

export interface Fetched {
  /** Rows that the source has. */
  readonly read: number;
  /** Those of them that the target has, too. */
  readonly matched: number;
  readonly written: number;
}

const staging = sql`pg_temp.sluice_fetched`;

/**
 * Inside the target's open transaction. What the source has changed since then is in the stream: a row that was written to gets
 * its values once more, one that is gone goes, and one that is new is not there yet.
 * @throws `upstream`; both connections are of no more use then
 */
export async function fetchColumns(
  db: { readonly source: Connection; readonly target: Connection },
  fetch: Fetch,
  signal?: AbortSignal,
): Promise<Fetched> {
  const { target } = db;
  const all = [...fetch.key, ...fetch.columns];
  const places = all.map((_, i) => ident(`c${i}`));
  const types = all.map((names) => sql`${trusted(typeOf(fetch.target, names.target))}`);
  await target.run(
    sql`create temporary table sluice_fetched (${join(places.map((place, i) => sql`${place} ${types[i]}`))}) on commit drop`,
  );
  const columns = join(all.map((names) => ident(names.source)));
  const relay = {
    source: db.source,
    sourceSql: sql`copy (select ${columns} from ${rowsOfSource(fetch)}) to stdout`,
    target,
    targetSql: sql`copy ${staging} from stdin`,
  };
  const { rows: read } = await relayCopy(relay, signal);
  await target.run(sql`analyze ${staging}`);
  // A session that applies looks rows up one by one.
  await target.run(sql`select pg_catalog.set_config('enable_hashjoin', 'on', true)`);
  const on = sql`${onlyOf(fetch.target)}${ident(fetch.target.schema, fetch.target.name)}`;
  const same = join(
    fetch.key.map((names, i) => sql`t.${ident(names.target)} = s.${places[i]}`),
    ' and ',
  );
  const { matched } = await target.one<{ matched: string }>(
    sql`select pg_catalog.count(*)::text as matched from ${on} t join ${staging} s on ${same}`,
  );
  let written = 0;
  if (fetch.columns.length > 0) {
    const pairs = fetch.columns.map((names, i) => ({
      mine: ident(names.target),
      theirs: places[fetch.key.length + i] ?? sql``,
    }));
    // Not every type has an operator that compares.
    const differs = join(
      pairs.map(({ mine, theirs }) => sql`t.${mine}::text is distinct from s.${theirs}::text`),
      ' or ',
    );
    const sets = join(pairs.map(({ mine, theirs }) => sql`${mine} = s.${theirs}`));
    const result = await target.run(sql`update ${on} t set ${sets} from ${staging} s where ${same} and (${differs})`);
    written = result.rowCount;
  }
  await target.run(sql`select pg_catalog.set_config('enable_hashjoin', 'off', true)`);
  await target.run(sql`drop table ${staging}`);
  return { read, matched: Number(matched), written };
}

// Under the mapped table's own name, so that a predicate may call columns by it. The newline ends a comment that it may end with.
function rowsOfSource({ mirrored, source }: Fetch): Sql {
  const rows = sql`${onlyOf(source)}${ident(source.schema, source.name)} as ${ident(mirrored.from.name)}`;
  return mirrored.where === null ? rows : sql`${rows} where (${trusted(`${mirrored.where}\n`)})`;
}

function typeOf(table: Table, name: string): string {
  const column: Column | undefined = table.columns.find((each) => each.name === name);
  return column?.type.text ?? 'text';
}
