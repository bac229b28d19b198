// A client that logs in and then only counts the bytes that it is sent: the cheapest reader, so that the way to it is what counts.
import type { Socket } from 'node:net';
import pg from 'pg';
import { queryMessage } from '../../src/wire/backend.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface Reader extends Disposable {
  /** Asks and reads to the end; gives the bytes. `rest`: how long the reader rests after each chunk. */
  read(query: string, options?: { readonly restMs?: number; readonly most?: number }): Promise<number>;
}

// The last message of an answer, as it ends its last chunk. https://www.postgresql.org/docs/18/protocol-message-formats.html
const ready = Buffer.from('Z\0\0\0\x05I', 'latin1');

export async function openReader(place: Place): Promise<Reader> {
  const client = new pg.Client({ ...place });
  client.on('error', () => {});
  await client.connect();
  const { stream } = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection;
  stream.removeAllListeners('data');
  return {
    async read(query, { restMs = 0, most = Number.POSITIVE_INFINITY } = {}) {
      let bytes = 0;
      await new Promise<void>((resolve, reject) => {
        const finish = (how: () => void) => {
          stream.off('data', take);
          stream.off('close', gone);
          how();
        };
        const gone = () => finish(() => reject(new Error('the connection closed in the middle of the answer')));
        const take = (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes >= most || chunk.subarray(-6).equals(ready)) finish(resolve);
          else if (restMs > 0) {
            stream.pause();
            setTimeout(() => stream.resume(), restMs);
          }
        };
        stream.on('data', take);
        stream.on('close', gone);
        stream.write(queryMessage(Buffer.from(query)));
      });
      return bytes;
    },
    [Symbol.dispose]: () => void stream.destroy(),
  };
}
