// What a server says: values to backend messages, and the few frontend messages that a relay says to a server itself.
import { Writer } from 'pg-protocol/dist/buffer-writer.js';
import { code, frontend } from './frames.ts';

// https://www.postgresql.org/docs/18/protocol-message-formats.html

export const backend = {
  authentication: code('R'),
  bindComplete: code('2'),
  closeComplete: code('3'),
  commandComplete: code('C'),
  copyBothResponse: code('W'),
  copyData: code('d'),
  copyDone: code('c'),
  copyInResponse: code('G'),
  copyOutResponse: code('H'),
  dataRow: code('D'),
  emptyQuery: code('I'),
  errorResponse: code('E'),
  functionCallResponse: code('V'),
  keyData: code('K'),
  negotiateVersion: code('v'),
  noData: code('n'),
  noticeResponse: code('N'),
  notification: code('A'),
  parameterDescription: code('t'),
  parameterStatus: code('S'),
  parseComplete: code('1'),
  portalSuspended: code('s'),
  readyForQuery: code('Z'),
  rowDescription: code('T'),
} as const;

/** Idle, in a transaction, in one that failed. */
export type TransactionStatus = 'I' | 'T' | 'E';

export interface WireColumn {
  readonly name: string;
  readonly typeOid: number;
  /** Bytes, -1 if they vary. */
  readonly typeSize: number;
  /** 0 text, 1 binary. */
  readonly format: number;
}

/** One message: type, length, body. */
export function message(type: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 4);
  const head = Buffer.allocUnsafe(5);
  head[0] = type;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, ...parts], length + 1);
}

const empty = (type: number): Buffer => message(type);

export const parseComplete = empty(backend.parseComplete);
export const bindComplete = empty(backend.bindComplete);
export const closeComplete = empty(backend.closeComplete);
export const noData = empty(backend.noData);
export const portalSuspended = empty(backend.portalSuspended);
export const emptyQueryResponse = empty(backend.emptyQuery);
export const noParameters = message(backend.parameterDescription, Buffer.of(0, 0));

const int32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value | 0, 0);
  return bytes;
};
const cstring = (text: string): Buffer => Buffer.from(`${text.replaceAll('\0', '')}\0`);

export function authenticationOk(): Buffer {
  return message(backend.authentication, int32(0));
}

/** Offers SASL mechanisms, best first. */
export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  return message(backend.authentication, int32(10), ...mechanisms.map(cstring), Buffer.of(0));
}

export function authenticationSaslContinue(data: string): Buffer {
  return message(backend.authentication, int32(11), Buffer.from(data));
}

export function authenticationSaslFinal(data: string): Buffer {
  return message(backend.authentication, int32(12), Buffer.from(data));
}

/** Says which minor version we speak at most and which options we do not know. */
export function negotiateProtocolVersion(newestMinor: number, unknown: readonly string[]): Buffer {
  return message(
    backend.negotiateVersion,
    int32((3 << 16) | newestMinor),
    int32(unknown.length),
    ...unknown.map(cstring),
  );
}

export function parameterStatus(name: string, value: string): Buffer {
  return message(backend.parameterStatus, cstring(name), cstring(value));
}

export function backendKeyData(pid: number, secret: Buffer): Buffer {
  return message(backend.keyData, int32(pid), secret);
}

export function readyForQuery(status: TransactionStatus): Buffer {
  return message(backend.readyForQuery, Buffer.from(status));
}

export function commandComplete(tag: string): Buffer {
  return message(backend.commandComplete, cstring(tag));
}

export function rowDescription(columns: readonly WireColumn[]): Buffer {
  const writer = new Writer(64 + columns.length * 40);
  writer.addInt16(columns.length);
  for (const column of columns) {
    // Table and attribute 0: not a column of a table. Type modifier -1: none.
    writer.addCString(column.name).addInt32(0).addInt16(0);
    writer.addInt32(column.typeOid).addInt16(column.typeSize).addInt32(-1).addInt16(column.format);
  }
  return writer.flush(backend.rowDescription);
}

/** A row; null is NULL. */
export function dataRow(values: readonly (Buffer | null)[]): Buffer {
  const writer = new Writer(256);
  writer.addInt16(values.length);
  for (const value of values) {
    if (value === null) writer.addInt32(-1);
    else writer.addInt32(value.length).add(value);
  }
  return writer.flush(backend.dataRow);
}

// What a relay says to a server.

/** A simple query; the text in the connection's encoding. */
export function queryMessage(text: Buffer): Buffer {
  return message(frontend.query, text, Buffer.of(0));
}

/** Parse, with the parameters' types as the client sent them. */
export function parseMessage(name: string, query: Buffer, types: Buffer): Buffer {
  return message(frontend.parse, cstring(name), query, Buffer.of(0), types);
}

/** Bind without parameters. */
export function bindMessage(portal: string, statement: string): Buffer {
  return message(frontend.bind, cstring(portal), cstring(statement), Buffer.alloc(6));
}

/** A Bind as it came, of another statement. */
export function rebound(raw: Buffer, statement: string): Buffer {
  const portalEnd = raw.indexOf(0, 5) + 1;
  const statementEnd = raw.indexOf(0, portalEnd) + 1;
  return message(frontend.bind, raw.subarray(5, portalEnd), cstring(statement), raw.subarray(statementEnd));
}

/** Close of a prepared statement or portal; answered whether there is one or not. */
export function closeMessage(what: 'S' | 'P', name: string): Buffer {
  return message(frontend.close, Buffer.from(what), cstring(name));
}

/** Execute of a portal to its end. */
export function executeMessage(portal: string): Buffer {
  return message(frontend.execute, cstring(portal), int32(0));
}

export const syncMessage = empty(frontend.sync);
export const terminateMessage = empty(frontend.terminate);
export const flushMessage = empty(frontend.flush);

/** The startup packet of protocol 3.0. */
export function startupMessage(parameters: ReadonlyMap<string, string>): Buffer {
  const pairs = [...parameters].flatMap(([name, value]) => [cstring(name), cstring(value)]);
  const body = Buffer.concat([int32(3 << 16), ...pairs, Buffer.of(0)]);
  return Buffer.concat([int32(body.length + 4), body]);
}
