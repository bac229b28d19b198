// Our own errors and notices as the protocol's messages, with a real SQLSTATE and every word that helps.
import { type ServerErrorFields, SluiceError } from '../base/errors.ts';
import { encodeFields, fieldsOfServer } from './fields.ts';

/** ERROR ends a statement, FATAL the connection. */
export type Severity = 'ERROR' | 'FATAL';

/**
 * The ErrorResponse for an error. A server's own answer keeps all its fields, but for the position where it counts in a
 * text that the client did not send.
 */
export function errorResponse(error: SluiceError, severity: Severity = 'ERROR'): Buffer {
  const fields = new Map([
    ['S', severity],
    ['V', severity],
    ...(error.kind === 'upstream' && error.fields !== undefined ? fieldsFrom(error.fields) : []),
    ['C', error.sqlstate],
    ['M', error.message],
  ]);
  const optional = { D: error.detail, H: error.hint, P: error.position?.toString() };
  for (const [letter, value] of Object.entries(optional)) {
    if (value !== undefined) fields.set(letter, value);
  }
  return encodeFields('error', fields);
}

function fieldsFrom(server: ServerErrorFields): readonly [string, string][] {
  return [...fieldsOfServer(server)].filter(([letter]) => !'SVP'.includes(letter));
}

/** A NoticeResponse. @param sqlstate 00000 unless it is a warning */
export function noticeResponse(text: string, severity: 'NOTICE' | 'WARNING' = 'NOTICE', sqlstate = '00000'): Buffer {
  return encodeFields(
    'notice',
    new Map([
      ['S', severity],
      ['V', severity],
      ['C', sqlstate],
      ['M', text],
    ]),
  );
}

/** What a client reads when the gateway stops. */
export function shutdownError(): SluiceError {
  return new SluiceError('stopped', 'terminating connection due to administrator command', { sqlstate: '57P01' });
}
