// Values whose bytes mean something else to a server of another version.
import type { ColumnType } from './table.ts';

/** Of source and target, as server_version_num. */
export type Versions = readonly [source: number, target: number];

// interval, and its array.
const intervals: ReadonlySet<number> = new Set([1186, 1187]);

/**
 * Whether bytes of a type mean the same to both. Infinite intervals came with 17; an older server would read a finite value. What a
 * domain is one of is not asked.
 */
export function meansTheSame({ oid, kind }: Pick<ColumnType, 'oid' | 'kind'>, [source, target]: Versions): boolean {
  return source < 170_000 || target >= 170_000 || !(intervals.has(oid) || kind === 'd');
}
