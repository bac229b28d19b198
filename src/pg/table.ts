// What a table is, as its catalog says: the model that inspection fills and DDL, snapshot and CDC read.

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** `schema.name` for people and for keys of maps; quoted only where it must be, so that it is unambiguous. */
export function showTable(table: TableName): string {
  return `${showName(table.schema)}.${showName(table.name)}`;
}

function showName(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Compares without regard to how the two came about. */
export function sameTable(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.name === b.name;
}

/** How a column's type travels: `builtin` has the same OID and binary form on every server (OID < 10000), others are looked up by name. */
export interface ColumnType {
  readonly oid: number;
  /** As format_type prints it with an empty search_path, typmod included: `numeric(10,2)`, `shop.order_state[]`. */
  readonly text: string;
  /** typtype of pg_type: b base, c composite, d domain, e enum, r range, m multirange. https://www.postgresql.org/docs/18/catalog-pg-type.html */
  readonly kind: 'b' | 'c' | 'd' | 'e' | 'r' | 'm';
  readonly builtin: boolean;
  /** Element type's OID and kind, for arrays. */
  readonly element: { readonly oid: number; readonly kind: ColumnType['kind']; readonly builtin: boolean } | null;
  /**
   * Whether the binary form means the same on the other side: built-in types (and arrays of them), enums, and domains over
   * those. Not: arrays and composites of user-defined types (they carry OIDs), and reg* types (they are OIDs).
   */
  readonly binarySafe: boolean;
}

export interface Column {
  readonly name: string;
  readonly attnum: number;
  readonly type: ColumnType;
  readonly notNull: boolean;
  /** The name of the constraint that says so (18); null: it has none, or the server gives none. */
  readonly notNullName: string | null;
  /** pg_get_expr of the default or of the generation expression, else null. */
  readonly default: string | null;
  /** attidentity: '' none, 'a' always, 'd' by default. */
  readonly identity: '' | 'a' | 'd';
  /** attgenerated: '' none, 's' stored, 'v' virtual (PG 18). */
  readonly generated: '' | 's' | 'v';
  /** Collation if it is not the type's own. */
  readonly collation: TableName | null;
  /** attstorage and attcompression where they differ from the type's own; '' otherwise. */
  readonly storage: '' | 'p' | 'e' | 'm' | 'x';
  readonly compression: '' | 'p' | 'l';
  /** -1 where it is the default. */
  readonly statisticsTarget: number;
  /** attoptions, as stored: `n_distinct=5`. */
  readonly options: readonly string[];
  /** attislocal: defined on the table itself, whether or not a parent has it too. */
  readonly local: boolean;
  /** Whether NOT NULL is said on the table itself (18); null: the server does not tell. */
  readonly notNullLocal: boolean | null;
  /** Whether NOT NULL is not handed down to heirs (18). */
  readonly notNullNoInherit: boolean;
}

export interface PrimaryKey {
  readonly constraint: string;
  readonly columns: readonly string[];
  /** Columns that ride along in the index (INCLUDE). */
  readonly include: readonly string[];
  /** Not deferrable: no two rows have the same values, not even inside a statement or transaction. */
  readonly immediate: boolean;
  /** pg_get_constraintdef, e.g. `PRIMARY KEY (id) INCLUDE (x)`. */
  readonly definition: string;
}

export interface Partitioning {
  /** pg_get_partkeydef: `RANGE (created_at)`. */
  readonly key: string;
}

export interface PartitionOf {
  readonly parent: TableName;
  /** pg_get_expr(relpartbound): `FOR VALUES FROM (…) TO (…)` or `DEFAULT`. */
  readonly bound: string;
}

export interface Table extends TableName {
  readonly oid: number;
  /** relkind: r table, p partitioned, f foreign, v view, m materialised view. */
  readonly kind: 'r' | 'p' | 'f' | 'v' | 'm';
  readonly persistence: 'p' | 'u' | 't';
  readonly columns: readonly Column[];
  readonly primaryKey: PrimaryKey | null;
  /** relreplident: d default (primary key), n nothing, f full, i an index. */
  readonly replicaIdentity: 'd' | 'n' | 'f' | 'i';
  /**
   * Columns that identify a row: the replica identity's index or the primary key; with FULL the primary key if there is one
   * (the old row then carries every column), else null. Null as well for NOTHING, and for a deferrable primary key, which the
   * server does not take for a replica identity.
   */
  readonly identityColumns: readonly string[] | null;
  readonly partitioning: Partitioning | null;
  readonly partitionOf: PartitionOf | null;
  /** Names of the tables it inherits from (not partitions). */
  readonly inherits: readonly TableName[];
  /** Storage parameters as stored (`fillfactor=70`), those of its TOAST table with `toast.` before. */
  readonly options: readonly string[];
  /** The type that a typed table is of. */
  readonly ofType: (TableName & { readonly oid: number }) | null;
  /** Table access method; null: heap, or none. */
  readonly accessMethod: string | null;
  /** Null: the database's own. */
  readonly tablespace: string | null;
  /** Leaves of a partitioned table (itself, if it is plain), each with size; what a copy by ctid reads. */
  readonly leaves: readonly Leaf[];
}

export interface Leaf extends TableName {
  readonly oid: number;
  /** r table, f foreign table (may be a partition), v view, m materialised view. */
  readonly kind: 'r' | 'f' | 'v' | 'm';
  /** Whether its rows lie in pages and are found by them (the access method heap), so that it can be cut by ctid. */
  readonly byPages: boolean;
  /** Present pages of the main fork (pg_relation_size / block size), not relpages. */
  readonly pages: number;
  /** reltuples scaled to the present pages; 0 for an empty table, and where nobody knows. */
  readonly rows: number;
  readonly bytes: number;
}
