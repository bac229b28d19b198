// A client that speaks bare protocol messages, to a server or to the gateway, and writes down every message that it hears.
import type { Socket } from 'node:net';
import pg from 'pg';
import { message } from '../../src/wire/backend.ts';
import { decodeFields } from '../../src/wire/fields.ts';
import { code } from '../../src/wire/frames.ts';

// https://www.postgresql.org/docs/18/protocol-message-formats.html
const cstring = (text: string) => Buffer.from(`${text}\0`);
const int16 = (value: number) => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const list = <T>(items: readonly T[], each: (item: T) => Buffer) => [int16(items.length), ...items.map(each)];

export interface Bound {
  readonly portal?: string;
  readonly statement?: string;
  readonly values?: readonly (string | Buffer | null)[];
  /** 1 is binary. */
  readonly formats?: readonly number[];
  readonly results?: readonly number[];
}

/** The messages of a client. */
export const said = {
  query: (text: string) => message(code('Q'), cstring(text)),
  parse: (text: string, name = '', types: readonly number[] = []) =>
    message(code('P'), cstring(name), cstring(text), ...list(types, int32)),
  bind: ({ portal = '', statement = '', values = [], formats = [], results = [] }: Bound = {}) =>
    message(
      code('B'),
      cstring(portal),
      cstring(statement),
      ...list(formats, int16),
      ...list(values, (value) => {
        if (value === null) return int32(-1);
        const bytes = Buffer.from(value as Buffer);
        return Buffer.concat([int32(bytes.length), bytes]);
      }),
      ...list(results, int16),
    ),
  describe: (what: 'S' | 'P', name = '') => message(code('D'), Buffer.from(what), cstring(name)),
  execute: (portal = '', rows = 0) => message(code('E'), cstring(portal), int32(rows)),
  close: (what: 'S' | 'P', name = '') => message(code('C'), Buffer.from(what), cstring(name)),
  flush: message(code('H')),
  sync: message(code('S')),
  copyData: (data: string | Buffer) => message(code('d'), Buffer.from(data as Buffer)),
  copyDone: message(code('c')),
  copyFail: (why: string) => message(code('f'), cstring(why)),
  /** By the function's OID, values in binary. */
  call: (oid: number, values: readonly Buffer[]) =>
    message(
      code('F'),
      int32(oid),
      ...list([1], int16),
      ...list(values, (value) => Buffer.concat([int32(value.length), value])),
      int16(1),
    ),
};

/** A statement's Parse, Bind, Describe and Execute. */
export const run = (text: string): readonly Buffer[] => [
  said.parse(text),
  said.bind(),
  said.describe('P'),
  said.execute(),
];

export interface Heard {
  /** The message's type byte as a letter. */
  readonly type: string;
  /** What it says, as text that is equal where the message means the same. */
  readonly text: string;
}

export class WireSession implements Disposable {
  readonly heard: Heard[] = [];
  readonly pid: number;
  readonly secret: number;
  closed = false;
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};

  private constructor(client: pg.Client) {
    const { connection, processID, secretKey } = client as unknown as {
      connection: { stream: Socket };
      processID: number;
      secretKey: number;
    };
    this.pid = processID;
    this.secret = secretKey;
    this.#socket = connection.stream;
    this.#socket.removeAllListeners('data');
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    this.#socket.on('error', () => {});
  }

  /** Logs in as pg does. */
  static async open(config: pg.ClientConfig): Promise<WireSession> {
    const client = new pg.Client(config);
    client.on('error', () => {});
    await client.connect();
    return new WireSession(client);
  }

  send(...messages: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(messages));
  }

  /** Waits for something among what was heard since `from`. */
  async until(what: string, condition: (heard: readonly Heard[]) => boolean, from = 0): Promise<readonly Heard[]> {
    const deadline = Date.now() + 20_000;
    for (;;) {
      const since = this.heard.slice(from);
      if (condition(since)) return since;
      const left = deadline - Date.now();
      if (this.closed || left <= 0) {
        const last = since.slice(-10).map(({ type, text }) => `${type} ${text}`);
        throw new Error(`${this.closed ? 'closed' : 'silent'} before ${what}: ${last.join('\n')}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Sends messages and gives all that is heard up to the so-many-th ReadyForQuery. */
  async ask(messages: readonly Buffer[], ready = 1): Promise<readonly Heard[]> {
    const from = this.heard.length;
    this.send(...messages);
    return this.ready(from, ready);
  }

  ready(from: number, ready = 1): Promise<readonly Heard[]> {
    return this.until('ReadyForQuery', (heard) => heard.filter(({ type }) => type === 'Z').length >= ready, from);
  }

  /** Closes the socket without a goodbye. */
  vanish(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 5) {
      const end = bytes.readUInt32BE(1) + 1;
      if (bytes.length < end) break;
      const type = String.fromCharCode(bytes[0]!);
      this.heard.push({ type, text: textOf(type, bytes.subarray(5, end)) });
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    this.#wake();
  }
}

function textOf(type: string, body: Buffer): string {
  switch (type) {
    case 'E':
    case 'N':
      // File and line are the server's source; they are compared as well.
      return [...decodeFields(body)].map(([letter, value]) => `${letter}=${value}`).join('|');
    case 'T':
      return columnsOf(body).join('|');
    case 'A':
      return body.subarray(4).toString('latin1');
    default:
      return body.toString('latin1');
  }
}

const firstOwnOid = 16_384;

/** Each column's name, whether it is a table's, its number there, type, size, modifier and format. */
function columnsOf(body: Buffer): readonly string[] {
  const columns: string[] = [];
  for (let at = 2; at < body.length; ) {
    const end = body.indexOf(0, at);
    const [name, facts] = [body.toString('utf8', at, end), body.subarray(end + 1, end + 19)];
    // What was made anew has another OID.
    const [table, type] = [facts.readUInt32BE(0), facts.readUInt32BE(6)];
    const rest = `${facts.readInt16BE(4)}:${type < firstOwnOid ? type : 'own'}:${facts.subarray(10).toString('hex')}`;
    columns.push(`${name}:${table > 0}:${rest}`);
    at = end + 19;
  }
  return columns;
}

/** The types of messages, one letter each. */
export const typesOf = (heard: readonly Heard[]): string => heard.map(({ type }) => type).join('');

/** A field of the first error. */
export function errorField(heard: readonly Heard[], letter: string): string | undefined {
  const error = heard.find(({ type }) => type === 'E');
  return error?.text
    .split('|')
    .find((field) => field.startsWith(`${letter}=`))
    ?.slice(2);
}

/** A request to cancel what that session does. */
export function cancelRequest({ pid, secret }: { readonly pid: number; readonly secret: number }): Buffer {
  return Buffer.concat([int32(16), int32(80877102), int32(pid), int32(secret)]);
}
