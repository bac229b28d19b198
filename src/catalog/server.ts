// Which PostgreSQL holds the catalog: an embedded one that we start again when it dies, or one elsewhere, by URL.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { type PeerConfig, readPeerOptions } from '../mirror/peer.ts';
import { type ClientConfig, Connection } from '../pg/client.ts';
import { startEmbedded } from '../pg/embedded.ts';
import { sql } from '../pg/sql.ts';

export type CatalogPlace =
  | { readonly kind: 'url'; readonly url: string }
  /** `throwaway`: do not wait for the disk, for tests and samples. */
  | { readonly kind: 'embedded'; readonly dataDir: string; readonly throwaway?: boolean };

/** A server that can be connected to, also after it was restarted elsewhere. */
export interface CatalogServer extends AsyncDisposable {
  /** How the catalog's owner connects now. Holds the password. */
  config(): ClientConfig;
  connect(signal: AbortSignal): Promise<Connection>;
}

/** @throws `invalid_option` for a bad URL, `unreachable`, `login_refused` */
export async function openServer(place: CatalogPlace, log: Log, signal: AbortSignal): Promise<CatalogServer> {
  switch (place.kind) {
    case 'url':
      return serverByUrl(place.url, signal);
    case 'embedded':
      return embeddedServer(place, log);
    default:
      return place satisfies never;
  }
}

async function serverByUrl(url: string, signal: AbortSignal): Promise<CatalogServer> {
  const peer = readUrl(url);
  const { host, port, user, database, password } = peer;
  const plain = { host, port, user, database, application_name: 'sluice catalog', ...(password && { password }) };
  const checked = peer.sslMode === 'verify-full' || peer.sslMode === 'verify-ca';
  const ssl = {
    rejectUnauthorized: checked,
    // verify-ca takes any name that the right authority signed.
    ...(peer.sslMode === 'verify-ca' && { checkServerIdentity: () => undefined }),
  };
  const ways: readonly ClientConfig[] =
    peer.sslMode === 'disable'
      ? [plain]
      : peer.sslMode === 'allow'
        ? [plain, { ...plain, ssl }]
        : peer.sslMode === 'prefer'
          ? [{ ...plain, ssl }, plain]
          : [{ ...plain, ssl }];
  // What works once is kept: a catalog that spoke TLS is never again spoken to without.
  const config = await firstThatWorks(ways, signal);
  return {
    config: () => config,
    connect: (stop) => Connection.open(config, stop),
    [Symbol.asyncDispose]: async () => {},
  };
}

function readUrl(url: string): PeerConfig {
  try {
    return readPeerOptions([{ name: 'url', value: url }]);
  } catch (cause) {
    const { message } = toSluiceError(cause);
    throw new SluiceError('invalid_option', `SLUICE_CATALOG_URL: ${message}`, {
      hint: 'It reads postgres://user:password@host:port/database, with / @ : of user and password percent-encoded.',
      cause,
    });
  }
}

async function firstThatWorks(ways: readonly ClientConfig[], signal: AbortSignal): Promise<ClientConfig> {
  const failures: SluiceError[] = [];
  for (const way of ways) {
    try {
      await (await Connection.open(way, signal)).close();
      return way;
    } catch (error) {
      failures.push(toSluiceError(error));
    }
  }
  // A server's own answer says more than a way in that it does not offer.
  const told = failures.find((failure) => failure.kind !== 'unreachable') ?? failures[0];
  throw new SluiceError(told?.kind ?? 'internal', `the catalog of SLUICE_CATALOG_URL: ${told?.message}`, {
    detail: told?.detail,
    hint: told?.hint ?? 'Check SLUICE_CATALOG_URL and that its server is running.',
    sqlstate: told?.sqlstate,
    cause: told,
  });
}

async function embeddedServer(place: Extract<CatalogPlace, { kind: 'embedded' }>, log: Log): Promise<CatalogServer> {
  const start = () =>
    startEmbedded({
      dataDir: place.dataDir,
      throwaway: place.throwaway ?? false,
      settings: { max_connections: 200, shared_buffers: '32MB', log_min_messages: 'fatal' },
    });
  let server = await start();
  let reviving: Promise<void> | undefined;
  const revive = () => {
    reviving ??= (async () => {
      const before = server.pid;
      server = await start();
      if (server.pid !== before) log.warn({ port: server.port }, 'the embedded catalog was gone and is started again');
    })().finally(() => {
      reviving = undefined;
    });
    return reviving;
  };
  const config = () => ({ ...server.config(), application_name: 'sluice catalog' });
  return {
    config,
    async connect(signal) {
      try {
        return await Connection.open(config(), signal);
      } catch (error) {
        if (toSluiceError(error).kind !== 'unreachable' || signal.aborted) throw error;
        await revive();
        return Connection.open(config(), signal);
      }
    },
    // Another process may share the folder: then the server is left to it, and the last one out stops it.
    async [Symbol.asyncDispose]() {
      if (!(await hasOtherClients(config()))) await server.stop();
    },
  };
}

async function hasOtherClients(config: ClientConfig): Promise<boolean> {
  try {
    await using db = await Connection.open(config);
    const { others } = await db.one<{ others: boolean }>(sql`select exists (select from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name = 'sluice catalog') as others`);
    return others;
  } catch {
    return false;
  }
}
