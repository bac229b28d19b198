// A client that says its messages as bytes, in whatever pieces, and keeps the bytes that it hears.
import type { Socket } from 'node:net';
import pg from 'pg';
import { message } from '../../src/wire/backend.ts';
import { code } from '../../src/wire/frames.ts';
import type { TestDatabase } from './servers.ts';
import { until } from './wait.ts';

export const text = (value: string) => Buffer.from(`${value}\0`);
export const query = (sql: string) => message(code('Q'), text(sql));
export const parse = (sql: string, name = '') => message(code('P'), text(name), text(sql), Buffer.of(0, 0));
export const bind = (statement = '', portal = '') => message(code('B'), text(portal), text(statement), Buffer.alloc(6));
export const describePortal = (name = '') => message(code('D'), Buffer.from('P'), text(name));
export const describeStatement = (name = '') => message(code('D'), Buffer.from('S'), text(name));
export const execute = (portal = '', rows = 0) => message(code('E'), text(portal), Buffer.of(0, 0, 0, rows));
export const closeStatement = (name: string) => message(code('C'), Buffer.from('S'), text(name));
export const closePortal = (name: string) => message(code('C'), Buffer.from('P'), text(name));
export const sync = message(code('S'));
export const flush = message(code('H'));
export const run = (sql: string) => [parse(sql), bind(), describePortal(), execute()];
export const ready = code('Z');

/** A session whose bytes are said and heard as they are. */
export class Conversation implements Disposable {
  heard = Buffer.alloc(0);
  closed = false;
  readonly socket: Socket;
  readonly client: pg.Client;

  private constructor(client: pg.Client) {
    this.client = client;
    this.socket = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream;
    this.socket.removeAllListeners('data');
    this.socket.on('data', (chunk) => {
      this.heard = Buffer.concat([this.heard, chunk]);
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  static async open(config: pg.ClientConfig): Promise<Conversation> {
    const client = new pg.Client(config);
    client.on('error', () => {});
    await client.connect();
    return new Conversation(client);
  }

  /** What was heard, message by message. */
  get messages(): readonly Buffer[] {
    const messages: Buffer[] = [];
    for (let at = 0; at + 5 <= this.heard.length; ) {
      const end = at + this.heard.readUInt32BE(at + 1) + 1;
      messages.push(this.heard.subarray(at, end));
      at = end;
    }
    return messages;
  }

  get types(): string {
    return this.messages.map((each) => String.fromCharCode(each[0]!)).join('');
  }

  async untilReady(count: number): Promise<void> {
    const seen = () => [...this.types].filter((type) => type.charCodeAt(0) === ready).length;
    await until(`${count} times ready`, () => seen() >= count || this.closed);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const answersOf = (messages: readonly Buffer[]) =>
  messages.filter((each) => each[0] === code('Q') || each[0] === code('S')).length;

/** But for where in its source the server says that an error was raised (some are ours), and its backend's number. */
export function gistOf(talk: Conversation): readonly string[] {
  return talk.messages.map((each) => {
    const body = each.toString('latin1', 5).replaceAll(/pg_temp_\d+/g, 'pg_temp');
    const type = String.fromCharCode(each[0]!);
    return type + (type === 'E' ? body.replace(/F[^\0]*\0L\d+\0R[^\0]*\0/, '') : body);
  });
}

/** How the same messages may arrive. */
export const manners: Readonly<Record<string, (talk: Conversation, messages: readonly Buffer[]) => Promise<void>>> = {
  'in one packet': async (talk, messages) => {
    talk.socket.write(Buffer.concat(messages));
    await talk.untilReady(answersOf(messages));
  },
  'each by itself': async (talk, messages) => {
    for (const each of messages) {
      talk.socket.write(each);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await talk.untilReady(answersOf(messages));
  },
  'one answer awaited after the other': async (talk, messages) => {
    let expected = 0;
    for (const each of messages) {
      talk.socket.write(each);
      if (answersOf([each]) === 1) await talk.untilReady(++expected);
    }
  },
  'cut in the middle of each': async (talk, messages) => {
    const whole = Buffer.concat(messages);
    let at = 0;
    for (const each of messages) {
      const cut = at + (each.length >> 1);
      talk.socket.write(whole.subarray(at === 0 ? 0 : at - 1, cut));
      await new Promise((resolve) => setImmediate(resolve));
      talk.socket.write(whole.subarray(cut, at + each.length - 1));
      at += each.length;
    }
    talk.socket.write(whole.subarray(at - 1));
    await talk.untilReady(answersOf(messages));
  },
};

/** How pg reaches a database without the gateway. */
export function directConfig({ host, port, user, password, database }: TestDatabase): pg.ClientConfig {
  return { host, port, user, password, database };
}
