// Sockets: accepts clients, speaks TLS, holds the limits, and lets everyone finish when it is told to stop.
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { SluiceError } from '../base/errors.ts';
import { serverEndPoint } from './certificate.ts';
import { ClientConnection } from './client.ts';
import { Crowd } from './crowd.ts';
import { CancelKeys, type House, type ListenerDeps } from './house.ts';

// A client whose machine is gone without a word is noticed in minutes, not in the hours that systems wait by themselves.
const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const;

/**
 * Listens until the signal is aborted, then lets busy clients finish, and returns when all are gone.
 * @throws `unreachable` if the address cannot be listened on
 */
export async function runListener(deps: ListenerDeps, signal: AbortSignal): Promise<void> {
  const clients = new Set<ClientConnection>();
  const house: House = {
    deps,
    tls: deps.tls && {
      context: createSecureContext({ cert: deps.tls.cert, key: deps.tls.key, minVersion: 'TLSv1.2' }),
      channelBinding: serverEndPoint(deps.tls.cert),
    },
    keys: new CancelKeys(),
    stopping: signal,
    crowd: new Crowd(deps.limits.connections),
  };
  const server = createServer(options, (socket: Socket) => {
    const client = new ClientConnection(socket, house);
    clients.add(client);
    house.crowd.arrive(client);
    void client.closed.then(() => {
      clients.delete(client);
      house.crowd.leave(client);
    });
  });
  await listen(server, deps);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : deps.port;
  deps.onListening({ host: deps.host, port });
  server.on('error', (error) => deps.log.warn({ err: error }, 'listener'));
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  const closed = new Promise((resolve) => server.close(resolve));
  for (const client of clients) client.finish();
  const impatience = setTimeout(() => {
    for (const client of clients) client.breakOff();
  }, deps.limits.drainMs);
  await Promise.all([closed, ...[...clients].map((client) => client.closed)]);
  clearTimeout(impatience);
}

async function listen(server: Server, { host, port }: ListenerDeps): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) =>
      reject(
        new SluiceError('unreachable', `cannot listen on ${host}:${port}: ${error.code ?? error.message}`, {
          hint:
            error.code === 'EADDRINUSE' ? 'Another program has this port; choose another with SLUICE_PORT.' : undefined,
          cause: error,
        }),
      );
    server.once('error', fail);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', fail);
      resolve();
    });
  });
}
