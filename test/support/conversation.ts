// A bare conversation with a server, message by message, so that two of them can be compared byte by byte.
import type { Duplex } from 'node:stream';
import { dial } from '../../src/gateway/dial.ts';
import type { ClientConfig } from '../../src/pg/client.ts';
import { message, queryMessage, syncMessage } from '../../src/wire/backend.ts';
import { frontend } from '../../src/wire/frames.ts';

/** A message of the server: its letter, and everything behind its length. */
export interface Said {
  readonly type: string;
  readonly body: Buffer;
}

/** What Bind says of a statement's parameters and results. */
export interface Binding {
  readonly parameters?: readonly (string | Buffer | null)[];
  readonly resultFormats?: readonly number[];
}

const int16 = (value: number): Buffer => Buffer.of((value >> 8) & 255, value & 255);
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
};
const cstring = (text: string): Buffer => Buffer.from(`${text}\0`);

// What a client says: https://www.postgresql.org/docs/18/protocol-message-formats.html
export const say = {
  query: (text: string) => queryMessage(Buffer.from(text)),
  parse: (name: string, text: string, types: readonly number[] = []) =>
    message(frontend.parse, cstring(name), cstring(text), int16(types.length), ...types.map(int32)),
  /** A Buffer is a binary value, a string one of text. */
  bind: (portal: string, statement: string, { parameters = [], resultFormats = [] }: Binding = {}) =>
    message(
      frontend.bind,
      cstring(portal),
      cstring(statement),
      int16(parameters.length),
      ...parameters.map((value) => int16(Buffer.isBuffer(value) ? 1 : 0)),
      int16(parameters.length),
      ...parameters.flatMap((value) => {
        if (value === null) return [int32(-1)];
        const bytes = Buffer.from(value);
        return [int32(bytes.length), bytes];
      }),
      int16(resultFormats.length),
      ...resultFormats.map(int16),
    ),
  describe: (what: 'S' | 'P', name: string) => message(frontend.describe, Buffer.from(what), cstring(name)),
  execute: (portal: string, maxRows = 0) => message(frontend.execute, cstring(portal), int32(maxRows)),
  close: (what: 'S' | 'P', name: string) => message(frontend.close, Buffer.from(what), cstring(name)),
  flush: message(frontend.flush),
  sync: syncMessage,
} as const;

export class Conversation implements AsyncDisposable {
  /** What the server has reported of its settings at login. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The transaction's state that it said last. */
  status = 'I';
  readonly #stream: Duplex;
  #unread: Buffer = Buffer.alloc(0);
  #heard: Said[] = [];
  #wake: () => void = () => {};
  #closed = false;

  private constructor(stream: Duplex, parameters: ReadonlyMap<string, string>) {
    this.#stream = stream;
    this.parameters = parameters;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
    stream.on('error', () => {});
    stream.resume();
  }

  static async open(config: ClientConfig, startup: ReadonlyMap<string, string> = new Map()): Promise<Conversation> {
    const signal = new AbortController().signal;
    const { stream, parameters } = await dial({ name: '', config, startup, signal });
    return new Conversation(stream, parameters);
  }

  /**
   * Says it and gives everything up to ReadyForQuery, or to the connection's end.
   * @param copy what a COPY FROM STDIN gets, in pieces as a client sends them; default: it is told that there is nothing
   */
  async ask(messages: Buffer, copy?: readonly Buffer[]): Promise<readonly Said[]> {
    this.#heard = [];
    this.#stream.write(messages);
    const extended = messages[0] !== frontend.query;
    let copies = 0;
    for (let seen = 0; ; ) {
      for (; seen < this.#heard.length; seen += 1) {
        const { type, body } = this.#heard[seen]!;
        if (type === 'Z') {
          this.status = body.toString('latin1');
          return extended && copies > 0 ? this.#rest() : this.#heard;
        }
        if (type !== 'G') continue;
        copies += 1;
        this.#copy(copies === 1 ? copy : undefined);
        // The server reads the Sync behind the Execute as part of the COPY.
        if (extended) this.#stream.write(syncMessage);
      }
      if (!(await this.#more())) return this.#heard;
    }
  }

  #copy(data: readonly Buffer[] | undefined): void {
    for (const piece of data ?? []) this.#stream.write(message(frontend.copyData, piece));
    this.#stream.write(
      data === undefined ? message(frontend.copyFail, cstring('no data')) : message(frontend.copyDone),
    );
  }

  /** An extended COPY that fails before it reads answers both Syncs: what else comes is known by an empty query's answer. */
  async #rest(): Promise<readonly Said[]> {
    this.#stream.write(queryMessage(Buffer.alloc(0)));
    const isEmpty = ({ type }: Said) => type === 'I';
    while (!this.#heard.some(isEmpty) || this.#heard.at(-1)?.type !== 'Z') if (!(await this.#more())) break;
    return this.#heard.slice(0, this.#heard.findIndex(isEmpty));
  }

  /** Waits for more; false: the connection is closed. */
  async #more(): Promise<boolean> {
    if (this.#closed) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return true;
  }

  /** A simple query. */
  query(text: string, copy?: readonly Buffer[]): Promise<readonly Said[]> {
    return this.ask(say.query(text), copy);
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    for (; bytes.length >= 5; ) {
      const length = bytes.readUInt32BE(1) + 1;
      if (bytes.length < length) break;
      this.#heard.push({ type: String.fromCharCode(bytes[0]!), body: bytes.subarray(5, length) });
      bytes = bytes.subarray(length);
    }
    this.#unread = bytes;
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    const closed = new Promise((resolve) => this.#stream.once('close', resolve));
    this.#stream.end(message(frontend.terminate));
    await closed;
  }
}

/** A message for people: its letter and its bytes, what is not printable in hexadecimal. */
export function show({ type, body }: Said): string {
  const text = body.toString('latin1').replaceAll(/[^ -~]/g, (character) => {
    const code = character.charCodeAt(0);
    return `\\${code.toString(16).padStart(2, '0')}`;
  });
  return `${type} ${text.length > 2000 ? `${text.slice(0, 2000)}…` : text}`;
}
