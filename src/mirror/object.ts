// The words of the ledger: every object that a mirror has to make on the target, and what became of it.

/** What stands with the rows comes first; the rest is made after the load, in this order of stages. */
export type ObjectKind =
  | 'schema'
  | 'extension'
  | 'collation'
  | 'type'
  | 'sequence'
  | 'table'
  | 'property'
  | 'primary key'
  | 'index'
  | 'unique constraint'
  | 'exclusion constraint'
  | 'check constraint'
  | 'not-null constraint'
  | 'statistics'
  | 'inheritance'
  | 'foreign key'
  | 'cluster'
  | 'comment'
  | 'conversion'
  | 'language'
  | 'function'
  | 'procedure'
  | 'aggregate'
  | 'cast'
  | 'operator'
  | 'operator family'
  | 'operator family member'
  | 'operator class'
  | 'transform'
  | 'access method'
  | 'text search parser'
  | 'text search template'
  | 'text search dictionary'
  | 'text search configuration'
  | 'foreign-data wrapper'
  | 'server'
  | 'foreign table'
  | 'user mapping'
  | 'view'
  | 'view default'
  | 'materialized view'
  | 'materialized rows'
  | 'rule'
  | 'trigger'
  | 'event trigger'
  | 'row security'
  | 'policy'
  | 'owner'
  | 'grant'
  | 'default privileges'
  | 'security label'
  | 'large object'
  | 'publication'
  | 'subscription'
  | 'setting';

/** When it is made: before the rows, or after the load in this order. */
export const objectStages = [
  'before',
  'needs',
  'indexes',
  'constraints',
  'inheritance',
  'statistics',
  'foreign keys',
  'settings',
  'views',
  'filling',
  'rules',
  'triggers',
  'policies',
  'comments',
  'rights',
  'owners',
  'event triggers',
] as const;
export type ObjectStage = (typeof objectStages)[number];

/**
 * - `waiting`: to be made; with a reason it is held back until the mirror no longer follows, and why
 * - `making`: a statement of it runs on the target
 * - `created`: made by the mirror; `existed`: it was there, just so
 * - `left_out`: cannot be there, and why; nobody has to mend it
 * - `failed`: the target refused it; ALTER MIRROR … RETRY tries again
 */
export type ObjectState = 'waiting' | 'making' | 'created' | 'existed' | 'left_out' | 'failed';

/** An object of the source, under its name there. */
export interface ObjectName {
  readonly kind: ObjectKind;
  /** Empty for what is in no schema. */
  readonly schema: string;
  readonly name: string;
  /** `schema.name` of the source's table that it belongs to; empty: none. */
  readonly table: string;
}

/** One line of the ledger. */
export interface ObjectLine extends ObjectName {
  readonly stage: ObjectStage;
  readonly state: ObjectState;
  /** Why it is left out, or the target's error. */
  readonly reason?: string | undefined;
  readonly sqlstate?: string | undefined;
  /** The statements on the target. */
  readonly statement?: string | undefined;
  /** Whether a person who may need only run them as they stand; undefined: as a rule, unless it is left out. */
  readonly asIs?: boolean | undefined;
  /** Its turn among those of its stage. */
  readonly place?: number | undefined;
  /** Of the index or its table, as an estimate of the work. */
  readonly bytes?: number | undefined;
  /** While an index is being built: the server's word for what it does, and how far it is with that. */
  readonly doing?: string | undefined;
  readonly percent?: number | undefined;
}

/** A key for maps, unlike that of any other object of the mirror. */
export function objectKey({ kind, schema, name, table }: ObjectName): string {
  return JSON.stringify([kind, schema, name, table]);
}
