// A server that takes any login and then breaks the protocol as a test tells it: no real PostgreSQL can be made to.
import { createServer, type Socket } from 'node:net';
import { authenticationOk, backendKeyData, message, parameterStatus, readyForQuery } from '../../src/wire/backend.ts';
import { code } from '../../src/wire/frames.ts';

export interface Rogue extends AsyncDisposable {
  readonly port: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Everything that it was told after the startup packet. */
  readonly heard: string;
  /** Speaks to whoever is connected. */
  broadcast(bytes: Buffer): void;
}

export interface RogueOptions {
  /** What it does with a connection in the place of a login; default: lets it in. */
  readonly login?: (socket: Socket) => void;
  /** What it answers to each packet after the login. */
  readonly answer?: (packet: string, socket: Socket) => void;
}

/** Commands, each with its answer, as a server that keeps to the protocol would give them. */
export const proper = {
  login: [
    authenticationOk(),
    parameterStatus('server_version', '18.0'),
    parameterStatus('client_encoding', 'UTF8'),
    backendKeyData(1, Buffer.alloc(4)),
    readyForQuery('I'),
  ],
  answer: [message(code('C'), Buffer.from('SELECT 0\0')), readyForQuery('I')],
} as const;

export async function rogueServer(options: RogueOptions = {}): Promise<Rogue> {
  const sockets = new Set<Socket>();
  let heard = '';
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.on('data', (packet) => {
        heard += packet.toString('latin1');
        (options.answer ?? ((_, to) => to.write(Buffer.concat(proper.answer))))(packet.toString('latin1'), socket);
      });
      if (options.login !== undefined) options.login(socket);
      else socket.write(Buffer.concat(proper.login));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    get open() {
      return sockets.size;
    },
    get heard() {
      return heard;
    },
    broadcast: (bytes) => {
      for (const socket of sockets) socket.write(bytes);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
