// A client that has logged in properly and then says whatever bytes a test likes, and reads the answers strictly.
import type { Socket } from 'node:net';
import pg from 'pg';
import { message } from '../../src/wire/backend.ts';
import { code } from '../../src/wire/frames.ts';
import { AnswerReader } from './answers.ts';
import { until } from './wait.ts';

export class SpokenClient implements Disposable {
  readonly socket: Socket;
  readonly heard: AnswerReader;
  /** What a server must not say. */
  problem: Error | undefined;
  closed = false;
  readonly processId: number;
  readonly secretKey: number;

  private constructor(client: pg.Client, keep: number) {
    const { connection, processID, secretKey } = client as unknown as {
      connection: { stream: Socket };
      processID: number;
      secretKey: number;
    };
    this.socket = connection.stream;
    this.processId = processID;
    this.secretKey = secretKey;
    this.heard = new AnswerReader(keep);
    this.socket.removeAllListeners('data');
    this.socket.on('data', (chunk: Buffer) => {
      try {
        if (this.problem === undefined) this.heard.push(chunk);
      } catch (error) {
        this.problem = error as Error;
      }
    });
    this.socket.on('error', () => {});
    this.socket.once('close', () => {
      this.closed = true;
    });
  }

  static async open(config: pg.ClientConfig, keep?: number): Promise<SpokenClient> {
    const client = new pg.Client(config);
    client.on('error', () => {});
    await client.connect();
    return new SpokenClient(client, keep ?? 100_000);
  }

  say(...messages: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(messages));
  }

  /** Waits until so many answers of that type have come, or the connection is closed. */
  async hear(type: string, count = 1): Promise<void> {
    await until(`${count} ${type}`, () => {
      if (this.problem !== undefined) throw this.problem;
      return this.closed || this.heard.answers.filter((answer) => answer.type === type).length >= count;
    });
  }

  async end(): Promise<void> {
    await until('the connection is closed', () => this.closed);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Messages as clients say them. */
export const ask = {
  query: (text: string | Buffer) => message(code('Q'), Buffer.from(text), Buffer.of(0)),
  parse: (text: string | Buffer, name = '') =>
    message(code('P'), Buffer.from(`${name}\0`), Buffer.from(text), Buffer.alloc(3)),
  bind: (name = '', portal = '') => message(code('B'), Buffer.from(`${portal}\0${name}\0`), Buffer.alloc(6)),
  describe: (what: 'S' | 'P', name = '') => message(code('D'), Buffer.from(`${what}${name}\0`)),
  execute: (portal = '', rows = 0) => {
    const count = Buffer.alloc(4);
    count.writeInt32BE(rows);
    return message(code('E'), Buffer.from(`${portal}\0`), count);
  },
  close: (what: 'S' | 'P', name = '') => message(code('C'), Buffer.from(`${what}${name}\0`)),
  copyData: (bytes: Buffer) => message(code('d'), bytes),
  copyDone: message(code('c')),
  flush: message(code('H')),
  sync: message(code('S')),
  terminate: message(code('X')),
} as const;
