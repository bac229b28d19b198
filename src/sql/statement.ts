// Everything that can be said in our language, as one tagged union; the grammar makes it, commands read it.
import type { WrittenOption } from '../base/options.ts';
import type { TableName } from '../pg/table.ts';

// Positions are characters (code points) from 1 in the whole text that the client sent. They are optional everywhere, so
// that a statement may also be built by hand; `withoutPositions` takes them out for comparisons.

/** The kinds of peers that the grammar knows. Only POSTGRES is served; the rest parses so that it can be refused by name. */
export const peerTypes = [
  'POSTGRES',
  'BIGQUERY',
  'CLICKHOUSE',
  'ELASTICSEARCH',
  'EVENTHUBS',
  'KAFKA',
  'MONGO',
  'MYSQL',
  'PUBSUB',
  'S3',
  'SNOWFLAKE',
  'SQLSERVER',
] as const;
export type PeerType = (typeof peerTypes)[number];

/** One table and where it goes. */
export interface TableMapping {
  readonly from: TableName;
  readonly to: TableName;
  /** The column by which the copy is cut into parts. */
  readonly key?: string | undefined;
  readonly exclude: readonly string[];
  /** A predicate, as written. */
  readonly where?: string | undefined;
  /** Where the predicate's first character stands, if it stands there as it is (not behind escapes). */
  readonly wherePosition?: number | undefined;
  readonly position?: number | undefined;
}

export interface SchemaPair {
  readonly from: string;
  readonly to: string;
  readonly position?: number | undefined;
}

/** What a mirror mirrors. */
export type MirrorScope =
  | { readonly kind: 'tables'; readonly mappings: readonly TableMapping[] }
  | { readonly kind: 'schemas'; readonly pairs: readonly SchemaPair[] }
  | { readonly kind: 'all' }
  | { readonly kind: 'query'; readonly query: string; readonly queryPosition?: number | undefined };

export type MirrorChange =
  | { readonly kind: 'add_tables'; readonly mappings: readonly TableMapping[] }
  | { readonly kind: 'drop_tables'; readonly tables: readonly TableName[] }
  | { readonly kind: 'set'; readonly options: readonly WrittenOption[] }
  /** Ends the wait of a mirror in trouble: try again now. */
  | { readonly kind: 'retry' };

export type UserAccess = 'read_only' | 'read_write';

interface Named<K extends string> {
  readonly kind: K;
  readonly name: string;
}
interface NamedIfExists<K extends string> extends Named<K> {
  readonly ifExists: boolean;
}

export interface CreatePeer extends Named<'create_peer'> {
  readonly ifNotExists: boolean;
  readonly type: PeerType;
  readonly typePosition?: number | undefined;
  readonly options: readonly WrittenOption[];
}
export interface AlterPeer extends Named<'alter_peer'> {
  readonly options: readonly WrittenOption[];
}
export interface CreateMirror extends Named<'create_mirror'> {
  readonly ifNotExists: boolean;
  readonly source: string;
  readonly target: string;
  readonly scope: MirrorScope;
  readonly options: readonly WrittenOption[];
}
export interface ResyncMirror extends NamedIfExists<'resync_mirror'> {
  /** Empty: all. */
  readonly tables: readonly TableName[];
  readonly options: readonly WrittenOption[];
}
export interface DropMirror extends NamedIfExists<'drop_mirror'> {
  readonly keepSlot: boolean;
}
export interface AlterMirror extends Named<'alter_mirror'> {
  readonly change: MirrorChange;
}
export interface VerifyMirror extends Named<'verify_mirror'> {
  /** Empty: all. */
  readonly tables: readonly TableName[];
}
export interface RepairMirror extends Named<'repair_mirror'> {
  /** Empty: all. */
  readonly tables: readonly TableName[];
}
export interface CutoverMirror extends Named<'cutover_mirror'> {
  readonly dryRun: boolean;
  readonly options: readonly WrittenOption[];
}
export interface Explain {
  readonly kind: 'explain';
  readonly statement: CreateMirror;
}
export interface ExecutePeer {
  readonly kind: 'execute_peer';
  readonly peer: string;
  /** In the peer's own dialect, untouched. */
  readonly query: string;
  /** Where its first character stands, if it stands there as it is; shift the peer's error positions by it. */
  readonly queryPosition?: number | undefined;
}
export interface CreateUser extends Named<'create_user'> {
  readonly password: string;
  readonly access: UserAccess;
}
/** At least one of the two is given. */
export interface AlterUser extends Named<'alter_user'> {
  readonly password?: string | undefined;
  readonly access?: UserAccess | undefined;
}

export type Statement =
  | CreatePeer
  | AlterPeer
  | NamedIfExists<'drop_peer'>
  | Named<'validate_peer'>
  | CreateMirror
  | NamedIfExists<'pause_mirror'>
  | NamedIfExists<'resume_mirror'>
  | ResyncMirror
  | DropMirror
  | Named<'execute_mirror'>
  | AlterMirror
  | VerifyMirror
  | RepairMirror
  | CutoverMirror
  | Named<'reverse_mirror'>
  | Named<'complete_mirror'>
  | { readonly kind: 'show_peers' }
  | Named<'show_peer'>
  | { readonly kind: 'show_mirrors' }
  | Named<'show_mirror'>
  | { readonly kind: 'show_users' }
  | Explain
  | ExecutePeer
  | CreateUser
  | AlterUser
  | NamedIfExists<'drop_user'>;

export type StatementKind = Statement['kind'];

/** Every kind with its command tag: the statement's own words; SHOW and EXPLAIN as PostgreSQL tags them. */
export const commandTags = {
  create_peer: 'CREATE PEER',
  alter_peer: 'ALTER PEER',
  drop_peer: 'DROP PEER',
  validate_peer: 'VALIDATE PEER',
  create_mirror: 'CREATE MIRROR',
  pause_mirror: 'PAUSE MIRROR',
  resume_mirror: 'RESUME MIRROR',
  resync_mirror: 'RESYNC MIRROR',
  drop_mirror: 'DROP MIRROR',
  execute_mirror: 'EXECUTE MIRROR',
  alter_mirror: 'ALTER MIRROR',
  verify_mirror: 'VERIFY MIRROR',
  repair_mirror: 'REPAIR MIRROR',
  cutover_mirror: 'CUTOVER MIRROR',
  reverse_mirror: 'REVERSE MIRROR',
  complete_mirror: 'COMPLETE MIRROR',
  show_peers: 'SHOW',
  show_peer: 'SHOW',
  show_mirrors: 'SHOW',
  show_mirror: 'SHOW',
  show_users: 'SHOW',
  explain: 'EXPLAIN',
  /** The peer's own tags are passed on; this one is for a peer that answers none. */
  execute_peer: 'EXECUTE',
  create_user: 'CREATE USER',
  alter_user: 'ALTER USER',
  drop_user: 'DROP USER',
} as const satisfies Record<StatementKind, string>;

/** The command tag of CommandComplete: https://www.postgresql.org/docs/18/protocol-message-formats.html */
export function commandTag(statement: Statement): string {
  return commandTags[statement.kind];
}

/** Statements that change nothing, and may therefore run early to learn their columns, inside a transaction, and for who may only look. */
export function changesNothing(statement: Statement): boolean {
  switch (statement.kind) {
    case 'show_peers':
    case 'show_peer':
    case 'show_mirrors':
    case 'show_mirror':
    case 'show_users':
    case 'explain':
    case 'validate_peer':
      return true;
    case 'cutover_mirror':
      return statement.dryRun;
    default:
      return false;
  }
}

const positions: ReadonlySet<string> = new Set([
  'position',
  'namePosition',
  'valuePosition',
  'typePosition',
  'queryPosition',
  'wherePosition',
]);

/** The same statement without the places where its parts stood, to compare two of them. */
export function withoutPositions(statement: Statement): Statement {
  return strip(statement) as Statement;
}

function strip(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strip);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key, part]) => !positions.has(key) && part !== undefined);
  return Object.fromEntries(kept.map(([key, part]) => [key, strip(part)]));
}
