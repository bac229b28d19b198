// The fields of errors and notices, from bytes to names and back, none lost on the way.
import type { ServerErrorFields } from '../base/errors.ts';
import { backend, message } from './backend.ts';

// https://www.postgresql.org/docs/18/protocol-error-fields.html
const letters = {
  S: 'severity',
  V: 'severityWord',
  C: 'code',
  M: 'message',
  D: 'detail',
  H: 'hint',
  P: 'position',
  p: 'internalPosition',
  q: 'internalQuery',
  W: 'where',
  s: 'schema',
  t: 'table',
  c: 'column',
  d: 'dataType',
  n: 'constraint',
  F: 'file',
  L: 'line',
  R: 'routine',
} as const;

/** The fields in the order they came, by letter; letters that we do not know are kept. */
export type WireFields = ReadonlyMap<string, string>;

/**
 * Reads the body of an ErrorResponse or NoticeResponse; lenient, as it must be with what a server says.
 * @param encoding latin1 keeps every byte as it is, for fields that are only passed on
 */
export function decodeFields(body: Buffer, encoding: 'utf8' | 'latin1' = 'utf8'): Map<string, string> {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    const stop = end < 0 ? body.length : end;
    fields.set(String.fromCharCode(body[at]!), body.toString(encoding, at + 1, stop));
    at = stop + 1;
  }
  return fields;
}

/** The body of an ErrorResponse or NoticeResponse. */
export function encodeFields(
  type: 'error' | 'notice',
  fields: WireFields,
  encoding: 'utf8' | 'latin1' = 'utf8',
): Buffer {
  const parts = [...fields].map(([letter, value]) => Buffer.from(`${letter}${value.replaceAll('\0', '')}\0`, encoding));
  return message(type === 'error' ? backend.errorResponse : backend.noticeResponse, ...parts, Buffer.of(0));
}

/** All the fields of a server's error as the protocol's letters. */
export function fieldsOfServer(fields: ServerErrorFields): Map<string, string> {
  const known = new Map<string, string>();
  const source = fields as unknown as Readonly<Record<string, unknown>>;
  for (const [letter, name] of Object.entries(letters)) {
    const value = source[name];
    if (typeof value === 'string') known.set(letter, value);
  }
  return known;
}

/** A server's error by the names that base/errors gives its fields. */
export function serverFields(fields: WireFields): ServerErrorFields {
  const named: Record<string, string> = {};
  for (const [letter, name] of Object.entries(letters)) {
    const value = fields.get(letter);
    if (value !== undefined && name !== 'severityWord') named[name] = value;
  }
  return { ...named, code: named.code ?? 'XX000', message: named.message ?? '' };
}
