// What a command answers: a tag, notices and, for SHOW and the like, rows of text.

import type { UserAccess } from '../sql/statement.ts';

export type ResultType = 'text' | 'int4' | 'int8' | 'float8' | 'bool' | 'timestamptz';

export interface ResultColumn {
  readonly name: string;
  readonly type: ResultType;
}

export interface CommandResult {
  /** The statement's own words: `CREATE PEER`, `SHOW MIRRORS`. */
  readonly tag: string;
  /** Sent as NOTICE before the tag. */
  readonly notices: readonly string[];
  /** Present for a statement that answers rows, also when there are none. */
  readonly columns?: readonly ResultColumn[];
  /** Values in PostgreSQL's text form; null is NULL. */
  readonly rows?: readonly (readonly (string | null)[])[];
}

/** What a login may do: everything, everything but to manage users, or look. */
export type Access = 'owner' | UserAccess;

/** Who says a statement and from where, for the journal, and what that person may do. */
export interface CommandContext {
  /** The name of the login. */
  readonly user: string;
  readonly access: Access;
  readonly remote: string;
  readonly signal: AbortSignal;
}
