// A wire that a test can cut: a TCP relay to a server, at an address that stays the same when the server comes back elsewhere.
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What passes: which way, and the bytes of one read. */
export type Watch = (way: 'to server' | 'to client', bytes: Buffer, wire: Wire) => void;

/** One connection through the relay. */
export interface Wire {
  /** Breaks both ends off. */
  cut(): void;
  /** From now on what the server says is thrown away. */
  deafen(): void;
  /** Breaks the client off, and gives what it said to the server only when the returned function is called. */
  holdBack(bytes: Buffer): () => void;
}

export interface Cutter extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections that are open now. */
  readonly wires: number;
  /** Cuts all of them; new ones are taken. */
  cut(): void;
  /** Where new connections go. */
  lead(port: number): void;
  /** Sees all that passes from now on. */
  watch(watch: Watch | undefined): void;
}

/** Opens one on a free port. */
export async function wireCutter(to: { readonly host: string; readonly port: number }): Promise<Cutter> {
  let { port } = to;
  let seen: Watch | undefined;
  const wires = new Set<Wire>();
  const server = createServer((client) => {
    const upstream = connect({ host: to.host, port });
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    let deaf = false;
    let held = false;
    const wire: Wire = {
      cut: () => {
        wires.delete(wire);
        if (!held) upstream.destroy();
        client.resetAndDestroy();
      },
      deafen: () => {
        deaf = true;
      },
      holdBack: (bytes) => {
        held = true;
        client.removeAllListeners('data');
        wire.cut();
        return () => upstream.write(bytes);
      },
    };
    wires.add(wire);
    pass(client, upstream, (bytes) => {
      seen?.('to server', bytes, wire);
      return !held;
    });
    pass(upstream, client, (bytes) => {
      seen?.('to client', bytes, wire);
      return !deaf;
    });
    const end = () => {
      if (!held) wire.cut();
    };
    for (const socket of [client, upstream]) {
      socket.on('error', end);
      socket.on('close', end);
    }
  });
  const bound = await listen(server);
  return {
    host: '127.0.0.1',
    port: bound,
    get wires() {
      return wires.size;
    },
    cut: () => {
      for (const wire of [...wires]) wire.cut();
    },
    lead: (next) => {
      port = next;
    },
    watch: (watch) => {
      seen = watch;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const wire of [...wires]) wire.cut();
      await closed;
    },
  };
}

function pass(from: Socket, to: Socket, may: (bytes: Buffer) => boolean): void {
  from.on('data', (bytes: Buffer) => {
    if (!may(bytes) || to.destroyed) return;
    if (to.write(bytes)) return;
    from.pause();
    to.once('drain', () => from.resume());
  });
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
