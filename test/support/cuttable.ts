// A way to a server that can be cut: a proxy that ends all connections at once, or lets nothing through for a while.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ServerAddress } from './servers.ts';

export interface Cuttable extends AsyncDisposable {
  /** Where it listens. */
  readonly host: string;
  readonly port: number;
  /** Breaks every connection off; later ones are let through. */
  cut(): void;
  /** Lets nothing through, neither way, until it is thawed; connections stay. */
  freeze(): void;
  /** Lets nothing that a stream's receiver says through to the server until it is thawed; what the server says still comes. */
  mute(): void;
  thaw(): void;
}

/** Starts a proxy to that server on a free port. */
export async function cuttable(to: Pick<ServerAddress, 'host' | 'port'>): Promise<Cuttable> {
  const sockets = new Set<Socket>();
  const receivers = new Set<Socket>();
  let frozen = false;
  let muted = false;
  const keep = (socket: Socket, other: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      receivers.delete(socket);
      other.destroy();
    });
    socket.pipe(other);
    if (frozen) socket.pause();
  };
  const server = createServer((client) => {
    const upstream = connect(to.port, to.host);
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    // A startup message that asks for replication.
    client.once('data', (chunk: Buffer) => {
      if (!chunk.includes('replication\0')) return;
      receivers.add(client);
      if (muted) client.pause();
    });
    keep(client, upstream);
    keep(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    freeze: () => {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    mute: () => {
      muted = true;
      for (const socket of receivers) socket.pause();
    },
    thaw: () => {
      frozen = false;
      muted = false;
      for (const socket of sockets) socket.resume();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
