// Two questions that a supervisor of processes asks: are you alive, can you serve.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { SluiceError, toSluiceError } from '../base/errors.ts';

export interface HealthDeps {
  /** Resolves when the server can do its work; throws what keeps it from that. */
  readonly ready: () => Promise<void>;
}

/** GET /healthz: the process answers. GET /readyz: it can serve, else 503 with the reason. */
export function healthRoutes(deps: HealthDeps): Hono {
  const app = new Hono();
  app.get('/healthz', (context) => context.json({ status: 'ok' }));
  app.get('/readyz', async (context) => {
    try {
      await deps.ready();
      return context.json({ status: 'ready' });
    } catch (error) {
      const { message, kind } = toSluiceError(error);
      return context.json({ status: 'not ready', kind, message }, 503);
    }
  });
  return app;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

/** Listens. @throws `unreachable` if the address cannot be taken */
export async function startHttp(app: Hono, at: { readonly host: string; readonly port: number }): Promise<HttpServer> {
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new SluiceError('unreachable', `cannot listen on ${at.host}:${at.port}: ${cause.message}`, {
          hint: 'Set SLUICE_HTTP_PORT to a free port, or to 0 to do without HTTP.',
          cause,
        }),
      ),
    );
    server.listen(at.port, at.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
