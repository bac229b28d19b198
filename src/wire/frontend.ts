// What a client says: bodies of frontend messages to values, with every bound checked.
import { SluiceError } from '../base/errors.ts';

// https://www.postgresql.org/docs/18/protocol-message-formats.html

/** Codes that stand where a startup packet has its protocol version. */
export const requestCodes = { cancel: 80877102, tls: 80877103, gss: 80877104 } as const;

export type StartupPacket =
  | { readonly kind: 'tls' }
  | { readonly kind: 'gss' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: Buffer }
  | {
      readonly kind: 'startup';
      readonly major: number;
      readonly minor: number;
      readonly parameters: ReadonlyMap<string, string>;
    };

/** `S` is a prepared statement, `P` a portal. */
export interface Named {
  readonly what: 'S' | 'P';
  readonly name: string;
}

export interface ParseMessage {
  readonly name: string;
  /** The SQL as bytes in the client's encoding. */
  readonly query: Buffer;
  /** What stands behind the query: the parameters' types, as sent. */
  readonly types: Buffer;
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  readonly parameters: number;
  /** 0 text, 1 binary; none: all text; one: for all columns. */
  readonly resultFormats: readonly number[];
}

export interface ExecuteMessage {
  readonly portal: string;
  /** 0: no limit. */
  readonly maxRows: number;
}

/** Reads one body and complains with 08P01 about what does not fit. */
class Body {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  bytes(count: number): Buffer {
    const end = this.#at + count;
    if (count < 0 || end > this.#bytes.length) throw malformed('insufficient data left in message');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  int16(): number {
    return this.bytes(2).readInt16BE(0);
  }

  int32(): number {
    return this.bytes(4).readInt32BE(0);
  }

  /** The bytes up to a NUL, which is taken too. */
  cstring(): Buffer {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw malformed('invalid string in message');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return part;
  }

  name(): string {
    return this.cstring().toString('utf8');
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed('invalid message format');
  }
}

function malformed(message: string): SluiceError {
  return new SluiceError('protocol', message);
}

/** The first packets of a connection. @throws `protocol` */
export function decodeStartup(bytes: Buffer): StartupPacket {
  const body = new Body(bytes);
  const version = body.int32();
  if (version === requestCodes.tls) return { kind: 'tls' };
  if (version === requestCodes.gss) return { kind: 'gss' };
  if (version === requestCodes.cancel) return { kind: 'cancel', pid: body.int32(), secret: body.rest };
  const parameters = new Map<string, string>();
  const major = version >>> 16;
  // Another major version may have another layout; its number is all we may read.
  if (major !== 3) return { kind: 'startup', major, minor: version & 0xffff, parameters };
  for (;;) {
    const name = body.name();
    if (name === '') break;
    parameters.set(name, body.name());
  }
  if (body.rest.length > 0) throw malformed('invalid startup packet layout: expected terminator as last byte');
  return { kind: 'startup', major, minor: version & 0xffff, parameters };
}

/** The client's choice of mechanism and its first words. */
export function decodeSaslInitial(bytes: Buffer): { readonly mechanism: string; readonly data: Buffer } {
  const body = new Body(bytes);
  const mechanism = body.name();
  const length = body.int32();
  return { mechanism, data: length < 0 ? Buffer.alloc(0) : body.bytes(length) };
}

/** The SQL of a simple query, in the client's encoding. */
export function decodeQuery(bytes: Buffer): Buffer {
  const body = new Body(bytes);
  const text = body.cstring();
  body.end();
  return text;
}

export function decodeParse(bytes: Buffer): ParseMessage {
  const body = new Body(bytes);
  const name = body.name();
  const query = body.cstring();
  const types = body.rest;
  if (types.length < 2 || types.length !== 2 + 4 * types.readUInt16BE(0)) throw malformed('invalid message format');
  return { name, query, types };
}

export function decodeBind(bytes: Buffer): BindMessage {
  const body = new Body(bytes);
  const portal = body.name();
  const statement = body.name();
  body.bytes(2 * (body.int16() & 0xffff));
  const parameters = body.int16() & 0xffff;
  for (let i = 0; i < parameters; i += 1) {
    const length = body.int32();
    if (length > 0) body.bytes(length);
  }
  const resultFormats = Array.from({ length: body.int16() & 0xffff }, () => body.int16());
  body.end();
  return { portal, statement, parameters, resultFormats };
}

/** The body of Describe and of Close. */
export function decodeNamed(bytes: Buffer, message: 'DESCRIBE' | 'CLOSE' = 'DESCRIBE'): Named {
  const body = new Body(bytes);
  const what = String.fromCharCode(body.bytes(1)[0]!);
  if (what !== 'S' && what !== 'P') throw malformed(`invalid ${message} message subtype ${what.charCodeAt(0)}`);
  const name = body.name();
  body.end();
  return { what, name };
}

export function decodeExecute(bytes: Buffer): ExecuteMessage {
  const body = new Body(bytes);
  const portal = body.name();
  const maxRows = body.int32();
  body.end();
  return { portal, maxRows: Math.max(0, maxRows) };
}
