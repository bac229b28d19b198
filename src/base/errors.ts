// The one error class: its kind decides SQLSTATE, HTTP status and whether a retry can help; message texts decide nothing.

/** What may be done about an error without a person: `backoff` tries again soon, `person` waits for someone, `never` is final. */
export type RetryPolicy = 'backoff' | 'person' | 'never';

interface KindFacts {
  readonly sqlstate: string;
  readonly http: number;
  readonly retry: RetryPolicy;
}

/** Every kind of error and what follows from it. SQLSTATEs: https://www.postgresql.org/docs/18/errcodes-appendix.html */
export const errorKinds = {
  /** The text is not a statement of our language. Carries `position`. */
  syntax: { sqlstate: '42601', http: 400, retry: 'never' },
  /** An unknown option, or a value of the wrong type or out of bounds. Carries `position`. */
  invalid_option: { sqlstate: '22023', http: 400, retry: 'never' },
  /** No such peer, mirror or user. */
  undefined_object: { sqlstate: '42704', http: 404, retry: 'never' },
  /** A peer, mirror, slot or publication of that name is there already. */
  duplicate_object: { sqlstate: '42710', http: 409, retry: 'never' },
  /** Something still uses it. `detail` names the users. */
  dependent_objects: { sqlstate: '2BP01', http: 409, retry: 'never' },
  /** Not possible in the mirror's (or session's) present state. `detail` says the state. */
  wrong_state: { sqlstate: '55000', http: 409, retry: 'person' },
  /** Tables that do not exist. `detail` lists all of them. */
  undefined_table: { sqlstate: '42P01', http: 400, retry: 'person' },
  /** A column that does not exist. */
  undefined_column: { sqlstate: '42703', http: 400, retry: 'person' },
  /** A name over 63 bytes. */
  name_too_long: { sqlstate: '42622', http: 400, retry: 'never' },
  /** The statement is known and its engine is not there, or the combination is not supported. */
  unsupported: { sqlstate: '0A000', http: 501, retry: 'never' },
  /** A peer refuses the login. Never retried by itself: repeated attempts get us banned. */
  login_refused: { sqlstate: '28P01', http: 422, retry: 'person' },
  /** A peer cannot be reached, or the connection to it broke. */
  unreachable: { sqlstate: '08001', http: 502, retry: 'backoff' },
  /** A connection that was open is gone. */
  connection_lost: { sqlstate: '08006', http: 502, retry: 'backoff' },
  /** The server's settings do not allow it (wal_level, no free slot …). `hint` says which to change. */
  not_ready: { sqlstate: '55000', http: 422, retry: 'person' },
  /** No free slot, walsender or connection on the server now. */
  too_many: { sqlstate: '53400', http: 422, retry: 'backoff' },
  /** The source's table was rewritten under us; reading it again is right. */
  source_changed: { sqlstate: '40001', http: 409, retry: 'backoff' },
  /** A role lacks a privilege. */
  forbidden: { sqlstate: '42501', http: 403, retry: 'person' },
  /** The target's rows are not what the stream says they must be (a missing row, a row too many). */
  conflict: { sqlstate: '23000', http: 409, retry: 'person' },
  /** The replication slot is lost or is not the one that belongs to the checkpoint. */
  slot_lost: { sqlstate: '55000', http: 409, retry: 'person' },
  /** Another process owns the mirror now; this one must stop. */
  fenced: { sqlstate: '55006', http: 409, retry: 'never' },
  /** The work was asked to stop. */
  stopped: { sqlstate: '57014', http: 503, retry: 'never' },
  /** The gateway's own login failed. */
  invalid_password: { sqlstate: '28P01', http: 401, retry: 'never' },
  /** The client broke the protocol. */
  protocol: { sqlstate: '08P01', http: 400, retry: 'never' },
  /** A limit of the gateway (connections, message size). */
  limit: { sqlstate: '53300', http: 429, retry: 'never' },
  /** A server's own answer, passed on with all its fields; whether to retry depends on its SQLSTATE. */
  upstream: { sqlstate: 'XX000', http: 422, retry: 'person' },
  /** A defect of ours. */
  internal: { sqlstate: 'XX000', http: 500, retry: 'backoff' },
} as const satisfies Record<string, KindFacts>;

export type ErrorKind = keyof typeof errorKinds;

/** The fields of an ErrorResponse: https://www.postgresql.org/docs/18/protocol-error-fields.html */
export interface ServerErrorFields {
  readonly severity?: string;
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly position?: string;
  readonly internalPosition?: string;
  readonly internalQuery?: string;
  readonly where?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly dataType?: string;
  readonly constraint?: string;
  readonly file?: string;
  readonly line?: string;
  readonly routine?: string;
}

export interface ErrorDetails {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** Character (not byte, not UTF-16 unit) in the client's text, from 1. */
  readonly position?: number | undefined;
  /** A more exact SQLSTATE than the kind's own; five characters. */
  readonly sqlstate?: string | undefined;
  readonly cause?: unknown;
  /** Which server said it, for kind `upstream` in the server's own words. */
  readonly server?: string | undefined;
  /** All fields of a server's answer, for kind `upstream`. */
  readonly fields?: ServerErrorFields | undefined;
}

export class SluiceError extends Error {
  readonly kind: ErrorKind;
  readonly sqlstate: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly position: number | undefined;
  readonly server: string | undefined;
  readonly fields: ServerErrorFields | undefined;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'SluiceError';
    this.kind = kind;
    this.sqlstate = details.sqlstate ?? details.fields?.code ?? errorKinds[kind].sqlstate;
    this.detail = details.detail ?? details.fields?.detail;
    this.hint = details.hint ?? details.fields?.hint;
    this.position = details.position;
    this.server = details.server;
    this.fields = details.fields;
  }

  /** The HTTP status that says the same as the kind. */
  get httpStatus(): number {
    return errorKinds[this.kind].http;
  }

  /** Whether trying again without a person may help. */
  get retry(): RetryPolicy {
    return this.kind === 'upstream' ? retryOfSqlstate(this.sqlstate) : errorKinds[this.kind].retry;
  }
}

// Classes 08 (connection), 53 (resources), 57P (shutdown), 40 (serialization, deadlock), 55P03 (lock), 57014 (cancel, timeout)
// and 25P03, 25P04 (a session that was ended for its transaction's age) pass by themselves; 58 (I/O) may; everything else needs
// a person.
const passingStates = /^(08|53|40|57P|58)|^55P03$|^57014$|^55006$|^25P0[34]$/;

/** Retry policy for a server's SQLSTATE. */
export function retryOfSqlstate(sqlstate: string): RetryPolicy {
  return passingStates.test(sqlstate) ? 'backoff' : 'person';
}

const socketCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
]);

function hasCode(error: unknown): error is { readonly code: string; readonly message: string } {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string';
}

/** The same error, with the server that said it; any but a server's own answer is left as it is. */
export function saidBy(error: SluiceError, server: string | undefined): SluiceError {
  if (error.kind !== 'upstream' || error.fields === undefined || server === undefined) return error;
  return new SluiceError('upstream', error.message, { fields: error.fields, cause: error.cause, server });
}

/**
 * Turns whatever was thrown into a SluiceError, by codes only: a server's answer becomes `upstream` (or `login_refused`)
 * with all its fields, a socket's failure `unreachable` or `connection_lost`, an abort `stopped`, the rest `internal`.
 */
export function toSluiceError(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return error.cause instanceof SluiceError ? error.cause : new SluiceError('stopped', 'stopped', { cause: error });
  }
  if (hasCode(error)) {
    if (socketCodes.has(error.code)) {
      const kind = error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'connection_lost' : 'unreachable';
      return new SluiceError(kind, error.message, { cause: error });
    }
    if (/^[0-9A-Z]{5}$/.test(error.code)) {
      const fields = error as ServerErrorFields;
      const kind = error.code === '28P01' || error.code === '28000' ? 'login_refused' : 'upstream';
      return new SluiceError(kind, error.message, { fields, cause: error });
    }
  }
  return new SluiceError('internal', error instanceof Error ? error.message : String(error), { cause: error });
}
