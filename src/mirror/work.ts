// What a step needs to know about its mirror: plain data, complete, the same after a restart.
import type { TableName } from '../pg/table.ts';
import type { MirrorOptions } from './options.ts';
import type { PeerConfig } from './peer.ts';

/** One table of a mirror: where it comes from, where it goes, what is left out. */
export interface MirroredTable {
  readonly from: TableName;
  readonly to: TableName;
  /** Column to cut the table into parts by, in place of ctid. */
  readonly key: string | null;
  /** Columns left out. */
  readonly exclude: readonly string[];
  /** Rows that belong to the mirror: an SQL predicate over the source table. */
  readonly where: string | null;
  /** Where a schema mapping sends other schemas, for partitions that are not in their root's. */
  readonly schemas?: readonly SchemaPair[];
}

export interface SchemaPair {
  readonly from: string;
  readonly to: string;
}

/**
 * What of the source beyond its tables goes along: `tables` what the mirrored tables need and what is bound to them, `schemas`
 * also everything in these schemas, `all` everything that the database has.
 */
export type ObjectScope =
  | { readonly kind: 'tables' }
  | { readonly kind: 'schemas'; readonly pairs: readonly SchemaPair[] }
  | { readonly kind: 'all' };

/** A slot or publication: `made` by us (then it is ours to drop) or given. */
export interface SourceObject {
  readonly name: string;
  readonly made: boolean;
}

export interface MirrorWork {
  /** UUID; the key of everything that we keep on the target. */
  readonly id: string;
  readonly name: string;
  /** Fencing token: grows with every owner; compared in every target transaction. */
  readonly token: bigint;
  readonly source: PeerConfig;
  readonly target: PeerConfig;
  readonly options: MirrorOptions;
  readonly tables: readonly MirroredTable[];
  readonly scope: ObjectScope;
  readonly publication: SourceObject;
  /** Null for a copy-only mirror. */
  readonly slot: SourceObject | null;
}

/** The tables, each with what the mirror's scope says of other schemas. */
export function withSchemas(tables: readonly MirroredTable[], scope: ObjectScope): readonly MirroredTable[] {
  if (scope.kind !== 'schemas') return tables;
  return tables.map((table) => ({ ...table, schemas: scope.pairs }));
}

/** What pg_stat_activity shows of our connections (63 bytes at most): purpose, mirror, and id/token so that a new owner finds the old one's. */
export function applicationName(purpose: string, work: Pick<MirrorWork, 'id' | 'name' | 'token'>): string {
  const suffix = ownerSuffix(work.id, work.token);
  const room = 63 - Buffer.byteLength(`sluice ${purpose}  ${suffix}`);
  return `sluice ${purpose} ${cutBytes(work.name, room)} ${suffix}`;
}

/** The end of applicationName that tells owners of one mirror apart. */
export function ownerSuffix(id: string, token: bigint): string {
  return `${id.slice(0, 8)}/${token}`;
}

// pg_stat_activity shows non-ASCII bytes of an application name as question marks, so we put one in their place.
function cutBytes(text: string, bytes: number): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, Math.max(0, bytes));
}
