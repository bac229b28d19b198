// A server that breaks the protocol costs its own connection and nothing else: pg's parser throws where nobody would catch it.
import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { SluiceError } from '../base/errors.ts';
import './scram.ts';

// With what a server may begin: authentication, an error, a notice, another version of the protocol.
const beginnings: ReadonlySet<number> = new Set([...'RENv'].map((letter) => letter.charCodeAt(0)));

type DataListener = (chunk: Buffer) => void;

/**
 * Turns what pg cannot read into an error of the connection. Call it before connecting.
 * @param mostBytes how much the server may say; for a login that is all that is read through pg
 */
export function guardClient(client: pg.Client, mostBytes = Number.POSITIVE_INFINITY): void {
  const { connection } = client as unknown as { readonly connection: { attachListeners: (stream: Duplex) => void } };
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (stream) => {
    const before = new Set(stream.listeners('data'));
    attach(stream);
    const added = stream.listeners('data').filter((each) => !before.has(each)) as DataListener[];
    let heard = 0;
    for (const listener of added) {
      stream.off('data', listener);
      stream.on('data', (chunk: Buffer) => {
        if (stream.destroyed) return;
        const first = heard === 0;
        heard += chunk.length;
        try {
          // Of another protocol pg would wait for the rest of a message of gigabytes.
          if (first && !beginnings.has(chunk[0]!))
            throw brokenProtocol(`its first byte is 0x${chunk[0]!.toString(16)}`);
          if (heard > mostBytes) throw brokenProtocol(`it has said ${heard} bytes before it was ready`);
          listener(chunk);
        } catch (error) {
          stream.destroy(error instanceof SluiceError ? error : brokenProtocol((error as Error).message, error));
        }
      });
    }
  };
}

/** What a session or a peer's user is told of a server that says what no PostgreSQL says. */
export function brokenProtocol(detail: string, cause?: unknown): SluiceError {
  return new SluiceError('unreachable', 'the server does not keep to the PostgreSQL protocol', {
    sqlstate: '08P01',
    detail,
    cause,
  });
}
