// What can be set of a table, its columns and their sequences without any row of it being another: followed where the source sets it anew. Pure.
import { ident, type Sql, sql, trusted } from '../pg/sql.ts';
import { type Column, showTable, type Table } from '../pg/table.ts';
import { storageOptions } from './ddl.ts';
import { alterSequence } from './ddl-types.ts';
import type { Place } from './objects-input.ts';
import type { Sequence } from './sequences.ts';

export interface FoundSettings {
  /** Tells whether the source's are still the same. */
  readonly definition: string;
  /** What makes the target's the same; none: they are. */
  readonly statements: readonly Sql[];
}

/** Words of replica identities; that by an index has none. */
export const identities: Partial<Record<Table['replicaIdentity'], string>> = { d: 'default', f: 'full', n: 'nothing' };
/** Words of attstorage. */
export const storages = { p: 'plain', e: 'external', m: 'main', x: 'extended', '': 'default' } as const;
const compressions = { p: 'pglz', l: 'lz4', '': 'default' } as const;
// `set storage default`.
const storageDefaultSince = 160_000;

/**
 * Storage parameters, replica identity (but by an index), and of columns storage, compression, statistics targets and options.
 * @param version of the target
 */
export function settingsOf({ source, to, there, exclude }: Place, version: number): FoundSettings {
  const alter = sql`alter table ${ident(to.schema, to.name)}`;
  const columns = source.columns.filter(({ name }) => !exclude.has(name));
  const set = columns
    .map((each) => [each.attnum, each.storage, each.compression, each.statisticsTarget, each.options] as const)
    .filter(
      ([, storage, compression, target, options]) =>
        `${storage}${compression}` !== '' || target >= 0 || options.length > 0,
    );
  const identity = identities[source.replicaIdentity];
  const isOther = identity !== undefined && source.replicaIdentity !== there.replicaIdentity;
  return {
    definition: JSON.stringify([source.options, identity ?? 'index', set]),
    statements: [
      ...setOptions(alter, source.options, there.options),
      ...(isOther ? [sql`${alter} replica identity ${trusted(identity)}`] : []),
      ...columns.flatMap((column) => {
        const same = there.columns.find(({ name }) => name === column.name);
        return same === undefined
          ? []
          : ofColumn(sql`${alter} alter column ${ident(column.name)}`, { column, same, version });
      }),
    ],
  };
}

function ofColumn(
  alter: Sql,
  { column, same, version }: { readonly column: Column; readonly same: Column; readonly version: number },
): readonly Sql[] {
  const { storage, compression, statisticsTarget: target, options } = column;
  const mayStore = storage !== same.storage && (storage !== '' || version >= storageDefaultSince);
  return [
    ...(mayStore ? [sql`${alter} set storage ${trusted(storages[storage])}`] : []),
    ...(compression === same.compression ? [] : [sql`${alter} set compression ${trusted(compressions[compression])}`]),
    ...(target === same.statisticsTarget ? [] : [sql`${alter} set statistics ${trusted(String(target))}`]),
    ...setOptions(alter, options, same.options),
  ];
}

function setOptions(alter: Sql, wanted: readonly string[], there: readonly string[]): readonly Sql[] {
  const nameOf = (option: string) => option.slice(0, option.indexOf('='));
  const names = new Set(wanted.map(nameOf));
  const more = wanted.filter((option) => !there.includes(option));
  const gone = there.map(nameOf).filter((name) => !names.has(name));
  return [
    ...(more.length === 0 ? [] : [sql`${alter} set (${storageOptions(more)})`]),
    ...gone.map((name) => sql`${alter} reset (${ident(...name.split('.'))})`),
  ];
}

export interface FoundSequence extends FoundSettings {
  readonly sequence: Sequence;
  readonly place: Place;
}

/** Sequences that columns own. @param places by OID of the source's table */
export function sequencesOf(
  { source, target }: { readonly source: readonly Sequence[]; readonly target: readonly Sequence[] },
  places: Iterable<Place>,
): readonly FoundSequence[] {
  const bySource = new Map([...places].map((place) => [showTable(place.source), place]));
  const standing = new Map(
    target.flatMap((each) =>
      each.uses.map((use) => [JSON.stringify([showTable(use.table), use.column]), each] as const),
    ),
  );
  return source.flatMap((sequence): FoundSequence[] => {
    const use = sequence.uses.find(({ how }) => how !== 'default');
    const place = use === undefined ? undefined : bySource.get(showTable(use.table));
    if (use === undefined || place === undefined || place.exclude.has(use.column)) return [];
    const there = standing.get(JSON.stringify([showTable(place.to), use.column]));
    if (there === undefined) return [];
    const [now, then] = [said(sequence), said(there)];
    const statements = now === then ? [] : [alterSequence(sequence, there)];
    return [{ sequence, place, definition: now, statements }];
  });
}

function said({ type, start, increment, min, max, cache, cycle }: Sequence): string {
  return JSON.stringify([type, start, increment, min, max, cache, cycle]);
}
